//! `es.lock`: what was released. A line says one thing, and lines are only added.

use std::collections::BTreeSet;

/// A line: `shape account.opened 2 8f3a…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) rest: String,
}

impl Entry {
    pub(crate) fn new(kind: &str, name: &str, number: u32, rest: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            number,
            rest: rest.into(),
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim().splitn(4, ' ');
        let (kind, name, number) = (words.next()?, words.next()?, words.next()?);
        let rest = words.next().unwrap_or_default();
        Some(Self::new(kind, name, number.parse().ok()?, rest))
    }

    pub(crate) fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.rest.split(' ')
    }
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lock {
    head: Vec<String>,
    entries: BTreeSet<Entry>,
}

const HEAD: &str = "# What was released. Grows by `schema release` alone; never edited by hand.";

impl Lock {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The number of the line that says nothing known, and the line.
    pub(crate) fn read(text: &str) -> Result<Self, (usize, String)> {
        let mut lock = Self::default();
        for (n, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                lock.head
                    .extend(line.starts_with('#').then(|| line.to_owned()));
            } else {
                let entry = Entry::parse(line).ok_or_else(|| (n + 1, line.to_owned()))?;
                lock.entries.insert(entry);
            }
        }
        Ok(lock)
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.insert(entry);
    }

    pub(crate) fn of<'l>(&'l self, kind: &'l str) -> impl Iterator<Item = &'l Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = if self.head.is_empty() {
            format!("{HEAD}\n")
        } else {
            self.head
                .iter()
                .flat_map(|line| [line.as_str(), "\n"])
                .collect()
        };
        for Entry {
            kind,
            name,
            number,
            rest,
        } in &self.entries
        {
            text.push_str(format!("{kind} {name} {number} {rest}").trim_end());
            text.push('\n');
        }
        text
    }
}
