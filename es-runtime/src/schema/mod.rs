//! Schemas of events: what consumers can rely on.

pub mod compat;
