//! Reactions that are still to be run.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row as _, Transaction};

use super::types::{Json, Moment, limit, number, position, signed, unsigned};
use super::{failed, life};
use crate::error::Result;
use crate::store::{
    DueKey, DueReaction, NewInput, NewReaction, Noted, Postponed, ReactionClaim, ReactionId,
    ReactionQueue,
};

type Tx = Transaction<'static, Postgres>;

const READING: &str = "reading reactions";
const WRITING: &str = "writing reactions";

fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(column).map_err(failed(READING))
}

/// A reaction whose key comes first in the row, then place, version, family and payload.
fn reaction(projection: &str, row: &PgRow) -> Result<DueReaction> {
    Ok(DueReaction {
        id: ReactionId {
            projection: projection.to_owned(),
            key: get(row, 0)?,
            position: position(get(row, 1)?)?,
            part: unsigned("part", get::<i32>(row, 2)?)?,
            number: unsigned("number", get::<i32>(row, 3)?)?,
        },
        version: unsigned("version", get::<i32>(row, 4)?)?,
        family: get(row, 5)?,
        payload: get(row, 6)?,
    })
}

const INSERT: &str = "
    INSERT INTO es.reaction (name, key, position, part, number, version, family, payload)
    SELECT $1, key, position, part, number, $2, family, payload
    FROM unnest($3::text[], $4::bigint[], $5::int[], $6::int[], $7::text[], $8::json[])
      AS new (key, position, part, number, family, payload)";

/// The rows are locked in the order of the keys: two who add to the same keys take turns. An
/// update, also of a row that is about to go: whoever takes the last reaction of a key waits.
const ADD_TO_KEYS: &str = "
    INSERT INTO es.reaction_key AS k (name, key, pending, due)
    SELECT $1, key, pending, clock_timestamp()
    FROM unnest($2::text[], $3::bigint[]) AS new (key, pending) ORDER BY key COLLATE \"C\"
    ON CONFLICT (name, key) DO UPDATE SET pending = k.pending + excluded.pending";

