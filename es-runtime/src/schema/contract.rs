//! What a service says of itself, so that it can be written down and held to it.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::behaviour::{Behaviour, Folded, Mapped};
use super::compat::Mode;
use super::document::{DIALECT, Definitions, reachable};
use super::payload::{self, Payloads, pascal};
use crate::aggregate::{Aggregate, Evolve};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, EventType, Recorded, StoredEventRef, decode, encode};
use crate::integration::{
    Cast, Described, IntegrationEvent, IntegrationType, Publish, Status, StreamVersion, TypeSchema,
    stream_of, version_of,
};
use crate::projection::Fold;
#[cfg(feature = "runtime")]
use crate::store::{ProjectionId, ProjectionKind};

/// The description of a service: what it stores, projects and publishes.
///
/// It says the same as the service's [`Builder`](crate::Builder), with the same three words:
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Opened { owner: String } }
/// # #[derive(Clone, Command)] #[command(aggregate = Account)] enum Never {}
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
/// # struct Account;
/// # impl Account { fn on_opened(&mut self, _: &String) {} }
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntegrationEvent)]
/// # #[integration(stream = "accounts", version = 1)]
/// # enum Accounts { AccountOpened { owner: String } }
/// # impl Publish<Account> for Accounts {
/// #     fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
/// #         match &event.data { AccountEvent::Opened { owner } => Accounts::AccountOpened { owner: owner.clone() } }
/// #     }
/// # }
/// use es_runtime::schema::Contract;
///
/// fn contract() -> Contract {
///     Contract::service("bank")
///         .namespace("dk.example.bank")
///         .aggregate::<Account>()
///         .publish::<Account, Accounts>()
/// }
///
/// let schema = &contract().documents()?["accounts/v1/account-opened.json"];
/// assert!(schema.contains("\"owner\""));
/// # Ok::<(), es_runtime::Error>(())
/// ```
///
/// Its events must derive [`JsonSchema`]. Mistakes in it come out of what it is asked for.
pub struct Contract {
    pub(crate) service: String,
    pub(crate) namespace: Option<String>,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) streams: BTreeMap<StreamVersion, Stream>,
    pub(crate) families: BTreeMap<&'static str, Family>,
    pub(crate) behaviours: BTreeMap<String, Box<dyn Behaviour>>,
    pub(crate) modes: BTreeMap<String, Mode>,
    pub(crate) retired: BTreeSet<String>,
    mistake: Option<Error>,
}

/// One version of an integration stream.
pub(crate) struct Stream {
    event: TypeId,
    pub(crate) id: StreamVersion,
    pub(crate) status: Status,
    pub(crate) description: Option<String>,
    pub(crate) events: Vec<PublicEvent>,
    pub(crate) definitions: Definitions,
    /// What the stream's type writes after it has read a payload.
    pub(crate) rewrite: Rewrite,
}

/// What a type writes for the variant with this number after it has read a payload of it.
pub(crate) type Rewrite = fn(usize, &str) -> Result<String, serde_json::Error>;

fn rewrite<E: Serialize + DeserializeOwned>(
    variant: usize,
    payload: &str,
) -> Result<String, serde_json::Error> {
    let event: E = decode(variant, payload)?;
    encode(&event).map(|(_, payload)| payload)
}

/// How to describe a type of integration events.
pub(crate) const fn described<I: IntegrationEvent + JsonSchema>() -> TypeSchema {
    TypeSchema {
        ty: TypeId::of::<I>,
        root: payload::root::<I>,
        names: payload::names::<I>,
        rewrite: rewrite::<I>,
    }
}

/// The schemas of a version's payloads, in the order of its events.
#[cfg(feature = "testing")]
pub(crate) fn payload_schemas(
    id: StreamVersion,
    types: &'static [IntegrationType],
    schema: TypeSchema,
) -> Result<Vec<Value>> {
    let stream = Stream::of(id, (types, Status::Live), "an older version", schema)?;
    let documents = stream.events.iter().map(|event| stream.document(event));
    Ok(documents.collect())
}

