//! Read models: their tables, their rows, their cursors, and which version is live.
//!
//! Read models live where the connection's search path points, beside the user's own tables.

use std::fmt::Write;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::types::{number, position, signed, unsigned};
use super::{failed, read_rows};
use crate::error::{Error, Kind, Result};
use crate::store::sql::{Dialect, create_index, create_table, index_name, kind};
use crate::store::unique::{Changes, claims};
use crate::store::{
    Advance, Advanced, ColumnKind, Phase, ProjectionId, ProjectionKind, ProjectionState, Row,
    RowChange, Table, Value, life,
};

type Tx = Transaction<'static, Postgres>;

/// A statement that names a projection: kind, name and version come first.
fn about<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Result<Query<'q, Postgres, PgArguments>> {
    let version: i32 = signed("version", projection.version)?;
    let query = sqlx::query(statement).bind(kind(projection));
    Ok(query.bind(&projection.name).bind(version))
}

/// Lets instances take turns where what they do depends on more than one row.
async fn take_turns(tx: &mut Tx) -> Result<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(1163084889, 2)");
    lock.execute(&mut **tx)
        .await
        .map_err(failed("waiting for another instance"))?;
    Ok(())
}

/// Makes the table and its indexes unless they are there.
pub(super) async fn prepare_table(tx: &mut Tx, table: &Table) -> Result<ProjectionState> {
    const DOING: &str = "making a read model's table";
    take_turns(tx).await?;
    let projection = ProjectionId::from(table);
    let stored = "SELECT fingerprint FROM es.projection
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let stored = about(stored, &projection)?.fetch_optional(&mut **tx).await;
    match stored.map_err(failed(DOING))? {
        Some(row) => life::same_columns(table, row.try_get(0).map_err(failed(DOING))?)?,
        None => {
            let query = sqlx::query(AssertSqlSafe(create_table(table, &DIALECT)));
            query.execute(&mut **tx).await.map_err(failed(DOING))?;
        }
    }
    make_indexes(tx, table).await?;
    prepare(tx, &projection, &table.fingerprint()).await
}

/// Makes those of the table's indexes that are not there: asked first, since a statement that
/// finds its index would still wait for whoever writes into the table.
async fn make_indexes(tx: &mut Tx, table: &Table) -> Result<()> {
    const DOING: &str = "making a read model's indexes";
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
    options: "",
    // Looked at when the statement ends: two keys may swap what is unique.
    unique: " DEFERRABLE INITIALLY IMMEDIATE",
    parameter: '$',
};

