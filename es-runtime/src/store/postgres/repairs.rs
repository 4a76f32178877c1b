//! Ranges whose events are to be handled again.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Transaction};

use super::failed;
use super::inboxes::{about, get, run};
use super::types::{number, position, signed, unsigned};
use crate::error::{Error, Result};
use crate::event::Position;
use crate::store::{InboxId, InboxRepair, StreamCursor};

const READING: &str = "reading an inbox";

type Tx = Transaction<'static, Postgres>;

pub(super) const REPAIRS: &str = "
    SELECT number, slice_from, slice_to, position, hash, after, until, done, failure
    FROM es.inbox_repair WHERE consumer = $1 AND stream = $2 AND version = $3
    ORDER BY number, slice_from";

pub(super) async fn list(
    connection: &mut PgConnection,
    inbox: &InboxId,
) -> Result<Vec<InboxRepair>> {
    let rows = about(REPAIRS, inbox)?.fetch_all(connection).await;
    let repair = |row: &PgRow| {
        let hash: &[u8] = get(row, 4)?;
        let broken = |error| Error::database(READING, error);
        let slice = |column| unsigned("slice", get::<i32>(row, column)?);
        Ok(InboxRepair {
            number: unsigned("number", get::<i64>(row, 0)?)?,
            slices: slice(1)?..slice(2)?,
            from: StreamCursor {
                position: position(get(row, 3)?)?,
                hash: hash.try_into().map_err(broken)?,
            },
            after: position(get(row, 5)?)?,
            until: position(get(row, 6)?)?,
            done: get(row, 7)?,
            failure: get(row, 8)?,
        })
    };
    rows.map_err(failed(READING))?.iter().map(repair).collect()
}

/// Asks for a repair of each part, and forgets those that are done.
pub(super) async fn ask(
    tx: &mut Tx,
    inbox: &InboxId,
    from: StreamCursor,
    after: Position,
    until: Position,
) -> Result<u64> {
    const LAST: &str = "
        SELECT coalesce(max(number), 0) FROM es.inbox_repair
        WHERE consumer = $1 AND stream = $2 AND version = $3";
    const DONE: &str = "
        DELETE FROM es.inbox_repair
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND done";
    const ASK: &str = "
        INSERT INTO es.inbox_repair (consumer, stream, version, number, slice_from, slice_to,
                                     position, hash, after, until)
        SELECT consumer, stream, version, $4, slice_from, slice_to, $5, $6, $7, $8 FROM es.inbox
        WHERE consumer = $1 AND stream = $2 AND version = $3";
    let last = about(LAST, inbox)?.fetch_one(&mut **tx).await;
    let last: i64 = get(&last.map_err(failed("asking for a repair"))?, 0)?;
    run(tx, about(DONE, inbox)?).await?;
    let ask = about(ASK, inbox)?.bind(last + 1);
    let ask = ask.bind(number(from.position)?).bind(&from.hash[..]);
    let ask = ask.bind(number(after)?).bind(number(until)?);
    run(tx, ask).await?;
    unsigned("number", last + 1)
}

/// Notes that a part is done; `false` if nobody asked for it any more.
pub(super) async fn done(
    tx: &mut Tx,
    inbox: &InboxId,
    number: u64,
    slice: &u16,
    failure: Option<&str>,
) -> Result<bool> {
    const REPAIRED: &str = "
        UPDATE es.inbox_repair SET done = true, failure = $6
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND number = $4 AND slice_from = $5
          AND NOT done";
    let done = about(REPAIRED, inbox)?
        .bind(signed::<i64, _>("number", number)?)
        .bind(i32::from(*slice));
    Ok(run(tx, done.bind(failure)).await? == 1)
}

/// Forgets what was asked of parts that are not there any more.
pub(super) async fn forget(tx: &mut Tx, inbox: &InboxId) -> Result<()> {
    const FORGET: &str = "
        DELETE FROM es.inbox_repair
        WHERE consumer = $1 AND stream = $2 AND version = $3 AND NOT done";
    run(tx, about(FORGET, inbox)?).await.map(drop)
}
