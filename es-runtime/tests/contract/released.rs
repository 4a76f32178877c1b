//! What was released is kept: who breaks it hears of it, and nobody else.

use es_runtime::schema::Finding;
use es_runtime::schema::compat::Mode;

use crate::domain::{
    bumped, compatible, crowns, euros, first, forgotten, history, incompatible, looser, lying,
    nested, refactored, reused, undescribed, unreadable, wallets,
};
use crate::repository::{Repository, error, errors};

#[test]
fn the_first_release_writes_everything_and_the_second_nothing() {
    let repository = Repository::new();
    let before = repository.check(first::contract());
    assert!(before.is_ok() && !before.is_released(), "{before}");
    repository.release(first::contract());
    let after = repository.check(first::contract());
    assert!(after.is_released(), "{after}");

    let lock = repository.read("es.lock");
    for line in [
        "event account.opened 1 { owner: String }",
        "shape account.opened 1 ",
        "schema accounts.account-opened 1 1 ",
        "projection balances 1 ",
        "mapping accounts 1 account ",
    ] {
        assert!(
            lock.lines().any(|found| found.starts_with(line)),
            "{line} in {lock}"
        );
    }
    let again = repository.release(first::contract());
    assert!(again.is_released());
    assert_eq!(repository.read("es.lock"), lock);
}

#[test]
fn a_pure_refactoring_is_none_of_its_business() {
    let repository = Repository::with(first::contract());
    let report = repository.check(refactored::contract());
    assert!(report.is_released(), "{report}");
}

#[test]
fn a_forgotten_bump_is_found_and_shown() {
    let repository = Repository::with(first::contract());
    let report = repository.check(forgotten::contract());
    let errors = errors(&report);
    let codes: Vec<_> = errors.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["ES0165", "ES0164"], "{report}");
    let [_, projection] = errors[..] else {
        unreachable!()
    };
    assert_eq!(projection.subject, "balances@1");
    let [event, released, now] = &projection.details[..] else {
        panic!("{report}");
    };
    assert!(event.contains("account.deposited"), "{report}");
    // The first row that differs, by the fee.
    let amount = |line: &str| {
        let (_, json) = line.split_once(' ').unwrap();
        let row: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
        row["row"]["amount"].as_i64().unwrap()
    };
    assert_eq!(amount(released) - amount(now), 1);
    assert!(projection.help.contains("raise the projection's `version`"));

    // Nothing is released on top of it.
    let lock = repository.read("es.lock");
    assert!(!repository.release(forgotten::contract()).is_ok());
    assert_eq!(repository.read("es.lock"), lock);
}

