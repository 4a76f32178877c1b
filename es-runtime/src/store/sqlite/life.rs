//! The lives of projection versions: what is known of them, who works on them, and their cursors.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction};

use super::{consumers, failed, log, parked, position, signed, timers, unsigned};
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, SystemClock, Timestamp};
use crate::store::life::{self, Effect, Occasion};
use crate::store::projection::Record;
use crate::store::sql::{kind, kind_of, move_cursor};
use crate::store::{
    Advance, Advanced, Change, Handover, LifeEntry, Lineage, Noted, Phase, ProjectionId,
    ProjectionKind, ProjectionState, Sighting, SliceState,
};

type Tx = Transaction<'static, Sqlite>;

pub(super) const DOING: &str = "reading the projections";
pub(super) const WRITING: &str = "writing a projection's state";

/// A statement that names a projection: kind, name and version come first.
pub(super) fn about<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Query<'q, Sqlite, SqliteArguments> {
    named(statement, projection).bind(projection.version)
}

/// A statement about all versions: kind and name come first.
fn named<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Query<'q, Sqlite, SqliteArguments> {
    let query = sqlx::query(statement).bind(kind(projection));
    query.bind(&projection.name)
}

/// The machine's clock, which all processes on the file have in common.
pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

pub(super) fn get<'r, T>(row: &'r SqliteRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(failed(DOING))
}

fn moment(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>> {
    let micros: Option<i64> = get(row, column)?;
    Ok(micros.map(Timestamp::from_micros))
}

fn id_of(row: &SqliteRow) -> Result<ProjectionId> {
    Ok(ProjectionId {
        kind: kind_of(get(row, 0)?),
        name: get(row, 1)?,
        version: unsigned("version", get::<i64>(row, 2)?)?,
    })
}

fn phase_of(word: &str) -> Result<Phase> {
    let unknown = || Error::database(DOING, format!("the phase `{word}` is unknown"));
    Phase::parse(word).ok_or_else(unknown)
}

pub(super) const STATES: &str = "
    SELECT kind, name, version, phase, since, record, run_by, run_at, read_by, read_at,
           (SELECT count(*) FROM es_parked k WHERE (k.kind, k.name, k.version)
              = (p.kind, p.name, p.version))
    FROM es_projection p ORDER BY kind, name, version";

pub(super) const LINEAGE: &str = "
    SELECT kind, name, version, phase, since, record, run_by, run_at, read_by, read_at,
           (SELECT count(*) FROM es_parked k WHERE (k.kind, k.name, k.version)
              = (p.kind, p.name, p.version))
    FROM es_projection p WHERE kind = $1 AND name = $2 ORDER BY version";

pub(super) const CURSORS: &str = "
    SELECT version, slice_from, slice_to, position, epoch,
           CASE WHEN owned_until > $3 THEN owner END, failure, failed_at
    FROM es_cursor WHERE kind = $1 AND name = $2 ORDER BY version, slice_from";

pub(super) const HANDOVERS: &str = "
    SELECT after, version FROM es_handover WHERE kind = $1 AND name = $2 ORDER BY after";

fn state_of(row: &SqliteRow) -> Result<ProjectionState> {
    let sighting = |who, at| -> Result<Option<Sighting>> {
        let (who, at): (Option<String>, _) = (get(row, who)?, moment(row, at)?);
        Ok(who.zip(at).map(|(who, at)| Sighting { who, at }))
    };
    let broken = |error| Error::database(DOING, error);
    let record: Record = serde_json::from_str(get(row, 5)?).map_err(broken)?;
    Ok(ProjectionState {
        run: sighting(6, 7)?,
        read: sighting(8, 9)?,
        parked: unsigned("parked", get::<i64>(row, 10)?)?,
        ..record.state(
            phase_of(get(row, 3)?)?,
            Timestamp::from_micros(get(row, 4)?),
        )
    })
}

/// All versions, as they are. Outside of a transaction, what is read later may be newer.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    projection: &ProjectionId,
) -> Result<Lineage> {
    let mut lineage = Lineage::default();
    let now = now();
    let cursors = named(CURSORS, projection).bind(now.as_micros());
    let cursors = cursors.fetch_all(&mut *connection).await;
    let cursors = cursors.map_err(failed(DOING))?;
    let states = named(LINEAGE, projection).fetch_all(&mut *connection).await;
    for row in &states.map_err(failed(DOING))? {
        let version = id_of(row)?.version;
        lineage.versions.insert(version, state_of(row)?);
    }
    for row in &cursors {
        add_slice(&mut lineage, row, now)?;
    }
    let handovers = named(HANDOVERS, projection).fetch_all(connection).await;
    for row in &handovers.map_err(failed(DOING))? {
        lineage.handovers.push(Handover {
            after: position(get(row, 0)?)?,
            version: unsigned("version", get::<i64>(row, 1)?)?,
        });
    }
    Ok(lineage)
}

