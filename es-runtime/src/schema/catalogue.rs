//! The catalogue: what a service publishes, for people, with what changed from version to version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::contract::{Contract, PublicEvent, Stream};
use super::document::{definition, shape};
use crate::event::Timestamp;
use crate::integration::Status;

/// The catalogue as Markdown.
pub(super) fn catalogue(contract: &Contract) -> String {
    let mut text = format!("# What `{}` publishes\n", contract.service);
    if let Some(description) = &contract.description {
        text.push_str(&format!("\n{description}\n"));
    }
    let mut streams = BTreeMap::<&str, Vec<&Stream>>::new();
    for stream in contract.streams.values() {
        streams.entry(&stream.id.stream).or_default().push(stream);
    }
    for (name, versions) in streams {
        text.push_str(&format!("\n## `{name}`\n"));
        // The newest first: it is what a new reader takes.
        for n in (0..versions.len()).rev() {
            let older = n.checked_sub(1).map(|n| versions[n]);
            version(&mut text, contract, versions[n], older);
        }
    }
    text
}

fn version(text: &mut String, contract: &Contract, stream: &Stream, older: Option<&Stream>) {
    let id = &stream.id;
    text.push_str(&format!("\n### Version {}\n", id.version));
    if let Some(description) = &stream.description {
        text.push_str(&format!("\n{description}\n"));
    }
    if let Status::Deprecated { from, sunset } = stream.status {
        let until = sunset.map(|sunset| format!(", and it may be gone from {}", day(sunset)));
        let until = until.unwrap_or_default();
        let from = day(from);
        text.push_str(&format!(
            "\nDeprecated since {from}{until}: read a newer version.\n"
        ));
    }
    text.push_str(&format!(
        "\nRead it at `/streams/{}/v{}/events`.\n",
        id.stream, id.version
    ));
    if let Some(older) = older {
        text.push_str(&format!(
            "\nChanged since version {}:\n\n",
            older.id.version
        ));
        let changes = changes(older, stream);
        for change in &changes {
            writeln!(text, "- {change}").ok();
        }
        if changes.is_empty() {
            text.push_str("- nothing that a schema shows\n");
        }
    }
    for event in &stream.events {
        text.push_str(&format!("\n#### `{}`\n", event.name));
        if let Some(description) = event.payload["description"].as_str() {
            text.push_str(&format!("\n{description}\n"));
        }
        let event_type = contract.event_type(id, event.name);
        text.push_str(&format!("\nType `{event_type}`.\n"));
        table(text, fields(stream, event));
    }
    let types = stream.definitions.iter();
    for (name, schema) in types {
        text.push_str(&format!("\n#### Type `{name}`\n"));
        if let Some(description) = schema["description"].as_str() {
            text.push_str(&format!("\n{description}\n"));
        }
        let own = properties(schema);
        if own.is_empty() {
            text.push_str(&format!("\nIt is {}.\n", kind(schema)));
        }
        table(text, own);
    }
}

/// `2027-06-30`.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// A field of an object.
struct Field<'s> {
    name: &'s str,
    schema: &'s Value,
    required: bool,
}

/// The fields of an event, also where its payload is a type of its own.
fn fields<'s>(stream: &'s Stream, event: &'s PublicEvent) -> Vec<Field<'s>> {
    let resolved = |schema: &'s Value| {
        let target = schema["$ref"].as_str().and_then(definition);
        target
            .and_then(|name| stream.definitions.get(name))
            .unwrap_or(schema)
    };
    let payload = resolved(&event.payload);
    let inner = payload["allOf"]
        .as_array()
        .into_iter()
        .flatten()
        .map(resolved);
    std::iter::once(payload)
        .chain(inner)
        .flat_map(properties)
        .collect()
}

fn properties(schema: &Value) -> Vec<Field<'_>> {
    let required = schema["required"].as_array();
    let required = |name: &str| required.is_some_and(|all| all.iter().any(|r| r == name));
    let all = schema["properties"].as_object().into_iter().flatten();
    all.map(|(name, schema)| Field {
        name,
        schema,
        required: required(name),
    })
    .collect()
}

fn table(text: &mut String, fields: Vec<Field<'_>>) {
    if fields.is_empty() {
        return;
    }
    text.push_str("\n| field | type | | |\n|---|---|---|---|\n");
    for Field {
        name,
        schema,
        required,
    } in fields
    {
        let must = if required { "required" } else { "optional" };
        let says = schema["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        writeln!(
            text,
            "| `{name}` | {} | {must} | {says} |",
            kind(schema).replace('|', "\\|")
        )
        .ok();
    }
}

