//! One command's way: load, decide, append; again if somebody else was faster.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::{Inner, RecordCommand, Service, typed};
use crate::aggregate::{Aggregate, Command, Decide, Evolve};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, CommandRecord, Metadata, Position, StreamId};
use crate::runtime::without;
use crate::store::{Append, Appended, EventStore, Outcome, Tx};

/// How often a decision is made again because somebody else was faster.
const ATTEMPTS: u32 = 20;

/// A command about to be executed. Say who asks and why, then await it.
#[must_use = "a command does nothing until it is awaited"]
pub struct Execute<'s, A: Aggregate> {
    service: &'s Service,
    stream: Result<StreamId>,
    command: A::Command,
    id: Option<CommandId>,
    metadata: Metadata,
    tx: Option<Tx>,
    /// Whether a refusal is kept, so that the same id is refused for ever.
    finally: bool,
}

/// What an accepted command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Who has read the log this far has seen the command's events: hand it to
    /// [`View::after`](super::View::after).
    pub position: Position,
    /// The aggregate's version after the command.
    pub version: u64,
    /// How many events it emitted.
    pub events: u32,
    /// Whether the command had been accepted before, so that nothing happened now.
    pub repeated: bool,
}

impl From<Receipt> for Position {
    fn from(receipt: Receipt) -> Self {
        receipt.position
    }
}

impl Receipt {
    fn new(outcome: Outcome, repeated: bool) -> Self {
        let Outcome {
            count: events,
            version,
            ..
        } = outcome;
        Self {
            position: outcome.position(),
            version,
            events,
            repeated,
        }
    }
}

impl<'s, A: Aggregate> Execute<'s, A> {
    pub(super) fn new(service: &'s Service, id: &A::Id, command: A::Command) -> Self {
        let (id, metadata) = (stream_of::<A>(id), Metadata::new());
        Self {
            service,
            stream: id,
            command,
            id: None,
            metadata,
            tx: None,
            finally: false,
        }
    }

    /// Makes a refusal as final as an acceptance: the command's id is used up, and the command never
    /// counts again. Sent again it is answered as one that emitted nothing, at the version at which
    /// it was refused: there the same decision can be made again.
    pub(super) fn finally(mut self) -> Self {
        self.finally = true;
        self
    }

    /// Names the command, so that sending it again does nothing again: after an error that leaves
    /// open what happened, too. Take the id from the input: [`CommandId::of`]. Without, the command
    /// gets an id that nobody else knows, and sending it again is another command.
    pub fn id(mut self, id: impl Into<CommandId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Who asks: an indirect id, no personal data.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// What belongs together across services; the command's id unless something is said.
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.metadata.correlation = Some(correlation.into());
        self
    }

    /// The message or event that directly caused the command.
    pub fn causation(mut self, causation: impl Into<String>) -> Self {
        self.metadata.causation = Some(causation.into());
        self
    }

    /// Makes the command the end of a transaction of yours: its events and what was written in `tx`
    /// are committed together or not at all. For rows that must never disagree with the log, such
    /// as a unique name. Begin it with [`EventStore::begin`].
    ///
    /// The law: only an accepted command commits, also one that emits nothing. What was written in
    /// `tx` is undone by a refusal, by a conflict, which is answered at once since the decision may
    /// rest on it, and by a repeated [`id`](Self::id), since it was written the first time. The rate
    /// is that of [`Tx::append`].
    pub fn in_transaction(mut self, tx: Tx) -> Self {
        self.tx = Some(tx);
        self
    }

    /// The W3C `traceparent` of the request.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.metadata.traceparent = Some(traceparent.into());
        self
    }
}

impl<'s, A: Decide + Evolve> IntoFuture for Execute<'s, A> {
    type Output = Result<Receipt>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Receipt>> + Send + 's>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.told().await?.0) })
    }
}

impl<A: Decide + Evolve> Execute<'_, A> {
    /// Executes it, and answers what happened, too: nothing if it was repeated.
    pub(crate) async fn told(mut self) -> Result<(Receipt, Vec<A::Event>)> {
        let stream = self.stream?;
        self.service.executes::<A>()?;
        let Inner { recorders, .. } = &*self.service.inner;
        let name = self.command.name();
        let mut record = CommandRecord::named(name);
        if let Some(json) = typed::<A, RecordCommand<A>>(recorders) {
            let unencodable = |error| {
                let what = format!("the command `{name}`");
                Error::caused_by(Kind::Unencodable { what }, error)
            };
            record.body = Some(json(&self.command).map_err(unencodable)?);
        }
        self.metadata.command = Some(record);
        let attempt = Attempt {
            service: self.service,
            stream,
            id: self.id.unwrap_or_else(CommandId::random),
            named: self.id.is_some(),
            finally: self.finally,
            metadata: to_json("the metadata", &self.metadata)?,
            correlation: self.metadata.correlation,
        };
        attempt
            .until_decided::<A>(name, &self.command, self.tx)
            .await
    }
}