fn add_slice(lineage: &mut Lineage, row: &SqliteRow, now: Timestamp) -> Result<()> {
    let version: u32 = unsigned("version", get::<i64>(row, 0)?)?;
    let Some(state) = lineage.versions.get_mut(&version) else {
        return Ok(());
    };
    let slice = |column| unsigned("slice", get::<i64>(row, column)?);
    let (reason, at): (Option<String>, _) = (get(row, 6)?, moment(row, 7)?);
    let slice = SliceState {
        slices: slice(1)?..slice(2)?,
        cursor: position(get(row, 3)?)?,
        owner: get(row, 5)?,
        failure: reason.zip(at).map(|(reason, at)| Noted { reason, at }),
    };
    state.add(slice, unsigned("epoch", get::<i64>(row, 4)?)?, now);
    Ok(())
}

async fn occasion(tx: &mut Tx) -> Result<Occasion> {
    let head = log::head(&mut **tx).await?;
    Ok(Occasion::new(now(), head))
}

pub(super) fn unknown(projection: &ProjectionId) -> Error {
    let what = format!("`{projection}`");
    Error::new(Kind::Unregistered { what })
}

/// What was declared of the version when it was made known.
pub(super) async fn declared(tx: &mut Tx, projection: &ProjectionId) -> Result<Option<String>> {
    let stored = "SELECT fingerprint FROM es_projection
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let stored = about(stored, projection).fetch_optional(&mut **tx).await;
    let stored = stored.map_err(failed(DOING))?;
    stored.as_ref().map(|row| get(row, 0)).transpose()
}

/// Makes a projection known and answers where it stands.
pub(super) async fn prepare(
    tx: &mut Tx,
    projection: &ProjectionId,
    fingerprint: &str,
    slices: u16,
    tables: &[&str],
) -> Result<ProjectionState> {
    let before = read(tx, projection).await?;
    let mut after = before.clone();
    life::prepare(&mut after, projection.version, slices, &occasion(tx).await?);
    if before != after {
        if let Some(state) = after.versions.get_mut(&projection.version) {
            state.tables = tables.iter().map(ToString::to_string).collect();
        }
        let new = "INSERT INTO es_projection (kind, name, version, phase, fingerprint)
                   VALUES ($1, $2, $3, $4, $5)";
        let new = about(new, projection).bind(Phase::Building.as_str());
        let new = new.bind(fingerprint).execute(&mut **tx).await;
        new.map_err(failed(WRITING))?;
        write(tx, projection, &before, &after).await?;
    }
    let state = after.versions.remove(&projection.version);
    state.ok_or_else(|| unknown(projection))
}

