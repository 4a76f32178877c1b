//! What a check found, for people and for programs.

use std::cmp::Reverse;
use std::fmt;

use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};

/// Which data has to be read with which schema.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// New readers read old data.
    Backward,
    /// Old readers read new data.
    Forward,
    /// Both.
    #[default]
    Full,
}

/// Who reads whose data.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// New readers read old data.
    Backward,
    /// Old readers read new data.
    Forward,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Readers do not notice.
    Info,
    /// Readers may be surprised.
    Warning,
    /// Readers break.
    Error,
}

/// Where a change is seen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Surface {
    /// In the JSON.
    Wire,
    /// In code that is generated from the schema.
    Source,
}

/// A change, and what it does to readers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name: `property-removed`.
    pub rule: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Where it is seen.
    pub surface: Surface,
    /// For whom; `None` if it is the same for both.
    pub direction: Option<Direction>,
    /// The event type, where several are compared.
    pub event: Option<String>,
    /// The released version that it is compared with, where there are several: 0 is the first.
    pub against: Option<usize>,
    /// Where in the schema, as a JSON pointer with references followed.
    pub path: String,
    /// What changed, and what follows from it, in a sentence.
    pub reason: String,
    /// An event that one side writes and the other refuses.
    pub counterexample: Option<Value>,
}

/// All that a check found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Mode {
    pub(super) fn directions(self) -> &'static [Direction] {
        match self {
            Self::Backward => &[Direction::Backward],
            Self::Forward => &[Direction::Forward],
            Self::Full => &[Direction::Backward, Direction::Forward],
        }
    }
}

impl Direction {
    /// `backward` or `forward`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backward => "backward",
            Self::Forward => "forward",
        }
    }
}

impl Level {
    /// `info`, `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Surface {
    /// `wire` or `source`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Source => "source",
        }
    }
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| Reverse(finding.level));
        Self { findings }
    }

    /// All findings of several.
    pub fn join(reports: impl IntoIterator<Item = Self>) -> Self {
        Self::new(
            reports
                .into_iter()
                .flat_map(|report| report.findings)
                .collect(),
        )
    }

    pub(super) fn each(mut self, change: impl Fn(&mut Finding)) -> Self {
        self.findings.iter_mut().for_each(change);
        self
    }

    /// No reader breaks.
    pub fn is_compatible(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What changed, the worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What breaks readers.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.level == Level::Error)
    }

    /// Nothing, or an error that lists what breaks readers.
    ///
    /// # Errors
    /// ES0170, unless it [is compatible](Self::is_compatible).
    pub fn into_result(self) -> Result<()> {
        if self.is_compatible() {
            return Ok(());
        }
        let findings: Vec<String> = self.errors().map(Finding::to_string).collect();
        Err(Error::new(Kind::Incompatible {
            findings: findings.join("\n"),
        }))
    }

    /// As JSON: `compatible`, and `findings`.
    pub fn to_json(&self) -> Value {
        json!({
            "compatible": self.is_compatible(),
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    fn to_json(&self) -> Value {
        json!({
            "rule": self.rule,
            "level": self.level.name(),
            "surface": self.surface.name(),
            "direction": self.direction.map(Direction::name),
            "event": self.event,
            "against": self.against,
            "path": self.path,
            "reason": self.reason,
            "counterexample": self.counterexample,
        })
    }
}

/// A line, and one with the counterexample.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.level.name(), self.rule)?;
        if let Some(direction) = self.direction {
            write!(f, " {}", direction.name())?;
        }
        if self.surface == Surface::Source {
            write!(f, " in source code")?;
        }
        if let Some(event) = &self.event {
            write!(f, " {event}")?;
        }
        let path = match self.path.as_str() {
            "" => "/",
            path => path,
        };
        write!(f, " {path}: {}", self.reason)?;
        match &self.counterexample {
            Some(event) => write!(f, "\n  for example {event}"),
            None => Ok(()),
        }
    }
}

/// One finding after the other, and what they come to.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let errors = self.errors().count();
        match (errors, self.findings.len()) {
            (0, 0) => f.write_str("compatible: nothing changed"),
            (0, _) => f.write_str("compatible"),
            (errors, _) => write!(f, "not compatible: {errors} of the findings break readers"),
        }
    }
}
