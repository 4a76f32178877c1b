//! The lock, as far as a derive reads it: which payloads were released, as text.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use syn::LitStr;

/// What was released of the events of one package.
pub(crate) struct Lock {
    /// The file, to be tracked by the compiler.
    pub(crate) path: PathBuf,
    pub(crate) released: Vec<Released>,
}

/// `event account.opened 2 { owner: String, currency: Currency }`.
pub(crate) struct Released {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// Whether it is an object; a tuple otherwise.
    pub(crate) named: bool,
    /// `owner: String`, or `String` in a tuple.
    pub(crate) fields: Vec<String>,
}

/// Why a lock says nothing.
pub(crate) enum Unreadable {
    /// It cannot be read.
    File { file: String, why: String },
    /// A line is no entry.
    Line { file: String, line: usize },
}

impl Lock {
    /// The lock of the package that is being compiled: `es.lock` beside its manifest, if it is
    /// there, or the file that `said` names, seen from the file `source`, which must be.
    pub(crate) fn find(
        said: Option<&LitStr>,
        source: Option<&Path>,
    ) -> Result<Option<Self>, Unreadable> {
        let file = said.map_or_else(|| "es.lock".to_owned(), LitStr::value);
        let manifest = || PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
        let beside = said.and(source).and_then(Path::parent);
        let path = beside.map_or_else(manifest, Path::to_owned).join(&file);
        let path = std::path::absolute(&path).unwrap_or(path);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if said.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => {
                let why = error.kind().to_string();
                return Err(Unreadable::File { file, why });
            }
        };
        let mut released = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            match entry(text) {
                Some(entry) => released.extend(entry),
                None => return Err(Unreadable::Line { file, line }),
            }
        }
        Ok(Some(Self { path, released }))
    }
}

/// What a line says of an event; `Some(None)` if it is about something else, `None` if it is no
/// line of a lock.
fn entry(line: &str) -> Option<Option<Released>> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Some(None);
    }
    let (kind, rest) = line.split_once(' ')?;
    if kind != "event" {
        let word = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        return word.then_some(None);
    }
    let (word, rest) = rest.split_once(' ')?;
    let (version, shape) = rest.split_once(' ')?;
    let name = name(word)?;
    let version = version.parse().ok().filter(|version| *version > 0)?;
    let (named, inner) = match shape.strip_prefix('{') {
        Some(inner) => (true, inner.strip_suffix('}')?),
        None => (false, shape.strip_prefix('(')?.strip_suffix(')')?),
    };
    let fields = split(inner);
    Some(Some(Released {
        name,
        version,
        named,
        fields,
    }))
}

/// The name that is written as one word, with white space as in a URL.
fn name(word: &str) -> Option<String> {
    let (mut bytes, mut left) = (Vec::new(), word.as_bytes());
    while let Some((byte, rest)) = left.split_first() {
        left = rest;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (code, rest) = left.split_at_checked(2)?;
        let code = std::str::from_utf8(code).ok()?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        left = rest;
    }
    String::from_utf8(bytes).ok()
}

/// Cuts at the commas outside of brackets and quotes.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quoted, mut last) = (vec![String::new()], 0_usize, false, ' ');
    for letter in text.chars() {
        match letter {
            '"' if last != '\\' => quoted = !quoted,
            '<' | '(' | '[' | '{' if !quoted => depth += 1,
            '>' if last == '-' => {}
            '>' | ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !quoted => {
                parts.push(String::new());
                last = letter;
                continue;
            }
            _ => {}
        }
        last = letter;
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_entry_or_about_something_else_or_none() {
        let event = |line| entry(line).unwrap().unwrap();
        let opened = event("event account.opened 2 { owner: String, by: Map<K, fn(A) -> (B, C)> }");
        assert_eq!(
            (&*opened.name, opened.version, opened.named),
            ("account.opened", 2, true)
        );
        assert_eq!(
            opened.fields,
            ["owner: String", "by: Map<K, fn(A) -> (B, C)>"]
        );
        let raised = event("event an%20old%25%C2%A0name 1 (Money, u32)");
        assert_eq!((&*raised.name, raised.named), ("an old%\u{a0}name", false));
        assert_eq!(raised.fields, ["Money", "u32"]);
        assert!(event("event account.closed 1 {}").fields.is_empty());
        for line in [
            "",
            "# What was released.",
            "projection balances 1 a9",
            "mapping accounts 2 x",
        ] {
            assert!(entry(line).is_some_and(|entry| entry.is_none()), "{line}");
        }
        for line in [
            "<<<<<<< ours",
            "event",
            "event a",
            "event a 0 {}",
            "event a 1 {",
            "event a%2 1 {}",
        ] {
            assert!(entry(line).is_none(), "{line}");
        }
    }
}
