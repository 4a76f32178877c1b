//! Who runs on this log. Who registers takes the log's lock, so that every append comes before it
//! or knows of it.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row, Transaction};

use super::failed;
use super::segment::LOCK;
use super::types::{Json, Moment, signed, unsigned};
use crate::error::{Error, Result};
use crate::store::instance::LISTED;
use crate::store::{Instance, Knowledge, NewInstance};

const DOING: &str = "registering an instance";

const FORGET: &str = "
    DELETE FROM es.instance WHERE until < clock_timestamp() - make_interval(secs => $1)";

const REGISTER: &str = "
    INSERT INTO es.instance (service, knows, started, seen, until)
    SELECT $1, $2, at, at, at + make_interval(secs => $3) FROM clock_timestamp() at";

const KEEP: &str = "
    UPDATE es.instance SET seen = at, until = at + make_interval(secs => $2)
    FROM clock_timestamp() at WHERE number = $1 AND until > at";

const LEAVE: &str = "DELETE FROM es.instance WHERE number = $1";

const ALL: &str = "
    SELECT number, service, knows::text, started, seen, until > clock_timestamp()
    FROM es.instance ORDER BY number";

pub(super) async fn register(
    tx: &mut Transaction<'static, Postgres>,
    instance: &NewInstance,
) -> Result<Vec<Instance>> {
    let knows = serde_json::to_string(&instance.knows).map_err(broken)?;
    let lock = sqlx::query(LOCK).execute(&mut **tx).await;
    lock.map_err(failed(DOING))?;
    let forget = sqlx::query(FORGET).bind(LISTED.as_secs_f64());
    forget.execute(&mut **tx).await.map_err(failed(DOING))?;
    let register = sqlx::query(REGISTER)
        .bind(&instance.service)
        .bind(Json(&knows))
        .bind(instance.timeout.as_secs_f64());
    register.execute(&mut **tx).await.map_err(failed(DOING))?;
    all(tx).await
}

/// Whether the instance was alive, and is.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Postgres>,
    number: u64,
    timeout: Duration,
) -> Result<bool> {
    // Nobody misses it when it is lost: the instance registers again.
    let hasty = sqlx::query("SELECT set_config('synchronous_commit', 'off', true)");
    hasty.execute(&mut **tx).await.map_err(failed(DOING))?;
    let keep = sqlx::query(KEEP)
        .bind(signed::<i64, _>("instance", number)?)
        .bind(timeout.as_secs_f64());
    let kept = keep.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(kept.rows_affected() == 1)
}

pub(super) async fn leave(tx: &mut Transaction<'static, Postgres>, number: u64) -> Result<()> {
    let leave = sqlx::query(LEAVE).bind(signed::<i64, _>("instance", number)?);
    leave.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(())
}

pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<Instance>> {
    let rows = sqlx::query(ALL).fetch_all(connection).await;
    rows.map_err(failed(DOING))?.iter().map(instance).collect()
}

fn instance(row: &PgRow) -> Result<Instance> {
    fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(column).map_err(failed(DOING))
    }
    let knows: Knowledge = serde_json::from_str(get(row, 2)?).map_err(broken)?;
    Ok(Instance {
        number: unsigned("instance", get::<i64>(row, 0)?)?,
        service: get(row, 1)?,
        knows,
        started: get::<Moment>(row, 3)?.0,
        seen: get::<Moment>(row, 4)?.0,
        alive: get(row, 5)?,
    })
}

fn broken(error: serde_json::Error) -> Error {
    Error::database(DOING, error)
}
