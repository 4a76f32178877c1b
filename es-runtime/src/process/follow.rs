//! Goes through the log for a process: what follows from its events, and what others mean to it,
//! is written with its cursor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Notify;

use super::effects::Effect;
use super::task::raw;
use super::{Process, Task, What, Why};
use crate::error::{Error, Result};
use crate::event::{LogIdentity, Position, Recorded, StoredEventRef, StoredEvents, Timestamp};
use crate::integration::states::{States, remember};
use crate::projection::{Parking, Turn, Work, read_at};
use crate::runtime::panic_text;
use crate::store::{
    Advance, Advanced, Claimed, EventStore, NewReaction, NewTimer, ParkedChange, ProcessPage,
    ProjectionId, ProjectionState, StillParked, TimerChange, TimerPlace,
};

/// Events that wait for a parked stream and are tried again in one transaction.
const PIECE: usize = 100;

/// What an event of others means to a process: the ids of those that it is told to, and what.
pub(crate) type Route = fn(StoredEventRef<'_>, LogIdentity) -> Result<Vec<Told>>;

/// An input for a process.
pub(crate) struct Told {
    /// The id of the process.
    pub key: String,
    pub part: u32,
    pub task: Task,
}

/// Rung when there is something new.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bells {
    pub tasks: Arc<Notify>,
    pub timers: Arc<Notify>,
}

/// A process with what it listens to.
pub(crate) struct Driven<P> {
    states: States<P>,
    routes: BTreeMap<&'static str, Route>,
    turn: Turn,
    parking: Parking,
    bells: Bells,
}

/// Why nothing was made of an event.
enum Failed {
    /// Nothing can be made of any before this is mended.
    All(Error),
    /// The stream that it belongs to is set aside.
    Stream(String),
}

impl<P: Process> Driven<P> {
    pub(crate) fn new(routes: BTreeMap<&'static str, Route>, bells: Bells) -> Self {
        Self {
            states: States::new(),
            routes,
            turn: Turn::default(),
            parking: Parking::default(),
            bells,
        }
    }

    fn id() -> ProjectionId {
        ProjectionId::process(P::NAME)
    }

    fn concerns(&self, event: StoredEventRef<'_>) -> bool {
        let family = event.aggregate();
        family == P::NAME || self.routes.contains_key(family)
    }

    /// Adds what is to be done because of an event.
    async fn make<S: EventStore>(
        &mut self,
        store: &S,
        event: StoredEventRef<'_>,
        page: &mut ProcessPage,
    ) -> Result<(), Failed> {
        let log = store.identity();
        // To history from before there was such a process nobody reacts; timers are not lost by it.
        let acts = self.turn.takes(Self::id().version, event.position);
        let mut made = ProcessPage::default();
        let making = if event.aggregate() == P::NAME {
            let remembered = remember(store, &mut self.states, event).await;
            remembered.map_err(Failed::All)?;
            let making = || {
                self.states.advance(event, |part, after| {
                    let effects = P::effects(part, after).into_vec();
                    add(&mut made, P::NAME, part, effects, log, acts)
                })
            };
            catch_unwind(AssertUnwindSafe(making))
        } else {
            let route = self.routes.get(event.aggregate()).filter(|_| acts);
            let making = || {
                let told = route.map_or(Ok(Vec::new()), |route| route(event, log))?;
                for (number, Told { key, part, task }) in told.into_iter().enumerate() {
                    let (family, position) = (P::NAME, event.position);
                    made.tasks.push(NewReaction {
                        key,
                        position,
                        part,
                        number: nth(number),
                        family,
                        payload: task.encode()?,
                    });
                }
                Ok(())
            };
            catch_unwind(AssertUnwindSafe(making))
        };
        match making {
            Ok(Ok(())) => {
                page.tasks.append(&mut made.tasks);
                page.timers.append(&mut made.timers);
                Ok(())
            }
            Ok(Err(error)) if error.is_unreadable() => Err(Failed::All(error)),
            Ok(Err(error)) => Err(self.failed(event, error.to_string())),
            Err(panic) => Err(self.failed(event, panic_text(&*panic))),
        }
    }

    fn failed(&mut self, event: StoredEventRef<'_>, reason: String) -> Failed {
        self.states.forget(event.stream);
        Failed::Stream(reason)
    }

