//! The store's own tables and their versions, in the schema `es`. Migrations only go forward, and
//! each leaves the tables usable for the release before it.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::failed;
use super::hosts::begin;
use super::options::Settings;
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
    include_str!("migrations/16.sql"),
];

/// A database without tables of ours.
const NONE: Schema = Schema {
    found: 0,
    #[allow(clippy::cast_possible_wrap)]
    known: MIGRATIONS.len() as i64,
};

/// Looks, and changes nothing.
pub(super) async fn look(database: &mut PgConnection) -> sqlx::Result<Schema> {
    let there = "SELECT to_regclass('es.schema') IS NOT NULL";
    if !sqlx::query_scalar(there).fetch_one(&mut *database).await? {
        return Ok(NONE);
    }
    let found = "SELECT coalesce(max(version), 0) FROM es.schema";
    let found = sqlx::query_scalar(found).fetch_one(database).await?;
    Ok(Schema { found, ..NONE })
}

/// Answers which log this is, if its tables are those that this binary knows.
pub(super) async fn up_to_date(connection: &mut PgConnection) -> Result<LogIdentity> {
    const DOING: &str = "looking at a PostgreSQL database";
    let Schema { found, known } = look(connection).await.map_err(failed(DOING))?;
    if found > known {
        return Err(Error::new(Kind::FutureDatabase { found, known }));
    }
    if found < known {
        return Err(Error::new(Kind::PastDatabase { found, known }));
    }
    identity(connection).await.map_err(failed(DOING))
}

async fn identity(connection: &mut PgConnection) -> sqlx::Result<LogIdentity> {
    let identity = sqlx::query_scalar("SELECT identity FROM es.log");
    let identity: Uuid = identity.fetch_one(connection).await?;
    Ok(LogIdentity::from_u128(identity.as_u128()))
}

/// Brings the tables up to date and answers which log this is. The lock makes concurrent starters
/// take turns; the second finds the work done.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<LogIdentity> {
    const DOING: &str = "bringing the tables up to date";
    let begin = AssertSqlSafe(begin(settings));
    let mut tx = connection.begin_with(begin).await.map_err(failed(DOING))?;
    let prepare = "
        SET LOCAL statement_timeout = 0;
        SELECT pg_advisory_xact_lock(1163084889, 0);
        DO $$ BEGIN
          -- Who may not make it need not, when it is there.
          IF to_regclass('es.schema') IS NULL THEN
            CREATE SCHEMA IF NOT EXISTS es;
            CREATE TABLE es.schema (version bigint PRIMARY KEY);
          END IF;
        END $$";
    sqlx::raw_sql(prepare)
        .execute(&mut *tx)
        .await
        .map_err(failed(DOING))?;
    let found = "SELECT coalesce(max(version), 0) FROM es.schema";
    let found = sqlx::query_scalar(found).fetch_one(&mut *tx).await;
    let found: i64 = found.map_err(failed(DOING))?;
    let known = NONE.known;
    if found > known {
        return Err(Error::new(Kind::FutureDatabase { found, known }));
    }
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..) {
        if version > found {
            sqlx::raw_sql(*migration)
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
            let done = sqlx::query("INSERT INTO es.schema (version) VALUES ($1)").bind(version);
            done.execute(&mut *tx).await.map_err(failed(DOING))?;
        }
    }
    let identity = identity(&mut tx).await.map_err(failed(DOING))?;
    tx.commit().await.map_err(failed(DOING))?;
    Ok(identity)
}
