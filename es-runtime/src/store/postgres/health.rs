//! One question to the server: what it is, and what a commit waits for.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Row, raw_sql};
use tokio::time::{Instant, timeout};

use super::failure::gone;
use super::{PostgresStore, failed};
use crate::error::Result;
use crate::store::group::Committer;
use crate::store::health::{Durability, Role, StoreHealth};

const DOING: &str = "asking how the server is";
/// Somebody who asks this waits for the answer.
const PATIENCE: Duration = Duration::from_secs(3);

const QUESTION: &str = "
    SELECT pg_is_in_recovery(), current_setting('synchronous_commit'),
           current_setting('synchronous_standby_names'), current_setting('fsync') = 'on',
           (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
           (SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NULL)";

impl PostgresStore {
    /// How the server is: whether it answers within three seconds, takes writes, and lets a commit
    /// wait for a synchronous standby.
    ///
    /// To see the standbys' state the user needs the role `pg_read_all_stats`.
    pub async fn health(&self) -> StoreHealth {
        let start = Instant::now();
        let asked = timeout(PATIENCE, self.ask()).await;
        let latency = start.elapsed();
        let server = self.pool.hosts().name().to_owned();
        let answer = asked.unwrap_or_else(|_| {
            let trouble = self.pool.hosts().trouble();
            Err(trouble.unwrap_or_else(|| failed(DOING)(gone("no answer within three seconds"))))
        });
        let mut health = match answer {
            Ok(answer) => answer.health(latency, &server, self.committer.is_some()),
            Err(error) => StoreHealth::silent(latency, &error, server),
        };
        health.waiting = self.committer.as_ref().map_or(0, Committer::waiting);
        health
    }

    async fn ask(&self) -> Result<Answer> {
        let mut connection = self.pool.reader(DOING).await?;
        let row = raw_sql(QUESTION).fetch_one(&mut *connection).await;
        match row.and_then(|row| Answer::of(&row)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                connection.give_up();
                self.pool.hosts().lost();
                Err(failed(DOING)(error))
            }
        }
    }
}

struct Answer {
    standby: bool,
    commit: String,
    names: String,
    fsync: bool,
    synchronous: i64,
    hidden: i64,
}

impl Answer {
    fn of(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            standby: row.try_get(0)?,
            commit: row.try_get(1)?,
            names: row.try_get(2)?,
            fsync: row.try_get(3)?,
            synchronous: row.try_get(4)?,
            hidden: row.try_get(5)?,
        })
    }

    fn health(&self, latency: Duration, server: &str, writes: bool) -> StoreHealth {
        let wanted = !self.names.is_empty();
        let durability = match (self.fsync, wanted) {
            (false, _) => Durability::Machine,
            (true, false) => Durability::Disk,
            (true, true) => Durability::Replicated,
        };
        let names = if wanted { &self.names } else { "none" };
        let details = format!(
            "{server}, synchronous_commit = {}, synchronous standbys: {names}",
            self.commit
        );
        let mut health = StoreHealth::answered(latency, durability, details);
        if self.standby {
            health.role = Some(Role::Standby);
        }
        health.problem = if !writes {
            None
        } else if self.standby {
            Some("the server is a standby: nothing can be written".to_owned())
        } else if !self.fsync {
            Some("`fsync` is off: a crash of the machine loses or breaks the log".to_owned())
        } else if wanted && self.synchronous == 0 && self.hidden > 0 {
            Some("nobody may tell whether a synchronous standby is connected: grant `pg_read_all_stats`".to_owned())
        } else if wanted && self.synchronous == 0 {
            Some("no synchronous standby is connected: appends wait for one".to_owned())
        } else {
            None
        };
        health
    }
}
