//! A report as SARIF 2.1.0, which code hosts show beside the change.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::{Direction, Finding, Level, Report};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

impl Report {
    /// As a SARIF 2.1.0 log, in which `file` is the new schema.
    pub fn to_sarif(&self, file: &str) -> Value {
        let rules: BTreeSet<&str> = self.findings().iter().map(|finding| finding.rule).collect();
        let rules: Vec<Value> = rules.into_iter().map(|rule| json!({"id": rule})).collect();
        let results: Vec<Value> = self
            .findings()
            .iter()
            .map(|finding| result(finding, file))
            .collect();
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "es",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }},
                "results": results,
            }],
        })
    }
}

fn result(finding: &Finding, file: &str) -> Value {
    let level = match finding.level {
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut text = finding.reason.clone();
    if let Some(event) = &finding.counterexample {
        text.push_str(&format!("; for example {event}"));
    }
    json!({
        "ruleId": finding.rule,
        "level": level,
        "message": {"text": text},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": file.replace('\\', "/").replace(' ', "%20")},
                "region": {"startLine": 1},
            },
            "logicalLocations": [{"fullyQualifiedName": format!(
                "{}#{}",
                finding.event.as_deref().unwrap_or_default(),
                finding.path,
            )}],
        }],
        "properties": {
            "surface": finding.surface.name(),
            "direction": finding.direction.map(Direction::name),
            "against": finding.against,
            "counterexample": finding.counterexample,
        },
    })
}
