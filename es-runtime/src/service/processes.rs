//! Runs processes: what follows from their events is done, and answers are brought back.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Starting;
use super::execute::{Execute, stream_of};
use super::load::{Known, replay};
use super::reactions::{Attempt, Executor, Reactors, Retry, Run, Running};
use super::supervise::Workers;
use super::timers::Firing;
use super::{Inner, Service};
use crate::aggregate::Aggregate;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Event, Recorded, StreamId};
use crate::process::{
    Bells, Driven, Hears, Listens, Process, Recipient, Route, Sent, Task, Told, What, Why, Wires,
};
use crate::store::{EventStore, Knowledge, Store, tasks_of};

/// A process of any kind that a service runs.
pub(super) trait Manager: Send + Sync {
    /// Fails if it sends commands to an aggregate that the service does not have.
    fn check(&self, aggregates: &HashSet<TypeId>) -> Result<()>;
    fn start<'a>(&'a self, workers: &'a mut Workers, store: &'a Store) -> Starting<'a>;
    fn run(self: Box<Self>, inner: &Arc<Inner>, retry: Retry, lease: Duration);
}

/// A command to an aggregate, on its way.
struct Sending<'a> {
    service: &'a Service,
    /// The process.
    from: StreamId,
    id: CommandId,
    /// The id of what the process is told of the answer.
    answer: CommandId,
    to: &'a str,
    command: &'a str,
    why: Why,
}

type Answered<'a, P> =
    Pin<Box<dyn Future<Output = Result<Option<<P as Aggregate>::Command>>> + Send + 'a>>;

/// Sends a command, and answers what the process makes of the answer.
type SendFn<P> = for<'a> fn(Sending<'a>) -> Answered<'a, P>;

/// Whom a process sends to, by the aggregate's name.
type Sends<P> = HashMap<&'static str, (TypeId, SendFn<P>)>;

/// A process with whom it sends to and listens to.
pub(super) struct Managing<P: Process> {
    sends: Sends<P>,
    routes: BTreeMap<&'static str, Route>,
    knows: Knowledge,
    bells: Bells,
    of: PhantomData<fn() -> P>,
}

impl<P: Process> Managing<P> {
    pub(super) fn new() -> Self {
        Self {
            sends: HashMap::new(),
            routes: BTreeMap::new(),
            knows: Knowledge::new(),
            bells: Bells::default(),
            of: PhantomData,
        }
    }

    /// The events that it can read beside its own.
    pub(super) fn knows(&self) -> &Knowledge {
        &self.knows
    }
}

impl<P: Process> Wires<P> for Managing<P> {
    fn sends<A: Recipient>(&mut self)
    where
        P: Hears<A>,
    {
        let send: SendFn<P> = |sending| Box::pin(send::<P, A>(sending));
        self.sends.insert(A::NAME, (TypeId::of::<A>(), send));
    }

    fn listens<E: Event>(&mut self)
    where
        P: Listens<E>,
    {
        self.knows.add::<E>();
        let route: Route = |event, log| {
            let mut told = Vec::new();
            for part in Recorded::<E>::decode(event)? {
                for (number, (id, input)) in P::listen(&part).into_iter().enumerate() {
                    let why = Why::of(&part, log);
                    let input = serde_json::value::to_raw_value(&input);
                    let input = input.map_err(|error| {
                        let what = format!("an input to the process `{}`", P::NAME);
                        Error::caused_by(Kind::Unencodable { what }, error)
                    })?;
                    told.push(Told {
                        key: stream_of::<P>(&id)?.id().to_owned(),
                        part: part.part,
                        task: Task::new(&part, number, why, What::Tell { input }),
                    });
                }
            }
            Ok(told)
        };
        self.routes.insert(E::NAME, route);
    }
}

impl<P: Process> Manager for Managing<P> {
    fn check(&self, aggregates: &HashSet<TypeId>) -> Result<()> {
        let missing = self
            .sends
            .iter()
            .find(|(_, (id, _))| !aggregates.contains(id));
        missing.map_or(Ok(()), |(name, _)| {
            let what = format!(
                "the aggregate `{name}`, which `{}` sends commands to,",
                P::NAME
            );
            Err(Error::new(Kind::Unregistered { what }))
        })
    }

