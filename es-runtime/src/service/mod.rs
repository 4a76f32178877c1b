//! The service: ties the modules together, supervises them, executes commands, answers reads.

mod builder;
mod cache;
mod compare;
mod current;
mod execute;
mod inputs;
mod instances;
mod load;
mod looks;
mod page_token;
mod processes;
mod promote;
mod reactions;
mod relays;
mod retention;
mod selection;
mod settled;
mod sightings;
mod snapshots;
mod supervise;
mod timers;
mod versions;
mod view;
mod writer;
#[cfg(doctest)]
mod wrong_use;

pub use builder::Builder;
pub use current::Current;
pub use execute::{Execute, Receipt};
pub use page_token::PageToken;
pub use promote::Promote;
pub use reactions::{Attempt, Reactor, Retry};
pub use selection::{RangePage, RowRange, Selection};
pub use snapshots::{SnapshotStats, Snapshots};
pub use view::View;

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Notify;

use self::cache::Cache;
use self::compare::Comparisons;
use self::instances::{Instances, Presence};
use self::load::Loader;
use self::looks::Looks;
use self::relays::Relays;
use self::sightings::Reads;
use self::snapshots::Snapshotter;
use self::supervise::Workers;
use crate::aggregate::{Aggregate, Decide, Evolve};
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, Timestamp};
use crate::projection::{Projection, Status};
use crate::publish::RelayStatus;
use crate::store::{
    Change, Comparison, EventStore, Outdated, ParkedKey, ProjectionId, RelayId, Store,
};

/// A running service: a store, the aggregates whose commands it executes, and the projections and
/// streams that it keeps up to date. Clones are handles to the same service; when the last one is
/// dropped, it stops, as after [`shutdown`](Self::shutdown).
///
/// ```
/// use es_runtime::prelude::*;
/// use es_runtime::{Service, Store};
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Opened }
/// # #[derive(Clone, Debug, Serialize, Command)]
/// # #[command(aggregate = Account)]
/// # enum AccountCommand { Open }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
/// # struct Account;
/// # impl Account {
/// #     fn open(&self) -> Result<AccountEvent, std::fmt::Error> { Ok(AccountEvent::Opened) }
/// #     fn on_opened(&mut self) {}
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> es_runtime::Result<()> {
/// let bank = Service::builder("bank")
///     .store(Store::connect("memory:").await?)
///     .aggregate::<Account>()
///     .start()
///     .await?;
/// let receipt = bank.execute::<Account>("alice", AccountCommand::Open).await?;
/// assert_eq!(receipt.version, 1);
/// bank.shutdown().await
/// # }
/// ```
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    store: Store,
    clock: Arc<dyn Clock>,
    aggregates: HashSet<TypeId>,
    /// A [`RecordCommand`] for each aggregate whose commands are recorded.
    recorders: Typed,
    /// A [`Cache`] for each aggregate that is cached.
    caches: Typed,
    /// A [`Snapshotter`] for each aggregate that has snapshots.
    snapshotters: Typed,
    /// A [`ReadModel`](crate::projection::ReadModel) for each type of rows.
    read_models: Typed,
    workers: Workers,
    reads: Arc<Reads>,
    looks: Looks,
    comparisons: Comparisons,
    instances: Arc<Instances<Store>>,
    /// Nothing on a store that only reads.
    presence: Option<Presence>,
    relays: Relays,
    /// Rung when there are inputs for an aggregate.
    inputs: HashMap<TypeId, Arc<Notify>>,
    /// The names of the processes, and under what all reactions wait.
    processes: Vec<&'static str>,
    queues: Vec<String>,
    #[cfg(feature = "feed")]
    feed: Option<(crate::feed::Mounted, Option<std::net::SocketAddr>)>,
}

/// One value for each of some aggregates, whose type is the key.
type Typed = HashMap<TypeId, Boxed>;

type Boxed = Box<dyn Any + Send + Sync>;

fn typed<A: 'static, T: 'static>(map: &Typed) -> Option<&T> {
    map.get(&TypeId::of::<A>())?.downcast_ref()
}

impl Inner {
    fn loader<A: Evolve>(&self) -> Loader<'_, A, Store> {
        Loader {
            store: &self.store,
            cache: typed::<A, Cache<A>>(&self.caches),
            snapshots: self.snapshotter::<A>(),
        }
    }

    fn snapshotter<A: Evolve>(&self) -> Option<&Snapshotter<A>> {
        typed::<A, _>(&self.snapshotters)
    }
}

