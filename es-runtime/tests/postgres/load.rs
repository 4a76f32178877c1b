//! Writers that try again until they are answered, and a follower: what all attacks run against.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::future::Future;
use std::sync::Arc;
use std::thread;

use es_runtime::error::{Error, Result};
use es_runtime::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use es_runtime::postgres::PostgresStore;
use es_runtime::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};

use crate::law::{Acknowledged, Violation, check};
use crate::until::until;

/// More than any log here holds.
pub(crate) const ALL: usize = 1_000_000;

/// The size of an attack: `ES_ATTACK=nightly` makes it the larger one.
pub(crate) fn size<T>(short: T, nightly: T) -> T {
    match env::var("ES_ATTACK").as_deref() {
        Ok("nightly") => nightly,
        Ok(other) => panic!("ES_ATTACK is `nightly` or not set, and never `{other}`"),
        Err(_) => short,
    }
}

/// Random numbers from a seed that is printed; `ES_SEED` repeats one.
pub(crate) fn seeded() -> Rng {
    let seed = env::var("ES_SEED").map_or_else(
        |_| fastrand::u64(..),
        |seed| seed.parse().expect("ES_SEED is a number"),
    );
    let test = thread::current();
    println!("seed {seed} of {}", test.name().unwrap_or("a test"));
    Rng::with_seed(seed)
}

pub(crate) fn stream(id: impl std::fmt::Display) -> StreamId {
    StreamId::new("account", id).unwrap()
}

/// A command's append; its payloads tell what [`check`] needs to know.
pub(crate) fn append(stream: &StreamId, expected: u64, command: &str, events: usize) -> Append {
    let event = |n| NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: format!(r#"{{"command":"{command}","n":{n},"of":{events}}}"#),
    };
    Append {
        stream: stream.clone(),
        expected,
        command_id: CommandId::of(command),
        repeatable: true,
        events: (0..events).map(event).collect(),
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
        known_instances: None,
    }
}

/// What a writer needs: the store, or one with a fault.
pub(crate) trait Writes: Clone + Send + Sync + 'static {
    fn append(&self, append: Append) -> impl Future<Output = Result<Appended>> + Send;

    fn outcome(
        &self,
        stream: &StreamId,
        command: CommandId,
    ) -> impl Future<Output = Result<Option<Outcome>>> + Send;
}

/// What a follower needs.
pub(crate) trait Reads: Clone + Send + Sync + 'static {
    fn read_log(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>>> + Send;

    fn wait_for_append(&self, after: Position) -> impl Future<Output = ()> + Send;
}

impl Writes for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        EventStore::append(self, append).await
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        EventStore::outcome(self, stream, command).await
    }
}

impl Reads for PostgresStore {
    async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
        let query = LogQuery::after(after).limit(limit);
        Ok(EventStore::read_log(self, &query).await?.events.to_vec()?)
    }

    async fn wait_for_append(&self, after: Position) {
        EventStore::wait_for_append(self, after).await;
    }
}

/// How far the load has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) acknowledged: u64,
    /// The last position that the follower has.
    pub(crate) seen: u64,
    /// Errors that writers got, all of them answered by trying again, and how often.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) running: usize,
}

/// Shows attackers how far the load has come.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<watch::Sender<State>>);

impl Progress {
    /// Returns when `enough` holds, or nobody writes any more.
    pub(crate) async fn reaches(&self, mut enough: impl FnMut(&State) -> bool) {
        let mut state = self.0.subscribe();
        let wait = state.wait_for(|state| state.running == 0 || enough(state));
        wait.await.expect("we hold the sender");
    }

    /// Returns when the follower has this position.
    pub(crate) async fn has_seen(&self, position: u64) {
        let mut state = self.0.subscribe();
        let wait = state.wait_for(|state| state.seen >= position);
        wait.await.expect("we hold the sender");
    }

    /// Returns when `more` appends have been acknowledged since now.
    pub(crate) async fn advances(&self, more: u64) {
        let goal = self.state().acknowledged + more;
        self.reaches(|state| state.acknowledged >= goal).await;
    }

    pub(crate) fn state(&self) -> State {
        self.0.borrow().clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_modify(change);
    }

    /// A writer that got an error tries again, unless its caller could do nothing about it: an
    /// append that breaks a constraint was let in by something that should not have.
    pub(crate) async fn excuse(&self, error: &Error) -> Result<(), Violation> {
        let text = error.to_string();
        if !error.is_transient() || text.contains("constraint") {
            return Err(format!("an append failed: {text}"));
        }
        self.change(|state| *state.errors.entry(text).or_default() += 1);
        yield_now().await;
        Ok(())
    }
}

/// What an attack got acknowledged itself.
pub(crate) type Attacked = Result<Vec<Acknowledged>, Violation>;

/// How much is written.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) writers: usize,
    pub(crate) appends: u64,
}

impl Load {
    pub(crate) fn total(self) -> u64 {
        self.writers as u64 * self.appends
    }

