//! The documents of a contract: for publishing, and for a folder in the repository.

use serde_json::{Value, json};

use super::asyncapi::asyncapi;
use super::catalogue::catalogue;
use super::contract::{Contract, Stream};
use super::document::{DEFINITIONS, DIALECT, pretty};
use super::envelope;
use super::files::Texts;
use crate::error::Result;

/// The documents that stand beside the revisions of the events' schemas.
///
/// # Errors
/// When no example of an event can be made.
pub(crate) fn documents(contract: &Contract) -> Result<Texts> {
    let mut texts = Texts::new();
    texts.insert("asyncapi.json".to_owned(), pretty(&asyncapi(contract)?));
    texts.insert("catalogue.md".to_owned(), catalogue(contract));
    for stream in contract.streams.values() {
        let folder = folder(stream);
        texts.insert(
            format!("{folder}/stream.json"),
            pretty(&bundle(contract, stream)),
        );
    }
    Ok(texts)
}

/// The schemas of the events as they are now.
pub(crate) fn events(contract: &Contract) -> Texts {
    let mut texts = Texts::new();
    for stream in contract.streams.values() {
        for event in &stream.events {
            let path = format!("{}/{}.json", folder(stream), event.name);
            texts.insert(path, pretty(&stream.document(event)));
        }
    }
    texts
}

fn folder(stream: &Stream) -> String {
    format!("{}/v{}", stream.id.stream, stream.id.version)
}

/// One schema for all that may come over a version of a stream: the envelope, told apart by its
/// `type`.
fn bundle(contract: &Contract, stream: &Stream) -> Value {
    let id = &stream.id;
    let title = format!("{}V{}", super::payload::pascal(&id.stream), id.version);
    let mut definitions: serde_json::Map<_, _> = stream.definitions.clone().into_iter().collect();
    definitions.insert("CloudEvent".to_owned(), envelope::schema());
    let mut branches = Vec::new();
    for event in &stream.events {
        let mut payload = event.payload.clone();
        super::document::say(&mut payload, "title", &event.title);
        definitions.insert(event.title.clone(), payload);
        let data = format!("{DEFINITIONS}{}", event.title);
        let event_type = contract.event_type(id, event.name);
        let mut branch = envelope::message(&format!("{DEFINITIONS}CloudEvent"), &event_type, &data);
        branch["title"] = format!("{}Event", event.title).into();
        if let Some(text) = event.payload["description"].as_str() {
            branch["description"] = text.into();
        }
        branches.push(branch);
    }
    let mut bundle = json!({
        "$schema": DIALECT,
        "$id": format!("urn:es:{}:{}:v{}", contract.service, id.stream, id.version),
        "title": title,
        "oneOf": branches,
        "definitions": definitions,
    });
    if let Some(text) = &stream.description {
        bundle["description"] = text.as_str().into();
    }
    bundle
}
