//! The code against what was released: what breaks it, and what is new. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::{Contract, PublicEvent, Stream};
use super::document::{digest, first_difference, pretty, shape, shape_digest};
use super::files::{FOLDER, Files, LOCK, Texts};
use super::frozen::{Entry, Lock};
use super::judge::judge;
use super::portable;
use super::report::{Finding, Report, Severity};
use crate::error::{Error, Kind, Result};

/// The folder of internal events. No stream has a name that begins with `_`.
const INTERNAL: &str = "_internal";

/// What a comparison says, and what a release would write.
pub(super) struct Comparison {
    pub(super) report: Report,
    pub(super) schemas: Texts,
    pub(super) lock: String,
}

/// Compares a contract with what was released.
///
/// # Errors
/// When `es.lock` cannot be read as one, or no sample can be made.
pub(super) fn compare(contract: &Contract, files: &Files) -> Result<Comparison> {
    let lock = Lock::read(&files.lock).map_err(|(line, text)| {
        let why = format!("`{text}` is no entry; take the file from version control again");
        Error::new(Kind::BadLine {
            file: LOCK.to_owned(),
            line: line as u64,
            why,
        })
    })?;
    let mut work = Work {
        contract,
        files,
        new: lock.clone(),
        lock,
        report: Report::default(),
        schemas: Texts::new(),
    };
    work.internal();
    work.public();
    work.gone();
    work.behaviours()?;
    work.documents(super::export::documents(contract)?);
    work.portability()?;
    let worst_first = |finding: &Finding| Reverse(finding.severity);
    work.report.findings.sort_by_key(worst_first);
    Ok(Comparison {
        report: work.report,
        schemas: work.schemas,
        lock: work.new.text(),
    })
}

/// A comparison that goes on.
pub(super) struct Work<'c> {
    pub(super) contract: &'c Contract,
    pub(super) files: &'c Files,
    pub(super) lock: Lock,
    /// The lock as a release would leave it.
    pub(super) new: Lock,
    report: Report,
    /// The files that a release would write.
    schemas: Texts,
}

