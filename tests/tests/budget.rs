//! How many lines the derives emit, counted by rustc: compile time is bought by the line.
//!
//! `budget/table.txt` holds what they are today. `BLESS=1 cargo test -p es-tests --test budget` writes
//! it anew; whatever it says then has to keep to the limits below.

#[path = "../budget/crates.rs"]
mod crates;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crates::{Build, Derives, Lines, SIZES, check_time, count};

/// What a derive may emit without a history: for each variant, and once.
const LIMITS: [(&str, usize, usize); 3] = [
    ("Event", 12, 80),
    ("Command", 10, 0),
    ("IntegrationEvent", 4, 80),
];

/// And for each change of a history.
const LINES_A_STEP: usize = 8;

/// Together, of what serde emits for the same enum of 200 events, in percent.
const SHARE: usize = 10;

fn together(lines: &Lines) -> usize {
    ["Event", "Command", "Aggregate"]
        .map(|d| lines[d])
        .iter()
        .sum()
}

fn serde(lines: &Lines) -> usize {
    lines["Serialize"] + lines["Deserialize"]
}

/// Each kind of change, with all that it may say, and the fields that it is about.
const KINDS: [&str; 8] = [
    "Opened { #[event(since = 3, was = \"ccy\")] currency: String }",
    "Opened { #[event(since = 3, default = \"DKK\".to_owned())] currency: String }",
    "Opened { #[event(since = 3, from = computed)] currency: String }",
    "Opened { #[event(since = 3, was_type = u32, with = shown, down = read)] currency: String }",
    "#[event(since = 3, split(name: String => first, last), with = two, down = one)] Opened { first: String, last: String }",
    "#[event(since = 3, removed(note: u32), down = nothing)] Opened { first: String }",
    "#[event(since = 3, moved(street: String, city: String => address))] Opened { address: Address }",
    "#[event(since = 3, upcast(u32), with = shown, down = read)] Opened(String)",
];

#[test]
fn a_step_of_a_history_keeps_to_its_budget() {
    let lines = |variant: &str| {
        let program = format!(
            "#![allow(dead_code)]\nuse es_runtime::prelude::*;\n\
             #[derive(Clone, Serialize, Deserialize)]\npub struct Address {{ street: String, city: String }}\n\
             fn computed(old: std::collections::BTreeMap<String, String>) -> String {{ loop {{}} }}\n\
             fn shown(old: u32) -> String {{ loop {{}} }}\nfn read(new: String) -> u32 {{ loop {{}} }}\n\
             fn two(old: String) -> (String, String) {{ loop {{}} }}\n\
             fn one(first: String, last: String) -> String {{ loop {{}} }}\nfn nothing() -> u32 {{ 0 }}\n\
             #[derive(Clone, Serialize, Deserialize, Event)]\n\
             #[event(name = \"account\", dispatch = manual)]\npub enum AccountEvent {{ {variant}, Closed }}\n\
             fn main() {{}}\n"
        );
        crates::lines("history", &program)["Event"]
    };
    // A variant with a past has a row in a table, and each of its changes stands in the row.
    let past = "#[event(since = 2, was = \"account.created\")]";
    let row = lines(&format!("{past} Opened {{ currency: String }}"));
    for step in KINDS {
        let emitted = lines(&format!("{past} {step}")) - row;
        println!("{emitted:>4}  {step}");
        assert!(
            emitted <= LINES_A_STEP,
            "{emitted} lines, and {LINES_A_STEP} are allowed: {step}"
        );
    }
}

#[test]
fn the_derives_keep_to_their_budget() {
    let counted: Vec<(usize, Lines)> = SIZES.into_iter().map(|n| (n, count(n))).collect();
    let table = table(&counted);
    println!("{table}");
    for (n, lines) in &counted {
        for (derive, a_variant, once) in LIMITS {
            let (emitted, limit) = (lines[derive], a_variant * n + once);
            assert!(
                emitted <= limit,
                "`#[derive({derive})]` emits {emitted} lines for {n} variants, and may emit {limit}"
            );
        }
    }
    for derive in ["Event", "Command", "IntegrationEvent"] {
        grows_with_the_variants(derive, &counted);
    }
    let (_, of_200) = counted
        .iter()
        .find(|(n, _)| *n == 200)
        .expect("one of the sizes");
    let (ours, theirs) = (together(of_200), serde(of_200));
    assert!(
        ours * 100 <= theirs * SHARE,
        "the derives emit {ours} lines where serde emits {theirs}: more than {SHARE} %"
    );
    is_committed(&table);
}

