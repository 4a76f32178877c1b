//! The lives of projection versions: what is known of them, who works on them, and their cursors.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::types::{Json, Moment, number, position, signed, unsigned};
use super::{consumers, failed, log, parked, timers, view};
use crate::error::{Error, Kind, Result};
use crate::event::Timestamp;
use crate::store::life::{self, Effect, Occasion};
use crate::store::projection::Record;
use crate::store::sql::{kind, kind_of, move_cursor};
use crate::store::{
    Advance, Advanced, Change, Handover, LifeEntry, Lineage, Noted, Phase, ProjectionId,
    ProjectionKind, ProjectionState, Sighting, SliceState,
};

type Tx = Transaction<'static, Postgres>;

pub(super) const DOING: &str = "reading the projections";
pub(super) const WRITING: &str = "writing a projection's state";

/// A statement that names a projection: kind, name and version come first.
pub(super) fn about<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Result<Query<'q, Postgres, PgArguments>> {
    let version: i32 = signed("version", projection.version)?;
    Ok(named(statement, projection).bind(version))
}

/// A statement about all versions: kind and name come first.
fn named<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Query<'q, Postgres, PgArguments> {
    let query = sqlx::query(statement).bind(kind(projection));
    query.bind(&projection.name)
}

pub(super) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(column).map_err(failed(DOING))
}

fn moment(row: &PgRow, column: usize) -> Result<Option<Timestamp>> {
    let moment: Option<Moment> = get(row, column)?;
    Ok(moment.map(|moment| moment.0))
}

fn id_of(row: &PgRow) -> Result<ProjectionId> {
    Ok(ProjectionId {
        kind: kind_of(get(row, 0)?),
        name: get(row, 1)?,
        version: unsigned("version", get::<i32>(row, 2)?)?,
    })
}

fn phase_of(word: &str) -> Result<Phase> {
    let unknown = || Error::database(DOING, format!("the phase `{word}` is unknown"));
    Phase::parse(word).ok_or_else(unknown)
}

pub(super) const STATES: &str = "
    SELECT kind, name, version, phase, since, record::text, run_by, run_at, read_by, read_at,
           (SELECT count(*) FROM es.parked k WHERE (k.kind, k.name, k.version)
              = (p.kind, p.name, p.version))
    FROM es.projection p ORDER BY kind, name, version";

pub(super) const LINEAGE: &str = "
    SELECT kind, name, version, phase, since, record::text, run_by, run_at, read_by, read_at,
           (SELECT count(*) FROM es.parked k WHERE (k.kind, k.name, k.version)
              = (p.kind, p.name, p.version))
    FROM es.projection p WHERE kind = $1 AND name = $2 ORDER BY version";

pub(super) const CURSORS: &str = "
    SELECT version, slice_from, slice_to, position, epoch,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, failure, failed_at,
           clock_timestamp()
    FROM es.cursor WHERE kind = $1 AND name = $2 ORDER BY version, slice_from";

/// As [`CURSORS`]; no worker moves one of them until the transaction ends.
const LOCKED_CURSORS: &str = "
    SELECT version, slice_from, slice_to, position, epoch,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, failure, failed_at,
           clock_timestamp()
    FROM es.cursor WHERE kind = $1 AND name = $2 ORDER BY version, slice_from FOR UPDATE";

pub(super) const HANDOVERS: &str = "
    SELECT after, version FROM es.handover WHERE kind = $1 AND name = $2 ORDER BY after";

fn state_of(row: &PgRow) -> Result<ProjectionState> {
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
        ..record.state(phase_of(get(row, 3)?)?, get::<Moment>(row, 4)?.0)
    })
}

/// All versions, as they are; `cursors` says whether workers are kept from moving.
pub(super) async fn read(
    connection: &mut PgConnection,
    projection: &ProjectionId,
    cursors: &'static str,
) -> Result<Lineage> {
    let mut lineage = Lineage::default();
    // First the cursors: who moves one has read what the transaction before it wrote.
    let cursors = named(cursors, projection).fetch_all(&mut *connection).await;
    let cursors = cursors.map_err(failed(DOING))?;
    let states = named(LINEAGE, projection).fetch_all(&mut *connection).await;
    for row in &states.map_err(failed(DOING))? {
        let version = id_of(row)?.version;
        lineage.versions.insert(version, state_of(row)?);
    }
    for row in &cursors {
        add_slice(&mut lineage, row)?;
    }
    let handovers = named(HANDOVERS, projection).fetch_all(connection).await;
    for row in &handovers.map_err(failed(DOING))? {
        lineage.handovers.push(Handover {
            after: position(get(row, 0)?)?,
            version: unsigned("version", get::<i32>(row, 1)?)?,
        });
    }
    Ok(lineage)
}

