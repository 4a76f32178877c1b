//! Projections: folds over events into read models, one table per version, each with its own
//! cursor that moves in the same transaction as its rows.

mod column;
#[cfg(feature = "runtime")]
mod compare;
#[cfg(feature = "runtime")]
mod courtesy;
#[cfg(feature = "runtime")]
mod driver;
mod fold;
mod index;
#[cfg(feature = "runtime")]
mod kept;
#[cfg(feature = "runtime")]
mod parking;
#[cfg(feature = "runtime")]
mod progress;
mod react;
#[cfg(feature = "runtime")]
mod reacting;
#[cfg(feature = "runtime")]
mod read_model;
#[cfg(feature = "runtime")]
mod runner;
#[cfg(feature = "runtime")]
mod sql;
#[cfg(feature = "runtime")]
mod tail;

pub use column::{Column, OutOfRange, Stored};
#[cfg(feature = "runtime")]
pub use compare::Compared;
#[cfg(feature = "runtime")]
pub(crate) use compare::{Comparer, Comparing, Found};
#[cfg(feature = "runtime")]
pub use driver::{Health, Status};
#[cfg(feature = "runtime")]
pub(crate) use driver::{Part, Work, run};
pub use fold::Fold;
#[cfg(feature = "schema")]
pub(crate) use fold::Folding;
pub use index::{Index, Indexed, Many, One, Ordered, Present, Unique};
#[cfg(feature = "runtime")]
pub(crate) use parking::{Parking, read_at};
#[cfg(feature = "runtime")]
pub use progress::Progress;
pub use react::{Changed, React};
#[cfg(feature = "runtime")]
pub(crate) use reacting::Turn;
#[cfg(feature = "runtime")]
pub(crate) use read_model::ReadModel;
#[cfg(feature = "runtime")]
pub(crate) use sql::Handwritten;
#[cfg(feature = "runtime")]
pub use sql::{Apply, SqlProjection};

use crate::store::{ColumnDef, IndexDef, Row, Table};

/// One version of a read model: a struct whose fields are the columns of its table.
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Projection)]
/// #[projection(name = "balances", version = 2)]
/// struct Balance {
///     owner: String,
///     amount: i64,
///     #[projection(index)]
///     currency: Option<String>,
/// }
///
/// assert_eq!(Balance::TABLE.sql_name(), "balances_v2");
/// assert_eq!(Balance::TABLE.fingerprint(), "owner text, amount integer, currency text?");
/// ```
///
/// What goes into the rows is said by [`Fold`], and by what they are found with an [`Index`]. The
/// law: a version's columns never change, nor what is unique; a change is the next version, which
/// is built beside this one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection [ES0018]",
    label = "this is not the row of a read model",
    note = "derive it on the row: `#[derive(Projection)]` and `#[projection(name = \"…\", version = 1)]`"
)]
pub trait Projection: Sized + Send + Sync + 'static {
    /// The read model's name, `balances`.
    const NAME: &'static str;
    /// The projection's version, from 1.
    const VERSION: u32;
    /// The parts that the keys are divided in, so that several instances share the work: 1 unless
    /// something is said. It counts when the version is built first, and never changes after that.
    const SLICES: u16 = 1;
    /// The columns, in the order of the fields.
    const COLUMNS: &'static [ColumnDef];
    /// The indexes, in the order in which they are declared: the type's, then the fields'.
    const INDEXES: &'static [IndexDef] = &[];
    /// The table of this version.
    const TABLE: Table = Table {
        name: Self::NAME,
        version: Self::VERSION,
        columns: Self::COLUMNS,
        indexes: Self::INDEXES,
        slices: Self::SLICES,
    };

    /// The fields as values, in the order of the columns.
    ///
    /// # Errors
    /// [`OutOfRange`] when a number does not fit its column.
    fn to_row(&self) -> Result<Row, OutOfRange>;

    /// The row that these values stand for.
    ///
    /// # Errors
    /// [`OutOfRange`] when a value is not what the field's type writes.
    fn from_row(row: Row) -> Result<Self, OutOfRange>;
}
