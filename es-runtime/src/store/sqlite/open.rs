//! From a path to a store: one connection that writes, some that read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, SqlitePool};
use tokio::time::{Instant, sleep};

use super::committer::Batches;
use super::readers::Readers;
use super::{SqliteStore, schema};
use crate::error::{Error, Result};
use crate::store::Schema;
use crate::store::group::{Committer, Limits};
use crate::store::wake::Wake;

/// How long a write waits for another process's, or a read for a free connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Other processes' appends are noticed after at most this long.
const POLL: Duration = Duration::from_millis(50);
pub(super) const READERS: u32 = 4;
/// Bytes of a page of a new file. An append changes a page of the index by stream, wherever that
/// stream's place is, and all of that page goes to the disk: so half of what is usual.
const PAGE_SIZE: u32 = 2048;
/// How large the cache of a connection that reads is, in negative KiB.
const READER_CACHE: (&str, &str) = ("cache_size", "-65536");
/// The same of one that writes: SQLite looks through all of it whenever a commit has split pages.
const WRITER_CACHE: (&str, &str) = ("cache_size", "-16384");
/// After how many pages, 32 MiB of a new file, the log of changes is brought into the file.
const CHECKPOINT: (&str, &str) = ("wal_autocheckpoint", "16000");
/// Statements that a connection keeps prepared: a service with some read models has over a hundred.
const STATEMENTS: usize = 1000;

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or comes from a newer release.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_limited(path.as_ref(), Limits::default()).await
    }

    /// Opens the file as [`open`](Self::open) does, with a queue of this length: when so many
    /// appends wait for their commit, the next one fails at once, and
    /// [`is_overloaded`](Error::is_overloaded) tells. Without it the queue takes 8192.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with_queue(path: impl AsRef<Path>, appends: usize) -> Result<Self> {
        let limits = Limits {
            queue: appends.clamp(1, 1 << 24),
            ..Limits::default()
        };
        Self::open_limited(path.as_ref(), limits).await
    }

    async fn open_limited(path: &Path, limits: Limits) -> Result<Self> {
        let doing = || format!("opening the SQLite file `{}`", path.display());
        let opening = |error| Error::database(doing(), error);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(PATIENCE)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
        };
        let write = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .page_size(PAGE_SIZE)
            .synchronous(SqliteSynchronous::Full)
            .pragma(WRITER_CACHE.0, WRITER_CACHE.1)
            .pragma(CHECKPOINT.0, CHECKPOINT.1);
        let one = pool()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|writer, _| Box::pin(as_good_as_new(writer)));
        let writer = connect_writer(one, write).await.map_err(opening)?;
        let identity = schema::migrate(&writer).await?;
        let read = options
            .read_only(true)
            .row_buffer_size(1000)
            .pragma(READER_CACHE.0, READER_CACHE.1);
        let readers = pool()
            .max_connections(READERS)
            .connect_with(read)
            .await
            .map_err(opening)?;
        let wake = Arc::new(Wake::new(POLL));
        let batches = Batches::new(writer.clone(), path, wake.clone());
        let committer = Committer::start(batches, limits);
        Ok(Self {
            identity,
            readers,
            log: Readers::new(path),
            writer,
            committer,
            wake,
        })
    }

    /// Looks at the tables of a file, and changes nothing; a file that is not there has none.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn schema(path: impl AsRef<Path>) -> Result<Schema> {
        let path = path.as_ref();
        let doing = || format!("looking at the SQLite file `{}`", path.display());
        let failed = |error| Error::database(doing(), error);
        if !path.exists() {
            return Ok(schema::NONE);
        }
        // A file in WAL mode wants its companions made, so it is not opened read-only.
        let options = SqliteConnectOptions::new().filename(path);
        let mut database = options.connect().await.map_err(failed)?;
        let schema = schema::look(&mut database).await.map_err(failed)?;
        database.close().await.map_err(failed)?;
        Ok(schema)
    }
}

/// A connection that reads where it is, by one thread at a time.
pub(super) fn reader_here(file: &Path) -> rusqlite::Result<Connection> {
    connect_here(file, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE)
}

/// A connection that writes where it is, by one thread at a time.
pub(super) fn writer_here(file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect_here(file, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, CHECKPOINT.0, CHECKPOINT.1)?;
    Ok(connection)
}

fn connect_here(
    file: &Path,
    access: OpenFlags,
    cache: (&str, &str),
) -> rusqlite::Result<Connection> {
    let access = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, access)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, cache.0, cache.1)?;
    Ok(connection)
}

/// Connects the writer. Of two openers that switch a new file to WAL at once, SQLite tells one that
/// the file is locked and does not wait, whatever its patience; so that one comes again.
async fn connect_writer(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> sqlx::Result<SqlitePool> {
    const LOCKED: &str = "5";
    let code = |error: &sqlx::Error| Some(error.as_database_error()?.code()?.into_owned());
    let deadline = Instant::now() + PATIENCE;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if code(&error).as_deref() == Some(LOCKED) && Instant::now() < deadline => {
                sleep(POLL / 10).await;
            }
            connected => return connected,
        }
    }
}

/// Whether a connection may be used again. SQLite ends a transaction by itself on a full disk and
/// some other errors; sqlx then believes for ever that it goes on, so another one takes its place.
async fn as_good_as_new(writer: &mut SqliteConnection) -> sqlx::Result<bool> {
    // What a dropped transaction left behind comes before the ping's answer.
    writer.ping().await?;
    Ok(!writer.is_in_transaction())
}
