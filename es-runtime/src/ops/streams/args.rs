//! What the command line says.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use lexopt::prelude::*;

use super::find::Named;
use super::redeliver::positions;
use crate::event::{Position, Timestamp};
use crate::integration::StreamHash;
use crate::ops::words::{day, duration, sentence};
use crate::store::ProjectionKind;

pub(super) const HELP: &str = "\
Looks after the integration streams on a log, and who reads them.

usage: streams COMMAND [NAME@VERSION] [options]

  list [NAME]              shows every version: its phase, how far it is, and who reads it
  show NAME[@VERSION]      shows all that is known of it: its head and proof, its consumers, whether
                           it may be retired, and its life
  tail NAME@VERSION        prints its last events as CloudEvents, a line each, and follows it
    --after POSITION       what comes after this position                     [the last ten]
    --limit NUMBER         ends after so many
    --no-follow            ends with what is there
    --service NAME         who publishes it: it stands in the events' source     [who did]
  consumers [NAME[@VERSION]]
                           shows who reads, how far they are, and when they were seen
  verify NAME@VERSION      makes the chain of hashes again from what is stored, and compares it with
                           what was published and with what consumers hold; exits with 1 if it differs
    --after POSITION       only what comes after it
    --until POSITION       only up to it
    --at POSITION --hash HASH
                           what somebody holds: compared, too
  redeliver NAME@VERSION   sends events again to one place at a broker, and to nobody else
    --positions 3..9,17    which ones
    --to NAME              the queue or the subject
    --broker URL           amqp://user:password@host:port/vhost or nats://host:4222
    --service NAME         who publishes it                                      [who did]
  deprecate NAME@VERSION   tells its readers to move to another version
    --sunset DAY           from when on it may be gone, 2027-01-31
  reinstate NAME@VERSION   takes a deprecation back
  retire NAME@VERSION      ends it, if nobody reads it any more
    --unread-for TIME      how long nobody must have read it                         [1d]
    --check                only says whether it may end, and why not
    --force --reason WHY   although somebody reads it

  --store URL    the log: sqlite://path/to/file.db or postgres://user@host/database
  --json         list, show, consumers, verify: as JSON, an object a line
  --yes          retire: does not ask
  --by WHO       who does it, as the life keeps it                     [user@host:process]

A TIME is 90d, 36h, 30m or 5s.

exit status: 0 done, 1 refused, failed, or the stream differs, 2 not understood
";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Help,
    List,
    Show,
    Tail,
    Consumers,
    Verify,
    Redeliver,
    Deprecate,
    Reinstate,
    Retire,
}

impl Verb {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "help" => Self::Help,
            "list" => Self::List,
            "show" => Self::Show,
            "tail" => Self::Tail,
            "consumers" => Self::Consumers,
            "verify" => Self::Verify,
            "redeliver" => Self::Redeliver,
            "deprecate" => Self::Deprecate,
            "reinstate" => Self::Reinstate,
            "retire" => Self::Retire,
            other => return Err(format!("there is no command `streams {other}`")),
        })
    }

    fn looks(self) -> bool {
        matches!(
            self,
            Self::List | Self::Show | Self::Consumers | Self::Verify
        )
    }

    fn changes(self) -> bool {
        matches!(self, Self::Deprecate | Self::Reinstate | Self::Retire)
    }
}

/// What was asked for. What the command does not have is not there.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    pub(super) name: Option<Named>,
    pub(super) store: Option<String>,
    pub(super) json: bool,
    pub(super) after: Option<Position>,
    pub(super) until: Option<Position>,
    pub(super) limit: Option<usize>,
    pub(super) follow: bool,
    pub(super) service: Option<String>,
    pub(super) positions: Vec<RangeInclusive<Position>>,
    pub(super) to: Option<String>,
    pub(super) broker: Option<String>,
    pub(super) at: Option<Position>,
    pub(super) hash: Option<StreamHash>,
    pub(super) sunset: Option<Timestamp>,
    pub(super) unread: Duration,
    pub(super) check: bool,
    pub(super) reason: Option<String>,
    pub(super) force: bool,
    pub(super) yes: bool,
    pub(super) by: Option<String>,
}

pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut args = lexopt::Parser::from_args(args);
    let mut said = None;
    let mut asked = Asked {
        verb: Verb::Help,
        name: None,
        store: None,
        json: false,
        after: None,
        until: None,
        limit: None,
        follow: true,
        service: None,
        positions: Vec::new(),
        to: None,
        broker: None,
        at: None,
        hash: None,
        sunset: None,
        unread: Duration::from_hours(24),
        check: false,
        reason: None,
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
                let named = name.parse_with(Named::parse)?;
                let kind = Some(ProjectionKind::Stream);
                asked.name = Some(Named { kind, ..named });
            }
            Long("store") => asked.store = Some(args.value()?.string()?),
            Long("json") if verb.looks() => asked.json = true,
            Long("after") if matches!(verb, Verb::Tail | Verb::Verify) => {
                asked.after = Some(position(&mut args)?);
            }
            Long("until") if verb == Verb::Verify => asked.until = Some(position(&mut args)?),
            Long("at") if verb == Verb::Verify => asked.at = Some(position(&mut args)?),
            Long("hash") if verb == Verb::Verify => {
                asked.hash = Some(args.value()?.parse_with(hash)?);
            }
            Long("limit") if verb == Verb::Tail => asked.limit = Some(args.value()?.parse()?),
            Long("no-follow") if verb == Verb::Tail => asked.follow = false,
            Long("service") if matches!(verb, Verb::Tail | Verb::Redeliver) => {
                asked.service = Some(args.value()?.parse_with(sentence)?);
            }
            Long("positions") if verb == Verb::Redeliver => {
                asked.positions = args.value()?.parse_with(positions)?;
            }
            Long("to") if verb == Verb::Redeliver => {
                asked.to = Some(args.value()?.parse_with(sentence)?);
            }
            Long("broker") if verb == Verb::Redeliver => {
                asked.broker = Some(args.value()?.string()?);
            }
            Long("sunset") if verb == Verb::Deprecate => {
                asked.sunset = Some(args.value()?.parse_with(day)?);
            }
            Long("unread-for") if verb == Verb::Retire => {
                asked.unread = args.value()?.parse_with(duration)?;
            }
            Long("check") if verb == Verb::Retire => asked.check = true,
            Long("force") if verb == Verb::Retire => asked.force = true,
            Long("reason") if verb == Verb::Retire => {
                asked.reason = Some(args.value()?.parse_with(sentence)?);
            }
            Long("yes") if verb == Verb::Retire => asked.yes = true,
            Long("by") if verb.changes() => asked.by = Some(args.value()?.parse_with(sentence)?),
            other => return Err(other.unexpected()),
        }
    }
    asked.verb = said.unwrap_or_default();
    complete(asked)
}

/// What a command cannot do without, and what says nothing by itself.
fn complete(asked: Asked) -> Result<Asked, lexopt::Error> {
    let verb = asked.verb;
    let all = matches!(verb, Verb::List | Verb::Consumers | Verb::Help);
    let whole = all || verb == Verb::Show;
    match &asked.name {
        None if !all => {
            return Err("say which: NAME@VERSION, as `streams list` shows it".into());
        }
        Some(Named { name, version, .. }) if version.is_none() && !whole => {
            return Err(format!("say which version: {name}@1, {name}@2, …").into());
        }
        _ => {}
    }
    if asked.force != asked.reason.is_some() {
        return Err("say --force and --reason together: the reason is kept".into());
    }
    if asked.force && asked.check {
        return Err("--force asks nobody: leave --check out".into());
    }
    let all = !asked.positions.is_empty() && asked.to.is_some() && asked.broker.is_some();
    if verb == Verb::Redeliver && !all {
        return Err("say --positions, --to and --broker: what, where, and at which broker".into());
    }
    if asked.at.is_some() != asked.hash.is_some() {
        return Err("say --at and --hash together: two numbers prove what is held".into());
    }
    Ok(asked)
}

fn position(args: &mut lexopt::Parser) -> Result<Position, lexopt::Error> {
    Ok(Position::new(args.value()?.parse()?))
}

fn hash(text: &str) -> Result<StreamHash, &'static str> {
    let wrong = "a hash is 64 hexadecimal digits, as `streamhash` of an event has it";
    text.parse().map_err(|_| wrong)
}
