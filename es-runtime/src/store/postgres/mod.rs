//! The store for many writers: PostgreSQL, one server-side call for everything that waits.
//!
//! Several processes share the log: each call takes a lock in the database, which it holds until
//! its own commit, so that the order of positions is the order of commits.

mod committer;
mod log;
mod notify;
mod projections;
mod schema;
mod segment;
mod streams;
mod types;

pub use sqlx;
pub use sqlx::PgConnection;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres, Transaction};

use self::committer::Calls;
use super::group::Committer;
use super::tx::{Inner as TxInner, Tx};
use super::wake::{Heads, Wake};
use super::{
    AcceptedCommand, Advance, Advanced, Append, Appended, EventStore, InboxId, Outcome, Phase,
    ProjectionId, ProjectionState, PublishedEvent, Row, RowChange, Schema, Segment, StreamCursor,
    StreamVersion, Table,
};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, Position, StoredEvent, StreamId, Timestamp};

/// How long a call waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where news get lost, other processes' appends are noticed after at most this long.
const POLL: Duration = Duration::from_millis(250);
const CONNECTIONS: u32 = 8;

/// A store in one PostgreSQL database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    identity: LogIdentity,
    pool: PgPool,
    /// One connection for all appends of this process.
    writer: PgPool,
    committer: Committer,
    /// What wakes the readers of this process.
    wake: Arc<Wake>,
    /// What this process wrote: news for the others.
    own: Arc<Heads>,
}

