use std::time::Duration;

use super::memory::MemoryStore;
#[cfg(feature = "postgres")]
use super::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
use super::sqlite::SqliteStore;
use super::tx::Tx;
use super::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance, KeptSchema,
    LifeEntry, Lineage, LogPage, LogQuery, NewInstance, Outcome, Outdated, ParkedKey, Postponed,
    ProcessPage, ProjectionId, ProjectionState, PublishedEvent, PublishedPage, PublishedQuery,
    ReactionClaim, ReactionId, ReactionQueue, Reading, RelayClaim, RelayId, RelayMove, RelayState,
    Replay, Row, RowQuery, RowsAt, Schema, Segment, Select, Snapshot, Still, StoreHealth,
    StreamCursor, StreamPage, StreamQuery, StreamVersion, Table, Timer, TimerPlace, Written,
};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Event, LogIdentity, Position, StreamId, Timestamp};

/// The store that a service runs on, chosen by its URL. Clones share it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Store {
    /// In memory, for tests.
    Memory(MemoryStore),
    /// One SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStore),
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

impl Store {
    /// The events of one aggregate's streams in the order of the log, typed.
    pub fn replay<E: Event>(&self, query: LogQuery) -> Replay<Self, E> {
        Replay::new(self.clone(), query)
    }
}

/// Hands a call to the store at hand. In a box, as the compiler counts how deep a future goes, and the
/// rest is for those who call.
macro_rules! to {
    ($self:ident.$method:ident($($arg:expr),*).await) => {
        match $self {
            Self::Memory(store) => Box::pin(store.$method($($arg),*)).await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => Box::pin(store.$method($($arg),*)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Box::pin(store.$method($($arg),*)).await,
        }
    };
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match $self {
            Self::Memory(store) => store.$method($($arg),*),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.$method($($arg),*),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.$method($($arg),*),
        }
    };
}

impl Store {
    /// Connects to the store that `url` names, and brings its tables up to date:
    /// `memory:`, `sqlite://path/to/file.db` or `postgres://user@host/database`, which may list
    /// several hosts and hold the settings of `PostgresOptions`.
    ///
    /// # Errors
    /// When there is no such store, it cannot be reached, or it comes from a newer release.
    pub async fn connect(url: &str) -> Result<Self> {
        if url == "memory:" {
            return Ok(Self::Memory(MemoryStore::new()));
        }
        #[cfg(feature = "sqlite")]
        if let Some(path) = sqlite_path(url) {
            return SqliteStore::open(path).await.map(Self::Sqlite);
        }
        #[cfg(feature = "postgres")]
        if is_postgres(url) {
            return PostgresStore::connect(url).await.map(Self::Postgres);
        }
        Err(unknown(url))
    }

    /// How the store is: whether it answers, takes writes, and what an acknowledged append
    /// survives. An answer also when it does not: this never fails, and takes seconds at most.
    pub async fn health(&self) -> StoreHealth {
        to!(self.health().await)
    }
}

impl Store {
    /// Looks at the tables of the store that `url` names, and changes nothing.
    ///
    /// # Errors
    /// When there is no such store, or it cannot be reached.
    pub async fn schema(url: &str) -> Result<Schema> {
        if url == "memory:" {
            return Ok(Schema { found: 0, known: 0 });
        }
        #[cfg(feature = "sqlite")]
        if let Some(path) = sqlite_path(url) {
            return SqliteStore::schema(path).await;
        }
        #[cfg(feature = "postgres")]
        if is_postgres(url) {
            return PostgresStore::schema(url).await;
        }
        Err(unknown(url))
    }
}

/// The file that the URL names.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

#[cfg(feature = "postgres")]
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn unknown(url: &str) -> Error {
    let url = url.to_owned();
    Error::new(Kind::UnknownStore { url })
}

impl From<MemoryStore> for Store {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(store)
    }
}

#[cfg(feature = "sqlite")]
impl From<SqliteStore> for Store {
    fn from(store: SqliteStore) -> Self {
        Self::Sqlite(store)
    }
}

#[cfg(feature = "postgres")]
impl From<PostgresStore> for Store {
    fn from(store: PostgresStore) -> Self {
        Self::Postgres(store)
    }
}

impl EventStore for Store {
    fn identity(&self) -> LogIdentity {
        to!(self.identity())
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        to!(self.append(append).await)
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        to!(self.outcome(stream, command).await)
    }

    async fn read_stream(&self, stream: &StreamId, query: StreamQuery) -> Result<StreamPage> {
        to!(self.read_stream(stream, query).await)
    }

