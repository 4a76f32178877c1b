//! Projections written by hand in SQL: their handlers write in the transaction of the cursor.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use super::driver::Work;
use super::parking::{Parking, read_at};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Position, Recorded, StoredEventRef, StoredEvents};
use crate::runtime::{caught, panic_text};
use crate::store::{
    Advance, Advanced, Claimed, EventStore, HandlerError, ParkedChange, ProjectionId,
    ProjectionKind, ProjectionState, StillParked, Tx, passes,
};

/// Events of the log in one transaction: others wait for it where there is one writer.
const PIECE: u64 = 100;
/// How often an event is tried before its key is parked.
const ATTEMPTS: u32 = 5;

/// One version of a projection whose tables are written by hand, with `sqlx` for the store at hand.
///
/// ```
/// use es_runtime::prelude::*;
/// use es_runtime::projection::{Apply, SqlProjection};
/// use es_runtime::sqlite::sqlx;
/// use es_runtime::store::{HandlerError, Tx};
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Booked { amount: i64 } }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
/// # struct Account;
/// # #[derive(Clone, Command)] #[command(aggregate = Account)] enum Never {}
/// # impl Account { fn on_booked(&mut self, _: &i64) {} }
///
/// /// What came in on each day.
/// struct CashFlow;
///
/// impl SqlProjection for CashFlow {
///     const NAME: &'static str = "cash_flow";
///     const VERSION: u32 = 1;
///     const TABLES: &'static [&'static str] = &["cash_flow"];
///
///     async fn create(tx: &mut Tx) -> Result<(), HandlerError> {
///         let table = "CREATE TABLE cash_flow_v1 (day INTEGER PRIMARY KEY, amount INTEGER NOT NULL)";
///         sqlx::query(table).execute(tx.sqlite()?).await?;
///         Ok(())
///     }
/// }
///
/// impl Apply<AccountEvent> for CashFlow {
///     async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), HandlerError> {
///         let AccountEvent::Booked { amount } = event.data;
///         let add = "INSERT INTO cash_flow_v1 VALUES (?, ?)
///                    ON CONFLICT (day) DO UPDATE SET amount = amount + excluded.amount";
///         let day = event.time.as_micros() / 86_400_000_000;
///         sqlx::query(add).bind(day).bind(amount).execute(tx.sqlite()?).await?;
///         Ok(())
///     }
/// }
/// ```
///
/// Its life is that of a read model: versions side by side, each with tables of its own, views for
/// the live one. What its events do is said by [`Apply`].
pub trait SqlProjection: Send + Sync + 'static {
    /// The projection's name, which no read model has.
    const NAME: &'static str;
    /// The projection's version, from 1.
    const VERSION: u32;
    /// The names of its tables without the version. In the database, `cash_flow` of version 2 is
    /// `cash_flow_v2`, and a view `cash_flow` stands for the live version's.
    const TABLES: &'static [&'static str];

    /// Makes the tables of this version, in the transaction that makes it known: once.
    ///
    /// # Errors
    /// Whatever keeps them from being made: the service does not start.
    fn create(tx: &mut Tx) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// What the store knows it by.
    fn id() -> ProjectionId {
        ProjectionId {
            kind: ProjectionKind::ReadModel,
            name: Self::NAME.to_owned(),
            version: Self::VERSION,
        }
    }
}

/// What an event does to the tables of a [`SqlProjection`].
///
/// The law: all effects are written with `tx`, and follow from the events and the tables alone; then
/// each event has its effect exactly once, and a rebuild makes the same.
pub trait Apply<E: Event>: SqlProjection {
    /// What is set aside when the event keeps failing, so that the others go on; by default its
    /// stream's id. What one key's events write, no other key's may need.
    fn key(event: &Recorded<E>) -> String {
        event.id().to_owned()
    }

    /// Writes what the event does. Neither commit nor roll back by hand.
    ///
    /// # Errors
    /// Whatever keeps the event from being applied: what it wrote is rolled back, and it is tried
    /// again; the fifth time its key is parked. A database that is away is tried for ever.
    fn apply(
        &self,
        event: &Recorded<E>,
        tx: &mut Tx,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

type Applied<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// An event of any family on its way into the tables of `P`.
trait Applying<P>: Send + Sync {
    fn apply<'a>(&'a self, projection: &'a P, tx: &'a mut Tx) -> Applied<'a>;
}

impl<P: Apply<E>, E: Event> Applying<P> for Recorded<E> {
    fn apply<'a>(&'a self, projection: &'a P, tx: &'a mut Tx) -> Applied<'a> {
        Box::pin(projection.apply(self, tx))
    }
}

/// What one stored event does to one key: it is applied as a whole, or not at all.
struct Effect<P> {
    position: Position,
    key: String,
    parts: Vec<Box<dyn Applying<P>>>,
}

