//! Which changes of a schema are compatible: can what was written with one be read with another?
//!
//! [`subset`] decides whether every instance of one schema is valid under another. [`check`] asks it
//! about an event that changed: writers write only what is declared, readers ignore what is not, and
//! each change has a rule, a path, a reason, and an event that shows it. [`check_history`] compares
//! with all that was released, [`check_events`] the event types of a stream.

mod changes;
mod check;
mod judge;
mod node;
mod number;
mod patch;
mod read;
mod refs;
mod regex;
mod report;
mod sarif;
mod solve;
mod subset;

pub use check::{check, check_events, check_history, events};
pub use report::{Direction, Finding, Level, Mode, Report, Surface};
pub use subset::{Verdict, subset};
