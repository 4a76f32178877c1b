//! The page of the documentation that a run writes.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use es_runtime::postgres::PgConnection;

use crate::Size;
use crate::cases::CASES;
use crate::machine::{ask, facts};
use crate::report::Report;

const INTRODUCTION: &str = "\
Each of our rates stands beside a raw limit: the plainest program for the same database that writes
the same columns, or reads the same rows, with nothing around it. It gives no order that a reader
can rely on, checks no versions, and knows no commands that come twice; it is what one would reach
without all that. Ours and the limit run in turn, in the same run and on the same database; a ratio
is the median over the rounds, each round's ours divided by its limit. More is better.

The limits with one `INSERT` a commit run beside `pgbench`, PostgreSQL's own benchmark, with the
same statement, as many clients and as much time. A limit below 0.9 of it would be none, and its
ratio is marked as void.
";

const REPEAT: &str = "\
```sh
cargo bench -p es-runtime --all-features --bench store                    # everything, and this page
cargo bench -p es-runtime --all-features --bench store -- append_32       # one by its name
cargo bench -p es-runtime --all-features --bench store -- command         # all with this in the name
ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench store
```

It needs PostgreSQL's server binaries with `pgbench` (`apt-get install postgresql`), and starts a
server of its own in a temporary folder. `ES_BENCH_GROWTH=FROM,TO` sets the two sizes of `growth`,
which a short run does only when it is named; `ES_BENCH_WRITE=1` writes this page after any run.
";

/// Writes `docs/benchmarks.md`.
pub(crate) async fn write(report: &Report, size: Size, connection: &mut PgConnection) {
    let date = ask(connection, "SELECT current_date::text").await;
    let facts = facts(connection).await;
    let text = text(report, size, &date, &facts).expect("memory");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    fs::write(&page, text).expect("the page");
    println!("\nwrote docs/benchmarks.md");
}

fn text(
    report: &Report,
    size: Size,
    date: &str,
    facts: &[(String, String)],
) -> Result<String, fmt::Error> {
    let mut page = String::new();
    writeln!(page, "# Benchmarks\n\n{INTRODUCTION}")?;
    let Size {
        name,
        rounds,
        round,
        events,
        ..
    } = size;
    if name != "full" {
        writeln!(
            page,
            "> **This was a {name} run.** It shows that everything runs; its figures are noise.\n"
        )?;
    }
    writeln!(
        page,
        "Measured on {date}: {rounds} rounds of {} s, replays of {events} events.\n",
        round.as_secs()
    )?;
    writeln!(page, "## Results\n\n{}", report.table())?;
    if !report.notes().is_empty() {
        writeln!(page, "Beside the ratios:\n")?;
        for note in report.notes() {
            writeln!(page, "- {note}")?;
        }
        writeln!(page)?;
    }
    writeln!(page, "## What is compared\n\nOurs first, then the limit.\n")?;
    writeln!(page, "| name | bound | what |\n|---|---|---|")?;
    for case in CASES {
        let bound = case.bound.map(|bound| format!("≥ {bound:.1}"));
        let (name, bound, what) = (case.name, bound.unwrap_or_default(), case.what);
        writeln!(page, "| `{name}` | {bound} | {what} |")?;
    }
    writeln!(
        page,
        "\n## Machine and settings\n\n| what | value |\n|---|---|"
    )?;
    for (name, value) in facts {
        writeln!(page, "| {name} | {value} |")?;
    }
    write!(page, "\n## How to repeat it\n\n{REPEAT}")?;
    Ok(page)
}
