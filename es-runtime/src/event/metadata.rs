use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Who and why: kept with every event, so that the log is the audit trail.
///
/// Hold no personal data here: an indirect id of the actor is enough.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Who asked for the change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
    /// What belongs together across services: one id from the first request to the last effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation: Option<String>,
    /// What directly caused this: the id of a message or an event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causation: Option<String>,
    /// The W3C `traceparent` of the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// The command that was decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<CommandRecord>,
}

/// The command behind an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandRecord {
    /// The command's name, `withdraw`.
    pub name: String,
    /// The command itself as JSON, when the service records commands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<Box<RawValue>>,
}

impl CommandRecord {
    /// A command of this name, without its content.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            body: None,
        }
    }
}

impl Metadata {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }
}
