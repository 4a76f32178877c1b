//! Patterns as JSON Schema means them: ECMA 262, matching anywhere in the text.

mod automaton;
mod parse;

pub(super) use automaton::{Language, Languages};
