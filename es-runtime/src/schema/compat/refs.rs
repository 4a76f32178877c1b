//! Where a `$ref` leads, within one document.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// References that lead to references.
const LONGEST: usize = 50;

/// A place in the document: the steps to it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Place(Vec<String>);

impl Place {
    pub(super) fn root() -> Self {
        Self::default()
    }

    pub(super) fn below(&self, step: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_owned());
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[String] {
        &self.0
    }

    /// As a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let steps = self.0.iter();
        steps.map(|step| format!("/{}", pointer(step))).collect()
    }
}

/// One step of a JSON pointer.
pub(super) fn pointer(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// The names that schemas of a document have.
pub(super) struct Refs<'a> {
    document: &'a Value,
    /// Absolute or as written, without an empty fragment.
    named: HashMap<String, Place>,
    /// The schemas that name themselves, and so are what their references start from.
    bases: HashMap<Place, String>,
    /// A dynamic reference may lead to more than one place.
    dynamic: bool,
}

impl<'a> Refs<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        let mut refs = Self {
            document,
            named: HashMap::new(),
            bases: HashMap::new(),
            dynamic: false,
        };
        let mut anchors = HashSet::new();
        refs.bases.insert(Place::root(), String::new());
        let mut todo = vec![(Place::root(), document, String::new())];
        while let Some((place, at, base)) = todo.pop() {
            let mut base = base;
            if let Value::Object(members) = at {
                let text = |word: &str| members.get(word).and_then(Value::as_str);
                if let Some(id) = text("$id").or_else(|| text("id")) {
                    let id = join(&base, id);
                    if !id.contains('#') {
                        base.clone_from(&id);
                        refs.bases.insert(place.clone(), id.clone());
                    }
                    refs.named.entry(id).or_insert_with(|| place.clone());
                }
                for word in ["$anchor", "$dynamicAnchor"] {
                    if let Some(anchor) = text(word) {
                        refs.dynamic |= word == "$dynamicAnchor" && !anchors.insert(anchor);
                        let anchor = join(&base, &format!("#{anchor}"));
                        refs.named.entry(anchor).or_insert_with(|| place.clone());
                    }
                }
            }
            match at {
                Value::Object(members) => {
                    let data = ["enum", "const", "default", "examples"];
                    for (name, member) in members {
                        if !data.contains(&name.as_str()) {
                            todo.push((place.below(name), member, base.clone()));
                        }
                    }
                }
                Value::Array(items) => {
                    for (number, item) in items.iter().enumerate() {
                        todo.push((place.below(&number.to_string()), item, base.clone()));
                    }
                }
                _ => {}
            }
        }
        refs.dynamic |= refs.bases.len() > 1;
        refs
    }

    pub(super) fn is_dynamic(&self) -> bool {
        self.dynamic
    }

    pub(super) fn document(&self) -> &'a Value {
        self.document
    }

    pub(super) fn at(&self, place: &Place) -> Option<&'a Value> {
        place.0.iter().try_fold(self.document, |at, step| match at {
            Value::Object(members) => members.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The schema itself, where this place only refers to it. What refers to itself stays as it is.
    pub(super) fn followed(&self, place: &Place) -> (Place, &'a Value) {
        const TRUE: &Value = &Value::Bool(true);
        let mut place = place.clone();
        for _ in 0..LONGEST {
            let target = self
                .at(&place)
                .and_then(|schema| schema.get("$ref")?.as_str());
            match target.and_then(|target| self.resolve(&place, target)) {
                Some(target) => place = target,
                None => break,
            }
        }
        let schema = self.at(&place).unwrap_or(TRUE);
        (place, schema)
    }

    /// The place that a reference from here leads to, if it is in this document.
    pub(super) fn resolve(&self, from: &Place, target: &str) -> Option<Place> {
        let base = (0..=from.0.len())
            .rev()
            .find_map(|length| self.bases.get(&Place(from.0[..length].to_vec())))?;
        let target = join(base, target);
        if let Some(place) = self.named.get(&target) {
            return Some(place.clone());
        }
        let (resource, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let mut place = match resource {
            "" => Place::root(),
            named => self.named.get(named)?.clone(),
        };
        if !fragment.is_empty() {
            let steps = fragment.strip_prefix('/')?.split('/');
            for step in steps {
                let step = percent_decoded(step)?.replace("~1", "/").replace("~0", "~");
                place.0.push(step);
            }
        }
        self.at(&place).map(|_| place)
    }
}

/// A reference, seen from the name that it stands under.
fn join(base: &str, target: &str) -> String {
    let target = target.strip_suffix('#').unwrap_or(target);
    let bare = base.split('#').next().unwrap_or_default();
    let has_scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || "+-.".contains(next))
    });
    if has_scheme || bare.is_empty() {
        return target.to_owned();
    }
    if target.is_empty() || target.starts_with('#') {
        return format!("{bare}{target}");
    }
    let root = bare.find("://").map_or(0, |scheme| {
        bare[scheme + 3..]
            .find('/')
            .map_or(bare.len(), |path| scheme + 3 + path)
    });
    match target.starts_with('/') {
        true => format!("{}{target}", &bare[..root]),
        false => {
            let folder = bare
                .rfind('/')
                .filter(|&slash| slash >= root)
                .map_or(root, |slash| slash + 1);
            format!("{}{target}", &bare[..folder])
        }
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
