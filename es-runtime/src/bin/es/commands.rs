//! What the commands do.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use es_runtime::Store;
use es_runtime::event::{Clock, Position, SystemClock, Timestamp};
use es_runtime::ops::{self, Progress};
use es_runtime::store::{EventStore, Schema};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Command, HELP};
use crate::schema;

/// The tables are not up to date.
const OUT_OF_DATE: u8 = 3;
/// Commands that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: usize = 10_000;

pub(crate) type Done = Result<ExitCode, Box<dyn Error>>;

pub(crate) async fn run(command: Command) -> Done {
    match command {
        Command::Help => say(HELP.trim_end()),
        Command::Version => say(concat!("es ", env!("CARGO_PKG_VERSION"))),
        Command::Migrate { url, check: true } => check(&url).await,
        Command::Migrate { url, check: false } => migrate(&url).await,
        Command::Head { url } => head(&url).await,
        Command::Export { url, file, after } => export(&url, &file, after).await,
        Command::Import { url, files } => import(&url, &files).await,
        Command::ForgetCommands { url, older_than } => forget_commands(&url, older_than).await,
        Command::Compat {
            old,
            new,
            mode,
            shown,
        } => schema::compat(&old, &new, mode, shown),
        Command::Subset { cases, json } => schema::subset(&cases, json),
    }
}

pub(crate) fn say(text: impl std::fmt::Display) -> Done {
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// A log that is there: looking at one does not make it.
async fn there(url: &str) -> Result<Store, Box<dyn Error>> {
    if lasting(url).await?.found == 0 {
        return Err("there is no log yet; `es migrate` makes the tables of one".into());
    }
    Ok(Store::connect(url).await?)
}

/// The tables of a store that outlives this process.
async fn lasting(url: &str) -> Result<Schema, Box<dyn Error>> {
    if url == "memory:" {
        return Err("a log in memory ends with its process; name a database".into());
    }
    Ok(Store::schema(url).await?)
}

async fn check(url: &str) -> Done {
    let Schema { found, known } = lasting(url).await?;
    if found == known {
        return say(format_args!("the tables are up to date: version {known}"));
    }
    let what = match found > known {
        true => "come from a newer release",
        false => "are not up to date",
    };
    say(format_args!(
        "the tables {what}: version {found}, and this release has {known}"
    ))?;
    Ok(ExitCode::from(OUT_OF_DATE))
}

async fn migrate(url: &str) -> Done {
    let Schema { found, .. } = lasting(url).await?;
    Store::connect(url).await?.close().await;
    // What is there now: another process may have come first.
    let Schema { found: now, .. } = lasting(url).await?;
    match found == now {
        true => say(format_args!("the tables are up to date: version {now}")),
        false => say(format_args!(
            "the tables went from version {found} to {now}"
        )),
    }
}

async fn head(url: &str) -> Done {
    let store = there(url).await?;
    let head = store.head().await?;
    store.close().await;
    say(head)
}

async fn export(url: &str, file: &Path, after: u64) -> Done {
    let store = there(url).await?;
    let (bar, after) = (Bar::new("exported"), Position::new(after));
    let exported = ops::export(&store, file, after, SystemClock.now(), |p| bar.show(p)).await;
    let exported = bar.end(exported)?;
    store.close().await;
    say(format_args!(
        "`{}` has {} events and {} commands, up to position {}",
        file.display(),
        exported.events,
        exported.commands,
        exported.position
    ))
}

async fn import(url: &str, files: &[PathBuf]) -> Done {
    lasting(url).await?;
    let store = Store::connect(url).await?;
    for file in files {
        let bar = Bar::new("imported");
        let imported = ops::import(&store, file, |p| bar.show(p)).await;
        let imported = bar.end(imported)?;
        say(format_args!(
            "`{}`: {} events added, the log is at position {}",
            file.display(),
            imported.events,
            imported.position
        ))?;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn forget_commands(url: &str, older_than: Duration) -> Done {
    let store = there(url).await?;
    let ago = i64::try_from(older_than.as_micros())?;
    let before = Timestamp::from_micros(SystemClock.now().as_micros().saturating_sub(ago));
    let forgotten = store.forget_commands(before, FORGOTTEN_AT_ONCE).await?;
    store.close().await;
    say(format_args!(
        "{forgotten} commands from before {before} are forgotten"
    ))
}

/// Shows progress where somebody watches.
struct Bar(ProgressBar);

impl Bar {
    fn new(done: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = "{bar:40} {human_pos} of {human_len} events {msg}, {per_sec:.0}, {eta} left";
        let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style).with_message(done))
    }

    fn show(&self, progress: Progress) {
        let from = progress.after.get();
        self.0.set_length(progress.head.get() - from);
        self.0.set_position(progress.position.get() - from);
    }

    fn end<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        self.0.finish_and_clear();
        result
    }
}
