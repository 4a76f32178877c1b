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

    /// Reads a line; a name that is not one word stands in quotes.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.trim().split_once(' ')?;
        let end = match rest.strip_prefix('"') {
            Some(quoted) => closing_quote(quoted)? + 2,
            None => rest.find(' ')?,
        };
        let (name, rest) = (&rest[..end], rest[end..].strip_prefix(' ')?);
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Self::new(kind, name, number.parse().ok()?, rest))
    }

    pub(crate) fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.rest.split(' ')
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let text = "# What was released.\n\
            event \"an \\\"old\\\" name\" 1 (Money, u32)\n\
            event account.closed 1 {}\n\
            projection balances 2 118 8f3a\n";
        let lock = Lock::read(text).unwrap();
        assert_eq!(lock.text(), text);
        let event = lock.of("event").next().unwrap();
        assert_eq!(
            (event.name.as_str(), event.number),
            ("\"an \\\"old\\\" name\"", 1)
        );
        assert_eq!(event.rest, "(Money, u32)");
    }

    #[test]
    fn what_says_nothing_is_told() {
        for line in [
            "event",
            "event a",
            "event a b",
            "event \"a 1 {}",
            "<<<<<<< ours",
        ] {
            let refused = Lock::read(&format!("shape a 1 f\n{line}\n")).unwrap_err();
            assert_eq!(refused, (2, line.to_owned()));
        }
    }
}
