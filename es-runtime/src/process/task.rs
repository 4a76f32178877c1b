//! What a process has to do, as it waits in the store.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::effects::Said;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, Recorded};

/// One thing to do. The next release reads it, too.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Names it for ever: the id of the command that it is.
    pub id: CommandId,
    pub why: Why,
    pub what: What,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// A command to another aggregate, with its name and id.
    Send {
        to: String,
        id: String,
        command: Box<RawValue>,
    },
    /// An input to the process.
    Tell { input: Box<RawValue> },
}

/// What a command passes on of its reasons.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Why {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
}

impl Why {
    /// Because of this event.
    pub(crate) fn of<E>(event: &Recorded<E>, log: LogIdentity) -> Self {
        Self {
            correlation: event.correlation(),
            causation: Some(log.event_id(event.position).to_string()),
            traceparent: event.metadata.traceparent.clone(),
        }
    }
}

impl Task {
    /// The `number`th that follows from an event. It is named by the event's place in its stream,
    /// which is the same wherever the log is.
    pub(crate) fn new<E>(event: &Recorded<E>, number: usize, why: Why, what: What) -> Self {
        let Recorded {
            stream,
            version,
            part,
            ..
        } = event;
        let id = CommandId::of(format!("effect {version} {part} {number} {stream}"));
        Self { id, why, what }
    }

    pub(crate) fn encode(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| unencodable(&error.to_string()))
    }

    /// The id of what the process is told of the answer to this.
    pub(crate) fn answer(&self) -> CommandId {
        CommandId::of(format!("answer {}", self.id))
    }
}

/// A value on its way into a task.
pub(crate) fn raw(said: Said) -> Result<Box<RawValue>> {
    let json = said.map_err(|why| unencodable(&why))?;
    RawValue::from_string(json).map_err(|error| unencodable(&error.to_string()))
}

fn unencodable(why: &str) -> Error {
    let what = "what follows from an event of a process".to_owned();
    Error::caused_by(Kind::Unencodable { what }, why.to_owned())
}
