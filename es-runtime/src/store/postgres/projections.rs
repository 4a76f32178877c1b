//! Read models: their tables and their rows.
//!
//! Read models live where the connection's search path points, beside the user's own tables.

use std::fmt::Write;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use super::{failed, life, log, parked, read_rows};
use crate::error::{Error, Result};
use crate::store::life::{same, same_columns};
use crate::store::sql::{Dialect, create_index, create_table, index_name};
use crate::store::unique::{Changes, claims};
use crate::store::{
    Advance, Advanced, ColumnKind, ParkedChange, Phase, ProjectionId, ProjectionState, Row,
    RowChange, Table, Value,
};

type Tx = Transaction<'static, Postgres>;

/// Makes a projection known whose tables its own code makes; also whether nobody knew it.
pub(in crate::store) async fn prepare_in(
    tx: &mut Tx,
    projection: &ProjectionId,
    tables: &[&str],
) -> Result<(ProjectionState, bool)> {
    let declared = format!("by hand: {}", tables.join(", "));
    let known = life::declared(tx, projection).await?;
    if let Some(stored) = &known {
        same(projection, stored, &declared)?;
    }
    let state = life::prepare(tx, projection, &declared, 1, tables).await?;
    Ok((state, known.is_none()))
}

/// Moves a cursor in a transaction that goes on.
pub(in crate::store) async fn advance_in(
    tx: &mut Tx,
    advance: &Advance,
    changes: &[ParkedChange],
) -> Result<Advanced> {
    let advanced = life::advance(tx, advance).await?;
    if advanced == Advanced::Moved && !parked::write(tx, &advance.projection, changes).await? {
        return Ok(Advanced::Fenced);
    }
    Ok(advanced)
}

/// Makes the table and its indexes unless they are there.
pub(super) async fn prepare_table(tx: &mut Tx, table: &Table) -> Result<ProjectionState> {
    const DOING: &str = "making a read model's table";
    let projection = ProjectionId::from(table);
    match life::declared(tx, &projection).await? {
        Some(stored) => same_columns(table, &stored)?,
        None => {
            let query = sqlx::query(AssertSqlSafe(create_table(table, &DIALECT)));
            query.execute(&mut **tx).await.map_err(failed(DOING))?;
        }
    }
    let state = life::prepare(tx, &projection, &table.fingerprint(), table.slices, &[]).await?;
    // A long history is loaded faster without them.
    if state.phase != Phase::Building || log::head(tx).await?.get() <= SHORT {
        make_indexes(tx, table).await?;
    }
    Ok(state)
}

/// Events that are loaded about as fast with indexes as without.
const SHORT: u64 = 10_000;

/// Makes those of the table's indexes that are not there: asked first, since a statement that
/// finds its index would still wait for whoever writes into the table.
pub(super) async fn make_indexes(tx: &mut Tx, table: &Table) -> Result<()> {
    const DOING: &str = "making a read model's indexes";
    // As long as it takes: nobody but the version's own workers writes into the table.
    let patience = sqlx::query("SELECT set_config('statement_timeout', '0', true)");
    patience.execute(&mut **tx).await.map_err(failed(DOING))?;
    for index in table.indexes.iter().filter(|index| !index.unique) {
        let there = "SELECT to_regclass(quote_ident($1)) IS NOT NULL";
        let there = sqlx::query_scalar(there).bind(index_name(table, index));
        let there: bool = there.fetch_one(&mut **tx).await.map_err(failed(DOING))?;
        if !there {
            let query = sqlx::query(AssertSqlSafe(create_index(table, index)));
            query.execute(&mut **tx).await.map_err(failed(DOING))?;
        }
    }
    Ok(())
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

pub(super) const DIALECT: Dialect = Dialect {
    key: "text COLLATE \"C\"",
    column: |kind| match kind {
        ColumnKind::Text => "text COLLATE \"C\"",
        kind => sql_type(kind),
    },
    // Room beside a row for its next state, which then needs no new entry in any index.
    options: " WITH (fillfactor = 70)",
    // Looked at when the statement ends: two keys may swap what is unique.
    unique: " DEFERRABLE INITIALLY IMMEDIATE",
    parameter: '$',
};

/// Removes gone rows, which may hold what is unique, and writes new ones, in one statement each.
pub(super) async fn write_rows(tx: &mut Tx, table: &Table, changes: Vec<RowChange>) -> Result<()> {
    const DOING: &str = "writing a read model's rows";
    let Changes { rows, gone } = Changes::new(changes);
    if !gone.is_empty() {
        let delete = format!(
            "DELETE FROM \"{}\" WHERE \"key\" = ANY($1)",
            table.sql_name()
        );
        let query = sqlx::query(AssertSqlSafe(delete)).bind(gone);
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    let claims = claims(table, &rows);
    if !claims.is_empty() {
        // What failed can be asked about only behind it.
        let point = sqlx::raw_sql("SAVEPOINT es_rows").execute(&mut **tx).await;
        point.map_err(failed(DOING))?;
    }
    let (keys, mut rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let mut query = sqlx::query(AssertSqlSafe(upsert(table))).bind(keys);
    for (i, column) in table.columns.iter().enumerate() {
        query = bind_column(query, column.kind, rows.iter_mut().map(|row| take(row, i)));
    }
    match query.execute(&mut **tx).await {
        // Another one than ours, that somebody made, is the database's failure.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() && !claims.is_empty() => {
            let back = sqlx::raw_sql("ROLLBACK TO es_rows")
                .execute(&mut **tx)
                .await;
            back.map_err(failed(DOING))?;
            read_rows::refuse(tx, table, &claims).await?;
            // Whoever held it is gone.
            Err(Error::database(DOING, sqlx::Error::Database(error)))
        }
        done => done.map(drop).map_err(failed(DOING)),
    }
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