impl PostgresStore {
    /// Connects to the database that `url` names and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or comes from a newer release.
    pub async fn connect(url: &str) -> Result<Self> {
        const DOING: &str = "connecting to PostgreSQL";
        let options = PgConnectOptions::from_str(url).map_err(failed(DOING))?;
        // Durable whatever the server's default is: an acknowledgement is a promise.
        let settings = [
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
        ];
        let options = options.options(settings).disable_statement_logging();
        let pool = || PgPoolOptions::new().acquire_timeout(PATIENCE);
        let writer = pool()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = writer
            .connect_with(options.clone())
            .await
            .map_err(failed(DOING))?;
        let identity = schema::migrate(&writer).await?;
        let pool = pool()
            .max_connections(CONNECTIONS)
            .connect_lazy_with(options);
        let (wake, own) = (Arc::new(Wake::new(POLL)), Arc::new(Heads::default()));
        notify::start(&pool, &own, &wake);
        let calls = Calls::new(writer.clone(), wake.clone(), own.clone());
        let committer = Committer::start(calls);
        Ok(Self {
            identity,
            pool,
            writer,
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
        let options = PgConnectOptions::from_str(url).map_err(failed(DOING))?;
        let options = options.disable_statement_logging();
        let mut database = options.connect().await.map_err(failed(DOING))?;
        let schema = schema::look(&mut database).await.map_err(failed(DOING))?;
        database.close().await.map_err(failed(DOING))?;
        Ok(schema)
    }

    async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Postgres>> {
        self.pool.begin().await.map_err(failed(doing))
    }
}

/// Turns a database's error into ours.
fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| Error::database(doing, error)
}

impl EventStore for PostgresStore {
    fn identity(&self) -> LogIdentity {
        self.identity
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.committer.append(append).await
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        log::outcome(&self.pool, stream, command).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        log::stream(&self.pool, stream, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
        log::page(&self.pool, after, limit).await
    }

    async fn head(&self) -> Result<Position> {
        log::head(&self.pool).await
    }

    async fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> Result<Vec<AcceptedCommand>> {
        segment::commands(&self.pool, commands).await
    }

    async fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> Result<Vec<AcceptedCommand>> {
        segment::empty_commands(&self.pool, from, after, limit).await
    }

    async fn import(&self, segment: Segment) -> Result<()> {
        // A `COPY` that is dropped halfway leaves its connection unusable: it goes on.
        let pool = self.pool.clone();
        let import = tokio::spawn(async move { segment::import(&pool, &segment).await });
        let gone = |error| Error::database("importing events", error);
        let head = import.await.map_err(gone)??;
        self.wake.log_grew(head);
        self.own.log_grew(head);
        Ok(())
    }

    async fn forget_commands(&self, before: Timestamp, limit: usize) -> Result<u64> {
        segment::forget(&self.pool, before, limit).await
    }

    async fn wait_for_append(&self, after: Position) {
        self.wake.for_log(after).await;
    }

    async fn prepare_table(&self, table: &Table) -> Result<ProjectionState> {
        const DOING: &str = "preparing a read model";
        let mut tx = self.write(DOING).await?;
        let state = projections::prepare_table(&mut tx, table).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(state)
    }

    async fn prepare_stream(&self, stream: &StreamVersion) -> Result<ProjectionState> {
        const DOING: &str = "preparing an integration stream";
        let mut tx = self.write(DOING).await?;
        let state = projections::prepare(&mut tx, &stream.into(), "").await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(state)
    }

    async fn projection(&self, projection: &ProjectionId) -> Result<Option<ProjectionState>> {
        let connection = self.pool.acquire().await;
        let mut connection = connection.map_err(failed("reading a projection"))?;
        projections::state(&mut connection, projection).await
    }

    async fn projections(&self) -> Result<Vec<(ProjectionId, ProjectionState)>> {
        projections::all(&self.pool).await
    }

    async fn finish_building(&self, projection: &ProjectionId) -> Result<Phase> {
        const DOING: &str = "completing a projection";
        let mut tx = self.write(DOING).await?;
        let phase = projections::finish_building(&mut tx, projection).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(phase)
    }

    async fn promote(&self, table: &Table) -> Result<()> {
        const DOING: &str = "promoting a read model";
        let mut tx = self.write(DOING).await?;
        projections::promote(&mut tx, &table.into()).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        changes: Vec<RowChange>,
    ) -> Result<Advanced> {
        const DOING: &str = "writing a read model";
        let mut tx = self.write(DOING).await?;
        let advanced = projections::advance(&mut tx, &advance).await?;
        if advanced == Advanced::Moved {
            projections::write_rows(&mut tx, table, changes).await?;
            tx.commit().await.map_err(failed(DOING))?;
        }
        Ok(advanced)
    }

    async fn read_rows(&self, table: &Table, keys: Vec<String>) -> Result<Vec<(String, Row)>> {
        projections::rows(&self.pool, table, keys).await
    }

    async fn scan_rows(
        &self,
        table: &Table,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        projections::scan(&self.pool, table, after, limit).await
    }

    async fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> Result<Advanced> {
        const DOING: &str = "writing an integration stream";
        let mut tx = self.write(DOING).await?;
        let advanced = projections::advance(&mut tx, &advance).await?;
        if advanced == Advanced::Moved {
            streams::write(&mut tx, stream, &events).await?;
            tx.commit().await.map_err(failed(DOING))?;
            if let Some(last) = events.last() {
                self.wake.stream_grew(stream, last.position);
                self.own.stream_grew(stream, last.position);
            }
        }
        Ok(advanced)
    }

    async fn read_published(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
    ) -> Result<Vec<PublishedEvent>> {
        streams::page(&self.pool, stream, after, limit).await
    }

    async fn published_head(&self, stream: &StreamVersion) -> Result<StreamCursor> {
        streams::head(&self.pool, stream).await
    }

    async fn wait_for_published(&self, stream: &StreamVersion, after: Position) {
        self.wake.for_stream(stream, after).await;
    }

    async fn inbox(&self, inbox: &InboxId) -> Result<StreamCursor> {
        streams::inbox(&self.pool, inbox).await
    }

    async fn begin(&self) -> Result<Tx> {
        let tx = self.write("beginning a consumer's transaction").await?;
        Ok(Tx(TxInner::Postgres(tx)))
    }

    async fn commit_inbox(
        &self,
        tx: Tx,
        inbox: &InboxId,
        from: StreamCursor,
        to: StreamCursor,
    ) -> Result<Advanced> {
        let TxInner::Postgres(mut tx) = tx.0 else {
            return Err(Error::new(Kind::WrongTransaction {
                wanted: "PostgreSQL",
            }));
        };
        let advanced = streams::advance_inbox(&mut tx, inbox, from, to).await?;
        if advanced == Advanced::Moved {
            tx.commit()
                .await
                .map_err(failed("committing a consumer's effects"))?;
        }
        Ok(advanced)
    }

    async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}
