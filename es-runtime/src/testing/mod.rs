//! For tests: the conformance suite that every store passes, and the laws of a stream's versions.

pub mod conformance;
mod laws;

pub use laws::{Laws, laws};
