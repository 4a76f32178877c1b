//! What the derives say and what they emit, as text files that are read like a specification.
//!
//! `diagnostics/*.txt` holds cases: an item as the derive sees it, a line `---`, what is said, and
//! a line `===`. `expansions/*.rs` holds an item in a comment and what is emitted for it.
//! `BLESS=1 cargo test -p es-macros` writes the answers anew; read the diff.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use proc_macro2::TokenStream;

use crate::derive::{self, Output};

fn run(derive: &str, input: &str) -> Output {
    let tokens: TokenStream = input.parse().expect("the case is made of Rust's tokens");
    match derive {
        "event" => derive::run::<derive::Event>(tokens, None),
        "command" => derive::run::<derive::Command>(tokens, None),
        "aggregate" => derive::run::<derive::Aggregate>(tokens, None),
        "process" => derive::run::<derive::Process>(tokens, None),
        "projection" => derive::run::<derive::Projection>(tokens, None),
        "integration" => derive::run::<derive::IntegrationEvent>(tokens, None),
        other => panic!("no derive is called `{other}`"),
    }
}

/// Compares what a file holds with what it should hold, or blesses it.
fn compare(file: &str, found: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/snapshots")
        .join(file);
    if env::var_os("BLESS").is_some() {
        fs::write(path, expected).expect("the snapshot can be written");
    } else {
        assert_eq!(found, expected, "{file} differs; BLESS=1 writes it anew");
    }
}

// ── Diagnostics ─────────────────────────────────────────────────────────────────────────────────

fn diagnostics(derive: &str, name: &str, file: &str) {
    let answered = file.split_inclusive("===\n").map(|case| {
        let input = case.split("---\n").next().unwrap_or_default();
        let said = render(input, &run(derive, input).errors);
        format!("{input}---\n{said}===\n")
    });
    compare(
        &format!("diagnostics/{name}.txt"),
        file,
        &answered.collect::<String>(),
    );
}

/// The messages with the places they point at.
fn render(input: &str, errors: &[syn::Error]) -> String {
    let mut text = String::new();
    for error in errors {
        let message = error.to_string();
        let (title, more) = message.split_once("\n\n").unwrap_or((&message, ""));
        keeps_the_rules(title);
        let (start, end) = (error.span().start(), error.span().end());
        let line = input.lines().nth(start.line - 1).unwrap_or_default();
        let width = if end.line == start.line {
            end.column - start.column
        } else {
            1
        };
        let _ = writeln!(text, "error: {title}\n  | {line}");
        let _ = writeln!(
            text,
            "  | {}{}",
            " ".repeat(start.column),
            "^".repeat(width)
        );
        more.lines().for_each(|line| text.extend([line, "\n"]));
    }
    if text.is_empty() {
        "accepted\n".to_owned()
    } else {
        text
    }
}

/// A title is short, starts small, ends without a stop and has its code.
fn keeps_the_rules(title: &str) {
    assert!(
        title.chars().count() <= 100,
        "the title is too long: {title}"
    );
    assert!(
        !title.starts_with(char::is_uppercase),
        "the title starts with a capital: {title}"
    );
    let code = title
        .rsplit_once(" [ES")
        .and_then(|(_, code)| code.strip_suffix(']'));
    assert!(
        code.is_some_and(|code| code.len() == 4),
        "the title has no code: {title}"
    );
}

#[test]
fn event_diagnostics() {
    diagnostics("event", "event", include_str!("diagnostics/event.txt"));
}

#[test]
fn history_diagnostics() {
    diagnostics("event", "history", include_str!("diagnostics/history.txt"));
}

#[test]
fn released_diagnostics() {
    diagnostics(
        "event",
        "released",
        include_str!("diagnostics/released.txt"),
    );
}

#[test]
fn command_diagnostics() {
    diagnostics(
        "command",
        "command",
        include_str!("diagnostics/command.txt"),
    );
}

#[test]
fn aggregate_diagnostics() {
    diagnostics(
        "aggregate",
        "aggregate",
        include_str!("diagnostics/aggregate.txt"),
    );
}

#[test]
fn projection_diagnostics() {
    diagnostics(
        "projection",
        "projection",
        include_str!("diagnostics/projection.txt"),
    );
}

