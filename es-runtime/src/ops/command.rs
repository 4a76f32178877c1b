//! What the commands have in common: how they are run, on which log, and how they end.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;

use tokio::runtime::Builder;

use super::{inboxes, projections, streams};
use crate::error::{Error, Result};
use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::store::{EventStore, Schema, Store};

/// Runs `projections …`, `streams …` or `inbox …` if the arguments say so, and answers how it ended; `None`
/// where they say something else. It is one line of a service's `main`:
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     let url = std::env::var("DATABASE_URL").ok();
///     if let Some(code) = es_runtime::ops::command(url, std::env::args_os()) {
///         return code;
///     }
///     // the service
/// #   ExitCode::SUCCESS
/// }
/// ```
///
/// `url` names the service's store, unless `--store` names another. The first argument is the
/// program's name, as `std::env::args_os` has it. Nothing of it needs the service's types, and it
/// may be called inside of an async runtime: it waits on a thread of its own.
pub fn command(
    url: impl Into<Option<String>>,
    args: impl IntoIterator<Item = OsString>,
) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    let (noun, run): (_, fn(_, _) -> _) = match args.next()?.to_str()? {
        "projections" => ("projections", projections::run),
        "streams" => ("streams", streams::run),
        "inbox" => ("inbox", inboxes::run),
        _ => return None,
    };
    let (url, args): (_, Vec<_>) = (url.into(), args.collect());
    let ended = thread::spawn(move || run(url, args)).join();
    let done = ended.unwrap_or_else(|_| Err(Refusal::Failed("it panicked".to_owned())));
    Some(match done {
        Ok(Answer { text, code }) => {
            // A reader that has gone away has read enough.
            write!(io::stdout(), "{text}").ok();
            code
        }
        Err(refusal) => {
            let help = match refusal {
                Refusal::Misused(_) => format!("; `{noun} --help` shows what there is"),
                Refusal::Failed(_) => String::new(),
            };
            writeln!(io::stderr(), "{noun}: {refusal}{help}").ok();
            refusal.code()
        }
    })
}

/// What a command says when it has done what was asked.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) code: ExitCode,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            text,
            code: ExitCode::SUCCESS,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It was not understood.
    Misused(String),
    /// The rules do not allow it, or it failed.
    Failed(String),
}

impl Refusal {
    fn code(&self) -> ExitCode {
        match self {
            Self::Misused(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Misused(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(super) fn failed<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Failed(why.into()))
}

/// Does something with the log that was said, or else the service's own.
pub(super) fn on(
    said: Option<&String>,
    own: Option<String>,
    work: impl AsyncFnOnce(&Store) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let unsaid = || Refusal::Misused("say --store and the log's URL".to_owned());
    let url = said.cloned().or(own).ok_or_else(unsaid)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = connect(&url).await?;
        let done = work(&store).await;
        store.close().await;
        done
    })
}

/// A log that is there, with the tables of this release: to look at one must not change it under a
/// running service.
async fn connect(url: &str) -> Result<Store, Refusal> {
    if url == "memory:" {
        return failed("a log in memory ends with its process; name a database");
    }
    match Store::schema(url).await? {
        Schema { found: 0, .. } => failed("there is no log yet: start a service on it"),
        Schema { found, known } if found < known => failed(format!(
            "the tables are at version {found}, and this release knows {known}: start the services \
             of this release, or run `es migrate`"
        )),
        _ => Ok(Store::connect(url).await?),
    }
}

/// When and on what a command looks.
pub(super) struct Now {
    pub(super) time: Timestamp,
    pub(super) head: Position,
}

impl Now {
    pub(super) async fn of(store: &Store) -> Result<Self> {
        let head = store.head().await?;
        let time = SystemClock.now();
        Ok(Self { time, head })
    }
}

/// Who asks: `anna@mailhost:4711`, or as was said.
pub(super) fn by(said: Option<&String>) -> String {
    let var = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(var);
    let told = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(var);
    let unsaid = || {
        let user = user().unwrap_or("somebody".to_owned());
        let host = host().or_else(told).unwrap_or("localhost".to_owned());
        format!("{user}@{}:{}", host.trim(), process::id())
    };
    said.cloned().unwrap_or_else(unsaid)
}
