//! The store for many writers: PostgreSQL, one server-side call for everything that waits.
//!
//! Several processes share the log: each call takes a lock in the database, which it holds until
//! its own commit, so that the order of positions is the order of commits.

mod alone;
mod claim;
mod columns;
mod committer;
mod connect;
mod consumers;
mod entities;
mod event_row;
mod failure;
mod health;
mod hosts;
mod inboxes;
mod instances;
mod kept_schemas;
pub(super) mod life;
mod loads;
mod log;
mod moving;
mod notify;
mod options;
mod parked;
mod pool;
mod projections;
mod reactions;
pub(super) mod read_rows;
mod relays;
mod repairs;
mod schema;
mod segment;
mod several;
mod snapshots;
mod streams;
mod timers;
mod types;
mod url;
mod view;

pub(super) use self::life::take_turns;
pub(super) use self::projections::{advance_in, prepare_in};
pub(super) use self::reactions::add_inputs;
pub use options::PostgresOptions;
pub use sqlx;
pub use sqlx::PgConnection;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, Transaction};

use self::loads::Loads;
use self::pool::{Pool, read};
use super::group::{Committer, DOING};
use super::still::{Inner as StillInner, Still};
use super::tx::{Inner as TxInner, Tx};
use super::wake::{Heads, Wake};
use super::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance, KeptSchema,
    LifeEntry, Lineage, LogPage, LogQuery, NewInstance, Outcome, Outdated, ParkedKey, Postponed,
    ProcessPage, ProjectionId, ProjectionState, PublishedEvent, PublishedPage, PublishedQuery,
    ReactionClaim, ReactionId, ReactionQueue, Reading, RelayClaim, RelayId, RelayMove, RelayState,
    Row, RowQuery, RowsAt, SHORT, Segment, Select, Snapshot, Start, StreamCursor, StreamPage,
    StreamQuery, StreamVersion, Table, Timer, TimerPlace, Written, tasks_of,
};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, Position, StreamId, Timestamp};

/// A store in one PostgreSQL database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    identity: LogIdentity,
    /// For everything but appends, which have a connection of their own.
    pool: Pool,
    loads: Loads,
    /// None where the store only reads.
    committer: Option<Committer>,
    /// What wakes the readers of this process.
    wake: Arc<Wake>,
    /// What this process wrote: news for the others.
    own: Arc<Heads>,
}

impl PostgresStore {
    async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Postgres>> {
        self.pool.begin(doing).await
    }
}

