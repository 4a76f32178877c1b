//! For tests: the conformance suite that every store passes.

pub mod conformance;
