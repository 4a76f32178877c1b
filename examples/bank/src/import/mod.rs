//! The import: reads lines, executes what they ask for, and can be asked again at any time.
//!
//! Every command's id is made of the file's name and the line's number, so a repeated line does
//! nothing again, and an interrupted import is completed by repeating it from the first line.

mod journal;
mod line;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use es_runtime::prelude::*;
use es_runtime::{Receipt, Service};
pub use journal::{Import, ImportCommand, ImportEvent, Refused};
pub use line::{HEADER, Line, Lines, Request};
use tokio::task::JoinSet;

use crate::accounts::AccountError;

/// Lines that are executed at the same time, at most.
const WAVE: usize = 64;

/// Any error that ends an import. What was done is done; import the file again.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What became of a line.
#[derive(Debug)]
pub struct Done {
    /// The line's number.
    pub line: u64,
    /// Where it ends in the input, in bytes.
    pub end: u64,
    /// Its commands with what they did, or why it was refused.
    pub outcome: Result<Vec<(CommandId, Receipt)>, String>,
}

/// What became of an input.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines that were accepted, now or before.
    pub accepted: u64,
    /// Those of them that had been accepted before.
    pub repeated: u64,
    /// The lines that nothing came of, in their order.
    pub refused: Vec<Refused>,
}

/// Imports a file; `done` hears of every line when it is committed.
///
/// Lines that touch the same account keep their order; others are executed together, in waves, so
/// that they share commits. Only one import of an input may run at a time.
///
/// # Errors
/// When the file or the database fails.
pub async fn import(
    bank: &Service,
    file: &Path,
    mut done: impl FnMut(&Done) -> io::Result<()>,
) -> Result<Summary, Error> {
    let unreadable = |error| format!("cannot import `{}`: {error}", file.display());
    let lines = Lines::new(BufReader::new(File::open(file).map_err(unreadable)?));
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let input = Input { name: name.into_owned(), bank };
    let mut summary = Summary::default();
    let mut wave = Wave::default();
    for line in lines.map_err(unreadable)? {
        let line = line.map_err(unreadable)?;
        if !wave.admits(&line) {
            input.execute(std::mem::take(&mut wave), &mut summary, &mut done).await?;
        }
        wave.add(line);
    }
    input.execute(wave, &mut summary, &mut done).await?;
    summary.refused.sort_by_key(|refused| refused.line);
    Ok(summary)
}

/// Consecutive lines that touch different accounts, so that their order does not matter.
#[derive(Default)]
struct Wave {
    lines: Vec<Line>,
    accounts: HashSet<String>,
}

impl Wave {
    fn admits(&self, line: &Line) -> bool {
        let mut accounts = line.request.iter().flat_map(Request::accounts);
        self.lines.len() < WAVE && !accounts.any(|account| self.accounts.contains(account))
    }

    fn add(&mut self, line: Line) {
        let accounts = line.request.iter().flat_map(Request::accounts);
        self.accounts.extend(accounts.map(str::to_owned));
        self.lines.push(line);
    }
}

struct Input<'a> {
    name: String,
    bank: &'a Service,
}

impl Input<'_> {
    /// Executes a wave. Its refusals are kept before any later line is executed: until then, asking
    /// again gives the same answers.
    async fn execute(
        &self,
        wave: Wave,
        summary: &mut Summary,
        done: &mut impl FnMut(&Done) -> io::Result<()>,
    ) -> Result<(), Error> {
        let past = self.bank.load::<Import>(self.name.as_str()).await?;
        let mut running = JoinSet::new();
        let mut refusals = Vec::new();
        let mut refuse = |line, end, reason| refusals.push(Done { line, end, outcome: Err(reason) });
        for Line { number, end, request } in wave.lines {
            let known = past.state().reason(number).map(str::to_owned);
            match known.map_or(request, Err) {
                Err(reason) => refuse(number, end, reason),
                Ok(request) => {
                    let (bank, id) = (self.bank.clone(), format!("{}:{number}", self.name));
                    running.spawn(async move { (number, end, request.execute(&bank, &id).await) });
                }
            }
        }
        while let Some(joined) = running.join_next().await {
            let (line, end, executed) = joined?;
            match executed {
                Ok(commands) => {
                    summary.accepted += 1;
                    summary.repeated += u64::from(commands.iter().all(|(_, did)| did.repeated));
                    done(&Done { line, end, outcome: Ok(commands) })?;
                }
                Err(error) => match error.rejection::<AccountError>() {
                    Some(reason) => refuse(line, end, reason.to_string()),
                    None => return Err(error.into()),
                },
            }
        }
        self.keep(refusals, summary, done).await
    }
}
