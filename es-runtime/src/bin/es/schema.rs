//! What the commands on schemas do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use es_runtime::schema::compat::{Verdict, subset as is_subset};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::commands::{Done, say};

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
