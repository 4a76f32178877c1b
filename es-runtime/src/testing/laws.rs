//! The laws of a stream's versions, checked with made-up events.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::marker::PhantomData;

use fastrand::Rng;
use serde_json::Value;

use crate::event::encode;
use crate::integration::{Cast, Check, IntegrationEvent, IntegrationType, version_of};

/// Checks the history that `E`, the newest version of a stream, declares. One line of a test:
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
/// # #[integration(stream = "accounts", version = 1)]
/// # enum Accounts { AccountOpened { account: String } }
/// es_runtime::testing::laws::<Accounts>().check();
/// ```
///
/// The laws, for every event of every version:
///
/// 1. What is written reads as the same.
/// 2. An older event goes up and is a valid event of the next version; a newer one comes down and
///    is a valid event of the version before.
/// 3. What went up comes down as it was, unless the history declares the change as `lossy`.
///
/// With the feature `schema` and [`schemas`](Laws::schemas), a valid event is also one that its
/// version's schema allows.
pub fn laws<E: IntegrationEvent>() -> Laws<E> {
    Laws {
        seed: 0x5eed,
        cases: 100,
        samples: Vec::new(),
        schemas: HashMap::new(),
        event: PhantomData,
    }
}

/// A check of a stream's history, to be run with [`check`](Self::check).
#[derive(Debug)]
#[must_use = "`check` runs it"]
pub struct Laws<E> {
    seed: u64,
    cases: usize,
    samples: Vec<(u32, usize, String)>,
    /// What the payloads of a version must agree with, in the order of its events.
    schemas: HashMap<u32, Vec<Value>>,
    event: PhantomData<fn() -> E>,
}

#[cfg(feature = "schema")]
impl<E: IntegrationEvent + schemars::JsonSchema> Laws<E> {
    /// Holds the events to the schemas of their versions, too: what goes up or comes down is what
    /// the schema of the other version allows.
    ///
    /// # Panics
    /// When a version has no schema: let `derive(JsonSchema)` stand below
    /// `#[derive(IntegrationEvent)]`, where the older types see it.
    pub fn schemas(mut self) -> Self {
        use crate::schema::{described, payload_schemas};
        let newest = (E::VERSION, E::TYPES, Some(described::<E>()));
        let older = E::OLDER.iter().filter(|older| older.check.is_some());
        let older = older.map(|older| (older.version(), older.types(), older.schema));
        for (version, types, schema) in std::iter::once(newest).chain(older) {
            let id = version_of::<E>(version);
            let Some(schema) = schema else {
                panic!(
                    "`{id}` has no schema: let `derive(JsonSchema)` stand below `#[derive(IntegrationEvent)]`"
                );
            };
            match payload_schemas(id, types, schema) {
                Ok(schemas) => drop(self.schemas.insert(version, schemas)),
                Err(error) => panic!("{error}"),
            }
        }
        self
    }
}

impl<E: IntegrationEvent> Laws<E> {
    /// Makes up other events than usual. What goes wrong tells its seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// So many made-up events of each kind; 100 unless something is said.
    pub fn cases(self, cases: usize) -> Self {
        Self { cases, ..self }
    }

    /// An event of any version, in the place of those that are made up for its kind: for fields
    /// that hold less than their types could, and for types that accept little.
    ///
    /// # Panics
    /// When the event cannot be written as JSON.
    pub fn sample<V: IntegrationEvent>(mut self, event: V) -> Self {
        match encode(&event) {
            Ok((variant, payload)) => self.samples.push((V::VERSION, variant, payload)),
            Err(error) => panic!("the sample cannot be written as JSON: {error}"),
        }
        self
    }

