//! Patterns made up, against the regular expressions of another validator.

use es_runtime::schema::compat::{Verdict, subset};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::random::{pick, seeded};

const ROUNDS: usize = 200;

fn pattern(random: &mut Rng, depth: u32) -> String {
    let mut pattern = String::new();
    for _ in 0..random.usize(1..4) {
        let atom = match random.u32(..if depth == 0 { 10 } else { 14 }) {
            0..=2 => (*pick(random, &["a", "b", "c"])).to_owned(),
            3 => ".".to_owned(),
            4 => (*pick(random, &["[ab]", "[^a]", "[a-c]", "[^\\d]", "[\\w-]"])).to_owned(),
            5 => (*pick(random, &["\\d", "\\w", "\\W", "\\.", "\\x61", "\\u0062"])).to_owned(),
            6 => "^".to_owned(),
            7 => "$".to_owned(),
            8 | 9 => "ab".to_owned(),
            10 => format!("(?:{})", self::pattern(random, depth - 1)),
            11 => format!("(?={})", self::pattern(random, depth - 1)),
            12 => format!("(?!{})", self::pattern(random, depth - 1)),
            _ => format!(
                "({}|{})",
                self::pattern(random, depth - 1),
                self::pattern(random, depth - 1)
            ),
        };
        let looks = atom.starts_with("(?=") || atom.starts_with("(?!");
        let fixed =
            looks || atom == "^" || atom == "$" || atom.contains("(?=") || atom.contains("(?!");
        pattern.push_str(&atom);
        if !fixed && random.u32(..3) == 0 {
            let counts: [&str; 7] = ["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"];
            pattern.push_str(counts[random.usize(..counts.len())]);
        }
    }
    pattern
}

fn text(random: &mut Rng) -> String {
    (0..random.usize(..6))
        .map(|_| *pick(random, &['a', 'b', 'c', '1', '-', '.', '√', '\n']))
        .collect()
}

#[test]
fn patterns_match_what_they_match_elsewhere() {
    let mut random = seeded();
    let (mut yes, mut no) = (0, 0);
    for _ in 0..ROUNDS {
        let (left, right) = (pattern(&mut random, 2), pattern(&mut random, 2));
        let schema = |pattern: &str| json!({"type": "string", "pattern": pattern});
        let valid =
            |pattern: &str, text: &Value| jsonschema::draft7::is_valid(&schema(pattern), text);
        for _ in 0..8 {
            let text = Value::String(text(&mut random));
            let matches = match subset(&json!({"const": text}), &schema(&left)) {
                Verdict::Subset => true,
                Verdict::NotSubset {
                    counterexample: Some(_),
                    ..
                } => false,
                // It says nothing, and so it is a claim.
                _ => continue,
            };
            assert_eq!(matches, valid(&left, &text), "{text} and `{left}`");
            if matches { yes += 1 } else { no += 1 }
        }
        // An example of one that the other does not match.
        if let Some(text) = subset(&schema(&left), &schema(&right)).counterexample() {
            assert!(valid(&left, text), "{text} and `{left}`");
            assert!(!valid(&right, text), "{text} and `{right}`");
        }
    }
    println!("{yes} match, {no} do not");
    assert!(yes > ROUNDS / 4 && no > ROUNDS / 4);
}