/// Changes a life as the rules allow.
pub(super) async fn change(
    tx: &mut Tx,
    projection: &ProjectionId,
    change: &Change,
    by: &str,
) -> Result<Lineage> {
    let before = read(tx, projection).await?;
    let mut after = before.clone();
    let at = Occasion {
        consumers: consumers::of(tx, projection).await?,
        ..occasion(tx).await?
    };
    let mut given_up = None;
    for effect in life::change(projection, &mut after, change, &at)? {
        match effect {
            Effect::PointView(version) => {
                let tables = before.tables(projection, version);
                for table in before.views(projection) {
                    let kept = tables.iter().any(|kept| kept.name == table.name);
                    if !kept {
                        point_view(tx, &table, None, change.verb()).await?;
                    }
                }
                for table in &tables {
                    point_view(tx, table, Some(version), change.verb()).await?;
                }
            }
            Effect::DropView => {
                for table in before.views(projection) {
                    point_view(tx, &table, None, change.verb()).await?;
                }
            }
            Effect::Empty(version) => match projection.kind {
                ProjectionKind::ReadModel => {
                    for table in before.tables(projection, version) {
                        empty(tx, &table, version).await?;
                    }
                    parked::clear(tx, projection).await?;
                }
                ProjectionKind::Stream => unpublish(tx, projection, version).await?,
                ProjectionKind::Process => {
                    timers::clear(tx, projection).await?;
                    parked::clear(tx, projection).await?;
                }
            },
            Effect::ForgetParked => parked::clear(tx, projection).await?,
            Effect::RetryParked(key) => {
                let requested = parked::request(tx, projection, key.as_deref()).await?;
                if let Some(key) = key.filter(|_| requested == 0) {
                    return Err(life::not_parked(projection, change, &key));
                }
            }
            Effect::DropParked(key) => {
                given_up = parked::give_up(tx, projection, &key).await?;
                if given_up.is_none() {
                    return Err(life::not_parked(projection, change, &key));
                }
            }
        }
    }
    write(tx, projection, &before, &after).await?;
    let mut told = life::told(projection, &before, &after, change, by, &at);
    if let Some(parked) = &given_up {
        life::tell_given_up(&mut told, parked);
    }
    for entry in &told {
        tell(tx, entry).await?;
    }
    // Some of it may be what the change did.
    read(tx, projection).await
}

