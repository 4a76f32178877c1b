//! Reactions that are still to be run.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use super::{failed, life, limit, position, signed, unsigned};
use crate::error::Result;
use crate::event::{Clock, SystemClock, Timestamp};
use crate::store::{
    DueKey, DueReaction, Lineage, NewInput, NewReaction, Noted, Postponed, ReactionClaim,
    ReactionId, ReactionQueue,
};

type Tx = Transaction<'static, Sqlite>;

const READING: &str = "reading reactions";
const WRITING: &str = "writing reactions";

/// The machine's clock, which all processes on the file have in common.
fn now() -> i64 {
    SystemClock.now().as_micros()
}

fn later(by: Duration) -> i64 {
    now().saturating_add(micros(by))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn get<'r, T>(row: &'r SqliteRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(failed(READING))
}

/// A reaction whose key comes first in the row, then place, version, family and payload.
fn reaction(projection: &str, row: &SqliteRow) -> Result<DueReaction> {
    Ok(DueReaction {
        id: ReactionId {
            projection: projection.to_owned(),
            key: get(row, 0)?,
            position: position(get(row, 1)?)?,
            part: unsigned("part", get(row, 2)?)?,
            number: unsigned("number", get(row, 3)?)?,
        },
        version: unsigned("version", get(row, 4)?)?,
        family: get(row, 5)?,
        payload: get(row, 6)?,
    })
}

/// Adds reactions in the transaction of the events' cursor.
pub(super) async fn add(tx: &mut Tx, name: &str, version: u32, new: &[NewReaction]) -> Result<()> {
    let mut keys = BTreeMap::<&str, i64>::new();
    for new in new {
        *keys.entry(&new.key).or_default() += 1;
    }
    // Each takes eight parameters, of which SQLite takes 32,766.
    for new in new.chunks(4000) {
        let into = "INSERT INTO es_reaction
                      (name, key, position, part, number, version, family, payload) ";
        let mut insert = QueryBuilder::<Sqlite>::new(into);
        let mut places = Vec::with_capacity(new.len());
        for new in new {
            places.push(signed("position", new.position.get())?);
        }
        insert.push_values(new.iter().zip(places), |mut values, (new, position)| {
            values.push_bind(name).push_bind(&new.key);
            values.push_bind(position).push_bind(new.part);
            values.push_bind(new.number).push_bind(version);
            values.push_bind(new.family).push_bind(&new.payload);
        });
        let inserted = insert.build().execute(&mut **tx).await;
        inserted.map_err(failed(WRITING))?;
    }
    let (keys, now) = (keys.into_iter().collect::<Vec<_>>(), now());
    for keys in keys.chunks(8000) {
        let into = "INSERT INTO es_reaction_key (name, key, pending, due) ";
        let mut insert = QueryBuilder::<Sqlite>::new(into);
        insert.push_values(keys, |mut values, (key, pending)| {
            values.push_bind(name).push_bind(*key);
            values.push_bind(pending).push_bind(now);
        });
        insert.push(" ON CONFLICT DO UPDATE SET pending = pending + excluded.pending");
        let inserted = insert.build().execute(&mut **tx).await;
        inserted.map_err(failed(WRITING))?;
    }
    Ok(())
}

/// Adds inputs in the transaction of a consumer's cursor, each behind those that wait for its key.
pub(in crate::store) async fn add_inputs(tx: &mut Tx, name: &str, new: &[NewInput]) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO es_reaction (name, key, position, part, number, version, family, payload)
        SELECT $1, $2, coalesce(max(position), 0) + 1, $3, $4, 1, $5, $6
        FROM es_reaction WHERE name = $1 AND key = $2";
    const ADD_TO_KEY: &str = "
        INSERT INTO es_reaction_key (name, key, pending, due) VALUES ($1, $2, 1, $3)
        ON CONFLICT DO UPDATE SET pending = pending + 1";
    for new in new {
        let (part, number) = new.part_and_number();
        let insert = sqlx::query(INSERT).bind(name).bind(&new.key);
        let insert = insert.bind(part).bind(number);
        let insert = insert.bind(new.family).bind(&new.payload);
        insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
        let add = sqlx::query(ADD_TO_KEY).bind(name).bind(&new.key);
        let added = add.bind(now()).execute(&mut **tx).await;
        added.map_err(failed(WRITING))?;
    }
    Ok(())
}

