//! Describes a service and starts it.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::Cache;
use super::compare::Comparisons;
use super::inputs::Intake;
use super::instances::{Heartbeat, Instances, Presence};
use super::looks::Looks;
use super::processes::{Manager, Managing};
use super::reactions::{Executor, Reactor, Reactors, Retry};
use super::relays::{Carrier, Fleet, Relays};
use super::sightings::{Reads, Sightings};
use super::snapshots::{Snapshots, Snapshotter};
use super::supervise::Workers;
use super::versions::{Judge, Versions};
use super::writer::{self, Queue};
use super::{Boxed, Inner, RecordCommand, Service, Typed, retention};
use crate::aggregate::{Decide, Evolve};
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, Event, SystemClock};
use crate::integration::{
    AggregateMapper, Cast, IntegrationStream, IntegrationType, Mapper, Older, Publish, Status,
    StreamVersion, type_of, version_of,
};
use crate::process::{Process, Recipient};
use crate::projection::{
    Apply, Compared, Comparer, Fold, Handwritten, Projection, React, ReadModel, SqlProjection,
};
use crate::publish::Transport;
use crate::store::{Knowledge, NewInstance, ProjectionId, Store, tasks_of};

/// The description of a service. Mistakes in it come out of [`start`](Self::start).
pub struct Builder {
    name: String,
    namespace: Option<String>,
    store: Option<Store>,
    clock: Arc<dyn Clock>,
    keep_commands: Option<Duration>,
    heartbeat: Heartbeat,
    lease: Duration,
    knows: Knowledge,
    judges: Vec<Judge>,
    aggregates: HashMap<&'static str, TypeId>,
    /// Other views of their streams, whose commands are executed, too.
    beside: HashSet<TypeId>,
    recorders: Typed,
    caches: Typed,
    /// By the type's name.
    snapshotters: BTreeMap<&'static str, SnapshotterDraft>,
    read_models: BTreeMap<ProjectionId, Box<dyn Startable>>,
    /// By the read model's name.
    reactors: BTreeMap<&'static str, Reactors>,
    retry: Retry,
    processes: BTreeMap<&'static str, Box<dyn Manager>>,
    /// By the aggregate's name.
    inputs: BTreeMap<&'static str, Intake>,
    comparers: Vec<Arc<Comparer>>,
    streams: BTreeMap<StreamVersion, StreamDraft>,
    /// Versions with a mapping of their own, each with an aggregate that must be in it.
    owed: Vec<(StreamVersion, &'static str)>,
    retired: BTreeSet<StreamVersion>,
    carriers: Vec<Box<dyn Carrier>>,
    #[cfg(feature = "feed")]
    serve: Option<crate::feed::Serve>,
    mistake: Option<Error>,
}

/// Snapshots of an aggregate whose clock is not known yet.
struct SnapshotterDraft {
    aggregate: TypeId,
    policy: Snapshots,
    make: fn(Snapshots, Arc<dyn Clock>, Arc<Queue>) -> Result<Boxed>,
}

/// An integration stream whose namespace and clock are not known yet.
struct StreamDraft {
    /// Whose mapping feeds it.
    event: TypeId,
    status: Status,
    types: &'static [IntegrationType],
    mappers: Vec<Box<dyn Mapper>>,
}

/// A read model of any row type.
trait Startable: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    /// The row's type, and the read model for reads that fold.
    fn reading(&self) -> (TypeId, Boxed);
    fn start<'a>(self: Box<Self>, workers: &'a mut Workers, store: &'a Store) -> Starting<'a>;
}

pub(super) type Starting<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

impl<P: Projection> Startable for ReadModel<P> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn reading(&self) -> (TypeId, Boxed) {
        (TypeId::of::<P>(), Box::new(self.clone()))
    }

    fn start<'a>(self: Box<Self>, workers: &'a mut Workers, store: &'a Store) -> Starting<'a> {
        Box::pin(workers.start(store, *self))
    }
}

impl<P: SqlProjection> Startable for Handwritten<P> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    /// Its tables are read with SQL.
    fn reading(&self) -> (TypeId, Boxed) {
        (TypeId::of::<P>(), Box::new(()))
    }

    fn start<'a>(self: Box<Self>, workers: &'a mut Workers, store: &'a Store) -> Starting<'a> {
        Box::pin(workers.start(store, *self))
    }
}

