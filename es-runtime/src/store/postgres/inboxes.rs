//! The inboxes of consumers.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::types::{Json, Moment, limit as rows_limit, number, position, signed, unsigned};
use super::{entities, failed, moving, repairs};
use crate::error::{Error, Result};
use crate::event::Position;
use crate::store::inbox::Division;
use crate::store::mark::{marked, thinned};
use crate::store::sql::{inbox_worker, move_inbox};
use crate::store::{
    Advanced, DeadLetter, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxPart, InboxQuestion, InboxState, StillHeld, StreamCursor, StreamVersion,
    Whereabouts,
};

type Tx = Transaction<'static, Postgres>;
type Asked<'q> = Query<'q, Postgres, PgArguments>;

const READING: &str = "reading an inbox";
const WRITING: &str = "writing an inbox";

/// A statement about an inbox: consumer, stream and version come first.
pub(super) fn about<'q>(statement: &'static str, inbox: &'q InboxId) -> Result<Asked<'q>> {
    let version: i32 = signed("version", inbox.stream.version)?;
    let query = sqlx::query(statement).bind(&inbox.consumer);
    Ok(query.bind(&inbox.stream.stream).bind(version))
}

pub(super) async fn run(tx: &mut Tx, query: Asked<'_>) -> Result<u64> {
    let done = query.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(done.rows_affected())
}

pub(super) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(column).map_err(failed(READING))
}

/// `json` is its own text.
fn text(row: &PgRow, column: usize) -> Result<String> {
    row.try_get_unchecked(column).map_err(failed(READING))
}

pub(super) const PARTS: &str = "
    SELECT slice_from, slice_to, position, hash, epoch, wanted,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, origin, moved_to
    FROM es.inbox WHERE consumer = $1 AND stream = $2 AND version = $3 ORDER BY slice_from";

/// The parts, which nobody moves or shares out until the transaction ends.
pub(super) const PARTS_ALONE: &str = "
    SELECT slice_from, slice_to, position, hash, epoch, wanted,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, origin, moved_to
    FROM es.inbox WHERE consumer = $1 AND stream = $2 AND version = $3 ORDER BY slice_from
    FOR UPDATE";

pub(super) async fn division(
    connection: &mut PgConnection,
    statement: &'static str,
    inbox: &InboxId,
) -> Result<Division> {
    let parts = about(statement, inbox)?.fetch_all(connection).await;
    let mut division = Division::default();
    for row in &parts.map_err(failed(READING))? {
        let hash: &[u8] = get(row, 3)?;
        let broken = |error| Error::database(READING, error);
        let from = unsigned("slice_from", get::<i32>(row, 0)?)?;
        let wanted: Option<i32> = get(row, 5)?;
        division.wanted = wanted
            .map(|wanted| unsigned("wanted", wanted))
            .transpose()?;
        let moved_to: Option<i32> = get(row, 8)?;
        division.moved_to = moved_to
            .map(|version| unsigned("moved_to", version))
            .transpose()?;
        division.parts.push(InboxPart {
            slices: from..unsigned("slice_to", get::<i32>(row, 1)?)?,
            cursor: StreamCursor {
                position: position(get(row, 2)?)?,
                hash: hash.try_into().map_err(broken)?,
            },
            epoch: unsigned("epoch", get::<i64>(row, 4)?)?,
            owner: get(row, 6)?,
            origin: position(get(row, 7)?)?,
        });
    }
    Ok(division)
}

/// Where the part stands that is behind the others.
pub(super) async fn cursor(connection: &mut PgConnection, inbox: &InboxId) -> Result<StreamCursor> {
    Ok(division(connection, PARTS, inbox).await?.cursor())
}

/// Every inbox that was ever claimed.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<InboxId>> {
    const ALL: &str =
        "SELECT consumer, stream, version FROM es.inbox GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let rows = sqlx::query(ALL).fetch_all(connection).await;
    let id = |row: &PgRow| {
        Ok(InboxId {
            consumer: get(row, 0)?,
            stream: StreamVersion {
                stream: get(row, 1)?,
                version: unsigned("version", get::<i32>(row, 2)?)?,
            },
        })
    };
    rows.map_err(failed(READING))?.iter().map(id).collect()
}

