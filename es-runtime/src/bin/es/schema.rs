//! What the commands on schemas do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use es_runtime::schema::compat::{
    Mode, Report, Verdict, check_events, check_history, events, subset as is_subset,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Shown;
use crate::commands::{Done, say};

/// Nothing can be said: a file is no schema.
const UNREADABLE: u8 = 2;

pub(crate) fn compat(old: &[PathBuf], new: &Path, mode: Mode, shown: Shown) -> Done {
    let schemas: Result<Vec<Value>, String> = old.iter().map(|path| schema(path)).collect();
    let (schemas, now) = match schemas.and_then(|schemas| Ok((schemas, schema(new)?))) {
        Ok(read) => read,
        Err(error) => {
            writeln!(io::stderr(), "es: {error}")?;
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let report = compared(&schemas, &now, mode);
    match shown {
        Shown::Text => say(&report)?,
        Shown::Json => say(report.to_json())?,
        Shown::Sarif => say(format_args!(
            "{:#}",
            report.to_sarif(&new.display().to_string())
        ))?,
    };
    Ok(match report.is_compatible() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Schemas of a whole stream are compared event by event.
fn compared(released: &[Value], now: &Value, mode: Mode) -> Report {
    let streams: Option<Vec<_>> = released.iter().map(events).collect();
    match streams.zip(events(now)) {
        Some((streams, now)) => Report::join(
            streams
                .iter()
                .map(|stream| check_events(stream, &now, mode)),
        ),
        None => check_history(released, now, mode),
    }
}

fn schema(path: &Path) -> Result<Value, String> {
    let file = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the schema in `{file}` cannot be read: {error}"))?;
    let schema: Value =
        serde_json::from_str(&text).map_err(|error| format!("`{file}` is no JSON: {error}"))?;
    match schema {
        Value::Object(_) | Value::Bool(_) => Ok(schema),
        _ => Err(format!("`{file}` is no schema: it is no object")),
    }
}

/// A line of a file of cases. What else stands in it is for people.
#[derive(Deserialize)]
struct Case {
    suite: String,
    id: String,
    sub: Value,
    sup: Value,
    expected: bool,
    #[serde(default)]
    draft: String,
    /// Valid under `sub`, and not under `sup`. `null` is an instance, too.
    #[serde(default, deserialize_with = "there")]
    counterexample: Option<Value>,
    /// Why the expectation is wrong.
    contested: Option<Value>,
}

fn there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[derive(Default)]
struct Tally {
    agree: u64,
    wrongly_compatible: Vec<String>,
    wrongly_incompatible: Vec<String>,
    unsupported: Vec<String>,
    refuted: Vec<String>,
    contested: u64,
}

impl Case {
    /// A schema that does not say its draft is of the case's.
    fn dated(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        let modern = ["2019-09", "2020-12"];
        let draft = modern.into_iter().find(|draft| self.draft.contains(draft));
        if let (Value::Object(members), Some(draft)) = (&mut schema, draft) {
            members
                .entry("$schema")
                .or_insert_with(|| format!("https://json-schema.org/draft/{draft}/schema").into());
        }
        schema
    }

    fn count(self, tally: &mut Tally) {
        let verdict = is_subset(&self.dated(&self.sub), &self.dated(&self.sup));
        if verdict.is_subset() && self.counterexample.is_some() {
            tally.refuted.push(self.id.clone());
        }
        if self.contested.is_some() {
            tally.contested += 1;
        } else if verdict.is_subset() == self.expected {
            tally.agree += 1;
        } else if verdict.is_subset() {
            tally.wrongly_compatible.push(self.id);
        } else if let Verdict::Unsure { reason, .. } = verdict {
            tally.unsupported.push(format!("{}: {reason}", self.id));
        } else {
            tally.wrongly_incompatible.push(self.id);
        }
    }
}

pub(crate) fn subset(cases: &Path, json: bool) -> Done {
    let file = cases.display();
    let text = fs::read_to_string(cases)
        .map_err(|error| format!("the cases in `{file}` cannot be read: {error}"))?;
    let mut suites: BTreeMap<String, Tally> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let case: Case = serde_json::from_str(line)
            .map_err(|error| format!("line {number} of `{file}` is no case: {error}"))?;
        let tally = suites.entry(case.suite.clone()).or_default();
        case.count(tally);
    }
    let suites = suites.iter();
    let lines: Vec<String> = match json {
        true => suites.map(|(suite, tally)| tally.json(suite)).collect(),
        false => suites.map(|(suite, tally)| tally.text(suite)).collect(),
    };
    say(lines.join("\n"))
}

impl Tally {
    fn json(&self, suite: &str) -> String {
        json!({
            "suite": suite,
            "agree": self.agree,
            "wrongly_compatible": self.wrongly_compatible.len(),
            "wrongly_incompatible": self.wrongly_incompatible.len(),
            "unsupported": self.unsupported.len(),
            "refuted": self.refuted.len(),
        })
        .to_string()
    }

    fn text(&self, suite: &str) -> String {
        let mut text = format!(
            "{suite}: {} agree, {} wrongly compatible, {} wrongly incompatible, {} unsupported, {} \
             refuted; {} contested are left out",
            self.agree,
            self.wrongly_compatible.len(),
            self.wrongly_incompatible.len(),
            self.unsupported.len(),
            self.refuted.len(),
            self.contested,
        );
        let named = [
            ("wrongly compatible", &self.wrongly_compatible),
            ("wrongly incompatible", &self.wrongly_incompatible),
            ("unsupported", &self.unsupported),
            ("refuted", &self.refuted),
        ];
        for (what, cases) in named {
            for case in cases {
                text.push_str(&format!("\n  {what}: {case}"));
            }
        }
        text
    }
}
