//! What the command line says.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use es_runtime::ops::duration;
use es_runtime::schema::compat::Mode;
use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Looks after the log, the projections and the schemas of an es service.

usage: es COMMAND URL [options]
       es projections COMMAND [NAME@VERSION] --store URL [options]
       es streams COMMAND [NAME@VERSION] --store URL [options]
       es schema COMMAND [options]

  migrate URL              brings the tables up to date, as every service does when it starts
    --check                only tells; exits with 3 if there is something to do
  head URL                 prints the position of the last event
  export URL FILE          writes the log to FILE, as JSON Lines; goes on with an interrupted one
    --after POSITION       only what follows, for a further file                       [0]
  import URL FILE...       adds what the files have to the log, from an empty one on; goes on
                           where it was interrupted
  forget-commands URL      forgets ids of accepted commands: one that comes again is a new one
    --older-than TIME      that were accepted longer ago: 90d, 36h, 30m or 5s     [required]

  projections              looks after the versions of read models and integration streams: list,
                           show, diff, promote, rollback, retire, rebuild, pause, resume, parked, retry,
                           drop; `es projections --help` shows their options

  streams                  looks after what is published and who reads it: list, show, tail, consumers,
                           verify, deprecate, retire; `es streams --help` shows their options

  schema compat            tells whether readers break when a schema changes; exits with 1 if they do
    --old FILE             the released schema, of an event or a stream; again for each older
                           version, the first one first                            [required]
    --new FILE             the schema now                                          [required]
    --mode MODE            backward (new readers, old events), forward (old readers, new events)
                           or full                                                     [full]
    --json                 as JSON
    --sarif                as SARIF 2.1.0
  schema subset            compares with cases of others: is every instance of one schema valid under
                           another?
    --cases FILE           JSON Lines with suite, id, sub, sup and expected       [required]
    --json                 one object for each suite

A URL is sqlite://path/to/file.db or postgres://user@host/database. A FILE whose name ends in .zst
is compressed.

exit status: 0 done, 1 failed, or readers break, 2 not understood, also a schema that cannot be read,
3 out of date (migrate --check)
";

pub(crate) enum Command {
    Help,
    Version,
    Migrate {
        url: String,
        check: bool,
    },
    Head {
        url: String,
    },
    Export {
        url: String,
        file: PathBuf,
        after: u64,
    },
    Import {
        url: String,
        files: Vec<PathBuf>,
    },
    ForgetCommands {
        url: String,
        older_than: Duration,
    },
    Compat {
        old: Vec<PathBuf>,
        new: PathBuf,
        mode: Mode,
        shown: Shown,
    },
    Subset {
        cases: PathBuf,
        json: bool,
    },
}

/// How a report is printed.
#[derive(Clone, Copy, Default)]
pub(crate) enum Shown {
    #[default]
    Text,
    Json,
    Sarif,
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut args = lexopt::Parser::from_args(args);
    let mut values = Vec::new();
    let (mut check, mut after, mut older_than) = (false, None, None);
    let (mut cases, mut old, mut new) = (None, Vec::new(), None);
    let (mut mode, mut shown) = (Mode::Full, Shown::Text);
    let mut command = None;
    while let Some(arg) = args.next()? {
        let on = command.as_deref().unwrap_or_default();
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Value(word) if command.is_none() => command = Some(word.string()?),
            Value(word) if on == "schema" => command = Some(format!("schema {}", word.string()?)),
            Long("check") if on == "migrate" => check = true,
            Long("after") if on == "export" => after = Some(args.value()?.parse()?),
            Long("older-than") if on == "forget-commands" => {
                older_than = Some(args.value()?.parse_with(duration)?);
            }
            Long("cases") if on == "schema subset" => cases = Some(PathBuf::from(args.value()?)),
            Long("old") if on == "schema compat" => old.push(PathBuf::from(args.value()?)),
            Long("new") if on == "schema compat" => new = Some(PathBuf::from(args.value()?)),
            Long("mode") if on == "schema compat" => {
                mode = args.value()?.parse_with(|text| match text {
                    "backward" => Ok(Mode::Backward),
                    "forward" => Ok(Mode::Forward),
                    "full" => Ok(Mode::Full),
                    _ => Err("say backward, forward or full"),
                })?;
            }
            Long("json") if on.starts_with("schema ") => shown = Shown::Json,
            Long("sarif") if on == "schema compat" => shown = Shown::Sarif,
            Value(value) => values.push(value),
            _ => return Err(arg.unexpected()),
        }
    }
    let Some(command) = command else {
        return Err("say a command".into());
    };
    let mut values = values.into_iter();
    let mut value = |what: &str| values.next().ok_or_else(|| format!("say the {what}"));
    let mut url = || value("store's URL")?.string();
    let parsed = match command.as_str() {
        "migrate" => Command::Migrate { url: url()?, check },
        "head" => Command::Head { url: url()? },
        "export" => Command::Export {
            url: url()?,
            file: value("file")?.into(),
            after: after.unwrap_or_default(),
        },
        "import" => Command::Import {
            url: url()?,
            files: std::iter::once(value("file")?)
                .chain(values.by_ref())
                .map(PathBuf::from)
                .collect(),
        },
        "forget-commands" => Command::ForgetCommands {
            url: url()?,
            older_than: older_than.ok_or("say --older-than, for example 90d")?,
        },
        "schema subset" => Command::Subset {
            cases: cases.ok_or("say --cases, and a file of them")?,
            json: matches!(shown, Shown::Json),
        },
        "schema compat" => Command::Compat {
            old: match old.is_empty() {
                true => return Err("say --old, and the released schema".into()),
                false => old,
            },
            new: new.ok_or("say --new, and the schema now")?,
            mode,
            shown,
        },
        "schema" => return Err("say what about the schemas".into()),
        other => return Err(format!("there is no command `{other}`").into()),
    };
    match values.next() {
        Some(value) => Err(Value(value).unexpected()),
        None => Ok(parsed),
    }
}