    fn start<'a>(&'a self, workers: &'a mut Workers, store: &'a Store) -> Starting<'a> {
        let driven = Driven::<P>::new(self.routes.clone(), self.bells.clone());
        Box::pin(workers.start(store, driven))
    }

    fn run(self: Box<Self>, inner: &Arc<Inner>, retry: Retry, lease: Duration) {
        let Self { sends, bells, .. } = *self;
        let sends = Arc::new(sends);
        let run: Run = Arc::new(move |payload: String, attempt: Attempt| -> Running {
            let sends = sends.clone();
            Box::pin(async move { Ok(perform::<P>(&sends, &payload, &attempt).await?) })
        });
        let executor = Executor {
            projection: tasks_of(P::NAME),
            reactors: Reactors::by(P::NAME, bells.tasks, run),
            retry: retry.clone(),
            store: inner.store.clone(),
            service: Arc::downgrade(inner),
            owner: inner.workers.owner().to_owned(),
            lease,
            stop: inner.workers.stop(),
        };
        inner.workers.add(tokio::spawn(executor.run()));
        let firing = Firing::<P>::new(inner, bells.timers, retry);
        inner.workers.add(tokio::spawn(firing.run()));
    }
}

/// Does one thing that a process has to do.
async fn perform<P: Process>(sends: &Sends<P>, payload: &str, attempt: &Attempt) -> Result<()> {
    let task = read::<Task>("what it has to do", P::NAME, payload)?;
    let (service, key) = (attempt.service(), &attempt.reaction().key);
    let answer = task.answer();
    let (id, input, why) = match task.what {
        What::Tell { input } => {
            let input = read("an input", P::NAME, input.get())?;
            (task.id, input, task.why)
        }
        What::Send { to, id, command } => {
            let Some((_, send)) = sends.get(&*to) else {
                let (process, to) = (P::NAME, to);
                return Err(Error::new(Kind::NoRecipient { process, to }));
            };
            let why = task.why.clone();
            let sending = Sending {
                service,
                from: stream_of::<P>(&id_of::<P>(key)?)?,
                id: task.id,
                answer,
                to: &id,
                command: command.get(),
                why,
            };
            match send(sending).await? {
                Some(input) => (answer, input, task.why),
                None => return Ok(()),
            }
        }
    };
    tell::<P>(service, key, id, input, why).await
}

/// An input to a process, or to any aggregate: each counts once, by its id.
pub(super) async fn tell<P: Recipient>(
    service: &Service,
    key: &str,
    id: CommandId,
    input: P::Command,
    why: Why,
) -> Result<()> {
    let execute = Execute::<P>::new(service, &id_of::<P>(key)?, input).id(id);
    because(execute, why).await.map(drop)
}

fn because<A: Aggregate>(mut execute: Execute<'_, A>, why: Why) -> Execute<'_, A> {
    if let Some(correlation) = why.correlation {
        execute = execute.correlation(correlation);
    }
    if let Some(causation) = why.causation {
        execute = execute.causation(causation);
    }
    if let Some(traceparent) = why.traceparent {
        execute = execute.traceparent(traceparent);
    }
    execute
}

async fn send<P: Hears<A>, A: Recipient>(sending: Sending<'_>) -> Result<Option<P::Command>> {
    let Sending {
        service,
        from,
        id,
        answer,
        to,
        command,
        why,
    } = sending;
    let command: A::Command = read("a command", P::NAME, command)?;
    let target = id_of::<A>(to)?;
    let execute = Execute::<A>::new(service, &target, command.clone());
    let execute = because(execute.id(id).actor(from.as_str()).finally(), why);
    let hear = |answer: Result<(), &A::Error>| {
        let command = &command;
        P::hear(Sent { to, command }, answer)
    };
    match execute.await {
        Ok(receipt) if receipt.repeated && receipt.events == 0 => {
            let (store, stream) = (&service.inner.store, stream_of::<A>(&target)?);
            if store.outcome(&from, answer).await?.is_some() {
                // The process has heard of it.
                return Ok(None);
            }
            // It emitted nothing: it was accepted or refused, which the same decision tells.
            let then = replay(store, &stream, Known::<A>::nothing(), receipt.version).await?;
            match then.loaded().decide(command.clone()) {
                Ok(events) if events.is_empty() => Ok(hear(Ok(()))),
                Ok(_) => Err(Error::new(Kind::OtherDecision { stream })),
                Err(reason) => Ok(hear(Err(&reason))),
            }
        }
        Ok(_) => Ok(hear(Ok(()))),
        Err(error) => match error.rejection::<A::Error>() {
            Some(reason) => Ok(hear(Err(reason))),
            None => Err(error),
        },
    }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(
    what: &str,
    process: &'static str,
    json: &str,
) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let what = what.to_owned();
        Error::caused_by(Kind::UnreadableTask { process, what }, error)
    })
}

fn id_of<A: Aggregate>(text: &str) -> Result<A::Id> {
    A::Id::from_str(text).map_err(|_| {
        let why = format!("`{text}` is not the id of a `{}`", A::NAME);
        Error::caused_by(Kind::InvalidId, why)
    })
}
