//! Writers and a follower while transactions pause, roll back, are killed, and the server crashes.

use es_runtime::postgres::{PostgresStore, sqlx};
use es_servers::Postgres;
use fastrand::Rng;

use crate::gate::{End, HOLD, Paused, admin, install};
use crate::law::Acknowledged;
use crate::load::{Load, Progress, seeded, size};

/// Kills every connection to the database but its own.
pub(crate) async fn kill_connections(url: &str) {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(kill)
        .execute(&mut admin(url).await)
        .await
        .unwrap();
}

/// Kills one of the database's backends as the kernel does when memory runs out: the server
/// throws all of them out and recovers from its write-ahead log.
async fn kill_a_backend(url: &str, random: &mut Rng) {
    let backends = "SELECT pid FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut admin = admin(url).await;
    let backends: Vec<i32> = sqlx::query_scalar(backends)
        .fetch_all(&mut admin)
        .await
        .unwrap();
    if let Some(pid) = random.choice(backends) {
        es_servers::kill_process(pid.unsigned_abs());
    }
}

/// Sits idle in a transaction that holds the log's lock, until somebody waits for it.
async fn hold_the_lock(url: &str, progress: &Progress) {
    let mut holder = admin(url).await;
    sqlx::raw_sql(HOLD).execute(&mut holder).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while progress.state().running > 0 {
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut holder)
            .await
            .unwrap();
        if waiting > 0 {
            return;
        }
    }
}

/// Every way to be disturbed, in an order of the seed's.
#[derive(Clone, Copy, Debug)]
enum Attack {
    Paused(End),
    HeldLock,
    KilledConnections,
    KilledBackend,
    Crash,
    Restart,
}

const ATTACKS: [Attack; 9] = [
    Attack::Paused(End::Commits),
    Attack::Paused(End::RollsBack),
    Attack::Paused(End::Terminated),
    Attack::Paused(End::Killed),
    Attack::HeldLock,
    Attack::KilledConnections,
    Attack::KilledBackend,
    Attack::Crash,
    Attack::Restart,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pauses_rollbacks_kills_and_crashes_lose_and_reorder_nothing() {
    let mut random = seeded();
    let mut server = Postgres::start();
    let url = server.database();
    let store = async || PostgresStore::connect(&url).await.unwrap();
    // Two processes' worth of committers, one for the append that pauses, one that only reads.
    let (stores, aside, reader) = ([store().await, store().await], store().await, store().await);
    install(&url).await;
    let load = size(
        Load {
            writers: 24,
            appends: 40,
        },
        Load {
            writers: 64,
            appends: 400,
        },
    );
    let rounds = size(1, 8);
    let attack = async |progress: &Progress, random: &mut Rng| {
        let mut acknowledged: Vec<Acknowledged> = Vec::new();
        for round in 0..rounds {
            let mut attacks = ATTACKS;
            random.shuffle(&mut attacks);
            for (attack, n) in attacks.into_iter().zip(0..) {
                progress
                    .advances(random.u64(..load.total() / rounds / 10))
                    .await;
                let appends = progress.state().acknowledged;
                println!("{attack:?} after {appends} appends");
                match attack {
                    Attack::Paused(end) => {
                        let command = format!("paused/{round}/{n}");
                        let mut paused =
                            Paused::begin(&url, aside.clone(), command, progress).await?;
                        paused.is_waited_for(load.total()).await;
                        acknowledged.push(paused.ends(end).await?);
                    }
                    Attack::HeldLock => hold_the_lock(&url, progress).await,
                    Attack::KilledConnections => kill_connections(&url).await,
                    Attack::KilledBackend => kill_a_backend(&url, random).await,
                    Attack::Crash => {
                        server.crash();
                        server.run();
                    }
                    Attack::Restart => server.restart(),
                }
            }
        }
        Ok(acknowledged)
    };
    load.under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
}