/// What a schema describes, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(definition) {
        return format!("`{name}`");
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    if let Some(values) = schema["enum"].as_array() {
        return join(values.iter().map(|value| format!("`{value}`")), " or ");
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[keyword].as_array() {
            let branch = |branch: &Value| match branch["title"].as_str() {
                Some(title) if branch.get("const").is_none() => format!("`{title}`"),
                _ => kind(branch),
            };
            return join(branches.iter().map(branch), " or ");
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        return join(all.iter().map(kind), " and ");
    }
    let one = |kind: &str| match kind {
        "array" if schema["items"].is_array() => join(
            schema["items"]
                .as_array()
                .into_iter()
                .flatten()
                .map(self::kind),
            ", ",
        ),
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", self::kind(&schema["additionalProperties"]))
        }
        other => {
            let format = schema["format"]
                .as_str()
                .map(|format| format!(" ({format})"));
            format!("{other}{}{}", format.unwrap_or_default(), bounds(schema))
        }
    };
    match &schema["type"] {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => join(kinds.iter().filter_map(Value::as_str).map(one), " or "),
        _ => "anything".to_owned(),
    }
}

/// ` from 0`, ` from 1 to 6`.
fn bounds(schema: &Value) -> String {
    let bound = |keyword, word: &str| schema.get(keyword).map(|bound| format!(" {word} {bound}"));
    let both = [bound("minimum", "from"), bound("maximum", "to")];
    both.into_iter().flatten().collect()
}

fn join(words: impl Iterator<Item = String>, between: &str) -> String {
    words.collect::<Vec<_>>().join(between)
}

/// What changed from one version of a stream to the next, a sentence for each.
fn changes(old: &Stream, new: &Stream) -> Vec<String> {
    let named = |stream: &Stream, name: &str| stream.events.iter().position(|e| e.name == name);
    let names: BTreeSet<_> = old
        .events
        .iter()
        .chain(&new.events)
        .map(|event| event.name)
        .collect();
    let mut changes = Vec::new();
    for name in names {
        match (named(old, name), named(new, name)) {
            (None, _) => changes.push(format!("`{name}` is new")),
            (_, None) => changes.push(format!("`{name}` is gone")),
            (Some(a), Some(b)) => {
                changes.extend(event_changes((old, &old.events[a]), (new, &new.events[b])));
            }
        }
    }
    changes
}

fn event_changes(old: (&Stream, &PublicEvent), new: (&Stream, &PublicEvent)) -> Vec<String> {
    let name = new.1.name;
    let described = |(stream, event)| -> BTreeMap<String, (String, bool, Value)> {
        let described = |field: Field<'_>| {
            let shape = resolved_shape(stream, field.schema);
            (
                field.name.to_owned(),
                (unversioned(kind(field.schema)), field.required, shape),
            )
        };
        fields(stream, event).into_iter().map(described).collect()
    };
    let (before, after) = (described(old), described(new));
    let fields: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |field: &String| match (before.get(field), after.get(field)) {
        (None, Some((kind, ..))) => Some(format!("`{name}` has `{field}`, {kind}")),
        (Some(_), None) => Some(format!("`{name}` has no `{field}` any more")),
        (Some((was, _, _)), Some((is, _, _))) if was != is => {
            Some(format!("`{field}` of `{name}` is {is}, and was {was}"))
        }
        (Some((_, was, _)), Some((_, is, _))) if was != is => {
            let must = if *is { "required" } else { "optional" };
            Some(format!("`{field}` of `{name}` is {must}"))
        }
        (Some((.., was)), Some((kind, _, is))) if was != is => {
            Some(format!("`{field}` of `{name}`, {kind}, has another shape"))
        }
        _ => None,
    };
    let changes: Vec<_> = fields.into_iter().filter_map(change).collect();
    let (old, new) = (old.0.document(old.1), new.0.document(new.1));
    if changes.is_empty() && shape(&old) != shape(&new) {
        return vec![format!("`{name}` has another shape")];
    }
    changes
}

fn resolved_shape(stream: &Stream, schema: &Value) -> Value {
    let mut document = serde_json::json!({ "allOf": [schema] });
    document["definitions"] = stream.definitions.clone().into_iter().collect();
    shape(&document)
}

/// `MoneyV2` → `Money`: the version is told by the heading.
fn unversioned(kind: String) -> String {
    let words = kind.split('`').enumerate().map(|(n, word)| {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
        match bare.strip_suffix('V') {
            Some(name) if n % 2 == 1 && bare.len() < word.len() => name,
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join("`")
}
