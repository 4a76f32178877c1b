//! Does a change of an event break its readers?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::changes::{Change, Effect, changes};
use super::judge::{Judge, Truth};
use super::node::Nodes;
use super::read::{As, read};
use super::refs::Refs;
use super::report::{Direction, Finding, Level, Mode, Report, Surface};
use super::subset::{Verdict, decide};

/// Does an event's schema that changed from `old` to `new` break readers?
///
/// Writers write nothing that their schema does not declare; readers ignore what theirs does not, and
/// fill in defaults. A finding is an error in a direction in which some event is written and cannot
/// be read, or in which that cannot be ruled out.
///
/// ```
/// use es_runtime::schema::compat::{Mode, check};
/// use serde_json::json;
///
/// let old = json!({"type": "object", "properties": {"owner": {"type": "string"}}, "required": ["owner"]});
/// let mut new = old.clone();
/// new["properties"]["currency"] = json!({"type": "string"});
/// assert!(check(&old, &new, Mode::Full).is_compatible());
///
/// new["required"] = json!(["owner", "currency"]);
/// let report = check(&old, &new, Mode::Full);
/// let error = report.errors().next().unwrap();
/// assert_eq!(error.rule, "required-property-added");
/// assert_eq!(error.counterexample, Some(json!({"owner": ""})));
/// ```
pub fn check(old: &Value, new: &Value, mode: Mode) -> Report {
    compare(old, new, mode, true)
}

/// The new schema against every version that was released, the first one first, and against the names
/// that were removed on the way: they do not come back as something else.
pub fn check_history(released: &[Value], new: &Value, mode: Mode) -> Report {
    let last = released.len().saturating_sub(1);
    let reports = released.iter().enumerate().map(|(number, old)| {
        let report = compare(old, new, mode, number == last);
        let later = &released[(number + 1).min(released.len())..];
        let gone: BTreeSet<String> = match later.is_empty() {
            true => BTreeSet::new(),
            false => &properties(old) - &later.iter().flat_map(properties).collect(),
        };
        report.each(|finding| {
            finding.against = (released.len() > 1).then_some(number);
            let reused = gone
                .iter()
                .find(|path| finding.path.starts_with(path.as_str()));
            if finding.level == Level::Error && reused.is_some() {
                finding.rule = "removed-name-reused";
                finding.reason = format!(
                    "a name that was removed comes back as something else: {}",
                    finding.reason
                );
            }
        })
    });
    Report::join(reports)
}

/// The event types of a version of a stream, by name.
///
/// A type that is added is a warning for old readers, who skip types that they do not know; one that is
/// removed is an error for new readers of old events.
pub fn check_events(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
    mode: Mode,
) -> Report {
    let mut reports = Vec::new();
    let mut one = |rule, event: &String, direction: Direction, level, reason: &str| {
        if mode.directions().contains(&direction) {
            reports.push(Report::new(vec![Finding {
                rule,
                level,
                surface: Surface::Wire,
                direction: Some(direction),
                event: Some(event.clone()),
                against: None,
                path: String::new(),
                reason: reason.to_owned(),
                counterexample: None,
            }]));
        }
    };
    for event in new.keys().filter(|event| !old.contains_key(*event)) {
        let reason = "the event type is new: old readers skip it";
        one(
            "event-type-added",
            event,
            Direction::Forward,
            Level::Warning,
            reason,
        );
    }
    for event in old.keys().filter(|event| !new.contains_key(*event)) {
        let reason = "the event type is gone, and old events are of it: mark it as retired instead";
        one(
            "event-type-removed",
            event,
            Direction::Backward,
            Level::Error,
            reason,
        );
    }
    for (event, old) in old {
        if let Some(new) = new.get(event) {
            let named = |finding: &mut Finding| finding.event = Some(event.clone());
            reports.push(check(old, new, mode).each(named));
        }
    }
    Report::join(reports)
}

/// The event types of a schema for all that comes over a stream: a union of events, each of which says
/// its type in a constant property `type`. `None` if it is something else.
pub fn events(stream: &Value) -> Option<BTreeMap<String, Value>> {
    let word = ["oneOf", "anyOf"]
        .into_iter()
        .find(|word| stream.get(word).is_some())?;
    let refs = Refs::new(stream);
    let mut events = BTreeMap::new();
    for (number, branch) in stream.get(word)?.as_array()?.iter().enumerate() {
        let place = super::refs::Place::root()
            .below(word)
            .below(&number.to_string());
        let (_, schema) = refs.followed(&place);
        let parts = schema.get("allOf").and_then(Value::as_array);
        let mut parts = parts.into_iter().flatten().chain([schema]);
        let name =
            parts.find_map(|part| part.get("properties")?.get("type")?.get("const")?.as_str())?;
        let mut event = branch.clone();
        // What it refers to stays where it was.
        if event.get("$ref").is_some() {
            event = serde_json::json!({"allOf": [event]});
        }
        for (key, value) in stream.as_object()? {
            if key != word
                && !matches!(key.as_str(), "title" | "description")
                && event.get(key).is_none()
            {
                event[key] = value.clone();
            }
        }
        events.insert(name.to_owned(), event);
    }
    (!events.is_empty()).then_some(events)
}

fn compare(old: &Value, new: &Value, mode: Mode, renames: bool) -> Report {
    if old == new {
        return Report::default();
    }
    let work = Work {
        old,
        new,
        refs: Refs::new(new),
        overall: [Direction::Backward, Direction::Forward]
            .map(|direction| between(old, new, direction)),
    };
    let mut findings = Vec::new();
    for change in changes(old, new, renames) {
        work.judge(change, mode, &mut findings);
    }
    for &direction in mode.directions() {
        work.whole(direction, &mut findings);
    }
    Report::new(findings)
}