/// What a store that only reads answers to whoever writes.
fn read_only(doing: &'static str) -> Error {
    Error::new(Kind::ReadOnly { doing })
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
        let committer = self.committer.as_ref().ok_or_else(|| read_only(DOING));
        committer?.append(append).await
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        read!(self, "looking a command up", |db| log::outcome(
            db, stream, command
        ))
    }

    async fn read_stream(&self, stream: &StreamId, query: StreamQuery) -> Result<StreamPage> {
        match query.from {
            Start::After(version) if query.bare && query.limit <= SHORT => {
                self.load(stream, version, query.limit).await
            }
            _ => read!(self, loads::DOING, |db| log::stream(db, stream, query)),
        }
    }

    async fn read_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        limit: usize,
    ) -> Result<(Option<Snapshot>, StreamPage)> {
        read!(self, "reading a snapshot", |db| {
            snapshots::read(db, stream, fingerprint, limit)
        })
    }

    async fn write_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<()> {
        const DOING: &str = "writing snapshots";
        let mut tx = self.write(DOING).await?;
        snapshots::write(&mut tx, &snapshots).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn remove_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        version: u64,
    ) -> Result<()> {
        const DOING: &str = "removing a snapshot";
        let mut tx = self.write(DOING).await?;
        snapshots::remove(&mut tx, stream, fingerprint, version).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn remove_outdated(&self, outdated: &Outdated, limit: usize) -> Result<usize> {
        const DOING: &str = "removing outdated snapshots";
        let mut tx = self.write(DOING).await?;
        let removed = snapshots::remove_outdated(&mut tx, outdated, limit).await?;
        tx.commit().await.map_err(failed(DOING))?;
        Ok(removed)
    }

    async fn read_log(&self, query: &LogQuery) -> Result<LogPage> {
        read!(self, "reading the log", |db| log::page(db, query))
    }

    async fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<StreamPage> {
        read!(self, "reading what belongs together", |db| {
            log::correlated(db, correlation, after, limit)
        })
    }

    async fn head(&self) -> Result<Position> {
        read!(self, "reading the head", |db| log::head(db))
    }

    async fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> Result<Vec<AcceptedCommand>> {
        read!(self, "reading commands", |db| segment::commands(
            db, commands
        ))
    }

    async fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> Result<Vec<AcceptedCommand>> {
        read!(self, "reading commands", |db| {
            segment::empty_commands(db, from, after, limit)
        })
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

    async fn complete_table(&self, table: &Table) -> Result<()> {
        const DOING: &str = "making a read model's indexes";
        let mut tx = self.write(DOING).await?;
        projections::make_indexes(&mut tx, table).await?;
        tx.commit().await.map_err(failed(DOING))
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
        read!(self, "reading a projection", |db| life::state(
            db, projection
        ))
    }

    async fn projections(&self) -> Result<Vec<(ProjectionId, ProjectionState)>> {
        read!(self, "reading projections", |db| life::all(db))
    }

    async fn lineage(&self, projection: &ProjectionId) -> Result<Lineage> {
        read!(self, "reading a projection's versions", |db| life::lineage(
            db, projection
        ))
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
        read!(self, "reading parked keys", |db| parked::list(
            db, id, after, limit
        ))
    }

    async fn parked_events(
        &self,
        id: &ProjectionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Position>> {
        read!(self, "reading parked keys", |db| parked::events(
            db, id, key, limit
        ))
    }

    async fn life(&self, id: &ProjectionId) -> Result<Vec<LifeEntry>> {
        read!(self, "reading a projection's life", |db| life::told(db, id))
    }

    async fn remove_rows(&self, id: &ProjectionId) -> Result<()> {
        const DOING: &str = "dropping a read model's table";
        let mut tx = self.write(DOING).await?;
        life::remove_rows(&mut tx, id).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        const DOING: &str = "claiming a part of a projection";
        let mut tx = self.write(DOING).await?;
        let claiming = async {
            let claimed = claim::claim(&mut tx, claim).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(claimed)
        };
        self.pool.watch(DOING, claiming).await
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
        const DOING: &str = "writing a read model";
        let mut tx = self.write(DOING).await?;
        let writing = async {
            let advanced = life::advance(&mut tx, &advance).await?;
            if advanced == Advanced::Moved {
                if !parked::write(&mut tx, &advance.projection, &written.parked).await? {
                    return Ok(Advanced::Fenced);
                }
                projections::write_rows(&mut tx, table, written.rows).await?;
                let ProjectionId { name, version, .. } = &advance.projection;
                reactions::add(&mut tx, name, *version, &written.reactions).await?;
                tx.commit().await.map_err(failed(DOING))?;
            }
            Ok(advanced)
        };
        self.pool.watch(DOING, writing).await
    }

    async fn advance_process(&self, advance: Advance, page: ProcessPage) -> Result<Advanced> {
        const DOING: &str = "writing what a process does";
        let mut tx = self.write(DOING).await?;
        let writing = async {
            let advanced = advance_in(&mut tx, &advance, &page.parked).await?;
            if advanced == Advanced::Moved {
                let ProjectionId { name, version, .. } = &advance.projection;
                reactions::add(&mut tx, &tasks_of(name), *version, &page.tasks).await?;
                timers::change(&mut tx, name, &page.timers).await?;
                tx.commit().await.map_err(failed(DOING))?;
            }
            Ok(advanced)
        };
        self.pool.watch(DOING, writing).await
    }

    async fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        read!(self, "reading timers", |db| timers::list(
            db, process, after, limit
        ))
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
        let any = read!(self, DOING, |db| reactions::any_due(db, &claim.projection))?;
        if !any {
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
        read!(self, "reading reactions", |db| reactions::queues(
            db, projection, after, limit
        ))
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
        read!(self, "reading rows", |db| read_rows::of_keys(
            db, table, &keys
        ))
    }

    async fn read_rows_at(&self, table: &Table, keys: Vec<String>) -> Result<RowsAt> {
        read!(self, "reading rows", |db| read_rows::of_keys_at(
            db, table, &keys
        ))
    }

    async fn query_rows(&self, table: &Table, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        read!(self, "reading rows", |db| read_rows::query(
            db, table, query
        ))
    }

    async fn count_rows(&self, table: &Table, select: &Select) -> Result<u64> {
        read!(self, "counting rows", |db| read_rows::count(
            db, table, select
        ))
    }

    async fn still(&self) -> Result<Still> {
        let tx = self.pool.begin_still("looking at one moment").await?;
        Ok(Still(StillInner::Postgres(tx)))
    }

    async fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> Result<Advanced> {
        const DOING: &str = "writing an integration stream";
        let mut tx = self.write(DOING).await?;
        let writing = async {
            let advanced = life::advance(&mut tx, &advance).await?;
            if advanced == Advanced::Moved {
                streams::write(&mut tx, stream, &events).await?;
                tx.commit().await.map_err(failed(DOING))?;
            }
            Ok(advanced)
        };
        let advanced = self.pool.watch(DOING, writing).await?;
        if let (Advanced::Moved, Some(last)) = (advanced, events.last()) {
            self.wake.stream_grew(stream, last.position);
            self.own.stream_grew(stream, last.position);
        }
        Ok(advanced)
    }

    async fn read_published(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
    ) -> Result<Vec<PublishedEvent>> {
        read!(self, "reading integration events", |db| {
            streams::page(db, stream, after, limit)
        })
    }

    async fn query_published(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        read!(self, "reading integration events", |db| streams::query(
            db, query
        ))
    }

    async fn published_head(&self, stream: &StreamVersion) -> Result<StreamCursor> {
        read!(self, "reading a stream's head", |db| streams::head(
            db, stream
        ))
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
        read!(self, "reading who reads", |db| consumers::list(db, stream))
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
        read!(self, "reading a schema", |db| kept_schemas::find(
            db, name, revision
        ))
    }

    async fn claim_relay(&self, claim: &RelayClaim) -> Result<RelayState> {
        const DOING: &str = "claiming a relay";
        let mut tx = self.write(DOING).await?;
        let claiming = async {
            let state = relays::claim(&mut tx, claim).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(state)
        };
        self.pool.watch(DOING, claiming).await
    }

    async fn advance_relay(&self, step: &RelayMove) -> Result<Advanced> {
        const DOING: &str = "moving a relay's cursor";
        let mut tx = self.write(DOING).await?;
        let moving = async {
            let advanced = relays::advance(&mut tx, step).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(advanced)
        };
        self.pool.watch(DOING, moving).await
    }

    async fn note_relay_failure(&self, relay: &RelayId, epoch: u64, reason: &str) -> Result<()> {
        const DOING: &str = "noting why a relay stands still";
        let mut tx = self.write(DOING).await?;
        relays::note_failure(&mut tx, relay, epoch, reason).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn relays(&self) -> Result<Vec<RelayState>> {
        read!(self, "reading the relays", |db| relays::all(db))
    }

    async fn inbox(&self, inbox: &InboxId) -> Result<StreamCursor> {
        read!(self, "reading an inbox", |db| inboxes::cursor(db, inbox))
    }

    async fn inboxes(&self) -> Result<Vec<InboxId>> {
        read!(self, "reading the inboxes", |db| inboxes::all(db))
    }

    async fn inbox_state(&self, inbox: &InboxId) -> Result<InboxState> {
        read!(self, "reading an inbox", |db| inboxes::state(db, inbox))
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
        let claiming = async {
            let claimed = inboxes::claim(&mut tx, claim).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(claimed)
        };
        self.pool.watch(DOING, claiming).await
    }

    async fn inbox_versions(&self, inbox: &InboxId) -> Result<InboxVersions> {
        read!(self, "reading a consumer's inboxes", |db| moving::versions(
            db, inbox
        ))
    }

    async fn take_over_inbox(&self, takeover: &InboxTakeover) -> Result<Advanced> {
        const DOING: &str = "taking an inbox over";
        let mut tx = self.write(DOING).await?;
        let taking = async {
            let done = moving::take_over(&mut tx, takeover).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(done)
        };
        self.pool.watch(DOING, taking).await
    }

    async fn inbox_keys(
        &self,
        inbox: &InboxId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<InboxKey>> {
        read!(self, "reading keys that are set aside", |db| inboxes::keys(
            db, inbox, after, limit
        ))
    }

    async fn inbox_events(
        &self,
        inbox: &InboxId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldEvent>> {
        read!(self, "reading events that wait", |db| inboxes::events(
            db, inbox, key, limit
        ))
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
        read!(self, "reading dead letters", |db| inboxes::dead(
            db, inbox, after, limit
        ))
    }

    async fn begin(&self) -> Result<Tx> {
        let tx = self.write("beginning a consumer's transaction").await?;
        Ok(Tx(TxInner::Postgres(tx, self.clone())))
    }

    async fn commit_inbox(&self, tx: Tx, step: &InboxMove) -> Result<Advanced> {
        const DOING: &str = "committing a consumer's effects";
        let TxInner::Postgres(mut tx, _) = tx.0 else {
            return Err(Error::new(Kind::WrongTransaction {
                wanted: "PostgreSQL",
            }));
        };
        let committing = async {
            let advanced = inboxes::advance(&mut tx, step).await?;
            if advanced == Advanced::Moved {
                tx.commit().await.map_err(failed(DOING))?;
            }
            Ok(advanced)
        };
        self.pool.watch(DOING, committing).await
    }

    async fn register(&self, instance: &NewInstance) -> Result<Vec<Instance>> {
        const DOING: &str = "registering an instance";
        let mut tx = self.write(DOING).await?;
        let registering = async {
            let all = instances::register(&mut tx, instance).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(all)
        };
        self.pool.watch(DOING, registering).await
    }

    async fn keep_alive(&self, number: u64, timeout: Duration) -> Result<Option<Vec<Instance>>> {
        const DOING: &str = "keeping an instance registered";
        let mut tx = self.write(DOING).await?;
        let keeping = async {
            if !instances::keep(&mut tx, number, timeout).await? {
                return Ok(None);
            }
            let all = instances::all(&mut tx).await?;
            tx.commit().await.map_err(failed(DOING))?;
            Ok(Some(all))
        };
        self.pool.watch(DOING, keeping).await
    }

    async fn deregister(&self, number: u64) -> Result<()> {
        const DOING: &str = "deregistering an instance";
        let mut tx = self.write(DOING).await?;
        instances::leave(&mut tx, number).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        read!(self, "reading the instances", |db| instances::all(db))
    }

    async fn close(&self) {
        if let Some(committer) = &self.committer {
            committer.close().await;
        }
        self.pool.close().await;
    }
}