    /// Checks all laws.
    ///
    /// # Panics
    /// When one of them is broken; the text has all that were found, with the events.
    pub fn check(self) {
        let mut random = Rng::with_seed(self.seed);
        let mut broken = Broken::default();
        let versions = versions::<E>(&self.schemas);
        let mut samples: Vec<Vec<Event>> = Vec::new();
        for version in &versions {
            samples.push(self.of(version, &mut random, &mut broken));
        }
        for (at, version) in versions.iter().enumerate().skip(1) {
            let newer = &versions[at - 1];
            // What came down is an event of this version like any other.
            let down: Vec<_> = samples[at - 1]
                .iter()
                .filter_map(|event| broken.down(version, newer, event))
                .flatten()
                .collect();
            samples[at].extend(down);
            for event in &samples[at] {
                broken.there_and_back(version, newer, event);
            }
        }
        assert!(
            broken.texts.is_empty(),
            "the history of `{}` breaks its laws (seed {}):\n{}",
            E::STREAM,
            self.seed,
            broken.told()
        );
    }

    /// The events of one version, made up and given.
    fn of(&self, version: &Version, random: &mut Rng, broken: &mut Broken) -> Vec<Event> {
        let mut events = Vec::new();
        for (variant, kind) in version.types.iter().enumerate() {
            let given = self
                .samples
                .iter()
                .filter(|(of, at, _)| (*of, *at) == (version.number, variant))
                .map(|(_, _, payload)| payload.clone());
            let made = events.len();
            events.extend(given.map(|payload| Event { variant, payload }));
            if events.len() > made {
                continue;
            }
            for _ in 0..self.cases {
                match (version.check.sample)(random, variant) {
                    Some(Ok(payload)) => events.push(Event { variant, payload }),
                    Some(Err(error)) => broken.say(version, kind, &format!("{error}")),
                    None => {
                        broken.say(
                            version,
                            kind,
                            "no event of it can be made up: give one with `sample`",
                        );
                        break;
                    }
                }
            }
        }
        events.retain(|event| broken.valid(version, event));
        events
    }
}

/// A version that has a type.
struct Version {
    number: u32,
    name: String,
    types: &'static [IntegrationType],
    lossy: &'static [&'static str],
    check: Check,
    down: Option<Cast>,
    #[cfg_attr(not(feature = "schema"), allow(dead_code))]
    schemas: Vec<Value>,
}

impl Version {
    /// Why its schema does not allow an event.
    #[cfg(feature = "schema")]
    fn disagrees(&self, event: &Event) -> Option<String> {
        use crate::schema::compat::{Verdict, subset};
        let schema = self.schemas.get(event.variant)?;
        let (_, value) = event.value();
        match subset(&serde_json::json!({ "const": value }), schema) {
            // A format without a counterexample is a promise to typed readers, which one value
            // cannot break.
            Verdict::NotSubset {
                path,
                reason,
                counterexample: Some(_),
            } => Some(format!("{reason} at `{path}`")),
            _ => None,
        }
    }

    #[cfg(not(feature = "schema"))]
    fn disagrees(&self, _: &Event) -> Option<String> {
        None
    }
}

/// The newest version, then each older one.
fn versions<E: IntegrationEvent>(schemas: &HashMap<u32, Vec<Value>>) -> Vec<Version> {
    let schemas = |version| schemas.get(&version).cloned().unwrap_or_default();
    let newest = Version {
        number: E::VERSION,
        name: version_of::<E>(E::VERSION).to_string(),
        types: E::TYPES,
        lossy: &[],
        check: Check::of::<E>(),
        down: None,
        schemas: schemas(E::VERSION),
    };
    let older = E::OLDER.iter().filter_map(|older| {
        Some(Version {
            number: older.version(),
            name: version_of::<E>(older.version()).to_string(),
            types: older.types(),
            lossy: older.lossy(),
            check: older.check?,
            down: older.down(),
            schemas: schemas(older.version()),
        })
    });
    std::iter::once(newest).chain(older).collect()
}

/// An event as it is kept.
#[derive(Clone)]
struct Event {
    variant: usize,
    payload: String,
}

