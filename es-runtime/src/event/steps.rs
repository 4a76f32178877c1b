//! The steps of a history, and the one interpreter for them: from one version of a payload to
//! another, both ways.

use super::payload::{Fields, Payload, Raw, raw};

/// What a step does with the values of the fields that it takes: a value for each that it gives.
/// A field that the payload does not have is a `None`.
pub type Convert = fn(&[Option<Raw>]) -> Result<Vec<Raw>, String>;

/// What an added field holds in a payload of before.
pub type Fill = fn(&Payload) -> Result<Raw, String>;

/// What becomes of a whole payload.
pub type Rewrite = fn(&Payload) -> Result<Raw, String>;

/// One change, which made the version `since`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Step {
    since: u32,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// The event was called so before.
    Named(&'static str),
    Added(&'static str, Fill),
    Renamed(&'static str, &'static str),
    Converted {
        from: &'static [&'static str],
        to: &'static [&'static str],
        /// Without, the fields were removed.
        up: Option<Convert>,
        down: Option<Convert>,
    },
    /// Fields went into an object.
    Nested(&'static [&'static str], &'static str),
    /// Fields came out of an object.
    Flattened(&'static str, &'static [&'static str]),
    Whole {
        up: Rewrite,
        down: Option<Rewrite>,
    },
}

/// Why a payload does not become one of another version.
#[derive(Debug)]
pub(crate) struct NoWay {
    /// The version that it does not become.
    pub(super) version: u32,
    pub(super) why: String,
}

/// What the derive emits for each change.
#[doc(hidden)]
#[allow(missing_docs)]
impl Step {
    const fn new(since: u32, change: Change) -> Self {
        Self { since, change }
    }

    pub const fn named(since: u32, was: &'static str) -> Self {
        Self::new(since, Change::Named(was))
    }

    pub const fn added(since: u32, field: &'static str, fill: Fill) -> Self {
        Self::new(since, Change::Added(field, fill))
    }

    pub const fn renamed(since: u32, from: &'static str, to: &'static str) -> Self {
        Self::new(since, Change::Renamed(from, to))
    }

    pub const fn removed(since: u32, from: &'static [&'static str], down: Option<Convert>) -> Self {
        let (to, up): (&[_], _) = (&[], None);
        Self::new(since, Change::Converted { from, to, up, down })
    }

    pub const fn converted(
        since: u32,
        from: &'static [&'static str],
        to: &'static [&'static str],
        up: Convert,
        down: Option<Convert>,
    ) -> Self {
        let up = Some(up);
        Self::new(since, Change::Converted { from, to, up, down })
    }

    pub const fn nested(since: u32, from: &'static [&'static str], into: &'static str) -> Self {
        Self::new(since, Change::Nested(from, into))
    }

    pub const fn flattened(since: u32, from: &'static str, to: &'static [&'static str]) -> Self {
        Self::new(since, Change::Flattened(from, to))
    }

    pub const fn whole(since: u32, up: Rewrite, down: Option<Rewrite>) -> Self {
        Self::new(since, Change::Whole { up, down })
    }
}

/// The event's name in `version`, where it was another one than today.
pub(super) fn name_at(steps: &[Step], version: u32) -> Option<&'static str> {
    let later = steps.iter().filter(|step| step.since > version);
    let name = |step: &Step| match step.change {
        Change::Named(was) => Some(was),
        _ => None,
    };
    later.filter_map(name).next()
}

pub(super) fn parse(text: &str, version: u32) -> Result<Payload, NoWay> {
    let no_json = |error| NoWay {
        version,
        why: format!("the payload is no JSON: {error}"),
    };
    Payload::parse(text).map_err(no_json)
}

pub(super) fn into_text(payload: Payload, version: u32) -> Result<String, NoWay> {
    let unwritable = |error: serde_json::Error| NoWay {
        version,
        why: error.to_string(),
    };
    payload.into_text().map_err(unwritable)
}

/// Goes through the versions after `from`, up to `to`.
pub(super) fn up(
    steps: &[Step],
    from: u32,
    to: u32,
    mut payload: Payload,
) -> Result<Payload, NoWay> {
    for version in from.saturating_add(1)..=to {
        let made = || steps.iter().filter(|step| step.since == version);
        pass(made().map(|step| &step.change), &mut payload, Change::up)
            .map_err(|why| NoWay { version, why })?;
    }
    Ok(payload)
}

/// Goes back through the versions, from `from` down to `to`.
pub(super) fn down(
    steps: &[Step],
    from: u32,
    to: u32,
    mut payload: Payload,
) -> Result<Payload, NoWay> {
    for version in (to..from).rev() {
        let made = || steps.iter().filter(|step| step.since == version + 1);
        pass(made().map(|step| &step.change), &mut payload, Change::down)
            .map_err(|why| NoWay { version, why })?;
    }
    Ok(payload)
}

