//! What a check found, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// It may surprise a reader.
    Warning,
    /// It breaks what was released.
    Error,
}

/// Something that a check found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code; the book has a page for each.
    pub code: &'static str,
    /// What it is about: `accounts@2 account-opened`, `balances@1`.
    pub subject: String,
    /// The file that says otherwise, relative to the crate.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<usize>,
    /// What was found, in a sentence.
    pub message: String,
    /// What shows it: paths, values, rows.
    pub details: Vec<String>,
    /// What to do.
    pub help: String,
}

impl Finding {
    pub(crate) fn new(
        (severity, code): (Severity, &'static str),
        subject: impl fmt::Display,
        message: impl fmt::Display,
        help: impl fmt::Display,
    ) -> Self {
        Self {
            severity,
            code,
            subject: subject.to_string(),
            file: None,
            line: None,
            message: message.to_string(),
            details: Vec::new(),
            help: help.to_string(),
        }
    }

    pub(crate) fn error(
        code: &'static str,
        subject: impl fmt::Display,
        message: impl fmt::Display,
        help: impl fmt::Display,
    ) -> Self {
        Self::new((Severity::Error, code), subject, message, help)
    }

    pub(crate) fn in_file(mut self, file: impl fmt::Display, line: Option<usize>) -> Self {
        (self.file, self.line) = (Some(file.to_string()), line);
        self
    }

    pub(crate) fn showing(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// As a compiler would say it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(f, "{severity}: {} [{}]", self.message, self.code)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => writeln!(f, "  --> {file}:{line}")?,
            (Some(file), None) => writeln!(f, "  --> {file}")?,
            (None, _) => {}
        }
        for detail in &self.details {
            writeln!(f, "   | {detail}")?;
        }
        writeln!(f, "   = help: {}", self.help)
    }
}

/// What a check of the code against the released files found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What is wrong or worth knowing, the worst first.
    pub findings: Vec<Finding>,
    /// What is new since the last release, a line for each.
    pub unreleased: Vec<String>,
}

impl Report {
    /// Whether nothing breaks what was released.
    pub fn is_ok(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }

    /// Whether the files say what the code says: nothing breaks, and nothing is new.
    pub fn is_released(&self) -> bool {
        self.is_ok() && self.unreleased.is_empty()
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        json!({ "ok": self.is_ok(), "findings": self.findings, "unreleased": self.unreleased })
    }

    /// SARIF 2.1.0, which code hosts show beside the changed lines.
    pub fn to_sarif(&self) -> Value {
        let mut codes: Vec<_> = self.findings.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let rules: Vec<_> = codes
            .into_iter()
            .map(|code| json!({ "id": code }))
            .collect();
        let results: Vec<_> = self.findings.iter().map(result).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "es", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "results": results,
            }],
        })
    }
}

fn result(finding: &Finding) -> Value {
    let mut text = finding.message.clone();
    for detail in &finding.details {
        text.push('\n');
        text.push_str(detail);
    }
    let file = finding.file.as_deref().unwrap_or(super::files::LOCK);
    json!({
        "ruleId": finding.code,
        "level": finding.severity,
        "message": { "text": format!("{text}\nhelp: {}", finding.help) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": file },
                "region": { "startLine": finding.line.unwrap_or(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": finding.subject }],
        }],
    })
}

/// The findings, then what is new, then a line that sums up.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for new in &self.unreleased {
            writeln!(f, "unreleased: {new}")?;
        }
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let new = self.unreleased.len();
        write!(f, "{errors} errors, {warnings} warnings, {new} unreleased")
    }
}
