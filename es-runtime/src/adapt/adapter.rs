//! Takes messages into the log of a service.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::discriminant;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Adapt;
use super::adapted::{Adapted, Arrival, Misplaced};
use super::place::{Place, Placed};
use crate::aggregate::Aggregate;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Event, Position, Recorded, StreamId, encode};
use crate::runtime::{panic_message, without};
use crate::service::{Receipt, Service};
use crate::store::{EventStore, HandlerError, StreamQuery};

/// The longest key, in bytes: it stands in every event.
const LONGEST_KEY: usize = 1024;
/// Entities whose messages are taken at once.
const AT_ONCE: usize = 64;

type Decode<M> = Arc<dyn Fn(&[u8]) -> Result<M, HandlerError> + Send + Sync>;

/// Takes the messages `M` of one upstream into the log of a service; [`Adapt`] has an example.
///
/// The law: a message is stored before it is answered, and once, for ever; each goes to the end of
/// its entity's stream, and none overwrites what is newer.
pub struct Adapter<M: Adapt> {
    pub(super) service: Service,
    name: Arc<str>,
    synthetic: bool,
    trusts_keys: bool,
    decode: Decode<M>,
}

/// A message that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// Who has read the log this far has seen its event: hand it to
    /// [`View::after`](crate::View::after).
    pub position: Position,
    /// The place of its event in the stream of its entity.
    pub version: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the newest, or a fact.
    Counted,
    /// A newer one was known: it is stored as superseded.
    Superseded,
    /// It was taken before, and nothing happened now.
    Repeated,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counted => "counted",
            Self::Superseded => "superseded",
            Self::Repeated => "repeated",
        })
    }
}

impl From<Taken> for Position {
    fn from(taken: Taken) -> Self {
        taken.position
    }
}

impl<M: Adapt> Clone for Adapter<M> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            name: self.name.clone(),
            decode: self.decode.clone(),
            ..*self
        }
    }
}

impl<M: Adapt> fmt::Debug for Adapter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("name", &self.name)
            .field("synthetic", &self.synthetic)
            .finish_non_exhaustive()
    }
}

impl<M: Adapt> Adapter<M> {
    /// The adapter of one upstream, whose name stands with every key: under another name all of its
    /// messages are new. Several instances may take from the same upstream under one name.
    ///
    /// # Errors
    /// When the service was not built with [`adapt`](crate::Builder::adapt), or the name is empty or
    /// holds control characters.
    pub fn new(service: &Service, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        service.executes::<Adapted<M::Entity>>()?;
        StreamId::new("adapter", &name)?;
        Ok(Self {
            service: service.clone(),
            name: name.into(),
            synthetic: false,
            trusts_keys: false,
            decode: Arc::new(|body| Ok(serde_json::from_slice(body)?)),
        })
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a message is read, where it comes as bytes; as JSON unless something is said.
    pub fn decode_with(
        mut self,
        decode: impl Fn(&[u8]) -> Result<M, HandlerError> + Send + Sync + 'static,
    ) -> Self {
        self.decode = Arc::new(decode);
        self
    }

    /// The same upstream, of which all that comes this way was made up afterwards, to fill a gap: a
    /// file that somebody wrote.
    pub fn synthetic(mut self) -> Self {
        self.synthetic = true;
        self
    }

    /// Drops whatever comes with a known key, without a look at it. Otherwise one that says something
    /// else than the first is refused, since the key is none, which costs a read for each repetition.
    pub fn trust_keys(mut self) -> Self {
        self.trusts_keys = true;
        self
    }

    /// Takes a message: it is in the log when this answers.
    ///
    /// # Errors
    /// When the message cannot be taken, now or ever: it has no key, its key belongs to another one,
    /// or its rank cannot be compared. [`is_transient`](Error::is_transient) when the database
    /// failed: the same again finds out.
    ///
    /// # Cancel safety
    /// A dropped future leaves the message in the log or not; the same again finds out.
    pub async fn take(&self, message: &M) -> Result<Taken> {
        let key = message.key();
        if key.is_empty() || key.len() > LONGEST_KEY {
            let why = format!("a key has 1 to {LONGEST_KEY} bytes");
            return Err(self.misplaced(key, why));
        }
        let synthetic = self.synthetic || message.is_synthetic();
        let rank = message.rank();
        let id = self.command(&key, synthetic && rank.is_state());
        let place = Place::new(&self.name, key.clone(), rank, synthetic);
        let event = message.becomes(place.clone());
        if event.place() != Some(&place) {
            return Err(self.misplaced(key, Misplaced::Lost.to_string()));
        }
        let fresh = discriminant(&event);
        let entity = message.entity();
        let stream = StreamId::new(M::Entity::NAME, &entity)?;
        let take = self
            .service
            .execute::<Adapted<M::Entity>>(entity, Arrival::new(event))
            .actor(format!("adapter {}", self.name))
            .causation(&*key)
            .id(id);
        let (receipt, events) =
            take.told()
                .await
                .map_err(|error| match error.rejection::<Misplaced>() {
                    Some(why) => self.misplaced(key, why.to_string()),
                    None => error,
                })?;
        let fate = match events.first() {
            Some(event) if discriminant(event) == fresh => Fate::Counted,
            Some(_) => Fate::Superseded,
            None => {
                self.same(message, &stream, receipt).await?;
                Fate::Repeated
            }
        };
        Ok(Taken {
            position: receipt.position,
            version: receipt.version,
            fate,
        })
    }

    /// Reads a message and takes it.
    ///
    /// # Errors
    /// When it cannot be read, or as [`take`](Self::take).
    pub async fn take_bytes(&self, body: &[u8]) -> Result<Taken> {
        self.take(&self.read(body)?).await
    }

    /// Takes many: those about one entity in their order, others at once. The answers are in the
    /// order of the messages. After a failure that may pass, the later ones of the same entity are
    /// not taken, and answer the same.
    pub async fn take_all(&self, messages: impl IntoIterator<Item = M>) -> Vec<Result<Taken>> {
        let messages: Vec<_> = messages.into_iter().map(Arc::new).collect();
        self.take_each(&messages).await
    }

    pub(super) async fn take_each(&self, messages: &[Arc<M>]) -> Vec<Result<Taken>> {
        let mut entities: BTreeMap<String, Vec<(usize, Arc<M>)>> = BTreeMap::new();
        for (n, message) in messages.iter().enumerate() {
            let entity = message.entity().to_string();
            entities
                .entry(entity)
                .or_default()
                .push((n, message.clone()));
        }
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for messages in entities.into_values() {
            let (adapter, room) = (self.clone(), room.clone());
            running.spawn(async move {
                let _place = room.acquire().await;
                adapter.take_in_order(messages).await
            });
        }
        let mut answers: Vec<Option<Result<Taken>>> = Vec::new();
        answers.resize_with(messages.len(), || None);
        let mut died = None;
        while let Some(done) = running.join_next().await {
            match done {
                Ok(done) => done
                    .into_iter()
                    .for_each(|(n, taken)| answers[n] = Some(taken)),
                Err(error) => died = Some(panic_message(error)),
            }
        }
        let missing = || {
            let worker = format!("adapter {}", self.name);
            let reason = died.clone().unwrap_or_default();
            Err(Error::new(Kind::Stopped { worker, reason }))
        };
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or_else(missing))
            .collect()
    }

