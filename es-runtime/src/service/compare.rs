//! Shadows are compared with the live version beside them, by an instance that has both types.
//!
//! Both versions are held at one position, for the milliseconds until they are there and one moment
//! of the database shows it; then they go on, and that moment is read. Nothing waits for the
//! reading, and the log and the commands wait for nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Kind, Result};
use crate::event::{Position, Timestamp};
use crate::projection::{Comparer, Comparing, Found};
use crate::runtime::{Stop, backoff, panic_message, without};
use crate::store::life::refused;
use crate::store::{
    Change, Comparison, EventStore, Phase, ProjectionId, ProjectionState, Still, Store,
};

/// How long two versions may need to come to one position.
const HOLD: Duration = Duration::from_secs(2);
/// How often it is looked whether they are there.
const GLANCE: Duration = Duration::from_millis(5);
/// How long who compares may be silent until somebody else begins.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is looked whether there is something to compare.
const LOOK: Duration = Duration::from_secs(1);
/// A shadow is compared again after this long at least.
const EVERY: Duration = Duration::from_mins(5);
/// And after so many times as long as it took, so that large tables are not read all the time.
const SPARING: u32 = 20;
/// The longest pause after a comparison that was tried in vain.
const SLOWEST: Duration = Duration::from_secs(10);
/// How long somebody who wants a comparison waits for another one to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// What this instance can compare.
#[derive(Clone)]
pub(super) struct Comparisons {
    pub(super) store: Store,
    /// This instance, as others see it.
    pub(super) by: String,
    pub(super) stop: Stop,
    pub(super) comparers: Vec<Arc<Comparer>>,
}

/// Two versions, one of which is live.
struct Pair {
    id: ProjectionId,
    live: ProjectionId,
    state: ProjectionState,
}

/// What became of a try.
#[derive(Default)]
struct Tried {
    /// The comparison that is known, and since when here: nobody's clock is trusted.
    known: Option<(Timestamp, Instant)>,
    failures: u32,
    next: Option<Instant>,
}

