//! ECMA 262 patterns, as far as a finite automaton can follow them.

use std::iter::Peekable;
use std::str::Chars;

/// Ranges of characters, in order, apart from each other.
pub(super) type Set = Vec<(u32, u32)>;

const LAST: u32 = 0x10_FFFF;
/// Longer ones, deeper ones and larger counts are not followed.
const LONGEST: usize = 2000;
const DEEPEST: usize = 50;
const MOST: u32 = 1000;

#[derive(Clone, Debug)]
pub(super) enum Ast {
    Set(Set),
    Sequence(Vec<Ast>),
    Either(Vec<Ast>),
    Repeat(Box<Ast>, u32, Option<u32>),
    Begin,
    End,
    /// What follows does, or does not, begin like this.
    Ahead(Box<Ast>, bool),
}

/// What this pattern says, or why that is not followed.
pub(super) fn parse(pattern: &str) -> Result<Ast, &'static str> {
    if pattern.len() > LONGEST {
        return Err("it is too long");
    }
    let mut parser = Parser {
        rest: pattern.chars().peekable(),
        depth: 0,
    };
    let ast = parser.either()?;
    match parser.rest.next() {
        None => Ok(ast),
        Some(_) => Err("a bracket is closed that was not opened"),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn either(&mut self) -> Result<Ast, &'static str> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("its groups are nested too deeply");
        }
        let mut branches = vec![self.sequence()?];
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.len() {
            1 => branches.swap_remove(0),
            _ => Ast::Either(branches),
        })
    }

    fn sequence(&mut self) -> Result<Ast, &'static str> {
        let mut parts = Vec::new();
        while let Some(next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            let part = self.atom()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Ast::Sequence(parts))
    }

    fn atom(&mut self) -> Result<Ast, &'static str> {
        Ok(match self.rest.next().ok_or("it ends early")? {
            '^' => Ast::Begin,
            '$' => Ast::End,
            '.' => Ast::Set(dot()),
            '(' => self.group()?,
            '[' => Ast::Set(self.class()?),
            '\\' => Ast::Set(self.escape(false)?),
            '*' | '+' | '?' => return Err("a repetition has nothing to repeat"),
            other => Ast::Set(one(u32::from(other))),
        })
    }

    fn group(&mut self) -> Result<Ast, &'static str> {
        let mut ahead = None;
        if self.eat('?') {
            match self.rest.next() {
                Some(':') => {}
                Some('=') => ahead = Some(true),
                Some('!') => ahead = Some(false),
                Some('<') => {
                    if matches!(self.rest.peek(), Some('=' | '!')) {
                        return Err("it looks behind");
                    }
                    while self.rest.next().ok_or("a name does not end")? != '>' {}
                }
                _ => return Err("it has an unknown kind of group"),
            }
        }
        let inner = self.either()?;
        if !self.eat(')') {
            return Err("a group does not end");
        }
        Ok(match ahead {
            None => inner,
            Some(wanted) => Ast::Ahead(Box::new(inner), wanted),
        })
    }

    fn repeated(&mut self, part: Ast) -> Result<Ast, &'static str> {
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                None => return Ok(part),
            },
            _ => return Ok(part),
        };
        self.rest.next();
        // A lazy repetition matches the same texts.
        self.eat('?');
        if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
            return Err("a repetition is repeated");
        }
        if least > MOST || most.is_some_and(|most| most > MOST) {
            return Err("it counts too far");
        }
        if most.is_some_and(|most| most < least) {
            return Err("a repetition ends before it begins");
        }
        if looks(&part) {
            return Err("it repeats a look ahead");
        }
        Ok(Ast::Repeat(Box::new(part), least, most))
    }

    /// The counts of `{2,3}`, up to the bracket that closes. What is no such thing is text.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let ahead: String = self.rest.clone().take_while(|&next| next != '}').collect();
        let counts = ahead.strip_prefix('{')?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u32>().ok(),
            false => None,
        };
        let counts = match counts.split_once(',') {
            None => (number(counts)?, Some(number(counts)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        // It has to end, too.
        self.rest.clone().find(|&next| next == '}')?;
        for _ in 0..ahead.chars().count() {
            self.rest.next();
        }
        Some(counts)
    }

    fn class(&mut self) -> Result<Set, &'static str> {
        let negated = self.eat('^');
        let mut ranges = Vec::new();
        loop {
            let from = match self.rest.next().ok_or("a set of characters does not end")? {
                ']' => break,
                '\\' => self.escape(true)?,
                other => one(u32::from(other)),
            };
            let mut ahead = self.rest.clone();
            let range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
            if !range {
                ranges.extend(from);
                continue;
            }
            self.rest.next();
            let to = match self.rest.next().ok_or("a set of characters does not end")? {
                '\\' => self.escape(true)?,
                other => one(u32::from(other)),
            };
            match (from.as_slice(), to.as_slice()) {
                (&[(from, same)], &[(to, end)]) if from == same && to == end => {
                    if from > to {
                        return Err("a range of characters is the wrong way round");
                    }
                    ranges.push((from, to));
                }
                // `[\w-.]`: the dash is a character.
                _ => {
                    ranges.extend(from);
                    ranges.extend(one(u32::from('-')));
                    ranges.extend(to);
                }
            }
        }
        let set = merged(ranges);
        Ok(if negated { inverted(&set) } else { set })
    }

    fn escape(&mut self, in_class: bool) -> Result<Set, &'static str> {
        let next = self.rest.next().ok_or("it ends with a backslash")?;
        Ok(match next {
            'd' => digits(),
            'D' => inverted(&digits()),
            'w' => word(),
            'W' => inverted(&word()),
            's' => space(),
            'S' => inverted(&space()),
            't' => one(9),
            'n' => one(10),
            'v' => one(11),
            'f' => one(12),
            'r' => one(13),
            'b' if in_class => one(8),
            '0' if !matches!(self.rest.peek(), Some('0'..='9')) => one(0),
            'x' => one(self.hex(2)?),
            'u' => one(self.unicode()?),
            'c' => match self.rest.next() {
                Some(letter) if letter.is_ascii_alphabetic() => one(u32::from(letter) % 32),
                _ => return Err("it has an unknown escape"),
            },
            '0'..='9' | 'k' => return Err("it refers back to a group"),
            'p' | 'P' => return Err("it names a property of characters"),
            other if other.is_ascii_alphabetic() => return Err("it has an unknown escape"),
            other => one(u32::from(other)),
        })
    }

    fn hex(&mut self, digits: usize) -> Result<u32, &'static str> {
        const WRONG: &str = "a character's number is not hexadecimal";
        let mut number = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|next| next.to_digit(16));
            number = number * 16 + digit.ok_or(WRONG)?;
        }
        Ok(number)
    }

    fn unicode(&mut self) -> Result<u32, &'static str> {
        if self.eat('{') {
            let mut number: u32 = 0;
            while !self.eat('}') {
                number = number.saturating_mul(16).saturating_add(self.hex(1)?);
            }
            return match char::from_u32(number) {
                Some(_) => Ok(number),
                None => Err("a character's number is too large"),
            };
        }
        let first = self.hex(4)?;
        if !(0xD800..0xE000).contains(&first) {
            return Ok(first);
        }
        let mut ahead = self.rest.clone();
        if first < 0xDC00 && ahead.next() == Some('\\') && ahead.next() == Some('u') {
            self.rest = ahead;
            let second = self.hex(4)?;
            if (0xDC00..0xE000).contains(&second) {
                return Ok(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00));
            }
        }
        Err("it has half a character")
    }
}