    async fn take_in_order(&self, messages: Vec<(usize, Arc<M>)>) -> Vec<(usize, Result<Taken>)> {
        let (mut done, mut failed) = (Vec::with_capacity(messages.len()), None::<Error>);
        for (n, message) in messages {
            let taken = match &failed {
                Some(error) => Err(error.copy()),
                None => self.take(&message).await,
            };
            if let Err(error) = &taken
                && !is_its_own(error)
            {
                failed.get_or_insert_with(|| error.copy());
            }
            done.push((n, taken));
        }
        done
    }

    pub(super) fn read(&self, body: &[u8]) -> Result<M> {
        (self.decode)(body).map_err(|error| {
            let adapter = self.name.to_string();
            Error::caused_by(Kind::UnreadableMessage { adapter }, error)
        })
    }

    /// The command that a message is. A state that was made up is another one than the live one with
    /// the same key, which it must not keep out.
    fn command(&self, key: &str, made_up: bool) -> CommandId {
        if without("a message counts once") {
            return CommandId::random();
        }
        let kind: &[u8] = if made_up { b"synthetic" } else { b"message" };
        // With their lengths, so that no two differ in where one ends alone.
        let mut input = Vec::new();
        for part in [kind, self.name.as_bytes(), key.as_bytes()] {
            input.extend((part.len() as u64).to_be_bytes());
            input.extend(part);
        }
        CommandId::kept(input)
    }

    /// Makes sure that what was taken before under this key says the same.
    async fn same(&self, message: &M, stream: &StreamId, receipt: Receipt) -> Result<()> {
        if self.trusts_keys {
            return Ok(());
        }
        let query = StreamQuery::after(receipt.version - 1).limit(1);
        let page = self.service.store().read_stream(stream, query).await?;
        let Some(stored) = page.events.iter().next() else {
            return Ok(());
        };
        type EventOf<M> = <<M as Adapt>::Entity as Aggregate>::Event;
        let today = |name: &str| EventOf::<M>::TYPES.iter().find(|of| of.name == name);
        // What an older release made of it may well look otherwise.
        if today(stored.event_type).is_none_or(|today| today.version != stored.schema_version) {
            return Ok(());
        }
        for known in Recorded::<EventOf<M>>::decode(stored)? {
            let Some(place) = known.data.place() else {
                continue;
            };
            let mut again = message.becomes(place.clone());
            if discriminant(&again) != discriminant(&known.data) {
                again = again.superseded();
            }
            if content(&again)? != content(&known.data)? {
                return Err(Error::new(Kind::KeyReused {
                    adapter: self.name.to_string(),
                    key: message.key(),
                    stream: stream.clone(),
                    version: known.version,
                }));
            }
        }
        Ok(())
    }

    fn misplaced(&self, key: String, why: String) -> Error {
        let adapter = self.name.to_string();
        Error::new(Kind::Misplaced { adapter, key, why })
    }
}

/// What an event says, whatever the order of its members.
fn content<E: Event>(event: &E) -> Result<(usize, Value)> {
    let unencodable = |error| {
        let what = format!("an event of `{}`", E::NAME);
        Error::caused_by(Kind::Unencodable { what }, error)
    };
    let (variant, payload) = encode(event).map_err(unencodable)?;
    let payload = serde_json::from_str(&payload).map_err(unencodable)?;
    Ok((variant, payload))
}

/// Whether it is this message that cannot be taken, and not all of them.
pub(super) fn is_its_own(error: &Error) -> bool {
    error.is_unreadable()
        || matches!(
            error.kind(),
            Kind::Misplaced { .. }
                | Kind::KeyReused { .. }
                | Kind::UnreadableMessage { .. }
                | Kind::InvalidId
                | Kind::Unencodable { .. }
                | Kind::Retired { .. }
        )
}
