//! Stores that break the laws, one fault each: the guards' removal as a switch. All are one thin
//! wrapper around the reference, so that only the fault differs.

mod fault;

pub(crate) use fault::Fault;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::aggregate::Fingerprint;
use es_runtime::error::{Error, Result};
use es_runtime::event::{CommandId, LogIdentity, Position, StoredEvent, StreamId, Timestamp};
use es_runtime::store::memory::MemoryStore;
use es_runtime::store::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxId,
    InboxKey, InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance,
    KeptSchema, LifeEntry, Lineage, LogPage, LogQuery, NewInstance, Outcome, Outdated, ParkedKey,
    Postponed, ProcessPage, ProjectionId, ProjectionState, PublishedEvent, PublishedPage,
    PublishedQuery, ReactionClaim, ReactionId, ReactionQueue, Reading, RelayClaim, RelayId,
    RelayMove, RelayState, Row, RowChange, RowQuery, RowsAt, Segment, Select, Snapshot, Still,
    StreamCursor, StreamPage, StreamQuery, StreamVersion, Table, Timer, TimerPlace, Tx, Written,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::yield_now;

use crate::delegate::delegate;

#[derive(Clone, Debug)]
pub(crate) struct BrokenStore {
    kept: MemoryStore,
    fault: Fault,
    aside: Arc<Mutex<Aside>>,
}

/// What the fault needs beside the store.
#[derive(Debug, Default)]
struct Aside {
    hidden: BTreeSet<Position>,
    ended: Vec<Position>,
    restarted: Option<LogIdentity>,
    unknown: Vec<(StreamId, CommandId)>,
    still: Option<Still>,
}

const ALL: usize = usize::MAX >> 1;

/// The second half of a torn append has a command id of its own, which nobody sees.
const HALF: u128 = 1 << 76;

fn half(command: CommandId) -> CommandId {
    CommandId::from_u128(command.as_u128() ^ HALF)
}

fn joined(first: Outcome, second: Outcome) -> Outcome {
    Outcome {
        first: first.first,
        count: first.count + second.count,
        version: second.version,
    }
}

impl BrokenStore {
    pub(crate) fn new(fault: Fault) -> Self {
        let (kept, aside) = (MemoryStore::new(), Arc::default());
        Self { kept, fault, aside }
    }

    fn kept(&self) -> &MemoryStore {
        &self.kept
    }

    /// As after a restart: what the fault forgets is gone.
    pub(crate) async fn restart(self) -> Self {
        self.aside.lock().await.restarted = Some(LogIdentity::random());
        if self.fault == Fault::ForgottenCursor {
            for (projection, state) in self.kept.projections().await.unwrap() {
                let nothing = Table {
                    name: "",
                    version: 0,
                    columns: &[],
                    indexes: &[],
                    slices: 1,
                };
                let (from, to) = (state.cursor, Position::START);
                let back = Advance::new(projection, from, to).knowing(state.epoch);
                self.kept
                    .advance_rows(back, &nothing, Written::default())
                    .await
                    .unwrap();
            }
        }
        self
    }

    /// The later the position, the sooner it ends.
    async fn dawdle(&self, outcome: Outcome) {
        for _ in outcome.first.get() % 8..8 {
            yield_now().await;
        }
    }

    async fn append_and_show_later(&self, append: Append) -> Result<Appended> {
        let mut aside = self.aside.lock().await;
        let answer = self.kept.append(append).await?;
        let Appended::New(outcome) = answer else {
            return Ok(answer);
        };
        let places: Vec<_> = (0..outcome.count.into())
            .map(|n| outcome.first.plus(n))
            .collect();
        let shown = usize::from(self.fault == Fault::TornRead);
        aside.hidden.extend(places.iter().skip(shown));
        drop(aside);
        self.dawdle(outcome).await;
        let mut aside = self.aside.lock().await;
        aside.hidden.retain(|place| !places.contains(place));
        aside.ended.extend(places);
        Ok(answer)
    }

