//! Hides what differs from run to run in what a program prints: moments, how long ago something
//! was, and who did it.

/// The text with every moment as `<time>`, every span before `ago` as `<n> s`, every instance and
/// person as `<who>`; columns are two spaces apart, whatever stands in them.
pub(crate) fn mask(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n")
}

fn line(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let cells = line.trim().split("  ").map(str::trim);
    let cells: Vec<_> = cells.filter(|cell| !cell.is_empty()).map(cell).collect();
    format!("{indent}{}", cells.join("  "))
}

fn cell(cell: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in cell.split(' ') {
        let bare = word.trim_matches(|c| "(),.:".contains(c));
        if bare == "ago" {
            // The numbers and units before it.
            while words.len() >= 2 && is_unit(&words[words.len() - 1]) {
                let opened = words[words.len() - 2].starts_with('(');
                words.truncate(words.len() - 2);
                if opened {
                    words.push("(<n>".to_owned());
                    break;
                }
            }
            match words.last().map(String::as_str) {
                Some("(<n>") => {}
                _ => words.push("<n>".to_owned()),
            }
            words.push("s".to_owned());
            words.push(word.to_owned());
        } else if is_day(bare) {
            words.push(word.replace(bare, "<day>"));
        } else if is_time(bare) {
            words.push(word.replace(bare, "<time>"));
        } else if is_instance(bare) || is_person(bare) {
            words.push(word.replace(bare, "<who>"));
        } else {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

fn is_unit(word: &str) -> bool {
    matches!(word, "d" | "h" | "m" | "s")
}

fn shaped(word: &str, shape: &str) -> bool {
    let fits = |(c, s): (char, char)| if s == '0' { c.is_ascii_digit() } else { c == s };
    word.len() == shape.len() && word.chars().zip(shape.chars()).all(fits)
}

fn is_day(word: &str) -> bool {
    shaped(word, "0000-00-00")
}

/// A time of a day, or a whole moment.
fn is_time(word: &str) -> bool {
    shaped(word, "00:00:00Z") || shaped(word, "0000-00-00T00:00:00.000000Z")
}

/// `bank-4711-1f0c22aa`.
fn is_instance(word: &str) -> bool {
    let mut parts = word.rsplit('-');
    let random = parts
        .next()
        .is_some_and(|part| part.len() == 8 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    let process = parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
    random && process && parts.next().is_some()
}

/// `anna@host:4711`.
fn is_person(word: &str) -> bool {
    let person = word.split_once('@').and_then(|(_, at)| at.split_once(':'));
    person.is_some_and(|(_, process)| process.parse::<u32>().is_ok())
}

#[test]
fn what_differs_is_hidden_and_nothing_else() {
    for (text, masked) in [
        (
            "balances@1  live   3 m 4 s ago  8,120  bank-77-1f0c22aa, 0 s ago  -",
            "balances@1  live  <n> s ago  8,120  <who>, <n> s ago  -",
        ),
        (
            "  phase    live since 2026-11-22 14:01:02Z (12 s ago)",
            "  phase  live since <day> <time> (<n> s ago)",
        ),
        (
            "2026-11-22 14:01:02Z  promote  by bart@host:12  “it is right”",
            "<day> <time>  promote  by <who>  “it is right”",
        ),
        (
            "at position 8,120, 1 d 2 h ago by a-b-1-00000000",
            "at position 8,120, <n> s ago by <who>",
        ),
        ("3 differ", "3 differ"),
    ] {
        assert_eq!(mask(text), masked);
    }
}
