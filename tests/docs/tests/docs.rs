//! What the documents claim, as far as doctests cannot see it: the first two commands of the
//! README, the size of the stranger's bank, links, the table of contents, and the modules and
//! their order in ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the package lies in tests/docs").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files under `folder` that end in `.{extension}`, in order.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The pages of the book, without what mdBook made of them.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let mut pages = files(&docs, "md");
    pages.retain(|page| !page.starts_with(docs.join("book")));
    pages
}

fn documents() -> Vec<PathBuf> {
    let named = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "es-runtime/README.md",
    ];
    let named = named.iter().map(|name| root().join(name));
    named.chain(pages()).collect()
}

/// The fenced blocks of a document, each with its language.
fn blocks(markdown: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block without an end:\n{markdown}");
    found
}

/// What a document says outside of its blocks.
fn prose(markdown: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    markdown.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

/// The text and the target of each link.
fn links(markdown: &str) -> Vec<(String, String)> {
    let prose = prose(markdown);
    let mut found = Vec::new();
    for (at, _) in prose.match_indices("](") {
        let target = prose[at + 2..]
            .split(')')
            .next()
            .expect("a split has a first part");
        let text = prose[..at]
            .rsplit('[')
            .next()
            .expect("a split has a last part");
        found.push((text.to_owned(), target.to_owned()));
    }
    found
}

#[test]
fn the_first_two_commands_of_the_readme() {
    let readme = read("README.md");
    let blocks = blocks(&readme);
    let shell: Vec<_> = blocks
        .iter()
        .filter(|(language, _)| *language == "sh")
        .collect();
    assert_eq!(shell[0].1, "cargo run --release -p bank\n");
    assert_eq!(shell[1].1, "bash .ci/test\n");
    assert!(root().join(".ci/test").is_file());
}

#[test]
fn the_readme_names_the_oldest_rust() {
    let cargo = read("Cargo.toml");
    let (_, version) = cargo
        .split_once("rust-version = \"")
        .expect("a rust-version");
    let (version, _) = version.split_once('"').expect("a closing quote");
    assert!(read("README.md").contains(&format!("You need Rust {version} or later")));
}

const STRANGERS_BANK: &str = "docs/tutorial/1-account.md";

/// The first Rust block of the tutorial, as readers see it.
fn strangers_bank() -> String {
    let page = read(STRANGERS_BANK);
    let mut blocks = blocks(&page).into_iter();
    let bank = blocks.find(|(language, _)| *language == "rust");
    let (_, bank) = bank.expect("the page shows the bank");
    let seen = |line: &&str| *line != "#" && !line.starts_with("# ");
    bank.lines()
        .filter(seen)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Lines of user code: neither blank nor a comment.
fn user_lines(code: &str) -> usize {
    let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    code.lines().filter(counts).count()
}

#[test]
fn the_strangers_bank_takes_less_than_seventy_lines() {
    let bank = strangers_bank();
    let lines = user_lines(&bank);
    assert!(lines < 70, "{lines} lines");
    assert!(
        prose(&read("README.md")).contains(&format!(", {lines} lines")),
        "the README should say that the bank takes {lines} lines"
    );
    for part in [
        "Event",
        "Command",
        "Aggregate",
        "Projection",
        "IntegrationEvent",
    ] {
        let derives = |line: &str| line.starts_with("#[derive(") && line.contains(part);
        assert!(bank.lines().any(derives), "the bank shows no `{part}`");
    }
}

/// Formatted as rustfmt does without any configuration; only then is a count of lines fair.
#[test]
fn the_strangers_bank_is_formatted() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .current_dir(&nowhere)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is a part of the toolchain");
    let bank = strangers_bank();
    let mut input = rustfmt.stdin.take().expect("it is piped");
    input.write_all(bank.as_bytes()).expect("rustfmt reads");
    drop(input);
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    let diff = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && diff.is_empty(), "{diff}");
}