fn add_slice(lineage: &mut Lineage, row: &PgRow) -> Result<()> {
    let version: u32 = unsigned("version", get::<i32>(row, 0)?)?;
    let Some(state) = lineage.versions.get_mut(&version) else {
        return Ok(());
    };
    let slice = |column| unsigned("slice", get::<i32>(row, column)?);
    let (reason, at): (Option<String>, _) = (get(row, 6)?, moment(row, 7)?);
    let slice = SliceState {
        slices: slice(1)?..slice(2)?,
        cursor: position(get(row, 3)?)?,
        owner: get(row, 5)?,
        failure: reason.zip(at).map(|(reason, at)| Noted { reason, at }),
    };
    let now = get::<Moment>(row, 8)?.0;
    state.add(slice, unsigned("epoch", get::<i64>(row, 4)?)?, now);
    Ok(())
}

/// Lets instances take turns where what they do depends on more than one row.
pub(in crate::store) async fn take_turns(tx: &mut Tx) -> Result<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(1163084889, 2)");
    lock.execute(&mut **tx)
        .await
        .map_err(failed("waiting for another instance"))?;
    Ok(())
}

async fn occasion(tx: &mut Tx) -> Result<Occasion> {
    let now = sqlx::query_scalar("SELECT clock_timestamp()");
    let now: Moment = now.fetch_one(&mut **tx).await.map_err(failed(DOING))?;
    let head = log::head(tx).await?;
    Ok(Occasion::new(now.0, head))
}

pub(super) fn unknown(projection: &ProjectionId) -> Error {
    let what = format!("`{projection}`");
    Error::new(Kind::Unregistered { what })
}

