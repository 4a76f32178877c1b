//! What can be set of a connection to PostgreSQL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::url;
use crate::error::{Error, Result};
use crate::store::group::Limits;

const DOING: &str = "reading the URL of a PostgreSQL database";

/// How to connect to PostgreSQL, and how much to ask of it.
///
/// A URL names the servers, and may hold each setting under its method's name; durations are in
/// seconds, or end in `ms`.
///
/// ```
/// use std::time::Duration;
/// use es_runtime::postgres::PostgresOptions;
///
/// let url = "postgres://bank@one.internal:5432,two.internal:5432/bank?pool_size=16";
/// let options: PostgresOptions = url.parse()?;
/// let options = options.queue(1_000).statement_timeout(Duration::from_secs(10));
/// # Ok::<(), es_runtime::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) hosts: Vec<PgConnectOptions>,
    /// Where to listen, if not over the pool.
    pub(super) listen: Vec<PgConnectOptions>,
    pub(super) limits: Limits,
    pub(super) settings: Settings,
}

/// The settings that connections are made with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) pool_size: u32,
    pub(super) patience: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) poll_interval: Duration,
    pub(super) pgbouncer: bool,
    pub(super) read_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool_size: 8,
            patience: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            poll_interval: Duration::from_millis(250),
            pgbouncer: false,
            read_only: false,
        }
    }
}

impl FromStr for PostgresOptions {
    type Err = Error;

    /// # Errors
    /// When the URL is none, or a setting in it has a value that it cannot have.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = url::parse(text).map_err(|why| Error::database(DOING, why))?;
        let mut options = Self {
            hosts: parsed.hosts.into_iter().map(prepared).collect(),
            listen: Vec::new(),
            limits: Limits::default(),
            settings: Settings::default(),
        };
        for (key, value) in parsed.settings {
            options = options.set(&key, &value)?;
        }
        Ok(options)
    }
}

/// What holds for every connection.
fn prepared(options: PgConnectOptions) -> PgConnectOptions {
    // PgBouncer refuses the digits at the start, and PostgreSQL's own default loses none.
    let options = options.extra_float_digits(None).disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("es"),
    }
}

impl PostgresOptions {
    fn set(self, key: &str, value: &str) -> Result<Self> {
        let wrong = || Error::database(DOING, format!("`{key}` cannot be `{value}`"));
        let span = || url::duration(value).ok_or_else(wrong);
        Ok(match key {
            "pool_size" => self.pool_size(value.parse().map_err(|_| wrong())?),
            "queue" => self.queue(value.parse().map_err(|_| wrong())?),
            "batch" => self.batch(value.parse().map_err(|_| wrong())?),
            "patience" => self.patience(span()?),
            "connect_timeout" => self.connect_timeout(span()?),
            "statement_timeout" => self.statement_timeout(span()?),
            "poll_interval" => self.poll_interval(span()?),
            "pgbouncer" => self.pgbouncer(value.parse().map_err(|_| wrong())?),
            "read_only" => self.read_only(value.parse().map_err(|_| wrong())?),
            _ => self.listen_url(value)?,
        })
    }

    /// Connections for everything but appends, which have one of their own. Default: 8. One more
    /// listens for other processes' news.
    #[must_use]
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.settings.pool_size = connections.max(1);
        self
    }

    /// Appends that may wait for their commit; when as many do, the next one fails at once, and
    /// [`is_overloaded`](Error::is_overloaded) tells. Default: 8192.
    #[must_use]
    pub fn queue(mut self, appends: usize) -> Self {
        self.limits.queue = appends.clamp(1, 1 << 24);
        self
    }

    /// The most appends that share one commit. Default: 512.
    #[must_use]
    pub fn batch(mut self, appends: usize) -> Self {
        self.limits.batch = appends.clamp(1, 1 << 15);
        self
    }

    /// How long a call waits for a free connection, or for a server that takes writes, until it
    /// fails with a transient error. Default: 30 seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How long one server may take to accept a connection before the next one is tried. Default:
    /// 5 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long one statement may take in the server, waiting for locks included; it bounds the
    /// statements of your handlers, too. Zero is no bound. Default: 30 seconds.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.settings.statement_timeout = timeout;
        self
    }

    /// Where other processes' news get lost, their appends are noticed after at most this long.
    /// Default: 250 milliseconds.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// The name under which the server lists our connections. Default: `es`.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        for host in self.hosts.iter_mut().chain(&mut self.listen) {
            *host = host.clone().application_name(name);
        }
        self
    }

    /// Whether the URL leads to a PgBouncer that shares sessions between transactions. Every
    /// statement then stands in a transaction of its own, nothing is kept in the session, and
    /// nobody listens unless [`listen_url`](Self::listen_url) says where. Costs a few round trips
    /// for each call. Default: no.
    #[must_use]
    pub fn pgbouncer(mut self, pgbouncer: bool) -> Self {
        self.settings.pgbouncer = pgbouncer;
        self
    }

    /// Whether the store only reads: from the first of its servers that answers, also from a hot
    /// standby. Whatever writes fails with an error that says so, and the tables must be up to
    /// date. Appends are seen after the poll interval, and after the standby has them. Default: no.
    ///
    /// Mind what a standby knows: of an asynchronous primary it may know more than the standby that
    /// takes over, and then it is ahead of the log.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.settings.read_only = read_only;
        self
    }

    /// A URL that leads to the servers themselves, to listen for news where the store's own URL
    /// leads to a PgBouncer.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn listen_url(mut self, url: &str) -> Result<Self> {
        let parsed = url::parse(url).map_err(|why| Error::database(DOING, why))?;
        self.listen = parsed.hosts.into_iter().map(prepared).collect();
        Ok(self)
    }
}

/// Without the passwords.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |hosts: &[PgConnectOptions]| hosts.iter().map(url::name).collect::<Vec<_>>();
        f.debug_struct("PostgresOptions")
            .field("hosts", &names(&self.hosts))
            .field("listen", &names(&self.listen))
            .field("limits", &self.limits)
            .field("settings", &self.settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_holds_every_setting() {
        let url = "postgres://me:secret@a/db?pool_size=3&queue=4&batch=5&patience=6&\
                   connect_timeout=7&statement_timeout=8ms&poll_interval=9ms&pgbouncer=true&\
                   read_only=true&listen_url=postgres%3A%2F%2Fme%40b%2Fdb&application_name=bank";
        let options: PostgresOptions = url.parse().unwrap();
        let text = format!("{options:?}");
        assert_eq!(
            text,
            "PostgresOptions { hosts: [\"a:5432\"], listen: [\"b:5432\"], \
             limits: Limits { queue: 4, batch: 5 }, settings: Settings { pool_size: 3, \
             patience: 6s, connect_timeout: 7s, statement_timeout: 8ms, poll_interval: 9ms, \
             pgbouncer: true, read_only: true } }"
        );
        assert_eq!(options.hosts[0].get_application_name(), Some("bank"));
        for wrong in ["queue=many", "patience=long", "pgbouncer=perhaps"] {
            let error = format!("postgres://a/db?{wrong}").parse::<PostgresOptions>();
            assert!(error.is_err(), "{wrong}");
        }
    }
}