pub(super) const MARKS: &str = "
    SELECT position, hash FROM es.inbox_mark
    WHERE consumer = $1 AND stream = $2 AND version = $3 ORDER BY number";

pub(super) async fn state(connection: &mut PgConnection, inbox: &InboxId) -> Result<InboxState> {
    let rows = about(MARKS, inbox)?.fetch_all(&mut *connection).await;
    let mark = |row: &PgRow| {
        let hash: &[u8] = get(row, 1)?;
        let hash = hash
            .try_into()
            .map_err(|error| Error::database(READING, error))?;
        let position = position(get(row, 0)?)?;
        Ok(StreamCursor { position, hash })
    };
    let marks = rows.map_err(failed(READING))?;
    Ok(InboxState {
        marks: marks.iter().map(mark).collect::<Result<_>>()?,
        parts: division(connection, PARTS, inbox).await?.parts,
        entities: entities::list(connection, inbox).await?,
    })
}

/// Keeps a place that the inbox has passed, unless another part came there before.
async fn mark(tx: &mut Tx, inbox: &InboxId, number: u64, place: StreamCursor) -> Result<()> {
    const MARK: &str = "
        INSERT INTO es.inbox_mark (consumer, stream, version, number, position, hash)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let mark = about(MARK, inbox)?.bind(signed::<i64, _>("number", number)?);
    let mark = mark
        .bind(self::number(place.position)?)
        .bind(&place.hash[..]);
    run(tx, mark).await.map(drop)
}

/// Until the transaction ends, nobody else shares an inbox out or takes one over.
pub(super) async fn alone(tx: &mut Tx) -> Result<()> {
    let alone = "SELECT pg_advisory_xact_lock(1163084889, 4)";
    run(tx, sqlx::query(alone)).await.map(drop)
}

/// Everybody who would work on it; those who are not heard of any more would not. Until the
/// transaction ends, nobody else shares it out.
async fn workers(tx: &mut Tx, claim: &InboxClaim) -> Result<Vec<String>> {
    const WOULD_WORK: &str = "
        INSERT INTO es.worker AS w (kind, name, version, slice_from, who, until)
        VALUES ('inbox', $1, $2, 0, $3, clock_timestamp() + make_interval(secs => $4))
        ON CONFLICT (kind, name, version, slice_from, who) DO UPDATE SET until = excluded.until
        WHERE w.until < excluded.until - make_interval(secs => $4 / 2)";
    const WOULD_NOT: &str = "
        DELETE FROM es.worker WHERE kind = 'inbox' AND name = $1 AND version = $2
        AND slice_from = 0 AND until <= clock_timestamp()";
    const ALL: &str = "SELECT who FROM es.worker WHERE kind = 'inbox' AND name = $1
                       AND version = $2 AND slice_from = 0";
    let (name, version) = (inbox_worker(&claim.inbox), claim.inbox.stream.version);
    let version: i32 = signed("version", version)?;
    let of = |statement: &'static str| sqlx::query(statement).bind(name.clone()).bind(version);
    alone(tx).await?;
    let would = of(WOULD_WORK).bind(&claim.owner);
    run(tx, would.bind(claim.lease.as_secs_f64())).await?;
    run(tx, of(WOULD_NOT)).await?;
    let rows = of(ALL)
        .fetch_all(&mut **tx)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(|row| get(row, 0)).collect()
}

