//! What came out: lines as it goes, a table at the end.

use std::fmt::Write as _;

use super::cases::Case;
use super::measure::{Comparison, Round, percentile, rate};

/// All that a run found out.
pub(crate) struct Report {
    cases: &'static [Case],
    comparisons: Vec<Comparison>,
    notes: Vec<String>,
}

impl Report {
    /// Nothing yet, of all that there is.
    pub(crate) fn new(cases: &'static [Case]) -> Self {
        Self {
            cases,
            comparisons: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn cases(&self) -> &'static [Case] {
        self.cases
    }

    /// Adds a comparison and says how it went: `ratio NAME OURS LIMIT OURS/LIMIT`, and `void` if
    /// the limit was none.
    pub(crate) fn add(&mut self, comparison: Comparison) {
        let Comparison {
            name, ours, limit, ..
        } = &comparison;
        if let Some(checked) = comparison.checked() {
            let pgbench = rate(&comparison.pgbench);
            println!(
                "pgbench {name} {:.0} {pgbench:.0} {checked:.2}",
                rate(limit)
            );
        }
        let void = if comparison.is_void() { " void" } else { "" };
        println!(
            "ratio {name} {:.0} {:.0} {:.2}{void}",
            rate(ours),
            rate(limit),
            comparison.ratio()
        );
        if comparison.is_void() {
            println!(
                "VOID: the raw program of {name} is slower than 0.9 of pgbench with the same \
                 statement, so it is no limit, and the ratio says nothing"
            );
        }
        self.comparisons.push(comparison);
    }

    /// Adds and says what is not a ratio.
    pub(crate) fn note(&mut self, note: String) {
        println!("{note}");
        self.notes.push(note);
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The table: rates in a second, latencies in milliseconds.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| name | ours/s | limit/s | ours / limit | bound | pgbench/s | limit / pgbench | \
             ours p50 / p99 ms | limit p50 / p99 ms |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for comparison in &self.comparisons {
            let Comparison {
                name, ours, limit, ..
            } = comparison;
            let case = self.cases.iter().find(|case| case.name == name);
            let bound = case.and_then(|case| case.bound);
            let bound = bound.map(|bound| format!("{bound:.1}")).unwrap_or_default();
            let (pgbench, checked) = match comparison.checked() {
                Some(checked) => (
                    format!("{:.0}", rate(&comparison.pgbench)),
                    format!("{checked:.2}"),
                ),
                None => Default::default(),
            };
            let void = if comparison.is_void() {
                " **void**"
            } else {
                ""
            };
            writeln!(
                table,
                "| `{name}` | {:.0} | {:.0} | {:.2}{void} | {bound} | {pgbench} | {checked} | {} | \
                 {} |",
                rate(ours),
                rate(limit),
                comparison.ratio(),
                latencies(ours),
                latencies(limit),
            )
            .expect("memory");
        }
        table
    }
}

fn latencies(rounds: &[Round]) -> String {
    match (percentile(rounds, 50), percentile(rounds, 99)) {
        (Some(p50), Some(p99)) => format!("{p50:.2} / {p99:.2}"),
        _ => String::new(),
    }
}