/// What was declared of the version when it was made known.
pub(super) async fn declared(tx: &mut Tx, projection: &ProjectionId) -> Result<Option<String>> {
    take_turns(tx).await?;
    let stored = "SELECT fingerprint FROM es.projection
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let stored = about(stored, projection)?.fetch_optional(&mut **tx).await;
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
    take_turns(tx).await?;
    let before = read(tx, projection, LOCKED_CURSORS).await?;
    let mut after = before.clone();
    life::prepare(&mut after, projection.version, slices, &occasion(tx).await?);
    if before != after {
        if let Some(state) = after.versions.get_mut(&projection.version) {
            state.tables = tables.iter().map(ToString::to_string).collect();
        }
        let new = "INSERT INTO es.projection (kind, name, version, phase, fingerprint)
                   VALUES ($1, $2, $3, $4, $5)";
        let new = about(new, projection)?.bind(Phase::Building.as_str());
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
    take_turns(tx).await?;
    let before = read(tx, projection, LOCKED_CURSORS).await?;
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
                        view::point(tx, &table, None, change.verb()).await?;
                    }
                }
                for table in &tables {
                    view::point(tx, table, Some(version), change.verb()).await?;
                }
            }
            Effect::DropView => {
                for table in before.views(projection) {
                    view::point(tx, &table, None, change.verb()).await?;
                }
            }
            Effect::Empty(version) => match projection.kind {
                ProjectionKind::ReadModel => {
                    for table in before.tables(projection, version) {
                        view::empty(tx, &table, version).await?;
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
    read(tx, projection, CURSORS).await
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
    let clear = "DELETE FROM es.handover WHERE kind = $1 AND name = $2";
    let cleared = named(clear, projection).execute(&mut **tx).await;
    cleared.map_err(failed(WRITING))?;
    for handover in &after.handovers {
        let id = ProjectionId {
            version: handover.version,
            ..projection.clone()
        };
        let insert = "INSERT INTO es.handover (kind, name, version, after) VALUES ($1, $2, $3, $4)";
        let insert = about(insert, &id)?.bind(number(handover.after)?);
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
    let update = "UPDATE es.projection SET phase = $4, since = $5, record = $6
                  WHERE kind = $1 AND name = $2 AND version = $3";
    let update = about(update, id)?.bind(state.phase.as_str());
    let update = update.bind(Moment(state.since)).bind(Json(&record));
    update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    if old.is_none_or(|old| old.slices.len() != state.slices.len()) {
        let clear = "DELETE FROM es.cursor WHERE kind = $1 AND name = $2 AND version = $3";
        let cleared = about(clear, id)?.execute(&mut **tx).await;
        cleared.map_err(failed(WRITING))?;
        for slice in &state.slices {
            let insert = "INSERT INTO es.cursor
                            (kind, name, version, slice_from, slice_to, position, epoch)
                          VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let insert = about(insert, id)?
                .bind(i32::from(slice.slices.start))
                .bind(i32::from(slice.slices.end))
                .bind(number(slice.cursor)?)
                .bind(signed::<i64, _>("epoch", state.epoch)?);
            insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
        }
        return Ok(());
    }
    for slice in &state.slices {
        let update = "UPDATE es.cursor SET position = $5, epoch = $6, failure = $7, failed_at = $8
                      WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4";
        let failure = slice.failure.as_ref();
        let update = about(update, id)?
            .bind(i32::from(slice.slices.start))
            .bind(number(slice.cursor)?)
            .bind(signed::<i64, _>("epoch", state.epoch)?)
            .bind(failure.map(|failure| &failure.reason))
            .bind(failure.map(|failure| Moment(failure.at)));
        update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

pub(super) async fn tell(tx: &mut Tx, entry: &LifeEntry) -> Result<()> {
    let insert = "INSERT INTO es.life (kind, name, version, what, phase, position, reason, by, at)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let insert = about(insert, &entry.projection)?
        .bind(&entry.what)
        .bind(entry.phase.as_str())
        .bind(number(entry.cursor)?)
        .bind(&entry.reason)
        .bind(&entry.by)
        .bind(Moment(entry.at));
    insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn told(
    connection: &mut PgConnection,
    projection: &ProjectionId,
) -> Result<Vec<LifeEntry>> {
    let query = "SELECT kind, name, version, what, phase, position, reason, by, at FROM es.life
                 WHERE kind = $1 AND name = $2 ORDER BY number";
    let rows = named(query, projection).fetch_all(connection).await;
    let entry = |row: &PgRow| {
        Ok(LifeEntry {
            projection: id_of(row)?,
            what: get(row, 3)?,
            phase: phase_of(get(row, 4)?)?,
            cursor: position(get(row, 5)?)?,
            reason: get(row, 6)?,
            by: get(row, 7)?,
            at: get::<Moment>(row, 8)?.0,
        })
    };
    rows.map_err(failed(DOING))?.iter().map(entry).collect()
}

pub(in crate::store) async fn state(
    connection: &mut PgConnection,
    projection: &ProjectionId,
) -> Result<Option<ProjectionState>> {
    let mut lineage = read(connection, projection, CURSORS).await?;
    Ok(lineage.versions.remove(&projection.version))
}

pub(super) async fn lineage(
    connection: &mut PgConnection,
    projection: &ProjectionId,
) -> Result<Lineage> {
    read(connection, projection, CURSORS).await
}

pub(super) async fn all(
    connection: &mut PgConnection,
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
    let note = "UPDATE es.cursor SET failure = $7, failed_at = clock_timestamp()
                WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
                  AND position = $5 AND epoch = $6";
    let note = about(note, &stands.projection)?
        .bind(i32::from(stands.slice))
        .bind(number(stands.from)?)
        .bind(signed::<i64, _>("epoch", stands.epoch)?)
        .bind(reason);
    note.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn note_seen(
    tx: &mut Tx,
    who: &str,
    run: &[ProjectionId],
    read: &[ProjectionId],
) -> Result<()> {
    let ran = "UPDATE es.projection SET run_by = $4, run_at = clock_timestamp()
               WHERE kind = $1 AND name = $2 AND version = $3";
    let was_read = "UPDATE es.projection SET read_by = $4, read_at = clock_timestamp()
                    WHERE kind = $1 AND name = $2 AND version = $3";
    for (note, ids) in [(ran, run), (was_read, read)] {
        for id in ids {
            let note = about(note, id)?.bind(who);
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
    let update = sqlx::query(AssertSqlSafe(move_cursor("es.cursor")))
        .bind(kind(id))
        .bind(&id.name)
        .bind(signed::<i32, _>("version", id.version)?)
        .bind(i32::from(advance.slice))
        .bind(number(advance.from)?)
        .bind(signed::<i64, _>("epoch", advance.epoch)?)
        .bind(number(advance.to)?);
    let done = update.execute(&mut **tx).await.map_err(failed(MOVING))?;
    if done.rows_affected() == 1 {
        return Ok(Advanced::Moved);
    }
    let known = state(tx, id).await?;
    known.map_or_else(|| Err(unknown(id)), |_| Ok(Advanced::Fenced))
}

/// Takes all events out of a stream's version that nobody has been served.
async fn unpublish(tx: &mut Tx, projection: &ProjectionId, version: u32) -> Result<()> {
    let delete = sqlx::query("DELETE FROM es.published WHERE stream = $1 AND version = $2");
    let version: i32 = signed("version", version)?;
    let deleted = delete.bind(&projection.name).bind(version);
    deleted.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

/// Drops the table of a version that is retired: the lock on it is asked for a moment only, and the
/// log has no part in it.
pub(super) async fn remove_rows(tx: &mut Tx, projection: &ProjectionId) -> Result<()> {
    let lineage = read(tx, projection, CURSORS).await?;
    let state = lineage.versions.get(&projection.version);
    let retired = state.is_some_and(|state| state.phase == Phase::Retired);
    match projection.kind {
        ProjectionKind::ReadModel if retired => {}
        ProjectionKind::Process if retired => return timers::clear(tx, projection).await,
        _ => return Ok(()),
    }
    for table in lineage.tables(projection, projection.version) {
        view::drop_table(tx, &table).await?;
    }
    Ok(())
}
