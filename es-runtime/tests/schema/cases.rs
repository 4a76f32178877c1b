//! `es schema subset` and the cases of others; `cases/NOTES.md` says where they come from.

use std::process::{Command, Stdio};

use serde_json::Value;

pub(crate) fn es(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_es"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

const CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/schema/cases/compat.jsonl"
);

#[test]
fn nearly_all_cases_agree_and_none_is_refuted() {
    let (code, out, _) = es(&["schema", "subset", "--cases", CASES, "--json"]);
    assert_eq!(code, 0);
    let suites: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(suites.len(), 2);
    for suite in suites {
        let count = |name: &str| suite[name].as_u64().unwrap();
        let wrong =
            count("wrongly_compatible") + count("wrongly_incompatible") + count("unsupported");
        assert_eq!(count("refuted"), 0, "{suite}");
        assert!(count("agree") > 150, "{suite}");
        assert!(wrong * 100 <= (count("agree") + wrong) * 3, "{suite}");
    }
}

#[test]
fn people_read_which_cases_are_wrong() {
    let (code, out, _) = es(&["schema", "subset", "--cases", CASES]);
    assert_eq!(code, 0);
    assert!(
        out.contains("jsonsubschema: 390 agree, 0 wrongly compatible"),
        "{out}"
    );
    assert!(out.contains("\n  wrongly compatible: "), "{out}");
}

#[test]
fn no_case_stands_in_the_checker() {
    let text = std::fs::read_to_string(CASES).unwrap();
    let ids = text.lines().map(|line| {
        let case: Value = serde_json::from_str(line).unwrap();
        case["id"].as_str().unwrap().to_owned()
    });
    let ids: Vec<String> = ids.filter(|id| id.len() > 12).collect();
    assert!(ids.len() > 300);
    let mut todo = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/schema"
    ))];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for id in &ids {
            assert!(!source.contains(id), "{id} stands in {}", path.display());
        }
    }
}

#[test]
fn mistakes_are_told() {
    let (code, _, error) = es(&["schema", "subset"]);
    assert_eq!((code, error.contains("say --cases")), (2, true), "{error}");
    let (code, _, error) = es(&["schema", "subset", "--cases", "/nowhere.jsonl"]);
    assert_eq!(
        (code, error.contains("cannot be read")),
        (1, true),
        "{error}"
    );
    let (code, _, error) = es(&["schema", "mend"]);
    assert_eq!(
        (code, error.contains("no command `schema mend`")),
        (2, true),
        "{error}"
    );
}