pub(super) async fn claim(tx: &mut Tx, claim: &InboxClaim) -> Result<InboxClaimed> {
    const TAKE: &str = "
        UPDATE es.inbox SET owner = $5, owned_until = clock_timestamp() + make_interval(secs => $6)
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND slice_from = $4";
    const WANT: &str = "UPDATE es.inbox SET wanted = $4
                        WHERE consumer = $1 AND stream = $2 AND version = $3";
    const GIVE: &str = "UPDATE es.inbox SET owner = NULL, owned_until = NULL
                        WHERE consumer = $1 AND stream = $2 AND version = $3 AND owner = $4";
    let inbox = &claim.inbox;
    let workers = workers(tx, claim).await?;
    let before = division(tx, PARTS_ALONE, inbox).await?;
    if let Some(oldest) = claim.continues {
        moving::moves(tx, claim, oldest).await?;
    }
    let versions = moving::versions(tx, inbox).await?;
    let whereabouts = versions.whereabouts(inbox.stream.version, claim.continues);
    if whereabouts != Whereabouts::Here {
        run(tx, about(GIVE, inbox)?.bind(&claim.owner)).await?;
        return Ok(InboxClaimed {
            whereabouts,
            ..InboxClaimed::default()
        });
    }
    if let (Some(oldest), true) = (claim.continues, before.parts.is_empty()) {
        moving::older(tx, inbox, oldest).await?;
    }
    if before.parts.is_empty() {
        mark(tx, inbox, 0, claim.begin).await?;
    }
    let mut after = before.clone();
    after.claim(claim, &workers);
    if !after.is_divided_as(&before) {
        repairs::forget(tx, inbox).await?;
        replace(tx, inbox, &after).await?;
    }
    if after.wanted != before.wanted {
        run(tx, about(WANT, inbox)?.bind(after.wanted.map(i32::from))).await?;
    }
    for (slice, owned) in after.changed(&before, &claim.owner) {
        let lease = owned.then_some(claim.lease.as_secs_f64());
        let take = about(TAKE, inbox)?.bind(i32::from(slice));
        run(tx, take.bind(owned.then_some(&claim.owner)).bind(lease)).await?;
    }
    Ok(InboxClaimed {
        level: after.level(),
        parts: after.parts,
        keys: keys(tx, inbox, None, usize::MAX).await?,
        entities: entities::list(tx, inbox).await?,
        repairs: repairs::list(tx, inbox).await?,
        whereabouts,
    })
}

/// Notes what somebody asks.
pub(super) async fn ask(tx: &mut Tx, inbox: &InboxId, question: &InboxQuestion) -> Result<u64> {
    match question {
        InboxQuestion::Ahead { subject } => entities::ask(tx, inbox, subject).await,
        InboxQuestion::Mended { subject } => entities::mend(tx, inbox, subject).await,
        InboxQuestion::Again { from, after, until } => {
            repairs::ask(tx, inbox, *from, *after, *until).await
        }
    }
}

/// Makes the parts anew.
pub(super) async fn replace(tx: &mut Tx, inbox: &InboxId, division: &Division) -> Result<()> {
    const GONE: &str = "DELETE FROM es.inbox WHERE consumer = $1 AND stream = $2 AND version = $3";
    const NEW: &str = "
        INSERT INTO es.inbox (consumer, stream, version, slice_from, slice_to, position, hash, epoch,
                              origin, moved_to)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    run(tx, about(GONE, inbox)?).await?;
    for part in &division.parts {
        let new = about(NEW, inbox)?.bind(i32::from(part.slices.start));
        let new = new.bind(i32::from(part.slices.end));
        let new = new
            .bind(number(part.cursor.position)?)
            .bind(&part.cursor.hash[..]);
        let new = new.bind(signed::<i64, _>("epoch", part.epoch)?);
        let moved_to = division.moved_to.map(|version| signed("version", version));
        let moved_to: Option<i32> = moved_to.transpose()?;
        run(tx, new.bind(number(part.origin)?).bind(moved_to)).await?;
    }
    Ok(())
}

/// Gives back all that `owner` has.
pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es.inbox SET owner = NULL, owned_until = NULL WHERE owner = $1";
    run(tx, sqlx::query(release).bind(owner)).await.map(drop)
}

