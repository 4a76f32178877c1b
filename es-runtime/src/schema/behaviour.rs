//! What projections and mappings make of the sample: the effects by which a changed behaviour is
//! noticed. Nothing here has a store: folds and mappings are pure.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use serde_json::{Map, Number, Value, json};

use super::samples::Samples;
use crate::aggregate::{Evolve, IntoEvents, Loaded};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Recorded, StoredEventRef};
use crate::integration::{Cast, IntegrationType, Publish, StreamVersion, down, encoded};
use crate::projection::{Fold, Folding, Projection};
use crate::store;

/// What one event of the sample did: a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The event's line in the sample, from 1.
    pub(crate) event: usize,
    pub(crate) line: String,
}

/// A version of a projection, or of an integration stream with the aggregate that is mapped to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// `projection` or `mapping`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) of: Option<&'static str>,
}

/// `balances@2`, `accounts@2 of account`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)?;
        self.of.map_or(Ok(()), |of| write!(f, " of {of}"))
    }
}

/// Something that makes rows or events of events.
pub(crate) trait Behaviour {
    fn as_any(&mut self) -> &mut dyn Any;

    /// What it is.
    fn subject(&self) -> Subject;

    /// What else must not change: the columns of a table.
    fn form(&self) -> String;

    /// What the events of the sample do, one after the other.
    ///
    /// # Errors
    /// When an event cannot be read.
    fn effects(&self, samples: &Samples) -> Result<Vec<Effect>>;
}

/// A version of a read model, with the families of events that it folds.
pub(crate) struct Folded<P> {
    sources: BTreeMap<&'static str, Decode<P>>,
}

