//! Streaming replication: a follower on a hot standby, and what survives when the primary dies and
//! the standby takes over.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::error::Result;
use es_runtime::event::{CommandId, Position, StoredEvent, StreamId};
use es_runtime::postgres::{PostgresOptions, PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, Outcome};
use es_servers::Postgres;
use fastrand::Rng;
use sqlx::PgConnection;
use tokio::sync::watch;

use crate::attack::kill_connections;
use crate::gate::admin;
use crate::law::Violation;
use crate::load::{Load, Progress, Reads, Writes, patiently, seeded, size};
use crate::until::until;

fn load() -> Load {
    let appends = size(40, 400);
    Load {
        writers: 16,
        appends,
    }
}

/// A client that goes over to the standby when it is told to.
#[derive(Clone)]
struct Client(Arc<watch::Sender<PostgresStore>>);

impl Client {
    async fn connect(url: &str) -> Self {
        let store = PostgresStore::connect(url).await.unwrap();
        Self(Arc::new(watch::Sender::new(store)))
    }

    async fn goes_over(&self, url: &str) {
        let store = patiently(|| PostgresStore::connect(url)).await;
        self.0.send_replace(store);
    }

    /// Asks; and whoever had no answer when the client went over asks the new store.
    async fn ask<T, F: Future<Output = T>>(&self, call: impl Fn(PostgresStore) -> F) -> T {
        let mut stores = self.0.subscribe();
        loop {
            let store = stores.borrow_and_update().clone();
            tokio::select! {
                answer = call(store) => return answer,
                _ = stores.changed() => {}
            }
        }
    }
}

impl Writes for Client {
    async fn append(&self, append: Append) -> Result<Appended> {
        let append = |store: PostgresStore| {
            let append = append.clone();
            async move { EventStore::append(&store, append).await }
        };
        self.ask(append).await
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        let outcome = |store: PostgresStore| async move {
            EventStore::outcome(&store, stream, command).await
        };
        self.ask(outcome).await
    }
}

impl Reads for Client {
    async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
        let read =
            |store: PostgresStore| async move { Reads::read_log(&store, after, limit).await };
        self.ask(read).await
    }

    async fn wait_for_append(&self, after: Position) {
        let wait =
            |store: PostgresStore| async move { EventStore::wait_for_append(&store, after).await };
        self.ask(wait).await;
    }
}

/// A follower's eyes on a hot standby, which takes no writes, and may not have the tables yet.
async fn reader(url: &str) -> Result<PostgresStore> {
    let options: PostgresOptions = url.parse()?;
    let options = options.read_only(true).poll_interval(SOON);
    PostgresStore::connect_with(options).await
}

/// How long after an append a reader on the standby looks for it.
const SOON: Duration = Duration::from_millis(5);

/// Changes the server's settings.
async fn set(admin: &mut PgConnection, setting: &'static str) {
    sqlx::raw_sql(setting).execute(&mut *admin).await.unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()")
        .execute(admin)
        .await
        .unwrap();
}

/// Returns when the query answers true.
async fn holds(admin: &mut PgConnection, query: &'static str) {
    until(query, async || {
        let answer: sqlx::Result<bool> = sqlx::query_scalar(query).fetch_one(&mut *admin).await;
        answer.unwrap().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_on_a_hot_standby_sees_everything_in_order() {
    let mut random = seeded();
    let mut primary = Postgres::start();
    let url = primary.database();
    let connect = async || PostgresStore::connect(&url).await.unwrap();
    let stores = [connect().await, connect().await];
    let mut standby = primary.standby();
    let on_standby = standby.same_database(&url);
    let retry = "ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'";
    set(&mut admin(&on_standby).await, retry).await;
    let attack = async |progress: &Progress, random: &mut Rng| {
        for _ in 0..size(1, 8) {
            let mut attacks = [0, 1, 2, 3];
            random.shuffle(&mut attacks);
            for attack in attacks {
                progress.advances(random.u64(1..load().total() / 8)).await;
                match attack {
                    0 => kill_connections(&url).await,
                    1 => kill_connections(&on_standby).await,
                    2 => {
                        primary.crash();
                        primary.run();
                    }
                    _ => standby.restart(),
                }
            }
        }
        Ok(vec![])
    };
    let reader = patiently(|| reader(&on_standby)).await;
    load()
        .under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
}

/// Kills the primary under load, and goes over to its standby: told to, or by itself with both
/// hosts in the URL.
async fn failover(synchronous: bool, by_itself: bool) -> Result<(), Violation> {
    let mut random = seeded();
    let mut primary = Postgres::start();
    let url = primary.database();
    let standby = primary.standby();
    let on_standby = standby.same_database(&url);
    let (_, other_host) = on_standby.split_once("?host=").unwrap();
    let both = format!("{url},{other_host}");
    let client = Client::connect(if by_itself { &both } else { &url }).await;
    let (mut here, mut there) = (admin(&url).await, admin(&on_standby).await);
    if synchronous {
        set(
            &mut here,
            "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'",
        )
        .await;
        let quorum = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'quorum'";
        holds(&mut here, quorum).await;
    }
    let attack = async |progress: &Progress, random: &mut Rng| {
        progress.advances(random.u64(1..load().total() / 3)).await;
        if !synchronous {
            // What is acknowledged from now on, the standby does not receive.
            set(&mut there, "ALTER SYSTEM SET primary_conninfo = ''").await;
            holds(&mut there, "SELECT count(*) = 0 FROM pg_stat_wal_receiver").await;
        }
        progress.advances(random.u64(20..load().total() / 3)).await;
        primary.kill();
        println!("killed after {} appends", progress.state().acknowledged);
        standby.promote();
        if !by_itself {
            client.goes_over(&on_standby).await;
        }
        Ok(vec![])
    };
    let clients = [client.clone()];
    let under = if synchronous {
        load().under(&clients, &client, &mut random, attack).await
    } else {
        // On the primary a follower could see what is lost, and then be ahead of the log.
        let reader = patiently(|| reader(&on_standby)).await;
        load().under(&clients, &reader, &mut random, attack).await
    };
    under.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_synchronous_standby_takes_over_without_a_loss() {
    failover(true, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_with_both_hosts_goes_over_without_a_loss() {
    failover(true, true).await.unwrap();
}

/// The control: the check must notice what an asynchronous standby never had.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_asynchronous_standby_loses_what_it_did_not_receive() {
    let loss = failover(false, false)
        .await
        .expect_err("acknowledged appends are lost");
    // Some writer may notice first, when it repeats a command.
    let noticed = ["acknowledged", "and again with"];
    assert!(noticed.iter().any(|text| loss.contains(text)), "{loss}");
    println!("{loss}");
}