impl Service {
    /// Starts the description of a service. The name stands in its integration events: keep it.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The store that it runs on.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Executes a command: loads the aggregate, decides, appends. Await what it answers; before
    /// that, say who asks and why.
    ///
    /// The law: the same [`id`](Execute::id) twice is one command, and the second time answers
    /// with the first outcome. A decision on a state that changed meanwhile is made again.
    ///
    /// # Errors
    /// [`is_rejected`](crate::Error::is_rejected) with the aggregate's own reason;
    /// [`is_conflict`](crate::Error::is_conflict) when others were faster too many times;
    /// [`is_transient`](crate::Error::is_transient) when the database failed: the same command
    /// with the same id finds out what became of it.
    ///
    /// # Cancel safety
    /// A dropped future leaves the whole command or nothing.
    pub fn execute<A: Decide + Evolve>(
        &self,
        id: impl Into<A::Id>,
        command: A::Command,
    ) -> Execute<'_, A> {
        Execute::new(self, &id.into(), command)
    }

    /// Whether the commands of this aggregate are executed here.
    pub(crate) fn executes<A: Aggregate>(&self) -> Result<()> {
        if self.inner.aggregates.contains(&TypeId::of::<A>()) {
            return Ok(());
        }
        let what = format!("the aggregate `{}`", A::NAME);
        Err(Error::new(Kind::Unregistered { what }))
    }

    /// The time, by the service's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The aggregate as its events left it, with its version.
    ///
    /// # Errors
    /// When the store cannot be read, or an event of the stream cannot be decoded.
    pub async fn load<A: Evolve>(
        &self,
        id: impl Into<A::Id>,
    ) -> Result<crate::aggregate::Loaded<A>> {
        let stream = execute::stream_of::<A>(&id.into())?;
        let known = self.inner.loader::<A>().fresh(&stream).await?;
        Ok(Arc::unwrap_or_clone(known.into_loaded()))
    }

    /// How the snapshots of an aggregate are doing; nothing for one without.
    pub fn snapshot_stats<A: Evolve>(&self) -> Option<SnapshotStats> {
        Some(self.inner.snapshotter::<A>()?.stats())
    }

    /// Removes the aggregate's snapshots of other releases, those that were made before `before`:
    /// choose a time at which no other release was running any more. Answers how many there were.
    ///
    /// Snapshots are no truth: nothing is lost.
    ///
    /// # Errors
    /// When the aggregate has no snapshots in this service, or the database failed: what was
    /// removed until then stays removed.
    pub async fn remove_outdated_snapshots<A: Evolve>(&self, before: Timestamp) -> Result<usize> {
        const AT_ONCE: usize = 1000;
        let Some(snapshotter) = self.inner.snapshotter::<A>() else {
            let what = format!("snapshots of `{}`", A::NAME);
            return Err(Error::new(Kind::Unregistered { what }));
        };
        let outdated = Outdated {
            aggregate: A::NAME.to_owned(),
            keep: snapshotter.fingerprint(),
            before,
        };
        let mut removed = 0;
        loop {
            let now = self.inner.store.remove_outdated(&outdated, AT_ONCE).await?;
            removed += now;
            if now < AT_ONCE {
                return Ok(removed);
            }
        }
    }

    /// Reads one version of a read model.
    pub fn view<P: Projection>(&self) -> View<'_, P> {
        View::new(self)
    }

    /// Makes this version of a read model the live one: what its name without a version stands
    /// for. The version that was live goes on beside it: [`roll_back`](Self::roll_back) is the way
    /// back. Await what it answers; before that, a reason may force it.
    ///
    /// The law: the view, the phases, and who reacts to which event change in one transaction.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) while the version is being built, stands still or is
    /// far behind, and unless a comparison of the last quarter of an hour found no difference to the
    /// live version that was not declared.
    pub fn promote<P: Projection>(&self) -> Promote<'_> {
        Promote::new(self, (&P::TABLE).into())
    }

    /// Compares this version of a read model with the live one, as the builder was told
    /// ([`compare`](Builder::compare)), and records what it found: what
    /// [`promote`](Self::promote) asks for. A running instance does so by itself when a version
    /// is complete, and again from time to time.
    ///
    /// The law: what it finds is exact at the position that it names. Commands go on meanwhile; the
    /// two versions stand still for a moment, until both have come to that position.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) when one of the two stands still or is far behind,
    /// or none of those that this one can be compared with is live.
    ///
    /// # Cancel safety
    /// A dropped future records nothing. The versions go on within two seconds, and somebody else
    /// can compare them within half a minute.
    pub async fn compare<P: Projection>(&self) -> Result<Comparison> {
        let id = ProjectionId::from(&P::TABLE);
        self.inner.comparisons.compare_now(&id).await
    }

    /// Makes the version that was live before this one live again. This one waits beside it.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) when this version is not live, or none from before
    /// is kept up to date.
    pub async fn roll_back<P: Projection>(&self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        self.change(&(&P::TABLE).into(), &Change::RollBack { reason })
            .await
    }

    /// The keys of this version that are set aside, since an event failed: their rows stand still,
    /// and later events wait behind it. At most a thousand, after the key `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn parked<P: Projection>(&self, after: Option<&str>) -> Result<Vec<ParkedKey>> {
        const PAGE: usize = 1000;
        self.inner
            .store
            .parked(&(&P::TABLE).into(), after, PAGE)
            .await
    }

    /// Asks the workers of this version, in whatever instance they run, to try a parked key again,
    /// or all of them: what waits is folded in order. A service does so by itself when it starts.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) when the key is not parked.
    pub async fn retry_parked<P: Projection>(&self, key: Option<&str>) -> Result<()> {
        let key = key.map(str::to_owned);
        self.change(&(&P::TABLE).into(), &Change::RetryParked { key })
            .await
    }

    /// Gives up what waits for a parked key: its row stays as it is, and later events go on from
    /// there, so that it is not what a rebuild would make of it. The reason is kept, with the events
    /// that were left out.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) when the key is not parked.
    pub async fn drop_parked<P: Projection>(
        &self,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<()> {
        let (key, reason) = (key.into(), reason.into());
        self.change(&(&P::TABLE).into(), &Change::DropParked { key, reason })
            .await
    }

    /// Changes a life in the name of this instance.
    async fn change(&self, id: &ProjectionId, change: &Change) -> Result<()> {
        let by = self.inner.workers.owner();
        let lineage = self.inner.store.change(id, change, by).await?;
        self.inner.workers.note(id, &lineage);
        Ok(())
    }

    /// How every projection and stream of this service is doing.
    pub fn status(&self) -> Vec<(ProjectionId, Status)> {
        self.inner.workers.status()
    }

    /// How the relays of this service are doing: each stream version over each transport.
    pub fn relays(&self) -> Vec<(RelayId, RelayStatus)> {
        self.inner.relays.status()
    }

    /// Waits until every broker is known to have all that its streams have now.
    ///
    /// A broker that is away is waited for.
    ///
    /// # Errors
    /// When a relay has stopped, with its reason.
    pub async fn relayed(&self) -> Result<()> {
        self.inner.relays.reached(&self.inner.store).await
    }

    /// Those projections and streams of this service that the contract does not describe: nobody
    /// would notice what becomes of them. It belongs into a test of the service.
    #[cfg(feature = "schema")]
    pub fn undescribed(&self, contract: &crate::schema::Contract) -> Vec<ProjectionId> {
        let ids = self.status().into_iter().map(|(id, _)| id);
        ids.filter(|id| !contract.describes(id)).collect()
    }

    /// Where the feed listens, if the service serves one.
    #[cfg(feature = "feed")]
    pub fn feed_address(&self) -> Option<std::net::SocketAddr> {
        self.inner.feed.as_ref()?.1
    }

    /// The feed, if the service serves one, for a server of your own: with a port of its own, or
    /// without ([`Serve::mounted`](crate::feed::Serve::mounted)).
    #[cfg(feature = "feed")]
    pub fn feed(&self) -> Option<crate::feed::Mounted> {
        Some(self.inner.feed.as_ref()?.0.clone())
    }

    /// Waits until every projection and stream has seen all that is in the log now.
    ///
    /// # Errors
    /// When one of them has stopped, with its reason.
    pub async fn caught_up(&self) -> Result<()> {
        let head = self.inner.store.head().await?;
        self.inner.workers.reached(head).await
    }

    /// Finishes the batches at hand and stops. What was acknowledged is in the store already.
    ///
    /// # Errors
    /// The reason of a projection or stream that had stopped before.
    pub async fn shutdown(&self) -> Result<()> {
        let stopped = self.inner.workers.shutdown().await;
        // Until here, what others write is what this instance can read.
        if let Some(presence) = &self.inner.presence {
            presence.end().await;
        }
        stopped
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM), then shuts down.
    ///
    /// # Errors
    /// The reason of a projection or stream that had stopped before.
    pub async fn until_shutdown(&self) -> Result<()> {
        crate::runtime::asked_to_stop().await;
        self.shutdown().await
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

/// How an aggregate's commands become JSON for the audit trail.
type RecordCommand<A> =
    fn(&<A as Aggregate>::Command) -> serde_json::Result<Box<serde_json::value::RawValue>>;
