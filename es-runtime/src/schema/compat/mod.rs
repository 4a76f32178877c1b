//! Can what one schema allows be read with another?

mod judge;
mod node;
mod number;
mod read;
mod refs;
mod regex;
mod solve;
mod subset;

pub use subset::{Verdict, subset};