/// Makes a projection known and answers where it stands.
pub(super) async fn prepare(
    tx: &mut Tx,
    projection: &ProjectionId,
    fingerprint: &str,
) -> Result<ProjectionState> {
    const DOING: &str = "preparing a projection";
    let new = "INSERT INTO es.projection (kind, name, version, phase, fingerprint)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let new = about(new, projection)?
        .bind(life::NEW.phase.as_str())
        .bind(fingerprint);
    new.execute(&mut **tx).await.map_err(failed(DOING))?;
    let new = "INSERT INTO es.cursor (kind, name, version, slice_from, slice_to, position)
               VALUES ($1, $2, $3, 0, 1024, 0) ON CONFLICT DO NOTHING";
    about(new, projection)?
        .execute(&mut **tx)
        .await
        .map_err(failed(DOING))?;
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
    SELECT p.phase, c.position FROM es.projection p JOIN es.cursor c USING (kind, name, version)
    WHERE kind = $1 AND name = $2 AND version = $3";

pub(super) async fn state(
    connection: &mut PgConnection,
    projection: &ProjectionId,
) -> Result<Option<ProjectionState>> {
    let row = about(STATE, projection)?.fetch_optional(connection).await;
    let row = row.map_err(failed("reading a projection's state"))?;
    row.map(|row| state_of(&row, 0)).transpose()
}

fn state_of(row: &PgRow, at: usize) -> Result<ProjectionState> {
    const DOING: &str = "reading a projection's state";
    let word: &str = row.try_get(at).map_err(failed(DOING))?;
    let unknown = || Error::database(DOING, format!("the phase `{word}` is unknown"));
    let phase = Phase::parse(word).ok_or_else(unknown)?;
    Ok(ProjectionState {
        phase,
        cursor: position(row.try_get(at + 1).map_err(failed(DOING))?)?,
    })
}

pub(super) async fn all(
    connection: &mut PgConnection,
) -> Result<Vec<(ProjectionId, ProjectionState)>> {
    const DOING: &str = "reading the projections";
    let query = sqlx::query(
        "SELECT kind, name, version, p.phase, c.position FROM es.projection p
         JOIN es.cursor c USING (kind, name, version) ORDER BY kind, name, version",
    );
    let rows = query.fetch_all(connection).await.map_err(failed(DOING))?;
    let projection = |row: &PgRow| {
        let kind: &str = row.try_get(0).map_err(failed(DOING))?;
        let version: i32 = row.try_get(2).map_err(failed(DOING))?;
        let id = ProjectionId {
            kind: if kind == "stream" {
                ProjectionKind::Stream
            } else {
                ProjectionKind::ReadModel
            },
            name: row.try_get(1).map_err(failed(DOING))?,
            version: unsigned("version", version)?,
        };
        Ok((id, state_of(row, 3)?))
    };
    rows.iter().map(projection).collect()
}

/// The version of a read model that is live.
async fn live_version(tx: &mut Tx, projection: &ProjectionId) -> Result<Option<u32>> {
    let query = sqlx::query_scalar(
        "SELECT version FROM es.projection WHERE kind = $1 AND name = $2 AND phase = 'live'",
    );
    let query = query.bind(kind(projection)).bind(&projection.name);
    let version = query.fetch_optional(&mut **tx).await;
    let version: Option<i32> = version.map_err(failed("reading the live version"))?;
    version
        .map(|version| unsigned("version", version))
        .transpose()
}

async fn set_phase(tx: &mut Tx, projection: &ProjectionId, phase: Phase) -> Result<()> {
    let update = "UPDATE es.projection SET phase = $4
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let update = about(update, projection)?.bind(phase.as_str());
    update
        .execute(&mut **tx)
        .await
        .map_err(failed("writing a projection's phase"))?;
    Ok(())
}

pub(super) async fn finish_building(tx: &mut Tx, projection: &ProjectionId) -> Result<Phase> {
    take_turns(tx).await?;
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
    take_turns(tx).await?;
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

/// Marks our own views, so that nobody else's is dropped.
const OURS: &str = "the live version of a read model";

/// Points the name without a version at this version's table, unless somebody else has the name.
async fn point_view(tx: &mut Tx, projection: &ProjectionId) -> Result<()> {
    const DOING: &str = "switching a read model's view";
    let ProjectionId { name, version, .. } = projection;
    let taken = sqlx::query_scalar(
        "SELECT obj_description(to_regclass(quote_ident($1)), 'pg_class') IS DISTINCT FROM $2
         WHERE to_regclass(quote_ident($1)) IS NOT NULL",
    );
    let taken = taken.bind(name).bind(OURS).fetch_optional(&mut **tx).await;
    if taken.map_err(failed(DOING))? == Some(true) {
        let why = format!("`{name}` is somebody else's: give one of them another name");
        let projection = projection.to_string();
        return Err(Error::new(Kind::NotPromotable { projection, why }));
    }
    let switch = format!(
        "SET LOCAL lock_timeout = '5s';
         DROP VIEW IF EXISTS \"{name}\";
         CREATE VIEW \"{name}\" AS SELECT * FROM \"{name}_v{version}\";
         COMMENT ON VIEW \"{name}\" IS '{OURS}'"
    );
    sqlx::raw_sql(AssertSqlSafe(switch))
        .execute(&mut **tx)
        .await
        .map_err(failed(DOING))?;
    Ok(())
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
    let update = "UPDATE es.cursor SET position = $5
                  WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = 0
                    AND position = $4";
    let update = about(update, projection)?
        .bind(number(*from)?)
        .bind(number(*to)?);
    let done = update.execute(&mut **tx).await;
    if done
        .map_err(failed("moving a projection's cursor"))?
        .rows_affected()
        == 1
    {
        return Ok(Advanced::Moved);
    }
    known(tx, projection).await?;
    Ok(Advanced::Fenced)
}

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
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
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
