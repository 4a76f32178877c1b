//! What every benchmark needs.

pub(crate) mod cases;
pub(crate) mod child;
pub(crate) mod database;
// Only where a log is filled beforehand.
#[allow(dead_code)]
pub(crate) mod fill;
pub(crate) mod machine;
// Each benchmark measures in the ways that it needs.
#[allow(dead_code)]
pub(crate) mod measure;
pub(crate) mod memory;
pub(crate) mod pace;
pub(crate) mod page;
pub(crate) mod report;
pub(crate) mod start;
