//! Languages as expressions that are derived character by character: they can be joined, met and
//! inverted, and a shortest text in one is found by walking through its derivatives.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::parse::{self, Ast, Set};

/// A language that [`Languages`] knows. Equal ones mostly have equal numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(in super::super) struct Language(u32);

/// The search went on for too long.
#[derive(Debug)]
pub(in super::super) struct TooMuch;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Term {
    Nothing,
    Empty,
    Set(Set),
    Then(Language, Language),
    Either(Vec<Language>),
    Both(Vec<Language>),
    Not(Language),
    Repeat(Language, u32, Option<u32>),
    Begin,
    End,
}

const NOTHING: Language = Language(0);
const EMPTY: Language = Language(1);
const ALL: Language = Language(2);
/// States of one search.
const FURTHEST: usize = 30_000;
/// Terms of one walk through the derivatives; past them, a language is given up.
const MOST_TERMS: usize = 60_000;

pub(in super::super) struct Languages {
    terms: Vec<Term>,
    known: HashMap<Term, Language>,
    derived: HashMap<(Language, char, bool), Language>,
}

impl Languages {
    pub(in super::super) fn new() -> Self {
        let mut new = Self {
            terms: Vec::new(),
            known: HashMap::new(),
            derived: HashMap::new(),
        };
        new.add(Term::Nothing);
        new.add(Term::Empty);
        new.add(Term::Not(NOTHING));
        new
    }

    pub(in super::super) fn all(&self) -> Language {
        ALL
    }