#[test]
fn integration_diagnostics() {
    diagnostics(
        "integration",
        "integration",
        include_str!("diagnostics/integration.txt"),
    );
}

#[test]
fn process_diagnostics() {
    let file = include_str!("diagnostics/process.txt");
    diagnostics("process", "process", file);
}

#[test]
fn versions_diagnostics() {
    let file = include_str!("diagnostics/versions.txt");
    diagnostics("integration", "versions", file);
}

// ── Expansions ──────────────────────────────────────────────────────────────────────────────────

fn expansion(derive: &str, name: &str, file: &str) {
    let comment: Vec<_> = file
        .lines()
        .take_while(|line| line.starts_with("//"))
        .collect();
    let item: String = comment
        .iter()
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    let code = rustfmt(&run(derive, &item).code.to_string());
    let expected = format!("{}\n\n{code}", comment.join("\n"));
    compare(&format!("expansions/{name}.rs"), file, &expected);
}

/// The toolchain's own formatter; what it cannot read is no Rust.
fn rustfmt(code: &str) -> String {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is a part of the toolchain");
    let written = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(code.as_bytes()));
    let output = child.wait_with_output().expect("rustfmt ends");
    assert!(
        written.is_some_and(|w| w.is_ok()) && output.status.success(),
        "no Rust:\n{code}"
    );
    String::from_utf8(output.stdout).expect("rustfmt writes UTF-8")
}

macro_rules! expansions {
    ($($name:ident: $derive:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let file = include_str!(concat!("expansions/", stringify!($name), ".rs"));
            expansion(stringify!($derive), stringify!($name), file);
        }
    )*};
}

expansions! {
    event: event,
    event_manual: event,
    event_generic: event,
    event_history: event,
    event_with_a_mistake: event,
    command: command,
    command_empty: command,
    aggregate: aggregate,
    aggregate_generic: aggregate,
    aggregate_shape: aggregate,
    process: process,
    process_generic: process,
    projection: projection,
    projection_generic: projection,
    integration: integration,
    integration_generic: integration,
    versions: integration,
}

// ── Histories in proportion ─────────────────────────────────────────────────────────────────────

/// Lines of the code for a stream with so many events, each with a field that came in each version.
fn lines_of_a_history(events: usize, versions: usize) -> usize {
    let fields: String = (2..=versions)
        .map(|version| format!("#[integration(since = {version}, default)] field{version}: u8, "))
        .collect();
    let variants: String = (0..events)
        .map(|event| format!("Event{event} {{ first: u8, {fields} }}, "))
        .collect();
    let input = format!(
        "#[integration(stream = \"accounts\", version = {versions})] enum Accounts {{ {variants} }}"
    );
    let output = run("integration", &input);
    assert!(output.errors.is_empty(), "{:?}", output.errors);
    rustfmt(&output.code.to_string()).lines().count()
}

/// A version takes a type, two tables and two steps, whatever the number of the others is.
#[test]
fn what_a_history_emits_is_in_proportion_to_its_events_and_versions() {
    let [of_2, of_3, of_4] = [2, 3, 4].map(|versions| lines_of_a_history(20, versions));
    let [third, fourth] = [of_3 - of_2, of_4 - of_3];
    // One field more in each of its variants: in its type, and in the two steps.
    assert!(fourth - third <= 20 * 9, "{third} and then {fourth} lines");
    assert!(
        third <= 20 * 26 + 40,
        "{third} lines for a version of 20 events"
    );
    let [of_20, of_40, of_80] = [20, 40, 80].map(|events| lines_of_a_history(events, 3));
    assert_eq!((of_80 - of_40), 2 * (of_40 - of_20), "linear in the events");
}

// ── What no file shows ──────────────────────────────────────────────────────────────────────────

#[test]
fn a_word_of_an_ide_is_no_mistake_and_the_impl_is_there() {
    for input in [
        "#[event(name = \"account\", aggregate = Account, intellijRulezz)] enum E { A }",
        "#[event(name = __ra_fixup, aggregate = Account)] enum E { A }",
        "#[event(naintellijRulezz)] enum E { A }",
        "#[event(name = \"account\", aggregate = Account)] enum E { #[event(__ra_fixup)] A }",
    ] {
        let output = run("event", input);
        assert!(output.errors.is_empty(), "{input}");
        assert!(output.code.to_string().contains("Event for E"), "{input}");
    }
}