    async fn append_in_halves(&self, mut append: Append) -> Result<Appended> {
        append.repeatable = true;
        let alone = match self.fault {
            Fault::TornByDrop => Some(self.aside.lock().await),
            _ => None,
        };
        let (mut first, mut second) = (append.clone(), append);
        second.events = first.events.split_off(first.events.len().div_ceil(2));
        let begun = match self.kept.append(first).await? {
            Appended::New(outcome) => outcome,
            Appended::Already(_) => {
                let done = self
                    .joined_outcome(&second.stream, second.command_id)
                    .await?;
                return Ok(Appended::Already(done.unwrap()));
            }
            conflict => return Ok(conflict),
        };
        if second.events.is_empty() {
            return Ok(Appended::New(begun));
        }
        self.dawdle(begun).await;
        second.command_id = half(second.command_id);
        second.expected = begun.version;
        loop {
            match self.kept.append(second.clone()).await? {
                Appended::Conflict { found } => second.expected = found,
                Appended::New(ended) | Appended::Already(ended) => {
                    drop(alone);
                    return Ok(Appended::New(joined(begun, ended)));
                }
            }
        }
    }

    async fn joined_outcome(&self, a: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        let first = self.kept.outcome(a, command).await?;
        let second = self.kept.outcome(a, half(command)).await?;
        Ok(first.map(|first| second.map_or(first, |second| joined(first, second))))
    }

    /// Whether the fault keeps the store from knowing earlier commands.
    async fn forgets(&self) -> bool {
        self.fault == Fault::ForgottenCommand && self.aside.lock().await.restarted.is_some()
    }

    /// What readers see of the log, in the order in which they see it.
    async fn seen(&self, aside: MutexGuard<'_, Aside>) -> Result<Vec<StoredEvent>> {
        let all = LogQuery::after(Position::START).limit(ALL);
        let mut log = self.kept.read_log(&all).await?.events.to_vec()?;
        let hidden = |event: &StoredEvent| aside.hidden.contains(&event.position);
        match self.fault {
            Fault::Reordered => {
                let index = |place: &Position| usize::try_from(place.get()).unwrap() - 1;
                log = aside
                    .ended
                    .iter()
                    .map(|place| log[index(place)].clone())
                    .collect();
            }
            Fault::TornRead => log.truncate(log.iter().take_while(|e| !hidden(e)).count()),
            _ => log.retain(|event| !hidden(event)),
        }
        for id in log.iter_mut().filter_map(|event| event.command_id.as_mut()) {
            // The ids of tests are of UUID version 8, and those of second halves of version 9.
            if id.as_u128() >> 76 & 0xf == 9 {
                *id = half(*id);
            }
        }
        Ok(log)
    }
}

/// Puts the rows back as they were.
async fn undo(
    store: &MemoryStore,
    stand: &Advance,
    table: &Table,
    before: Vec<(String, Row)>,
) -> Result<()> {
    let now = store.query_rows(table, &RowQuery::all()).await?;
    let gone = now.into_iter().map(|(key, _)| RowChange { key, row: None });
    let back = before.into_iter().map(|(key, row)| RowChange {
        key,
        row: Some(row),
    });
    let changes: Vec<_> = gone.chain(back).collect();
    store
        .advance_rows(stand.clone(), table, changes.into())
        .await?;
    Ok(())
}

/// The same question without a filter, for as many events as it was answered with.
fn unfiltered(query: &LogQuery, limit: usize) -> LogQuery {
    LogQuery::after(query.position()).limit(limit)
}

/// A claim that takes nothing for longer than now.
fn look(inbox: &InboxId) -> InboxClaim {
    InboxClaim {
        inbox: inbox.clone(),
        owner: "nobody".to_owned(),
        lease: Duration::ZERO,
        parts: None,
        begin: StreamCursor::default(),
        continues: None,
    }
}

impl EventStore for BrokenStore {
    fn identity(&self) -> LogIdentity {
        let restarted = self.aside.try_lock().ok().and_then(|aside| aside.restarted);
        match self.fault {
            Fault::ForgottenIdentity => restarted.unwrap_or(self.kept.identity()),
            _ => self.kept.identity(),
        }
    }

