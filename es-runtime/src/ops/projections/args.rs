//! What the command line says.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;

use super::find::Named;
use crate::ops::words::{duration, sentence};
use crate::store::{Change, ProjectionKind};

pub(super) const HELP: &str = "\
Looks after the versions of the read models and integration streams on a log.

usage: projections COMMAND [NAME@VERSION] [options]

  list [NAME]              shows every version: its phase, how far it is, who runs and reads it
  show NAME[@VERSION]      shows all that is known of it, and its life
  diff NAME@VERSION        has a version compared with the live one by a running instance, and shows
                           the result; exits with 1 if rows differ that should not
    --recorded             only shows the last result
    --wait TIME            how long to wait for it                                   [60s]
  promote NAME@VERSION     makes it the live one, if it was compared and is the same
    --compared-within TIME how old the comparison may be                             [15m]
    --force --reason WHY   although it was not compared, or differs
  rollback NAME            makes the version live again that was live before
    --reason WHY                                                                [required]
  retire NAME@VERSION      ends it and drops its rows, if nobody runs or reads it any more
    --unseen-for TIME      how long nobody must have been seen                        [1d]
    --force --reason WHY   although somebody was
  rebuild NAME@VERSION     empties it and builds it anew, from the first event, and waits for it
    --reason WHY                                                                [required]
    --wait TIME            how long to wait for it                    [as long as it takes]
  pause NAME@VERSION       lets it stand still
    --reason WHY                                                                [required]
  resume NAME@VERSION      lets it go on, also after an error
  parked [NAME[@VERSION]]  shows the keys that are parked since an event of theirs failed
  retry NAME@VERSION       has them tried again by the instances that run it, and waits for it
    --key KEY              only this one
    --wait TIME            how long to wait for it                                   [60s]
  drop NAME@VERSION        gives up what waits for a key: it will never be in its row
    --key KEY --reason WHY                                                      [required]

  --store URL    the log: sqlite://path/to/file.db or postgres://user@host/database
  --kind KIND    read-model, stream or process, where several have the name
  --json         list, show, diff, parked: as JSON, an object a line
  --yes          retire, rebuild, drop: does not ask
  --by WHO       who does it, as the life keeps it                     [user@host:process]

A TIME is 90d, 36h, 30m or 5s.

exit status: 0 done, 1 refused, failed, or rows differ, 2 not understood
";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Help,
    List,
    Show,
    Diff,
    Promote,
    RollBack,
    Retire,
    Rebuild,
    Pause,
    Resume,
    Parked,
    Retry,
    Drop,
}

impl Verb {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "help" => Self::Help,
            "list" => Self::List,
            "show" => Self::Show,
            "diff" => Self::Diff,
            "promote" => Self::Promote,
            "rollback" => Self::RollBack,
            "retire" => Self::Retire,
            "rebuild" => Self::Rebuild,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "parked" => Self::Parked,
            "retry" => Self::Retry,
            "drop" => Self::Drop,
            other => return Err(format!("there is no command `projections {other}`")),
        })
    }

    /// Whether a reason belongs to it, and must be said.
    fn has_reason(self) -> bool {
        matches!(
            self,
            Self::RollBack | Self::Rebuild | Self::Pause | Self::Drop
        )
    }

    fn can_force(self) -> bool {
        matches!(self, Self::Promote | Self::Retire)
    }

    fn waits(self) -> bool {
        matches!(self, Self::Diff | Self::Rebuild | Self::Retry)
    }

    fn looks(self) -> bool {
        matches!(self, Self::List | Self::Show | Self::Diff | Self::Parked)
    }

    fn destroys(self) -> bool {
        matches!(self, Self::Retire | Self::Rebuild | Self::Drop)
    }
}