/// Later pages use the module instead of repeating the block.
#[test]
fn the_strangers_bank_is_the_module_that_later_pages_use() {
    let module = read("tests/docs/src/bank.rs");
    assert!(
        strangers_bank() == module,
        "tests/docs/src/bank.rs and the first block of {STRANGERS_BANK} differ"
    );
}

/// The program that a page shows runs as a test of its own.
#[test]
fn a_service_that_consumes_takes_less_than_forty_lines() {
    let page = read("docs/guides/forty-lines.md");
    let mut blocks = blocks(&page).into_iter();
    let shown = blocks.find(|(language, _)| *language == "rust");
    let (_, shown) = shown.expect("the page shows the service");
    let seen = |line: &&str| *line != "#" && !line.starts_with("# ");
    let shown: String = shown
        .lines()
        .filter(seen)
        .map(|l| format!("{l}\n"))
        .collect();
    let program = read("tests/docs/src/bin/letters.rs");
    assert!(
        shown == program,
        "the page shows another program than src/bin/letters.rs"
    );
    let lines = user_lines(&program);
    assert!(lines < 40, "{lines} lines");
    let said = prose(&page).contains(&format!("{lines} lines, blank"));
    assert!(said, "the page should say that it takes {lines} lines");
}

/// Every document with Rust in it is a doctest.
#[test]
fn every_rust_block_is_tested() {
    let library = read("tests/docs/src/lib.rs");
    for document in documents() {
        let markdown = read(&document);
        let shown = document.strip_prefix(root()).expect("below the root");
        let own = |page: &str| shown == Path::new(page);
        // The crate's page is tested with the crate; the pages of the derives' errors show what
        // does not compile, and their cases are in `compile-fail`.
        let derive = shown.to_string_lossy().contains("errors/ES00");
        if own("es-runtime/README.md") || derive {
            continue;
        }
        let rust = blocks(&markdown)
            .iter()
            .any(|(language, _)| language.starts_with("rust"));
        let tested = library.contains(&format!("\"../../../{}\"", shown.display()));
        assert!(
            !rust || tested,
            "{} is not in tests/docs/src/lib.rs",
            shown.display()
        );
        for (language, text) in blocks(&markdown) {
            assert!(
                !language.contains("ignore") && !language.contains("no_run"),
                "{} has a block that is not run:\n{text}",
                shown.display()
            );
        }
    }
}

/// A heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in documents() {
        let folder = document.parent().expect("a document is in a folder");
        for (_, target) in links(&read(&document)) {
            if target.starts_with("http://") || target.starts_with("https://") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() {
                document.clone()
            } else {
                folder.join(path)
            };
            assert!(to.exists(), "{} links to {target}", document.display());
            if !fragment.is_empty() {
                let markdown = prose(&read(&to));
                let mut headings = markdown.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| anchor(line.trim_start_matches('#')) == fragment);
                assert!(found, "{} links to {target}", document.display());
            }
        }
    }
}

#[test]
fn the_summary_lists_every_page_once() {
    let links = links(&read("docs/SUMMARY.md"));
    let listed: Vec<_> = links.into_iter().map(|(_, target)| target).collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    let name = |page: PathBuf| {
        let page = page
            .strip_prefix(root().join("docs"))
            .expect("below docs")
            .to_owned();
        page.to_string_lossy().replace('\\', "/")
    };
    let pages: BTreeSet<_> = pages()
        .into_iter()
        .map(name)
        .filter(|p| p != "SUMMARY.md")
        .collect();
    assert_eq!(once, pages);
}

/// A link whose text is code, in the tables of guarantees: the file holds what the link says.
#[test]
fn every_guarantee_names_a_test_that_is_there() {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("## What it guarantees")
        .expect("the table");
    let (table, _) = rest.split_once("\n## ").expect("a section after it");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut guarantees = 0;
    for row in rows {
        let mut named = 0;
        for (text, target) in links(row) {
            let name = text
                .trim_matches('`')
                .rsplit("::")
                .next()
                .expect("a last part");
            assert!(read(&target).contains(name), "{target} has no `{name}`");
            named += 1;
        }
        assert!(named > 0, "no test: {row}");
        guarantees += 1;
    }
    assert!(guarantees >= 10, "{guarantees} guarantees");
}

