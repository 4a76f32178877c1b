//! Timers that have not fired yet.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use super::{failed, limit, unsigned};
use crate::error::{Error, Result};
use crate::event::{Clock, CommandId, SystemClock, Timestamp};
use crate::store::{Noted, ProjectionId, Timer, TimerChange, TimerPlace, last_changes};

type Tx = Transaction<'static, Sqlite>;

const READING: &str = "reading timers";
const WRITING: &str = "writing timers";

/// Each takes six parameters, of which SQLite takes 32,766.
const AT_ONCE: usize = 4000;

fn bytes(id: CommandId) -> Vec<u8> {
    id.as_u128().to_be_bytes().to_vec()
}

/// Sets and cancels timers in the transaction of the process's cursor.
pub(super) async fn change(tx: &mut Tx, process: &str, changes: &[TimerChange]) -> Result<()> {
    let (set, gone) = last_changes(changes);
    for timers in set.chunks(AT_ONCE) {
        let into = "INSERT INTO es_timer (process, key, name, due, command_id, payload) ";
        let mut insert = QueryBuilder::<Sqlite>::new(into);
        insert.push_values(timers, |mut values, timer| {
            let TimerPlace { due, key, name } = &timer.place;
            values.push_bind(process).push_bind(key).push_bind(name);
            values.push_bind(due.as_micros());
            values
                .push_bind(bytes(timer.command_id))
                .push_bind(&timer.payload);
        });
        insert.push(
            " ON CONFLICT DO UPDATE SET due = excluded.due, command_id = excluded.command_id,
                payload = excluded.payload, attempts = 0, failure = NULL, failed_at = NULL",
        );
        let inserted = insert.build().execute(&mut **tx).await;
        inserted.map_err(failed(WRITING))?;
    }
    if gone.is_empty() {
        return Ok(());
    }
    let cancel = "DELETE FROM es_timer WHERE process = $1 AND (key, name) IN
                    (SELECT value->>0, value->>1 FROM json_each($2))";
    let cancel = sqlx::query(cancel).bind(process);
    let cancel = cancel.bind(serde_json::json!(gone).to_string());
    cancel.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn clear(tx: &mut Tx, process: &ProjectionId) -> Result<()> {
    let clear = sqlx::query("DELETE FROM es_timer WHERE process = $1").bind(&process.name);
    clear.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) const LIST: &str = "
    SELECT due, key, name, command_id, payload, attempts, failure, failed_at FROM es_timer
    WHERE process = $1 AND (due, key, name) > ($2, $3, $4) ORDER BY due, key, name LIMIT $5";

pub(super) async fn list(
    readers: &SqlitePool,
    process: &str,
    after: Option<&TimerPlace>,
    rows: usize,
) -> Result<Vec<Timer>> {
    let start = TimerPlace::default();
    let TimerPlace { due, key, name } = after.unwrap_or(&start);
    let list = sqlx::query(LIST).bind(process).bind(due.as_micros());
    let list = list.bind(key).bind(name).bind(limit(rows));
    let rows = list.fetch_all(readers).await.map_err(failed(READING))?;
    rows.iter().map(timer).collect()
}

fn timer(row: &SqliteRow) -> Result<Timer> {
    let micros = |column| row.try_get::<i64, _>(column).map_err(failed(READING));
    let text = |column| row.try_get::<String, _>(column).map_err(failed(READING));
    let id: &[u8] = row.try_get(3).map_err(failed(READING))?;
    let id = <[u8; 16]>::try_from(id).map_err(|error| Error::database(READING, error))?;
    let reason: Option<String> = row.try_get(6).map_err(failed(READING))?;
    let at: Option<i64> = row.try_get(7).map_err(failed(READING))?;
    let noted = |(reason, at)| Noted {
        reason,
        at: Timestamp::from_micros(at),
    };
    Ok(Timer {
        place: TimerPlace {
            due: Timestamp::from_micros(micros(0)?),
            key: text(1)?,
            name: text(2)?,
        },
        command_id: CommandId::from_u128(u128::from_be_bytes(id)),
        payload: text(4)?,
        attempts: unsigned("attempts", micros(5)?)?,
        failure: reason.zip(at).map(noted),
    })
}

/// Takes away those that were not set anew since.
pub(super) async fn finish(tx: &mut Tx, process: &str, fired: &[Timer]) -> Result<()> {
    let fired: Vec<_> = fired
        .iter()
        .map(|timer| {
            let TimerPlace { key, name, .. } = &timer.place;
            (key, name, hex::encode(bytes(timer.command_id)))
        })
        .collect();
    let finish = "DELETE FROM es_timer WHERE process = $1 AND (key, name, command_id) IN
                    (SELECT value->>0, value->>1, unhex(value->>2) FROM json_each($2))";
    let finish = sqlx::query(finish).bind(process);
    let finish = finish.bind(serde_json::json!(fired).to_string());
    finish.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn note_failure(
    tx: &mut Tx,
    process: &str,
    timer: &Timer,
    reason: &str,
) -> Result<()> {
    let note = "UPDATE es_timer SET attempts = attempts + 1, failure = $5, failed_at = $6
                WHERE process = $1 AND key = $2 AND name = $3 AND command_id = $4";
    let TimerPlace { key, name, .. } = &timer.place;
    let note = sqlx::query(note).bind(process).bind(key).bind(name);
    let note = note.bind(bytes(timer.command_id)).bind(reason);
    let noted = note.bind(SystemClock.now().as_micros()).execute(&mut **tx);
    noted.await.map_err(failed(WRITING))?;
    Ok(())
}
