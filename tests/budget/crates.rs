//! Packages outside of the workspace: crates with large enums and what rustc counts in them, and
//! crates that are set up in another way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

/// How many variants the enums have.
pub(crate) const SIZES: [usize; 4] = [50, 100, 200, 400];

/// The lines of each derive, by its name.
pub(crate) type Lines = BTreeMap<String, usize>;

/// The fields of an account's events, of which each variant has the first few.
const FIELDS: [(&str, &str); 4] = [
    ("owner", "String"),
    ("amount", "i64"),
    ("reference", "Option<String>"),
    ("booked", "u32"),
];

/// What is derived on the enums.
#[derive(Clone, Copy)]
pub(crate) enum Derives {
    /// serde's two, on the events.
    Serde,
    /// And ours, on events, commands and state.
    All,
    /// And on the events of a public stream.
    Published,
}

/// Counts what the derives emit for enums of `variants` variants, which have no field to four in turn.
pub(crate) fn count(variants: usize) -> Lines {
    lines(
        &format!("variants_{variants}"),
        &program(variants, Derives::Published),
    )
}

/// Counts what the derives of a program emit.
pub(crate) fn lines(name: &str, program: &str) -> Lines {
    let said = check(name, program, Build::Again);
    let lines: Lines = said.lines().filter_map(derive).collect();
    assert!(!lines.is_empty(), "nothing was counted: {said}");
    lines
}

/// The time that a processor takes to check such enums, cargo's part included.
pub(crate) fn check_time(variants: usize, derives: Derives, build: Build) -> Duration {
    let (name, program) = (format!("variants_{variants}"), program(variants, derives));
    // The dependencies are done after the first time, and what is remembered is there.
    check(&name, &program, build);
    let before = children();
    check(&name, &program, build);
    children() - before
}

/// The time that processors spent on this process's children, where the system tells.
fn children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux tells how long children took");
    // After the name, which may hold anything, come the state and twelve numbers before them.
    let (_, numbers) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = numbers
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Whether rustc may look at what it found out the last time.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Build {
    FromScratch,
    Again,
}

/// A package outside of the workspace.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) edition: &'static str,
    /// What it calls `es-runtime`.
    pub(crate) runtime: &'static str,
}

const BUDGET: Package = Package {
    name: "budget",
    edition: "2024",
    runtime: "es-runtime",
};

/// Has rustc check a program, and answers what it says.
fn check(name: &str, program: &str, build: Build) -> String {
    check_in(&BUDGET, name, program, build)
}

