//! The bank's released events cannot be edited: the compiler says what to write instead. Compiled
//! from the bank's own files and its own lock.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn bank(file: &str) -> String {
    let bank = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bank");
    fs::read_to_string(bank.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// A package of the bank's account and nothing else.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("released");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::create_dir_all(folder.join("src")).expect("a folder can be made");
        let package = Self { folder };
        package.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"released\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                 [workspace]\n\n[features]\nschema = []\n\n[dependencies]\n\
                 es-runtime = {{ path = {:?}, default-features = false }}\n\
                 serde = {{ version = \"1\", features = [\"derive\"] }}\n",
                root.join("es-runtime")
            ),
        );
        package.write(
            "Cargo.lock",
            &fs::read_to_string(root.join("Cargo.lock")).expect("it is there"),
        );
        package.write("es.lock", &bank("es.lock"));
        package.write(
            "src/lib.rs",
            "#![allow(dead_code, unused)]\nmod domain;\nmod money;\nuse money::{Currency, Money};\n",
        );
        package.write("src/money.rs", &bank("src/accounts/money.rs"));
        package.write("src/domain.rs", &bank("src/accounts/domain.rs"));
        package
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        // What did not change keeps its age, so that the compiler decides by itself.
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return;
        }
        fs::write(&path, text).unwrap_or_else(|e| panic!("{file}: {e}"));
    }

    /// Has rustc check it; what it says if it refuses.
    fn check(&self) -> Result<(), String> {
        let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(["check", "--offline", "--quiet", "--color", "never"])
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.folder.join("target"))
            .output()
            .expect("cargo runs");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

fn edited(text: &str, from: &str, to: &str) -> String {
    assert_eq!(
        text.matches(from).count(),
        1,
        "`{from}` stands in the bank once"
    );
    text.replace(from, to)
}

#[test]
fn a_released_field_of_the_bank_cannot_be_edited() {
    let package = Package::new();
    package.check().unwrap();

    let domain = bank("src/accounts/domain.rs");
    let field = "        /// What the account is kept in.\n        currency: Currency,\n    },";
    for (to, said, help) in [
        (
            "        currency: Currency,\n        country: String,\n    },",
            "error: `Opened` was released as version 1 without `country` [ES0013]",
            "help: `#[event(since = 2, default)] country: String`",
        ),
        (
            "        currency: String,\n    },",
            "error: `Opened` was released as version 1 with `currency: Currency` [ES0013]",
            "help: `#[event(since = 2, was_type = Currency, with = …)] currency: String`",
        ),
        (
            "        kept_in: Currency,\n    },",
            "error: `Opened` was released as version 1 with `currency` and without `kept_in` [ES0013]",
            "help: `#[event(since = 2, was = \"currency\")] kept_in: Currency`",
        ),
        (
            "    },",
            "error: `Opened` was released as version 1 with `currency: Currency` [ES0013]",
            "help: `#[event(since = 2, removed(currency: Currency))]` on `Opened`",
        ),
    ] {
        package.write("src/domain.rs", &edited(&domain, field, to));
        let error = package.check().unwrap_err();
        assert!(error.contains(said), "{error}");
        assert!(error.contains(help), "{error}");
    }

    // Said as the help says it, it compiles again.
    let to = "        currency: Currency,\n        #[event(since = 2, default)]\n        country: String,\n    },";
    let grown = edited(&domain, field, to);
    let grown = edited(
        &grown,
        "fn on_opened(&mut self, _owner: &str, currency: &Currency) {",
        "fn on_opened(&mut self, _owner: &str, currency: &Currency, _country: &str) {",
    );
    let grown = edited(
        &grown,
        "AccountEvent::Opened { owner, currency }",
        "AccountEvent::Opened { owner, currency, country: String::new() }",
    );
    package.write("src/domain.rs", &grown);
    package.check().unwrap();
    package.write("src/domain.rs", &domain);
    package.check().unwrap();

    // The compiler looks again when the lock grows, and nothing else changes.
    let lock = format!(
        "{}event account.opened 2 {{ owner: String }}\n",
        bank("es.lock")
    );
    package.write("es.lock", &lock);
    let error = package.check().unwrap_err();
    assert!(
        error.contains(
            "`Opened` was released as version 2, and its history ends at version 1 [ES0013]"
        ),
        "{error}"
    );
}
