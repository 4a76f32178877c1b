//! The schema of the envelope in which integration events travel.

use serde_json::{Value, json};

/// A CloudEvent as [`CloudEvent`](crate::integration::CloudEvent) writes it; readers ignore
/// attributes that they do not know.
pub(super) fn schema() -> Value {
    json!({
        "title": "CloudEvent",
        "description": "The envelope: CloudEvents 1.0 in structured JSON.",
        "type": "object",
        "required": [
            "specversion", "id", "source", "type", "subject", "partitionkey", "datacontenttype",
            "time", "recordedtime", "sequence", "streamhash", "streamsalt", "data",
        ],
        "properties": {
            "specversion": { "type": "string", "const": "1.0" },
            "id": text("Names the event for ever: the same event has the same id, however often it is sent."),
            "source": text("The service, the stream and its version: the scope of `sequence`."),
            "type": text("What happened, and in which version of the contract."),
            "subject": text("The id of what it happened to."),
            "partitionkey": text("What must stay in order: the subject."),
            "datacontenttype": { "type": "string", "const": "application/json" },
            "time": moment("When it happened."),
            "recordedtime": moment("When it was made from what happened inside of the service."),
            "sequence": {
                "description": "The place in this version of the stream: dense, from 1, padded to 20 digits.",
                "type": "string",
                "pattern": "^[0-9]{20}$",
            },
            "streamhash": hexadecimal("The running hash of the stream up to this event.", 64),
            "streamsalt": hexadecimal("What the payload's digest is salted with.", 32),
            "correlationid": text("What belongs together across services."),
            "causationid": text("What directly caused the event."),
            "traceparent": text("The W3C trace context."),
            "data": { "description": "What happened." },
        },
    })
}

/// The envelope of one type of event. `envelope` and `data` are references.
pub(super) fn message(envelope: &str, event_type: &str, data: &str) -> Value {
    json!({
        "allOf": [
            { "$ref": envelope },
            {
                "type": "object",
                "required": ["type", "data"],
                "properties": {
                    "type": { "type": "string", "const": event_type },
                    "data": { "$ref": data },
                },
            },
        ],
    })
}

/// An envelope with everything in it but the data.
pub(super) fn example(service: &str, stream: &str, version: u32, event_type: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("{stream}.v{version}-1"),
        "source": format!("urn:es:{service}:{stream}:v{version}"),
        "type": event_type,
        "subject": "1",
        "partitionkey": "1",
        "datacontenttype": "application/json",
        "time": "2026-01-01T12:00:00.000000Z",
        "recordedtime": "2026-01-01T12:00:00.250000Z",
        "sequence": format!("{:020}", 1),
        "streamhash": "0".repeat(64),
        "streamsalt": "0".repeat(32),
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn moment(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn hexadecimal(description: &str, digits: usize) -> Value {
    let pattern = format!("^[0-9a-f]{{{digits}}}$");
    json!({ "type": "string", "pattern": pattern, "description": description })
}
