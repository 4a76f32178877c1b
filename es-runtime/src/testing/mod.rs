//! For tests: the conformance suites that every store and every transport passes, a message broker in
//! memory, and the laws of a stream's versions.

pub mod conformance;
mod laws;
pub mod transports;

pub use laws::{Laws, laws};
