//! Consumers that move from one version of a stream to another.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use super::inboxes::{about, division, enqueue, keys, replace, run};
use super::instances::micros;
use super::{failed, signed, unsigned};
use crate::error::Result;
use crate::event::{Clock, SystemClock};
use crate::store::inbox::Division;
use crate::store::sql::inbox_worker;
use crate::store::{
    Advanced, CarriedKey, InboxClaim, InboxId, InboxTakeover, InboxVersions, StreamVersion,
};

type Tx = Transaction<'static, Sqlite>;

const READING: &str = "reading a consumer's inboxes";

/// The inbox of another version.
pub(super) fn other(inbox: &InboxId, version: u32) -> InboxId {
    let stream = inbox.stream.stream.clone();
    InboxId {
        consumer: inbox.consumer.clone(),
        stream: StreamVersion { stream, version },
    }
}

pub(super) const VERSIONS: &str =
    "SELECT DISTINCT version FROM es_inbox WHERE consumer = $1 AND stream = $2";

pub(super) const MOVERS: &str = "
    SELECT version, slice_from FROM es_worker WHERE kind = 'mover' AND name = $1 AND until > $2";

/// The inboxes of all versions, and who takes over from older ones.
pub(super) async fn versions(
    connection: &mut SqliteConnection,
    inbox: &InboxId,
) -> Result<InboxVersions> {
    let versions = sqlx::query_scalar::<_, i64>(VERSIONS)
        .bind(&inbox.consumer)
        .bind(&inbox.stream.stream)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(READING))?;
    let mut all = InboxVersions::default();
    for version in versions {
        let version = unsigned("version", version)?;
        let division = division(connection, &other(inbox, version)).await?;
        all.inboxes.insert(version, division.version());
    }
    let movers = sqlx::query(MOVERS)
        .bind(inbox_worker(inbox))
        .bind(SystemClock.now().as_micros())
        .fetch_all(connection)
        .await
        .map_err(failed(READING))?;
    let mut pairs = BTreeSet::new();
    for row in &movers {
        let number = |column| row.try_get::<i64, _>(column).map_err(failed(READING));
        let oldest = unsigned("slice_from", number(1)?)?;
        pairs.insert((unsigned("version", number(0)?)?, oldest));
    }
    all.movers = pairs;
    Ok(all)
}

/// Makes known that the claimer takes over from older versions, which never begin anew then.
pub(super) async fn moves(tx: &mut Tx, claim: &InboxClaim, oldest: u32) -> Result<()> {
    const MOVES: &str = "
        INSERT INTO es_worker (kind, name, version, slice_from, who, until)
        VALUES ('mover', $1, $2, $3, $4, $5)
        ON CONFLICT (kind, name, version, slice_from, who) DO UPDATE SET until = excluded.until";
    const MOVED: &str = "DELETE FROM es_worker WHERE kind = 'mover' AND name = $1 AND until <= $2";
    let now = SystemClock.now().as_micros();
    let name = inbox_worker(&claim.inbox);
    let moves = sqlx::query(MOVES).bind(name.clone());
    let moves = moves.bind(claim.inbox.stream.version).bind(oldest);
    let until = now.saturating_add(micros(claim.lease));
    run(tx, moves.bind(&claim.owner).bind(until)).await?;
    run(tx, sqlx::query(MOVED).bind(name).bind(now)).await?;
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
    const NO_KEYS: &str = "
        DELETE FROM es_inbox_key WHERE consumer = $1 AND stream = $2 AND version = $3";
    const NO_EVENTS: &str = "
        DELETE FROM es_inbox_event WHERE consumer = $1 AND stream = $2 AND version = $3";
    let (own, from) = (&takeover.inbox, other(&takeover.inbox, takeover.from));
    let aside = keys(tx, &from, None, usize::MAX).await?;
    let Some(parts) = versions(tx, own).await?.take_over(takeover, &aside) else {
        return Ok(Advanced::Fenced);
    };
    let mut closed = division(tx, &from).await?;
    closed.close(own.stream.version);
    replace(tx, &from, &closed).await?;
    replace(tx, own, &Division::of(parts)).await?;
    for inbox in [&from, own] {
        run(tx, about(NO_KEYS, inbox)).await?;
        run(tx, about(NO_EVENTS, inbox)).await?;
    }
    for key in &takeover.carried {
        carry(tx, own, key).await?;
    }
    Ok(Advanced::Moved)
}

async fn carry(tx: &mut Tx, inbox: &InboxId, carried: &CarriedKey) -> Result<()> {
    const KEY: &str = "
        INSERT INTO es_inbox_key (consumer, stream, version, key, position, reason, attempts, since,
                                  failed_at, due, waiting)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let first = carried.events.first().map(|held| held.position);
    let key = about(KEY, inbox).bind(&carried.key);
    let key = key.bind(signed("position", first.unwrap_or_default().get())?);
    let key = key.bind(&carried.reason).bind(carried.attempts);
    let key = key.bind(carried.since.as_micros());
    let key = key.bind(carried.failed_at.as_micros());
    let key = key.bind(SystemClock.now().as_micros());
    let waiting = signed("events", carried.events.len() as u64)?;
    run(tx, key.bind(waiting)).await?;
    enqueue(tx, inbox, &carried.key, &carried.events).await
}