type Decode<P> = fn(StoredEventRef<'_>, &mut Vec<Effect<P>>) -> Result<()>;

/// One version of a hand-written projection with the families of events that it applies.
pub(crate) struct Handwritten<P> {
    projection: Arc<P>,
    sources: BTreeMap<&'static str, Decode<P>>,
    parking: Parking,
    /// The event that failed last, and how often.
    failing: Option<(Position, String, u32)>,
}

/// Why an event was not applied.
enum Failed {
    /// Whatever it does: the database is away.
    Transient(Error),
    Because(String),
}

impl<P: SqlProjection> Handwritten<P> {
    pub(crate) fn new(projection: P) -> Self {
        Self {
            projection: Arc::new(projection),
            sources: BTreeMap::new(),
            parking: Parking::default(),
            failing: None,
        }
    }

    /// Adds a family of events; `false` if it is there already.
    pub(crate) fn add<E: Event>(&mut self) -> bool
    where
        P: Apply<E>,
    {
        let decode: Decode<P> = |event, effects| {
            let (position, first) = (event.position, effects.len());
            for part in Recorded::<E>::decode(event)? {
                let key = P::key(&part);
                let same = effects.iter_mut().skip(first).find(|e| e.key == key);
                let part: Box<dyn Applying<P>> = Box::new(part);
                match same {
                    Some(effect) => effect.parts.push(part),
                    None => effects.push(Effect {
                        position,
                        key,
                        parts: vec![part],
                    }),
                }
            }
            Ok(())
        };
        self.sources.insert(E::NAME, decode).is_none()
    }

    /// Adds what an event does, if it concerns this projection.
    fn decode(&self, event: StoredEventRef<'_>, effects: &mut Vec<Effect<P>>) -> Result<()> {
        match self.sources.get(event.aggregate()) {
            Some(decode) => decode(event, effects),
            None => Ok(()),
        }
    }

    /// Applies an event within a transaction that goes on whatever becomes of it.
    async fn try_one(&self, effect: &Effect<P>, tx: &mut Tx) -> Result<(), Failed> {
        tx.savepoint().await.map_err(Failed::Transient)?;
        for part in &effect.parts {
            let failed = match caught(part.apply(&self.projection, tx)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) if passes(&*error) => {
                    let doing = "applying an event";
                    return Err(Failed::Transient(Error::database(doing, error)));
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic_text(&*panic),
            };
            tx.roll_back_to().await.map_err(Failed::Transient)?;
            return Err(Failed::Because(failed));
        }
        tx.release().await.map_err(Failed::Transient)
    }

    /// Counts a failure, and answers how often the event failed.
    fn failed(&mut self, effect: &Effect<P>) -> u32 {
        let before = match &self.failing {
            Some((position, key, times)) if (*position, key) == (effect.position, &effect.key) => {
                *times
            }
            _ => 0,
        };
        self.failing = Some((effect.position, effect.key.clone(), before + 1));
        before + 1
    }

    /// Applies some events and moves the cursor over them, in one transaction.
    async fn piece<S: EventStore>(
        &mut self,
        store: &S,
        advance: &Advance,
        effects: &[Effect<P>],
    ) -> Result<Advanced> {
        let mut tx = store.begin().await?;
        // Whoever is late does nothing, and nobody else moves the cursor meanwhile.
        let stands = Advance {
            to: advance.from,
            ..advance.clone()
        };
        if tx.advance(&stands, &[]).await? == Advanced::Fenced {
            return Ok(Advanced::Fenced);
        }
        let mut parked = Vec::<ParkedChange>::new();
        for effect in effects {
            let Effect { position, key, .. } = effect;
            if self.parking.is_parked(key) || is_parked(&parked, key) {
                let (key, events) = (key.clone(), vec![*position]);
                parked.push(ParkedChange::Wait { key, events });
                continue;
            }
            let reason = match self.try_one(effect, &mut tx).await {
                Ok(()) => continue,
                Err(Failed::Transient(error)) => return Err(error),
                Err(Failed::Because(reason)) => reason,
            };
            let attempt = self.failed(effect);
            if attempt < ATTEMPTS {
                // What came before it stays.
                let before = Position::new(position.get().saturating_sub(1));
                let so_far = Advance {
                    to: before,
                    ..advance.clone()
                };
                parked.retain(|change| !is_at(change, *position));
                if before > advance.from && self.end(tx, &so_far, parked).await? == Advanced::Fenced
                {
                    return Ok(Advanced::Fenced);
                }
                let (projection, key) = (advance.projection.to_string(), key.clone());
                return Err(Error::new(Kind::Unapplied {
                    projection,
                    key,
                    position: *position,
                    attempt,
                    reason,
                }));
            }
            let (key, events) = (key.clone(), vec![*position]);
            parked.push(ParkedChange::Park {
                key,
                events,
                reason,
            });
            self.parking.check(&advance.projection, &parked)?;
        }
        self.end(tx, advance, parked).await
    }

    /// Moves the cursor and commits.
    async fn end(
        &mut self,
        mut tx: Tx,
        advance: &Advance,
        parked: Vec<ParkedChange>,
    ) -> Result<Advanced> {
        let advanced = tx.advance(advance, &parked).await?;
        if advanced == Advanced::Moved {
            tx.commit().await?;
            self.parking.committed(&advance.projection, &parked);
        }
        Ok(advanced)
    }
}

fn is_parked(changes: &[ParkedChange], key: &str) -> bool {
    let parks = |change: &ParkedChange| matches!(change, ParkedChange::Park { key: parked, .. } if parked == key);
    changes.iter().any(parks)
}

/// Whether the change is about the event at this position.
fn is_at(change: &ParkedChange, position: Position) -> bool {
    match change {
        ParkedChange::Park { events, .. } | ParkedChange::Wait { events, .. } => {
            events.contains(&position)
        }
        ParkedChange::Retried { .. } => false,
    }
}

impl<S: EventStore, P: SqlProjection> Work<S> for Handwritten<P> {
    fn id(&self) -> ProjectionId {
        P::id()
    }

    /// Two workers would apply events out of order.
    fn another(&self) -> Option<Self> {
        None
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        let mut tx = store.begin().await?;
        let (state, is_new) = tx.prepare_projection(&P::id(), P::TABLES).await?;
        if is_new {
            let projection = || P::id().to_string();
            let created = P::create(&mut tx).await;
            created.map_err(|why| {
                Error::caused_by(
                    Kind::Uncreated {
                        projection: projection(),
                    },
                    why,
                )
            })?;
            for table in P::TABLES {
                let table = format!("{table}_v{}", P::VERSION);
                if !tx.has_table(&table).await? {
                    let why = format!("there is no table `{table}`");
                    return Err(Error::caused_by(
                        Kind::Uncreated {
                            projection: projection(),
                        },
                        why,
                    ));
                }
            }
        }
        tx.commit().await?;
        Ok(state)
    }

    async fn complete(&mut self, _: &S) -> Result<()> {
        Ok(())
    }

    fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed) {
        self.parking.claimed(slices, claimed);
    }

    fn parked(&self) -> u64 {
        self.parking.count()
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        let mut effects = Vec::new();
        for event in page.iter() {
            self.decode(event, &mut effects)?;
        }
        let mut rest = &effects[..];
        let mut from = advance.from;
        while from < advance.to {
            let to = Position::new(from.get() + PIECE).min(advance.to);
            let (piece, behind) = rest.split_at(rest.partition_point(|e| e.position <= to));
            let step = Advance {
                from,
                to,
                ..advance.clone()
            };
            if self.piece(store, &step, piece).await? == Advanced::Fenced {
                return Ok(Advanced::Fenced);
            }
            (rest, from) = (behind, to);
        }
        Ok(Advanced::Moved)
    }

    async fn retry(&mut self, store: &S, advance: Advance) -> Result<Option<Advanced>> {
        let Some((key, from)) = self.parking.wanted() else {
            return Ok(None);
        };
        let most = usize::try_from(PIECE).unwrap_or(usize::MAX);
        let id = &advance.projection;
        let mut waiting = store.parked_events(id, &key, most + 1).await?;
        if waiting.first() != Some(&from) {
            // Another instance was faster.
            return Ok(Some(Advanced::Fenced));
        }
        let next = waiting.split_off(waiting.len().min(most));
        let mut effects = Vec::new();
        let broken = read_at(store, &waiting, |event| self.decode(event, &mut effects)).await?;
        let mut tx = store.begin().await?;
        if tx.advance(&advance, &[]).await? == Advanced::Fenced {
            return Ok(Some(Advanced::Fenced));
        }
        let mut failed = None;
        for effect in effects.iter().filter(|effect| effect.key == key) {
            match self.try_one(effect, &mut tx).await {
                Ok(()) => {}
                Err(Failed::Transient(error)) => return Err(error),
                Err(Failed::Because(reason)) => {
                    failed = Some((effect.position, reason));
                    break;
                }
            }
        }
        let left = match failed.or(broken) {
            Some((position, reason)) => Some((position, Some(reason))),
            None => next.first().map(|position| (*position, None)),
        };
        let left = left.map(|(position, reason)| StillParked { position, reason });
        let retried = ParkedChange::Retried { key, from, left };
        self.end(tx, &advance, vec![retried]).await.map(Some)
    }
}