impl Work<'_> {
    pub(super) fn found(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    pub(super) fn unreleased(&mut self, what: String) {
        self.report.unreleased.push(what);
    }

    pub(super) fn write(&mut self, path: String, text: String) {
        if self.files.schemas.get(&path) != Some(&text) {
            self.schemas.insert(path, text);
        }
    }

    /// A released document, if its file is what the lock says.
    fn released(&mut self, path: &str, hash: &str, digest: fn(&Value) -> String) -> Option<Value> {
        let document = self.files.schemas.get(path);
        let document = document.and_then(|text| serde_json::from_str(text).ok());
        if document
            .as_ref()
            .is_some_and(|document| digest(document) == hash)
        {
            return document;
        }
        let what = if self.files.schemas.contains_key(path) {
            "was changed"
        } else {
            "is missing"
        };
        self.found(
            Finding::error(
                "ES0166",
                path,
                format!("`{FOLDER}/{path}` {what}, but it was released"),
                "take it from version control again: what was released stays as it is",
            )
            .in_file(format!("{FOLDER}/{path}"), None),
        );
        None
    }

    /// The shapes of internal events, with what is inside of nested types.
    fn internal(&mut self) {
        for family in self.contract.families.values() {
            for (event, document) in family.types.iter().zip(&family.payloads) {
                self.shape(event.name, event.version, document);
            }
            family
                .shapes
                .lines()
                .filter_map(Entry::parse)
                .for_each(|entry| self.declared(entry));
        }
    }

    /// A version of an event's payload as the derive sees it, which compares it with the lock, too:
    /// so it differs only where the derive was shown another lock.
    fn declared(&mut self, entry: Entry) {
        let same = |old: &&Entry| old.name == entry.name && old.number == entry.number;
        let Some(released) = self.lock.of("event").find(same).cloned() else {
            return self.new.add(entry);
        };
        if released.rest != entry.rest {
            let (name, version) = (&entry.name, entry.number);
            let message = format!(
                "`{name}` was released as version {version} with `{}`, and the code says `{}`",
                released.rest, entry.rest
            );
            let help = "let the derive read this lock, and say the change in the event's history";
            let subject = format!("{name} {version}");
            self.found(Finding::error("ES0163", subject, message, help).in_file(LOCK, None));
        }
    }

    fn shape(&mut self, name: &str, version: u32, document: &Value) {
        let hash = shape_digest(document);
        let path = format!("{INTERNAL}/{name}.{version}.json");
        let released = self
            .lock
            .of("shape")
            .find(|e| e.name == name && e.number == version);
        let Some(released) = released.map(|entry| entry.rest.clone()) else {
            self.unreleased(format!("the event `{name}`, version {version}"));
            self.new.add(Entry::new("shape", name, version, hash));
            return self.write(path, pretty(&shape(document)));
        };
        let Some(old) = self.released(&path, &released, shape_digest) else {
            return;
        };
        if released == hash {
            return;
        }
        let finding = Finding::error(
            "ES0163",
            format!("{name} {version}"),
            format!("`{name}` was released as version {version} with another shape"),
            "say the change in the event's history, so that it becomes a new version, or take it back; for a change inside of a nested type keep the old type for the old version",
        );
        let finding = finding.in_file(format!("{FOLDER}/{path}"), None);
        let difference = difference(&old, &shape(document));
        self.found(finding.showing(difference));
    }

    /// The events of integration streams.
    fn public(&mut self) {
        for stream in self.contract.streams.values() {
            for event in &stream.events {
                self.public_event(stream, event);
            }
        }
    }

    fn public_event(&mut self, stream: &Stream, event: &PublicEvent) {
        let (id, name) = (&stream.id, event.name);
        let key = format!("{}.{name}", id.stream);
        let released: Vec<_> = self
            .lock
            .of("schema")
            .filter(|entry| entry.name == key && entry.number == id.version)
            .filter_map(revision)
            .collect();
        let folder = format!("{}/v{}", id.stream, id.version);
        let mut documents = Vec::new();
        for (revision, hash) in &released {
            let path = format!("{folder}/{name}.{revision}.json");
            documents.extend(
                self.released(&path, hash, document_digest)
                    .map(|document| (*revision, document)),
            );
        }
        if documents.len() < released.len() {
            return;
        }
        let mut now = stream.document(event);
        let last = documents.last();
        let current = last.is_some_and(|(_, old)| without_id(old) == without_id(&now));
        if current {
            return;
        }
        let mode = self.contract.modes.get(&id.stream).copied();
        let findings = judge(
            &documents,
            &now,
            mode.unwrap_or_default(),
            &format!("{id} {name}"),
        );
        let broken = |(_, finding): &(u32, Finding)| finding.severity == Severity::Error;
        let breaks = findings.iter().any(broken);
        for (revision, finding) in findings {
            let file = format!("{FOLDER}/{folder}/{name}.{revision}.json");
            self.found(finding.in_file(file, None));
        }
        if breaks {
            return;
        }
        let next = last.map_or(1, |(revision, _)| revision + 1);
        self.unreleased(match next {
            1 => format!("`{name}` of `{id}`"),
            _ => format!("`{name}` of `{id}`, a compatible change: revision {next}"),
        });
        let service = &self.contract.service;
        now["$id"] = format!(
            "urn:es:{service}:{}:v{}:{name}:{next}",
            id.stream, id.version
        )
        .into();
        let hash = document_digest(&now);
        self.new.add(Entry::new(
            "schema",
            &key,
            id.version,
            format!("{next} {hash}"),
        ));
        self.write(format!("{folder}/{name}.{next}.json"), pretty(&now));
    }

    /// What was released and is described no more.
    fn gone(&mut self) {
        let mut gone = BTreeSet::new();
        for entry in self.lock.of("schema") {
            let Some((stream, event)) = entry.name.split_once('.') else {
                continue;
            };
            let id = format!("{stream}@{}", entry.number);
            let mut streams = self.contract.streams.values();
            match streams.find(|known| known.id.to_string() == id) {
                Some(known) if known.events.iter().all(|known| known.name != event) => {
                    gone.insert((
                        format!("{id} {event}"),
                        "the event type",
                        "keep the variant, which may go unused",
                    ));
                }
                Some(_) => {}
                None if self.contract.retired.contains(&id) => {}
                None => {
                    gone.insert((id, "the stream", "describe it with `publish` or `stream`; when its last reader is gone, say `retired`"));
                }
            }
        }
        for entry in self.lock.of("shape") {
            let family = entry
                .name
                .split_once('.')
                .map_or(entry.name.as_str(), |(family, _)| family);
            let known = self.contract.families.values().any(|family| {
                let name = entry.name.as_str();
                let mut types = family.types.iter();
                types.any(|t| t.name == name || t.was.contains(&name))
                    || family.foreign.contains(&name)
            });
            if !known && !self.contract.retired.contains(family) {
                gone.insert((entry.name.clone(), "the event", "keep the variant: the log has such events for ever; list an old name under `was`"));
            }
        }
        for (subject, what, help) in gone {
            let message = format!("{what} `{subject}` was released and is gone");
            self.found(Finding::error("ES0168", &subject, message, help).in_file(LOCK, None));
        }
    }

    /// The documents that are made anew with every release.
    fn documents(&mut self, documents: Texts) {
        for (path, text) in documents {
            if self.files.schemas.get(&path) != Some(&text) {
                self.unreleased(format!("`{FOLDER}/{path}`"));
                self.write(path, text);
            }
        }
    }

    /// What some readers cannot take.
    fn portability(&mut self) -> Result<()> {
        for stream in self.contract.streams.values() {
            for (variant, event) in stream.events.iter().enumerate() {
                let subject = format!("{} {}", stream.id, event.name);
                let document = stream.document(event);
                let mut found = portable::surprises(&document);
                found.extend(portable::disagreement(&document, variant, stream.rewrite)?);
                for (message, help) in found {
                    let (message, level) =
                        (format!("{message}, in `{subject}`"), Severity::Warning);
                    self.found(Finding::new((level, "ES0169"), &subject, message, help));
                }
            }
        }
        Ok(())
    }
}

/// `1 8f3a…`: a revision and what it hashes to.
fn revision(entry: &Entry) -> Option<(u32, String)> {
    let mut words = entry.words();
    Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
}

/// Stands for a document, however its file is indented.
fn document_digest(document: &Value) -> String {
    digest([pretty(document)])
}

fn without_id(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(object) = document.as_object_mut() {
        object.remove("$id");
    }
    document
}

/// Where two shapes differ first, in two lines.
fn difference(old: &Value, new: &Value) -> Vec<String> {
    let Some((path, old, new)) = first_difference(old, new) else {
        return Vec::new();
    };
    let path = if path.is_empty() {
        "/".to_owned()
    } else {
        path
    };
    vec![
        format!("at {path}"),
        format!("released: {old}"),
        format!("now:      {new}"),
    ]
}
