//! The embedded store: SQLite in WAL mode, one writer, group commit, every commit on disk.
//!
//! Several processes may share one file: every write is a transaction that begins with the lock
//! (`BEGIN IMMEDIATE`) and looks at the log again, so nothing is believed that was read before.

mod claim;
mod committer;
mod consumers;
mod entities;
mod inboxes;
mod inline;
mod instances;
mod kept_schemas;
pub(super) mod life;
mod log;
mod many;
mod moving;
mod open;
mod parked;
#[cfg(test)]
mod plans;
mod projections;
mod reactions;
pub(super) mod read_rows;
mod readers;
mod relays;
mod repairs;
mod rows;
mod schema;
mod segment;
mod snapshots;
mod streams;
mod timers;

pub(super) use self::projections::{advance_in, prepare_in};
pub(super) use self::reactions::add_inputs;
pub use sqlx;
pub use sqlx::SqliteConnection;

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction, raw_sql};
use tokio::time::Instant;

use super::group::{Committer, DOING};
use super::health::{Durability, StoreHealth};
use super::still::{Inner as StillInner, Still};
use super::tx::{Ended, Inner as TxInner, Tx};
use super::wake::Wake;
use super::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance, KeptSchema,
    LifeEntry, Lineage, LogPage, LogQuery, NewInstance, Outcome, Outdated, ParkedKey, Postponed,
    ProcessPage, ProjectionId, ProjectionState, PublishedEvent, PublishedPage, PublishedQuery,
    ReactionClaim, ReactionId, ReactionQueue, Reading, RelayClaim, RelayId, RelayMove, RelayState,
    Row, RowQuery, RowsAt, Segment, Select, Snapshot, StreamCursor, StreamPage, StreamQuery,
    StreamVersion, Table, Timer, TimerPlace, Written, tasks_of,
};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, Position, StreamId, Timestamp};

/// A store in one SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    identity: LogIdentity,
    readers: SqlitePool,
    /// For all that reads events.
    log: readers::Readers,
    /// A pool of one: its queue is fair, and a dropped transaction is rolled back.
    writer: SqlitePool,
    committer: Committer,
    wake: Arc<Wake>,
}

impl SqliteStore {
    /// How the file is: whether it can be read, and what a commit waits for.
    pub async fn health(&self) -> StoreHealth {
        const DOING: &str = "asking how the file is";
        let start = Instant::now();
        let question = "SELECT journal_mode FROM pragma_journal_mode";
        let mode: sqlx::Result<String> =
            sqlx::query_scalar(question).fetch_one(&self.readers).await;
        let (latency, waiting) = (start.elapsed(), self.committer.waiting());
        let health = match mode.map_err(failed(DOING)) {
            Ok(mode) => {
                // The writer's own; the readers' say nothing.
                let details = format!("journal_mode = {mode}, synchronous = full");
                StoreHealth::answered(latency, Durability::Disk, details)
            }
            Err(error) => StoreHealth::silent(latency, &error, String::new()),
        };
        StoreHealth { waiting, ..health }
    }

    async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Sqlite>> {
        begin(&self.writer, doing).await
    }

    /// Makes the append the transaction's last statement.
    pub(super) async fn append_in(
        &self,
        mut tx: Transaction<'static, Sqlite>,
        append: Append,
    ) -> Result<Appended> {
        still_under_way(&mut tx, DOING).await?;
        inline::write(tx, &append, &self.wake).await
    }
}

/// Fails unless the transaction is still under way: after an error that ended it, a statement
/// would be a transaction of its own.
async fn still_under_way(tx: &mut Transaction<'static, Sqlite>, doing: &'static str) -> Result<()> {
    // SQLite has no question for it, but refuses to begin inside a transaction.
    if raw_sql("BEGIN").execute(&mut **tx).await.is_err() {
        return Ok(());
    }
    Err(Error::database(doing, Ended))
}

/// Begins with the write lock, so that all that is read inside is the newest.
async fn begin_immediate(writer: &SqlitePool) -> sqlx::Result<Transaction<'static, Sqlite>> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

