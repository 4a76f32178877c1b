//! Texts: lengths, patterns, and texts that are excluded.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::node::{Claim, Leaf};
use super::branch::Branch;
use super::{Found, Solver};

/// Longer examples are not made.
const LONGEST: u64 = 1_000_000;

/// Texts that well-known formats allow, for examples that look right.
const EXAMPLES: [(&str, &str); 11] = [
    ("date-time", "2020-01-01T00:00:00Z"),
    ("date", "2020-01-01"),
    ("time", "00:00:00Z"),
    ("duration", "P1D"),
    ("ipv4", "127.0.0.1"),
    ("ipv6", "::1"),
    ("uri", "https://example.org/"),
    ("uri-reference", "/a"),
    ("iri", "https://example.org/"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
    ("regex", "a"),
];

impl Solver<'_> {
    pub(super) fn text(&mut self, branch: &Branch) -> Found {
        let (mut least, mut most): (u64, Option<u64>) = (0, None);
        let (mut has, mut lacks) = (Vec::new(), Vec::new());
        let mut among: Option<BTreeSet<String>> = None;
        let mut excluded = BTreeSet::new();
        let mut example = None;
        for (leaf, holds) in branch.said.iter().filter_map(|&say| self.leaf(say)) {
            match (leaf, holds) {
                (&Leaf::MinLength(length), true) => least = least.max(length),
                (Leaf::MinLength(0), false) => return Found::Nothing,
                (&Leaf::MinLength(length), false) => {
                    most = Some(most.map_or(length - 1, |most| most.min(length - 1)))
                }
                (&Leaf::MaxLength(length), true) => {
                    most = Some(most.map_or(length, |most| most.min(length)))
                }
                (&Leaf::MaxLength(length), false) => least = least.max(length.saturating_add(1)),
                (&Leaf::Pattern(pattern), true) => has.push(pattern),
                (&Leaf::Pattern(pattern), false) => lacks.push(pattern),
                (Leaf::Among(values), true) => {
                    let values: BTreeSet<String> = texts(values).collect();
                    among = Some(match among {
                        Some(among) => &among & &values,
                        None => values,
                    });
                }
                (Leaf::Among(values), false) => excluded.extend(texts(values)),
                (Leaf::Claim(_, Claim::Format(format)), true) => {
                    example = EXAMPLES.into_iter().find(|(name, _)| name == format);
                }
                _ => {}
            }
        }
        if most.is_some_and(|most| most < least) {
            return Found::Nothing;
        }
        let mut parts: Vec<_> = has
            .iter()
            .map(|&pattern| self.nodes.language(pattern))
            .collect();
        for pattern in lacks {
            let language = self.nodes.language(pattern);
            parts.push(self.nodes.languages.not(language));
        }
        let languages = &mut self.nodes.languages;
        let mut fits = |text: &str| {
            let length = text.chars().count() as u64;
            length >= least
                && most.is_none_or(|most| length <= most)
                && !excluded.contains(text)
                && parts.iter().all(|&part| languages.contains(part, text))
        };
        if let Some(among) = among {
            return match among.into_iter().find(|text| fits(text)) {
                Some(text) => Found::Instance(Value::String(text)),
                None => Found::Nothing,
            };
        }
        if let Some((_, text)) = example.filter(|(_, text)| fits(text)) {
            return Found::Instance(text.into());
        }
        let language = languages.both(parts);
        if language == languages.all() && excluded.is_empty() {
            return match usize::try_from(least) {
                Ok(length) if least <= LONGEST => Found::Instance("a".repeat(length).into()),
                _ => Found::unsure("its texts are too long to make one"),
            };
        }
        match languages.find(language, least, most, &excluded) {
            Ok(Some(text)) => Found::Instance(Value::String(text)),
            Ok(None) => Found::Nothing,
            Err(_) => Found::unsure("its patterns have too many states"),
        }
    }
}

fn texts(values: &[Value]) -> impl Iterator<Item = String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned)
}