/// What an older version of a stream may emit for each of its events.
const OLDER: usize = 14;

#[test]
fn a_stream_takes_lines_in_proportion_to_its_versions() {
    const VARIANTS: usize = 20;
    let lines = |versions: usize| {
        let renamed = |version| format!("#[integration(since = {version}, was = \"f{version}\")] ");
        let changes: String = (2..=versions).map(renamed).collect();
        let variant = |i| format!("    Changed{i:03} {{ {changes}field: String }},\n");
        let program = format!(
            "#![allow(dead_code)]\nuse es_runtime::prelude::*;\n\
             #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]\n\
             #[integration(stream = \"accounts\", version = {versions})]\n\
             pub enum Accounts {{\n{}}}\nfn main() {{}}\n",
            (0..VARIANTS).map(variant).collect::<String>()
        );
        crates::lines("versions", &program)["IntegrationEvent"]
    };
    let counted: Vec<_> = (1..=4).map(lines).collect();
    println!("a stream of {VARIANTS} events in 1 to 4 versions: {counted:?} lines");
    let (second, third, fourth) = (
        counted[1] - counted[0],
        counted[2] - counted[1],
        counted[3] - counted[2],
    );
    assert!(
        second.max(third).max(fourth) <= OLDER * VARIANTS,
        "an older version takes more than {OLDER} lines for each event: {counted:?}"
    );
    assert!(
        fourth.abs_diff(third) <= VARIANTS,
        "each older version takes more than the one before: {counted:?}"
    );
}

/// Each variant takes as many lines in a large enum as in a small one. The end of a line that is
/// broken elsewhere may be a line.
fn grows_with_the_variants(derive: &str, counted: &[(usize, Lines)]) {
    let steps: Vec<_> = counted
        .windows(2)
        .map(|pair| {
            let ((from, fewer), (to, more)) = (&pair[0], &pair[1]);
            (to - from, more[derive] - fewer[derive])
        })
        .collect();
    let (variants, lines) = steps[0];
    for (more_variants, more_lines) in &steps {
        let expected = lines * more_variants / variants;
        assert!(
            more_lines.abs_diff(expected) <= 1,
            "`#[derive({derive})]` takes {lines} lines for {variants} variants more, but {more_lines} \
             for {more_variants}"
        );
    }
}

/// Measures, and fails at nothing: `cargo test -p es-tests --test budget -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: it wants a quiet machine"]
fn how_long_a_check_takes() {
    const ROUNDS: usize = 7;
    let variants = 200;
    for (build, what) in [
        (Build::FromScratch, "from scratch"),
        (Build::Again, "again, incrementally"),
    ] {
        let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (times, derives) in times.iter_mut().zip([Derives::Serde, Derives::All]) {
                times.push(check_time(variants, derives, build).as_secs_f64());
            }
        }
        let [serde, all] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        });
        println!(
            "processor time of a check with {variants} events {what}, the median of {ROUNDS}: \
             {serde:.2} s with serde alone, {all:.2} s with the derives, {:+.1} %",
            (all / serde - 1.0) * 100.0
        );
    }
}

fn table(counted: &[(usize, Lines)]) -> String {
    let mut text = format!(
        "# Lines that each derive emits for an enum of so many variants, with no field to four in turn,\n\
         # as counted by `-Zmacro-stats` of {}.\n\
         # The last column: Event, Command and Aggregate together, of what serde's two emit.\n",
        crates::rustc_version()
    );
    let columns = [
        "Event",
        "Command",
        "Aggregate",
        "IntegrationEvent",
        "Serialize",
        "Deserialize",
    ];
    let _ = write!(text, "variants");
    for column in columns {
        let _ = write!(text, "  {column}");
    }
    text.push_str("  share\n");
    for (n, lines) in counted {
        let _ = write!(text, "{n:8}");
        for column in columns {
            let _ = write!(text, "  {:>width$}", lines[column], width = column.len());
        }
        let permille = together(lines) * 1000 / serde(lines);
        let _ = writeln!(text, "  {:>2}.{} %", permille / 10, permille % 10);
    }
    text
}

/// Another rustc may break lines elsewhere: its figures have to keep to the limits alone.
fn is_committed(found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget/table.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, found).expect("the table can be written");
        return;
    }
    let committed = fs::read_to_string(&path).expect("the table is committed");
    let head = |text: &str| text.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    if head(&committed) == head(found) {
        assert_eq!(
            found, committed,
            "budget/table.txt differs; BLESS=1 writes it anew"
        );
    }
}