impl Comparisons {
    /// Compares what there is to compare, until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut tried: Vec<_> = self.comparers.iter().map(|_| Tried::default()).collect();
        while !self.stop.is_asked() {
            for (comparer, tried) in self.comparers.iter().zip(&mut tried) {
                self.look(comparer, tried).await;
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = self.stop.asked() => {}
            }
        }
    }

    async fn look(&self, comparer: &Arc<Comparer>, tried: &mut Tried) {
        if tried.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let compared = match self.pair(comparer).await {
            Ok(Some(pair)) if tried.is_due(&pair) => self.compare(comparer, &pair).await,
            Ok(_) => return,
            Err(error) => Err(error),
        };
        let Err(error) = compared else {
            (tried.failures, tried.next) = (0, None);
            return;
        };
        tracing::warn!(read_model = comparer.old.name, %error, "could not be compared");
        let pause = backoff(LOOK, tried.failures, SLOWEST);
        tried.failures = tried.failures.saturating_add(1);
        tried.next = Some(Instant::now() + pause);
    }

    /// Which of the two versions is live; nothing if neither is, or one is not there.
    async fn pair(&self, comparer: &Comparer) -> Result<Option<Pair>> {
        let mut lineage = self
            .store
            .lineage(&comparer.id(comparer.new.version))
            .await?;
        let (old, new) = (comparer.old.version, comparer.new.version);
        let (version, live) = match lineage.live() {
            Some(live) if live == old => (new, old),
            Some(live) if live == new => (old, new),
            _ => return Ok(None),
        };
        let state = lineage.versions.remove(&version);
        Ok(state.map(|state| Pair {
            id: comparer.id(version),
            live: comparer.id(live),
            state,
        }))
    }

    /// Compares this version now, and records what it found. Waits for a comparison under way.
    pub(super) async fn compare_now(&self, version: &ProjectionId) -> Result<Comparison> {
        let unknown = |what| Error::new(Kind::Unregistered { what });
        let declared = |comparer: &&Arc<Comparer>| {
            let versions = [comparer.old.version, comparer.new.version];
            comparer.old.name == version.name && versions.contains(&version.version)
        };
        let mut comparers = self.comparers.iter().filter(declared).peekable();
        if comparers.peek().is_none() {
            return Err(unknown(format!("a comparison of `{version}`")));
        }
        let deadline = Instant::now() + PATIENCE;
        for comparer in comparers {
            loop {
                let Some(pair) = self.pair(comparer).await? else {
                    break;
                };
                if pair.id != *version {
                    break;
                }
                match self.compare(comparer, &pair).await {
                    Err(error) if error.is_refused() && Instant::now() < deadline => {
                        let now = self.pair(comparer).await?;
                        if now.is_none_or(|pair| pair.state.comparing.is_none()) {
                            return Err(error);
                        }
                        sleep(GLANCE * 10).await;
                    }
                    Ok(None) => return Err(refused(version, "compare", STOPPING.to_owned())),
                    Ok(Some(comparison)) => return Ok(comparison),
                    Err(error) => return Err(error),
                }
            }
        }
        let why = "no version is live that this service can compare it with".to_owned();
        Err(refused(version, "compare", why))
    }

    /// Compares and records; nothing when it was told to stop.
    async fn compare(&self, comparer: &Arc<Comparer>, pair: &Pair) -> Result<Option<Comparison>> {
        let hold = Change::Hold {
            hold: HOLD,
            lease: LEASE,
        };
        self.change(&pair.id, &hold).await?;
        let compared = self.hold_and_read(comparer, pair).await;
        let failed = match &compared {
            Ok(Some(_)) => return compared,
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        // As soon as possible: they would stand still, and nobody else would compare.
        let lease = Duration::ZERO;
        self.change(&pair.id, &Change::Release { lease }).await?;
        if let Some(reason) = failed {
            let tried = Change::NotCompared { reason };
            self.change(&pair.id, &tried).await?;
        }
        compared
    }

    async fn change(&self, id: &ProjectionId, change: &Change) -> Result<()> {
        self.store.change(id, change, &self.by).await.map(drop)
    }

    async fn hold_and_read(
        &self,
        comparer: &Arc<Comparer>,
        pair: &Pair,
    ) -> Result<Option<Comparison>> {
        let Some((still, position, began)) = self.moment(pair).await? else {
            return Ok(None);
        };
        let lease = LEASE;
        self.change(&pair.id, &Change::Release { lease }).await?;
        let comparing = comparer.clone().compare(still, pair.live.version);
        // A task of its own, so that a panic in the service's code is a reason like any other; and
        // one that ends with this one.
        let mut reading = JoinSet::new();
        reading.spawn(self.clone().read(comparing, pair.id.clone()));
        let found = match reading.join_next().await {
            Some(Ok(found)) => found?,
            Some(Err(died)) => return Err(refused(&pair.id, "compare", panic_message(died))),
            None => None,
        };
        let Some(found) = found else { return Ok(None) };
        let comparison = Comparison {
            with: pair.live.version,
            position,
            keys: found.keys,
            expected: found.expected,
            differing: found.differing,
            sample: found.sample,
            by: self.by.clone(),
            began,
            at: began,
        };
        let record = Change::Compared(Box::new(comparison));
        let lineage = self.store.change(&pair.id, &record, &self.by).await?;
        let state = lineage.versions.get(&pair.id.version);
        let recorded = state.and_then(|state| state.comparison.clone());
        let recorded = recorded.filter(|recorded| recorded.began == began);
        let changed = || "it changed meanwhile: compare it again".to_owned();
        recorded
            .ok_or_else(|| refused(&pair.id, "compare", changed()))
            .map(Some)
    }

    /// Waits for the moment at which both versions are where they are held, and answers it.
    async fn moment(&self, pair: &Pair) -> Result<Option<(Still, Position, Timestamp)>> {
        let deadline = Instant::now() + HOLD;
        let mut stop = self.stop.clone();
        loop {
            let mut still = self.store.still().await?;
            let state = still.projection(&pair.id).await?;
            let live = still.projection(&pair.live).await?;
            let held = state.as_ref().and_then(|s| Some((s.hold?, s.comparing?)));
            let (Some(state), Some(live), Some((hold, comparing))) = (state, live, held) else {
                let why = "it was not held long enough: try again".to_owned();
                return Err(refused(&pair.id, "compare", why));
            };
            let elsewhere = |(_, state): &(_, &ProjectionState)| {
                let apart = state.slices.iter().any(|slice| slice.cursor != hold.at);
                apart && !without("versions are compared at one position")
            };
            let both = [(&pair.id, &state), (&pair.live, &live)];
            let Some((id, late)) = both.into_iter().find(elsewhere) else {
                return Ok(Some((still, hold.at, comparing.since)));
            };
            drop(still);
            if Instant::now() >= deadline {
                let (cursor, at) = (late.cursor, hold.at);
                return Err(refused(
                    &pair.id,
                    "compare",
                    format!(
                        "`{id}` is at position {cursor} and did not come to {at} within {HOLD:?}"
                    ),
                ));
            }
            tokio::select! {
                () = sleep(GLANCE) => {}
                () = stop.asked() => return Ok(None),
            }
        }
    }

    /// Reads all of it, and says again and again that somebody does.
    async fn read(self, mut comparing: Comparing, id: ProjectionId) -> Result<Option<Found>> {
        let mut said = Instant::now();
        while comparing.go_on().await? {
            if self.stop.is_asked() {
                return Ok(None);
            }
            if said.elapsed() > LEASE / 3 {
                let lease = LEASE;
                self.change(&id, &Change::Release { lease }).await?;
                said = Instant::now();
            }
        }
        Ok(Some(comparing.finish()))
    }
}

const STOPPING: &str = "the service is shutting down";

impl Tried {
    /// Whether the version is to be compared now.
    fn is_due(&mut self, pair: &Pair) -> bool {
        let state = &pair.state;
        let stands = state.slices.iter().any(|slice| slice.failure.is_some());
        if !state.phase.is_complete() || state.comparing.is_some() {
            return false;
        }
        if state.comparison_wanted {
            return true;
        }
        if state.phase != Phase::Shadow || stands || state.paused.is_some() {
            return false;
        }
        let known = state.comparison.as_ref();
        let Some(known) = known.filter(|known| known.with == pair.live.version) else {
            return true;
        };
        let since = match self.known {
            Some((at, since)) if at == known.at => since,
            _ => {
                let now = Instant::now();
                self.known = Some((known.at, now));
                now
            }
        };
        let took = known.at.as_micros() - known.began.as_micros();
        let took = Duration::from_micros(took.try_into().unwrap_or(0));
        since.elapsed() >= EVERY.max(took.saturating_mul(SPARING))
    }
}
