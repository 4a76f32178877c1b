//! Consumers that move from one version of a stream to another.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row as _, Transaction};

use super::failed;
use super::inboxes::{PARTS, PARTS_ALONE, about, alone, division, enqueue, keys, replace, run};
use super::types::{Moment, number, signed, unsigned};
use crate::error::Result;
use crate::store::inbox::Division;
use crate::store::sql::inbox_worker;
use crate::store::{
    Advanced, CarriedKey, InboxClaim, InboxId, InboxTakeover, InboxVersions, StreamVersion,
};

type Tx = Transaction<'static, Postgres>;

const READING: &str = "reading a consumer's inboxes";

/// The inbox of another version.
pub(super) fn other(inbox: &InboxId, version: u32) -> InboxId {
    let stream = inbox.stream.stream.clone();
    InboxId {
        consumer: inbox.consumer.clone(),
        stream: StreamVersion { stream, version },
    }
}

/// The inboxes of all versions, and who takes over from older ones.
pub(super) async fn versions(
    connection: &mut PgConnection,
    inbox: &InboxId,
) -> Result<InboxVersions> {
    const VERSIONS: &str =
        "SELECT DISTINCT version FROM es.inbox WHERE consumer = $1 AND stream = $2";
    const MOVERS: &str = "
        SELECT version, slice_from FROM es.worker
        WHERE kind = 'mover' AND name = $1 AND until > clock_timestamp()";
    let versions = sqlx::query_scalar::<_, i32>(VERSIONS)
        .bind(&inbox.consumer)
        .bind(&inbox.stream.stream)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(READING))?;
    let mut all = InboxVersions::default();
    for version in versions {
        let version = unsigned("version", version)?;
        let division = division(connection, PARTS, &other(inbox, version)).await?;
        all.inboxes.insert(version, division.version());
    }
    let movers = sqlx::query(MOVERS).bind(inbox_worker(inbox));
    let movers = movers.fetch_all(connection).await;
    let pair = |row: &PgRow| {
        let number = |column| row.try_get::<i32, _>(column).map_err(failed(READING));
        let oldest = unsigned("slice_from", number(1)?)?;
        Ok((unsigned("version", number(0)?)?, oldest))
    };
    let movers = movers.map_err(failed(READING))?;
    all.movers = movers.iter().map(pair).collect::<Result<_>>()?;
    Ok(all)
}

/// Makes known that the claimer takes over from older versions, which never begin anew then.
pub(super) async fn moves(tx: &mut Tx, claim: &InboxClaim, oldest: u32) -> Result<()> {
    const MOVES: &str = "
        INSERT INTO es.worker (kind, name, version, slice_from, who, until)
        VALUES ('mover', $1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
        ON CONFLICT (kind, name, version, slice_from, who) DO UPDATE SET until = excluded.until";
    const MOVED: &str = "
        DELETE FROM es.worker WHERE kind = 'mover' AND name = $1 AND until <= clock_timestamp()";
    let name = inbox_worker(&claim.inbox);
    let moves = sqlx::query(MOVES).bind(name.clone());
    let moves = moves.bind(signed::<i32, _>("version", claim.inbox.stream.version)?);
    let moves = moves.bind(signed::<i32, _>("version", oldest)?);
    let moves = moves.bind(&claim.owner).bind(claim.lease.as_secs_f64());
    run(tx, moves).await?;
    run(tx, sqlx::query(MOVED).bind(name)).await?;
    Ok(())
}

/// The inboxes of older versions that never were: who rolls back finds where it is.
pub(super) async fn older(tx: &mut Tx, inbox: &InboxId, oldest: u32) -> Result<()> {
    let version = inbox.stream.version;
    let known = versions(tx, inbox).await?.inboxes;
    for older in (oldest..version).filter(|older| !known.contains_key(older)) {
        replace(tx, &other(inbox, older), &Division::never(version)).await?;
    }
    Ok(())
}

/// Takes an inbox over, if everything is as the taker believes.
pub(super) async fn take_over(tx: &mut Tx, takeover: &InboxTakeover) -> Result<Advanced> {
    const KEYS_ALONE: &str = "
        SELECT 1 FROM es.inbox_key WHERE consumer = $1 AND stream = $2 AND version = $3
        ORDER BY key FOR UPDATE";
    const NO_KEYS: &str =
        "DELETE FROM es.inbox_key WHERE consumer = $1 AND stream = $2 AND version = $3";
    const NO_EVENTS: &str =
        "DELETE FROM es.inbox_event WHERE consumer = $1 AND stream = $2 AND version = $3";
    let (own, from) = (&takeover.inbox, other(&takeover.inbox, takeover.from));
    alone(tx).await?;
    let mut closed = division(tx, PARTS_ALONE, &from).await?;
    division(tx, PARTS_ALONE, own).await?;
    run(tx, about(KEYS_ALONE, &from)?).await?;
    let aside = keys(tx, &from, None, usize::MAX).await?;
    let Some(parts) = versions(tx, own).await?.take_over(takeover, &aside) else {
        return Ok(Advanced::Fenced);
    };
    closed.close(own.stream.version);
    replace(tx, &from, &closed).await?;
    replace(tx, own, &Division::of(parts)).await?;
    for inbox in [&from, own] {
        run(tx, about(NO_KEYS, inbox)?).await?;
        run(tx, about(NO_EVENTS, inbox)?).await?;
    }
    for key in &takeover.carried {
        carry(tx, own, key).await?;
    }
    Ok(Advanced::Moved)
}

async fn carry(tx: &mut Tx, inbox: &InboxId, carried: &CarriedKey) -> Result<()> {
    const KEY: &str = "
        INSERT INTO es.inbox_key (consumer, stream, version, key, position, reason, attempts, since,
                                  failed_at, due, waiting)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), $10)";
    let first = carried.events.first().map(|held| held.position);
    let key = about(KEY, inbox)?.bind(&carried.key);
    let key = key.bind(number(first.unwrap_or_default())?);
    let key = key.bind(&carried.reason);
    let key = key.bind(signed::<i32, _>("attempts", carried.attempts)?);
    let key = key.bind(Moment(carried.since));
    let key = key.bind(Moment(carried.failed_at));
    let waiting: i64 = signed("events", carried.events.len())?;
    run(tx, key.bind(waiting)).await?;
    enqueue(tx, inbox, &carried.key, &carried.events).await
}