/// Adds reactions in the transaction of the events' cursor.
pub(super) async fn add(tx: &mut Tx, name: &str, version: u32, new: &[NewReaction]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut keys = BTreeMap::<&str, i64>::new();
    for new in new {
        *keys.entry(&new.key).or_default() += 1;
    }
    let version: i32 = signed("version", version)?;
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for new in new {
        columns.0.push(number(new.position)?);
        columns.1.push(signed::<i32, _>("part", new.part)?);
        columns.2.push(signed::<i32, _>("number", new.number)?);
    }
    let texts = |text: fn(&NewReaction) -> &str| new.iter().map(text).collect::<Vec<_>>();
    let insert = sqlx::query(INSERT)
        .bind(name)
        .bind(version)
        .bind(texts(|new| &new.key))
        .bind(columns.0)
        .bind(columns.1)
        .bind(columns.2)
        .bind(texts(|new| new.family))
        .bind(new.iter().map(|new| Json(&new.payload)).collect::<Vec<_>>());
    // First the keys, so that whoever empties one waits, and finds what is new.
    let (keys, pending): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    let add = sqlx::query(ADD_TO_KEYS).bind(name);
    let add = add.bind(keys).bind(pending).execute(&mut **tx).await;
    add.map_err(failed(WRITING))?;
    insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

/// Adds inputs in the transaction of a consumer's cursor, each behind those that wait for its key.
pub(in crate::store) async fn add_inputs(tx: &mut Tx, name: &str, new: &[NewInput]) -> Result<()> {
    const BEHIND: &str = "
        INSERT INTO es.reaction (name, key, position, part, number, version, family, payload)
        SELECT $1, $2, coalesce(max(position), 0) + 1, $3, $4, 1, $5, $6
        FROM es.reaction WHERE name = $1 AND key = $2";
    for new in new {
        let (part, number) = new.part_and_number();
        // The key is locked first: whoever adds to it meanwhile waits, and then sees this.
        let add = sqlx::query(ADD_TO_KEYS).bind(name);
        let add = add.bind(vec![&*new.key]).bind(vec![1_i64]);
        add.execute(&mut **tx).await.map_err(failed(WRITING))?;
        let insert = sqlx::query(BEHIND).bind(name).bind(&new.key);
        let insert = insert.bind(signed::<i32, _>("part", part)?);
        let insert = insert.bind(signed::<i32, _>("number", number)?);
        let insert = insert.bind(new.family).bind(Json(&new.payload));
        insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

/// Whether it is worth it to look closer.
pub(super) async fn any_due(connection: &mut PgConnection, projection: &str) -> Result<bool> {
    let any = "SELECT EXISTS (SELECT FROM es.reaction_key
               WHERE name = $1 AND due <= clock_timestamp()
                 AND (owner IS NULL OR owned_until <= clock_timestamp()))";
    let any = sqlx::query_scalar(any).bind(projection);
    any.fetch_one(connection).await.map_err(failed(READING))
}

/// All in one statement: what is taken is what was there at one moment. None if somebody else was
/// made to react since the lineage was read.
pub(super) const CLAIM: &str = "
    WITH due AS (
      SELECT key FROM es.reaction_key k
      WHERE name = $1 AND due <= clock_timestamp()
        AND (owner IS NULL OR owned_until <= clock_timestamp())
        AND (SELECT version <= $2 AND position <= $3 FROM es.reaction r
             WHERE r.name = k.name AND r.key = k.key ORDER BY position, part, number LIMIT 1)
        AND NOT EXISTS (SELECT FROM es.handover
                        WHERE kind = 'read-model' AND name = $1 AND after > $4)
      ORDER BY due LIMIT $5 FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE es.reaction_key k
      SET owner = $6, owned_until = clock_timestamp() + make_interval(secs => $7)
      FROM due WHERE k.name = $1 AND k.key = due.key RETURNING k.key, k.attempts
    )
    SELECT r.key, r.position, r.part, r.number, r.version, r.family, r.payload::text, t.attempts
    FROM taken t CROSS JOIN LATERAL (
      SELECT * FROM es.reaction r WHERE r.name = $1 AND r.key = t.key AND r.position <= $3
      ORDER BY r.position, r.part, r.number LIMIT $8
    ) r ORDER BY r.key, r.position, r.part, r.number";

pub(super) async fn claim(tx: &mut Tx, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
    let name = &claim.projection;
    let lineage = life::read(tx, &claim.all(), life::CURSORS).await?;
    let settled = lineage.settled().map_or(Ok(i64::MAX), number)?;
    let last = lineage
        .handovers
        .last()
        .map_or(Ok(0), |l| number(l.after))?;
    let rows = sqlx::query(CLAIM)
        .bind(name)
        .bind(signed::<i32, _>("version", claim.version)?)
        .bind(settled)
        .bind(last)
        .bind(limit(claim.keys))
        .bind(&claim.owner)
        .bind(claim.lease.as_secs_f64())
        .bind(limit(claim.each))
        .fetch_all(&mut **tx)
        .await;
    let mut taken: Vec<DueKey> = Vec::new();
    for row in &rows.map_err(failed(READING))? {
        let reaction = reaction(name, row)?;
        match taken.last_mut() {
            Some(last) if last.key == reaction.id.key => last.reactions.push(reaction),
            _ => taken.push(DueKey {
                key: reaction.id.key.clone(),
                attempts: unsigned("attempts", get::<i32>(row, 7)?)?,
                reactions: vec![reaction],
            }),
        }
    }
    for DueKey { reactions, .. } in &mut taken {
        let newer = reactions.iter().position(|r| r.version > claim.version);
        reactions.truncate(newer.unwrap_or(reactions.len()));
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
    let keep = "UPDATE es.reaction_key
                SET owned_until = clock_timestamp() + make_interval(secs => $4)
                WHERE name = $1 AND owner = $2 AND key = ANY($3)";
    let keep = sqlx::query(keep).bind(name).bind(owner).bind(keys);
    let kept = keep.bind(lease.as_secs_f64()).execute(&mut **tx).await;
    kept.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es.reaction_key SET owner = NULL, owned_until = NULL WHERE owner = $1";
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
    let gone = "DELETE FROM es.reaction
                WHERE name = $1 AND key = $2 AND position = $3 AND part = $4 AND number = $5
                RETURNING key, position, part, number, version, family, payload::text";
    let gone = sqlx::query(gone)
        .bind(&id.projection)
        .bind(&id.key)
        .bind(number(id.position)?)
        .bind(signed::<i32, _>("part", id.part)?)
        .bind(signed::<i32, _>("number", id.number)?);
    let gone = gone.fetch_optional(&mut **tx).await;
    let Some(gone) = gone.map_err(failed(WRITING))? else {
        return Ok(None);
    };
    // Whoever adds to the key waits from here on.
    let next = "UPDATE es.reaction_key SET pending = pending - 1, attempts = 0, failure = NULL,
                       failed_at = NULL, due = clock_timestamp(),
                       owner = CASE WHEN $3 THEN NULL ELSE owner END
                WHERE name = $1 AND key = $2";
    let empty = "DELETE FROM es.reaction_key WHERE name = $1 AND key = $2 AND pending = 0";
    let next = sqlx::query(next).bind(&id.projection).bind(&id.key);
    let next = next.bind(last).execute(&mut **tx).await;
    next.map_err(failed(WRITING))?;
    let empty = sqlx::query(empty).bind(&id.projection).bind(&id.key);
    empty.execute(&mut **tx).await.map_err(failed(WRITING))?;
    reaction(&id.projection, &gone).map(Some)
}

pub(super) async fn postpone(tx: &mut Tx, postponed: &Postponed) -> Result<()> {
    let update = "UPDATE es.reaction_key
                  SET owner = NULL, owned_until = NULL,
                      due = clock_timestamp() + make_interval(secs => $4),
                      attempts = attempts + ($5::text IS NOT NULL)::int,
                      failure = coalesce($5, failure),
                      failed_at = CASE WHEN $5 IS NULL THEN failed_at ELSE clock_timestamp() END
                  WHERE name = $1 AND key = $2 AND owner = $3";
    let update = sqlx::query(update)
        .bind(&postponed.projection)
        .bind(&postponed.key)
        .bind(&postponed.owner)
        .bind(postponed.again.map(|again| again.as_secs_f64()))
        .bind(&postponed.failure);
    update.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) const QUEUES: &str = "
    SELECT k.key, r.position, r.part, r.number, r.version, r.family, r.payload::text,
           k.pending, k.attempts, k.failure, k.failed_at, k.due
    FROM es.reaction_key k CROSS JOIN LATERAL (
      SELECT * FROM es.reaction r WHERE r.name = k.name AND r.key = k.key
      ORDER BY r.position, r.part, r.number LIMIT 1
    ) r
    WHERE k.name = $1 AND ($2::text IS NULL OR k.key > $2) ORDER BY k.key LIMIT $3";

pub(super) async fn queues(
    connection: &mut PgConnection,
    name: &str,
    after: Option<&str>,
    rows: usize,
) -> Result<Vec<ReactionQueue>> {
    let query = sqlx::query(QUEUES).bind(name).bind(after).bind(limit(rows));
    let rows = query.fetch_all(connection).await.map_err(failed(READING))?;
    let queue = |row: &PgRow| {
        let first = reaction(name, row)?;
        let (reason, at): (Option<String>, Option<Moment>) = (get(row, 9)?, get(row, 10)?);
        let noted = |(reason, at): (_, Moment)| Noted { reason, at: at.0 };
        Ok(ReactionQueue {
            first: first.id,
            version: first.version,
            pending: unsigned("pending", get::<i64>(row, 7)?)?,
            attempts: unsigned("attempts", get::<i32>(row, 8)?)?,
            failure: reason.zip(at).map(noted),
            due: get::<Option<Moment>>(row, 11)?.map(|due| due.0),
        })
    };
    rows.iter().map(queue).collect()
}

pub(super) async fn retry(tx: &mut Tx, name: &str, key: Option<&str>) -> Result<u64> {
    let retry = "UPDATE es.reaction_key SET due = clock_timestamp(), attempts = 0
                 WHERE name = $1 AND ($2::text IS NULL OR key = $2) AND failure IS NOT NULL";
    let retry = sqlx::query(retry).bind(name).bind(key);
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
    let now = sqlx::query_scalar("SELECT clock_timestamp()");
    let now: Moment = now.fetch_one(&mut **tx).await.map_err(failed(READING))?;
    life::tell(tx, &dropped.told(stands, reason, by, now.0)).await?;
    Ok(true)
}