/// Moves the cursor if it stands where the consumer believes, and writes what changes with it: the
/// fence.
pub(super) async fn advance(tx: &mut Tx, step: &InboxMove) -> Result<Advanced> {
    const BEGIN: &str = "
        INSERT INTO es.inbox (consumer, stream, version, position, hash)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    const THIN: &str = "
        DELETE FROM es.inbox_mark
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND number = ANY($4)";
    let (
        InboxMove {
            inbox, from, to, ..
        },
        stream,
    ) = (step, &step.inbox.stream);
    let advance = sqlx::query(AssertSqlSafe(move_inbox("es.inbox")))
        .bind(&inbox.consumer)
        .bind(&stream.stream)
        .bind(signed::<i32, _>("version", stream.version)?)
        .bind(i32::from(step.slice))
        .bind(number(to.position)?)
        .bind(&to.hash[..])
        .bind(number(from.position)?)
        .bind(&from.hash[..])
        .bind(signed::<i64, _>("epoch", step.epoch)?)
        .bind(i64::from(step.raises()));
    let mut moved = run(tx, advance).await?;
    if moved == 0 && step.begins() {
        let begin = about(BEGIN, inbox)?.bind(number(to.position)?);
        moved = run(tx, begin.bind(&to.hash[..])).await?;
        mark(tx, inbox, 0, *from).await?;
    }
    if moved == 0 {
        return Ok(Advanced::Fenced);
    }
    if let Some(number) = marked(from.position, to.position) {
        mark(tx, inbox, number, *to).await?;
        let old = thinned(from.position, to.position).into_iter();
        let old = old.map(|number| signed::<i64, _>("number", number));
        let old = old.collect::<Result<Vec<_>>>()?;
        run(tx, about(THIN, inbox)?.bind(old)).await?;
    }
    for change in &step.changes {
        if !write(tx, inbox, change).await? {
            return Ok(Advanced::Fenced);
        }
    }
    Ok(Advanced::Moved)
}

/// Writes what changes of a key; `false` if it is not what the mover believes: then nothing of the
/// transaction counts.
async fn write(tx: &mut Tx, inbox: &InboxId, change: &InboxChange) -> Result<bool> {
    const PARK: &str = "
        INSERT INTO es.inbox_key (consumer, stream, version, key, position, reason, attempts, since,
                                  failed_at, due, waiting)
        SELECT $1, $2, $3, $4, $5, $6, 1, at, at, at + make_interval(secs => $7), $8
        FROM clock_timestamp() at ON CONFLICT DO NOTHING";
    const WAIT: &str = "
        UPDATE es.inbox_key SET waiting = waiting + $5
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4";
    const GO_ON: &str = "
        DELETE FROM es.inbox_key
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 AND position = $5";
    const ALONE: &str = "
        SELECT 1 FROM es.inbox_key
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 AND position = $5
        FOR UPDATE";
    const STILL: &str = "
        UPDATE es.inbox_key
        SET position = $6, waiting = waiting - $7, reason = coalesce($8, reason),
            attempts = CASE WHEN position = $6 THEN attempts ELSE 0 END
                     + CASE WHEN $8 IS NULL THEN 0 ELSE 1 END,
            failed_at = CASE WHEN $8 IS NULL THEN failed_at ELSE clock_timestamp() END,
            due = clock_timestamp() + make_interval(secs => $9)
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 AND position = $5";
    match change {
        InboxChange::Park {
            key,
            events,
            reason,
            again,
        } => {
            let first = events.first().map(|held| held.position);
            let park = about(PARK, inbox)?.bind(key);
            let park = park.bind(number(first.unwrap_or_default())?).bind(reason);
            let park = park.bind(again.as_secs_f64());
            let parked = run(tx, park.bind(count(events)?)).await? == 1;
            enqueue(tx, inbox, key, events).await?;
            Ok(parked)
        }
        InboxChange::Wait { key, events } => {
            let wait = about(WAIT, inbox)?.bind(key).bind(count(events)?);
            let waits = run(tx, wait).await? == 1;
            enqueue(tx, inbox, key, events).await?;
            Ok(waits)
        }
        InboxChange::Retried { key, from, left } => {
            // The key before its events, as whoever gives one up takes them.
            let alone = about(ALONE, inbox)?.bind(key).bind(number(*from)?);
            let there = alone.fetch_optional(&mut **tx).await;
            if there.map_err(failed(WRITING))?.is_none() {
                return Ok(false);
            }
            let done = dequeue(tx, inbox, key, left.as_ref()).await?;
            let retried = match left {
                None => about(GO_ON, inbox)?.bind(key).bind(number(*from)?),
                Some(StillHeld { position, failed }) => {
                    let (reason, again) = failed.clone().unzip();
                    let again = again.unwrap_or_default().as_secs_f64();
                    let still = about(STILL, inbox)?.bind(key).bind(number(*from)?);
                    let still = still.bind(number(*position)?);
                    let still = still.bind(signed::<i64, _>("events", done)?);
                    still.bind(reason).bind(again)
                }
            };
            Ok(run(tx, retried).await? == 1)
        }
        InboxChange::Repaired {
            number,
            slice,
            failure,
        } => repairs::done(tx, inbox, *number, slice, failure.as_deref()).await,
        InboxChange::Entity { was, now } => entities::write(tx, inbox, was, now.as_ref()).await,
    }
}

