//! Fingerprints: what projections and mappings do with the sample, against what they did when they were
//! released.

use serde_json::Value;

use super::behaviour::{Behaviour, Effect, Subject};
use super::compare::Work;
use super::contract::Stream;
use super::document::digest;
use super::files::FOLDER;
use super::frozen::Entry;
use super::portable::allows;
use super::report::Finding;
use super::samples::Samples;
use crate::error::Result;

/// The sample's file.
const SAMPLE: &str = "_sample.jsonl";
/// The folder of what the sample did.
const EFFECTS: &str = "_effects";

impl Work<'_> {
    /// The behaviour of projections and mappings on the sample.
    pub(super) fn behaviours(&mut self) -> Result<()> {
        let text = self.files.schemas.get(SAMPLE).map_or("", String::as_str);
        let mut samples = match Samples::read(text) {
            Ok(samples) => samples,
            Err((line, why)) => {
                let message = format!("line {line} of the sample is none: {why}");
                self.changed_sample(message, Some(line));
                return Ok(());
            }
        };
        if !self.is_whole(&samples) || !self.is_read(&samples) {
            return Ok(());
        }
        // What is added stands behind what was released, so the released effects come first.
        let released = samples.len();
        samples.grow(self.contract.families.values())?;
        let len = samples.len();
        if len > released {
            self.new.add(Entry::new(
                "sample",
                "events",
                number(len),
                samples.digest(len),
            ));
            self.unreleased("new events of the sample".to_owned());
            self.write(SAMPLE.to_owned(), samples.text());
        }
        for behaviour in self.contract.behaviours.values() {
            self.behaviour(behaviour.as_ref(), &samples)?;
        }
        Ok(())
    }

    /// Whether the file of the sample begins as it was released.
    fn is_whole(&mut self, samples: &Samples) -> bool {
        let released = |entry: &Entry| {
            let len = entry.number as usize;
            len <= samples.len() && samples.digest(len) == entry.rest
        };
        let whole = self.lock.of("sample").all(released);
        if !whole {
            self.changed_sample("the released sample was changed".to_owned(), None);
        }
        whole
    }

    fn changed_sample(&mut self, message: String, line: Option<usize>) {
        let help = "take the file from version control again: its lines are only added to";
        let finding = Finding::error("ES0166", SAMPLE, message, help);
        self.found(finding.in_file(format!("{FOLDER}/{SAMPLE}"), line));
    }

    /// Whether every event of the sample can still be read.
    fn is_read(&mut self, samples: &Samples) -> bool {
        let mut read = true;
        for (n, event) in samples.events() {
            let family = self.contract.families.get(event.aggregate());
            let Some(Err(error)) = family.map(|family| (family.decode)(event)) else {
                continue;
            };
            read = false;
            let message = format!("a released `{}` can be read no more", event.event_type);
            let help = "events of this shape are in the log: say in the event's history what became of them, or take the change back";
            let finding = Finding::error("ES0167", event.event_type, message, help);
            let details = [format!("payload: {}", event.payload), error.to_string()];
            self.found(
                finding
                    .in_file(format!("{FOLDER}/{SAMPLE}"), Some(n))
                    .showing(details),
            );
        }
        read
    }

    fn behaviour(&mut self, behaviour: &dyn Behaviour, samples: &Samples) -> Result<()> {
        let (subject, form) = (behaviour.subject(), behaviour.form());
        let effects = behaviour.effects(samples)?;
        self.keeps_its_schema(&subject, &effects, samples);
        let path = path(&subject);
        let fingerprints = self.fingerprints(&subject);
        let changed = |(len, hash): &(usize, String)| fingerprint(&form, &effects, *len) != *hash;
        if fingerprints.iter().any(changed) {
            let finding = self.differs(&subject, &path, &form, &effects, samples);
            self.found(finding);
            return Ok(());
        }
        if fingerprints.is_empty() {
            self.unreleased(format!("the {} `{subject}`", subject.kind));
        }
        let len = samples.len();
        if fingerprints.iter().all(|(released, _)| *released < len) {
            let of = subject.of.map(|of| format!("{of} ")).unwrap_or_default();
            let rest = format!("{of}{len} {}", fingerprint(&form, &effects, len));
            self.new.add(Entry::new(
                subject.kind,
                &subject.name,
                subject.version,
                rest,
            ));
        }
        self.write(path, text(&form, &effects));
        Ok(())
    }

    /// Whether what a mapping tells of the sample is what the stream's schemas say: also what came
    /// down to an older version.
    fn keeps_its_schema(&mut self, subject: &Subject, effects: &[Effect], samples: &Samples) {
        let is = |stream: &&Stream| {
            (&stream.id.stream, stream.id.version) == (&subject.name, subject.version)
        };
        let mapping = subject.kind == "mapping";
        let Some(stream) = self.contract.streams.values().find(is).filter(|_| mapping) else {
            return;
        };
        for event in &stream.events {
            let document = stream.document(event);
            let forbidden = effects.iter().find(|effect| {
                let told: Value = serde_json::from_str(&effect.line).unwrap_or_default();
                told["event"] == event.name && !allows(&document, &told["data"].to_string())
            });
            if let Some(effect) = forbidden {
                let message = format!(
                    "`{subject}` tells what the schema of `{}` forbids",
                    event.name
                );
                let help = "say the type's rules in its schema, as it is written";
                let finding = Finding::error("ES0169", subject, message, help);
                let made = samples
                    .line(effect.event)
                    .map(|line| format!("event: {line}"));
                let told = format!("told:  {}", effect.line);
                self.found(finding.showing(made.into_iter().chain([told])));
            }
        }
    }

    /// The released fingerprints, each with the number of events that it speaks of.
    fn fingerprints(&self, subject: &Subject) -> Vec<(usize, String)> {
        let entries = self
            .lock
            .of(subject.kind)
            .filter(|entry| entry.name == subject.name && entry.number == subject.version);
        let read = |entry: &Entry| {
            let mut words = entry.words();
            if subject.of.is_some() && words.next() != subject.of {
                return None;
            }
            Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
        };
        entries.filter_map(read).collect()
    }

    /// Shows the first effect that differs.
    fn differs(
        &self,
        subject: &Subject,
        path: &str,
        form: &str,
        effects: &[Effect],
        samples: &Samples,
    ) -> Finding {
        let (code, help) = if subject.kind == "projection" {
            (
                "ES0164",
                "raise the projection's `version`: the new one is built beside this one and takes over when it is proven; or take the change back",
            )
        } else {
            (
                "ES0165",
                "publish it as the next version of the stream, which runs beside this one; or take the change back",
            )
        };
        let message = format!(
            "`{subject}` was released, and its behaviour has changed without a new version"
        );
        let finding = Finding::error(code, subject, message, help);
        let released: Vec<_> = self
            .files
            .schemas
            .get(path)
            .map_or("", String::as_str)
            .lines()
            .collect();
        let now = text(form, effects);
        let now: Vec<_> = now.lines().collect();
        let differ = |n: &usize| released.get(*n) != now.get(*n);
        let lines = 0..released.len();
        let Some(n) = lines.into_iter().find(differ) else {
            let detail = format!(
                "what it did is not in `{FOLDER}/{path}`: take that file from version control to see the difference"
            );
            return finding.showing([detail]);
        };
        let finding = finding.in_file(format!("{FOLDER}/{path}"), Some(n + 1));
        let mut details = Vec::new();
        let event = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            usize::try_from(line["sample"].as_u64()?).ok()
        };
        if let Some(event) = event(released[n]).and_then(|n| samples.line(n)) {
            details.push(format!("event:    {event}"));
        }
        details.push(format!("released: {}", released[n]));
        details.push(format!("now:      {}", now.get(n).unwrap_or(&"nothing")));
        finding.showing(details)
    }
}

fn path(subject: &Subject) -> String {
    let Subject {
        kind,
        name,
        version,
        of,
    } = subject;
    let of = of.map(|of| format!(".{of}")).unwrap_or_default();
    format!("{EFFECTS}/{kind}.{name}.{version}{of}.jsonl")
}

/// The file that shows what a fingerprint stands for.
fn text(form: &str, effects: &[Effect]) -> String {
    let first = (!form.is_empty()).then(|| serde_json::json!({ "columns": form }).to_string());
    let lines = first
        .iter()
        .map(String::as_str)
        .chain(effects.iter().map(|e| e.line.as_str()));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Stands for what the first `events` of the sample do.
fn fingerprint(form: &str, effects: &[Effect], events: usize) -> String {
    let effects = effects.iter().filter(|effect| effect.event <= events);
    digest(
        [form]
            .into_iter()
            .chain(effects.map(|effect| effect.line.as_str())),
    )
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
