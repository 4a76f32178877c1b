//! The indexes of a read model, typed: by what its rows are found.

use std::fmt;
use std::marker::PhantomData;

use super::{Column, OutOfRange, Projection, Stored};
use crate::store::{IndexDef, Row};

/// An index of the read model `P` on a column of type `C`, or on several columns, whose types are
/// then a tuple.
///
/// `#[derive(Projection)]` makes a constant for each index that is declared:
///
/// ```
/// use es_runtime::prelude::*;
/// use es_runtime::projection::{Index, Unique};
///
/// #[derive(Clone, Debug, PartialEq, Projection)]
/// #[projection(name = "accounts", version = 1, index(owner, opened))]
/// struct AccountRow {
///     owner: String,
///     opened: Timestamp,
///     #[projection(index)]
///     closed: Option<Timestamp>,
///     #[projection(unique)]
///     iban: String,
/// }
///
/// let _: Index<AccountRow, Option<Timestamp>> = AccountRow::BY_CLOSED;
/// let _: Index<AccountRow, (String, Timestamp)> = AccountRow::BY_OWNER_AND_OPENED;
/// let _: Unique<AccountRow, String> = AccountRow::BY_IBAN;
/// ```
///
/// A view is asked with them: [`View::by`](crate::View::by),
/// [`View::range`](crate::View::range), [`View::unique`](crate::View::unique).
pub struct Index<P, C, K = Many> {
    place: usize,
    of: PhantomData<Of<P, C, K>>,
}

/// None of them is held.
type Of<P, C, K> = fn() -> (P, C, K);

/// An index on what no two rows may hold; see [`Index`].
pub type Unique<P, C> = Index<P, C, One>;

/// Many rows may hold the same.
#[derive(Clone, Copy, Debug)]
pub enum Many {}

/// One row holds it at most.
#[derive(Clone, Copy, Debug)]
pub enum One {}

impl<P, C, K> Index<P, C, K> {
    /// The index at this place among those of the table.
    pub(crate) const fn at(place: usize) -> Self {
        Self {
            place,
            of: PhantomData,
        }
    }
}

impl<P: Projection, C, K> Index<P, C, K> {
    /// The index as the stores see it.
    pub fn def(self) -> IndexDef {
        P::INDEXES[self.place]
    }
}

impl<P, C, K> Index<P, Option<C>, K> {
    /// The same index, for the rows alone that hold something: what a range is asked of.
    pub const fn present(self) -> Index<P, C, K> {
        Index::at(self.place)
    }
}

impl<P, C, K> Clone for Index<P, C, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, C, K> Copy for Index<P, C, K> {}

/// `Index(owner, currency)`.
impl<P: Projection, C, K> fmt::Debug for Index<P, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({})", P::TABLE.column_names(&self.def()))
    }
}

/// What an index is on: a type that is a column, or a tuple of such types.
#[diagnostic::on_unimplemented(
    message = "no index is on `{Self}`",
    label = "this is not what the index is on",
    note = "the type of a column has `Column`; several columns are a tuple of theirs"
)]
pub trait Indexed {
    /// The values in the columns, in the order of the index.
    ///
    /// # Errors
    /// [`OutOfRange`] when one of the columns cannot hold its value.
    fn to_values(&self) -> Result<Row, OutOfRange>;
}

/// What has an order that is the same everywhere: rows are asked for between two of them.
pub trait Ordered: Indexed {}

/// The types of columns that always hold something. Sealed, as [`Stored`] is.
#[diagnostic::on_unimplemented(
    message = "a column that may hold nothing has no range",
    label = "a row that holds nothing here is in no range",
    note = "say so: `Balance::BY_CLOSED.present()` is the index on those that hold something"
)]
pub trait Present: Stored {}

impl Present for i64 {}
impl Present for f64 {}
impl Present for bool {}
impl Present for String {}
impl Present for Vec<u8> {}

impl<C: Column> Indexed for C {
    fn to_values(&self) -> Result<Row, OutOfRange> {
        Ok(vec![self.to_stored()?.into_value()])
    }
}

impl<C: Column<Stored: Present>> Ordered for C {}

macro_rules! tuples {
    ($($($column:ident $n:tt),+;)+) => {$(
        impl<$($column: Column),+> Indexed for ($($column,)+) {
            fn to_values(&self) -> Result<Row, OutOfRange> {
                Ok(vec![$(self.$n.to_stored()?.into_value()),+])
            }
        }

        impl<$($column: Column<Stored: Present>),+> Ordered for ($($column,)+) {}
    )+};
}

tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}