/// What a change does to a payload: fields that it takes away, and fields with what they hold.
#[derive(Default)]
struct Effect {
    without: Vec<&'static str>,
    with: Vec<(&'static str, Raw)>,
    whole: Option<Raw>,
}

type Apply = fn(&Change, &mut Payload) -> Result<Effect, String>;

/// Makes one version of another. All of its changes see the payload as it was, so that they may
/// exchange names.
fn pass<'c>(
    changes: impl Iterator<Item = &'c Change>,
    payload: &mut Payload,
    apply: Apply,
) -> Result<(), String> {
    let effects = changes
        .map(|change| apply(change, payload))
        .collect::<Result<Vec<_>, _>>()?;
    for effect in &effects {
        for name in &effect.without {
            payload.fields()?.remove(*name);
        }
    }
    for effect in effects {
        for (name, value) in effect.with {
            payload.fields()?.insert(name.to_owned(), value);
        }
        if let Some(whole) = effect.whole {
            *payload = Payload::from_raw(whole);
        }
    }
    Ok(())
}

impl Change {
    fn up(&self, payload: &mut Payload) -> Result<Effect, String> {
        match *self {
            Self::Named(_) => Ok(Effect::default()),
            Self::Added(field, fill) => {
                let value = fill(payload).map_err(|why| format!("`{field}`: {why}"))?;
                Ok(Effect {
                    with: vec![(field, value)],
                    ..Effect::default()
                })
            }
            Self::Renamed(from, to) => rename(payload, from, to),
            Self::Converted {
                from,
                to,
                up: Some(up),
                ..
            } => by_function(payload, from, to, up),
            Self::Converted { from, .. } => Ok(Effect {
                without: from.to_vec(),
                ..Effect::default()
            }),
            Self::Nested(fields, object) => nest(payload, fields, object),
            Self::Flattened(object, fields) => flatten(payload, object, fields),
            Self::Whole { up, .. } => Ok(Effect {
                whole: Some(up(payload)?),
                ..Effect::default()
            }),
        }
    }

    fn down(&self, payload: &mut Payload) -> Result<Effect, String> {
        match *self {
            Self::Named(_) => Ok(Effect::default()),
            Self::Added(field, _) => Ok(Effect {
                without: vec![field],
                ..Effect::default()
            }),
            Self::Renamed(from, to) => rename(payload, to, from),
            Self::Converted {
                from,
                to,
                down: Some(down),
                ..
            } => by_function(payload, to, from, down),
            Self::Nested(fields, object) => flatten(payload, object, fields),
            Self::Flattened(object, fields) => nest(payload, fields, object),
            Self::Whole {
                down: Some(down), ..
            } => Ok(Effect {
                whole: Some(down(payload)?),
                ..Effect::default()
            }),
            Self::Converted { from, .. } => {
                let names: Vec<_> = from.iter().map(|name| format!("`{name}`")).collect();
                Err(format!(
                    "no `down` is declared that makes {}",
                    names.join(", ")
                ))
            }
            Self::Whole { .. } => Err("no `down` is declared beside `upcast`".to_owned()),
        }
    }
}

/// A field that is not there stays away: whether it may is for its type to say.
fn rename(payload: &mut Payload, from: &'static str, to: &'static str) -> Result<Effect, String> {
    let value = payload.fields()?.get(from).cloned();
    Ok(Effect {
        without: vec![from],
        with: value.map(|value| (to, value)).into_iter().collect(),
        whole: None,
    })
}

fn by_function(
    payload: &mut Payload,
    from: &'static [&'static str],
    to: &'static [&'static str],
    convert: Convert,
) -> Result<Effect, String> {
    let fields = payload.fields()?;
    let values: Vec<_> = from.iter().map(|name| fields.get(*name).cloned()).collect();
    let made = convert(&values).map_err(|why| {
        let names: Vec<_> = from.iter().map(|name| format!("`{name}`")).collect();
        format!("{}: {why}", names.join(", "))
    })?;
    Ok(Effect {
        without: from.to_vec(),
        with: to.iter().copied().zip(made).collect(),
        whole: None,
    })
}

fn nest(
    payload: &mut Payload,
    fields: &'static [&'static str],
    object: &'static str,
) -> Result<Effect, String> {
    let all = payload.fields()?;
    let inner: Fields = fields
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())))
        .collect();
    Ok(Effect {
        without: fields.to_vec(),
        with: vec![(object, raw(&inner)?)],
        whole: None,
    })
}

fn flatten(
    payload: &mut Payload,
    object: &'static str,
    fields: &'static [&'static str],
) -> Result<Effect, String> {
    let value = payload.fields()?.get(object).cloned();
    let value = value.ok_or_else(|| format!("the payload has no `{object}`"))?;
    let mut inner = Payload::from_raw(value);
    let inner = inner.fields().map_err(|why| format!("`{object}`: {why}"))?;
    let found = fields
        .iter()
        .filter_map(|name| Some((*name, inner.get(*name)?.clone())));
    Ok(Effect {
        with: found.collect(),
        without: vec![object],
        whole: None,
    })
}
