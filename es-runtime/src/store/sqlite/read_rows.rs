//! Reading the rows of read models.

use std::collections::HashSet;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteExecutor};

use super::projections::DIALECT;
use super::{failed, unsigned};
use crate::error::Result;
use crate::store::sql::{
    Statement, count_rows, kind, row_of, rows_at, select, select_at, select_holders, select_rows,
};
use crate::store::unique::{check, claimed};
use crate::store::{ProjectionId, Row, RowQuery, RowsAt, Select, Table, Value, not_prepared};

const DOING: &str = "reading a read model";

pub(super) fn select_keys(table: &Table) -> String {
    select(table) + " WHERE \"key\" IN (SELECT value FROM json_each(?))"
}

pub(super) async fn of_keys(
    readers: &SqlitePool,
    table: &Table,
    keys: Vec<String>,
) -> Result<Vec<(String, Row)>> {
    let query = sqlx::query(AssertSqlSafe(select_keys(table)));
    let query = query.bind(serde_json::json!(keys).to_string());
    let rows = query.fetch_all(readers).await.map_err(failed(DOING))?;
    typed(table, &rows)
}

pub(super) async fn of_keys_at(
    readers: &SqlitePool,
    table: &Table,
    keys: Vec<String>,
) -> Result<RowsAt> {
    let projection = ProjectionId::from(table);
    let rows = sqlx::query(AssertSqlSafe(select_keys_at(table)))
        .bind(kind(&projection))
        .bind(&projection.name)
        .bind(projection.version)
        .bind(serde_json::json!(keys).to_string())
        .fetch_all(readers)
        .await;
    let rows = rows.map_err(failed(DOING))?;
    let rows = rows_at(table, &rows).map_err(failed(DOING))?;
    match rows.cursors.is_empty() {
        true => Err(not_prepared(table)),
        false => Ok(rows),
    }
}

pub(super) fn select_keys_at(table: &Table) -> String {
    select_at(table, "es_cursor", "IN (SELECT value FROM json_each($4))")
}

pub(in crate::store) async fn query(
    readers: impl SqliteExecutor<'_>,
    table: &Table,
    query: &RowQuery,
) -> Result<Vec<(String, Row)>> {
    found(readers, table, select_rows(table, query, &DIALECT)).await
}

pub(super) async fn count(readers: &SqlitePool, table: &Table, select: &Select) -> Result<u64> {
    let Statement { text, values, .. } = count_rows(table, select, &DIALECT);
    let row = bound(text, values)
        .fetch_one(readers)
        .await
        .map_err(failed(DOING))?;
    let rows: i64 = row.try_get(0).map_err(failed(DOING))?;
    unsigned("count", rows)
}

/// Fails with the first of the new rows that holds what only one row may hold; they were not
/// written, or in part.
pub(super) async fn refuse(
    connection: &mut SqliteConnection,
    table: &Table,
    new: &[(String, Row)],
) -> Result<()> {
    let keys: HashSet<_> = new.iter().map(|(key, _)| key).collect();
    let mut others = Vec::new();
    for index in table.unique() {
        for claims in claimed(index, new).chunks(1000) {
            let holders = select_holders(table, index, claims.to_vec(), &DIALECT);
            others.extend(found(&mut *connection, table, holders).await?);
        }
    }
    others.retain(|(key, _)| !keys.contains(key));
    check(table, others.iter().map(|(key, row)| (&**key, row)), new)
}

async fn found(
    connection: impl SqliteExecutor<'_>,
    table: &Table,
    Statement { text, values, .. }: Statement,
) -> Result<Vec<(String, Row)>> {
    let rows = bound(text, values).fetch_all(connection).await;
    typed(table, &rows.map_err(failed(DOING))?)
}

fn typed(table: &Table, rows: &[SqliteRow]) -> Result<Vec<(String, Row)>> {
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}

fn bound(text: String, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for value in values {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(n) => query.bind(n),
            Value::Real(n) => query.bind(n),
            Value::Boolean(b) => query.bind(b),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    query
}