/// One event of an integration stream.
pub(crate) struct PublicEvent {
    /// `account-opened`.
    pub(crate) name: &'static str,
    /// `AccountOpenedV2`.
    pub(crate) title: String,
    /// The payload's schema; references lead into the stream's definitions.
    pub(crate) payload: Value,
}

/// The internal events of one aggregate.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) types: &'static [EventType],
    /// The numbers of the variants that are still written: a retired event is only read.
    pub(crate) written: Vec<usize>,
    /// The lock's line for each version of each event, as the derive sees it.
    pub(crate) shapes: &'static str,
    /// Names of events that are read as others, or passed over.
    pub(crate) foreign: Vec<&'static str>,
    /// What each variant is written as, with its own definitions.
    pub(crate) payloads: Vec<Value>,
    /// Ids that the aggregate takes; numbers where nobody knows.
    pub(crate) ids: Vec<String>,
    /// Whether a stored event can be read.
    pub(crate) decode: fn(StoredEventRef<'_>) -> Result<()>,
    /// What this binary writes for a payload of the variant with this number.
    pub(crate) rewrite: Rewrite,
}

/// How many ids a sample has of each aggregate.
pub(crate) const IDS: usize = 12;

impl Contract {
    /// The description of the service with this name: the one its builder is given.
    pub fn service(name: impl Into<String>) -> Self {
        Self {
            service: name.into(),
            namespace: None,
            version: "1.0.0".to_owned(),
            description: None,
            streams: BTreeMap::new(),
            families: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            modes: BTreeMap::new(),
            retired: BTreeSet::new(),
            mistake: None,
        }
    }

    /// What stands before the names of integration events; the service's name unless something is
    /// said. It must be what the service's builder is given.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The version of the service's interface, for the AsyncAPI document; `1.0.0` unless something
    /// is said.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// What the service is for, in a paragraph of Markdown.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Describes the internal events of an aggregate: their shapes are frozen once released.
    pub fn aggregate<A: Aggregate>(mut self) -> Self
    where
        A::Event: JsonSchema,
    {
        self.family::<A::Event>();
        match ids::<A>() {
            Some(ids) => {
                if let Some(family) = self.families.get_mut(A::NAME) {
                    family.ids = ids;
                }
                self
            }
            None => self.mistaken(Error::new(Kind::NoSample {
                why: format!(
                    "`{}` takes none of the ids that are tried; say some with `ids`",
                    A::NAME
                ),
            })),
        }
    }

    /// Describes an aggregate whose ids follow rules of their own, with some that it takes.
    pub fn ids<A: Aggregate>(mut self, some: &[&str]) -> Self
    where
        A::Event: JsonSchema,
    {
        self.family::<A::Event>();
        if let Some(family) = self.families.get_mut(A::NAME) {
            family.ids = some.iter().map(|&id| id.to_owned()).collect();
        }
        self
    }

    /// Describes a version of a read model: what it makes of events is frozen once released. A
    /// read model over several families of events is described once for each.
    pub fn project<E: Event + JsonSchema, P: Fold<E>>(mut self) -> Self {
        self.family::<E>();
        let key = format!("projection {}", P::TABLE);
        let behaviour = self.behaviours.entry(key);
        let folded = behaviour.or_insert_with(|| Box::new(Folded::<P>::new()));
        let same = folded.as_any().downcast_mut::<Folded<P>>();
        if same.is_some_and(Folded::add::<E>) {
            return self;
        }
        self.duplicate(format!("the read model `{}`", P::TABLE))
    }

    /// Describes an integration stream in the version `I` and the older ones that its history
    /// declares, and what they make of the events of `A`, which is frozen once released. A version
    /// with a mapping of its own, and each aggregate, is a line of its own, as in the builder.
    pub fn publish<A, I>(self) -> Self
    where
        A: Evolve,
        A::Event: JsonSchema,
        I: Publish<A> + JsonSchema,
    {
        let mut this = self.stream::<I>();
        this.family::<A::Event>();
        this.mapped::<A, I>(I::VERSION, I::TYPES, Vec::new());
        let mut way = Vec::new();
        for older in I::OLDER.iter().take_while(|older| !older.is_own()) {
            way.extend(older.down());
            if older.status() != Status::Retired {
                this.mapped::<A, I>(older.version(), older.types(), way.clone());
            }
        }
        this
    }