pub(crate) fn check_in(package: &Package, name: &str, program: &str, build: Build) -> String {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = all.join(package.name);
    fs::create_dir_all(folder.join("src/bin")).expect("a folder can be made");
    // One at a time: the files are the same.
    let lock = File::create(all.join("packages.lock")).expect("a file can be made");
    lock.lock().expect("a file can be locked");
    manifest(package, &folder);
    write(&folder.join(format!("src/bin/{name}.rs")), program);
    let output = cargo()
        .args(["rustc", "--offline", "--profile", "check", "--bin", name])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(all.join("packages"))
        .args(["--", "-Zmacro-stats"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_INCREMENTAL",
            if build == Build::Again { "1" } else { "0" },
        )
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// `macro-stats #[derive(Event)]  1  2_427  2_427.0 …`: the name and the lines.
fn derive(line: &str) -> Option<(String, usize)> {
    let mut words = line.strip_prefix("macro-stats ")?.split_whitespace();
    let name = words
        .next()?
        .strip_prefix("#[derive(")?
        .strip_suffix(")]")?;
    let lines = words.nth(1)?.replace('_', "").parse().ok()?;
    Some((name.to_owned(), lines))
}

/// Gives the package the workspace's versions of everything.
fn manifest(package: &Package, folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Package {
        name,
        edition,
        runtime,
    } = package;
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n\n[workspace]\n\n\
         [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\
         {runtime} = {{ package = \"es-runtime\", path = {:?}, default-features = false }}\n\n\
         [profile.dev]\ndebug = false\n",
        root.join("es-runtime")
    );
    write(&folder.join("Cargo.toml"), &manifest);
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file is there");
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    // What the tests themselves are built with is none of its business.
    for (name, _) in env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PROFILE_")
                || name.ends_with("RUSTFLAGS")
                || name == "CARGO_TARGET_DIR"
        });
        if ours {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// `rustc 1.95.0`.
pub(crate) fn rustc_version() -> String {
    let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("--version")
        .output()
        .expect("rustc runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split(" (")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// An account with `variants` events, commands and handlers.
fn program(variants: usize, derives: Derives) -> String {
    let mut text = "#![allow(dead_code, unused)]\nuse es_runtime::prelude::*;\n".to_owned();
    let ours = !matches!(derives, Derives::Serde);
    let derive = |ours_too: &str| {
        if ours {
            ours_too.to_owned()
        } else {
            String::new()
        }
    };
    let heads = [
        derive("#[derive(Event)]\n#[event(name = \"account\", aggregate = Account)]\n")
            + "#[derive(Clone, Serialize, Deserialize)]\npub enum AccountEvent",
        derive("#[derive(Command)]\n#[command(aggregate = Account)]\n")
            + "#[derive(Clone)]\npub enum AccountCommand",
    ];
    for head in &heads {
        enumeration(&mut text, head, variants);
    }
    text += &derive(
        "#[derive(Aggregate)]\n#[aggregate(name = \"account\", event = AccountEvent, \
         command = AccountCommand, error = std::fmt::Error)]\n",
    );
    text += "#[derive(Clone, Default)]\npub struct Account;\n\nimpl Account {\n";
    for i in 0..variants {
        handlers(&mut text, i);
    }
    text += "}\n\n";
    if matches!(derives, Derives::Published) {
        let head = "#[derive(Clone, IntegrationEvent)]\n\
             #[integration(stream = \"accounts\", version = 1)]\npub enum Accounts";
        enumeration(&mut text, head, variants);
        // What serde emits is counted for the events alone.
        text += "impl Serialize for Accounts {\n    \
             fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> { loop {} }\n}\n\
             impl<'de> Deserialize<'de> for Accounts {\n    \
             fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> { loop {} }\n}\n";
    }
    text + "fn main() {}\n"
}

/// The fields of a variant.
fn fields(variant: usize) -> &'static [(&'static str, &'static str)] {
    &FIELDS[..variant % (FIELDS.len() + 1)]
}

/// `{ owner: String }`, or nothing.
fn in_braces(variant: usize, field: impl Fn(&(&str, &str)) -> String) -> String {
    let fields: Vec<_> = fields(variant).iter().map(field).collect();
    if fields.is_empty() {
        String::new()
    } else {
        format!(" {{ {} }}", fields.join(", "))
    }
}

fn enumeration(text: &mut String, head: &str, variants: usize) {
    let _ = writeln!(text, "{head} {{");
    for i in 0..variants {
        let fields = in_braces(i, |(name, ty)| format!("{name}: {ty}"));
        let _ = writeln!(text, "    Changed{i:03}{fields},");
    }
    text.push_str("}\n\n");
}

fn handlers(text: &mut String, i: usize) {
    let arguments = |prefix: &str| {
        let argument = |(name, ty): &(&str, &str)| format!(", {name}: {prefix}{ty}");
        fields(i).iter().map(argument).collect::<String>()
    };
    let (by_value, by_reference) = (arguments(""), arguments("&"));
    let named = in_braces(i, |(name, _)| (*name).to_owned());
    let _ = writeln!(
        text,
        "    fn changed{i:03}(&self{by_value}) -> Result<AccountEvent, std::fmt::Error> {{\n        \
         Ok(AccountEvent::Changed{i:03}{named})\n    }}\n    \
         fn on_changed{i:03}(&mut self{by_reference}) {{}}"
    );
}