/// What stays the same over all attempts at a command.
struct Attempt<'s> {
    service: &'s Service,
    stream: StreamId,
    id: CommandId,
    /// Whether the caller named the command and may send it again.
    named: bool,
    /// Whether a refusal is kept.
    finally: bool,
    metadata: String,
    correlation: Option<String>,
}

impl Attempt<'_> {
    async fn until_decided<A: Decide + Evolve>(
        self,
        name: &'static str,
        command: &A::Command,
        mut tx: Option<Tx>,
    ) -> Result<(Receipt, Vec<A::Event>)> {
        let loader = self.service.inner.loader::<A>();
        let store = loader.store;
        // A state from the cache may be behind: what is decided on it counts once the store agrees.
        let (mut known, mut fresh) = match loader.cached(&self.stream) {
            Some(known) => (known, false),
            None => (loader.fresh(&self.stream).await?, true),
        };
        let mut attempts = 1;
        loop {
            let decided = known.loaded().decide(command.clone());
            // An append makes sure of the version by itself; a no, and a no-op that leaves no
            // trace, do not.
            let leaves_a_trace = |events: &Vec<_>| self.named || tx.is_some() || !events.is_empty();
            let counts = fresh || decided.as_ref().is_ok_and(leaves_a_trace);
            if !counts && !without("a cached no is verified") {
                known = loader.refresh(&self.stream, known).await?;
                fresh = true;
                continue;
            }
            let (events, refusal) = match decided {
                Ok(events) => (events, None),
                Err(error) => {
                    // A command that was accepted before may well be refused by what it made.
                    if let Some(outcome) = self.earlier().await? {
                        return Ok((Receipt::new(outcome, true), Vec::new()));
                    }
                    let stream = self.stream.clone();
                    let command = name;
                    let refusal = Error::caused_by(Kind::Rejected { stream, command }, error);
                    if !self.finally || without("a refusal is final") {
                        return Err(refusal);
                    }
                    (Vec::new(), Some(refusal))
                }
            };
            let expected = known.version();
            if events.is_empty() && !self.named && tx.is_none() {
                // Nothing to keep, and nobody who could ask again.
                let first = store.head().await?.next();
                let (count, version) = (0, expected);
                let nothing = Outcome {
                    first,
                    count,
                    version,
                };
                return Ok((Receipt::new(nothing, false), events));
            }
            let append = match self.append::<A>(expected, &events) {
                // Who held it back may have left, which is heard with the next heartbeat.
                Err(error) if error.is_held_back() && attempts == 1 => {
                    attempts += 1;
                    self.service.inner.instances.look().await?;
                    continue;
                }
                append => append?,
            };
            let next = loader.next(&known, &append.events);
            let bound = tx.is_some();
            let appended = match tx.take() {
                Some(tx) => tx.append(append).await,
                None => store.append(append).await,
            };
            match appended {
                Err(error) if error.is_outdated() => {
                    self.service.inner.instances.look().await?;
                    if bound || attempts >= ATTEMPTS {
                        return Err(error);
                    }
                    attempts += 1;
                }
                Err(error) => return Err(error),
                Ok(Appended::New(outcome)) => {
                    if let Some(refusal) = refusal {
                        return Err(refusal);
                    }
                    if let Some(next) = next {
                        known.advance(next, outcome, self.id);
                        loader.keep(&self.stream, &mut known);
                    }
                    return Ok((Receipt::new(outcome, false), events));
                }
                Ok(Appended::Already(outcome)) => {
                    return Ok((Receipt::new(outcome, true), Vec::new()));
                }
                Ok(Appended::Conflict { found }) if bound || attempts >= ATTEMPTS => {
                    let stream = self.stream;
                    return Err(Error::new(Kind::Conflict {
                        stream,
                        expected,
                        found,
                    }));
                }
                Ok(Appended::Conflict { found }) => {
                    tracing::debug!(stream = %self.stream, expected, found, "deciding again");
                    attempts += 1;
                    known = loader.refresh(&self.stream, known).await?;
                    fresh = true;
                }
            }
        }
    }

    async fn earlier(&self) -> Result<Option<Outcome>> {
        if !self.named {
            return Ok(None);
        }
        self.service
            .inner
            .store
            .outcome(&self.stream, self.id)
            .await
    }

    fn append<A: Aggregate>(&self, expected: u64, events: &[A::Event]) -> Result<Append> {
        let versions = self.service.inner.instances.versions();
        Ok(Append {
            stream: self.stream.clone(),
            expected,
            command_id: self.id,
            repeatable: self.named,
            events: events
                .iter()
                .map(|event| versions.encode(event))
                .collect::<Result<_>>()?,
            metadata: Some(self.metadata.clone()),
            correlation: self.correlation.clone(),
            time: self.service.inner.clock.now(),
            known_instances: versions.newest,
        })
    }
}

fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String> {
    let unencodable = |error| {
        Error::caused_by(
            Kind::Unencodable {
                what: what.to_owned(),
            },
            error,
        )
    };
    serde_json::to_string(value).map_err(unencodable)
}

pub(super) fn stream_of<A: Aggregate>(id: &A::Id) -> Result<StreamId> {
    Ok(StreamId::new(A::NAME, id)?)
}