async fn begin(writer: &SqlitePool, doing: &'static str) -> Result<Transaction<'static, Sqlite>> {
    begin_immediate(writer).await.map_err(failed(doing))
}

/// Turns a database's error into ours.
fn failed<E>(doing: &'static str) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| Error::database(doing, error)
}

/// A stored number that must not be negative.
fn unsigned<T: TryFrom<i64>>(column: &str, stored: i64) -> Result<T> {
    let what = || format!("{stored} in `{column}`");
    stored
        .try_into()
        .map_err(|_| Error::new(Kind::OutOfRange { what: what() }))
}

/// A number as SQLite keeps it.
fn signed(what: &str, number: u64) -> Result<i64> {
    let what = || format!("{what} {number}");
    number
        .try_into()
        .map_err(|_| Error::new(Kind::OutOfRange { what: what() }))
}

fn position(stored: i64) -> Result<Position> {
    unsigned("position", stored).map(Position::new)
}

/// A number of rows, of which SQLite takes no more than an `i64`.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl EventStore for SqliteStore {
    fn identity(&self) -> LogIdentity {
        self.identity
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.committer.append(append).await
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        log::outcome(&self.log, stream, command).await
    }

    async fn read_stream(&self, stream: &StreamId, query: StreamQuery) -> Result<StreamPage> {
        log::stream(&self.log, stream, query).await
    }

    async fn read_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        limit: usize,
    ) -> Result<(Option<Snapshot>, StreamPage)> {
        snapshots::read(&self.log, stream, fingerprint, limit).await
    }

    async fn write_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<()> {
        snapshots::write(&self.writer, &snapshots).await
    }

    async fn remove_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        version: u64,
    ) -> Result<()> {
        snapshots::remove(&self.writer, stream, fingerprint, version).await
    }

    async fn remove_outdated(&self, outdated: &Outdated, limit: usize) -> Result<usize> {
        snapshots::remove_outdated(&self.writer, outdated, limit).await
    }

    async fn read_log(&self, query: &LogQuery) -> Result<LogPage> {
        log::page(&self.log, query).await
    }

    async fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<StreamPage> {
        log::correlated(&self.log, correlation, after, limit).await
    }

    async fn head(&self) -> Result<Position> {
        log::head(&self.readers).await
    }

    async fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> Result<Vec<AcceptedCommand>> {
        segment::commands(&self.readers, commands).await
    }

    async fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> Result<Vec<AcceptedCommand>> {
        segment::empty_commands(&self.readers, from, after, limit).await
    }

    async fn import(&self, segment: Segment) -> Result<()> {
        let head = segment::import(&self.writer, &segment).await?;
        self.wake.log_grew(head);
        Ok(())
    }

    async fn forget_commands(&self, before: Timestamp, limit: usize) -> Result<u64> {
        segment::forget(&self.writer, before, limit).await
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

    async fn complete_table(&self, _: &Table) -> Result<()> {
        Ok(())
    }

    async fn prepare_stream(&self, stream: &StreamVersion) -> Result<ProjectionState> {
        const DOING: &str = "preparing an integration stream";
        let mut tx = self.write(DOING).await?;
        let state = life::prepare(&mut tx, &stream.into(), "", 1, &[]).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(state)
    }

    async fn prepare_process(&self, process: &str) -> Result<ProjectionState> {
        const DOING: &str = "preparing a process";
        let mut tx = self.write(DOING).await?;
        let id = ProjectionId::process(process);
        let state = life::prepare(&mut tx, &id, "", 1, &[]).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(state)
    }

    async fn projection(&self, projection: &ProjectionId) -> Result<Option<ProjectionState>> {
        const DOING: &str = "reading a projection";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        life::state(&mut reader, projection).await
    }

    async fn projections(&self) -> Result<Vec<(ProjectionId, ProjectionState)>> {
        const DOING: &str = "reading projections";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        life::all(&mut reader).await
    }

    async fn lineage(&self, projection: &ProjectionId) -> Result<Lineage> {
        const DOING: &str = "reading a projection's versions";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        life::read(&mut reader, projection).await
    }

    async fn change(&self, id: &ProjectionId, change: &Change, by: &str) -> Result<Lineage> {
        const DOING: &str = "changing a projection's life";
        let mut tx = self.write(DOING).await?;
        let lineage = life::change(&mut tx, id, change, by).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(lineage)
    }

    async fn parked(
        &self,
        id: &ProjectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>> {
        const DOING: &str = "reading parked keys";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        parked::list(&mut reader, id, after, limit).await
    }

    async fn parked_events(
        &self,
        id: &ProjectionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Position>> {
        const DOING: &str = "reading parked keys";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        parked::events(&mut reader, id, key, limit).await
    }

    async fn life(&self, id: &ProjectionId) -> Result<Vec<LifeEntry>> {
        const DOING: &str = "reading a projection's life";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        life::told(&mut reader, id).await
    }

    async fn remove_rows(&self, id: &ProjectionId) -> Result<()> {
        const DOING: &str = "dropping a read model's table";
        loop {
            let mut tx = self.write(DOING).await?;
            let gone = life::remove_rows(&mut tx, id).await?;
            tx.commit().await.map_err(failed(DOING))?;
            if gone {
                return Ok(());
            }
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        const DOING: &str = "claiming a part of a projection";
        let mut tx = self.write(DOING).await?;
        let claimed = claim::claim(&mut tx, claim).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(claimed)
    }

    async fn release(&self, owner: &str) -> Result<()> {
        const DOING: &str = "giving projections back";
        let mut tx = self.write(DOING).await?;
        claim::release(&mut tx, owner).await?;
        reactions::release(&mut tx, owner).await?;
        relays::release(&mut tx, owner).await?;
        inboxes::release(&mut tx, owner).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn note_failure(&self, stands: &Advance, reason: &str) -> Result<()> {
        const DOING: &str = "noting why a projection stands still";
        let mut tx = self.write(DOING).await?;
        life::note_failure(&mut tx, stands, reason).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn note_seen(
        &self,
        who: &str,
        run: &[ProjectionId],
        read: &[ProjectionId],
    ) -> Result<()> {
        const DOING: &str = "noting who runs a projection";
        let mut tx = self.write(DOING).await?;
        life::note_seen(&mut tx, who, run, read).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        written: Written,
    ) -> Result<Advanced> {
        let mut tx = self.write("writing a read model").await?;
        let advanced = life::advance(&mut tx, &advance).await?;
        if advanced == Advanced::Moved {
            if !parked::write(&mut tx, &advance.projection, &written.parked).await? {
                return Ok(Advanced::Fenced);
            }
            projections::write_rows(&mut tx, table, written.rows).await?;
            let ProjectionId { name, version, .. } = &advance.projection;
            reactions::add(&mut tx, name, *version, &written.reactions).await?;
            tx.commit().await.map_err(failed("writing a read model"))?;
        }
        Ok(advanced)
    }

    async fn advance_process(&self, advance: Advance, page: ProcessPage) -> Result<Advanced> {
        const DOING: &str = "writing what a process does";
        let mut tx = self.write(DOING).await?;
        let advanced = advance_in(&mut tx, &advance, &page.parked).await?;
        if advanced == Advanced::Moved {
            let ProjectionId { name, version, .. } = &advance.projection;
            reactions::add(&mut tx, &tasks_of(name), *version, &page.tasks).await?;
            timers::change(&mut tx, name, &page.timers).await?;
            tx.commit().await.map_err(failed(DOING))?;
        }
        Ok(advanced)
    }

    async fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        timers::list(&self.readers, process, after, limit).await
    }

    async fn finish_timers(&self, process: &str, fired: &[Timer]) -> Result<()> {
        const DOING: &str = "noting that timers fired";
        let mut tx = self.write(DOING).await?;
        timers::finish(&mut tx, process, fired).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn note_timer_failure(&self, process: &str, timer: &Timer, reason: &str) -> Result<()> {
        const DOING: &str = "noting that a timer did not fire";
        let mut tx = self.write(DOING).await?;
        timers::note_failure(&mut tx, process, timer, reason).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn claim_reactions(&self, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
        const DOING: &str = "taking reactions to run";
        if !reactions::any_due(&self.readers, &claim.projection).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.write(DOING).await?;
        let taken = reactions::claim(&mut tx, claim).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(taken)
    }

    async fn keep_reactions(
        &self,
        projection: &str,
        keys: Vec<String>,
        owner: &str,
        lease: Duration,
    ) -> Result<()> {
        const DOING: &str = "keeping reactions";
        let mut tx = self.write(DOING).await?;
        reactions::keep(&mut tx, projection, &keys, owner, lease).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn finish_reaction(&self, reaction: &ReactionId, last: bool) -> Result<()> {
        const DOING: &str = "noting that a reaction was run";
        let mut tx = self.write(DOING).await?;
        reactions::finish(&mut tx, reaction, last).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn postpone_reactions(&self, postponed: &Postponed) -> Result<()> {
        const DOING: &str = "noting that a reaction was not run";
        let mut tx = self.write(DOING).await?;
        reactions::postpone(&mut tx, postponed).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn reaction_queues(
        &self,
        projection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReactionQueue>> {
        const DOING: &str = "reading reactions";
        let mut reader = self.readers.acquire().await.map_err(failed(DOING))?;
        reactions::queues(&mut reader, projection, after, limit).await
    }

    async fn retry_reactions(&self, projection: &str, key: Option<&str>) -> Result<u64> {
        const DOING: &str = "retrying reactions";
        let mut tx = self.write(DOING).await?;
        let retried = reactions::retry(&mut tx, projection, key).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(retried)
    }

    async fn drop_reaction(&self, reaction: &ReactionId, reason: &str, by: &str) -> Result<bool> {
        const DOING: &str = "giving a reaction up";
        let mut tx = self.write(DOING).await?;
        let dropped = reactions::give_up(&mut tx, reaction, reason, by).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(dropped)
    }

    async fn read_rows(&self, table: &Table, keys: Vec<String>) -> Result<Vec<(String, Row)>> {
        read_rows::of_keys(&self.readers, table, keys).await
    }

    async fn read_rows_at(&self, table: &Table, keys: Vec<String>) -> Result<RowsAt> {
        read_rows::of_keys_at(&self.readers, table, keys).await
    }

    async fn query_rows(&self, table: &Table, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        read_rows::query(&self.readers, table, query).await
    }

    async fn count_rows(&self, table: &Table, select: &Select) -> Result<u64> {
        read_rows::count(&self.readers, table, select).await
    }

    async fn still(&self) -> Result<Still> {
        // Its first question decides which moment it is.
        let tx = self.readers.begin().await;
        let tx = tx.map_err(failed("looking at one moment"))?;
        Ok(Still(StillInner::Sqlite(tx)))
    }

    async fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> Result<Advanced> {
        let mut tx = self.write("writing an integration stream").await?;
        let advanced = life::advance(&mut tx, &advance).await?;
        if advanced == Advanced::Moved {
            streams::write(&mut tx, stream, &events).await?;
            tx.commit()
                .await
                .map_err(failed("writing an integration stream"))?;
            if let Some(last) = events.last() {
                self.wake.stream_grew(stream, last.position);
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
        streams::page(&self.readers, stream, after, limit).await
    }

    async fn query_published(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        streams::query(&self.readers, query).await
    }

    async fn published_head(&self, stream: &StreamVersion) -> Result<StreamCursor> {
        streams::head(&self.readers, stream).await
    }

    async fn wait_for_published(&self, stream: &StreamVersion, after: Position) {
        self.wake.for_stream(stream, after).await;
    }

    async fn note_consumers(&self, readings: &[Reading]) -> Result<()> {
        const DOING: &str = "noting who reads";
        if readings.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(DOING).await?;
        consumers::note(&mut tx, readings).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn consumers(&self, stream: Option<&StreamVersion>) -> Result<Vec<ConsumerState>> {
        const DOING: &str = "reading who reads";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        consumers::list(&mut connection, stream).await
    }

    async fn keep_schemas(&self, schemas: &[KeptSchema]) -> Result<()> {
        const DOING: &str = "keeping the schemas";
        if schemas.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(DOING).await?;
        kept_schemas::keep(&mut tx, schemas).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn kept_schema(&self, name: &str, revision: &str) -> Result<Option<KeptSchema>> {
        const DOING: &str = "reading a schema";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        kept_schemas::find(&mut connection, name, revision).await
    }

    async fn claim_relay(&self, claim: &RelayClaim) -> Result<RelayState> {
        const DOING: &str = "claiming a relay";
        let mut tx = self.write(DOING).await?;
        let state = relays::claim(&mut tx, claim).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(state)
    }

    async fn advance_relay(&self, step: &RelayMove) -> Result<Advanced> {
        const DOING: &str = "moving a relay's cursor";
        let mut tx = self.write(DOING).await?;
        let advanced = relays::advance(&mut tx, step).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(advanced)
    }

    async fn note_relay_failure(&self, relay: &RelayId, epoch: u64, reason: &str) -> Result<()> {
        const DOING: &str = "noting why a relay stands still";
        let mut tx = self.write(DOING).await?;
        relays::note_failure(&mut tx, relay, epoch, reason).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn relays(&self) -> Result<Vec<RelayState>> {
        relays::all(&self.readers).await
    }

    async fn inbox(&self, inbox: &InboxId) -> Result<StreamCursor> {
        const DOING: &str = "reading an inbox";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::cursor(&mut connection, inbox).await
    }

    async fn inboxes(&self) -> Result<Vec<InboxId>> {
        const DOING: &str = "reading the inboxes";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::all(&mut connection).await
    }

    async fn inbox_state(&self, inbox: &InboxId) -> Result<InboxState> {
        const DOING: &str = "reading an inbox";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::state(&mut connection, inbox).await
    }

    async fn ask_inbox(&self, inbox: &InboxId, question: &InboxQuestion) -> Result<u64> {
        const DOING: &str = "asking something of an inbox";
        let mut tx = self.write(DOING).await?;
        let number = inboxes::ask(&mut tx, inbox, question).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(number)
    }

    async fn claim_inbox(&self, claim: &InboxClaim) -> Result<InboxClaimed> {
        const DOING: &str = "claiming an inbox";
        let mut tx = self.write(DOING).await?;
        let done = inboxes::claim(&mut tx, claim).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(done)
    }

    async fn inbox_versions(&self, inbox: &InboxId) -> Result<InboxVersions> {
        const DOING: &str = "reading a consumer's inboxes";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        moving::versions(&mut connection, inbox).await
    }

    async fn take_over_inbox(&self, takeover: &InboxTakeover) -> Result<Advanced> {
        const DOING: &str = "taking an inbox over";
        let mut tx = self.write(DOING).await?;
        let done = moving::take_over(&mut tx, takeover).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(done)
    }

    async fn inbox_keys(
        &self,
        inbox: &InboxId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<InboxKey>> {
        const DOING: &str = "reading keys that are set aside";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::keys(&mut connection, inbox, after, limit).await
    }

    async fn inbox_events(
        &self,
        inbox: &InboxId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldEvent>> {
        const DOING: &str = "reading events that wait";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::events(&mut connection, inbox, key, limit).await
    }

    async fn retry_inbox(&self, inbox: &InboxId, key: Option<&str>) -> Result<u64> {
        const DOING: &str = "retrying keys that are set aside";
        let mut tx = self.write(DOING).await?;
        let done = inboxes::retry(&mut tx, inbox, key).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(done)
    }

    async fn give_up_inbox(
        &self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> Result<bool> {
        const DOING: &str = "giving an event up";
        let mut tx = self.write(DOING).await?;
        let done = inboxes::give_up(&mut tx, inbox, position, reason, by).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(done)
    }

    async fn dead_letters(
        &self,
        inbox: &InboxId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        const DOING: &str = "reading dead letters";
        let mut connection = self.readers.acquire().await.map_err(failed(DOING))?;
        inboxes::dead(&mut connection, inbox, after, limit).await
    }

    async fn begin(&self) -> Result<Tx> {
        self.write("beginning a consumer's transaction")
            .await
            .map(|tx| Tx(TxInner::Sqlite(tx, self.clone())))
    }

    async fn commit_inbox(&self, tx: Tx, step: &InboxMove) -> Result<Advanced> {
        let TxInner::Sqlite(mut tx, _) = tx.0 else {
            return Err(Error::new(Kind::WrongTransaction { wanted: "SQLite" }));
        };
        still_under_way(&mut tx, "committing a consumer's effects").await?;
        let advanced = inboxes::advance(&mut tx, step).await?;
        if advanced == Advanced::Moved {
            tx.commit()
                .await
                .map_err(failed("committing a consumer's effects"))?;
        }
        Ok(advanced)
    }

    async fn register(&self, instance: &NewInstance) -> Result<Vec<Instance>> {
        const DOING: &str = "registering an instance";
        let mut tx = self.write(DOING).await?;
        let all = instances::register(&mut tx, instance).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(all)
    }

    async fn keep_alive(&self, number: u64, timeout: Duration) -> Result<Option<Vec<Instance>>> {
        const DOING: &str = "keeping an instance registered";
        let mut tx = self.write(DOING).await?;
        if !instances::keep(&mut tx, number, timeout).await? {
            return Ok(None);
        }
        let all = instances::all(&mut *tx).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(Some(all))
    }

    async fn deregister(&self, number: u64) -> Result<()> {
        const DOING: &str = "deregistering an instance";
        let mut tx = self.write(DOING).await?;
        instances::leave(&mut tx, number).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        instances::all(&self.readers).await
    }

    async fn close(&self) {
        self.committer.close().await;
        self.readers.close().await;
        self.log.close().await;
        self.writer.close().await;
    }
}
