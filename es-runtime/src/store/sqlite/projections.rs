//! Read models: their tables and their rows.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, Transaction};

use super::{failed, life, parked, read_rows};
use crate::error::{Error, Result};
use crate::store::life::{same, same_columns};
use crate::store::sql::{Dialect, create_index, create_table};
use crate::store::unique::Changes;
use crate::store::{
    Advance, Advanced, ColumnDef, ColumnKind, ParkedChange, ProjectionId, ProjectionState,
    RowChange, Table, Value,
};

type Tx = Transaction<'static, Sqlite>;

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
    for index in table.indexes.iter().filter(|index| !index.unique) {
        let query = sqlx::query(AssertSqlSafe(create_index(table, index)));
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    life::prepare(tx, &projection, &table.fingerprint(), table.slices, &[]).await
}

pub(super) const DIALECT: Dialect = Dialect {
    key: "TEXT",
    column: |kind| match kind {
        ColumnKind::Integer | ColumnKind::Boolean => "INTEGER",
        ColumnKind::Real => "REAL",
        ColumnKind::Text => "TEXT",
        ColumnKind::Bytes => "BLOB",
    },
    options: " STRICT, WITHOUT ROWID",
    unique: "",
    parameter: '?',
};

/// SQLite's limit of parameters in one statement.
const PARAMETERS: usize = 32_766;

/// Writes new rows and removes gone ones, in as few statements as their number allows.
pub(super) async fn write_rows(tx: &mut Tx, table: &Table, changes: Vec<RowChange>) -> Result<()> {
    const DOING: &str = "writing a read model's rows";
    let name = table.sql_name();
    let Changes { rows, mut gone } = Changes::new(changes);
    if table.unique().next().is_some() {
        // SQLite looks at each row on its own: two keys that swap what is unique would meet.
        gone.extend(rows.iter().map(|(key, _)| key.clone()));
    }
    if !gone.is_empty() {
        let delete =
            format!("DELETE FROM \"{name}\" WHERE \"key\" IN (SELECT value FROM json_each(?))");
        let query = sqlx::query(AssertSqlSafe(delete)).bind(serde_json::json!(gone).to_string());
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    let (columns, upsert) = upsert(table);
    for some in rows.chunks((PARAMETERS / (table.columns.len() + 1)).min(500)) {
        let mut insert =
            QueryBuilder::<Sqlite>::new(format!("INSERT INTO \"{name}\" ({columns}) "));
        insert.push_values(some, |mut values, (key, row)| {
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
        insert.push(&upsert);
        match insert.build().execute(&mut **tx).await {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                read_rows::refuse(tx, table, &rows).await?;
                return Err(Error::database(DOING, sqlx::Error::Database(error)));
            }
            done => done.map_err(failed(DOING))?,
        };
    }
    Ok(())
}

/// The columns of an insert, and what it does where the key has a row. A `REPLACE` would remove rows
/// of other keys that hold what is unique.
fn upsert(table: &Table) -> (String, String) {
    let (mut columns, mut updates) = ("\"key\"".to_owned(), Vec::new());
    for ColumnDef { name, .. } in table.columns {
        // Writing to a string cannot fail.
        write!(columns, ", \"{name}\"").ok();
        updates.push(format!("\"{name}\" = excluded.\"{name}\""));
    }
    let update = match &*updates {
        [] => "NOTHING".to_owned(),
        updates => format!("UPDATE SET {}", updates.join(", ")),
    };
    (columns, format!(" ON CONFLICT (\"key\") DO {update}"))
}
