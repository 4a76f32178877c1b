//! The reference store: a log in memory, under one lock, for tests and for those who write stores.
//!
//! It keeps every law in the plainest way; nothing survives the process.

mod consumers;
mod inboxes;
mod instances;
mod life;
mod parked;
mod reactions;
mod relays;
mod state;
mod timers;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::consumers::Consumers;
use self::inboxes::Inboxes;
use self::instances::Instances;
use self::life::Lives;
use self::reactions::Reactions;
use self::relays::Relays;
use self::timers::Timers;
use super::segment::kept_ids;
use super::still::{Inner as StillInner, Still};
use super::tx::{Inner, Tx};
use super::wake::Wake;
use super::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance, KeptSchema,
    LifeEntry, Lineage, LogPage, LogQuery, NewInput, NewInstance, Outcome, Outdated,
    PUBLISHED_BYTES, ParkedKey, Postponed, ProcessPage, ProjectionId, ProjectionKind,
    ProjectionState, PublishedEvent, PublishedPage, PublishedQuery, ReactionClaim, ReactionId,
    ReactionQueue, Reading, RelayClaim, RelayId, RelayMove, RelayState, Row, RowQuery, RowsAt,
    Segment, Select, Snapshot, StreamCursor, StreamPage, StreamQuery, StreamVersion, Table, Timer,
    TimerPlace, Written,
    health::{Durability, StoreHealth},
    known_instances, not_prepared,
};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, Position, StoredEvent, StreamId, Timestamp};

/// A store in memory. Clones share one log.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    identity: LogIdentity,
    state: Arc<Mutex<State>>,
    wake: Arc<Wake>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<StoredEvent>,
    /// The indices of a stream's events in the log.
    streams: HashMap<StreamId, Vec<usize>>,
    commands: HashMap<(StreamId, CommandId), AcceptedCommand>,
    snapshots: BTreeMap<(StreamId, Fingerprint), Snapshot>,
    lives: Lives,
    reactions: Reactions,
    timers: Timers,
    relays: Relays,
    rows: Rows,
    published: HashMap<StreamVersion, Vec<PublishedEvent>>,
    consumers: Consumers,
    schemas: HashMap<(String, String), KeptSchema>,
    inboxes: Inboxes,
    instances: Instances,
}

/// The rows of each read model, by key.
type Rows = HashMap<ProjectionId, BTreeMap<String, Row>>;

/// What a [`Still`] shows.
#[derive(Debug)]
pub(crate) struct Frozen {
    lives: Lives,
    rows: Rows,
}

impl Frozen {
    pub(super) fn projection(&self, id: &ProjectionId) -> Option<ProjectionState> {
        self.lives.find(id)
    }

    pub(super) fn query(&self, table: &Table, query: &RowQuery) -> Vec<(String, Row)> {
        picked(&self.rows, table, query)
    }
}

fn picked(rows: &Rows, table: &Table, query: &RowQuery) -> Vec<(String, Row)> {
    let rows = rows.get(&table.into()).into_iter().flatten();
    let picked = query.pick(rows.map(|(key, row)| (&**key, row)));
    let row = |(key, row): (&str, &Row)| (key.to_owned(), row.clone());
    picked.into_iter().map(row).collect()
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty log.
    pub fn new() -> Self {
        let wake = Arc::new(Wake::new(Duration::from_millis(50)));
        Self {
            identity: LogIdentity::random(),
            state: Arc::default(),
            wake,
        }
    }

    /// How the store is: there, and gone with the process.
    // Async like its siblings.
    #[allow(clippy::unused_async)]
    pub async fn health(&self) -> StoreHealth {
        StoreHealth::answered(Duration::ZERO, Durability::Process, "in memory".to_owned())
    }

    /// Every operation takes the lock once and leaves the state whole before it can panic, so a
    /// poisoned lock guards a good state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds inputs without a cursor.
    pub(super) fn add_inputs(&self, queue: &str, new: Vec<NewInput>) {
        self.state().reactions.add_inputs(queue, new);
    }
}

/// How many items come before the one after place `after`.
fn index(after: u64) -> usize {
    usize::try_from(after).unwrap_or(usize::MAX)
}