    async fn append(&self, mut append: Append) -> Result<Appended> {
        match self.fault {
            Fault::LateCommit | Fault::Reordered | Fault::TornRead => {
                return self.append_and_show_later(append).await;
            }
            Fault::TornWrite | Fault::TornByDrop => return self.append_in_halves(append).await,
            Fault::DoubledRetry => {
                let all = StreamQuery::after(0).limit(ALL);
                let events = self.kept.read_stream(&append.stream, all).await?.events;
                let done = self.kept.outcome(&append.stream, append.command_id).await?;
                if done.is_some() && append.expected == events.len() as u64 {
                    append.command_id = CommandId::random();
                }
            }
            Fault::LostCorrelation => append.correlation = None,
            Fault::HastyLook => {
                let all = self.kept.instances().await?;
                let newest = all.iter().map(|instance| instance.number).max();
                if append
                    .known_instances
                    .is_none_or(|known| newest <= Some(known))
                {
                    append.known_instances = None;
                    yield_now().await;
                }
            }
            _ if self.forgets().await => append.command_id = half(append.command_id),
            _ => {}
        }
        let denies = self.fault == Fault::DeniedRetry && !append.repeatable;
        match self.kept.append(append).await? {
            Appended::Already(outcome) if denies => Ok(Appended::Conflict {
                found: outcome.version,
            }),
            answer => Ok(answer),
        }
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        if self.forgets().await {
            return self.kept.outcome(stream, half(command)).await;
        }
        let unknown = (stream.clone(), command);
        if self.aside.lock().await.unknown.contains(&unknown) {
            return Ok(None);
        }
        self.joined_outcome(stream, command).await
    }

    async fn read_stream(&self, s: &StreamId, query: StreamQuery) -> Result<StreamPage> {
        let seen = self.seen(self.aside.lock().await).await?;
        let own: Vec<_> = seen.iter().filter(|event| event.stream == *s).collect();
        Ok(StreamPage::pick(query, own))
    }

    async fn read_snapshot(
        &self,
        stream: &StreamId,
        mut of: Fingerprint,
        limit: usize,
    ) -> Result<(Option<Snapshot>, StreamPage)> {
        if self.fault == Fault::AnyonesSnapshot {
            of = Fingerprint::from_bytes([0; 16]);
        }
        let (snapshot, _) = self.kept.read_snapshot(stream, of, 0).await?;
        let version = snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        let after = match self.fault {
            Fault::LooseSnapshot => version,
            _ => version.saturating_sub(1),
        };
        let limit = match self.fault {
            Fault::FrozenSnapshot if version > 0 => 1,
            _ => limit,
        };
        let query = StreamQuery::after(after).limit(limit);
        Ok((snapshot, self.read_stream(stream, query).await?))
    }

    async fn write_snapshots(&self, mut snapshots: Vec<Snapshot>) -> Result<()> {
        for new in &mut snapshots {
            match self.fault {
                Fault::AnyonesSnapshot => new.fingerprint = Fingerprint::from_bytes([0; 16]),
                Fault::SnapshotsGoBack => {
                    let of = new.fingerprint;
                    let (kept, _) = self.kept.read_snapshot(&new.stream, of, 0).await?;
                    if let Some(kept) = kept {
                        self.kept
                            .remove_snapshot(&new.stream, of, kept.version)
                            .await?;
                    }
                }
                _ => {}
            }
        }
        self.kept.write_snapshots(snapshots).await
    }

    async fn read_log(&self, query: &LogQuery) -> Result<LogPage> {
        let log = self.seen(self.aside.lock().await).await?;
        let after = query.position();
        let beyond: Vec<_> = match log.iter().position(|event| event.position == after) {
            Some(place) if self.fault == Fault::Reordered => log[place + 1..].iter().collect(),
            _ => log.iter().filter(|event| event.position > after).collect(),
        };
        let head = beyond.last().map_or(after, |event| event.position);
        let mut page = LogPage::pick(query, beyond, head);
        if self.fault == Fault::HastyFilter && *query != unfiltered(query, page.events.len()) {
            page.seen = head;
        }
        Ok(page)
    }

    async fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<StreamPage> {
        let mut page = self.kept.read_correlated(correlation, after, limit).await?;
        page.more &= self.fault != Fault::CutShort;
        Ok(page)
    }

    async fn import(&self, mut segment: Segment) -> Result<()> {
        match self.fault {
            Fault::CommandsLeft => segment.commands.clear(),
            Fault::Renumbered => {
                let (after, from) = (self.kept.head().await?, segment.after.get());
                let moved = |place: Position| after.plus(place.get().saturating_sub(from));
                for event in &mut segment.events {
                    event.position = moved(event.position);
                }
                for command in &mut segment.commands {
                    command.outcome.first = moved(command.outcome.first);
                }
                segment.after = after;
            }
            Fault::ImportInTwoSteps => {
                let keys = segment.commands.iter();
                let keys: Vec<_> = keys.map(|c| (c.stream.clone(), c.command_id)).collect();
                self.aside.lock().await.unknown.extend(keys.clone());
                self.kept.import(segment).await?;
                yield_now().await;
                let mut aside = self.aside.lock().await;
                aside.unknown.retain(|key| !keys.contains(key));
                return Ok(());
            }
            _ => {}
        }
        self.kept.import(segment).await
    }

