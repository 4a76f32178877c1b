//! Which of the servers takes writes, or may be read from, and whether its log is the one that this
//! store began with.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, raw_sql};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::failure::{gone, may_pass};
use super::options::Settings;
use super::{failed, url};
use crate::error::{Error, Kind, Result};
use crate::event::LogIdentity;
use crate::runtime::without;
use crate::store::wake::{Heads, Wake};

/// The pauses between two looks for a primary.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a connection may be on its way before somebody looks whether the primary moved.
const STALL: Duration = Duration::from_millis(500);

/// The servers of one log.
#[derive(Debug)]
pub(super) struct Hosts {
    servers: Vec<Server>,
    settings: Settings,
    /// The one that took writes last.
    primary: watch::Sender<usize>,
    known: Mutex<Known>,
    /// When somebody looked last; one looks at a time.
    looked: tokio::sync::Mutex<Option<Instant>>,
    wake: Weak<Wake>,
    own: Weak<Heads>,
}

#[derive(Debug)]
struct Server {
    name: String,
    options: PgConnectOptions,
}

#[derive(Debug, Default)]
struct Known {
    identity: Option<LogIdentity>,
    /// Each promotion begins a new one. A lower one is a server that was left behind.
    timeline: i64,
    /// Connections that were idle then may be dead.
    suspected: Option<std::time::Instant>,
    /// Connections that are older lead elsewhere.
    moved: Option<std::time::Instant>,
    /// Why there was no connection.
    trouble: Option<Error>,
}

/// Why a server is not used.
enum Refusal {
    /// It may take writes later.
    Not(String),
    /// Nothing but a person helps.
    Never(Error),
}

