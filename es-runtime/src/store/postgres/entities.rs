//! Entities whose events are handled ahead of the others.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Transaction};

use super::failed;
use super::inboxes::{about, get, run};
use super::types::{number, position, signed, unsigned};
use crate::error::{Error, Result};
use crate::store::{InboxEntity, InboxId};

const READING: &str = "reading an inbox";

type Tx = Transaction<'static, Postgres>;

pub(super) const ENTITIES: &str = "
    SELECT subject, position, handled, passed, asked, answered, failure,
           greatest(extract(epoch FROM clock_timestamp() - answered_at)::float8, 0), mended
    FROM es.inbox_entity WHERE consumer = $1 AND stream = $2 AND version = $3 ORDER BY subject";

pub(super) async fn list(
    connection: &mut PgConnection,
    inbox: &InboxId,
) -> Result<Vec<InboxEntity>> {
    let rows = about(ENTITIES, inbox)?.fetch_all(connection).await;
    let hash = |row: &PgRow, column| {
        let hash: &[u8] = get(row, column)?;
        hash.try_into()
            .map_err(|error| Error::database(READING, error))
    };
    let entity = |row: &PgRow| {
        let since = Duration::try_from_secs_f64(get(row, 7)?);
        Ok(InboxEntity {
            subject: get(row, 0)?,
            until: position(get(row, 1)?)?,
            handled: hash(row, 2)?,
            passed: hash(row, 3)?,
            asked: unsigned("asked", get::<i64>(row, 4)?)?,
            answered: unsigned("answered", get::<i64>(row, 5)?)?,
            failure: get(row, 6)?,
            mended: get(row, 8)?,
            since: since.unwrap_or_default(),
        })
    };
    rows.map_err(failed(READING))?.iter().map(entity).collect()
}

/// Asks for an entity once more, and answers how often that was.
pub(super) async fn ask(tx: &mut Tx, inbox: &InboxId, subject: &str) -> Result<u64> {
    const ASK: &str = "
        INSERT INTO es.inbox_entity AS e (consumer, stream, version, subject, position, handled,
                                          passed, asked, answered, answered_at)
        VALUES ($1, $2, $3, $4, 0, $5, $5, 1, 0, clock_timestamp())
        ON CONFLICT (consumer, stream, version, subject) DO UPDATE SET asked = e.asked + 1
        RETURNING asked";
    let ask = about(ASK, inbox)?.bind(subject).bind(&[0_u8; 32][..]);
    let row = ask
        .fetch_one(&mut **tx)
        .await
        .map_err(failed("asking for an entity"))?;
    unsigned("asked", get::<i64>(&row, 0)?)
}

/// Notes that its effects are mended, and answers 0 if it is not known.
pub(super) async fn mend(tx: &mut Tx, inbox: &InboxId, subject: &str) -> Result<u64> {
    const MEND: &str = "
        UPDATE es.inbox_entity SET mended = true
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND subject = $4";
    run(tx, about(MEND, inbox)?.bind(subject)).await
}

/// Writes what became of an entity; `false` if it is not what the mover believes.
pub(super) async fn write(
    tx: &mut Tx,
    inbox: &InboxId,
    was: &InboxEntity,
    now: Option<&InboxEntity>,
) -> Result<bool> {
    const FORGET: &str = "
        DELETE FROM es.inbox_entity
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND subject = $4
          AND position = $5 AND passed = $6 AND answered = $7 AND asked = $8";
    const CHANGE: &str = "
        UPDATE es.inbox_entity
        SET position = $8, handled = $9, passed = $10, answered = $11, failure = $12,
            answered_at = CASE WHEN answered = $11 THEN answered_at ELSE clock_timestamp() END
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND subject = $4
          AND position = $5 AND passed = $6 AND answered = $7";
    let statement = if now.is_some() { CHANGE } else { FORGET };
    let change = about(statement, inbox)?.bind(&was.subject);
    let change = change.bind(number(was.until)?).bind(&was.passed[..]);
    let change = change.bind(signed::<i64, _>("answered", was.answered)?);
    let change = match now {
        None => change.bind(signed::<i64, _>("asked", was.asked)?),
        Some(now) => change
            .bind(number(now.until)?)
            .bind(&now.handled[..])
            .bind(&now.passed[..])
            .bind(signed::<i64, _>("answered", now.answered)?)
            .bind(&now.failure),
    };
    Ok(run(tx, change).await? == 1)
}