    async fn write<S: EventStore>(
        &mut self,
        store: &S,
        advance: Advance,
        page: ProcessPage,
    ) -> Result<Advanced> {
        let (tasks, timers) = (!page.tasks.is_empty(), !page.timers.is_empty());
        self.parking.check(&advance.projection, &page.parked)?;
        let parked = page.parked.clone();
        let advanced = store.advance_process(advance, page).await?;
        if advanced == Advanced::Moved {
            self.parking.committed(&Self::id(), &parked);
            if tasks {
                self.bells.tasks.notify_one();
            }
            if timers {
                self.bells.timers.notify_one();
            }
        }
        Ok(advanced)
    }
}

fn nth(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Adds what follows from an event of the process.
fn add<E>(
    page: &mut ProcessPage,
    family: &'static str,
    event: &Recorded<E>,
    effects: Vec<Effect>,
    log: LogIdentity,
    acts: bool,
) -> Result<()> {
    let key = event.id().to_owned();
    for (number, effect) in effects.into_iter().enumerate() {
        let why = Why::of(event, log);
        match effect {
            Effect::Send { to, id, command } if acts => {
                let (to, command) = (to.to_owned(), raw(command)?);
                let task = Task::new(event, number, why, What::Send { to, id, command });
                page.tasks.push(NewReaction {
                    key: key.clone(),
                    position: event.position,
                    part: event.part,
                    number: nth(number),
                    family,
                    payload: task.encode()?,
                });
            }
            Effect::Send { .. } => {}
            Effect::Set { name, due, input } => {
                let input = raw(input)?;
                let task = Task::new(event, number, why, What::Tell { input });
                page.timers.push(TimerChange::Set(NewTimer {
                    place: TimerPlace {
                        due: due.max(Timestamp::default()),
                        key: key.clone(),
                        name,
                    },
                    command_id: task.id,
                    payload: task.encode()?,
                }));
            }
            Effect::Cancel { name } => page.timers.push(TimerChange::Cancel {
                key: key.clone(),
                name,
            }),
        }
    }
    Ok(())
}

/// Whether these changes park the key.
fn parks(changes: &[ParkedChange], key: &str) -> bool {
    let parks = |change: &ParkedChange| matches!(change, ParkedChange::Park { key: parked, .. } if parked == key);
    changes.iter().any(parks)
}

impl<S: EventStore, P: Process> Work<S> for Driven<P> {
    fn id(&self) -> ProjectionId {
        Self::id()
    }

    /// The events of one process in order, and the states at hand in one place.
    fn another(&self) -> Option<Self> {
        None
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        store.prepare_process(P::NAME).await
    }

    async fn complete(&mut self, _: &S) -> Result<()> {
        Ok(())
    }

    fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed) {
        self.turn.claimed(slices, claimed);
        self.parking.claimed(slices, claimed);
    }

    fn parked(&self) -> u64 {
        self.parking.count()
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        events: &StoredEvents,
    ) -> Result<Advanced> {
        let mut page = ProcessPage::default();
        for event in events.iter() {
            if !self.concerns(event) {
                continue;
            }
            let (key, events) = (event.stream.to_owned(), vec![event.position]);
            if self.parking.is_parked(&key) || parks(&page.parked, &key) {
                page.parked.push(ParkedChange::Wait { key, events });
                continue;
            }
            match self.make(store, event, &mut page).await {
                Ok(()) => {}
                Err(Failed::All(error)) => return Err(error),
                Err(Failed::Stream(reason)) => page.parked.push(ParkedChange::Park {
                    key,
                    events,
                    reason,
                }),
            }
        }
        self.write(store, advance, page).await
    }

    async fn retry(&mut self, store: &S, advance: Advance) -> Result<Option<Advanced>> {
        let Some((key, from)) = self.parking.wanted() else {
            return Ok(None);
        };
        let mut waiting = store.parked_events(&Self::id(), &key, PIECE + 1).await?;
        if waiting.first() != Some(&from) {
            // Another instance was faster.
            return Ok(Some(Advanced::Fenced));
        }
        let next = waiting.split_off(waiting.len().min(PIECE));
        let mut stored = StoredEvents::new();
        read_at(store, &waiting, |event| {
            stored.push(event);
            Ok(())
        })
        .await?;
        let (mut page, mut left) = (ProcessPage::default(), None::<(Position, Option<String>)>);
        for event in stored.iter() {
            match self.make(store, event, &mut page).await {
                Ok(()) => {}
                Err(Failed::All(error)) => return Err(error),
                Err(Failed::Stream(reason)) => {
                    left = Some((event.position, Some(reason)));
                    break;
                }
            }
        }
        let left = left.or_else(|| next.first().map(|position| (*position, None)));
        let left = left.map(|(position, reason)| StillParked { position, reason });
        page.parked = vec![ParkedChange::Retried { key, from, left }];
        self.write(store, advance, page).await.map(Some)
    }
}
