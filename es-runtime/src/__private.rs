//! What generated code refers to. No part of the public API: it changes with `es-macros`, to
//! which it is pinned.

pub use core::marker::PhantomData;
pub use core::option::Option::{self, Some};
pub use core::result::Result::{self, Err, Ok};
pub use std::string::String;
pub use std::vec::Vec;

pub use crate::aggregate::{Aggregate, Command, Decide, Evolve, IntoEvents};
pub use crate::event::{Event, EventType};
pub use crate::integration::{IntegrationEvent, IntegrationType};
pub use crate::projection::{Column, OutOfRange, Projection, Stored};
pub use crate::store::{ColumnDef, Row, Value};

/// Whether two stored names are equal, at compile time.
pub const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}