/// Writes what is new.
async fn write(
    tx: &mut Tx,
    projection: &ProjectionId,
    before: &Lineage,
    after: &Lineage,
) -> Result<()> {
    for (version, state) in &after.versions {
        let id = ProjectionId {
            version: *version,
            ..projection.clone()
        };
        let old = before.versions.get(version);
        if old != Some(state) {
            write_state(tx, &id, old, state).await?;
        }
    }
    if before.handovers == after.handovers {
        return Ok(());
    }
    let clear = "DELETE FROM es_handover WHERE kind = $1 AND name = $2";
    let cleared = named(clear, projection).execute(&mut **tx).await;
    cleared.map_err(failed(WRITING))?;
    for handover in &after.handovers {
        let id = ProjectionId {
            version: handover.version,
            ..projection.clone()
        };
        let insert = "INSERT INTO es_handover (kind, name, version, after) VALUES ($1, $2, $3, $4)";
        let insert = about(insert, &id).bind(signed("position", handover.after.get())?);
        insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

async fn write_state(
    tx: &mut Tx,
    id: &ProjectionId,
    old: Option<&ProjectionState>,
    state: &ProjectionState,
) -> Result<()> {
    let record = serde_json::to_string(&Record::of(state));
    let record = record.map_err(|error| Error::database(WRITING, error))?;
    let update = "UPDATE es_projection SET phase = $4, since = $5, record = $6
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let update = about(update, id).bind(state.phase.as_str());
    let update = update.bind(state.since.as_micros()).bind(record);
    update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    if old.is_none_or(|old| old.slices.len() != state.slices.len()) {
        let clear = "DELETE FROM es_cursor WHERE kind = $1 AND name = $2 AND version = $3";
        let cleared = about(clear, id).execute(&mut **tx).await;
        cleared.map_err(failed(WRITING))?;
        for slice in &state.slices {
            let insert = "INSERT INTO es_cursor
                            (kind, name, version, slice_from, slice_to, position, epoch)
                          VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let insert = about(insert, id)
                .bind(i64::from(slice.slices.start))
                .bind(i64::from(slice.slices.end))
                .bind(signed("position", slice.cursor.get())?)
                .bind(signed("epoch", state.epoch)?);
            insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
        }
        return Ok(());
    }
    for slice in &state.slices {
        let update = "UPDATE es_cursor SET position = $5, epoch = $6, failure = $7, failed_at = $8
                      WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4";
        let failure = slice.failure.as_ref();
        let update = about(update, id)
            .bind(i64::from(slice.slices.start))
            .bind(signed("position", slice.cursor.get())?)
            .bind(signed("epoch", state.epoch)?)
            .bind(failure.map(|failure| &failure.reason))
            .bind(failure.map(|failure| failure.at.as_micros()));
        update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

pub(super) async fn tell(tx: &mut Tx, entry: &LifeEntry) -> Result<()> {
    let insert = "INSERT INTO es_life (kind, name, version, what, phase, position, reason, by, at)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let insert = about(insert, &entry.projection)
        .bind(&entry.what)
        .bind(entry.phase.as_str())
        .bind(signed("position", entry.cursor.get())?)
        .bind(&entry.reason)
        .bind(&entry.by)
        .bind(entry.at.as_micros());
    insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn told(
    connection: &mut SqliteConnection,
    projection: &ProjectionId,
) -> Result<Vec<LifeEntry>> {
    let query = "SELECT kind, name, version, what, phase, position, reason, by, at FROM es_life
                 WHERE kind = $1 AND name = $2 ORDER BY number";
    let rows = named(query, projection).fetch_all(connection).await;
    let entry = |row: &SqliteRow| {
        Ok(LifeEntry {
            projection: id_of(row)?,
            what: get(row, 3)?,
            phase: phase_of(get(row, 4)?)?,
            cursor: position(get(row, 5)?)?,
            reason: get(row, 6)?,
            by: get(row, 7)?,
            at: Timestamp::from_micros(get(row, 8)?),
        })
    };
    rows.map_err(failed(DOING))?.iter().map(entry).collect()
}

pub(in crate::store) async fn state(
    connection: &mut SqliteConnection,
    projection: &ProjectionId,
) -> Result<Option<ProjectionState>> {
    let mut lineage = read(connection, projection).await?;
    Ok(lineage.versions.remove(&projection.version))
}

pub(super) async fn all(
    connection: &mut SqliteConnection,
) -> Result<Vec<(ProjectionId, ProjectionState)>> {
    let rows = sqlx::query(STATES).fetch_all(&mut *connection).await;
    let mut all = Vec::new();
    for row in &rows.map_err(failed(DOING))? {
        let id = id_of(row)?;
        if let Some(state) = state(connection, &id).await? {
            all.push((id, state));
        }
    }
    Ok(all)
}

pub(super) async fn note_failure(tx: &mut Tx, stands: &Advance, reason: &str) -> Result<()> {
    let note = "UPDATE es_cursor SET failure = $7, failed_at = $8
                WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
                  AND position = $5 AND epoch = $6";
    let note = about(note, &stands.projection)
        .bind(i64::from(stands.slice))
        .bind(signed("position", stands.from.get())?)
        .bind(signed("epoch", stands.epoch)?)
        .bind(reason)
        .bind(now().as_micros());
    note.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn note_seen(
    tx: &mut Tx,
    who: &str,
    run: &[ProjectionId],
    read: &[ProjectionId],
) -> Result<()> {
    let ran = "UPDATE es_projection SET run_by = $4, run_at = $5
               WHERE kind = $1 AND name = $2 AND version = $3";
    let was_read = "UPDATE es_projection SET read_by = $4, read_at = $5
                    WHERE kind = $1 AND name = $2 AND version = $3";
    for (note, ids) in [(ran, run), (was_read, read)] {
        for id in ids {
            let note = about(note, id).bind(who).bind(now().as_micros());
            note.execute(&mut **tx).await.map_err(failed(WRITING))?;
        }
    }
    Ok(())
}

/// Moves the cursor, unless the mover is fenced.
///
/// # Errors
/// When nobody prepared the projection: there is no cursor to stand elsewhere.
pub(super) async fn advance(tx: &mut Tx, advance: &Advance) -> Result<Advanced> {
    const MOVING: &str = "moving a projection's cursor";
    let id = &advance.projection;
    let update = sqlx::query(AssertSqlSafe(move_cursor("es_cursor")))
        .bind(kind(id))
        .bind(&id.name)
        .bind(id.version)
        .bind(i64::from(advance.slice))
        .bind(signed("position", advance.from.get())?)
        .bind(signed("epoch", advance.epoch)?)
        .bind(signed("position", advance.to.get())?);
    let done = update.execute(&mut **tx).await.map_err(failed(MOVING))?;
    if done.rows_affected() == 1 {
        return Ok(Advanced::Moved);
    }
    let known = state(tx, id).await?;
    known.map_or_else(|| Err(unknown(id)), |_| Ok(Advanced::Fenced))
}

/// Points the name without a version at this version's table, or at nothing, unless somebody else
/// has the name.
async fn point_view(
    tx: &mut Tx,
    projection: &ProjectionId,
    version: Option<u32>,
    what: &'static str,
) -> Result<()> {
    const DOING: &str = "switching a read model's view";
    let name = &projection.name;
    let query = sqlx::query_scalar(
        "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE
         AND substr(sql, 1, length(?2)) <> ?2",
    );
    let query = query.bind(name).bind(view(name));
    let taken: Option<String> = query
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed(DOING))?;
    if let Some(other) = taken {
        let why = format!("`{name}` is somebody else's {other}: give one of them another name");
        return Err(life::refused(projection, what, why));
    }
    let drop = format!("DROP VIEW IF EXISTS \"{name}\"");
    let create = version.map(|version| format!("{}{version}\"", view(name)));
    for statement in std::iter::once(drop).chain(create) {
        let switch = sqlx::query(AssertSqlSafe(statement));
        switch.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    Ok(())
}

/// The statement that makes the view, up to the version.
fn view(name: &str) -> String {
    format!("CREATE VIEW \"{name}\" AS SELECT * FROM \"{name}_v")
}

/// Takes all rows out of the version's table.
async fn empty(tx: &mut Tx, projection: &ProjectionId, version: u32) -> Result<()> {
    let empty = format!("DELETE FROM \"{}_v{version}\"", projection.name);
    let emptied = sqlx::query(AssertSqlSafe(empty)).execute(&mut **tx).await;
    emptied.map_err(failed("emptying a read model's table"))?;
    Ok(())
}

/// Takes all events out of a stream's version that nobody has been served.
async fn unpublish(tx: &mut Tx, projection: &ProjectionId, version: u32) -> Result<()> {
    let delete = sqlx::query("DELETE FROM es_published WHERE stream = $1 AND version = $2");
    let deleted = delete.bind(&projection.name).bind(version);
    deleted.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

/// Rows that go at once when a table goes, so that the writer is not held up for long.
const AT_ONCE: u32 = 10_000;

/// Takes some rows out of the table of a version that is retired, and the table with the last of
/// them. Answers whether it is gone.
pub(super) async fn remove_rows(tx: &mut Tx, projection: &ProjectionId) -> Result<bool> {
    let lineage = read(tx, projection).await?;
    let state = lineage.versions.get(&projection.version);
    let retired = state.is_some_and(|state| state.phase == Phase::Retired);
    match projection.kind {
        ProjectionKind::ReadModel if retired => {}
        ProjectionKind::Process if retired => {
            timers::clear(tx, projection).await?;
            return Ok(true);
        }
        _ => return Ok(true),
    }
    for table in lineage.tables(projection, projection.version) {
        if !remove_some(tx, &table).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes rows out of a table, and drops it when it is empty; whether it is gone.
async fn remove_some(tx: &mut Tx, table: &ProjectionId) -> Result<bool> {
    const DOING: &str = "dropping a read model's table";
    let table = format!("{}_v{}", table.name, table.version);
    let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
    let there = sqlx::query_scalar::<_, i64>(there).bind(&table);
    let there = there.fetch_one(&mut **tx).await.map_err(failed(DOING))? > 0;
    if !there {
        return Ok(true);
    }
    // Ours have a `key`, and most others a `rowid`; the rest goes at once.
    let by = "SELECT name FROM pragma_table_info($1) WHERE name = 'key'
              UNION ALL SELECT 'rowid' FROM pragma_table_list($1) WHERE wr = 0 LIMIT 1";
    let by = sqlx::query_scalar::<_, String>(by).bind(&table);
    let by = by.fetch_optional(&mut **tx).await.map_err(failed(DOING))?;
    if let Some(by) = by {
        let delete = format!(
            "DELETE FROM \"{table}\" WHERE \"{by}\" IN (SELECT \"{by}\" FROM \"{table}\" LIMIT {AT_ONCE})"
        );
        let deleted = sqlx::query(AssertSqlSafe(delete)).execute(&mut **tx).await;
        if deleted.map_err(failed(DOING))?.rows_affected() > 0 {
            return Ok(false);
        }
    }
    let drop = sqlx::query(AssertSqlSafe(format!("DROP TABLE \"{table}\"")));
    drop.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(true)
}