impl EventStore for MemoryStore {
    fn identity(&self) -> LogIdentity {
        self.identity
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        let mut state = self.state();
        let known = known_instances(std::slice::from_ref(&append));
        if known.is_some_and(|known| state.instances.any_newer(known)) {
            return Err(Error::new(Kind::OtherInstances));
        }
        let (appended, head) = state.append(&append)?;
        drop(state);
        self.wake.log_grew(head);
        Ok(appended)
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        Ok(self.state().done(stream, command))
    }

    async fn read_stream(&self, stream: &StreamId, query: StreamQuery) -> Result<StreamPage> {
        Ok(self.state().stream(stream, query))
    }

    async fn read_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        limit: usize,
    ) -> Result<(Option<Snapshot>, StreamPage)> {
        let state = self.state();
        let snapshot = state.snapshots.get(&(stream.clone(), fingerprint)).cloned();
        let before = snapshot.as_ref().map_or(0, |s| s.version.saturating_sub(1));
        let query = StreamQuery::after(before).limit(limit);
        Ok((snapshot, state.stream(stream, query)))
    }

    async fn write_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<()> {
        let mut state = self.state();
        for new in snapshots {
            let key = (new.stream.clone(), new.fingerprint);
            match state.snapshots.get(&key) {
                Some(kept) if kept.version >= new.version => {}
                _ => drop(state.snapshots.insert(key, new)),
            }
        }
        Ok(())
    }

    async fn remove_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        version: u64,
    ) -> Result<()> {
        let mut state = self.state();
        let key = (stream.clone(), fingerprint);
        if state
            .snapshots
            .get(&key)
            .is_some_and(|s| s.version == version)
        {
            state.snapshots.remove(&key);
        }
        Ok(())
    }

    async fn remove_outdated(&self, outdated: &Outdated, limit: usize) -> Result<usize> {
        let mut state = self.state();
        let is_outdated = |snapshot: &&Snapshot| {
            snapshot.stream.aggregate() == outdated.aggregate
                && snapshot.fingerprint != outdated.keep
                && snapshot.time < outdated.before
        };
        let found = state.snapshots.values().filter(is_outdated).take(limit);
        let found: Vec<_> = found.map(|s| (s.stream.clone(), s.fingerprint)).collect();
        for key in &found {
            state.snapshots.remove(key);
        }
        Ok(found.len())
    }

    async fn read_log(&self, query: &LogQuery) -> Result<LogPage> {
        let state = self.state();
        let rest = state.log.iter().skip(index(query.position().get()));
        Ok(LogPage::pick(query, rest, state.head()))
    }

    async fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<StreamPage> {
        let state = self.state();
        let belongs = |event: &&StoredEvent| {
            let command = event.command_id.map(|id| (event.stream.clone(), id));
            let command = command.and_then(|command| state.commands.get(&command));
            let said = command.and_then(|command| command.correlation.as_deref());
            said == Some(correlation)
        };
        let rest = state.log.iter().skip(index(after.get()));
        let mut rest = rest.filter(belongs);
        let events = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        Ok(StreamPage { events, more })
    }

    async fn head(&self) -> Result<Position> {
        Ok(self.state().head())
    }

    async fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> Result<Vec<AcceptedCommand>> {
        let state = self.state();
        let known = commands.iter().filter_map(|key| state.commands.get(key));
        Ok(known.cloned().collect())
    }

    async fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> Result<Vec<AcceptedCommand>> {
        fn place(command: &AcceptedCommand) -> (Position, CommandId, &StreamId) {
            let first = command.outcome.first;
            (first, command.command_id, &command.stream)
        }
        let after = after.map(|(stream, id)| (from, *id, stream));
        let wanted = |command: &&AcceptedCommand| {
            let place = place(command);
            command.outcome.count == 0 && place.0 >= from && Some(place) > after
        };
        let state = self.state();
        let mut empty: Vec<_> = state.commands.values().filter(wanted).collect();
        empty.sort_by_key(|command| place(command));
        Ok(empty.into_iter().take(limit).cloned().collect())
    }

    async fn import(&self, segment: Segment) -> Result<()> {
        let head = self.state().import(segment)?;
        self.wake.log_grew(head);
        Ok(())
    }

    async fn forget_commands(&self, before: Timestamp, _: usize) -> Result<u64> {
        let (first, last) = kept_ids();
        let is_kept = |id| (first..=last).contains(&id);
        let commands = &mut self.state().commands;
        let known = commands.len();
        commands.retain(|_, command| command.time >= before || is_kept(command.command_id));
        Ok((known - commands.len()) as u64)
    }

    async fn wait_for_append(&self, after: Position) {
        self.wake.for_log(after).await;
    }

    async fn prepare_table(&self, table: &Table) -> Result<ProjectionState> {
        let mut state = self.state();
        let head = state.head();
        state.lives.prepare_table(table, head)
    }

    async fn complete_table(&self, _: &Table) -> Result<()> {
        Ok(())
    }

    async fn prepare_stream(&self, stream: &StreamVersion) -> Result<ProjectionState> {
        let mut state = self.state();
        let head = state.head();
        state.lives.prepare(&stream.into(), 1, head)
    }

    async fn prepare_process(&self, process: &str) -> Result<ProjectionState> {
        let mut state = self.state();
        let head = state.head();
        state
            .lives
            .prepare(&ProjectionId::process(process), 1, head)
    }

    async fn projection(&self, projection: &ProjectionId) -> Result<Option<ProjectionState>> {
        Ok(self.state().lives.find(projection))
    }

    async fn projections(&self) -> Result<Vec<(ProjectionId, ProjectionState)>> {
        Ok(self.state().lives.all())
    }

    async fn lineage(&self, projection: &ProjectionId) -> Result<Lineage> {
        Ok(self.state().lives.lineage(projection))
    }

    async fn change(&self, id: &ProjectionId, change: &Change, by: &str) -> Result<Lineage> {
        let mut state = self.state();
        let head = state.head();
        let consumers = state.consumers.of(id);
        let (lineage, emptied) = state.lives.change(id, change, by, head, consumers)?;
        for version in emptied {
            let id = ProjectionId {
                version,
                ..id.clone()
            };
            state.rows.remove(&id);
            if id.kind == ProjectionKind::Process {
                state.timers.clear(&id.name);
            }
        }
        Ok(lineage)
    }

    async fn parked(
        &self,
        id: &ProjectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>> {
        Ok(self.state().lives.parked.list(id, after, limit))
    }

    async fn parked_events(
        &self,
        id: &ProjectionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Position>> {
        Ok(self.state().lives.parked.events(id, key, limit))
    }

    async fn life(&self, id: &ProjectionId) -> Result<Vec<LifeEntry>> {
        Ok(self.state().lives.told(id))
    }

    async fn remove_rows(&self, id: &ProjectionId) -> Result<()> {
        let mut state = self.state();
        if state.lives.is_retired(id) {
            state.rows.remove(id);
            if id.kind == ProjectionKind::Process {
                state.timers.clear(&id.name);
            }
        }
        Ok(())
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        self.state().lives.claim(claim)
    }

    async fn release(&self, owner: &str) -> Result<()> {
        let mut state = self.state();
        state.lives.release(owner);
        state.reactions.release(owner);
        state.relays.release(owner);
        state.inboxes.release(owner);
        Ok(())
    }

    async fn note_failure(&self, stands: &Advance, reason: &str) -> Result<()> {
        self.state().lives.note_failure(stands, reason);
        Ok(())
    }

    async fn note_seen(
        &self,
        who: &str,
        run: &[ProjectionId],
        read: &[ProjectionId],
    ) -> Result<()> {
        self.state().lives.note_seen(who, run, read);
        Ok(())
    }

    async fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        written: Written,
    ) -> Result<Advanced> {
        self.state().advance_rows(&advance, table, written)
    }

    async fn advance_process(&self, advance: Advance, page: ProcessPage) -> Result<Advanced> {
        self.state().advance_process(&advance, page)
    }

    async fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        Ok(self.state().timers.list(process, after, limit))
    }

    async fn finish_timers(&self, process: &str, fired: &[Timer]) -> Result<()> {
        self.state().timers.finish(process, fired);
        Ok(())
    }

    async fn note_timer_failure(&self, process: &str, timer: &Timer, reason: &str) -> Result<()> {
        self.state().timers.note_failure(process, timer, reason);
        Ok(())
    }

    async fn claim_reactions(&self, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
        let mut state = self.state();
        let settled = state.lives.lineage(&claim.all()).settled();
        Ok(state.reactions.claim(claim, settled))
    }

    async fn keep_reactions(
        &self,
        projection: &str,
        keys: Vec<String>,
        owner: &str,
        lease: Duration,
    ) -> Result<()> {
        self.state().reactions.keep(projection, &keys, owner, lease);
        Ok(())
    }

    async fn finish_reaction(&self, reaction: &ReactionId, last: bool) -> Result<()> {
        self.state().reactions.finish(reaction, last);
        Ok(())
    }

    async fn postpone_reactions(&self, postponed: &Postponed) -> Result<()> {
        self.state().reactions.postpone(postponed);
        Ok(())
    }

    async fn reaction_queues(
        &self,
        projection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReactionQueue>> {
        Ok(self.state().reactions.queues(projection, after, limit))
    }

    async fn retry_reactions(&self, projection: &str, key: Option<&str>) -> Result<u64> {
        Ok(self.state().reactions.retry(projection, key))
    }

    async fn drop_reaction(&self, reaction: &ReactionId, reason: &str, by: &str) -> Result<bool> {
        let mut state = self.state();
        let Some(dropped) = state.reactions.finish(reaction, false) else {
            return Ok(false);
        };
        state.lives.drop_reaction(&dropped, reason, by)?;
        Ok(true)
    }

    async fn read_rows(&self, table: &Table, keys: Vec<String>) -> Result<Vec<(String, Row)>> {
        Ok(self.state().rows_of_keys(table, keys))
    }

    async fn still(&self) -> Result<Still> {
        let state = self.state();
        let (lives, rows) = (state.lives.clone(), state.rows.clone());
        Ok(Still(StillInner::Memory(Frozen { lives, rows })))
    }

    async fn read_rows_at(&self, table: &Table, keys: Vec<String>) -> Result<RowsAt> {
        let state = self.state();
        let found = state.lives.find(&table.into());
        let found = found.filter(|found| !found.slices.is_empty());
        let found = found.ok_or_else(|| not_prepared(table))?;
        let slices = found.slices.into_iter();
        Ok(RowsAt {
            rows: state.rows_of_keys(table, keys),
            cursors: slices.map(|part| (part.slices, part.cursor)).collect(),
            epoch: found.epoch,
        })
    }

    async fn query_rows(&self, table: &Table, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        Ok(picked(&self.state().rows, table, query))
    }

    async fn count_rows(&self, table: &Table, select: &Select) -> Result<u64> {
        let state = self.state();
        Ok(state
            .rows_of(table)
            .filter(|(_, row)| select.has(row))
            .count() as u64)
    }

    async fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> Result<Advanced> {
        let (advanced, head) = {
            let mut state = self.state();
            let advanced = state.lives.advance(&advance)?;
            let published = state.published.entry(stream.clone()).or_default();
            if advanced == Advanced::Moved {
                published.extend(events);
            }
            (advanced, Position::new(published.len() as u64))
        };
        self.wake.stream_grew(stream, head);
        Ok(advanced)
    }

    async fn read_published(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
    ) -> Result<Vec<PublishedEvent>> {
        let state = self.state();
        let events = state.published.get(stream).map_or(&[][..], Vec::as_slice);
        let rest = events.iter().skip(index(after.get()));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn query_published(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        let state = self.state();
        let all = state.published.get(&query.stream);
        let all = all.map_or(&[][..], Vec::as_slice);
        let window = query.last().min(Position::new(all.len() as u64));
        let window = all.get(index(query.after.get())..index(window.get()));
        let (mut events, mut bytes) = (Vec::new(), 0);
        for event in window.into_iter().flatten().filter(|e| query.wants(e)) {
            if events.len() == query.limit || bytes >= PUBLISHED_BYTES {
                break;
            }
            bytes += event.bytes();
            events.push(event.clone());
        }
        let head = Position::new(all.len() as u64);
        let life = state.lives.find(&(&query.stream).into());
        let life = life.as_ref().map(Into::into);
        let cut = bytes >= PUBLISHED_BYTES;
        Ok(PublishedPage::of(query, events, cut, head, life))
    }

    async fn published_head(&self, stream: &StreamVersion) -> Result<StreamCursor> {
        let state = self.state();
        let last = state.published.get(stream).and_then(|events| events.last());
        let cursor = |event: &PublishedEvent| StreamCursor {
            position: event.position,
            hash: event.hash,
        };
        Ok(last.map(cursor).unwrap_or_default())
    }

    async fn wait_for_published(&self, stream: &StreamVersion, after: Position) {
        self.wake.for_stream(stream, after).await;
    }

    async fn note_consumers(&self, readings: &[Reading]) -> Result<()> {
        self.state().consumers.note(readings);
        Ok(())
    }

    async fn consumers(&self, stream: Option<&StreamVersion>) -> Result<Vec<ConsumerState>> {
        Ok(self.state().consumers.list(stream))
    }

    async fn keep_schemas(&self, schemas: &[KeptSchema]) -> Result<()> {
        let mut state = self.state();
        for schema in schemas {
            let named = (schema.name.clone(), schema.revision.clone());
            state.schemas.entry(named).or_insert_with(|| schema.clone());
        }
        Ok(())
    }

    async fn kept_schema(&self, name: &str, revision: &str) -> Result<Option<KeptSchema>> {
        let named = (name.to_owned(), revision.to_owned());
        Ok(self.state().schemas.get(&named).cloned())
    }

    async fn claim_relay(&self, claim: &RelayClaim) -> Result<RelayState> {
        Ok(self.state().relays.claim(claim))
    }

    async fn advance_relay(&self, step: &RelayMove) -> Result<Advanced> {
        Ok(self.state().relays.advance(step))
    }

    async fn note_relay_failure(&self, relay: &RelayId, epoch: u64, reason: &str) -> Result<()> {
        self.state().relays.note_failure(relay, epoch, reason);
        Ok(())
    }

    async fn relays(&self) -> Result<Vec<RelayState>> {
        Ok(self.state().relays.all())
    }

    async fn inbox(&self, inbox: &InboxId) -> Result<StreamCursor> {
        Ok(self.state().inboxes.cursor(inbox))
    }

    async fn inboxes(&self) -> Result<Vec<InboxId>> {
        Ok(self.state().inboxes.all())
    }

    async fn inbox_state(&self, inbox: &InboxId) -> Result<InboxState> {
        Ok(self.state().inboxes.state(inbox))
    }

    async fn ask_inbox(&self, inbox: &InboxId, question: &InboxQuestion) -> Result<u64> {
        Ok(self.state().inboxes.ask(inbox, question))
    }

    async fn claim_inbox(&self, claim: &InboxClaim) -> Result<InboxClaimed> {
        Ok(self.state().inboxes.claim(claim))
    }

    async fn inbox_versions(&self, inbox: &InboxId) -> Result<InboxVersions> {
        Ok(self.state().inboxes.versions(inbox))
    }

    async fn take_over_inbox(&self, takeover: &InboxTakeover) -> Result<Advanced> {
        Ok(self.state().inboxes.take_over(takeover))
    }

    async fn inbox_keys(
        &self,
        inbox: &InboxId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<InboxKey>> {
        Ok(self.state().inboxes.keys(inbox, after, limit))
    }

    async fn inbox_events(
        &self,
        inbox: &InboxId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldEvent>> {
        Ok(self.state().inboxes.events(inbox, key, limit))
    }

    async fn retry_inbox(&self, inbox: &InboxId, key: Option<&str>) -> Result<u64> {
        Ok(self.state().inboxes.retry(inbox, key))
    }

    async fn give_up_inbox(
        &self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> Result<bool> {
        Ok(self.state().inboxes.give_up(inbox, position, reason, by))
    }

    async fn dead_letters(
        &self,
        inbox: &InboxId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        Ok(self.state().inboxes.dead(inbox, after, limit))
    }

    async fn begin(&self) -> Result<Tx> {
        Ok(Tx(Inner::Memory(self.into())))
    }

    async fn commit_inbox(&self, tx: Tx, step: &InboxMove) -> Result<Advanced> {
        let mut state = self.state();
        let advanced = state.inboxes.advance(step);
        if let (Inner::Memory(tx), Advanced::Moved) = (tx.0, advanced) {
            tx.inputs
                .into_iter()
                .for_each(|(queue, new)| state.reactions.add_inputs(&queue, new));
        }
        Ok(advanced)
    }

    async fn register(&self, instance: &NewInstance) -> Result<Vec<Instance>> {
        Ok(self.state().instances.register(instance))
    }

    async fn keep_alive(&self, number: u64, timeout: Duration) -> Result<Option<Vec<Instance>>> {
        Ok(self.state().instances.keep(number, timeout))
    }

    async fn deregister(&self, number: u64) -> Result<()> {
        self.state().instances.leave(number);
        Ok(())
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        Ok(self.state().instances.all())
    }

    async fn close(&self) {}
}