type Decode<P> = fn(StoredEventRef<'_>) -> Result<Vec<Box<dyn Folding<P>>>>;

impl<P: Projection> Folded<P> {
    pub(crate) fn new() -> Self {
        Self {
            sources: BTreeMap::new(),
        }
    }

    /// Adds a family of events; `false` if it is there already.
    pub(crate) fn add<E: Event>(&mut self) -> bool
    where
        P: Fold<E>,
    {
        let decode: Decode<P> = |event| {
            let boxed = |part| Box::new(part) as Box<dyn Folding<P>>;
            Ok(Recorded::<E>::decode(event)?.map(boxed).collect())
        };
        self.sources.insert(E::NAME, decode).is_none()
    }
}

impl<P: Projection> Folded<P> {
    /// Folds one event into the rows of its keys.
    fn fold(
        n: usize,
        event: &dyn Folding<P>,
        rows: &mut BTreeMap<String, store::Row>,
        effects: &mut Vec<Effect>,
    ) -> Result<()> {
        let Some(mut keys) = quietly(|| event.keys()) else {
            effects.push(effect(n, json!({ "panics": "keys" })));
            return Ok(());
        };
        // Rows of different keys know nothing of each other.
        keys.sort();
        for key in keys {
            let before = rows.get(&key).cloned();
            let row = before
                .map(P::from_row)
                .transpose()
                .map_err(misfit::<P>(&key))?;
            let Some(row) = quietly(|| event.fold(row)) else {
                effects.push(effect(n, json!({ "key": key, "panics": true })));
                continue;
            };
            let row = match row.map(|row| row.to_row()).transpose() {
                Ok(row) => row,
                // The projection would stop before the event, with the row as it was.
                Err(error) => {
                    let stops = misfit::<P>(&key)(error).code();
                    effects.push(effect(n, json!({ "key": key, "stops": stops })));
                    continue;
                }
            };
            let shown = shown::<P>(row.as_ref());
            effects.push(effect(n, json!({ "key": key, "row": shown })));
            match row {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }
}

impl<P: Projection> Behaviour for Folded<P> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn subject(&self) -> Subject {
        Subject {
            kind: "projection",
            name: P::NAME.to_owned(),
            version: P::VERSION,
            of: None,
        }
    }

    fn form(&self) -> String {
        P::TABLE.fingerprint()
    }

    fn effects(&self, samples: &Samples) -> Result<Vec<Effect>> {
        let (mut rows, mut effects) = (BTreeMap::<String, store::Row>::new(), Vec::new());
        for (n, event) in samples.events() {
            let Some(decode) = self.sources.get(event.aggregate()) else {
                continue;
            };
            for part in decode(event)? {
                Self::fold(n, &*part, &mut rows, &mut effects)?;
            }
        }
        Ok(effects)
    }
}

fn misfit<P: Projection>(key: &str) -> impl FnOnce(crate::projection::OutOfRange) -> Error {
    let what = format!("the row `{key}` of `{}`", P::TABLE);
    |error| Error::caused_by(Kind::OutOfRange { what }, error)
}

/// A row as JSON, by its columns' names.
fn shown<P: Projection>(row: Option<&store::Row>) -> Value {
    let Some(row) = row else {
        return Value::Null;
    };
    let columns = P::COLUMNS.iter().map(|column| column.name.to_owned());
    columns
        .zip(row.iter().map(value))
        .collect::<Map<_, _>>()
        .into()
}

fn value(value: &store::Value) -> Value {
    match value {
        store::Value::Null => Value::Null,
        store::Value::Integer(n) => (*n).into(),
        // What JSON has no number for is told as text.
        store::Value::Real(x) => {
            Number::from_f64(*x).map_or_else(|| x.to_string().into(), Into::into)
        }
        store::Value::Boolean(yes) => (*yes).into(),
        store::Value::Text(text) => text.as_str().into(),
        store::Value::Bytes(bytes) => hex::encode(bytes).into(),
    }
}

/// The mapping of one aggregate's events to a version of an integration stream: to `I`, and from
/// there down to an older one.
pub(crate) struct Mapped<A, I> {
    stream: StreamVersion,
    types: &'static [IntegrationType],
    way: Vec<Cast>,
    of: PhantomData<fn(A) -> I>,
}

impl<A, I> Mapped<A, I> {
    pub(crate) fn new(
        stream: StreamVersion,
        types: &'static [IntegrationType],
        way: Vec<Cast>,
    ) -> Self {
        Self {
            stream,
            types,
            way,
            of: PhantomData,
        }
    }
}

impl<A: Evolve, I: Publish<A>> Behaviour for Mapped<A, I> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn subject(&self) -> Subject {
        let StreamVersion { stream, version } = &self.stream;
        Subject {
            kind: "mapping",
            name: stream.clone(),
            version: *version,
            of: Some(A::NAME),
        }
    }

    fn form(&self) -> String {
        String::new()
    }

    fn effects(&self, samples: &Samples) -> Result<Vec<Effect>> {
        let (mut states, mut effects) = (BTreeMap::<String, Loaded<A>>::new(), Vec::new());
        for (n, event) in samples
            .events()
            .filter(|(_, event)| event.aggregate() == A::NAME)
        {
            let before = states.entry(event.stream.to_owned()).or_default();
            let parts = Recorded::<A::Event>::decode(event)?;
            let mut after = before.clone();
            let published = quietly(|| {
                let mut published = Vec::new();
                after.count();
                for part in parts {
                    after.evolve(&part.data);
                    published.extend(I::publish(&part, after.state()).into_events());
                }
                published
            });
            // The state stays as it was before an event that it cannot take.
            let Some(published) = published else {
                effects.push(effect(n, json!({ "panics": true })));
                continue;
            };
            *before = after;
            let told = encoded(published).and_then(|events| down(&self.way, events));
            let told = match told {
                Ok(told) => told,
                // The stream would stop before the event.
                Err(error) => {
                    effects.push(effect(n, json!({ "stops": error.code() })));
                    continue;
                }
            };
            for (variant, payload) in told {
                let data: Value = serde_json::from_str(&payload).map_err(|error| {
                    let what = format!("an event of `{}`", self.stream);
                    Error::caused_by(Kind::Unencodable { what }, error)
                })?;
                let name = self.types[variant].name;
                effects.push(effect(n, json!({ "event": name, "data": data })));
            }
        }
        Ok(effects)
    }
}

fn effect(event: usize, mut outcome: Value) -> Effect {
    outcome["sample"] = event.into();
    outcome.sort_all_objects();
    Effect {
        event,
        line: outcome.to_string(),
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `run` answers; `None` if it panics, which is an outcome like others, so nothing is printed.
fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let answer = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    answer.ok()
}
