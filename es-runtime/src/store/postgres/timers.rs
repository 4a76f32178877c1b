//! Timers that have not fired yet.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::failed;
use super::types::{Json, Moment, limit, unsigned};
use crate::error::Result;
use crate::event::CommandId;
use crate::store::{Noted, ProjectionId, Timer, TimerChange, TimerPlace, last_changes};

type Tx = Transaction<'static, Postgres>;

const READING: &str = "reading timers";
const WRITING: &str = "writing timers";

fn uuid(id: CommandId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}

const SET: &str = "
    INSERT INTO es.timer (process, key, name, due, command_id, payload)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::json[])
    ON CONFLICT (process, key, name) DO UPDATE
      SET due = excluded.due, command_id = excluded.command_id, payload = excluded.payload,
          attempts = 0, failure = NULL, failed_at = NULL";

/// Sets and cancels timers in the transaction of the process's cursor.
pub(super) async fn change(tx: &mut Tx, process: &str, changes: &[TimerChange]) -> Result<()> {
    let (set, gone) = last_changes(changes);
    if !set.is_empty() {
        let places = || set.iter().map(|timer| &timer.place);
        let insert = sqlx::query(SET)
            .bind(process)
            .bind(places().map(|place| &*place.key).collect::<Vec<_>>())
            .bind(places().map(|place| &*place.name).collect::<Vec<_>>())
            .bind(places().map(|place| Moment(place.due)).collect::<Vec<_>>())
            .bind(
                set.iter()
                    .map(|timer| uuid(timer.command_id))
                    .collect::<Vec<_>>(),
            )
            .bind(
                set.iter()
                    .map(|timer| Json(&timer.payload))
                    .collect::<Vec<_>>(),
            );
        insert.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    if !gone.is_empty() {
        let (keys, names): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
        let cancel = "DELETE FROM es.timer WHERE process = $1 AND (key, name) IN
                        (SELECT * FROM unnest($2::text[], $3::text[]))";
        let cancel = sqlx::query(cancel).bind(process).bind(keys).bind(names);
        cancel.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

pub(super) async fn clear(tx: &mut Tx, process: &ProjectionId) -> Result<()> {
    let clear = sqlx::query("DELETE FROM es.timer WHERE process = $1").bind(&process.name);
    clear.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) const LIST: &str = "
    SELECT due, key, name, command_id, payload::text, attempts, failure, failed_at FROM es.timer
    WHERE process = $1 AND (due, key, name) > ($2, $3, $4) ORDER BY due, key, name LIMIT $5";

pub(super) async fn list(
    connection: &mut PgConnection,
    process: &str,
    after: Option<&TimerPlace>,
    rows: usize,
) -> Result<Vec<Timer>> {
    let start = TimerPlace::default();
    let TimerPlace { due, key, name } = after.unwrap_or(&start);
    let list = sqlx::query(LIST).bind(process).bind(Moment(*due));
    let list = list.bind(key).bind(name).bind(limit(rows));
    let rows = list.fetch_all(connection).await.map_err(failed(READING))?;
    rows.iter().map(timer).collect()
}

fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(column).map_err(failed(READING))
}

fn timer(row: &PgRow) -> Result<Timer> {
    let (reason, at): (Option<String>, Option<Moment>) = (get(row, 6)?, get(row, 7)?);
    let noted = |(reason, Moment(at))| Noted { reason, at };
    Ok(Timer {
        place: TimerPlace {
            due: get::<Moment>(row, 0)?.0,
            key: get(row, 1)?,
            name: get(row, 2)?,
        },
        command_id: CommandId::from_u128(get::<Uuid>(row, 3)?.as_u128()),
        payload: get(row, 4)?,
        attempts: unsigned("attempts", get::<i32>(row, 5)?)?,
        failure: reason.zip(at).map(noted),
    })
}

/// Takes away those that were not set anew since.
pub(super) async fn finish(tx: &mut Tx, process: &str, fired: &[Timer]) -> Result<()> {
    let finish = "DELETE FROM es.timer WHERE process = $1 AND (key, name, command_id) IN
                    (SELECT * FROM unnest($2::text[], $3::text[], $4::uuid[]))";
    let finish = sqlx::query(finish)
        .bind(process)
        .bind(
            fired
                .iter()
                .map(|timer| &*timer.place.key)
                .collect::<Vec<_>>(),
        )
        .bind(
            fired
                .iter()
                .map(|timer| &*timer.place.name)
                .collect::<Vec<_>>(),
        )
        .bind(
            fired
                .iter()
                .map(|timer| uuid(timer.command_id))
                .collect::<Vec<_>>(),
        );
    finish.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn note_failure(
    tx: &mut Tx,
    process: &str,
    timer: &Timer,
    reason: &str,
) -> Result<()> {
    let note = "UPDATE es.timer
                SET attempts = attempts + 1, failure = $5, failed_at = clock_timestamp()
                WHERE process = $1 AND key = $2 AND name = $3 AND command_id = $4";
    let TimerPlace { key, name, .. } = &timer.place;
    let note = sqlx::query(note).bind(process).bind(key).bind(name);
    let note = note.bind(uuid(timer.command_id)).bind(reason);
    note.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}
