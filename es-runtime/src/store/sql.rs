//! SQL that the databases share: how a read model's table is made and read.
//!
//! Names that go into SQL text come from derives, which allow lower-case letters, digits and `_`
//! in tables; columns are quoted.

use std::fmt::Write;

use super::{Advance, ColumnKind, ProjectionId, ProjectionKind, Row, Table, Value};
use crate::runtime::without;

/// How a database spells the parts of a table.
pub(crate) struct Dialect {
    /// The type of the key, whose order is that of its bytes.
    pub key: &'static str,
    /// The type of a column.
    pub column: fn(ColumnKind) -> &'static str,
    /// What stands behind the columns.
    pub options: &'static str,
}

/// The statements that make a read model's table and its indexes.
pub(crate) fn create_table(table: &Table, dialect: &Dialect) -> Vec<String> {
    let name = table.sql_name();
    let mut create = format!(
        "CREATE TABLE \"{name}\" (\"key\" {} PRIMARY KEY",
        dialect.key
    );
    for column in table.columns {
        let null = if column.nullable { "" } else { " NOT NULL" };
        // Writing to a string cannot fail.
        write!(
            create,
            ", \"{}\" {}{null}",
            column.name,
            (dialect.column)(column.kind)
        )
        .ok();
    }
    write!(create, "){}", dialect.options).ok();
    let index =
        |column: &str| format!("CREATE INDEX \"{name}_{column}\" ON \"{name}\" (\"{column}\")");
    let indexes = table
        .columns
        .iter()
        .filter(|c| c.index)
        .map(|c| index(c.name));
    std::iter::once(create).chain(indexes).collect()
}

/// The key and the columns of a read model's rows, to be narrowed down.
pub(crate) fn select(table: &Table) -> String {
    let columns = table.columns.iter().map(|c| format!(", \"{}\"", c.name));
    format!(
        "SELECT \"key\"{} FROM \"{}\"",
        columns.collect::<String>(),
        table.sql_name()
    )
}

/// The word that databases keep for what a projection makes.
pub(crate) fn kind(projection: &ProjectionId) -> &'static str {
    match projection.kind {
        ProjectionKind::ReadModel => "read-model",
        ProjectionKind::Stream => "stream",
    }
}

/// What a kept word of [`kind`] means.
pub(crate) fn kind_of(word: &str) -> ProjectionKind {
    match word {
        "stream" => ProjectionKind::Stream,
        _ => ProjectionKind::ReadModel,
    }
}

/// Moves a cursor if it stands where the mover believes, and nothing changed that it must know:
/// the fence. Its parameters are kind, name, version, slice, from, epoch and to.
pub(crate) fn move_cursor(cursors: &str) -> String {
    let mut update = format!(
        "UPDATE {cursors} SET position = $7, failure = NULL, failed_at = NULL
         WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4"
    );
    let from = (Advance::FROM, " AND position = $5");
    let knowing = (Advance::KNOWING, " AND epoch = $6");
    for (guard, fence) in [from, knowing] {
        if !without(guard) {
            update.push_str(fence);
        }
    }
    update
}

/// A row that [`select`] found.
pub(crate) fn row_of<'r, R>(table: &Table, row: &'r R) -> sqlx::Result<(String, Row)>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    i64: Cell<'r, R>,
    f64: Cell<'r, R>,
    bool: Cell<'r, R>,
    String: Cell<'r, R>,
    Vec<u8>: Cell<'r, R>,
{
    fn value<'r, R, T>(row: &'r R, i: usize, wrap: fn(T) -> Value) -> sqlx::Result<Value>
    where
        R: sqlx::Row,
        usize: sqlx::ColumnIndex<R>,
        T: Cell<'r, R>,
    {
        Ok(row.try_get::<Option<T>, _>(i)?.map_or(Value::Null, wrap))
    }
    let values = table
        .columns
        .iter()
        .zip(1..)
        .map(|(column, i)| match column.kind {
            ColumnKind::Integer => value(row, i, Value::Integer),
            ColumnKind::Real => value(row, i, Value::Real),
            ColumnKind::Boolean => value(row, i, Value::Boolean),
            ColumnKind::Text => value(row, i, Value::Text),
            ColumnKind::Bytes => value(row, i, Value::Bytes),
        });
    Ok((row.try_get(0)?, values.collect::<sqlx::Result<_>>()?))
}

/// What can be read from a database's row.
pub(crate) trait Cell<'r, R: sqlx::Row>:
    sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>
{
}

impl<'r, R, T> Cell<'r, R> for T
where
    R: sqlx::Row,
    T: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
}
