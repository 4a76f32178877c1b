//! For tests: the conformance suites that every store and every transport passes, a message broker in
//! memory, the laws of a stream's versions, and a clock that is turned by hand.

mod clock;
pub mod conformance;
mod laws;
pub mod transports;

pub use clock::SimulatedClock;
pub use laws::{Laws, laws};