    /// The texts in which the pattern matches somewhere, or why it is not followed.
    pub(in super::super) fn pattern(&mut self, pattern: &str) -> Result<Language, &'static str> {
        let ast = parse::parse(pattern)?;
        let found = self.compile(&ast, ALL);
        Ok(self.then(ALL, found))
    }

    /// The texts that the pattern matches as a whole.
    pub(in super::super) fn whole(&mut self, pattern: &str) -> Result<Language, &'static str> {
        let ast = parse::parse(pattern)?;
        Ok(self.compile(&ast, EMPTY))
    }

    pub(in super::super) fn both(&mut self, parts: impl IntoIterator<Item = Language>) -> Language {
        let mut kept = BTreeSet::new();
        for part in parts {
            match &self.terms[part.0 as usize] {
                Term::Nothing => return NOTHING,
                Term::Both(inner) => kept.extend(inner.iter().copied()),
                _ if part == ALL => {}
                _ => {
                    kept.insert(part);
                }
            }
        }
        if kept.iter().any(|&part| self.has_opposite(part, &kept)) {
            return NOTHING;
        }
        match kept.len() {
            0 => ALL,
            1 => kept.into_iter().next().unwrap_or(ALL),
            _ => self.add(Term::Both(kept.into_iter().collect())),
        }
    }

    pub(in super::super) fn not(&mut self, part: Language) -> Language {
        match self.terms[part.0 as usize] {
            Term::Not(inner) => inner,
            _ => self.add(Term::Not(part)),
        }
    }

    pub(in super::super) fn contains(&mut self, language: Language, text: &str) -> bool {
        let (mut at, mut start) = (language, true);
        for next in text.chars() {
            at = self.derive(at, next, start);
            start = false;
        }
        self.accepts(at, start, true)
    }

    /// A shortest text of the language within the lengths, in characters, that is not to be avoided.
    pub(in super::super) fn find(
        &mut self,
        language: Language,
        least: u64,
        most: Option<u64>,
        avoid: &BTreeSet<String>,
    ) -> Result<Option<String>, TooMuch> {
        let letters = self.letters(language, avoid);
        let words = Words::new(avoid);
        let limit = self.terms.len() + MOST_TERMS;
        let mut nodes: Vec<(usize, char)> = vec![(0, ' ')];
        let mut seen = HashSet::new();
        let mut queue = VecDeque::from([(0, language, 0_u64, words.start())]);
        while let Some((node, at, length, word)) = queue.pop_front() {
            let start = length == 0;
            if length >= least && self.accepts(at, start, true) && !words.is_end(word) {
                return Ok(Some(spelled(&nodes, node)));
            }
            if most.is_some_and(|most| length >= most) {
                continue;
            }
            for &letter in &letters {
                let next = self.derive(at, letter, start);
                if next == NOTHING {
                    continue;
                }
                let (length, word) = (length + 1, words.step(word, letter));
                // Beyond the least length only the shortest way counts.
                if !seen.insert((next, length.min(least), word)) {
                    continue;
                }
                if nodes.len() > FURTHEST || self.terms.len() > limit {
                    return Err(TooMuch);
                }
                nodes.push((node, letter));
                queue.push_back((nodes.len() - 1, next, length, word));
            }
        }
        Ok(None)
    }

    fn add(&mut self, term: Term) -> Language {
        if let Some(&known) = self.known.get(&term) {
            return known;
        }
        #[allow(clippy::cast_possible_truncation, reason = "searches end long before")]
        let new = Language(self.terms.len() as u32);
        self.terms.push(term.clone());
        self.known.insert(term, new);
        new
    }

    fn has_opposite(&self, part: Language, among: &BTreeSet<Language>) -> bool {
        matches!(self.terms[part.0 as usize], Term::Not(inner) if among.contains(&inner))
    }

    /// The pattern, and then what follows it to the end of the text.
    fn compile(&mut self, ast: &Ast, follows: Language) -> Language {
        match ast {
            Ast::Sequence(parts) => {
                let parts = parts.iter().rev();
                parts.fold(follows, |follows, part| self.compile(part, follows))
            }
            Ast::Either(branches) => {
                let branches: Vec<_> = branches
                    .iter()
                    .map(|branch| self.compile(branch, follows))
                    .collect();
                self.either(branches)
            }
            Ast::Ahead(inner, wanted) => {
                let ahead = self.compile(inner, ALL);
                let ahead = if *wanted { ahead } else { self.not(ahead) };
                self.both([ahead, follows])
            }
            Ast::Repeat(inner, least, most) => {
                let inner = self.compile(inner, EMPTY);
                let repeated = self.repeat(inner, *least, *most);
                self.then(repeated, follows)
            }
            Ast::Set(set) => {
                let set = self.set(set.clone());
                self.then(set, follows)
            }
            Ast::Begin => self.placed(Term::Begin, follows),
            Ast::End => self.placed(Term::End, follows),
        }
    }

    fn placed(&mut self, term: Term, follows: Language) -> Language {
        let term = self.add(term);
        self.then(term, follows)
    }

    fn set(&mut self, set: Set) -> Language {
        match set.is_empty() {
            true => NOTHING,
            false => self.add(Term::Set(set)),
        }
    }

    fn then(&mut self, first: Language, second: Language) -> Language {
        if first == NOTHING || second == NOTHING {
            return NOTHING;
        }
        if first == EMPTY {
            return second;
        }
        if second == EMPTY {
            return first;
        }
        // Anything, and then what may be nothing wherever it is, is anything.
        let places = [(false, false), (false, true), (true, false), (true, true)];
        let is_optional = |(start, end)| self.accepts(second, start, end);
        if first == ALL && places.into_iter().all(is_optional) {
            return ALL;
        }
        if let Term::Then(head, tail) = self.terms[first.0 as usize] {
            let tail = self.then(tail, second);
            return self.then(head, tail);
        }
        self.add(Term::Then(first, second))
    }

    fn either(&mut self, parts: impl IntoIterator<Item = Language>) -> Language {
        let mut kept = BTreeSet::new();
        for part in parts {
            match &self.terms[part.0 as usize] {
                Term::Nothing => {}
                _ if part == ALL => return ALL,
                Term::Either(inner) => kept.extend(inner.iter().copied()),
                _ => {
                    kept.insert(part);
                }
            }
        }
        if kept.iter().any(|&part| self.has_opposite(part, &kept)) {
            return ALL;
        }
        match kept.len() {
            0 => NOTHING,
            1 => kept.into_iter().next().unwrap_or(NOTHING),
            _ => self.add(Term::Either(kept.into_iter().collect())),
        }
    }

    fn repeat(&mut self, part: Language, least: u32, most: Option<u32>) -> Language {
        let least = if self.accepts(part, false, false) {
            0
        } else {
            least
        };
        match (part, least, most) {
            (NOTHING, 0, _) | (EMPTY, ..) | (_, _, Some(0)) => EMPTY,
            (NOTHING, ..) => NOTHING,
            (_, 1, Some(1)) => part,
            _ if least == 0
                && most.is_none()
                && self.terms[part.0 as usize] == Term::Set(parse::any()) =>
            {
                ALL
            }
            _ => self.add(Term::Repeat(part, least, most)),
        }
    }

    /// Is the empty text in it, at the start or at the end of the whole text or neither?
    fn accepts(&self, language: Language, start: bool, end: bool) -> bool {
        match &self.terms[language.0 as usize] {
            Term::Nothing | Term::Set(_) => false,
            Term::Empty => true,
            Term::Then(first, second) => {
                self.accepts(*first, start, end) && self.accepts(*second, start, end)
            }
            Term::Either(parts) => parts.iter().any(|&part| self.accepts(part, start, end)),
            Term::Both(parts) => parts.iter().all(|&part| self.accepts(part, start, end)),
            Term::Not(part) => !self.accepts(*part, start, end),
            Term::Repeat(part, least, _) => *least == 0 || self.accepts(*part, start, end),
            Term::Begin => start,
            Term::End => end,
        }
    }

    /// What may follow this character.
    fn derive(&mut self, language: Language, next: char, start: bool) -> Language {
        if let Some(&known) = self.derived.get(&(language, next, start)) {
            return known;
        }
        let derived = match self.terms[language.0 as usize].clone() {
            Term::Nothing | Term::Empty | Term::Begin | Term::End => NOTHING,
            Term::Set(set) => match has(&set, next) {
                true => EMPTY,
                false => NOTHING,
            },
            Term::Then(first, second) => {
                let inside = self.derive(first, next, start);
                let inside = self.then(inside, second);
                match self.accepts(first, start, false) {
                    true => {
                        let after = self.derive(second, next, start);
                        self.either([inside, after])
                    }
                    false => inside,
                }
            }
            Term::Either(parts) => {
                let parts: Vec<_> = parts
                    .into_iter()
                    .map(|part| self.derive(part, next, start))
                    .collect();
                self.either(parts)
            }
            Term::Both(parts) => {
                let parts: Vec<_> = parts
                    .into_iter()
                    .map(|part| self.derive(part, next, start))
                    .collect();
                self.both(parts)
            }
            Term::Not(part) => {
                let part = self.derive(part, next, start);
                self.not(part)
            }
            Term::Repeat(part, least, most) => {
                let fewer = self.repeat(
                    part,
                    least.saturating_sub(1),
                    most.map(|most| most.saturating_sub(1)),
                );
                let inside = self.derive(part, next, start);
                let inside = self.then(inside, fewer);
                // A repetition that was nothing here may be something further on.
                match least > 0 && self.accepts(part, start, false) {
                    true => {
                        let after = self.derive(fewer, next, start);
                        self.either([inside, after])
                    }
                    false => inside,
                }
            }
        };
        self.derived.insert((language, next, start), derived);
        derived
    }

    /// One character of each kind that the language, or a text to avoid, tells apart.
    fn letters(&self, language: Language, avoid: &BTreeSet<String>) -> Vec<char> {
        let mut sets = Vec::new();
        let (mut todo, mut seen) = (vec![language], HashSet::new());
        while let Some(at) = todo.pop() {
            if !seen.insert(at) {
                continue;
            }
            match &self.terms[at.0 as usize] {
                Term::Set(set) => sets.push(set.clone()),
                Term::Then(first, second) => todo.extend([*first, *second]),
                Term::Either(parts) | Term::Both(parts) => todo.extend(parts),
                Term::Not(part) | Term::Repeat(part, ..) => todo.push(*part),
                Term::Nothing | Term::Empty | Term::Begin | Term::End => {}
            }
        }
        let spelled: BTreeSet<u32> = avoid
            .iter()
            .flat_map(|word| word.chars().map(u32::from))
            .collect();
        let mut edges: BTreeSet<u32> = parse::any()
            .into_iter()
            .flat_map(|(from, to)| [from, to + 1])
            .collect();
        edges.extend(sets.iter().flatten().flat_map(|&(from, to)| [from, to + 1]));
        edges.extend(spelled.iter().flat_map(|&letter| [letter, letter + 1]));
        // Readable ones first, so that counterexamples are.
        edges.extend(('a'..='b').chain('A'..='B').chain('0'..='1').map(u32::from));
        let mut letters: HashMap<Vec<u32>, char> = HashMap::new();
        for &edge in &edges {
            let Some(letter) = char::from_u32(edge) else {
                continue;
            };
            let mut kind: Vec<u32> = (0_u32..)
                .zip(&sets)
                .filter(|(_, set)| has(set, letter))
                .map(|(number, _)| number)
                .collect();
            if spelled.contains(&edge) {
                kind.push(u32::MAX - edge);
            }
            let held = letters.entry(kind).or_insert(letter);
            if rank(letter) < rank(*held) {
                *held = letter;
            }
        }
        let mut letters: Vec<char> = letters.into_values().collect();
        letters.sort_unstable_by_key(|&letter| rank(letter));
        letters
    }
}