fn looks(ast: &Ast) -> bool {
    match ast {
        Ast::Ahead(..) => true,
        Ast::Sequence(parts) | Ast::Either(parts) => parts.iter().any(looks),
        Ast::Repeat(inner, ..) => looks(inner),
        Ast::Set(_) | Ast::Begin | Ast::End => false,
    }
}

fn one(character: u32) -> Set {
    vec![(character, character)]
}

fn digits() -> Set {
    vec![(48, 57)]
}

fn word() -> Set {
    vec![(48, 57), (65, 90), (95, 95), (97, 122)]
}

fn space() -> Set {
    merged(vec![
        (9, 13),
        (32, 32),
        (0xA0, 0xA0),
        (0x1680, 0x1680),
        (0x2000, 0x200A),
        (0x2028, 0x2029),
        (0x202F, 0x202F),
        (0x205F, 0x205F),
        (0x3000, 0x3000),
        (0xFEFF, 0xFEFF),
    ])
}

/// All but the ends of lines.
fn dot() -> Set {
    inverted(&vec![(10, 10), (13, 13), (0x2028, 0x2029)])
}

pub(super) fn any() -> Set {
    vec![(0, 0xD7FF), (0xE000, LAST)]
}

fn merged(mut ranges: Set) -> Set {
    ranges.sort_unstable();
    let mut merged: Set = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match merged.last_mut() {
            Some(last) if from <= last.1 + 1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Every other character; halves of characters are none.
fn inverted(set: &Set) -> Set {
    let mut without = set.clone();
    without.push((0xD800, 0xDFFF));
    let (mut from, mut inverted) = (0, Vec::new());
    for (start, end) in merged(without) {
        if from < start {
            inverted.push((from, start - 1));
        }
        from = end + 1;
    }
    if from <= LAST {
        inverted.push((from, LAST));
    }
    inverted
}
