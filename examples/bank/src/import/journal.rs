//! What became of an input's refused lines. A line is refused once and for ever: asked again later,
//! when the account holds more, it would be accepted, and importing a file twice would not be
//! importing it once.

use std::collections::BTreeMap;
use std::convert::Infallible;

use es_runtime::prelude::*;

/// A line that was refused, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Refused {
    /// The line's number.
    pub line: u64,
    /// What the account said.
    pub reason: String,
}

/// What happened to an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[event(name = "import", aggregate = Import)]
pub enum ImportEvent {
    /// An account said no to a line.
    LineRefused(Refused),
}

/// What is asked of an input.
#[derive(Clone, Debug, Serialize, Deserialize, Command)]
#[command(aggregate = Import)]
pub enum ImportCommand {
    /// Keep what an account said no to.
    Refuse(Refused),
}

/// One input, known by its file's name.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "import", event = ImportEvent, command = ImportCommand, error = Infallible)]
pub struct Import {
    refused: BTreeMap<u64, String>,
}

impl Import {
    /// The first reason stands.
    fn refuse(&self, line: Refused) -> Result<Option<ImportEvent>, Infallible> {
        let new = self.reason(line.line).is_none();
        Ok(new.then_some(ImportEvent::LineRefused(line)))
    }

    fn on_line_refused(&mut self, refused: &Refused) {
        self.refused.insert(refused.line, refused.reason.clone());
    }

    /// Why the line was refused, if it was.
    pub fn reason(&self, line: u64) -> Option<&str> {
        self.refused.get(&line).map(String::as_str)
    }
}