    /// Writes through `stores` in turn and follows through `reader`, while `attack` does its
    /// worst; checks all laws at the end, against the log that `reader` then shows.
    pub(crate) async fn under<W: Writes, R: Reads>(
        self,
        stores: &[W],
        reader: &R,
        random: &mut Rng,
        attack: impl AsyncFnOnce(&Progress, &mut Rng) -> Attacked,
    ) -> Result<State, Violation> {
        let progress = Progress::default();
        progress.change(|state| state.running = self.writers);
        let last = append(&stream("last"), 0, "last", 1);
        let follower = follow(reader.clone(), last.command_id, progress.clone());
        let follower = tokio::spawn(follower);
        let mut writers = JoinSet::new();
        for (writer, store) in (0..self.writers).zip(stores.iter().cycle()) {
            let (store, random, progress) = (store.clone(), random.fork(), progress.clone());
            writers.spawn(async move {
                let done = write(store, writer, self.appends, random, &progress).await;
                progress.change(|state| state.running -= 1);
                done
            });
        }
        let mut acknowledged = attack(&progress, random).await?;
        while let Some(done) = writers.join_next().await {
            acknowledged.extend(done.unwrap()?);
        }
        acknowledged.push(insist(&stores[0], last, &progress).await?);
        let seen = follower.await.unwrap();
        let log = patiently(|| reader.read_log(Position::START, ALL)).await;
        check(&log, [&seen], &acknowledged)?;
        let remembered = acknowledged.iter().filter(|done| done.kept);
        for done in random.choose_multiple(remembered, 200) {
            let found = patiently(|| stores[0].outcome(&done.stream, done.command)).await;
            if found != Some(done.outcome) {
                return Err(format!("the store remembers {found:?} of {done:?}"));
            }
        }
        let state = progress.state();
        let (events, errors) = (log.len(), state.errors.values().sum::<u64>());
        let appends = acknowledged.len();
        println!("{appends} appends, {events} events, {errors} errors on the way");
        Ok(state)
    }
}

/// Appends until everything is acknowledged; after an error, the same command again. Now and then
/// a caller has not heard its answer, loads the stream anew and asks once more.
async fn write(
    store: impl Writes,
    writer: usize,
    appends: u64,
    mut random: Rng,
    progress: &Progress,
) -> Result<Vec<Acknowledged>, Violation> {
    let (own, shared) = (stream(writer), stream("shared"));
    let mut versions = HashMap::new();
    let mut acknowledged = Vec::new();
    for n in 0..appends {
        let command = format!("{writer}/{n}");
        // At first all are such as a store that is alone writes without the call.
        let is_plain = n < appends / 3;
        let stream = match is_plain || random.u8(..4) > 0 {
            true => &own,
            false => &shared,
        };
        let expected: &mut u64 = versions.entry(stream).or_default();
        let events = random.usize(usize::from(is_plain)..4);
        let mut next = append(stream, *expected, &command, events);
        // Where nobody else writes, an append is recognised without a row for its command, too.
        next.repeatable = stream == &shared || !is_plain && random.bool();
        let done = insist(&store, next.clone(), progress).await?;
        *expected = done.outcome.version;
        if next.repeatable && random.u8(..4) == 0 {
            let again = Append {
                expected: *expected,
                ..next
            };
            repeat(&store, again, done.outcome, progress).await?;
        }
        acknowledged.push(done);
        progress.change(|state| state.acknowledged += 1);
    }
    Ok(acknowledged)
}

/// Appends until it is acknowledged.
pub(crate) async fn insist(
    store: &impl Writes,
    mut append: Append,
    progress: &Progress,
) -> Result<Acknowledged, Violation> {
    loop {
        match store.append(append.clone()).await {
            Ok(Appended::New(outcome) | Appended::Already(outcome)) => {
                return Ok(Acknowledged {
                    stream: append.stream,
                    command: append.command_id,
                    outcome,
                    kept: append.repeatable || append.events.is_empty(),
                });
            }
            Ok(Appended::Conflict { found }) => append.expected = found,
            Err(error) => progress.excuse(&error).await?,
        }
    }
}

/// The same command again adds nothing and has the same answer.
async fn repeat(
    store: &impl Writes,
    again: Append,
    outcome: Outcome,
    progress: &Progress,
) -> Result<(), Violation> {
    loop {
        match store.append(again.clone()).await {
            Ok(Appended::Already(same)) if same == outcome => return Ok(()),
            Ok(other) => {
                return Err(format!(
                    "`{}` answered a command with {outcome:?}, and again with {other:?}",
                    again.stream
                ));
            }
            Err(error) => progress.excuse(&error).await?,
        }
    }
}

/// Reads from its cursor until `last` has come by; a lost connection is no reason to stop.
pub(crate) async fn follow(
    reader: impl Reads,
    last: CommandId,
    progress: Progress,
) -> Vec<StoredEvent> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    while seen
        .last()
        .is_none_or(|event| event.command_id != Some(last))
    {
        let cursor = seen.last().map_or(Position::START, |event| event.position);
        if let Ok(page) = reader.read_log(cursor, 20).await {
            seen.extend(page);
            let cursor = seen.last().map_or(0, |event| event.position.get());
            progress.change(|state| state.seen = cursor);
        }
        reader.wait_for_append(cursor).await;
    }
    seen
}

/// After an attack the server may need a moment.
pub(crate) async fn patiently<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    ask: impl Fn() -> F,
) -> T {
    until("the server answers", async || {
        let unanswered = |error| println!("asking again: {error}");
        ask().await.map_err(unanswered).ok()
    })
    .await
}
