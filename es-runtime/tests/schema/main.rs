//! Schemas: what is compatible with what, against the cases of others, tables of our own, and chance.

mod cases;
mod findings;
mod hostile;
mod pairs;
mod patterns;
mod program;
mod random;
mod rules;
mod writers;
