//! Runs the reactions that read models enqueue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Inner, Service};
use crate::consume::HandlerError;
use crate::event::IdempotencyKey;
use crate::runtime::{Stop, backoff, panic_message};
use crate::store::{DueKey, DueReaction, EventStore, Postponed, ReactionClaim, ReactionId, Store};

/// How often an instance looks for reactions that others enqueued.
const POLL: Duration = Duration::from_millis(500);
/// Keys whose reactions an instance runs at once.
const AT_ONCE: usize = 16;
/// Reactions of one key that are taken at once.
const EACH: usize = 32;

/// Does what a reaction stands for.
///
/// A closure does: `|notice: Notice, attempt: Attempt| async move { … }`.
///
/// It is called at least once for each reaction, and again after an error, a panic, and a crash
/// before the success was noted: hand [`Attempt::key`] to whoever does the work. A command to an
/// aggregate of the same service is one line:
///
/// ```ignore
/// attempt.service().execute::<Account>(account, AccountCommand::Freeze).id(attempt.key()).await?;
/// ```
pub trait Reactor<R>: Send + Sync + 'static {
    /// Does it.
    ///
    /// # Errors
    /// Why it could not be done: it is tried again later, and the reactions of the same key that
    /// come after it wait.
    fn run(
        &self,
        reaction: R,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<R, F, Done> Reactor<R> for F
where
    F: Fn(R, Attempt) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<(), HandlerError>> + Send,
{
    fn run(
        &self,
        reaction: R,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(reaction, attempt)
    }
}

/// One of the attempts to run a reaction.
#[derive(Clone, Debug)]
pub struct Attempt {
    service: Service,
    reaction: ReactionId,
    number: u32,
}

impl Attempt {
    /// The service that it runs in.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// What all attempts at this reaction have in common, and no other reaction has.
    pub fn key(&self) -> IdempotencyKey {
        let log = self.service.inner.store.identity();
        self.reaction.idempotency_key(log)
    }

    /// Which reaction it is.
    pub fn reaction(&self) -> &ReactionId {
        &self.reaction
    }

    /// Which attempt it is, from 1. Those that a crash cut short are not counted.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// How reactions that fail are tried again: for ever, in longer and longer pauses, unless something
/// is said.
#[derive(Clone, Debug)]
pub struct Retry {
    first: Duration,
    longest: Duration,
    park_after: Option<u32>,
    within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            park_after: None,
            within: Duration::from_mins(1),
        }
    }
}

impl Retry {
    /// The pause after the first failure, a second unless something is said; after each one more it
    /// is twice as long.
    pub fn first(mut self, pause: Duration) -> Self {
        self.first = pause;
        self
    }

    /// The longest pause; five minutes unless something is said.
    pub fn longest(mut self, pause: Duration) -> Self {
        self.longest = pause;
        self
    }

    /// After so many failures in a row the key is parked, with the reason: it is not tried again
    /// until a person says so.
    pub fn park_after(mut self, attempts: u32) -> Self {
        self.park_after = Some(attempts);
        self
    }

    /// How long an attempt may take; a minute unless something is said. After that its future is
    /// dropped, and it has failed.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// When it is tried again after so many failures; nothing if it is parked.
    fn after(&self, failures: u32) -> Option<Duration> {
        let parks = self.park_after.is_some_and(|most| failures >= most);
        (!parks).then(|| self.pause(failures))
    }

    /// The pause after so many failures.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let earlier = failures.saturating_sub(1);
        backoff(self.first, earlier, self.longest)
    }
}

pub(super) type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A reactor of any reaction.
pub(super) type Run = Arc<dyn Fn(String, Attempt) -> Running + Send + Sync>;

/// The reactors of one read model.
#[derive(Default)]
pub(super) struct Reactors {
    /// By the version of the read model and the family of events.
    all: BTreeMap<(u32, &'static str), Run>,
    /// Rung when there are new reactions.
    pub(super) bell: Arc<Notify>,
}

impl Reactors {
    /// Does them by `run`, whatever enqueued them.
    pub(super) fn by(family: &'static str, bell: Arc<Notify>, run: Run) -> Self {
        let all = BTreeMap::from([((1, family), run)]);
        Self { all, bell }
    }

    pub(super) fn add<R: DeserializeOwned + Send + 'static>(
        &mut self,
        version: u32,
        family: &'static str,
        reactor: impl Reactor<R>,
    ) {
        let reactor = Arc::new(reactor);
        let run = move |payload: String, attempt: Attempt| -> Running {
            let reactor = reactor.clone();
            Box::pin(async move {
                let reaction: R = serde_json::from_str(&payload).map_err(|error| {
                    format!("this release does not read the reaction `{payload}`: {error}")
                })?;
                reactor.run(reaction, attempt).await
            })
        };
        self.all.insert((version, family), Arc::new(run));
    }

    /// The newest version whose code is here.
    fn newest(&self) -> u32 {
        self.all
            .keys()
            .map(|(version, _)| *version)
            .max()
            .unwrap_or_default()
    }

    /// Who runs it: the version that enqueued it, or the newest one that is here.
    fn of(&self, reaction: &DueReaction) -> Option<&Run> {
        let all = self.all.iter().rev();
        let mut known = all.filter(|((_, family), _)| *family == reaction.family);
        let own = known
            .clone()
            .find(|((version, _), _)| *version == reaction.version);
        own.or_else(|| known.next()).map(|(_, run)| run)
    }
}

