//! Read models: their tables and their rows.
//!
//! Read models live where the connection's search path points, beside the user's own tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use super::types::limit as rows_limit;
use super::{failed, life};
use crate::error::Result;
use crate::store::life::same_columns;
use crate::store::sql::{Dialect, create_table, row_of, select};
use crate::store::{ColumnKind, ProjectionId, ProjectionState, Row, RowChange, Table, Value};

type Tx = Transaction<'static, Postgres>;

/// Makes the table and its indexes unless they are there.
pub(super) async fn prepare_table(tx: &mut Tx, table: &Table) -> Result<ProjectionState> {
    const DOING: &str = "making a read model's table";
    let projection = ProjectionId::from(table);
    match life::declared(tx, &projection).await? {
        Some(stored) => same_columns(table, &stored)?,
        None => {
            for statement in create_table(table, &DIALECT) {
                let query = sqlx::query(AssertSqlSafe(statement));
                query.execute(&mut **tx).await.map_err(failed(DOING))?;
            }
        }
    }
    life::prepare(tx, &projection, &table.fingerprint(), table.slices).await
}

/// The type of a column, and of an array of its values.
fn sql_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "bigint",
        ColumnKind::Real => "double precision",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Text => "text",
        ColumnKind::Bytes => "bytea",
    }
}

const DIALECT: Dialect = Dialect {
    key: "text COLLATE \"C\"",
    column: sql_type,
    options: "",
};

/// Writes new rows and removes gone ones, in one statement each.
pub(super) async fn write_rows(tx: &mut Tx, table: &Table, changes: Vec<RowChange>) -> Result<()> {
    const DOING: &str = "writing a read model's rows";
    // Of several changes of one key the last one counts.
    let last: BTreeMap<_, _> = changes.into_iter().map(|c| (c.key, c.row)).collect();
    let (mut keys, mut rows, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (key, row) in last {
        match row {
            Some(row) => {
                keys.push(key);
                rows.push(row);
            }
            None => gone.push(key),
        }
    }
    if !keys.is_empty() {
        let mut query = sqlx::query(AssertSqlSafe(upsert(table))).bind(keys);
        for (i, column) in table.columns.iter().enumerate() {
            query = bind_column(query, column.kind, rows.iter_mut().map(|row| take(row, i)));
        }
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    if !gone.is_empty() {
        let delete = format!(
            "DELETE FROM \"{}\" WHERE \"key\" = ANY($1)",
            table.sql_name()
        );
        let query = sqlx::query(AssertSqlSafe(delete)).bind(gone);
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    Ok(())
}

fn take(row: &mut Row, column: usize) -> Value {
    row.get_mut(column)
        .map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
}

fn upsert(table: &Table) -> String {
    let (mut names, mut arrays, mut updates) = (String::new(), String::new(), String::new());
    for (column, n) in table.columns.iter().zip(2..) {
        let name = column.name;
        // Writing to a string cannot fail.
        write!(names, ", \"{name}\"").ok();
        write!(arrays, ", ${n}::{}[]", sql_type(column.kind)).ok();
        let comma = if n == 2 { "" } else { ", " };
        write!(updates, "{comma}\"{name}\" = excluded.\"{name}\"").ok();
    }
    let update = match updates.as_str() {
        "" => "NOTHING".to_owned(),
        updates => format!("UPDATE SET {updates}"),
    };
    let table = table.sql_name();
    format!(
        "INSERT INTO \"{table}\" (\"key\"{names}) SELECT * FROM unnest($1::text[]{arrays})
         ON CONFLICT (\"key\") DO {update}"
    )
}

/// Binds one column of many rows as an array.
fn bind_column<'q>(
    query: Query<'q, Postgres, PgArguments>,
    kind: ColumnKind,
    values: impl Iterator<Item = Value>,
) -> Query<'q, Postgres, PgArguments> {
    macro_rules! array {
        ($variant:ident) => {{
            let value = |value| match value {
                Value::$variant(value) => Some(value),
                _ => None,
            };
            query.bind(values.map(value).collect::<Vec<_>>())
        }};
    }
    match kind {
        ColumnKind::Integer => array!(Integer),
        ColumnKind::Real => array!(Real),
        ColumnKind::Boolean => array!(Boolean),
        ColumnKind::Text => array!(Text),
        ColumnKind::Bytes => array!(Bytes),
    }
}

pub(super) async fn rows(
    connection: &mut PgConnection,
    table: &Table,
    keys: &[String],
) -> Result<Vec<(String, Row)>> {
    let select = select(table) + " WHERE \"key\" = ANY($1)";
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(keys)
        .fetch_all(connection)
        .await;
    let rows = rows.map_err(failed("reading a read model"))?;
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}

pub(in crate::store) async fn scan(
    connection: &mut PgConnection,
    table: &Table,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Row)>> {
    let beyond = if after.is_some() {
        " WHERE \"key\" > $2"
    } else {
        ""
    };
    let select = format!("{}{beyond} ORDER BY \"key\" LIMIT $1", select(table));
    let mut query = sqlx::query(AssertSqlSafe(select)).bind(rows_limit(limit));
    if let Some(after) = after {
        query = query.bind(after);
    }
    let rows = query
        .fetch_all(connection)
        .await
        .map_err(failed("reading a read model"))?;
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}
