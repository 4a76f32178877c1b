//! From a URL to a store: which server, whose log, who listens.

use std::sync::{Arc, Weak};

use sqlx::Connection;

use super::committer::Calls;
use super::hosts::Hosts;
use super::loads::Loads;
use super::notify::Ears;
use super::pool::Pool;
use super::{PostgresOptions, PostgresStore, failed, notify, schema};
use crate::error::Result;
use crate::store::Schema;
use crate::store::group::Committer;
use crate::store::wake::{Heads, Wake};

impl PostgresStore {
    /// Connects to the database that `url` names and brings its tables up to date. The URL may
    /// list several servers of which one takes writes, and hold settings; see
    /// [`PostgresOptions`].
    ///
    /// # Errors
    /// When none takes writes within the patience, or the database comes from a newer release; from
    /// an older one, where the store only reads.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url.parse()?).await
    }

    /// Connects as the options say, and brings the tables up to date.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(options: PostgresOptions) -> Result<Self> {
        let PostgresOptions {
            hosts,
            listen,
            limits,
            settings,
        } = options;
        let wake = Arc::new(Wake::new(settings.poll_interval));
        let own = Arc::new(Heads::default());
        let (to_wake, to_own) = (Arc::downgrade(&wake), Arc::downgrade(&own));
        let hosts = Arc::new(Hosts::new(hosts, settings, to_wake, to_own));
        let mut connection = hosts.connect(&mut None).await?;
        if hosts.settings().read_only {
            let identity = schema::up_to_date(&mut connection).await?;
            hosts.belong_to(identity);
            connection.close().await.ok();
            // A standby lets nobody listen, and the primary's news come before its events.
            let pool = Pool::new(&hosts, false);
            return Ok(Self {
                identity,
                loads: Loads::new(&pool),
                pool,
                committer: None,
                wake,
                own,
            });
        }
        let identity = schema::migrate(&mut connection, hosts.settings()).await?;
        hosts.belong_to(identity);
        let listens = listen.is_empty() && !hosts.settings().pgbouncer;
        let pool = Pool::new(&hosts, listens);
        let ears = match listens {
            true => Some(Ears::Pool(pool.clone())),
            false => (!listen.is_empty()).then_some(Ears::Direct(listen)),
        };
        notify::start(&pool, ears, &own, &wake);
        let calls = Calls::new(hosts, connection, wake.clone(), own.clone());
        let committer = Some(Committer::start(calls, limits));
        Ok(Self {
            identity,
            loads: Loads::new(&pool),
            pool,
            committer,
            wake,
            own,
        })
    }

    /// Looks at the tables of the database that `url` names, and changes nothing.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn schema(url: &str) -> Result<Schema> {
        const DOING: &str = "looking at a PostgreSQL database";
        let PostgresOptions {
            hosts, settings, ..
        } = url.parse()?;
        let hosts = Hosts::new(hosts, settings, Weak::new(), Weak::new());
        let mut database = hosts.connect(&mut None).await?;
        let schema = schema::look(&mut database).await.map_err(failed(DOING))?;
        database.close().await.map_err(failed(DOING))?;
        Ok(schema)
    }
}