fn count(events: &[HeldEvent]) -> Result<i64> {
    signed("events", events.len())
}

pub(super) async fn enqueue(
    tx: &mut Tx,
    inbox: &InboxId,
    key: &str,
    events: &[HeldEvent],
) -> Result<()> {
    const ENQUEUE: &str = "
        INSERT INTO es.inbox_event (consumer, stream, version, key, position, event)
        SELECT $1, $2, $3, $4, e.p, e.e FROM unnest($5::bigint[], $6::json[]) e(p, e)";
    let positions = events.iter().map(|held| number(held.position));
    let positions = positions.collect::<Result<Vec<_>>>()?;
    let texts: Vec<_> = events.iter().map(|held| Json(&held.event)).collect();
    let enqueue = about(ENQUEUE, inbox)?.bind(key).bind(positions).bind(texts);
    run(tx, enqueue).await.map(drop)
}

/// Takes out of the queue what does not wait any more.
async fn dequeue(tx: &mut Tx, inbox: &InboxId, key: &str, left: Option<&StillHeld>) -> Result<u64> {
    const DEQUEUE: &str = "
        DELETE FROM es.inbox_event
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 AND position < $5";
    let before = left.map_or(Ok(i64::MAX), |left| number(left.position))?;
    run(tx, about(DEQUEUE, inbox)?.bind(key).bind(before)).await
}

pub(super) const KEYS: &str = "
    SELECT key, position, reason, attempts, since, failed_at, greatest(extract(epoch FROM due - clock_timestamp())::float8, 0), waiting
    FROM es.inbox_key WHERE consumer = $1 AND stream = $2 AND version = $3 ORDER BY key LIMIT $4";

pub(super) const KEYS_AFTER: &str = "
    SELECT key, position, reason, attempts, since, failed_at, greatest(extract(epoch FROM due - clock_timestamp())::float8, 0), waiting
    FROM es.inbox_key WHERE consumer = $1 AND stream = $2 AND version = $3 AND key > $5
    ORDER BY key LIMIT $4";

