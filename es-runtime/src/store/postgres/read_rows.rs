//! Reading the rows of read models.

use std::collections::HashSet;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _};

use super::failed;
use super::projections::DIALECT;
use super::types::{signed, unsigned};
use crate::error::Result;
use crate::store::sql::{
    Statement, count_rows, kind, row_of, rows_at, select, select_at, select_holders, select_rows,
};
use crate::store::unique::{check, claimed};
use crate::store::{ProjectionId, Row, RowQuery, RowsAt, Select, Table, Value, not_prepared};

const DOING: &str = "reading a read model";

pub(super) async fn of_keys(
    connection: &mut PgConnection,
    table: &Table,
    keys: &[String],
) -> Result<Vec<(String, Row)>> {
    let select = select(table) + " WHERE \"key\" = ANY($1)";
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(keys)
        .fetch_all(connection)
        .await;
    typed(table, &rows.map_err(failed(DOING))?)
}

pub(super) async fn of_keys_at(
    connection: &mut PgConnection,
    table: &Table,
    keys: &[String],
) -> Result<RowsAt> {
    let projection = ProjectionId::from(table);
    let version: i32 = signed("version", projection.version)?;
    let select = select_at(table, "es.cursor", "= ANY($4)");
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(kind(&projection))
        .bind(&projection.name)
        .bind(version)
        .bind(keys)
        .fetch_all(connection)
        .await;
    let rows = rows.map_err(failed(DOING))?;
    let rows = rows_at(table, &rows).map_err(failed(DOING))?;
    match rows.cursors.is_empty() {
        true => Err(not_prepared(table)),
        false => Ok(rows),
    }
}

pub(in crate::store) async fn query(
    connection: &mut PgConnection,
    table: &Table,
    query: &RowQuery,
) -> Result<Vec<(String, Row)>> {
    found(connection, table, select_rows(table, query, &DIALECT)).await
}

pub(super) async fn count(
    connection: &mut PgConnection,
    table: &Table,
    select: &Select,
) -> Result<u64> {
    let Statement { text, values, .. } = count_rows(table, select, &DIALECT);
    let row = bound(text, values).fetch_one(connection).await;
    let rows: i64 = row.and_then(|row| row.try_get(0)).map_err(failed(DOING))?;
    unsigned("count", rows)
}

/// Fails with the first of the new rows that holds what only one row may hold; none of them is
/// written.
pub(super) async fn refuse(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    table: &Table,
    Statement { text, values, .. }: Statement,
) -> Result<Vec<(String, Row)>> {
    let rows = bound(text, values).fetch_all(connection).await;
    typed(table, &rows.map_err(failed(DOING))?)
}

fn typed(table: &Table, rows: &[PgRow]) -> Result<Vec<(String, Row)>> {
    let row = |row| row_of(table, row).map_err(failed("reading a read model's row"));
    rows.iter().map(row).collect()
}

fn bound(text: String, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for value in values {
        query = match value {
            // Statements say so where they ask for nothing.
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