/// What was asked for. What the command does not have is not there.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    pub(super) name: Option<Named>,
    pub(super) store: Option<String>,
    pub(super) json: bool,
    pub(super) recorded: bool,
    pub(super) wait: Option<Duration>,
    pub(super) fresh: Duration,
    pub(super) unseen: Duration,
    pub(super) reason: Option<String>,
    pub(super) key: Option<String>,
    pub(super) force: bool,
    pub(super) yes: bool,
    pub(super) by: Option<String>,
}

pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut args = lexopt::Parser::from_args(args);
    let (mut said, mut kind) = (None, None);
    let mut asked = Asked {
        verb: Verb::Help,
        name: None,
        store: None,
        json: false,
        recorded: false,
        wait: None,
        fresh: Change::FRESH,
        unseen: Duration::from_hours(24),
        reason: None,
        key: None,
        force: false,
        yes: false,
        by: None,
    };
    while let Some(arg) = args.next()? {
        let verb = said.unwrap_or_default();
        match arg {
            Short('h') | Long("help") => {
                asked.verb = Verb::Help;
                return Ok(asked);
            }
            Value(word) if said.is_none() => said = Some(Verb::parse(&word.string()?)?),
            Value(name) if asked.name.is_none() => {
                asked.name = Some(name.parse_with(Named::parse)?)
            }
            Long("store") => asked.store = Some(args.value()?.string()?),
            Long("kind") => kind = Some(args.value()?.parse_with(kind_of)?),
            Long("by") => asked.by = Some(args.value()?.parse_with(sentence)?),
            Long("json") if verb.looks() => asked.json = true,
            Long("yes") if verb.destroys() => asked.yes = true,
            Long("force") if verb.can_force() => asked.force = true,
            Long("reason") if verb.has_reason() || verb.can_force() => {
                asked.reason = Some(args.value()?.parse_with(sentence)?);
            }
            Long("key") if matches!(verb, Verb::Retry | Verb::Drop) => {
                asked.key = Some(args.value()?.string()?);
            }
            Long("recorded") if verb == Verb::Diff => asked.recorded = true,
            Long("wait") if verb.waits() => asked.wait = Some(time(&mut args)?),
            Long("compared-within") if verb == Verb::Promote => asked.fresh = time(&mut args)?,
            Long("unseen-for") if verb == Verb::Retire => asked.unseen = time(&mut args)?,
            other => return Err(other.unexpected()),
        }
    }
    asked.verb = said.unwrap_or_default();
    asked.name = asked.name.map(|name| Named { kind, ..name });
    complete(asked)
}

/// What a command cannot do without, and what says nothing by itself.
fn complete(asked: Asked) -> Result<Asked, lexopt::Error> {
    let verb = asked.verb;
    let all = matches!(verb, Verb::List | Verb::Parked | Verb::Help);
    let whole = all || matches!(verb, Verb::Show | Verb::RollBack);
    match &asked.name {
        None if !all => {
            return Err("say which: NAME@VERSION, as `projections list` shows it".into());
        }
        Some(Named { name, version, .. }) if version.is_none() && !whole => {
            return Err(format!("say which version: {name}@1, {name}@2, …").into());
        }
        _ => {}
    }
    if verb.has_reason() && asked.reason.is_none() {
        return Err("say --reason: it is kept with the life of the version".into());
    }
    if verb.can_force() && asked.force != asked.reason.is_some() {
        return Err("say --force and --reason together: the reason is kept".into());
    }
    if verb == Verb::Drop && asked.key.is_none() {
        return Err("say --key: what waits for one key is given up at a time".into());
    }
    if asked.recorded && asked.wait.is_some() {
        return Err("--recorded waits for nothing: leave --wait out".into());
    }
    Ok(asked)
}

fn time(args: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    args.value()?.parse_with(duration)
}

fn kind_of(text: &str) -> Result<ProjectionKind, &'static str> {
    match text {
        "read-model" => Ok(ProjectionKind::ReadModel),
        "stream" => Ok(ProjectionKind::Stream),
        "process" => Ok(ProjectionKind::Process),
        _ => Err("say read-model, stream or process"),
    }
}
