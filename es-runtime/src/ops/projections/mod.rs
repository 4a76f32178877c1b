//! The commands `projections …`: every version's life, seen and changed by people.

mod args;
mod change;
mod confirm;
mod diff;
mod facts;
mod find;
mod list;
mod parked;
mod rebuild;
mod show;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use tokio::runtime::Builder;

use self::args::{Asked, HELP, Verb};
use crate::error::{Error, Result};
use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::store::{EventStore, Schema, Store};

/// Runs `projections …` if the arguments say so, and answers how it ended; `None` where they say
/// something else. It is one line of a service's `main`:
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
    if args.next()? != "projections" {
        return None;
    }
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
            writeln!(io::stderr(), "projections: {refusal}").ok();
            refusal.code()
        }
    })
}

/// What a command says when it has done what was asked.
struct Answer {
    text: String,
    code: ExitCode,
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
enum Refusal {
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
        match self {
            Self::Misused(why) => {
                write!(f, "{why}; `projections --help` shows what there is")
            }
            Self::Failed(why) => f.write_str(why),
        }
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

fn failed<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Failed(why.into()))
}

fn run(url: Option<String>, args: Vec<OsString>) -> Result<Answer, Refusal> {
    let asked = args::parse(args).map_err(|error| Refusal::Misused(error.to_string()))?;
    if asked.verb == Verb::Help {
        return Ok(HELP.to_owned().into());
    }
    let url = asked.store.clone().or(url);
    let unsaid = || Refusal::Misused("say --store and the log's URL".to_owned());
    let url = url.ok_or_else(unsaid)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = connect(&url).await?;
        let done = obey(&store, &asked).await;
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

async fn obey(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    match asked.verb {
        Verb::Help => Ok(HELP.to_owned().into()),
        Verb::List => list::list(store, asked).await.map(Answer::from),
        Verb::Show => show::show(store, asked).await.map(Answer::from),
        Verb::Diff => diff::diff(store, asked).await,
        Verb::Promote => change::promote(store, asked).await.map(Answer::from),
        Verb::RollBack => change::roll_back(store, asked).await.map(Answer::from),
        Verb::Retire => change::retire(store, asked).await.map(Answer::from),
        Verb::Pause => change::pause(store, asked).await.map(Answer::from),
        Verb::Resume => change::resume(store, asked).await.map(Answer::from),
        Verb::Parked => parked::parked(store, asked).await.map(Answer::from),
        Verb::Retry => parked::retry(store, asked).await.map(Answer::from),
        Verb::Drop => parked::drop_key(store, asked).await.map(Answer::from),
        Verb::Rebuild => rebuild::rebuild(store, asked).await.map(Answer::from),
    }
}

/// When and on what a command looks.
struct Now {
    time: Timestamp,
    head: Position,
}

impl Now {
    async fn of(store: &Store) -> Result<Self> {
        let head = store.head().await?;
        let time = SystemClock.now();
        Ok(Self { time, head })
    }
}
