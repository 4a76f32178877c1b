//! Read models: their tables, their rows, their cursors, and which version is live.

use std::fmt::Write;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite, SqliteConnection, Transaction};

use super::{failed, position, read_rows, signed, unsigned};
use crate::error::{Error, Kind, Result};
use crate::store::sql::{Dialect, create_index, create_table, kind};
use crate::store::unique::Changes;
use crate::store::{
    Advance, Advanced, ColumnDef, ColumnKind, Phase, ProjectionId, ProjectionKind, ProjectionState,
    RowChange, Table, Value, life,
};

type Tx = Transaction<'static, Sqlite>;

/// Makes the table and its indexes unless they are there.
pub(super) async fn prepare_table(tx: &mut Tx, table: &Table) -> Result<ProjectionState> {
    const DOING: &str = "making a read model's table";
    let projection = ProjectionId::from(table);
    if state(tx, &projection).await?.is_none() {
        let query = sqlx::query(AssertSqlSafe(create_table(table, &DIALECT)));
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    let query = sqlx::query_scalar(
        "SELECT fingerprint FROM es_projection WHERE kind = ? AND name = ? AND version = ?",
    );
    let query = query
        .bind(kind(&projection))
        .bind(table.name)
        .bind(table.version);
    let stored: Option<String> = query
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed(DOING))?;
    if let Some(stored) = stored {
        life::same_columns(table, &stored)?;
    }
    for index in table.indexes.iter().filter(|index| !index.unique) {
        let query = sqlx::query(AssertSqlSafe(create_index(table, index)));
        query.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    prepare(tx, &projection, &table.fingerprint()).await
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

/// Makes a projection known and answers where it stands.
pub(super) async fn prepare(
    tx: &mut Tx,
    projection: &ProjectionId,
    fingerprint: &str,
) -> Result<ProjectionState> {
    const DOING: &str = "preparing a projection";
    let ProjectionId { name, version, .. } = projection;
    let projections = sqlx::query(
        "INSERT INTO es_projection (kind, name, version, phase, fingerprint)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    let new = projections.bind(kind(projection)).bind(name).bind(version);
    let new = new.bind(life::NEW.phase.as_str()).bind(fingerprint);
    new.execute(&mut **tx).await.map_err(failed(DOING))?;
    let cursors = sqlx::query(
        "INSERT INTO es_cursor (kind, name, version, slice_from, slice_to, position)
         VALUES (?, ?, ?, 0, 1024, 0) ON CONFLICT DO NOTHING",
    );
    let new = cursors.bind(kind(projection)).bind(name).bind(version);
    new.execute(&mut **tx).await.map_err(failed(DOING))?;
    known(tx, projection).await
}

async fn known(tx: &mut Tx, projection: &ProjectionId) -> Result<ProjectionState> {
    let unknown = || Kind::Unregistered {
        what: format!("`{projection}`"),
    };
    state(tx, projection)
        .await?
        .ok_or_else(|| Error::new(unknown()))
}

pub(super) const STATE: &str = "
    SELECT p.phase, c.position FROM es_projection p
    JOIN es_cursor c USING (kind, name, version)
    WHERE kind = ? AND name = ? AND version = ?";

pub(super) async fn state(
    connection: &mut SqliteConnection,
    projection: &ProjectionId,
) -> Result<Option<ProjectionState>> {
    const DOING: &str = "reading a projection's state";
    let query = sqlx::query(STATE)
        .bind(kind(projection))
        .bind(&projection.name)
        .bind(projection.version);
    let row = query
        .fetch_optional(connection)
        .await
        .map_err(failed(DOING))?;
    row.map(|row| state_of(&row, 0)).transpose()
}

fn state_of(row: &SqliteRow, at: usize) -> Result<ProjectionState> {
    const DOING: &str = "reading a projection's state";
    let word: &str = row.try_get(at).map_err(failed(DOING))?;
    let unknown = || Error::database(DOING, format!("the phase `{word}` is unknown"));
    let phase = Phase::parse(word).ok_or_else(unknown)?;
    Ok(ProjectionState {
        phase,
        cursor: position(row.try_get(at + 1).map_err(failed(DOING))?)?,
    })
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<(ProjectionId, ProjectionState)>> {
    const DOING: &str = "reading the projections";
    let query = sqlx::query(
        "SELECT kind, name, version, p.phase, c.position FROM es_projection p
         JOIN es_cursor c USING (kind, name, version) ORDER BY kind, name, version",
    );
    let rows = query.fetch_all(readers).await.map_err(failed(DOING))?;
    let projection = |row: &SqliteRow| {
        let kind: &str = row.try_get(0).map_err(failed(DOING))?;
        let id = ProjectionId {
            kind: if kind == "stream" {
                ProjectionKind::Stream
            } else {
                ProjectionKind::ReadModel
            },
            name: row.try_get(1).map_err(failed(DOING))?,
            version: unsigned("version", row.try_get(2).map_err(failed(DOING))?)?,
        };
        Ok((id, state_of(row, 3)?))
    };
    rows.iter().map(projection).collect()
}

/// The version of a read model that is live.
async fn live_version(tx: &mut Tx, projection: &ProjectionId) -> Result<Option<u32>> {
    let query = sqlx::query_scalar(
        "SELECT version FROM es_projection WHERE kind = ? AND name = ? AND phase = 'live'",
    );
    let query = query.bind(kind(projection)).bind(&projection.name);
    query
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed("reading the live version"))
}

async fn set_phase(tx: &mut Tx, projection: &ProjectionId, phase: Phase) -> Result<()> {
    let query = sqlx::query(
        "UPDATE es_projection SET phase = ? WHERE kind = ? AND name = ? AND version = ?",
    );
    let query = query.bind(phase.as_str()).bind(kind(projection));
    let query = query.bind(&projection.name).bind(projection.version);
    query
        .execute(&mut **tx)
        .await
        .map_err(failed("writing a projection's phase"))?;
    Ok(())
}

pub(super) async fn finish_building(tx: &mut Tx, projection: &ProjectionId) -> Result<Phase> {
    let before = known(tx, projection).await?.phase;
    let live = live_version(tx, projection).await?.is_some();
    let phase = life::complete(before, projection.kind, live);
    if phase != before {
        set_phase(tx, projection, phase).await?;
        if phase == Phase::Live && projection.kind == ProjectionKind::ReadModel {
            point_view(tx, projection).await?;
        }
    }
    Ok(phase)
}

pub(super) async fn promote(tx: &mut Tx, projection: &ProjectionId) -> Result<()> {
    life::promotable(projection, &known(tx, projection).await?)?;
    if let Some(version) = live_version(tx, projection).await? {
        let old = ProjectionId {
            version,
            ..projection.clone()
        };
        set_phase(tx, &old, Phase::Shadow).await?;
    }
    set_phase(tx, projection, Phase::Live).await?;
    point_view(tx, projection).await
}

/// Points the name without a version at this version's table, unless somebody else has the name.
async fn point_view(tx: &mut Tx, projection: &ProjectionId) -> Result<()> {
    let ProjectionId { name, version, .. } = projection;
    let query = sqlx::query_scalar(
        "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE
         AND substr(sql, 1, length(?2)) <> ?2",
    );
    let query = query.bind(name).bind(view(name));
    let taken: Option<String> = query
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed("switching a read model's view"))?;
    if let Some(what) = taken {
        let why = format!("`{name}` is somebody else's {what}: give one of them another name");
        let projection = projection.to_string();
        return Err(Error::new(Kind::NotPromotable { projection, why }));
    }
    for statement in [
        format!("DROP VIEW IF EXISTS \"{name}\""),
        format!("{}{version}\"", view(name)),
    ] {
        let query = sqlx::query(AssertSqlSafe(statement));
        query
            .execute(&mut **tx)
            .await
            .map_err(failed("switching a read model's view"))?;
    }
    Ok(())
}

/// The statement that makes the view, up to the version.
fn view(name: &str) -> String {
    format!("CREATE VIEW \"{name}\" AS SELECT * FROM \"{name}_v")
}

/// Moves the cursor if it stands where the mover believes: the fence.
///
/// # Errors
/// When nobody prepared the projection: there is no cursor to stand elsewhere.
pub(super) async fn advance(tx: &mut Tx, advance: &Advance) -> Result<Advanced> {
    let Advance {
        projection,
        from,
        to,
    } = advance;
    let query = sqlx::query(
        "UPDATE es_cursor SET position = ?
         WHERE kind = ? AND name = ? AND version = ? AND slice_from = 0 AND position = ?",
    );
    let query = query
        .bind(signed("position", to.get())?)
        .bind(kind(projection));
    let query = query.bind(&projection.name).bind(projection.version);
    let query = query.bind(signed("position", from.get())?);
    let done = query
        .execute(&mut **tx)
        .await
        .map_err(failed("moving a projection's cursor"))?;
    if done.rows_affected() == 1 {
        return Ok(Advanced::Moved);
    }
    known(tx, projection).await?;
    Ok(Advanced::Fenced)
}

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