pub(super) const ANY_DUE: &str = "
    SELECT EXISTS (SELECT 1 FROM es_reaction_key
                   WHERE name = $1 AND due <= $2 AND (owner IS NULL OR owned_until <= $2))";

/// Whether it is worth it to take the writer.
pub(super) async fn any_due(readers: &SqlitePool, projection: &str) -> Result<bool> {
    let any = sqlx::query_scalar(ANY_DUE).bind(projection).bind(now());
    any.fetch_one(readers).await.map_err(failed(READING))
}

pub(super) const DUE_KEYS: &str = "
    SELECT key, attempts FROM es_reaction_key k
    WHERE name = $1 AND due <= $2 AND (owner IS NULL OR owned_until <= $2)
      AND (SELECT version <= $3 AND position <= $4 FROM es_reaction r
           WHERE r.name = k.name AND r.key = k.key ORDER BY position, part, number LIMIT 1)
    ORDER BY due LIMIT $5";

pub(super) const OF_KEY: &str = "
    SELECT key, position, part, number, version, family, payload FROM es_reaction
    WHERE name = $1 AND key = $2 AND position <= $3 ORDER BY position, part, number LIMIT $4";

pub(super) async fn claim(tx: &mut Tx, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
    let name = &claim.projection;
    let settled = Lineage::settled(&life::read(tx, &claim.all()).await?);
    let settled = settled.map_or(Ok(i64::MAX), |at| signed("position", at.get()))?;
    let due = sqlx::query(DUE_KEYS)
        .bind(name)
        .bind(now())
        .bind(claim.version)
        .bind(settled)
        .bind(limit(claim.keys));
    let due = due.fetch_all(&mut **tx).await.map_err(failed(READING))?;
    let mut taken = Vec::with_capacity(due.len());
    for row in &due {
        let key: String = get(row, 0)?;
        let own = "UPDATE es_reaction_key SET owner = $3, owned_until = $4
                   WHERE name = $1 AND key = $2";
        let own = sqlx::query(own).bind(name).bind(&key);
        let own = own.bind(&claim.owner).bind(later(claim.lease));
        own.execute(&mut **tx).await.map_err(failed(WRITING))?;
        let rows = sqlx::query(OF_KEY).bind(name).bind(&key);
        let rows = rows.bind(settled).bind(limit(claim.each));
        let rows = rows.fetch_all(&mut **tx).await.map_err(failed(READING))?;
        let reactions = rows.iter().map(|row| reaction(name, row));
        let mut reactions = reactions.collect::<Result<Vec<_>>>()?;
        let newer = reactions.iter().position(|r| r.version > claim.version);
        reactions.truncate(newer.unwrap_or(reactions.len()));
        taken.push(DueKey {
            key,
            attempts: unsigned("attempts", get(row, 1)?)?,
            reactions,
        });
    }
    Ok(taken)
}

pub(super) async fn keep(
    tx: &mut Tx,
    name: &str,
    keys: &[String],
    owner: &str,
    lease: Duration,
) -> Result<()> {
    let keep = "UPDATE es_reaction_key SET owned_until = $4
                WHERE name = $1 AND owner = $2 AND key IN (SELECT value FROM json_each($3))";
    let keep = sqlx::query(keep).bind(name).bind(owner);
    let keep = keep.bind(serde_json::json!(keys).to_string());
    let kept = keep.bind(later(lease)).execute(&mut **tx).await;
    kept.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es_reaction_key SET owner = NULL, owned_until = NULL WHERE owner = $1";
    let released = sqlx::query(release).bind(owner).execute(&mut **tx).await;
    released.map_err(failed(WRITING))?;
    Ok(())
}

