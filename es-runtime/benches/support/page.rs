//! The page of the documentation that a run writes.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use es_runtime::postgres::PgConnection;

use super::machine::{ask, facts};
use super::report::Report;
use super::start::Scale;

/// What a page says beside the figures.
pub(crate) struct Page {
    /// The file in `docs`.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    /// What is compared with what.
    pub(crate) introduction: &'static str,
    /// How much was measured, `5 rounds of 3 s`.
    pub(crate) measured: String,
    /// How to run it again.
    pub(crate) repeat: &'static str,
}

impl Page {
    /// Writes the file.
    pub(crate) async fn write(&self, scale: Scale, report: &Report, connection: &mut PgConnection) {
        let date = ask(connection, "SELECT current_date::text").await;
        let facts = facts(connection).await;
        let text = self.text(scale, report, &date, &facts).expect("memory");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        fs::write(docs.join(self.file), text).expect("the page");
        println!("\nwrote docs/{}", self.file);
    }

    fn text(
        &self,
        scale: Scale,
        report: &Report,
        date: &str,
        facts: &[(String, String)],
    ) -> Result<String, fmt::Error> {
        let Self {
            title,
            introduction,
            measured,
            repeat,
            ..
        } = self;
        let mut page = String::new();
        writeln!(page, "# {title}\n\n{introduction}")?;
        if scale == Scale::Short {
            writeln!(
                page,
                "> **This was a short run.** It shows that everything runs; its figures are \
                 noise.\n"
            )?;
        }
        writeln!(page, "Measured on {date}: {measured}.\n")?;
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
        for case in report.cases() {
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
        write!(page, "\n## How to repeat it\n\n{repeat}")?;
        Ok(page)
    }
}
