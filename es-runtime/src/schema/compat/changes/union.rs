//! Branches of unions: which of the old ones is which of the new ones.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::super::node::Kinds;
use super::super::number::normal;
use super::super::refs::{Place, Refs};
use super::{Walk, same};

/// The branches of a schema that is nothing but a union.
pub(super) fn branches(schema: &Map<String, Value>) -> Option<(&'static str, &Vec<Value>)> {
    const BESIDE: [&str; 9] = [
        "$schema",
        "$id",
        "title",
        "description",
        "definitions",
        "$defs",
        "default",
        "examples",
        "$comment",
    ];
    let word = ["anyOf", "oneOf"]
        .into_iter()
        .find(|word| schema.contains_key(*word))?;
    let alone = schema
        .keys()
        .all(|key| key == word || BESIDE.contains(&key.as_str()) || key.starts_with("x-"));
    match (alone, schema.get(word)) {
        (true, Some(Value::Array(list))) => Some((word, list)),
        _ => None,
    }
}

/// The values of a schema that lists them: in `enum`, in `const`, or as a union of those.
pub(super) fn values(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    let listed = |schema: &Map<String, Value>| match (schema.get("const"), schema.get("enum")) {
        (Some(value), None) => Some(vec![normal(value)]),
        (None, Some(Value::Array(values))) => Some(values.iter().map(normal).collect()),
        _ => None,
    };
    if let Some(values) = listed(schema) {
        return Some(values);
    }
    let (_, list) = branches(schema)?;
    let mut all = Vec::new();
    for branch in list {
        all.extend(listed(branch.as_object()?)?);
    }
    Some(all)
}

/// How much two branches are the same: 0 if they are not at all.
pub(super) fn alike(walk: &Walk<'_>, old: &Place, new: &Place) -> u8 {
    if same(walk, old, new, &mut HashSet::new()) {
        return 4;
    }
    let (at, left) = walk.old.followed(old);
    let (new_at, right) = walk.new.followed(new);
    let (tags, others) = (tags(&walk.old, left, &at), tags(&walk.new, right, &new_at));
    let shared = tags
        .iter()
        .filter_map(|(name, value)| Some(value == others.get(name)?));
    match shared.reduce(|left, right| left && right) {
        Some(true) => return 3,
        Some(false) => return 0,
        None => {}
    }
    let name = |refs: &Refs<'_>, place: &Place, schema: &Value| {
        let title = schema.get("title").and_then(Value::as_str);
        let target = refs
            .at(place)
            .and_then(|raw| raw.get("$ref")?.as_str()?.rsplit('/').next());
        title.or(target).map(str::to_owned)
    };
    match (name(&walk.old, old, left), name(&walk.new, new, right)) {
        (Some(left), Some(right)) if left == right => return 2,
        (Some(_), Some(_)) => return 0,
        _ => {}
    }
    match (kinds(left), kinds(right)) {
        (Some(left), Some(right)) => u8::from(left.and(right) == left || left.and(right) == right),
        (None, None) => 1,
        _ => 0,
    }
}

/// The properties that have one value only.
fn tags(refs: &Refs<'_>, schema: &Value, place: &Place) -> BTreeMap<String, Value> {
    let mut tags = BTreeMap::new();
    for (name, _) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let (_, property) = refs.followed(&place.below("properties").below(name));
        if let Some([value]) = property.as_object().and_then(values).as_deref() {
            tags.insert(name.clone(), value.clone());
        }
    }
    tags
}

/// As many pairs as there can be, those that are most alike first.
pub(super) fn matched(
    old: usize,
    new: usize,
    alike: impl Fn(usize, usize) -> u8,
) -> Vec<(usize, usize)> {
    let ranks: Vec<Vec<u8>> = (0..old)
        .map(|left| (0..new).map(|right| alike(left, right)).collect())
        .collect();
    let mut held: Vec<Option<usize>> = vec![None; new];
    for rank in (1..=4).rev() {
        for left in 0..old {
            if !held.contains(&Some(left)) {
                augment(&ranks, rank, left, &mut held, &mut vec![false; new]);
            }
        }
    }
    let pairs = held.into_iter().enumerate();
    let mut pairs: Vec<_> = pairs
        .filter_map(|(right, left)| Some((left?, right)))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// Finds a partner, moving others to partners that are alike enough.
fn augment(
    ranks: &[Vec<u8>],
    rank: u8,
    left: usize,
    held: &mut [Option<usize>],
    asked: &mut [bool],
) -> bool {
    let fits = |right: usize| ranks[left][right] >= rank;
    // One that is free, before another is moved.
    if let Some(free) = (0..held.len()).find(|&right| fits(right) && held[right].is_none()) {
        held[free] = Some(left);
        return true;
    }
    for right in (0..held.len()).filter(|&right| fits(right)) {
        let Some(other) = held[right] else { continue };
        if !std::mem::replace(&mut asked[right], true) && augment(ranks, rank, other, held, asked) {
            held[right] = Some(left);
            return true;
        }
    }
    false
}

/// The kinds that a schema names, if it names any.
fn kinds(schema: &Value) -> Option<Kinds> {
    match schema.get("type")? {
        Value::Array(names) => names.iter().try_fold(Kinds::NONE, |kinds, name| {
            Some(kinds.and(Kinds::named(name.as_str()?)?))
        }),
        name => Kinds::named(name.as_str()?),
    }
}
