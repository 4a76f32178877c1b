//! What processes tell each other, and when there is nobody to tell.

use std::time::Duration;

use es_servers::Postgres;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use super::*;

/// Long enough that nobody waits for it.
const NEVER: Duration = Duration::from_secs(3600);

/// One that hears all, and does not say that it listens.
struct Observer {
    ear: PgListener,
    database: PgConnection,
    rounds: usize,
}

impl Observer {
    async fn of(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        let mut ear = PgListener::connect_with(&pool).await.unwrap();
        ear.listen("es").await.unwrap();
        Self {
            ear,
            database: admin(url).await,
            rounds: 0,
        }
    }

    /// Whether somebody told of the log while an event was appended.
    async fn hears_of(&mut self, store: &PostgresStore) -> bool {
        self.rounds += 1;
        let stream = self.rounds.to_string();
        new(store.append(append(&stream)).await.unwrap());
        let end = "SELECT pg_notify('es', 'end')";
        sqlx::query(end).execute(&mut self.database).await.unwrap();
        let mut heard = false;
        loop {
            match self.ear.recv().await.unwrap().payload() {
                "end" => return heard,
                news => heard |= news.starts_with("log:"),
            }
        }
    }

    /// Until nothing was heard for longer than two notifications are apart.
    async fn until_silence(&mut self, store: &PostgresStore) {
        const SILENT: usize = 100;
        let (began, mut silent) = (self.rounds, 0);
        while silent < SILENT {
            silent = if self.hears_of(store).await {
                0
            } else {
                silent + 1
            };
            assert!(self.rounds - began < 100 * SILENT, "somebody is told still");
        }
    }
}

async fn hears(store: &PostgresStore, after: Position) {
    let hears = timeout(SOON * 60, store.wait_for_append(after)).await;
    hears.expect("it is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_alone_tells_nobody_and_a_newcomer_hears_at_once_where_the_log_ends() {
    let server = Postgres::start();
    let url = server.database();
    let writer = store(&url).await;
    let mut observer = Observer::of(&url).await;
    observer.until_silence(&writer).await;

    let options = |options: PostgresOptions| options.poll_interval(NEVER);
    let newcomer = with(&url, options).await;
    // Nothing is appended from now on, and no poll comes.
    hears(&newcomer, Position::START).await;
    let head = writer.head().await.unwrap();
    new(writer.append(append("another")).await.unwrap());
    hears(&newcomer, head).await;

    newcomer.close().await;
    drop(newcomer);
    until(&mut observer.database, LISTENING, 1).await;
    observer.until_silence(&writer).await;
}
