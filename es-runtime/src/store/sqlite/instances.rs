//! Who runs on this log. Who registers writes, so that every append comes before it or knows of it.

use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteExecutor, SqliteRow};
use sqlx::{Row, Transaction};

use super::{failed, signed, unsigned};
use crate::error::{Error, Result};
use crate::event::Timestamp;
use crate::store::instance::LISTED;
use crate::store::{Instance, Knowledge, NewInstance};

const DOING: &str = "registering an instance";

/// The machine's clock, which all processes on the file have in common, in microseconds.
macro_rules! at {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "(SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS at)",
            $after
        )
    };
}

const FORGET: &str = at!(
    "DELETE FROM es_instance WHERE until < (SELECT at FROM ",
    ") - ?"
);

const REGISTER: &str = at!(
    "INSERT INTO es_instance (service, knows, started, seen, until)
     SELECT ?, ?, at, at, at + ? FROM ",
    ""
);

const KEEP: &str = at!(
    "UPDATE es_instance SET seen = at, until = at + ?2 FROM ",
    " WHERE number = ?1 AND until > at"
);

const LEAVE: &str = "DELETE FROM es_instance WHERE number = ?";

pub(super) const ALL: &str = at!(
    "SELECT number, service, knows, started, seen, until > at FROM ",
    " CROSS JOIN es_instance ORDER BY number"
);

pub(super) async fn register(
    tx: &mut Transaction<'static, Sqlite>,
    instance: &NewInstance,
) -> Result<Vec<Instance>> {
    let knows = serde_json::to_string(&instance.knows).map_err(broken)?;
    let forget = sqlx::query(FORGET).bind(micros(LISTED));
    forget.execute(&mut **tx).await.map_err(failed(DOING))?;
    let register = sqlx::query(REGISTER)
        .bind(&instance.service)
        .bind(knows)
        .bind(micros(instance.timeout));
    register.execute(&mut **tx).await.map_err(failed(DOING))?;
    all(&mut **tx).await
}

/// Whether the instance was alive, and is.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    number: u64,
    timeout: Duration,
) -> Result<bool> {
    let keep = sqlx::query(KEEP)
        .bind(signed("instance", number)?)
        .bind(micros(timeout));
    let kept = keep.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(kept.rows_affected() == 1)
}

pub(super) async fn leave(tx: &mut Transaction<'static, Sqlite>, number: u64) -> Result<()> {
    let leave = sqlx::query(LEAVE).bind(signed("instance", number)?);
    leave.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(())
}

pub(super) async fn all(database: impl SqliteExecutor<'_>) -> Result<Vec<Instance>> {
    let rows = sqlx::query(ALL).fetch_all(database).await;
    rows.map_err(failed(DOING))?.iter().map(instance).collect()
}

fn instance(row: &SqliteRow) -> Result<Instance> {
    let number = |column| row.try_get::<i64, _>(column).map_err(failed(DOING));
    let knows: &str = row.try_get(2).map_err(failed(DOING))?;
    let knows: Knowledge = serde_json::from_str(knows).map_err(broken)?;
    Ok(Instance {
        number: unsigned("instance", number(0)?)?,
        service: row.try_get(1).map_err(failed(DOING))?,
        knows,
        started: Timestamp::from_micros(number(3)?),
        seen: Timestamp::from_micros(number(4)?),
        alive: number(5)? != 0,
    })
}

pub(super) fn micros(time: Duration) -> i64 {
    // Far beyond any clock, and still a sum that fits.
    i64::try_from(time.as_micros())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 4)
}

fn broken(error: serde_json::Error) -> Error {
    Error::database(DOING, error)
}
