//! Every code has a page, every page has a code, and every code of the derives has a fixture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Codes = BTreeSet<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files under `folder` that end in `extension`.
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
    found
}

/// Every `ESnnnn` in a text.
fn codes_in(text: &str) -> Codes {
    let digits = |code: &&str| code.len() == 6 && code[2..].bytes().all(|b| b.is_ascii_digit());
    let candidates = text
        .match_indices("ES")
        .filter_map(|(at, _)| text.get(at..at + 6));
    candidates.filter(digits).map(str::to_owned).collect()
}

fn codes_of(files: &[PathBuf]) -> Codes {
    files
        .iter()
        .flat_map(|file| codes_in(&fs::read_to_string(file).expect("UTF-8")))
        .collect()
}

/// What the derives construct, and what the runtime says.
fn codes() -> Codes {
    let mut sources = files(&root().join("es-runtime/src"), "rs");
    sources.push(root().join("es-macros/src/diag.rs"));
    sources.extend(files(&root().join("es-macros/src/diag"), "rs"));
    codes_of(&sources)
}

fn pages() -> Codes {
    let pages = files(&root().join("docs/errors"), "md");
    let names = pages.iter().filter_map(|page| page.file_stem()?.to_str());
    names
        .filter(|name| name.starts_with("ES"))
        .map(str::to_owned)
        .collect()
}

fn none(what: &str, of: impl Iterator<Item = String>) {
    let left: Vec<_> = of.collect();
    assert!(left.is_empty(), "{what}: {}", left.join(", "));
}

#[test]
fn every_code_has_a_page() {
    none(
        "codes without a page in docs/errors",
        codes().difference(&pages()).cloned(),
    );
}

#[test]
fn every_page_has_a_code() {
    none(
        "pages of codes that nothing says",
        pages().difference(&codes()).cloned(),
    );
}

#[test]
fn every_page_begins_with_its_code() {
    let wrong = pages().into_iter().filter(|code| {
        let page = root().join(format!("docs/errors/{code}.md"));
        !fs::read_to_string(page)
            .expect("UTF-8")
            .starts_with(&format!("# {code}: "))
    });
    none("pages that do not begin with `# ESnnnn: `", wrong);
}

#[test]
fn every_code_of_the_derives_has_a_fixture() {
    let fixtures = codes_of(&files(&root().join("tests/compile-fail"), "stderr"));
    let compile_time = codes().into_iter().filter(|code| code.starts_with("ES00"));
    none(
        "codes without a fixture in compile-fail",
        compile_time.filter(|c| !fixtures.contains(c)),
    );
}

/// A fixture is of the programs alone: it must say the same on every machine.
#[test]
fn no_fixture_names_a_machine() {
    let fixtures = files(&root().join("tests/compile-fail"), "stderr").into_iter();
    let named = fixtures.filter(|file| {
        let text = fs::read_to_string(file).expect("UTF-8");
        ["/home/", "/root/", "/work/", "/rustc/"]
            .iter()
            .any(|path| text.contains(path))
    });
    none(
        "fixtures with paths of a machine",
        named.map(|file| file.display().to_string()),
    );
}