impl Hosts {
    pub(super) fn new(
        options: Vec<PgConnectOptions>,
        settings: Settings,
        wake: Weak<Wake>,
        own: Weak<Heads>,
    ) -> Self {
        let server = |options: PgConnectOptions| Server {
            name: url::name(&options),
            // Nothing is kept in a session that the next transaction may not have.
            options: match settings.pgbouncer {
                true => options.statement_cache_capacity(0),
                false => options,
            },
        };
        Self {
            servers: options.into_iter().map(server).collect(),
            settings,
            primary: watch::Sender::new(0),
            known: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
            wake,
            own,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Follows which server is the primary.
    pub(super) fn moves(&self) -> watch::Receiver<usize> {
        self.primary.subscribe()
    }

    pub(super) fn options(&self, server: usize) -> PgConnectOptions {
        self.servers[server].options.clone()
    }

    /// The name of the server that took writes last.
    pub(super) fn name(&self) -> &str {
        &self.servers[*self.primary.borrow()].name
    }

    /// From now on only this log is written to.
    pub(super) fn belong_to(&self, identity: LogIdentity) {
        self.known().identity = Some(identity);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why there was no connection the last time.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.known().trouble.as_ref().map(Error::copy)
    }

    /// A connection was lost: others may be, too, and a server that takes over may know less.
    pub(super) fn lost(&self) {
        self.known().suspected = Some(std::time::Instant::now());
        self.forget();
    }

    /// What readers were told may lead the truth when another server took over.
    fn forget(&self) {
        if let Some(wake) = self.wake.upgrade() {
            wake.forget();
        }
        if let Some(own) = self.own.upgrade() {
            own.forget();
        }
    }

    /// What is to be done with a connection of this age that was idle for so long.
    pub(super) fn judge(&self, age: Duration, idle: Duration) -> Verdict {
        let known = self.known();
        if known.moved.is_some_and(|moved| age >= moved.elapsed()) {
            Verdict::Elsewhere
        } else if idle >= STALL || known.suspected.is_some_and(|then| idle >= then.elapsed()) {
            Verdict::Doubtful
        } else {
            Verdict::Good
        }
    }

    /// Connects to the server that takes writes: looks for it, with growing pauses, until the
    /// patience ends that counts from the beginning of the outage.
    pub(super) async fn connect(&self, outage: &mut Option<Instant>) -> Result<PgConnection> {
        let since = *outage.get_or_insert_with(Instant::now);
        let deadline = since + self.settings.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match self.look().await {
                Ok(connection) => {
                    *outage = None;
                    return Ok(connection);
                }
                Err(Refusal::Never(error)) => return Err(error),
                Err(Refusal::Not(why)) => why,
            };
            if Instant::now() >= deadline {
                return Err(Error::new(Kind::NoPrimary { why }));
            }
            tracing::debug!(why, "no server takes writes: looking again");
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks whether the primary moved, when a connection takes long to come.
    pub(super) async fn look_if_stalled(&self) {
        if self.servers.len() == 1 {
            std::future::pending::<()>().await;
        }
        sleep(STALL).await;
        self.look_again().await;
    }

    /// Looks whether the primary moved, unless somebody just did.
    pub(super) async fn look_again(&self) {
        if self.servers.len() == 1 {
            return;
        }
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|then| then.elapsed() >= STALL) {
            if let Ok(connection) = self.look().await {
                connection.close().await.ok();
            }
            *looked = Some(Instant::now());
        }
    }

    /// Asks every server once, first the one that took writes last.
    async fn look(&self) -> Result<PgConnection, Refusal> {
        let (before, count) = (*self.primary.borrow(), self.servers.len());
        let (mut reasons, mut never) = (Vec::new(), None);
        for n in (before..before + count).map(|n| n % count) {
            match self.connect_to(&self.servers[n]).await {
                Ok(connection) => {
                    self.known().trouble = None;
                    if n != before {
                        self.move_to(n);
                    }
                    return Ok(connection);
                }
                Err(Refusal::Not(why)) => reasons.push(why),
                Err(Refusal::Never(error)) => {
                    reasons.push(error.to_string());
                    never.get_or_insert(error);
                }
            }
        }
        let why = reasons.join("; ");
        let refusal = match never {
            Some(error) if reasons.len() == 1 || is_other_log(&error) => Refusal::Never(error),
            _ => Refusal::Not(why.clone()),
        };
        self.known().trouble = Some(match &refusal {
            Refusal::Never(error) => error.copy(),
            Refusal::Not(_) => Error::new(Kind::NoPrimary { why }),
        });
        Err(refusal)
    }

    fn move_to(&self, n: usize) {
        tracing::warn!(
            from = self.name(),
            to = self.servers[n].name,
            "the primary moved"
        );
        self.known().moved = Some(std::time::Instant::now());
        self.forget();
        self.primary.send_replace(n);
    }

    async fn connect_to(&self, server: &Server) -> Result<PgConnection, Refusal> {
        let connecting = timeout(self.settings.connect_timeout, async {
            let mut connection = server
                .options
                .connect()
                .await
                .map_err(|e| told(server, e))?;
            self.check(server, &mut connection).await?;
            Ok(connection)
        });
        let late = |_| told(server, gone("it did not answer in time"));
        connecting.await.map_err(late)?
    }

    /// Prepares a connection to the primary at hand, or says why it may not be used.
    pub(super) async fn admit(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let server = &self.servers[*self.primary.borrow()];
        let checked = timeout(
            self.settings.connect_timeout,
            self.check(server, connection),
        )
        .await;
        let refusal = match checked {
            Ok(Ok(())) => {
                self.known().trouble = None;
                return Ok(());
            }
            Ok(Err(refusal)) => refusal,
            Err(_) => told(server, gone("it did not answer in time")),
        };
        let error = match refusal {
            Refusal::Never(error) => error,
            Refusal::Not(why) => Error::new(Kind::NoPrimary { why }),
        };
        self.known().trouble = Some(error.copy());
        Err(sqlx::Error::Configuration(error.into()))
    }

    /// Whether the server takes writes into our log, unless nobody writes; prepares its session.
    async fn check(&self, server: &Server, connection: &mut PgConnection) -> Result<(), Refusal> {
        let not = |why: &str| Refusal::Not(format!("`{}` {why}", server.name));
        let (expected, newest) = {
            let known = self.known();
            (known.identity, known.timeline)
        };
        let many = self.servers.len() > 1;
        let question = question(&self.settings, expected.is_some(), many);
        let row = raw_sql(AssertSqlSafe(question)).fetch_one(connection).await;
        let row = row.map_err(
            |error| match error.as_database_error().and_then(|e| e.code()) {
                // No schema, no table.
                Some(code) if ["3F000", "42P01"].contains(&&*code) => {
                    other_log(server, expected, "of no one")
                }
                _ => told(server, error),
            },
        )?;
        let get = |error| told(server, error);
        let (standby, read_only): (bool, bool) =
            (row.try_get(0).map_err(get)?, row.try_get(1).map_err(get)?);
        let reads = self.settings.read_only;
        if standby && !reads {
            return Err(not("is a standby"));
        }
        if read_only && !reads {
            return Err(not("refuses writes (`default_transaction_read_only`)"));
        }
        let timeline: i64 = row.try_get(2).map_err(get)?;
        if timeline < newest && !standby && !without("a server left behind is refused") {
            let why = format!("was left behind on timeline {timeline}; the log is on {newest}");
            return Err(not(&why));
        }
        let found: Option<Uuid> = row.try_get(3).map_err(get)?;
        let found = found.map(|found| LogIdentity::from_u128(found.as_u128()));
        let other = expected.is_some() && found != expected;
        if other && !without("another log is refused") {
            let found = found.map_or_else(|| "of no one".to_owned(), |found| found.to_string());
            return Err(other_log(server, expected, &found));
        }
        let mut known = self.known();
        known.timeline = known.timeline.max(timeline);
        Ok(())
    }
}

/// What becomes of a connection that was idle.
pub(super) enum Verdict {
    Good,
    /// It may be dead.
    Doubtful,
    /// It leads to a server that was the primary.
    Elsewhere,
}

fn told(server: &Server, error: sqlx::Error) -> Refusal {
    if may_pass(&error) {
        Refusal::Not(format!("`{}` is not reached: {error}", server.name))
    } else {
        Refusal::Never(failed("connecting to PostgreSQL")(error))
    }
}

fn other_log(server: &Server, expected: Option<LogIdentity>, found: &str) -> Refusal {
    Refusal::Never(Error::new(Kind::OtherLog {
        host: server.name.clone(),
        found: found.to_owned(),
        expected: expected.map(|it| it.to_string()).unwrap_or_default(),
    }))
}

fn is_other_log(error: &Error) -> bool {
    matches!(error.kind(), Kind::OtherLog { .. })
}

/// Asks a server what it is and sets up the session, in one round trip and without a prepared
/// statement.
fn question(settings: &Settings, identity: bool, many: bool) -> String {
    let identity = if identity {
        "(SELECT identity FROM es.log)"
    } else {
        "NULL::uuid"
    };
    // Where there is one server, nobody needs the functions that some of them lack.
    let timeline = if many {
        "CASE WHEN pg_is_in_recovery() THEN 0 ELSE
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END"
    } else {
        "0::bigint"
    };
    let session = if settings.pgbouncer {
        "NULL".to_owned()
    } else {
        session(settings, false)
    };
    format!(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', {timeline},
                {identity}, {session}"
    )
}

/// What holds for a session, or for a transaction: durable whatever the server's default is, since
/// an acknowledgement is a promise.
fn session(settings: &Settings, local: bool) -> String {
    let milliseconds = settings.statement_timeout.as_millis().min(2_147_483_647);
    format!(
        "set_config('synchronous_commit',
           CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply'
                ELSE 'on' END, {local}),
         set_config('default_transaction_isolation', 'read committed', {local}),
         set_config('statement_timeout', '{milliseconds}', {local})"
    )
}

/// What a transaction begins with.
pub(super) fn begin(settings: &Settings) -> String {
    if settings.pgbouncer {
        in_shared_session("BEGIN ISOLATION LEVEL READ COMMITTED", settings)
    } else {
        "BEGIN".to_owned()
    }
}

/// What a transaction begins with that sees one moment, that of its first question.
pub(super) fn begin_still(settings: &Settings) -> String {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    if settings.pgbouncer {
        in_shared_session(BEGIN, settings)
    } else {
        BEGIN.to_owned()
    }
}

fn in_shared_session(begin: &str, settings: &Settings) -> String {
    // Whoever had this session before may have left prepared statements with our names.
    let session = session(settings, true);
    format!("{begin}; DEALLOCATE ALL; SELECT {session}")
}
