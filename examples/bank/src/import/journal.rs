//! What became of an input's refused lines. A line is refused once and for ever: asked again later,
//! when the account holds more, it would be accepted, and importing a file twice would not be
//! importing it once.

use std::collections::BTreeMap;
use std::convert::Infallible;

use es_runtime::prelude::*;

/// A line that was refused, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The line's number.
    pub line: u64,
    /// What the account said.
    pub reason: String,
}

/// What happened to an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "import", aggregate = Import)]
pub enum ImportEvent {
    /// An account said no to a line.
    LineRefused(Refused),
}

/// What is asked of an input.
#[derive(Clone, Debug, Serialize, Deserialize, Command)]
#[command(aggregate = Import)]
pub enum ImportCommand {
    /// Keep what the accounts said no to.
    Refuse(Vec<Refused>),
}

/// One input, known by its file's name.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "import", event = ImportEvent, command = ImportCommand, error = Infallible)]
pub struct Import {
    refused: BTreeMap<u64, String>,
}

impl Import {
    fn refuse(&self, lines: Vec<Refused>) -> Result<Vec<ImportEvent>, Infallible> {
        let new = lines.into_iter().filter(|refused| self.reason(refused.line).is_none());
        Ok(new.map(ImportEvent::LineRefused).collect())
    }

    fn on_line_refused(&mut self, refused: &Refused) {
        self.refused.insert(refused.line, refused.reason.clone());
    }

    /// Why the line was refused, if it was.
    pub fn reason(&self, line: u64) -> Option<&str> {
        self.refused.get(&line).map(String::as_str)
    }
}
