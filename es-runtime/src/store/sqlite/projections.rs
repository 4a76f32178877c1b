//! Read models: their tables and their rows.

use std::collections::BTreeMap;

use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, Transaction};

use super::{failed, life, limit as rows_limit};
use crate::error::Result;
use crate::store::life::same_columns;
use crate::store::sql::{Dialect, create_table, row_of, select};
use crate::store::{ColumnKind, ProjectionId, ProjectionState, Row, RowChange, Table, Value};

type Tx = Transaction<'static, Sqlite>;

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

const DIALECT: Dialect = Dialect {
    key: "TEXT",
    column: |kind| match kind {
        ColumnKind::Integer | ColumnKind::Boolean => "INTEGER",
        ColumnKind::Real => "REAL",
        ColumnKind::Text => "TEXT",
        ColumnKind::Bytes => "BLOB",
    },
    options: " STRICT, WITHOUT ROWID",
};

/// SQLite's limit of parameters in one statement.
const PARAMETERS: usize = 32_766;

/// Writes new rows and removes gone ones, in as few statements as their number allows.
pub(super) async fn write_rows(tx: &mut Tx, table: &Table, changes: Vec<RowChange>) -> Result<()> {
    const DOING: &str = "writing a read model's rows";
    let name = table.sql_name();
    // Of several changes of one key the last one counts.
    let last: BTreeMap<_, _> = changes.into_iter().map(|c| (c.key, c.row)).collect();
    let (mut rows, mut gone) = (Vec::new(), Vec::new());
    for (key, row) in last {
        match row {
            Some(row) => rows.push((key, row)),
            None => gone.push(key),
        }
    }
    for rows in rows.chunks((PARAMETERS / (table.columns.len() + 1)).min(500)) {
        // The key alone identifies a row, so replacing it is an upsert of all columns.
        let mut insert = QueryBuilder::<Sqlite>::new(format!("REPLACE INTO \"{name}\" "));
        insert.push_values(rows, |mut values, (key, row)| {
            values.push_bind(key);
            for value in row {
                match value {
                    Value::Null => values.push("NULL"),
                    Value::Integer(n) => values.push_bind(n),
                    Value::Real(n) => values.push_bind(n),
                    Value::Boolean(b) => values.push_bind(b),
                    Value::Text(text) => values.push_bind(text),
                    Value::Bytes(bytes) => values.push_bind(bytes.as_slice()),
                };
            }
        });
        insert
            .build()
            .execute(&mut **tx)
            .await
            .map_err(failed(DOING))?;
    }
    if !gone.is_empty() {
        let delete =
            format!("DELETE FROM \"{name}\" WHERE \"key\" IN (SELECT value FROM json_each(?))");
        let query = sqlx::query(AssertSqlSafe(delete)).bind(serde_json::json!(gone).to_string());
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    Ok(())
}

pub(super) async fn rows(
    readers: &SqlitePool,
    table: &Table,
    keys: Vec<String>,
) -> Result<Vec<(String, Row)>> {
    let query = sqlx::query(AssertSqlSafe(select_keys(table)));
    let query = query.bind(serde_json::json!(keys).to_string());
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(failed("reading a read model"))?;
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}

pub(in crate::store) async fn scan(
    readers: impl sqlx::SqliteExecutor<'_>,
    table: &Table,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Row)>> {
    let select = select_page(table, after.is_some());
    let mut query = sqlx::query(AssertSqlSafe(select)).bind(rows_limit(limit));
    if let Some(after) = after {
        query = query.bind(after);
    }
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(failed("reading a read model"))?;
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}

pub(super) fn select_keys(table: &Table) -> String {
    select(table) + " WHERE \"key\" IN (SELECT value FROM json_each(?))"
}

pub(super) fn select_page(table: &Table, after: bool) -> String {
    let beyond = if after { " WHERE \"key\" > ?2" } else { "" };
    format!("{}{beyond} ORDER BY \"key\" LIMIT ?1", select(table))
}
