//! Projections: folds over events into read models, one table per version, each with its own
//! cursor that moves in the same transaction as its rows.

mod column;
#[cfg(feature = "runtime")]
mod driver;
mod fold;
#[cfg(feature = "runtime")]
mod kept;
mod react;
#[cfg(feature = "runtime")]
mod reacting;
#[cfg(feature = "runtime")]
mod read_model;
#[cfg(feature = "runtime")]
mod runner;

pub use column::{Column, OutOfRange, Stored};
#[cfg(feature = "runtime")]
pub use driver::{Health, Status};
#[cfg(feature = "runtime")]
pub(crate) use driver::{Part, Work, run};
pub use fold::Fold;
#[cfg(feature = "schema")]
pub(crate) use fold::Folding;
pub use react::{Changed, React};
#[cfg(feature = "runtime")]
pub(crate) use read_model::ReadModel;

use crate::store::{ColumnDef, Row, Table};

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
/// What goes into the rows is said by [`Fold`]. The law: a version's columns never change; a
/// change is the next version, which is built beside this one.
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
    /// The table of this version.
    const TABLE: Table = Table {
        name: Self::NAME,
        version: Self::VERSION,
        columns: Self::COLUMNS,
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