impl Event {
    /// As a value: the order of keys says nothing.
    fn value(&self) -> (usize, Value) {
        let value = serde_json::from_str(&self.payload).unwrap_or(Value::Null);
        (self.variant, value)
    }
}

/// What was found.
#[derive(Default)]
struct Broken {
    texts: Vec<String>,
}

impl Broken {
    /// The same mistake is told once for each kind of event.
    fn say(&mut self, version: &Version, kind: &IntegrationType, what: &str) {
        let text = format!("`{}` of `{}`: {what}", kind.name, version.name);
        let begin = |text: &str| text.split('{').next().map(str::to_owned);
        if !self.texts.iter().any(|told| begin(told) == begin(&text)) {
            self.texts.push(text);
        }
    }

    fn told(&self) -> String {
        let mut told = String::new();
        for text in &self.texts {
            let _ = writeln!(told, "- {text}");
        }
        told
    }

    fn valid(&mut self, version: &Version, event: &Event) -> bool {
        let kind = &version.types[event.variant];
        let payload = &event.payload;
        match (version.check.again)(event.variant, payload) {
            Ok(again) if again == *payload => match version.disagrees(event) {
                None => true,
                Some(why) => {
                    self.say(
                        version,
                        kind,
                        &format!("its schema does not allow it: {payload}: {why}"),
                    );
                    false
                }
            },
            Ok(again) => {
                self.say(
                    version,
                    kind,
                    &format!("it is read as another event: {payload} became {again}"),
                );
                false
            }
            Err(error) => {
                self.say(
                    version,
                    kind,
                    &format!("it cannot be read again: {payload}: {error}"),
                );
                false
            }
        }
    }

    /// What a newer event is in the version before it; nothing where that has its own mapping.
    fn down(&mut self, version: &Version, newer: &Version, event: &Event) -> Option<Vec<Event>> {
        let kind = &newer.types[event.variant];
        match (version.down?)(event.variant, &event.payload) {
            Ok(made) => {
                let made = made
                    .into_iter()
                    .map(|(variant, payload)| Event { variant, payload });
                Some(made.filter(|event| self.valid(version, event)).collect())
            }
            Err(error) => {
                let payload = &event.payload;
                self.say(
                    newer,
                    kind,
                    &format!("it does not come down: {payload}: {error}"),
                );
                None
            }
        }
    }

    fn there_and_back(&mut self, version: &Version, newer: &Version, event: &Event) {
        let kind = &version.types[event.variant];
        let payload = &event.payload;
        let Some(up) = version.check.up else {
            return;
        };
        let up = match up(event.variant, payload) {
            Ok(up) => up,
            Err(error) => {
                return self.say(
                    version,
                    kind,
                    &format!("it does not go up: {payload}: {error}"),
                );
            }
        };
        let up: Vec<_> = up
            .into_iter()
            .map(|(variant, payload)| Event { variant, payload })
            .collect();
        if !up.iter().all(|event| self.valid(newer, event))
            || version.down.is_none()
            || version.lossy.contains(&kind.name)
        {
            return;
        }
        let mut back = Vec::new();
        for event in &up {
            back.extend(self.down(version, newer, event).into_iter().flatten());
        }
        let same = back.len() == 1 && back[0].value() == event.value();
        if !same {
            let text = |events: &[Event], of: &Version| {
                let texts = events
                    .iter()
                    .map(|event| format!("`{}` {}", of.types[event.variant].name, event.payload));
                let texts: Vec<_> = texts.collect();
                if texts.is_empty() {
                    "nothing".to_owned()
                } else {
                    texts.join(", ")
                }
            };
            let (up, back) = (text(&up, newer), text(&back, version));
            self.say(
                version,
                kind,
                &format!("it does not come down as it went up, and is not declared `lossy`: {payload} is {up} in version {}, and comes down as {back}", newer.number),
            );
        }
    }
}