#[test]
fn no_derive_speaks_while_somebody_types() {
    for derive in [
        "event",
        "command",
        "aggregate",
        "process",
        "projection",
        "integration",
    ] {
        for word in ["intellijRulezz", "__ra_fixup", "naintellijRulezz"] {
            for input in [
                format!("#[{derive}({word})] enum E {{ A }}"),
                format!("#[{derive}(name = {word})] struct S {{ a: u8 }}"),
                format!("enum E {{ #[{derive}({word})] A }}"),
                format!("struct S {{ #[{derive}({word})] a: u8 }}"),
                format!("enum E {{ A {{ {word} }} }}"),
                format!("#[{derive}(name = \"a\", {word} = )] union U {{ a: u8 }}"),
            ] {
                let errors = run(derive, &input).errors;
                assert!(errors.is_empty(), "{input}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "were not read")]
fn errors_that_nobody_reads_panic() {
    drop(crate::diag::Errors::new());
}

/// Whatever is thrown at them, the derives answer: never a panic.
#[test]
fn no_input_makes_a_derive_panic() {
    let attributes = [
        "",
        "#[A]",
        "#[A()]",
        "#[A = 1]",
        "#[A(,)]",
        "#[A(= 1)]",
        "#[A(name)]",
        "#[A(name =)]",
        "#[A(name = \"\")]",
        "#[A(name(1))]",
        "#[A(version = 99999999999999999999)]",
        "#[A(version = -1)]",
        "#[A(aggregate = <)]",
        "#[A(aggregate = A<B, C>, name = \"a\")]",
        "#[A(r#type = 1)]",
        "#[A(a::b = 1)]",
        "#[A(1, 2)]",
        "#[A{name = \"a\"}]",
    ];
    let items = [
        "enum E {}",
        "enum E { __ }",
        "enum E { Super, Crate }",
        "enum E { A(u8, (u8,)), B { r#type: u8 } }",
        "enum E<'a, T: 'a, const N: usize> where T: Copy { A(&'a [T; N]) }",
        "struct S;",
        "struct S();",
        "struct S {}",
        "struct S<T> { a: T }",
        "union U { a: u8 }",
        "fn f() {}",
        "",
    ];
    let changes = [
        "since = 2",
        "since = 4294967295, default",
        "since = 2, default = <",
        "since = 2, was = \"\"",
        "since = 2, was_type = T<, with = f",
        "since = 2, was_type = u8, with = f, down = g",
        "since = 2, removed()",
        "since = 2, removed(a: u8, a: u8)",
        "since = 2, split(a: u8 => b, b), with = f",
        "since = 2, split(=>), with = f",
        "since = 2, split(b: u8 => b), with = f",
        "since = 3, moved(a: u8, b: u8 => b)",
        "since = 2, moved(b: u8 => \"a b\", b)",
        "since = 2, upcast(), with = f",
        "since = 2, upcast(#[event(since = 9, default)] u8), with = f",
        "since = 2, merged = \"a\", fields(), with = f",
        "since = 2, removed(#[event(since = 1, was = \"b\")] #[event()] #[event] a: u8)",
        "split = \"a\", fields(#[event(since = 2, default)] a: u8), with = f",
        "dropped = \"a\"",
        "retired",
    ];
    for (one, two) in changes.iter().flat_map(|one| changes.map(|two| (one, two))) {
        let input = format!(
            "#[event(name = \"a\", dispatch = manual)] #[event({one})] \
             enum E {{ #[event({one})] #[event({two})] V {{ #[event({one})] #[event({two})] b: u8 }}, \
             #[event({two})] W(#[event({one})] u8), X }}"
        );
        let _ = TokenStream::from(run("event", &input));
    }
    for derive in [
        "event",
        "command",
        "aggregate",
        "process",
        "projection",
        "integration",
    ] {
        for (attribute, item) in attributes.iter().flat_map(|a| items.map(|item| (a, item))) {
            let output = run(
                derive,
                &format!("{} {item}", attribute.replace('A', derive)),
            );
            let _ = TokenStream::from(output);
        }
    }
}