    fn mapped<A: Evolve, I: Publish<A>>(
        &mut self,
        version: u32,
        types: &'static [IntegrationType],
        way: Vec<Cast>,
    ) {
        let stream = version_of::<I>(version);
        let key = format!("mapping {stream} {}", A::NAME);
        let what = format!("the mapping of `{}` to `{stream}`", A::NAME);
        let mapped = Box::new(Mapped::<A, I>::new(stream, types, way));
        if self.behaviours.insert(key, mapped).is_some() {
            self.mistake
                .get_or_insert(Error::new(Kind::Duplicate { what }));
        }
    }

    /// Describes an integration stream by its events alone, in the version `I` and the older ones
    /// that its history declares.
    pub fn stream<I: IntegrationEvent + JsonSchema>(mut self) -> Self {
        self.version_of_stream(
            stream_of::<I>(),
            (I::TYPES, I::STATUS),
            std::any::type_name::<I>(),
            Some(described::<I>()),
        );
        for older in I::OLDER {
            let stream = version_of::<I>(older.version());
            if older.status() == Status::Retired {
                self.retired.insert(stream.to_string());
                continue;
            }
            let of = std::any::type_name::<I>();
            let declared = (older.types(), older.status());
            self.version_of_stream(stream, declared, of, older.schema);
        }
        self
    }

    fn version_of_stream(
        &mut self,
        id: StreamVersion,
        declared: (&'static [IntegrationType], Status),
        of: &'static str,
        schema: Described,
    ) {
        let Some(schema) = schema else {
            let why = format!(
                "the type of `{id}` derives no `JsonSchema`: let the derive stand below `#[derive(IntegrationEvent)]`, in an attribute of its own, so that it is seen"
            );
            self.mistake
                .get_or_insert(Error::new(Kind::NoSchema { of, why }));
            return;
        };
        let mistake = match self.streams.get(&id) {
            Some(stream) if stream.event == (schema.ty)() => return,
            Some(_) => Error::new(Kind::Duplicate {
                what: format!("the integration stream `{id}`"),
            }),
            None => match Stream::of(id, declared, of, schema) {
                Ok(stream) => {
                    self.streams.insert(stream.id.clone(), stream);
                    return;
                }
                Err(error) => error,
            },
        };
        self.mistake.get_or_insert(mistake);
    }

    /// What this integration stream promises within each of its versions, against everything that
    /// was released of it; [`Mode::Full`] unless something is said.
    pub fn mode(mut self, stream: impl Into<String>, mode: Mode) -> Self {
        self.modes.insert(stream.into(), mode);
        self
    }

    /// Says that something was released and is gone on purpose: a version of a stream, `accounts@1`,
    /// whose last reader has left, or a family of internal events, `account`, of which no log holds
    /// any.
    pub fn retired(mut self, what: impl Into<String>) -> Self {
        self.retired.insert(what.into());
        self
    }

    fn family<E: Event + JsonSchema>(&mut self) {
        if self.families.contains_key(E::NAME) {
            return;
        }
        match Family::of::<E>() {
            Ok(family) => drop(self.families.insert(E::NAME, family)),
            Err(error) => drop(self.mistake.get_or_insert(error)),
        }
    }

    fn duplicate(self, what: String) -> Self {
        self.mistaken(Error::new(Kind::Duplicate { what }))
    }

    fn mistaken(mut self, error: Error) -> Self {
        self.mistake.get_or_insert(error);
        self
    }

    /// The description without its mistakes.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn sound(mut self) -> Result<Self> {
        self.mistake.take().map_or(Ok(self), Err)
    }

