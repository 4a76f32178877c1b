//! The store's own tables and their versions. Migrations only go forward, and each leaves the
//! tables usable for the release before it.

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Row, Sqlite, Transaction};

use super::{begin, failed};
use crate::error::{Error, Kind, Result};
use crate::event::LogIdentity;
use crate::store::Schema;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
    include_str!("migrations/6.sql"),
    include_str!("migrations/7.sql"),
    include_str!("migrations/8.sql"),
    include_str!("migrations/9.sql"),
    include_str!("migrations/10.sql"),
    include_str!("migrations/11.sql"),
    include_str!("migrations/12.sql"),
    include_str!("migrations/13.sql"),
    include_str!("migrations/14.sql"),
    include_str!("migrations/15.sql"),
];

/// Brings the tables up to date and answers which log this is. The write lock makes concurrent
/// starters take turns; the second finds the work done.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<LogIdentity> {
    const DOING: &str = "bringing the tables up to date";
    let mut tx = begin(writer, DOING).await?;
    let versions = "CREATE TABLE IF NOT EXISTS es_schema (version INTEGER PRIMARY KEY) STRICT";
    sqlx::query(versions)
        .execute(&mut *tx)
        .await
        .map_err(failed(DOING))?;
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM es_schema")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed(DOING))?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..) {
        if version > found {
            sqlx::raw_sql(*migration)
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
            let done = sqlx::query("INSERT INTO es_schema (version) VALUES (?)").bind(version);
            done.execute(&mut *tx).await.map_err(failed(DOING))?;
        }
    }
    let known = NONE.known;
    if found > known {
        return Err(Error::new(Kind::FutureDatabase { found, known }));
    }
    let identity = identity(&mut tx).await.map_err(failed(DOING))?;
    tx.commit().await.map_err(failed(DOING))?;
    Ok(identity)
}

/// A database without tables of ours.
pub(super) const NONE: Schema = Schema {
    found: 0,
    #[allow(clippy::cast_possible_wrap)]
    known: MIGRATIONS.len() as i64,
};

/// Looks, and changes nothing.
pub(super) async fn look(database: &mut SqliteConnection) -> sqlx::Result<Schema> {
    let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'es_schema'";
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *database).await?;
    if there == 0 {
        return Ok(NONE);
    }
    let found = "SELECT coalesce(max(version), 0) FROM es_schema";
    let found = sqlx::query_scalar(found).fetch_one(database).await?;
    Ok(Schema { found, ..NONE })
}

async fn identity(tx: &mut Transaction<'_, Sqlite>) -> sqlx::Result<LogIdentity> {
    let fresh = LogIdentity::random().as_u128().to_be_bytes();
    let insert = "INSERT INTO es_log (id, identity) VALUES (1, ?) ON CONFLICT DO NOTHING";
    sqlx::query(insert)
        .bind(&fresh[..])
        .execute(&mut **tx)
        .await?;
    let row = sqlx::query("SELECT identity FROM es_log")
        .fetch_one(&mut **tx)
        .await?;
    let bytes: &[u8] = row.try_get(0)?;
    let bytes = bytes
        .try_into()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(LogIdentity::from_u128(u128::from_be_bytes(bytes)))
}