fn rank(letter: char) -> (u8, char) {
    let group = match letter {
        'a'..='z' => 0,
        'A'..='Z' => 1,
        '0'..='9' => 2,
        '!'..='~' => 3,
        // The end of a line for every engine.
        ' ' | '\n' => 4,
        _ if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => 6,
        _ => 5,
    };
    (group, letter)
}

fn has(set: &Set, letter: char) -> bool {
    let letter = u32::from(letter);
    let after = set.partition_point(|&(_, to)| to < letter);
    set.get(after).is_some_and(|&(from, _)| from <= letter)
}

fn spelled(nodes: &[(usize, char)], mut node: usize) -> String {
    let mut letters = Vec::new();
    while node != 0 {
        letters.push(nodes[node].1);
        node = nodes[node].0;
    }
    letters.into_iter().rev().collect()
}

/// Texts to avoid, as a tree of their beginnings.
struct Words {
    next: Vec<HashMap<char, usize>>,
    ends: HashSet<usize>,
}

impl Words {
    fn new(words: &BTreeSet<String>) -> Self {
        let (mut next, mut ends) = (vec![HashMap::new()], HashSet::new());
        for word in words {
            let mut at = 0;
            for letter in word.chars() {
                let new = next.len();
                at = *next[at].entry(letter).or_insert(new);
                if at == new {
                    next.push(HashMap::new());
                }
            }
            ends.insert(at);
        }
        Self { next, ends }
    }

    fn start(&self) -> Option<usize> {
        Some(0)
    }

    fn step(&self, at: Option<usize>, letter: char) -> Option<usize> {
        self.next[at?].get(&letter).copied()
    }

    fn is_end(&self, at: Option<usize>) -> bool {
        at.is_some_and(|at| self.ends.contains(&at))
    }
}
