//! The bank keeps what it released: its schemas, and what its read models and mappings do. And
//! what is new is released with the change that makes it.

use bank::accounts::balances::Versions;
use bank::accounts::{self, contract};
use es_runtime::Store;
use es_runtime::schema::Contract;

es_runtime::schema::test!(contract());

#[test]
fn everything_is_released() {
    let report = contract().check(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(
        report.is_released(),
        "run `cargo run -p bank --features schema -- schema release`\n\n{report}"
    );
    assert!(report.findings.is_empty(), "{report}");
}

#[test]
fn both_versions_of_the_contract_agree_with_their_schemas() {
    use bank::accounts::contract::Accounts;
    es_runtime::testing::laws::<Accounts>().schemas().check();
}

/// The contract and the builder are two lists of the same things.
#[tokio::test]
async fn everything_is_described() {
    let store = Store::connect("memory:").await.unwrap();
    let service = accounts::start(store, "127.0.0.1:0", Versions::Both.into())
        .await
        .unwrap();
    let undescribed = |contract| {
        let ids = service.undescribed(&contract).into_iter();
        ids.map(|id| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(undescribed(contract()), [""; 0]);
    // What it says when something is missing.
    let none = undescribed(Contract::service("bank"));
    assert!(none.contains(&"balances@2".to_owned()), "{none:?}");
    service.shutdown().await.unwrap();
}

/// The bank's own program offers the commands; what ends with what is part of them.
mod command {
    use std::fs;
    use std::process::{Command, Output};

    use tempfile::TempDir;

    fn schema(root: &TempDir, args: &[&str]) -> (i32, String) {
        let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
        let Output {
            status,
            stdout,
            stderr,
        } = bank
            .arg("schema")
            .args(args)
            .arg("--root")
            .arg(root.path())
            .output()
            .unwrap();
        let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
        (status.code().unwrap(), text)
    }

    #[test]
    fn a_release_ends_with_nothing_new() {
        let root = TempDir::new().unwrap();
        assert_eq!(schema(&root, &["check"]).0, 0);
        let (code, text) = schema(&root, &["check", "--released"]);
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("unreleased: the projection `balances@2`"),
            "{text}"
        );
        assert_eq!(schema(&root, &["release"]).0, 0);
        let (code, text) = schema(&root, &["check", "--released"]);
        assert_eq!(
            (code, text.as_str()),
            (0, "0 errors, 0 warnings, 0 unreleased\n")
        );
        let (_, text) = schema(&root, &["release"]);
        assert_eq!(text, "there is nothing new to release\n");
    }

    #[test]
    fn what_breaks_is_told_to_people_and_programs() {
        let root = TempDir::new().unwrap();
        schema(&root, &["release"]);
        let file = root
            .path()
            .join("schemas/accounts/v2/account-opened.1.json");
        fs::remove_file(file).unwrap();
        let (code, text) = schema(&root, &["check"]);
        assert_eq!(code, 1);
        assert!(
            text.contains("[ES0166]\n  --> schemas/accounts/v2/account-opened.1.json"),
            "{text}"
        );

        let (code, text) = schema(&root, &["check", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (code, &json["ok"], &json["findings"][0]["code"]),
            (1, &false.into(), &"ES0166".into())
        );

        let (code, text) = schema(&root, &["check", "--sarif"]);
        let sarif: serde_json::Value = serde_json::from_str(&text).unwrap();
        let result = &sarif["runs"][0]["results"][0];
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!((code, &result["level"]), (1, &"error".into()));
        assert_eq!(place, "schemas/accounts/v2/account-opened.1.json");

        let (code, text) = schema(&root, &["release"]);
        assert!(
            code == 1 && text.ends_with("nothing was released\n"),
            "{text}"
        );
    }

    #[test]
    fn an_export_has_every_document() {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("out");
        let (code, text) = schema(&root, &["export", "--dir", folder.to_str().unwrap()]);
        assert_eq!(code, 0, "{text}");
        for file in [
            "asyncapi.json",
            "catalogue.md",
            "accounts/v1/stream.json",
            "accounts/v2/account-closed.json",
        ] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        assert!(!root.path().join("es.lock").exists());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let root = TempDir::new().unwrap();
        for args in [
            &["publish"][..],
            &["check", "--loud"],
            &["release", "--json"],
        ] {
            let (code, text) = schema(&root, args);
            assert_eq!(code, 2, "{text}");
            assert!(text.starts_with("schema: "), "{text}");
        }
    }
}