    async fn forget_commands(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let more = i64::from(self.fault == Fault::ForgetsTooMuch);
        let before = Timestamp::from_micros(before.as_micros() + more);
        self.kept.forget_commands(before, limit).await
    }

    async fn wait_for_append(&self, after: Position) {
        match self.fault {
            Fault::Deaf => pending().await,
            _ => self.kept.wait_for_append(after).await,
        }
    }

    async fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        mut written: Written,
    ) -> Result<Advanced> {
        let kept = &self.kept;
        let loose = Table {
            indexes: &[],
            ..*table
        };
        match self.fault {
            Fault::LooseUnique => return kept.advance_rows(advance, &loose, written).await,
            Fault::ReplacesHolder => {
                let moved = kept.advance_rows(advance.clone(), table, written.clone());
                let moved = moved.await;
                let Some((_, holder)) = moved.as_ref().err().and_then(Error::not_unique) else {
                    return moved;
                };
                let (key, row) = (holder.to_owned(), None);
                written.rows.push(RowChange { key, row });
                return kept.advance_rows(advance, &loose, written).await;
            }
            Fault::HastyUnique => {
                // One after the other, and then none of them, since the last move is made anew.
                let rows = kept.query_rows(table, &RowQuery::all()).await?;
                let stand = Advance {
                    to: advance.from,
                    ..advance.clone()
                };
                for change in written.rows.clone() {
                    let one = kept
                        .advance_rows(stand.clone(), table, vec![change].into())
                        .await;
                    if one.is_err() {
                        undo(kept, &stand, &loose, rows).await?;
                        return one;
                    }
                }
                undo(kept, &stand, &loose, rows).await?;
            }
            Fault::ParkedApart => {
                let parked = std::mem::take(&mut written.parked);
                let mut apart = Written::default();
                apart.parked = parked;
                if let Some(state) = kept.projection(&advance.projection).await? {
                    let stay = Advance {
                        from: state.cursor,
                        to: state.cursor,
                        epoch: state.epoch,
                        ..advance.clone()
                    };
                    kept.advance_rows(stay, table, apart).await?;
                }
            }
            Fault::ParkedUnfenced => {
                let moved = kept.advance_rows(advance.clone(), table, written.clone());
                if moved.await? == Advanced::Moved {
                    return Ok(Advanced::Moved);
                }
                // Without what it must not believe.
                written.parked.clear();
            }
            Fault::ForgottenRows => written.rows.clear(),
            Fault::ForgottenReactions => written.reactions.clear(),
            Fault::TwoSteps => {
                let mut first = Written::default();
                first.parked = std::mem::take(&mut written.parked);
                let moved = kept.advance_rows(advance.clone(), table, first).await?;
                if moved == Advanced::Moved {
                    yield_now().await;
                    let from = advance.to;
                    kept.advance_rows(Advance { from, ..advance }, table, written)
                        .await?;
                }
                return Ok(moved);
            }
            Fault::Unfenced => {
                let from = kept
                    .projection(&advance.projection)
                    .await?
                    .map(|state| state.cursor);
                if let Some(from) = from.filter(|from| *from != advance.from) {
                    let stay = Advance {
                        from,
                        to: from,
                        ..advance
                    };
                    kept.advance_rows(stay, table, written).await?;
                    return Ok(Advanced::Fenced);
                }
            }
            _ => {}
        }
        kept.advance_rows(advance, table, written).await
    }

    async fn still(&self) -> Result<Still> {
        let now = self.kept.still().await?;
        if self.fault == Fault::FormerMoment {
            let (mut aside, next) = (self.aside.lock().await, self.kept.still().await?);
            return Ok(aside.still.replace(next).unwrap_or(now));
        }
        Ok(now)
    }

    async fn read_rows_at(&self, table: &Table, keys: Vec<String>) -> Result<RowsAt> {
        let split = self.fault == Fault::SplitRead;
        let mut found = self.kept.read_rows_at(table, keys.clone()).await?;
        if split {
            yield_now().await;
            found.cursors = self.kept.read_rows_at(table, keys).await?.cursors;
        }
        Ok(found)
    }

    async fn query_rows(&self, table: &Table, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        let mut rows = self.kept.query_rows(table, query).await?;
        let range = matches!(query.select, Select::Range(..));
        match (self.fault, &query.after) {
            (Fault::SkipsTies, Some(after)) if range => {
                rows.retain(|(key, row)| query.select.place(key, row).values != after.values)
            }
            (Fault::UnsortedRange, _) if range => rows.sort_by(|(a, _), (b, _)| a.cmp(b)),
            _ => {}
        }
        Ok(rows)
    }

    async fn take_over_inbox(&self, takeover: &InboxTakeover) -> Result<Advanced> {
        let mut takeover = takeover.clone();
        if let Fault::TakenAsItIs = self.fault {
            let versions = self.kept.inbox_versions(&takeover.inbox).await?;
            let inbox = versions.inboxes.get(&takeover.from);
            let parts = inbox.into_iter().flat_map(|inbox| &inbox.parts);
            for ((part, ..), now) in takeover.parts.iter_mut().zip(parts) {
                *part = now.clone();
            }
        }
        self.kept.take_over_inbox(&takeover).await
    }

    async fn commit_inbox(&self, tx: Tx, step: &InboxMove) -> Result<Advanced> {
        let mut step = step.clone();
        match self.fault {
            Fault::Unproven => {
                let now = self.kept.inbox(&step.inbox).await?;
                if now.position == step.from.position {
                    step.from = now;
                }
            }
            Fault::InboxOfBefore => {
                let claimed = self.kept.claim_inbox(&look(&step.inbox)).await?;
                let mut parts = claimed.parts.iter();
                if let Some(part) = parts.find(|part| part.slices.start == step.slice) {
                    step.epoch = part.epoch;
                }
            }
            Fault::HeldApart => {
                let changes = std::mem::take(&mut step.changes);
                let moved = self.kept.commit_inbox(tx, &step).await?;
                let (from, tx) = (step.to, self.kept.begin().await?);
                let later = InboxMove {
                    from,
                    changes,
                    ..step
                };
                self.kept.commit_inbox(tx, &later).await?;
                return Ok(moved);
            }
            Fault::HeldUnfenced => {
                let keys = self.kept.inbox_keys(&step.inbox, None, ALL).await?;
                step.changes.retain(|change| match change {
                    InboxChange::Park { key, .. } => !keys.iter().any(|held| held.key == *key),
                    InboxChange::Wait { key, .. } => keys.iter().any(|held| held.key == *key),
                    InboxChange::Retried { key, from, .. } => {
                        keys.iter().any(|h| h.key == *key && h.position == *from)
                    }
                    _ => true,
                });
            }
            Fault::AheadUnfenced => {
                let known = self.kept.inbox_state(&step.inbox).await?.entities;
                for change in &mut step.changes {
                    let InboxChange::Entity { was, .. } = change else {
                        continue;
                    };
                    let mut known = known.iter();
                    if let Some(known) = known.find(|known| known.subject == was.subject) {
                        was.clone_from(known);
                    }
                }
            }
            _ => {}
        }
        self.kept.commit_inbox(tx, &step).await
    }

    async fn inbox_state(&self, inbox: &InboxId) -> Result<InboxState> {
        let mut state = self.kept.inbox_state(inbox).await?;
        if self.fault == Fault::Unmarked {
            state.marks.truncate(1);
        }
        Ok(state)
    }

    async fn give_up_inbox(
        &self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> Result<bool> {
        let there = self.kept.give_up_inbox(inbox, position, reason, by).await?;
        Ok(there || self.fault == Fault::ForgottenLetters)
    }

    async fn dead_letters(
        &self,
        inbox: &InboxId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        match self.fault {
            Fault::ForgottenLetters => Ok(Vec::new()),
            _ => self.kept.dead_letters(inbox, after, limit).await,
        }
    }

    async fn query_published(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        let mut page = self.kept.query_published(query).await?;
        match self.fault {
            Fault::HastyPage if query.is_filtered() => page.seen = page.head,
            Fault::LoosePage if query.is_filtered() => {
                let all = PublishedQuery::after(&query.stream, query.after);
                page.events = self.kept.query_published(&all).await?.events;
            }
            _ => {}
        }
        Ok(page)
    }

    async fn wait_for_published(&self, stream: &StreamVersion, after: Position) {
        match self.fault {
            Fault::DeafToStreams => pending().await,
            _ => self.kept.wait_for_published(stream, after).await,
        }
    }

    async fn claim_relay(&self, claim: &RelayClaim) -> Result<RelayState> {
        match self.fault {
            Fault::RelayForAll => {
                let all = self.kept.relays().await?;
                let known = all.into_iter().find(|state| state.relay == claim.relay);
                if let Some(owner) = known.and_then(|state| state.owner) {
                    self.kept.release(&owner).await?;
                }
                self.kept.claim_relay(claim).await
            }
            Fault::RelayUnnoticed => {
                let state = self.kept.claim_relay(claim).await?;
                Ok(RelayState { epoch: 1, ..state })
            }
            _ => self.kept.claim_relay(claim).await,
        }
    }

    async fn advance_relay(&self, step: &RelayMove) -> Result<Advanced> {
        let mut step = step.clone();
        if self.fault == Fault::RelayUnfenced || self.fault == Fault::RelayUnnoticed {
            let all = self.kept.relays().await?;
            let known = all.into_iter().find(|state| state.relay == step.relay);
            if let Some(state) = known {
                step.epoch = state.epoch;
                if self.fault == Fault::RelayUnfenced {
                    step.from = state.position;
                }
            }
        }
        self.kept.advance_relay(&step).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        let mut claimed = self.kept.claim(claim).await?;
        claimed.owned |= self.fault == Fault::SharedParts;
        Ok(claimed)
    }

    async fn advance_process(&self, advance: Advance, mut page: ProcessPage) -> Result<Advanced> {
        if self.fault == Fault::ForgottenTimers {
            page.timers.clear();
        }
        self.kept.advance_process(advance, page).await
    }

    async fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        let mut timers = self.kept.timers(process, after, limit).await?;
        if let (Fault::SkipsEqualTimes, Some(after)) = (self.fault, after) {
            timers.retain(|timer| timer.place.due > after.due);
        }
        Ok(timers)
    }

    async fn finish_timers(&self, process: &str, fired: &[Timer]) -> Result<()> {
        let mut fired = fired.to_vec();
        if self.fault == Fault::HastyTimers {
            let now = self.kept.timers(process, None, usize::MAX).await?;
            let of = |t: &Timer| (t.place.key.clone(), t.place.name.clone());
            let named: Vec<_> = fired.iter().map(of).collect();
            fired.extend(now.into_iter().filter(|timer| named.contains(&of(timer))));
        }
        self.kept.finish_timers(process, &fired).await
    }

    async fn claim_reactions(&self, claim: &ReactionClaim) -> Result<Vec<DueKey>> {
        let taken = self.kept.claim_reactions(claim).await?;
        if self.fault == Fault::SharedReactions {
            self.kept.release(&claim.owner).await?;
        }
        Ok(taken)
    }

    async fn consumers(&self, stream: Option<&StreamVersion>) -> Result<Vec<ConsumerState>> {
        let mut known = self.kept.consumers(stream).await?;
        if self.fault == Fault::AlwaysNewConsumers {
            known.iter_mut().for_each(|c| c.first_seen = c.last_seen);
        }
        Ok(known)
    }

    async fn kept_schema(&self, name: &str, revision: &str) -> Result<Option<KeptSchema>> {
        let kept = self.kept.kept_schema(name, revision).await?;
        Ok(kept.filter(|_| self.fault != Fault::ForgottenSchema))
    }

    async fn change(&self, id: &ProjectionId, change: &Change, by: &str) -> Result<Lineage> {
        let mut change = change.clone();
        if let (Fault::HeedlessRetirement, Change::Retire { quiet, .. }) = (self.fault, &mut change)
        {
            *quiet = Duration::ZERO;
        }
        self.kept.change(id, &change, by).await
    }

    delegate!(kept: read_commands read_empty_commands remove_snapshot remove_outdated head prepare_table complete_table prepare_stream prepare_process projection projections lineage
        life parked parked_events remove_rows release note_failure note_seen keep_reactions finish_reaction postpone_reactions
        note_timer_failure
        reaction_queues retry_reactions drop_reaction read_rows count_rows advance_stream read_published published_head
        note_consumers keep_schemas note_relay_failure relays inbox inboxes ask_inbox claim_inbox inbox_versions inbox_keys inbox_events retry_inbox begin register keep_alive deregister instances close);
}