pub(super) async fn keys(
    connection: &mut PgConnection,
    inbox: &InboxId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<InboxKey>> {
    let query = match after {
        None => about(KEYS, inbox)?.bind(rows_limit(limit)),
        Some(after) => about(KEYS_AFTER, inbox)?
            .bind(rows_limit(limit))
            .bind(after),
    };
    let rows = query.fetch_all(connection).await.map_err(failed(READING))?;
    let key = |row: &PgRow| {
        let again = Duration::try_from_secs_f64(get(row, 6)?);
        Ok(InboxKey {
            key: get(row, 0)?,
            position: position(get(row, 1)?)?,
            reason: get(row, 2)?,
            attempts: unsigned("attempts", get::<i32>(row, 3)?)?,
            since: get::<Moment>(row, 4)?.0,
            failed_at: get::<Moment>(row, 5)?.0,
            again: again.unwrap_or(Duration::MAX),
            waiting: unsigned("waiting", get::<i64>(row, 7)?)?,
        })
    };
    rows.iter().map(key).collect()
}

pub(super) const EVENTS: &str = "
    SELECT position, event FROM es.inbox_event
    WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 ORDER BY position LIMIT $5";

/// The first events that wait for a key.
pub(super) async fn events(
    connection: &mut PgConnection,
    inbox: &InboxId,
    key: &str,
    limit: usize,
) -> Result<Vec<HeldEvent>> {
    let events = about(EVENTS, inbox)?.bind(key).bind(rows_limit(limit));
    let rows = events
        .fetch_all(connection)
        .await
        .map_err(failed(READING))?;
    let event = |row: &PgRow| {
        let (position, event) = (position(get(row, 0)?)?, text(row, 1)?);
        Ok(HeldEvent { position, event })
    };
    rows.iter().map(event).collect()
}

/// Lets a key be tried again at once, or all, and answers how many there are.
pub(super) async fn retry(tx: &mut Tx, inbox: &InboxId, key: Option<&str>) -> Result<u64> {
    const RETRY: &str = "
        UPDATE es.inbox_key SET due = clock_timestamp()
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND ($4::text IS NULL OR key = $4)";
    run(tx, about(RETRY, inbox)?.bind(key)).await
}

/// Makes an event that waits a dead letter, and answers whether it was there.
pub(super) async fn give_up(
    tx: &mut Tx,
    inbox: &InboxId,
    at: Position,
    reason: &str,
    by: &str,
) -> Result<bool> {
    const WHOSE: &str = "
        SELECT key FROM es.inbox_event
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND position = $4";
    const ALONE: &str = "
        SELECT 1 FROM es.inbox_key
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 FOR UPDATE";
    const LETTER: &str = "
        INSERT INTO es.dead_letter (consumer, stream, version, position, key, event, failure, reason,
                                    by, at)
        SELECT e.consumer, e.stream, e.version, e.position, e.key, e.event, k.reason, $6, $7,
               clock_timestamp()
        FROM es.inbox_event e JOIN es.inbox_key k USING (consumer, stream, version, key)
        WHERE e.consumer = $1 AND e.stream = $2 AND e.version = $3 AND e.key = $4
          AND e.position = $5";
    const GONE: &str = "
        DELETE FROM es.inbox_event
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4 AND position = $5";
    const FIRST: &str = "
        SELECT min(position) FROM es.inbox_event
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4";
    const NEXT: &str = "
        UPDATE es.inbox_key
        SET waiting = waiting - 1, position = $5,
            attempts = CASE WHEN position = $5 THEN attempts ELSE 0 END,
            due = CASE WHEN position = $5 THEN due ELSE clock_timestamp() END
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4";
    const GO_ON: &str = "
        DELETE FROM es.inbox_key
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND key = $4";
    let whose = about(WHOSE, inbox)?.bind(number(at)?);
    let row = whose.fetch_optional(&mut **tx).await;
    let Some(row) = row.map_err(failed(WRITING))? else {
        return Ok(false);
    };
    let key: String = get(&row, 0)?;
    run(tx, about(ALONE, inbox)?.bind(&key)).await?;
    let letter = about(LETTER, inbox)?.bind(&key).bind(number(at)?);
    // Handled meanwhile, it is none.
    if run(tx, letter.bind(reason).bind(by)).await? == 0 {
        return Ok(false);
    }
    run(tx, about(GONE, inbox)?.bind(&key).bind(number(at)?)).await?;
    let first = about(FIRST, inbox)?.bind(&key).fetch_one(&mut **tx).await;
    let first: Option<i64> = get(&first.map_err(failed(READING))?, 0)?;
    let next = match first {
        Some(first) => about(NEXT, inbox)?.bind(&key).bind(first),
        None => about(GO_ON, inbox)?.bind(&key),
    };
    run(tx, next).await?;
    Ok(true)
}

pub(super) const DEAD: &str = "
    SELECT position, key, event, failure, reason, by, at FROM es.dead_letter
    WHERE consumer = $1 AND stream = $2 AND version = $3 AND position > $4
    ORDER BY position LIMIT $5";

pub(super) async fn dead(
    connection: &mut PgConnection,
    inbox: &InboxId,
    after: Position,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let dead = about(DEAD, inbox)?
        .bind(number(after)?)
        .bind(rows_limit(limit));
    let rows = dead.fetch_all(connection).await.map_err(failed(READING))?;
    let letter = |row: &PgRow| {
        Ok(DeadLetter {
            position: position(get(row, 0)?)?,
            key: get(row, 1)?,
            event: text(row, 2)?,
            failure: get(row, 3)?,
            reason: get(row, 4)?,
            by: get(row, 5)?,
            at: get::<Moment>(row, 6)?.0,
        })
    };
    rows.iter().map(letter).collect()
}