impl Builder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            namespace: None,
            store: None,
            clock: Arc::new(SystemClock),
            keep_commands: None,
            heartbeat: Heartbeat::default(),
            lease: Duration::from_secs(3),
            knows: Knowledge::new(),
            judges: Vec::new(),
            aggregates: HashMap::new(),
            beside: HashSet::new(),
            recorders: HashMap::new(),
            caches: HashMap::new(),
            snapshotters: BTreeMap::new(),
            read_models: BTreeMap::new(),
            reactors: BTreeMap::new(),
            retry: Retry::default(),
            processes: BTreeMap::new(),
            inputs: BTreeMap::new(),
            comparers: Vec::new(),
            streams: BTreeMap::new(),
            owed: Vec::new(),
            retired: BTreeSet::new(),
            carriers: Vec::new(),
            #[cfg(feature = "feed")]
            serve: None,
            mistake: None,
        }
    }

    /// Where everything is kept.
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// What stands before the names of integration events, by custom a reversed domain:
    /// `dk.example.bank`. The service's name unless something is said. Published names are for
    /// ever.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Tells the time; the machine's clock unless something is said.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Forgets the ids of commands that were accepted longer ago than this, by the service's clock:
    /// one that comes again after that is a new command. Kept for ever unless something is said.
    ///
    /// Choose a time that is longer than anything can hold a message back: queues, dead letters, an
    /// import that is repeated. Events stay, and so does what they say of their command; commands that
    /// [are kept](crate::event::CommandId::kept) are not forgotten.
    pub fn forget_commands_after(mut self, time: Duration) -> Self {
        self.keep_commands = Some(time);
        self
    }

    /// How often this instance tells the others that it runs, and how long it counts as running
    /// without. While an instance of an older release runs, nothing is written that it cannot read.
    /// Every 5 seconds and half a minute unless something is said; the time-out should be several
    /// heartbeats long.
    pub fn heartbeat(mut self, every: Duration, timeout: Duration) -> Self {
        self.heartbeat = Heartbeat { every, timeout };
        self
    }

    /// How long another instance waits before it takes over the projections of one that died. Three
    /// seconds unless something is said. It saves work alone: two that believe to be in charge
    /// never both write.
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// Executes the commands of an aggregate.
    pub fn aggregate<A: Decide + Evolve>(mut self) -> Self {
        self.knows.add::<A::Event>();
        self.judges.push(Versions::judge::<A::Event>);
        let earlier = self.aggregates.insert(A::NAME, TypeId::of::<A>());
        if earlier.is_some() {
            self.duplicate(format!("the aggregate `{}`", A::NAME));
        }
        self
    }

    /// Runs a process: executes its inputs, as those of an [`aggregate`](Self::aggregate), does what
    /// follows from its events, and fires its timers. The aggregates that it sends commands to are
    /// declared beside it. What happened before there was such a process, it does not react to.
    pub fn process<P: Process>(mut self) -> Self {
        self = self.aggregate::<P>();
        let mut managing = Managing::<P>::new();
        P::wire(&mut managing);
        self.knows.merge(managing.knows());
        self.processes.insert(P::NAME, Box::new(managing));
        self
    }

    /// Executes what the events of other services mean to an aggregate, or to a process, which is
    /// declared beside it: [`Receives`](crate::process::Receives) says what that is, and
    /// [`Service::inputs`] makes a consumer bring it.
    ///
    /// What the aggregate refuses is tried again, as [`retry`](Self::retry) says, and later inputs of
    /// the same one wait.
    pub fn inputs<A: Recipient>(mut self) -> Self {
        let earlier = self.inputs.insert(A::NAME, Intake::new::<A>());
        if earlier.is_some() {
            self.duplicate(format!("the intake of `{}`", A::NAME));
        }
        self
    }

    /// Executes the commands of another view of an aggregate's streams.
    pub(crate) fn beside<A: Decide + Evolve>(mut self) -> Self {
        self.knows.add::<A::Event>();
        self.judges.push(Versions::judge::<A::Event>);
        if !self.beside.insert(TypeId::of::<A>()) {
            self.duplicate(format!("what is adapted to `{}`", A::NAME));
        }
        self
    }

    /// Whether [`beside`](Self::beside) was said of it.
    pub(crate) fn has_beside<A: 'static>(&self) -> bool {
        self.beside.contains(&TypeId::of::<A>())
    }

    /// Keeps the content of the aggregate's commands with their events, not only their names: for
    /// audits, and to replay decisions. Mind personal data.
    pub fn record_commands<A: Decide + Evolve>(mut self) -> Self
    where
        A::Command: Serialize,
    {
        let record: RecordCommand<A> = serde_json::value::to_raw_value;
        self.recorders.insert(TypeId::of::<A>(), Box::new(record));
        self
    }

    /// Keeps snapshots of the aggregate's state in the store, so that fewer events are read. They
    /// are made beside the commands, and never believed against the log.
    ///
    /// What the state is made of is watched, also inside of nested types: a snapshot of another
    /// release is used only if nothing of that changed. When the *meaning* of the code in `on_…`
    /// methods changes, raise `#[aggregate(snapshot = 2)]`.
    pub fn snapshots<A>(mut self, policy: Snapshots) -> Self
    where
        A: Decide + Evolve + Serialize + DeserializeOwned + PartialEq,
    {
        let draft = SnapshotterDraft {
            aggregate: TypeId::of::<A>(),
            policy,
            make: |policy, clock, queue| Ok(Box::new(Snapshotter::<A>::new(policy, clock, queue)?)),
        };
        let name = std::any::type_name::<A>();
        if self.snapshotters.insert(name, draft).is_some() {
            self.duplicate(format!("the snapshots of `{}`", A::NAME));
        }
        self
    }

    /// Keeps the states of the aggregate's streams in memory that were used last, this many at least
    /// and twice as many at most, so that most commands read no events. Other processes may append to the same streams: what is decided on a state
    /// that is behind is decided again.
    pub fn cache<A: Decide + Evolve>(mut self, entries: usize) -> Self {
        let cache = Box::new(Cache::<A>::new(entries));
        if self.caches.insert(TypeId::of::<A>(), cache).is_some() {
            self.duplicate(format!("the cache of `{}`", A::NAME));
        }
        self
    }

    /// Folds the events `E` into a version of a read model. A read model over several families of
    /// events is declared once for each.
    pub fn project<E: Event, P: Fold<E>>(mut self) -> Self {
        self.knows.add::<E>();
        let new = || Box::new(ReadModel::<P>::new());
        let read_model = self
            .read_models
            .entry((&P::TABLE).into())
            .or_insert_with(|| new());
        let same = read_model.as_any().downcast_mut::<ReadModel<P>>();
        if !same.is_some_and(ReadModel::add::<E>) {
            self.duplicate(format!("the read model `{}`", P::TABLE));
        }
        self
    }

    /// Applies the events `E` to the tables of a hand-written projection. One over several families
    /// of events is declared once for each, and the first value of `P` is the one that works.
    pub fn project_sql<E: Event, P: Apply<E>>(mut self, projection: P) -> Self {
        self.knows.add::<E>();
        let known = self.read_models.entry(P::id());
        let known = known.or_insert_with(|| Box::new(Handwritten::new(projection)));
        let same = known.as_any().downcast_mut::<Handwritten<P>>();
        if !same.is_some_and(Handwritten::add::<E>) {
            self.duplicate(format!("the projection `{}`", P::id()));
        }
        self
    }

    /// Does what a version of a read model reacts to the events `E` with. Declared once for each
    /// version that reacts, beside [`project`](Self::project); the first of them reacts to what
    /// happens from then on.
    ///
    /// The law: each event is reacted to once over all versions, and what it brings about is done at
    /// least once, in the order of each key.
    pub fn react<E: Event, P: React<E>>(mut self, reactor: impl Reactor<P::Reaction>) -> Self {
        let reactors = self.reactors.entry(P::NAME).or_default();
        reactors.add(P::VERSION, E::NAME, reactor);
        let bell = reactors.bell.clone();
        let new = || Box::new(ReadModel::<P>::new());
        let read_model = self
            .read_models
            .entry((&P::TABLE).into())
            .or_insert_with(|| new());
        let same = read_model.as_any().downcast_mut::<ReadModel<P>>();
        if !same.is_some_and(|read_model| read_model.react::<E>(&bell)) {
            let what = format!("the reactions of `{}` to events of `{}`", P::TABLE, E::NAME);
            self.duplicate(what);
        }
        self
    }

    /// Compares version `New` of a read model with version `Old`, row by row: each new row made an
    /// old one must be what the old version stores. Done by a running instance as soon as one of
    /// them is live and the other complete, and again from time to time; `promote` asks for it.
    ///
    /// Differing keys are recorded with both rows, twenty at most: mind personal data.
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// #[derive(Clone, Debug, Projection)]
    /// #[projection(name = "balances", version = 1)]
    /// struct OldBalance { amount: i64 }
    ///
    /// #[derive(Clone, Debug, Projection)]
    /// #[projection(name = "balances", version = 2)]
    /// struct Balance { amount: i64, bookings: i64 }
    ///
    /// impl From<Balance> for OldBalance {
    ///     fn from(new: Balance) -> Self { Self { amount: new.amount } }
    /// }
    ///
    /// let bank = es_runtime::Service::builder("bank").compare::<OldBalance, Balance>();
    /// ```
    pub fn compare<Old: Projection + From<New>, New: Projection>(self) -> Self {
        self.comparer(Comparer::by_conversion::<Old, New>())
    }

    /// As [`compare`](Self::compare), by a function that is asked for each key with a row in either
    /// version, and says which differences are as they should be.
    pub fn compare_with<Old: Projection, New: Projection>(
        self,
        compare: impl Fn(&str, Option<&Old>, Option<&New>) -> Compared + Send + Sync + 'static,
    ) -> Self {
        self.comparer(Comparer::by::<Old, New>(compare))
    }

    fn comparer(mut self, comparer: Comparer) -> Self {
        let (old, new) = (comparer.old.to_string(), comparer.new.to_string());
        if !comparer.makes_sense() {
            self.mistake
                .get_or_insert(Error::new(Kind::Incomparable { old, new }));
        } else if self.comparers.iter().any(|known| known.is_like(&comparer)) {
            self.duplicate(format!("a comparison of `{old}` and `{new}`"));
        } else {
            self.comparers.push(Arc::new(comparer));
        }
        self
    }

    /// How reactions that fail are tried again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Publishes what `A` does as the integration events `I`, and as the older versions that the
    /// history of `I` declares: each is a stream of its own. A version with a mapping of its own
    /// is a line of its own. A stream that several aggregates feed is declared once for each.
    pub fn publish<A: Evolve, I: Publish<A>>(mut self) -> Self {
        self.knows.add::<A::Event>();
        self.feed::<A, I>(I::VERSION, I::STATUS, I::TYPES, Vec::new());
        let first_own = I::OLDER.iter().position(Older::is_own);
        let (fed, others) = I::OLDER.split_at(first_own.unwrap_or(I::OLDER.len()));
        let mut way = Vec::new();
        for older in fed {
            way.extend(older.down());
            self.feed::<A, I>(older.version(), older.status(), older.types(), way.clone());
        }
        // The first of the others feeds those below it.
        if let Some(own) = others.first()
            && others.iter().any(|older| older.status() != Status::Retired)
        {
            self.owed.push((version_of::<I>(own.version()), A::NAME));
        }
        let retired = I::OLDER
            .iter()
            .filter(|older| older.status() == Status::Retired);
        self.retired
            .extend(retired.map(|older| version_of::<I>(older.version())));
        self
    }

    /// Adds a mapping to a version of the stream of `I`; `way` leads down to it. What is retired is
    /// fed by nobody.
    fn feed<A: Evolve, I: Publish<A>>(
        &mut self,
        version: u32,
        status: Status,
        types: &'static [IntegrationType],
        way: Vec<Cast>,
    ) {
        let (event, stream) = (TypeId::of::<I>(), version_of::<I>(version));
        let new = || StreamDraft {
            event,
            status,
            types,
            mappers: Vec::new(),
        };
        let draft = self.streams.entry(stream.clone()).or_insert_with(new);
        let mut mappers = draft.mappers.iter();
        if draft.event != event || mappers.any(|mapper| mapper.aggregate() == A::NAME) {
            return self.duplicate(format!("the integration stream `{stream}`"));
        }
        let mapper = AggregateMapper::<A, I>::new(way);
        draft.mappers.push(Box::new(mapper));
    }

    /// Sends every stream version to a message broker, from its first event on: those that are live or
    /// deprecated. One of the instances does it for each, and another one goes on if that dies.
    ///
    /// The law: what goes out was committed, each event at least once and in the order of its stream,
    /// and no command waits for it.
    pub fn relay(mut self, transport: impl Transport + Clone) -> Self {
        let name = Transport::name(&transport);
        if self.carriers.iter().any(|carrier| carrier.name() == name) {
            let what = format!("the transport `{name}`");
            self.duplicate(what);
        } else if let Err(mistake) = Transport::check(&transport) {
            self.mistake.get_or_insert(mistake);
        } else {
            self.carriers.push(Box::new(transport));
        }
        self
    }

    /// Serves the integration streams over HTTP, at an address, where port 0 takes a free one, or as
    /// [`Serve`](crate::feed::Serve) says.
    #[cfg(feature = "feed")]
    pub fn serve(mut self, serve: impl Into<crate::feed::Serve>) -> Self {
        self.serve = Some(serve.into());
        self
    }

    fn duplicate(&mut self, what: String) {
        self.mistake
            .get_or_insert(Error::new(Kind::Duplicate { what }));
    }

    /// Starts the service: prepares every projection and stream, and follows the log with each
    /// from where its cursor stands.
    ///
    /// # Errors
    /// When something is declared twice, no store is given, a read model changed its columns
    /// without a new version, the address is taken, or the store cannot be reached.
    pub async fn start(self) -> Result<Service> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let no_store = || {
            Error::new(Kind::Unregistered {
                what: "a store".to_owned(),
            })
        };
        let store = self.store.ok_or_else(no_store)?;
        let aggregates = self.aggregates.into_values().chain(self.beside);
        let aggregates: HashSet<_> = aggregates.collect();
        let cached = self.caches.keys().copied();
        let snapshotted = self.snapshotters.values().map(|draft| draft.aggregate);
        if !cached.chain(snapshotted).all(|a| aggregates.contains(&a)) {
            let what = "an aggregate with a cache or snapshots".to_owned();
            return Err(Error::new(Kind::Unregistered { what }));
        }
        for process in self.processes.values() {
            process.check(&aggregates)?;
        }
        for intake in self.inputs.values() {
            intake.check(&aggregates)?;
        }
        let own = NewInstance {
            service: self.name.clone(),
            knows: self.knows,
            timeout: self.heartbeat.timeout,
        };
        let instances = Arc::new(Instances::unregistered(store.clone(), own, self.judges));
        let presence = match instances.register().await {
            Ok(()) => Some(Presence::new(instances.clone(), self.heartbeat.every)),
            Err(error) if error.is_read_only() => None,
            Err(error) => return Err(error),
        };
        let mut workers = Workers::new(worker_name(&self.name), self.lease);
        let (queue, mut snapshotters) = (Arc::new(Queue::default()), HashMap::new());
        for draft in self.snapshotters.into_values() {
            let snapshotter = (draft.make)(draft.policy, self.clock.clone(), queue.clone())?;
            snapshotters.insert(draft.aggregate, snapshotter);
        }
        if !snapshotters.is_empty() {
            let writer = writer::run(queue, store.clone(), workers.stop());
            workers.add(tokio::spawn(writer));
        }
        if let Some(keep) = self.keep_commands {
            let (store, clock) = (store.clone(), self.clock.clone());
            let retention = retention::run(store, clock, keep, workers.stop());
            workers.add(tokio::spawn(retention));
        }
        let read_models = self.read_models.values().map(|model| model.reading());
        let read_models = read_models.collect();
        for read_model in self.read_models.into_values() {
            read_model.start(&mut workers, &store).await?;
        }
        for process in self.processes.values() {
            process.start(&mut workers, &store).await?;
        }
        for (stream, aggregate) in self.owed {
            let draft = self.streams.get(&stream);
            let mut mappers = draft.iter().flat_map(|draft| &draft.mappers);
            if !mappers.any(|mapper| mapper.aggregate() == aggregate) {
                let stream = stream.to_string();
                return Err(Error::new(Kind::Unmapped { stream, aggregate }));
            }
        }
        let namespace = self.namespace.as_deref().unwrap_or(&self.name);
        let mut streams: BTreeMap<_, _> = self
            .retired
            .into_iter()
            .map(|stream| (stream, (Status::Retired, Vec::new())))
            .collect();
        for (stream, draft) in self.streams {
            let named = |event| type_of(namespace, event, stream.version);
            let types: Vec<_> = draft.types.iter().map(named).collect();
            streams.insert(stream.clone(), (draft.status, types));
            if draft.status == Status::Retired {
                continue;
            }
            let StreamDraft { types, mappers, .. } = draft;
            let clock = self.clock.clone();
            let work = IntegrationStream::new(stream, types, mappers, namespace, clock);
            workers.start(&store, work).await?;
        }
        let reads = Arc::new(Reads::default());
        if presence.is_some() {
            let sightings = Sightings {
                store: store.clone(),
                who: workers.owner().to_owned(),
                run: workers.ids(),
                reads: reads.clone(),
            };
            // Before anybody can be told that nobody runs them.
            sightings.tell().await?;
            workers.add(tokio::spawn(
                sightings.run(self.heartbeat.every, workers.stop()),
            ));
        }
        let comparisons = Comparisons {
            store: store.clone(),
            by: workers.owner().to_owned(),
            stop: workers.stop(),
            comparers: self.comparers,
        };
        if presence.is_some() && !comparisons.comparers.is_empty() {
            workers.add(tokio::spawn(comparisons.clone().run()));
        }
        // On a store that only reads, another instance is the one that sends.
        let relays = match presence {
            Some(_) => {
                let sent = streams
                    .iter()
                    .filter(|(_, (status, _))| *status != Status::Retired);
                let fleet = Fleet {
                    service: &self.name,
                    store: &store,
                    workers: &workers,
                    lease: self.lease,
                    streams: sent.map(|(stream, _)| stream.clone()).collect(),
                };
                Relays::start(&self.carriers, &fleet)
            }
            None => Relays::default(),
        };
        #[cfg(feature = "feed")]
        let feed = match self.serve {
            Some(serve) => {
                let streams = streams.into_iter().map(|(stream, (status, types))| {
                    let served = crate::feed::Served { status, types };
                    (stream, served)
                });
                let feed = crate::feed::Feed {
                    service: self.name.clone(),
                    who: workers.owner().to_owned(),
                    store: store.clone(),
                    streams: streams.collect(),
                    serve,
                };
                let running = feed.start(workers.stop()).await?;
                running.tasks.into_iter().for_each(|task| workers.add(task));
                Some((running.mounted, running.address))
            }
            None => None,
        };
        tracing::info!(service = self.name, "started");
        let reacting = self.reactors.keys().map(ToString::to_string);
        let processing = self.processes.keys().map(|process| tasks_of(process));
        let taking = self.inputs.values().map(Intake::queue);
        let inner = Arc::new(Inner {
            name: self.name,
            store,
            clock: self.clock,
            aggregates,
            recorders: self.recorders,
            caches: self.caches,
            snapshotters,
            read_models,
            workers,
            reads,
            looks: Looks::default(),
            comparisons,
            instances,
            presence,
            relays,
            processes: self.processes.keys().copied().collect(),
            queues: reacting.chain(processing).chain(taking).collect(),
            inputs: self.inputs.values().map(Intake::bell).collect(),
            #[cfg(feature = "feed")]
            feed,
        });
        for (projection, reactors) in self.reactors {
            let executor = Executor {
                projection: projection.to_owned(),
                reactors,
                retry: self.retry.clone(),
                store: inner.store.clone(),
                service: Arc::downgrade(&inner),
                owner: inner.workers.owner().to_owned(),
                lease: self.lease,
                stop: inner.workers.stop(),
            };
            inner.workers.add(tokio::spawn(executor.run()));
        }
        for process in self.processes.into_values() {
            process.run(&inner, self.retry.clone(), self.lease);
        }
        for intake in self.inputs.into_values() {
            intake.run(&inner, self.retry.clone(), self.lease);
        }
        Ok(Service { inner })
    }
}

/// This instance, as others see it at its work: no two have the same name.
fn worker_name(service: &str) -> String {
    let mut random = uuid::Uuid::new_v4().simple().to_string();
    random.truncate(8);
    format!("{service}-{}-{random}", std::process::id())
}