    /// Whether a projection or a stream is part of it.
    #[cfg(feature = "runtime")]
    pub(crate) fn describes(&self, id: &ProjectionId) -> bool {
        let mut behaviours = self
            .behaviours
            .values()
            .map(|behaviour| behaviour.subject());
        let kind = match id.kind {
            ProjectionKind::ReadModel => "projection",
            ProjectionKind::Stream => "mapping",
            // Nobody outside sees what it does.
            ProjectionKind::Process => return true,
        };
        behaviours.any(|of| (of.kind, &of.name, of.version) == (kind, &id.name, id.version))
    }

    /// `bank.account-opened.v2`.
    pub(crate) fn event_type(&self, stream: &StreamVersion, event: &str) -> String {
        let namespace = self.namespace.as_ref().unwrap_or(&self.service);
        format!("{namespace}.{event}.v{}", stream.version)
    }
}

impl Stream {
    fn of(
        id: StreamVersion,
        (types, status): (&'static [IntegrationType], Status),
        of: &'static str,
        schema: TypeSchema,
    ) -> Result<Self> {
        let suffix = format!("V{}", id.version);
        let (root, names) = ((schema.root)(), (schema.names)());
        let written = Payloads::from_root(of, root, names, types.len(), &suffix)?;
        let payloads = written.variants.into_iter();
        let events = types
            .iter()
            .zip(payloads)
            .map(|(event, payload)| PublicEvent {
                name: event.name,
                title: format!("{}{suffix}", pascal(event.name)),
                payload,
            });
        Ok(Self {
            event: (schema.ty)(),
            status,
            events: events.collect(),
            id,
            description: written.description,
            definitions: written.definitions,
            rewrite: schema.rewrite,
        })
    }

    /// The schema of an event's payload, by itself.
    pub(crate) fn document(&self, event: &PublicEvent) -> Value {
        let mut document = document(&event.payload, &self.definitions);
        document["title"] = event.title.clone().into();
        document
    }
}

impl Family {
    fn of<E: Event + JsonSchema>() -> Result<Self> {
        let written = Payloads::of::<E>(E::TYPES.len(), "")?;
        let documents = written
            .variants
            .iter()
            .map(|v| document(v, &written.definitions));
        Ok(Self {
            name: E::NAME,
            types: E::TYPES,
            written: (0..E::TYPES.len())
                .filter(|variant| !E::HISTORY.is_retired(*variant))
                .collect(),
            shapes: E::SHAPES,
            foreign: E::HISTORY.foreign_names().map(|(name, _)| name).collect(),
            payloads: documents.collect(),
            ids: (1..=IDS).map(|n| n.to_string()).collect(),
            decode: |stored| Recorded::<E>::decode(stored).map(drop),
            rewrite: rewrite::<E>,
        })
    }
}

/// A schema by itself: with the dialect and what it refers to.
fn document(schema: &Value, definitions: &Definitions) -> Value {
    let reached = reachable([schema], definitions);
    let mut document = match schema {
        // Nothing may stand beside a reference in draft-07.
        Value::Object(object) if object.contains_key("$ref") => json!({ "allOf": [schema] }),
        Value::Object(_) => schema.clone(),
        other => json!({ "allOf": [other] }),
    };
    document["$schema"] = DIALECT.into();
    if !reached.is_empty() {
        document["definitions"] = reached
            .into_iter()
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    document
}

/// Ids that the aggregate's type takes: numbers, or else UUIDs.
fn ids<A: Aggregate>() -> Option<Vec<String>> {
    let numbers = |n: usize| n.to_string();
    let uuids = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    let kinds: [&dyn Fn(usize) -> String; 2] = [&numbers, &uuids];
    let some = |kind: &dyn Fn(usize) -> String| -> Vec<String> { (1..=IDS).map(kind).collect() };
    let taken = |ids: &Vec<String>| ids.iter().all(|id| id.parse::<A::Id>().is_ok());
    kinds.into_iter().map(some).find(taken)
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