    async fn read_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        limit: usize,
    ) -> Result<(Option<Snapshot>, StreamPage)> {
        to!(self.read_snapshot(stream, fingerprint, limit).await)
    }

    async fn write_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<()> {
        to!(self.write_snapshots(snapshots).await)
    }

    async fn remove_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        version: u64,
    ) -> Result<()> {
        to!(self.remove_snapshot(stream, fingerprint, version).await)
    }

    async fn remove_outdated(&self, outdated: &Outdated, limit: usize) -> Result<usize> {
        to!(self.remove_outdated(outdated, limit).await)
    }

    async fn read_log(&self, query: &LogQuery) -> Result<LogPage> {
        to!(self.read_log(query).await)
    }

    async fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<StreamPage> {
        to!(self.read_correlated(correlation, after, limit).await)
    }

    async fn head(&self) -> Result<Position> {
        to!(self.head().await)
    }

    async fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> Result<Vec<AcceptedCommand>> {
        to!(self.read_commands(commands).await)
    }

    async fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> Result<Vec<AcceptedCommand>> {
        to!(self.read_empty_commands(from, after, limit).await)
    }

    async fn import(&self, segment: Segment) -> Result<()> {
        to!(self.import(segment).await)
    }

    async fn forget_commands(&self, before: Timestamp, limit: usize) -> Result<u64> {
        to!(self.forget_commands(before, limit).await)
    }

    async fn wait_for_append(&self, after: Position) {
        to!(self.wait_for_append(after).await)
    }

    async fn prepare_table(&self, table: &Table) -> Result<ProjectionState> {
        to!(self.prepare_table(table).await)
    }

    async fn complete_table(&self, table: &Table) -> Result<()> {
        to!(self.complete_table(table).await)
    }

    async fn prepare_stream(&self, stream: &StreamVersion) -> Result<ProjectionState> {
        to!(self.prepare_stream(stream).await)
    }

    async fn prepare_process(&self, process: &str) -> Result<ProjectionState> {
        to!(self.prepare_process(process).await)
    }

    async fn projection(&self, projection: &ProjectionId) -> Result<Option<ProjectionState>> {
        to!(self.projection(projection).await)
    }

    async fn projections(&self) -> Result<Vec<(ProjectionId, ProjectionState)>> {
        to!(self.projections().await)
    }

    async fn change(&self, id: &ProjectionId, change: &Change, by: &str) -> Result<Lineage> {
        to!(self.change(id, change, by).await)
    }

    async fn parked(
        &self,
        id: &ProjectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>> {
        to!(self.parked(id, after, limit).await)
    }

    async fn parked_events(
        &self,
        id: &ProjectionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Position>> {
        to!(self.parked_events(id, key, limit).await)
    }

    async fn lineage(&self, projection: &ProjectionId) -> Result<Lineage> {
        to!(self.lineage(projection).await)
    }

    async fn life(&self, id: &ProjectionId) -> Result<Vec<LifeEntry>> {
        to!(self.life(id).await)
    }

    async fn remove_rows(&self, id: &ProjectionId) -> Result<()> {
        to!(self.remove_rows(id).await)
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        to!(self.claim(claim).await)
    }

    async fn release(&self, owner: &str) -> Result<()> {
        to!(self.release(owner).await)
    }

    async fn note_failure(&self, stands: &Advance, reason: &str) -> Result<()> {
        to!(self.note_failure(stands, reason).await)
    }

    async fn note_seen(
        &self,
        who: &str,
        run: &[ProjectionId],
        read: &[ProjectionId],
    ) -> Result<()> {
        to!(self.note_seen(who, run, read).await)
    }

    async fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        written: Written,
    ) -> Result<Advanced> {
        to!(self.advance_rows(advance, table, written).await)
    }

    async fn advance_process(&self, advance: Advance, page: ProcessPage) -> Result<Advanced> {
        to!(self.advance_process(advance, page).await)
    }

    async fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        to!(self.timers(process, after, limit).await)
    }

    async fn finish_timers(&self, process: &str, fired: &[Timer]) -> Result<()> {
        to!(self.finish_timers(process, fired).await)
    }

    async fn note_timer_failure(&self, process: &str, timer: &Timer, reason: &str) -> Result<()> {
        to!(self.note_timer_failure(process, timer, reason).await)
    }

    async fn claim_reactions(&self, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
        to!(self.claim_reactions(claim).await)
    }

    async fn keep_reactions(
        &self,
        projection: &str,
        keys: Vec<String>,
        owner: &str,
        lease: Duration,
    ) -> Result<()> {
        to!(self.keep_reactions(projection, keys, owner, lease).await)
    }

    async fn finish_reaction(&self, reaction: &ReactionId, last: bool) -> Result<()> {
        to!(self.finish_reaction(reaction, last).await)
    }

    async fn postpone_reactions(&self, postponed: &Postponed) -> Result<()> {
        to!(self.postpone_reactions(postponed).await)
    }

    async fn reaction_queues(
        &self,
        projection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReactionQueue>> {
        to!(self.reaction_queues(projection, after, limit).await)
    }

    async fn retry_reactions(&self, projection: &str, key: Option<&str>) -> Result<u64> {
        to!(self.retry_reactions(projection, key).await)
    }

    async fn drop_reaction(&self, reaction: &ReactionId, reason: &str, by: &str) -> Result<bool> {
        to!(self.drop_reaction(reaction, reason, by).await)
    }

    async fn read_rows(&self, table: &Table, keys: Vec<String>) -> Result<Vec<(String, Row)>> {
        to!(self.read_rows(table, keys).await)
    }

    async fn read_rows_at(&self, table: &Table, keys: Vec<String>) -> Result<RowsAt> {
        to!(self.read_rows_at(table, keys).await)
    }

    async fn query_rows(&self, table: &Table, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        to!(self.query_rows(table, query).await)
    }

    async fn count_rows(&self, table: &Table, select: &Select) -> Result<u64> {
        to!(self.count_rows(table, select).await)
    }

    async fn still(&self) -> Result<Still> {
        to!(self.still().await)
    }

    async fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> Result<Advanced> {
        to!(self.advance_stream(advance, stream, events).await)
    }

    async fn read_published(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
    ) -> Result<Vec<PublishedEvent>> {
        to!(self.read_published(stream, after, limit).await)
    }

    async fn query_published(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        to!(self.query_published(query).await)
    }

    async fn published_head(&self, stream: &StreamVersion) -> Result<StreamCursor> {
        to!(self.published_head(stream).await)
    }

    async fn wait_for_published(&self, stream: &StreamVersion, after: Position) {
        to!(self.wait_for_published(stream, after).await)
    }

    async fn note_consumers(&self, readings: &[Reading]) -> Result<()> {
        to!(self.note_consumers(readings).await)
    }

    async fn keep_schemas(&self, schemas: &[KeptSchema]) -> Result<()> {
        to!(self.keep_schemas(schemas).await)
    }

    async fn kept_schema(&self, name: &str, revision: &str) -> Result<Option<KeptSchema>> {
        to!(self.kept_schema(name, revision).await)
    }

    async fn consumers(&self, stream: Option<&StreamVersion>) -> Result<Vec<ConsumerState>> {
        to!(self.consumers(stream).await)
    }

    async fn claim_relay(&self, claim: &RelayClaim) -> Result<RelayState> {
        to!(self.claim_relay(claim).await)
    }

    async fn advance_relay(&self, step: &RelayMove) -> Result<Advanced> {
        to!(self.advance_relay(step).await)
    }

    async fn note_relay_failure(&self, relay: &RelayId, epoch: u64, reason: &str) -> Result<()> {
        to!(self.note_relay_failure(relay, epoch, reason).await)
    }

    async fn relays(&self) -> Result<Vec<RelayState>> {
        to!(self.relays().await)
    }

    async fn inbox(&self, inbox: &InboxId) -> Result<StreamCursor> {
        to!(self.inbox(inbox).await)
    }

    async fn inboxes(&self) -> Result<Vec<InboxId>> {
        to!(self.inboxes().await)
    }

    async fn inbox_state(&self, inbox: &InboxId) -> Result<InboxState> {
        to!(self.inbox_state(inbox).await)
    }

    async fn ask_inbox(&self, inbox: &InboxId, question: &InboxQuestion) -> Result<u64> {
        to!(self.ask_inbox(inbox, question).await)
    }

    async fn claim_inbox(&self, claim: &InboxClaim) -> Result<InboxClaimed> {
        to!(self.claim_inbox(claim).await)
    }

    async fn inbox_versions(&self, inbox: &InboxId) -> Result<InboxVersions> {
        to!(self.inbox_versions(inbox).await)
    }

    async fn take_over_inbox(&self, takeover: &InboxTakeover) -> Result<Advanced> {
        to!(self.take_over_inbox(takeover).await)
    }

    async fn inbox_keys(
        &self,
        inbox: &InboxId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<InboxKey>> {
        to!(self.inbox_keys(inbox, after, limit).await)
    }

    async fn inbox_events(
        &self,
        inbox: &InboxId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldEvent>> {
        to!(self.inbox_events(inbox, key, limit).await)
    }

    async fn retry_inbox(&self, inbox: &InboxId, key: Option<&str>) -> Result<u64> {
        to!(self.retry_inbox(inbox, key).await)
    }

    async fn give_up_inbox(
        &self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> Result<bool> {
        to!(self.give_up_inbox(inbox, position, reason, by).await)
    }

    async fn dead_letters(
        &self,
        inbox: &InboxId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        to!(self.dead_letters(inbox, after, limit).await)
    }

    async fn begin(&self) -> Result<Tx> {
        to!(self.begin().await)
    }

    async fn commit_inbox(&self, tx: Tx, step: &InboxMove) -> Result<Advanced> {
        to!(self.commit_inbox(tx, step).await)
    }

    async fn register(&self, instance: &NewInstance) -> Result<Vec<Instance>> {
        to!(self.register(instance).await)
    }

    async fn keep_alive(&self, number: u64, timeout: Duration) -> Result<Option<Vec<Instance>>> {
        to!(self.keep_alive(number, timeout).await)
    }

    async fn deregister(&self, number: u64) -> Result<()> {
        to!(self.deregister(number).await)
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        to!(self.instances().await)
    }

    async fn close(&self) {
        to!(self.close().await)
    }
}