/// Answers the reaction, if it was there.
pub(super) async fn finish(
    tx: &mut Tx,
    id: &ReactionId,
    last: bool,
) -> Result<Option<DueReaction>> {
    let gone = "DELETE FROM es_reaction
                WHERE name = $1 AND key = $2 AND position = $3 AND part = $4 AND number = $5
                RETURNING key, position, part, number, version, family, payload";
    let gone = sqlx::query(gone)
        .bind(&id.projection)
        .bind(&id.key)
        .bind(signed("position", id.position.get())?)
        .bind(id.part)
        .bind(id.number);
    let gone = gone.fetch_optional(&mut **tx).await;
    let Some(gone) = gone.map_err(failed(WRITING))? else {
        return Ok(None);
    };
    let next = "UPDATE es_reaction_key SET pending = pending - 1, attempts = 0, failure = NULL,
                       failed_at = NULL, due = $3, owner = CASE WHEN $4 THEN NULL ELSE owner END
                WHERE name = $1 AND key = $2";
    let empty = "DELETE FROM es_reaction_key WHERE name = $1 AND key = $2 AND pending = 0";
    let next = sqlx::query(next).bind(&id.projection).bind(&id.key);
    let next = next.bind(now()).bind(last).execute(&mut **tx).await;
    next.map_err(failed(WRITING))?;
    let empty = sqlx::query(empty).bind(&id.projection).bind(&id.key);
    empty.execute(&mut **tx).await.map_err(failed(WRITING))?;
    reaction(&id.projection, &gone).map(Some)
}

pub(super) async fn postpone(tx: &mut Tx, postponed: &Postponed) -> Result<()> {
    let update = "UPDATE es_reaction_key
                  SET owner = NULL, owned_until = NULL, due = $4,
                      attempts = attempts + ($5 IS NOT NULL), failure = coalesce($5, failure),
                      failed_at = CASE WHEN $5 IS NULL THEN failed_at ELSE $6 END
                  WHERE name = $1 AND key = $2 AND owner = $3";
    let update = sqlx::query(update)
        .bind(&postponed.projection)
        .bind(&postponed.key)
        .bind(&postponed.owner)
        .bind(postponed.again.map(later))
        .bind(&postponed.failure)
        .bind(now());
    update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) const QUEUES: &str = "
    SELECT k.key, r.position, r.part, r.number, r.version, r.family, r.payload,
           k.pending, k.attempts, k.failure, k.failed_at, k.due
    FROM es_reaction_key k JOIN es_reaction r ON r.name = k.name AND r.key = k.key
     AND (r.position, r.part, r.number) =
         (SELECT position, part, number FROM es_reaction f WHERE f.name = k.name AND f.key = k.key
          ORDER BY position, part, number LIMIT 1)
    WHERE k.name = $1 AND ($2 IS NULL OR k.key > $2) ORDER BY k.key LIMIT $3";

pub(super) async fn queues(
    reader: &mut SqliteConnection,
    name: &str,
    after: Option<&str>,
    rows: usize,
) -> Result<Vec<ReactionQueue>> {
    let query = sqlx::query(QUEUES).bind(name).bind(after).bind(limit(rows));
    let rows = query.fetch_all(reader).await.map_err(failed(READING))?;
    let queue = |row: &SqliteRow| {
        let first = reaction(name, row)?;
        let (reason, at): (Option<String>, Option<i64>) = (get(row, 9)?, get(row, 10)?);
        let noted = |(reason, at)| Noted {
            reason,
            at: Timestamp::from_micros(at),
        };
        Ok(ReactionQueue {
            first: first.id,
            version: first.version,
            pending: unsigned("pending", get(row, 7)?)?,
            attempts: unsigned("attempts", get(row, 8)?)?,
            failure: reason.zip(at).map(noted),
            due: get::<Option<i64>>(row, 11)?.map(Timestamp::from_micros),
        })
    };
    rows.iter().map(queue).collect()
}

pub(super) async fn retry(tx: &mut Tx, name: &str, key: Option<&str>) -> Result<u64> {
    let retry = "UPDATE es_reaction_key SET due = $3, attempts = 0
                 WHERE name = $1 AND ($2 IS NULL OR key = $2) AND failure IS NOT NULL";
    let retry = sqlx::query(retry).bind(name).bind(key).bind(now());
    let retried = retry.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(retried.rows_affected())
}

pub(super) async fn give_up(tx: &mut Tx, id: &ReactionId, reason: &str, by: &str) -> Result<bool> {
    let Some(dropped) = finish(tx, id, false).await? else {
        return Ok(false);
    };
    let projection = dropped.projection();
    let state = life::state(tx, &projection).await?;
    let stands = dropped.stands(state);
    let stands = stands.ok_or_else(|| life::unknown(&projection))?;
    let entry = dropped.told(stands, reason, by, Timestamp::from_micros(now()));
    life::tell(tx, &entry).await?;
    Ok(true)
}