/// Runs the reactions of one read model until it is told to stop.
pub(super) struct Executor {
    pub(super) projection: String,
    pub(super) reactors: Reactors,
    pub(super) retry: Retry,
    pub(super) store: Store,
    pub(super) service: Weak<Inner>,
    pub(super) owner: String,
    pub(super) lease: Duration,
    pub(super) stop: Stop,
}

impl Executor {
    /// The reactions that are under way are finished first.
    pub(super) async fn run(self) {
        let (mut stop, this) = (self.stop.clone(), Arc::new(self));
        let mut tasks = JoinSet::new();
        let mut keys: HashMap<Id, String> = HashMap::new();
        // Keys that were taken while the task that had them before was still there.
        let mut twice: HashSet<String> = HashSet::new();
        let mut kept = Instant::now();
        // When a key that failed here is to be looked at.
        let mut again: Option<Instant> = None;
        while !stop.is_asked() {
            if kept.elapsed() > this.lease / 3 {
                if !keys.is_empty() {
                    this.keep(keys.values().cloned().collect()).await;
                }
                kept = Instant::now();
            }
            for due in this.take(AT_ONCE - tasks.len()).await {
                let key = due.key.clone();
                if keys.values().any(|own| *own == key) {
                    twice.insert(key);
                } else {
                    let task = tasks.spawn(this.clone().work(due));
                    keys.insert(task.id(), key);
                }
            }
            let look = Instant::now() + POLL.min(this.lease / 3);
            let look = again.take().map_or(look, |again| again.min(look));
            tokio::select! {
                Some(done) = tasks.join_next_with_id() => {
                    let (id, pause) = done.unwrap_or_else(|error| (error.id(), None));
                    let pause = pause.map(|pause| Instant::now() + pause);
                    again = again.into_iter().chain(pause).min();
                    if let Some(key) = keys.remove(&id).filter(|key| twice.remove(key)) {
                        this.give_back(key, Some(Duration::ZERO), None).await;
                    }
                }
                () = this.reactors.bell.notified(), if tasks.len() < AT_ONCE => {}
                () = sleep_until(look) => {}
                () = stop.asked() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Keeps the keys that are at work from others.
    async fn keep(&self, keys: Vec<String>) {
        let (projection, owner) = (&self.projection, &self.owner);
        let keeping = self
            .store
            .keep_reactions(projection, keys, owner, self.lease);
        if let Err(error) = keeping.await {
            tracing::warn!(projection, %error, "others may run reactions, too");
        }
    }

    async fn take(&self, keys: usize) -> Vec<DueKey> {
        let claim = ReactionClaim {
            projection: self.projection.clone(),
            version: self.reactors.newest(),
            owner: self.owner.clone(),
            lease: self.lease,
            keys,
            each: EACH,
        };
        if keys == 0 {
            return Vec::new();
        }
        match self.store.claim_reactions(&claim).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(projection = self.projection, %error, "reactions wait");
                Vec::new()
            }
        }
    }

    /// Runs the reactions of one key, one after the other, up to the first that fails: answers when
    /// it is tried again.
    async fn work(self: Arc<Self>, due: DueKey) -> Option<Duration> {
        let DueKey {
            key,
            mut attempts,
            reactions,
        } = due;
        let mut left = reactions.len();
        for reaction in reactions {
            if self.stop.is_asked() {
                self.give_back(key, Some(Duration::ZERO), None).await;
                return None;
            }
            let id = reaction.id.clone();
            if let Err(reason) = self.attempt(reaction, attempts + 1).await {
                tracing::warn!(projection = self.projection, %key, %reason, "a reaction failed");
                let again = self.retry.after(attempts + 1);
                self.give_back(key, again, Some(reason)).await;
                return again;
            }
            (attempts, left) = (0, left - 1);
            // Not noted, it is run again, with the same key.
            if let Err(error) = self.store.finish_reaction(&id, left == 0).await {
                tracing::warn!(projection = self.projection, %key, %error, "it is run again");
                self.give_back(key, Some(Duration::ZERO), None).await;
                return None;
            }
        }
        None
    }

    /// One attempt, in a task of its own, so that a panic is a reason, too.
    async fn attempt(&self, reaction: DueReaction, number: u32) -> Result<(), String> {
        let Some(run) = self.reactors.of(&reaction) else {
            return Err(format!(
                "this release does not react to events of `{}`",
                reaction.family
            ));
        };
        let Some(inner) = self.service.upgrade() else {
            return Err("the service is gone".to_owned());
        };
        let service = Service { inner };
        let attempt = Attempt {
            service,
            reaction: reaction.id,
            number,
        };
        let mut task = JoinSet::new();
        task.spawn(run(reaction.payload, attempt));
        match timeout(self.retry.within, task.join_next()).await {
            Ok(Some(Ok(done))) => done.map_err(|error| error.to_string()),
            Ok(Some(Err(error))) => Err(panic_message(error)),
            Ok(None) => Err("it was cancelled".to_owned()),
            Err(_) => Err(format!("it took longer than {:?}", self.retry.within)),
        }
    }

    async fn give_back(&self, key: String, again: Option<Duration>, failure: Option<String>) {
        let postponed = Postponed {
            projection: self.projection.clone(),
            key,
            owner: self.owner.clone(),
            again,
            failure,
        };
        if let Err(error) = self.store.postpone_reactions(&postponed).await {
            let key = postponed.key;
            tracing::warn!(projection = self.projection, %key, %error, "it waits for the lease");
        }
    }
}
