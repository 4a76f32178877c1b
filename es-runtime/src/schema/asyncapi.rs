//! AsyncAPI 3.0.0: one document for all that a service publishes.

use serde_json::{Map, Value, json};

use super::contract::{Contract, PublicEvent, Stream};
use super::document::{definition, map_refs, shape_digest};
use super::envelope;
use super::sampler::Sampler;
use crate::error::Result;
use crate::integration::Status;

/// Where the document keeps its schemas.
const SCHEMAS: &str = "#/components/schemas/";
/// The topic exchange.
const AMQP: &str = "0.3.0";

/// The document.
///
/// # Errors
/// When no example of an event can be made.
pub(super) fn asyncapi(contract: &Contract) -> Result<Value> {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    schemas.insert("CloudEvent".to_owned(), envelope::schema());
    for stream in contract.streams.values() {
        let key = key(stream);
        channels.insert(key.clone(), channel(contract, stream));
        operations.insert(format!("{key}.send"), operation(stream));
        for (name, schema) in &stream.definitions {
            schemas.insert(format!("{key}.{name}"), moved(&key, schema));
        }
        for event in &stream.events {
            let payload = moved(&key, &event.payload);
            schemas.insert(format!("{key}.{}", event.title), payload);
            messages.insert(
                format!("{key}.{}", event.name),
                message(contract, stream, event)?,
            );
        }
    }
    let mut info = json!({ "title": contract.service, "version": contract.version });
    if let Some(text) = &contract.description {
        info["description"] = text.as_str().into();
    }
    Ok(json!({
        "asyncapi": "3.0.0",
        "id": format!("urn:es:{}", contract.service),
        "info": info,
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    }))
}

/// `accounts.v2`: names the channel, and stands before what belongs to it.
fn key(stream: &Stream) -> String {
    format!("{}.v{}", stream.id.stream, stream.id.version)
}

fn channel(contract: &Contract, stream: &Stream) -> Value {
    let key = key(stream);
    let messages: Map<_, _> = stream
        .events
        .iter()
        .map(|event| {
            let target = format!("#/components/messages/{key}.{}", event.name);
            (event.name.to_owned(), json!({ "$ref": target }))
        })
        .collect();
    let names: Vec<_> = stream.events.iter().map(|event| event.name).collect();
    let (name, version) = (&stream.id.stream, stream.id.version);
    let mut channel = json!({
        "address": format!("{key}.{{event}}"),
        "title": stream.id.to_string(),
        "messages": messages,
        "parameters": { "event": {
            "description": "The event's name: the last word of the routing key.",
            "enum": names,
        } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": {
                "name": contract.service,
                "type": "topic",
                "durable": true,
                "autoDelete": false,
                "vhost": "/",
            },
            "bindingVersion": AMQP,
        } },
        "x-es-stream": name,
        "x-es-version": version,
        "x-es-feed": format!("/streams/{name}/v{version}/events"),
    });
    if let Some(text) = &stream.description {
        channel["description"] = text.as_str().into();
    }
    if let Status::Deprecated { from, sunset } = stream.status {
        channel["x-es-deprecated"] = from.to_string().into();
        if let Some(sunset) = sunset {
            channel["x-es-sunset"] = sunset.to_string().into();
        }
    }
    channel
}

fn operation(stream: &Stream) -> Value {
    let key = key(stream);
    let messages = stream
        .events
        .iter()
        .map(|event| json!({ "$ref": format!("#/channels/{key}/messages/{}", event.name) }));
    json!({
        "action": "send",
        "title": format!("publish {}", stream.id),
        "channel": { "$ref": format!("#/channels/{key}") },
        "messages": messages.collect::<Vec<_>>(),
        "bindings": { "amqp": { "deliveryMode": 2, "bindingVersion": AMQP } },
    })
}

fn message(contract: &Contract, stream: &Stream, event: &PublicEvent) -> Result<Value> {
    let key = key(stream);
    let event_type = contract.event_type(&stream.id, event.name);
    let data = format!("{SCHEMAS}{key}.{}", event.title);
    let mut message = json!({
        "name": event_type,
        "title": event.title,
        "contentType": "application/cloudevents+json",
        "payload": envelope::message(&format!("{SCHEMAS}CloudEvent"), &event_type, &data),
        "examples": [{ "name": event.name, "payload": example(contract, stream, event)? }],
        "x-es-event": event.name,
    });
    if let Some(text) = event.payload["description"].as_str() {
        message["description"] = text.into();
    }
    Ok(message)
}

/// An event with sampled data; the same for as long as the schema's shape stays the same.
pub(super) fn example(contract: &Contract, stream: &Stream, event: &PublicEvent) -> Result<Value> {
    let document = stream.document(event);
    let seed = u64::from_str_radix(&shape_digest(&document)[..16], 16).unwrap_or_default();
    let event_type = contract.event_type(&stream.id, event.name);
    let (name, version) = (&stream.id.stream, stream.id.version);
    let mut example = envelope::example(&contract.service, name, version, &event_type);
    example["data"] = Sampler::new(&document, seed).sample()?;
    Ok(example)
}

/// A schema whose references lead into the components.
fn moved(key: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    map_refs(&mut schema, &|target| match definition(target) {
        Some(name) => format!("{SCHEMAS}{key}.{name}"),
        None => target.to_owned(),
    });
    schema
}
