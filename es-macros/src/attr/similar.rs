//! "Did you mean …?"

/// What other crates call an option that has another name here.
const SYNONYMS: &[(&str, &str)] = &[
    ("alias", "was"),
    ("indexed", "index"),
    ("rename", "name"),
    ("table", "name"),
    ("topic", "stream"),
];

/// The one of `known` that looks most like `word`, if it looks much like it or means the same.
pub(crate) fn closest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let meant = |name: &&str| SYNONYMS.contains(&(word, *name));
    if let Some(name) = known.clone().find(|name| meant(name)) {
        return Some(name);
    }
    let scored = known.map(|name| (similarity(word, name), name));
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The Jaro similarity: 1 for equal words, 0 for words without a common letter. It forgives
/// swapped letters, which are what typing hands get wrong.
fn similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut matched = Vec::new();
    for (i, letter) in a.iter().enumerate() {
        let near = i.saturating_sub(window)..b.len().min(i + window + 1);
        if let Some(j) = near.into_iter().find(|&j| !taken[j] && b[j] == *letter) {
            taken[j] = true;
            matched.push(*letter);
        }
    }
    if matched.is_empty() {
        return 0.0;
    }
    let in_b = b
        .iter()
        .zip(&taken)
        .filter(|(_, taken)| **taken)
        .map(|(letter, _)| letter);
    let swapped = matched.iter().zip(in_b).filter(|(a, b)| a != b).count();
    let (hits, swaps) = (count(matched.len()), count(swapped) / 2.0);
    (hits / count(a.len()) + hits / count(b.len()) + (hits - swaps) / hits) / 3.0
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_close_and_another_word_is_not() {
        let known = ["name", "aggregate", "dispatch", "version"];
        let closest = |word| closest(word, known.into_iter());
        assert_eq!(closest("verison"), Some("version"));
        assert_eq!(closest("nmae"), Some("name"));
        assert_eq!(closest("agregate"), Some("aggregate"));
        assert_eq!(closest("dispatched"), Some("dispatch"));
        assert_eq!(closest("rename"), Some("name"));
        assert_eq!(closest("alias"), None);
        assert_eq!(closest("since"), None);
        assert_eq!(closest(""), None);
    }
}