#[test]
fn with_the_bump_it_is_new_and_may_even_panic() {
    let repository = Repository::with(first::contract());
    let report = repository.check(bumped::contract());
    assert!(report.is_ok(), "{report}");
    assert!(
        report
            .unreleased
            .iter()
            .any(|new| new.contains("`balances@2`")),
        "{report}"
    );
    repository.release(bumped::contract());
    assert!(repository.check(bumped::contract()).is_released());
    let effects = repository.read("schemas/_effects/projection.balances.2.jsonl");
    assert!(effects.contains(r#""panics":true"#), "{effects}");
    // What was released first is still there.
    let lock = repository.read("es.lock");
    assert!(lock.contains("projection balances 1 ") && lock.contains("projection balances 2 "));
}

#[test]
fn a_change_inside_of_a_nested_type_is_found() {
    let repository = Repository::with(first::contract());
    let report = repository.check(nested::contract());
    let finding = error(&report);
    assert_eq!(
        (finding.code, finding.subject.as_str()),
        ("ES0163", "account.deposited 1")
    );
    assert_eq!(
        finding.file.as_deref(),
        Some("schemas/_internal/account.deposited.1.json")
    );
    let shown = finding.details.join("\n");
    assert!(
        shown.contains("message") || shown.contains("text"),
        "{shown}"
    );
}

#[test]
fn a_payload_that_can_be_read_no_more_is_found() {
    let repository = Repository::with(first::contract());
    let report = repository.check(unreadable::contract());
    let findings = errors(&report);
    let unread = findings
        .iter()
        .find(|finding| finding.code == "ES0167")
        .unwrap();
    assert_eq!(unread.file.as_deref(), Some("schemas/_sample.jsonl"));
    let line = unread.line.unwrap();
    let sample = repository.read("schemas/_sample.jsonl");
    assert!(
        sample
            .lines()
            .nth(line - 1)
            .unwrap()
            .contains("account.deposited")
    );
}

#[test]
fn what_was_released_is_not_edited() {
    for path in [
        "schemas/_sample.jsonl",
        "schemas/accounts/v1/account-opened.1.json",
        "schemas/_internal/account.opened.1.json",
    ] {
        let repository = Repository::with(first::contract());
        let text = repository.read(path);
        repository.write(path, &text.replacen("owner", "holder", 1));
        let report = repository.check(first::contract());
        let finding = error(&report);
        assert_eq!(
            (finding.code, finding.file.as_deref()),
            ("ES0166", Some(path)),
            "{report}"
        );
        repository.remove(path);
        assert_eq!(
            error(&repository.check(first::contract())).code,
            "ES0166",
            "{path}"
        );
    }
}

#[test]
fn a_lock_that_is_none_is_refused() {
    let repository = Repository::with(first::contract());
    let lock = repository.read("es.lock");
    repository.write("es.lock", &format!("{lock}<<<<<<< ours\n"));
    let refused = first::contract().check(repository.path()).unwrap_err();
    assert_eq!(refused.code(), "ES0141");
    assert!(refused.to_string().contains("`es.lock`"), "{refused}");
}

#[test]
fn an_incompatible_change_of_what_is_published_is_found() {
    let repository = Repository::with(first::contract());
    let report = repository.check(incompatible::contract());
    let found: Vec<_> = errors(&report)
        .iter()
        .map(|f| (f.code, f.subject.as_str()))
        .collect();
    assert!(
        found.contains(&("ES0162", "accounts@1 account-opened")),
        "{report}"
    );
    assert!(
        found.contains(&("ES0168", "accounts@1 balance-changed")),
        "{report}"
    );
    let file = Some("schemas/accounts/v1/account-opened.1.json");
    let mut opened = errors(&report)
        .into_iter()
        .filter(|f| f.file.as_deref() == file);
    let shown = |finding: &Finding| finding.details[0].contains("(property-renamed)");
    assert!(opened.any(shown), "{report}");
}

#[test]
fn a_compatible_change_becomes_a_revision_and_counts_from_then_on() {
    let repository = Repository::with(first::contract());
    let report = repository.check(compatible::contract());
    assert!(report.is_ok(), "{report}");
    let new = "`account-opened` of `accounts@1`, a compatible change: revision 2";
    assert!(
        report.unreleased.iter().any(|unreleased| unreleased == new),
        "{report}"
    );
    assert!(repository.release(compatible::contract()).is_ok());
    let schema = repository.read("schemas/accounts/v1/account-opened.2.json");
    assert!(
        schema.contains("nickname") && schema.contains("urn:es:bank:accounts:v1:account-opened:2")
    );
    assert!(repository.check(compatible::contract()).is_released());

    // Every revision counts: the field that was added may go, and may not come back as another one.
    assert!(repository.check(first::contract()).is_ok());
    let report = repository.check(reused::contract());
    let findings = errors(&report);
    assert!(!findings.is_empty(), "{report}");
    for finding in findings {
        let file = Some("schemas/accounts/v1/account-opened.2.json");
        assert_eq!(
            (finding.code, finding.file.as_deref()),
            ("ES0162", file),
            "{report}"
        );
    }
}

/// A stream may promise less.
#[test]
fn a_stream_is_held_to_what_it_promises() {
    let repository = Repository::with(first::contract());
    let looser = || looser::contract().mode("accounts", Mode::Backward);
    let strict = repository.check(looser::contract());
    assert!(
        errors(&strict)
            .iter()
            .any(|finding| finding.code == "ES0162"),
        "{strict}"
    );
    let report = repository.check(looser());
    assert!(report.is_ok(), "{report}");
}

/// What was written by hand, version by version, may become one enum with a history: the older
/// version is told of in the same bytes, through the downcast.
#[test]
fn a_history_tells_the_older_version_as_it_was_told() {
    let repository = Repository::with(first::contract());
    let report = repository.check(history::contract());
    assert!(report.is_ok(), "{report}");
    assert!(
        !report
            .unreleased
            .iter()
            .any(|new| new.contains("accounts@1 of account")),
        "{report}"
    );
    assert!(
        report
            .unreleased
            .iter()
            .any(|new| new.contains("accounts@2 of account")),
        "{report}"
    );
    assert!(repository.release(history::contract()).is_ok());
    assert!(repository.check(history::contract()).is_released());
    let catalogue = repository.read("schemas/catalogue.md");
    let told =
        catalogue.contains("Deprecated since 2026-12-01, and it may be gone from 2027-06-30");
    assert!(told, "{catalogue}");
}

#[test]
fn a_live_version_without_a_schema_is_a_mistake() {
    let repository = Repository::new();
    let mistake = undescribed::contract()
        .check(repository.path())
        .unwrap_err();
    assert_eq!(mistake.code(), "ES0160");
    assert!(mistake.to_string().contains("`accounts@1`"), "{mistake}");
}

#[test]
fn what_a_schema_forbids_is_not_told() {
    let repository = Repository::new();
    let report = repository.check(lying::contract());
    let finding = error(&report);
    assert_eq!(
        (finding.code, finding.subject.as_str()),
        ("ES0169", "accounts@1 of account")
    );
    assert!(finding.details[1].contains(r#""balance":-"#), "{report}");
}

/// The sample has what was released in each version, so it shows what the way of old events does.
#[test]
fn a_changed_way_of_old_events_is_found() {
    let repository = Repository::with(wallets::contract());
    let released = repository.read("schemas/_sample.jsonl");
    let report = repository.check(crowns::contract());
    assert!(report.is_ok(), "{report}");
    let new = "the event `wallet.opened`, version 2".to_owned();
    assert!(report.unreleased.contains(&new), "{report}");
    // Also before anything of version 2 is released.
    assert_eq!(error(&repository.check(euros::contract())).code, "ES0164");

    assert!(repository.release(crowns::contract()).is_ok());
    let sample = repository.read("schemas/_sample.jsonl");
    assert!(
        sample.starts_with(&released) && sample.contains(r#""version":2"#),
        "{sample}"
    );
    let lock = repository.read("es.lock");
    assert_eq!(
        lock.lines()
            .filter(|line| line.starts_with("projection wallets 1 "))
            .count(),
        2
    );
    assert!(repository.check(crowns::contract()).is_released());

    let report = repository.check(euros::contract());
    let finding = error(&report);
    assert_eq!(
        (finding.code, finding.subject.as_str()),
        ("ES0164", "wallets@1"),
        "{report}"
    );
    assert!(finding.details[0].contains(r#""version":1"#), "{report}");
    assert!(finding.details[2].contains("EUR"), "{report}");
}
