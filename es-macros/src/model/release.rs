//! What an enum declares of every version that was or will be released: the lines of the lock.

use std::fmt::Write as _;

use super::history::{Change, History, Shape};
use super::{EventEnum, EventVariant};

/// The payload of a stored name in one version.
pub(crate) struct Declared<'m> {
    pub(crate) name: &'m str,
    pub(crate) version: u32,
    pub(crate) shape: &'m Shape,
}

impl EventVariant<'_> {
    /// Its versions, each under the name that it had.
    pub(crate) fn declared(&self) -> Vec<Declared<'_>> {
        let mut declared = of_history(&self.name.text, &self.history);
        for step in self.history.steps.iter().rev() {
            if let Change::Name { was } = &step.change {
                let before = declared.iter_mut().filter(|one| one.version < step.since);
                before.for_each(|one| one.name = was);
            }
        }
        declared
    }
}

impl EventEnum<'_> {
    /// All that is known of payloads, today's and those of events that are no more.
    pub(crate) fn declared(&self) -> Vec<Declared<'_>> {
        let variants = self.variants.iter().flat_map(EventVariant::declared);
        let merged = self.variants.iter().flat_map(|variant| &variant.merged);
        let merged = merged.flat_map(|merged| of_history(&merged.name.text, &merged.history));
        let gone = self.gone.iter().flat_map(|gone| {
            let history = gone.history.as_ref();
            history.map_or_else(Vec::new, |history| of_history(&gone.name.text, history))
        });
        variants.chain(merged).chain(gone).collect()
    }

    /// The same as the lines of a lock.
    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        for Declared {
            name,
            version,
            shape,
        } in self.declared()
        {
            let _ = writeln!(lines, "event {} {version} {}", word(name), shape.text());
        }
        lines
    }
}

fn of_history<'m>(name: &'m str, history: &'m History) -> Vec<Declared<'m>> {
    let versions = (1..).zip(&history.shapes);
    versions
        .map(|(version, shape)| Declared {
            name,
            version,
            shape,
        })
        .collect()
}

/// A name as one word: white space is written as in a URL.
fn word(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_whitespace() || letter == '%' {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(word, "%{byte:02X}");
            }
        } else {
            word.push(letter);
        }
    }
    word
}