/// Can all that is written with the one be read with the other?
fn between(old: &Value, new: &Value, direction: Direction) -> Verdict {
    match direction {
        Direction::Backward => decide((old, As::Writer), (new, As::Reader)),
        Direction::Forward => decide((new, As::Writer), (old, As::Reader)),
    }
}

struct Work<'a> {
    old: &'a Value,
    new: &'a Value,
    refs: Refs<'a>,
    /// Of the documents as wholes, backward and forward.
    overall: [Verdict; 2],
}

impl Work<'_> {
    fn judge(&self, change: Change, mode: Mode, findings: &mut Vec<Finding>) {
        let both = [Direction::Backward, Direction::Forward];
        let judged = match change.effect {
            Effect::Fixed(backward, forward, ref patch) => {
                let patched = patch
                    .as_ref()
                    .map(|patch| patch.applied(self.old, &self.refs));
                let shown = |level, direction| match (level, &patched) {
                    (Level::Error, Some(patched)) => self.effect(patched, direction).2,
                    _ => None,
                };
                [(backward, both[0]), (forward, both[1])]
                    .map(|(level, direction)| (level, None, shown(level, direction)))
            }
            Effect::Ask(ref patch) => {
                let patched = patch.applied(self.old, &self.refs);
                both.map(|direction| self.effect(&patched, direction))
            }
        };
        let breaks = [0, 1].map(|at| judged[at].0 == Level::Error);
        let rule = match breaks {
            [false, _] => change.rules[0],
            [true, false] => change.rules[1],
            [true, true] => change.rules[2],
        };
        let finding = |level, direction, reason, counterexample| Finding {
            rule,
            level,
            surface: change.surface,
            direction,
            event: None,
            against: None,
            path: change.path.clone(),
            reason,
            counterexample,
        };
        let before = findings.len();
        for (direction, (level, doubt, counterexample)) in both.into_iter().zip(judged) {
            let level = match (rule, level) {
                // Declared extensible: readers were told.
                ("enum-value-added", Level::Info) if direction == Direction::Forward => {
                    Level::Warning
                }
                (_, level) => level,
            };
            if level > Level::Info && mode.directions().contains(&direction) {
                let reason = match doubt {
                    Some(doubt) => format!("{} ({doubt})", change.says),
                    None => change.says.clone(),
                };
                findings.push(finding(level, Some(direction), reason, counterexample));
            }
        }
        if findings.len() == before {
            findings.push(finding(Level::Info, None, change.says.clone(), None));
        }
    }

    /// What a change does on its own: how bad it is, what is not certain, and an event that shows it.
    fn effect(
        &self,
        patched: &Value,
        direction: Direction,
    ) -> (Level, Option<String>, Option<Value>) {
        let overall = &self.overall[direction as usize];
        match between(self.old, patched, direction) {
            Verdict::Subset => (Level::Info, None, None),
            // Something else that changed makes up for it.
            _ if overall.is_subset() => (Level::Info, None, None),
            Verdict::NotSubset { counterexample, .. } => {
                let shown = counterexample.filter(|event| self.shows(event, direction));
                (
                    Level::Error,
                    None,
                    shown.or_else(|| overall.counterexample().cloned()),
                )
            }
            Verdict::Unsure { reason, .. } => {
                (Level::Error, Some(format!("not certain: {reason}")), None)
            }
        }
    }

    /// Is it written by the one, and refused by the other?
    fn shows(&self, event: &Value, direction: Direction) -> bool {
        let (writer, reader) = match direction {
            Direction::Backward => (self.old, self.new),
            Direction::Forward => (self.new, self.old),
        };
        let mut nodes = Nodes::new();
        let writer = read(&mut nodes, writer, As::Writer);
        let reader = read(&mut nodes, reader, As::Reader);
        let mut judge = Judge::new(&mut nodes);
        judge.judge(writer, event) == Truth::Yes && judge.judge(reader, event) == Truth::No
    }

    /// What the documents come to as wholes, where no single change says it.
    fn whole(&self, direction: Direction, findings: &mut Vec<Finding>) {
        let told = findings
            .iter()
            .any(|finding| finding.level == Level::Error && finding.direction == Some(direction));
        if told {
            return;
        }
        let (rule, path, reason, counterexample) = match self.overall[direction as usize].clone() {
            Verdict::Subset => return,
            Verdict::NotSubset {
                path,
                reason,
                counterexample,
            } => ("not-readable", path, reason, counterexample),
            Verdict::Unsure { path, reason } => (
                "not-certain",
                path,
                format!("it is not certain that all events can be read: {reason}"),
                None,
            ),
        };
        findings.push(Finding {
            rule,
            level: Level::Error,
            surface: Surface::Wire,
            direction: Some(direction),
            event: None,
            against: None,
            path,
            reason,
            counterexample,
        });
    }
}

/// The paths of all properties that a schema declares.
fn properties(schema: &Value) -> BTreeSet<String> {
    let refs = Refs::new(schema);
    let mut paths = BTreeSet::new();
    let mut seen = std::collections::HashSet::new();
    let mut todo = vec![(super::refs::Place::root(), String::new())];
    while let Some((place, path)) = todo.pop() {
        let (at, schema) = refs.followed(&place);
        if !seen.insert(at.clone()) {
            continue;
        }
        for name in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|names| names.keys())
        {
            let path = format!("{path}/properties/{}", super::refs::pointer(name));
            paths.insert(path.clone());
            todo.push((at.below("properties").below(name), path));
        }
        if schema.get("items").is_some_and(Value::is_object) {
            todo.push((at.below("items"), format!("{path}/items")));
        }
    }
    paths
}
