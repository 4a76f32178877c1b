//! The import: reads lines, executes what they ask for, and can be asked again at any time.
//!
//! Every command's id is made of the file's name and the line's number, so a repeated line does
//! nothing again, and an interrupted import is completed by repeating it from the first line.

mod journal;
mod line;
mod queue;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use es_runtime::Receipt;
pub use journal::{Import, ImportCommand, ImportEvent, Refused};
pub use line::{HEADER, Line, Lines, Request};
use queue::Queue;
use tokio::task::JoinSet;

use crate::transfers::Ends;
use crate::{Bank, Result};

/// Lines at hand, executing or waiting for others, at most.
const WINDOW: usize = 200;

/// What became of a line.
#[derive(Debug)]
pub struct Done {
    /// The line's number.
    pub line: u64,
    /// What its command did, or why it was refused.
    pub outcome: Result<Receipt, String>,
}

/// What became of an input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Lines that were accepted, now or before.
    pub accepted: u64,
    /// Those of them that had been accepted before.
    pub repeated: u64,
    /// The lines that nothing came of, in their order.
    pub refused: Vec<Refused>,
}

/// Imports a file; `done` hears of every line right after its commit, of a transfer when it is over.
///
/// Lines that touch the same account keep their order; others are executed together and share
/// commits. Nobody else may import the same file meanwhile.
///
/// # Errors
/// When the file or the database fails, or `done` does.
pub async fn import(
    bank: &Bank,
    file: &Path,
    done: impl FnMut(&Done) -> io::Result<()>,
) -> Result<Summary> {
    let unreadable = |error| format!("cannot import `{}`: {error}", file.display());
    let input = BufReader::new(File::open(file).map_err(unreadable)?);
    let name = file
        .file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy();
    let (accounts, transfers) = (&bank.accounts, Ends::follow(&bank.transfers).await?);
    let past = accounts.load::<Import>(name.as_ref()).await?;
    let mut tally = Tally {
        summary: Summary::default(),
        done,
    };
    let mut lines = Lines::new(input).map_err(unreadable)?;
    let (mut queue, mut running) = (Queue::default(), JoinSet::new());
    loop {
        while queue.len() + running.len() < WINDOW
            && let Some(line) = lines.next()
        {
            let Line {
                number: line,
                request,
            } = line.map_err(unreadable)?;
            let refused = past.state().reason(line).map(str::to_owned);
            match refused.map_or(request, Err) {
                Ok(request) => queue.push((line, request)),
                Err(reason) => tally.refused(Refused { line, reason })?,
            }
        }
        for (line, request) in queue.start() {
            let (accounts, transfers) = (accounts.clone(), transfers.clone());
            let id = format!("{name}:{line}");
            running.spawn(async move {
                let executed = request.execute(&accounts, &transfers, &id).await;
                (line, request, executed)
            });
        }
        // Where nothing runs, nothing waits, and the input is at its end.
        let Some(ended) = running.join_next().await else {
            break;
        };
        let (line, request, executed) = ended?;
        match executed? {
            Ok(receipt) => tally.accepted(line, receipt)?,
            Err(reason) => {
                // Kept before a later line of the account starts: until then, asking again gives
                // the same answer.
                let refused = Refused { line, reason };
                let refuse = ImportCommand::Refuse(refused.clone());
                accounts.execute::<Import>(name.as_ref(), refuse).await?;
                tally.refused(refused)?;
            }
        }
        queue.finish(&request);
    }
    tally.summary.refused.sort_by_key(|refused| refused.line);
    Ok(tally.summary)
}

/// Keeps count, and tells of every line.
struct Tally<F> {
    summary: Summary,
    done: F,
}

impl<F: FnMut(&Done) -> io::Result<()>> Tally<F> {
    fn accepted(&mut self, line: u64, receipt: Receipt) -> io::Result<()> {
        self.summary.accepted += 1;
        self.summary.repeated += u64::from(receipt.repeated);
        (self.done)(&Done {
            line,
            outcome: Ok(receipt),
        })
    }

    fn refused(&mut self, refused: Refused) -> io::Result<()> {
        let (line, outcome) = (refused.line, Err(refused.reason.clone()));
        self.summary.refused.push(refused);
        (self.done)(&Done { line, outcome })
    }
}
