//! Whether an event may change as it did, within one version of its stream.

use serde_json::Value;

use super::compat::{self, Direction, Level, Mode, check_history};
use super::report::{Finding, Severity};

/// What readers cannot take of the schema `now`, against all revisions that were released: each with
/// its number and its document, the first one first. A finding names the revision.
pub(super) fn judge(
    released: &[(u32, Value)],
    now: &Value,
    mode: Mode,
    subject: &str,
) -> Vec<(u32, Finding)> {
    let documents: Vec<_> = released
        .iter()
        .map(|(_, document)| document.clone())
        .collect();
    let report = check_history(&documents, now, mode);
    // What nobody notices needs no words: it becomes a revision.
    let noticed = report
        .findings()
        .iter()
        .filter(|found| found.level > Level::Info);
    let findings = noticed.filter_map(|found| {
        let (revision, _) = released.get(found.against.unwrap_or(0))?;
        Some((*revision, finding(found, subject)))
    });
    findings.collect()
}

fn finding(found: &compat::Finding, subject: &str) -> Finding {
    let (severity, help) = match found.level {
        Level::Error => (
            Severity::Error,
            "publish it as the next version of the stream, which runs beside this one; or take the change back",
        ),
        _ => (Severity::Warning, "see whether readers know it"),
    };
    let message = format!("`{subject}` has changed: {}", found.reason);
    let whom = match found.direction {
        Some(Direction::Backward) => "breaks: today's readers on the events of that time",
        Some(Direction::Forward) => "breaks: the readers of that time on today's events",
        None => "breaks: readers of both times",
    };
    let path = if found.path.is_empty() {
        "/"
    } else {
        &found.path
    };
    let mut details = vec![format!("at {path} ({})", found.rule)];
    if found.level == Level::Error {
        details.push(whom.to_owned());
    }
    let example = found.counterexample.as_ref();
    details.extend(example.map(|event| format!("for example: {event}")));
    Finding::new((severity, "ES0162"), subject, message, help).showing(details)
}
