//! A gate in the database: an append to the stream `account-paused` stops at it, inside its
//! transaction, after it took its positions. So the store's own append is the one that is paused,
//! rolled back or killed.

use es_runtime::postgres::sqlx;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::law::{Acknowledged, Violation};
use crate::load::{Progress, State, Writes, append, insist, patiently, stream};
use crate::until::until;

/// Connects once the server takes connections again.
pub(crate) async fn admin(url: &str) -> PgConnection {
    patiently(|| PgConnection::connect(url)).await
}

const GATE: &str = "
    CREATE TABLE gate (refuses boolean NOT NULL);
    INSERT INTO gate VALUES (false);
    CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(7, 7);
      IF (SELECT refuses FROM public.gate) THEN RAISE EXCEPTION 'rolled back at the gate'; END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER pause AFTER INSERT ON es.event FOR EACH ROW
      WHEN (NEW.stream = 'account-paused') EXECUTE FUNCTION pause()";

/// A transaction that holds the log's lock, as an append does.
pub(crate) const HOLD: &str = "
    BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(1163084889, 1)";

/// Whoever waits at the gate, and whether anybody waits for them.
const AT_GATE: &str = "SELECT pid FROM pg_locks
    WHERE NOT granted AND locktype = 'advisory' AND classid = 7 AND objid = 7
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const BEHIND: &str = "SELECT count(*) FROM pg_locks
    WHERE NOT granted
      AND (locktype = 'transactionid' OR locktype = 'advisory' AND classid = 1163084889)";

/// Puts the gate into a database whose store was connected once. It stands open.
pub(crate) async fn install(url: &str) {
    sqlx::raw_sql(GATE)
        .execute(&mut admin(url).await)
        .await
        .unwrap();
}

/// An append that stands in its transaction.
pub(crate) struct Paused {
    url: String,
    gate: PgConnection,
    backend: i32,
    progress: Progress,
    append: JoinHandle<Result<Acknowledged, Violation>>,
}

/// How a paused append goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Commits,
    /// Its transaction rolls back.
    RollsBack,
    /// Its backend is terminated.
    Terminated,
    /// Its backend is killed, and the whole server goes into recovery.
    Killed,
}

impl Paused {
    /// Closes the gate and appends until somebody stands at it.
    pub(crate) async fn begin(
        url: &str,
        store: impl Writes,
        command: String,
        progress: &Progress,
    ) -> Result<Self, Violation> {
        let mut gate = admin(url).await;
        sqlx::query("SELECT pg_advisory_lock(7, 7)")
            .execute(&mut gate)
            .await
            .unwrap();
        let progress = progress.clone();
        let append = tokio::spawn({
            let progress = progress.clone();
            async move {
                let append = append(&stream("paused"), 0, &command, 2);
                insist(&store, append, &progress).await
            }
        });
        let stopped = until("somebody stands at the gate", async || {
            let found = sqlx::query_scalar(AT_GATE).fetch_optional(&mut gate).await;
            let found: Option<i32> = found.unwrap();
            found.map(Some).or(append.is_finished().then_some(None))
        });
        let Some(backend) = stopped.await else {
            let done = append.await.unwrap()?;
            return Err(format!("nobody stopped at the gate: {done:?}"));
        };
        let url = url.to_owned();
        Ok(Self {
            url,
            gate,
            backend,
            progress,
            append,
        })
    }

    /// Returns when somebody else stands behind it. Where nothing makes others wait, they
    /// overtake: then it returns when `overtakers` of them have, and the follower has seen it.
    pub(crate) async fn is_waited_for(&mut self, overtakers: u64) {
        let (progress, gate) = (&self.progress, &mut self.gate);
        let overtaken = progress.state().acknowledged + overtakers;
        let overtaken = until("somebody stands behind it", async || {
            let state = progress.state();
            let behind = sqlx::query_scalar(BEHIND).fetch_one(&mut *gate).await;
            let behind: i64 = behind.unwrap();
            let waited_for = behind > 0 || state.running == 0;
            let overtaken = state.acknowledged >= overtaken;
            (waited_for || overtaken).then_some(!waited_for)
        });
        if overtaken.await {
            let head = "SELECT max(position) FROM es.event";
            let head = sqlx::query_scalar(head).fetch_one(&mut self.gate).await;
            let head: i64 = head.unwrap();
            progress.has_seen(head.unsigned_abs()).await;
        }
    }

    /// Lets it end as told; its retry then commits.
    pub(crate) async fn ends(mut self, end: End) -> Result<Acknowledged, Violation> {
        let refuse = async |refuses: bool| {
            let refuse = sqlx::query("UPDATE gate SET refuses = $1").bind(refuses);
            refuse.execute(&mut admin(&self.url).await).await.unwrap();
        };
        let before = refusals(&self.progress.state());
        match end {
            End::Commits => {}
            End::RollsBack => refuse(true).await,
            End::Terminated => {
                let kill = sqlx::query("SELECT pg_terminate_backend($1)").bind(self.backend);
                kill.execute(&mut self.gate).await.unwrap();
            }
            // The gate's own session ends with all others, and that opens the gate.
            End::Killed => es_servers::kill_process(self.backend.unsigned_abs()),
        }
        self.gate.close().await.ok();
        if let End::RollsBack = end {
            self.progress
                .reaches(|state| refusals(state) > before)
                .await;
            refuse(false).await;
        }
        self.append.await.unwrap()
    }
}

fn refusals(state: &State) -> u64 {
    let errors = state.errors.iter();
    let refused = errors.filter(|(error, _)| error.contains("rolled back at the gate"));
    refused.map(|(_, times)| times).sum()
}