/// A page of a runtime error has its title and says the same things in the same order.
#[test]
fn the_pages_of_runtime_errors_have_one_shape() {
    for page in files(&root().join("docs/errors"), "md") {
        let code = page
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        if !code.starts_with("ES01") {
            continue;
        }
        let markdown = read(&page);
        assert!(markdown.starts_with(&format!("# {code}: ")), "{code}");
        let example = &blocks(&markdown)[0].1;
        assert!(
            example.trim_end().ends_with(&format!("[{code}]")),
            "{code}: {example}"
        );
        let prose = prose(&markdown);
        let headings: Vec<_> = prose
            .lines()
            .filter_map(|l| l.strip_prefix("## "))
            .collect();
        assert_eq!(
            headings,
            [
                "How it comes about",
                "What to do",
                "Is it safe to try again?"
            ],
            "{code}"
        );
        let index = read("docs/errors/index.md");
        assert!(
            index.contains(&format!("[{code}]({code}.md)")),
            "{code} is not in the index"
        );
    }
}

// ── The modules and their order ─────────────────────────────────────────────────────────────────

/// Outside of the order, as ARCHITECTURE.md says.
const OUTSIDE: [&str; 4] = ["error", "runtime", "testing", "__private"];

/// The modules of es-runtime, in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let module = |line: &str| {
        let line = line.trim_start_matches("pub ");
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        Some(name.to_owned())
    };
    read("es-runtime/src/lib.rs")
        .lines()
        .filter_map(module)
        .collect()
}

#[test]
fn the_architecture_lists_the_modules_in_their_order() {
    let architecture = read("ARCHITECTURE.md");
    let (_, section) = architecture
        .split_once("## Modules of es-runtime")
        .expect("the section");
    let list = &blocks(section)[0].1;
    let word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let listed: Vec<_> = list.lines().filter_map(word).collect();
    assert_eq!(listed, modules());

    let heading = |line: &str| Some(line.strip_prefix("### `")?.strip_suffix('`')?.to_owned());
    let headings: Vec<_> = architecture.lines().filter_map(heading).collect();
    let ordered = modules()
        .into_iter()
        .filter(|module| !OUTSIDE.contains(&&**module));
    assert_eq!(headings, ordered.collect::<Vec<_>>());
}

/// The modules that a line of code names, after `crate::`.
fn imported(line: &str) -> Vec<&str> {
    let code = line.split("//").next().expect("a split has a first part");
    let starts = code
        .match_indices("crate::")
        .map(|(at, found)| &code[at + found.len()..]);
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    starts
        .map(|rest| &rest[..name(rest).unwrap_or(rest.len())])
        .collect()
}

#[test]
fn a_module_imports_only_those_above_it() {
    let modules = modules();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let source = root().join("es-runtime/src");
    let mut broken = Vec::new();
    for (own, module) in modules.iter().enumerate() {
        if OUTSIDE.contains(&&**module) {
            continue;
        }
        let folder = source.join(module);
        for file in files(&folder, "rs") {
            for (line, number) in read(&file).lines().zip(1..) {
                let at = || format!("{}:{number}: {}", file.display(), line.trim());
                for name in imported(line) {
                    assert!(!name.is_empty(), "one module per `use crate::`: {}", at());
                    let allowed = match place(name) {
                        Some(_) if name == "error" || name == "runtime" => true,
                        Some(other) => other <= own && !OUTSIDE.contains(&name),
                        // A re-export of the crate's root would go around the order.
                        None => false,
                    };
                    if !allowed {
                        broken.push(at());
                    }
                }
                // In `mod.rs`, `super` is the crate.
                let around = file == folder.join("mod.rs")
                    && modules
                        .iter()
                        .any(|name| line.contains(&format!("super::{name}::")));
                if around {
                    broken.push(at());
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "against the order:\n{}",
        broken.join("\n")
    );
}
