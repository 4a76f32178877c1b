//! What the command line says.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::event::Position;
use crate::ops::words::sentence;

pub(super) const HELP: &str = "\
Looks after the inboxes of the consumers in a database.

usage: inbox COMMAND [CONSUMER[/STREAM@VERSION]] [options]

  list [INBOX]             shows every inbox: how far it is, who works on it, and what waits
  set-aside [INBOX]        shows the keys that are set aside since an event failed, and why
  waiting INBOX            prints the events that wait for a key as CloudEvents, a line each
    --key KEY              whose
  retry INBOX              has keys tried again now
    --key KEY              that one                                              [all]
  give-up INBOX            gives up an event that waits: it becomes a dead letter, and its key goes
                           on with the next one
    --position POSITION    which one
    --reason WHY           kept with it
  dead-letters [INBOX]     shows the events that were given up, by whom and why
  verify INBOX             compares what was consumed with what a feed has; exits with 1 if it differs
    --feed URL             where the publisher serves it, http://bank:8080
    --header NAME:VALUE    sent with every request, for example authorization
    --after POSITION       only what comes after it
    --until POSITION       only up to it
  mended INBOX             says that the effects of an entity are right again, which were handled
                           ahead of the others by a filter that was wrong
    --subject ID           which one

  --store URL    the consumer's database: sqlite://path/to/file.db or postgres://user@host/database
  --json         list, set-aside, dead-letters, verify: as JSON, an object a line
  --yes          give-up, mended: does not ask
  --by WHO       give-up: who does it                                  [user@host:process]

exit status: 0 done, 1 refused, failed, or it differs, 2 not understood
";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Help,
    List,
    SetAside,
    Waiting,
    Retry,
    GiveUp,
    DeadLetters,
    Verify,
    Mended,
}

impl Verb {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "help" => Self::Help,
            "list" => Self::List,
            "set-aside" => Self::SetAside,
            "waiting" => Self::Waiting,
            "retry" => Self::Retry,
            "give-up" => Self::GiveUp,
            "dead-letters" => Self::DeadLetters,
            "verify" => Self::Verify,
            "mended" => Self::Mended,
            other => return Err(format!("there is no command `inbox {other}`")),
        })
    }

    fn looks(self) -> bool {
        matches!(
            self,
            Self::List | Self::SetAside | Self::DeadLetters | Self::Verify
        )
    }
}

/// What was asked for. What the command does not have is not there.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    pub(super) name: Option<String>,
    pub(super) store: Option<String>,
    pub(super) json: bool,
    pub(super) key: Option<String>,
    pub(super) position: Option<Position>,
    pub(super) reason: Option<String>,
    pub(super) feed: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) after: Option<Position>,
    pub(super) until: Option<Position>,
    pub(super) subject: Option<String>,
    pub(super) yes: bool,
    pub(super) by: Option<String>,
}

pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut args = lexopt::Parser::from_args(args);
    let mut said = None;
    let mut asked = Asked::default();
    while let Some(arg) = args.next()? {
        let verb = said.unwrap_or_default();
        match arg {
            Short('h') | Long("help") => return Ok(Asked::default()),
            Value(word) if said.is_none() => said = Some(Verb::parse(&word.string()?)?),
            Value(name) if asked.name.is_none() => asked.name = Some(name.string()?),
            Long("store") => asked.store = Some(args.value()?.string()?),
            Long("json") if verb.looks() => asked.json = true,
            Long("key") if matches!(verb, Verb::Waiting | Verb::Retry) => {
                asked.key = Some(args.value()?.string()?);
            }
            Long("position") if verb == Verb::GiveUp => asked.position = position(&mut args)?,
            Long("reason") if verb == Verb::GiveUp => {
                asked.reason = Some(args.value()?.parse_with(sentence)?);
            }
            Long("feed") if verb == Verb::Verify => asked.feed = Some(args.value()?.string()?),
            Long("header") if verb == Verb::Verify => {
                asked.headers.push(args.value()?.parse_with(header)?);
            }
            Long("after") if verb == Verb::Verify => asked.after = position(&mut args)?,
            Long("until") if verb == Verb::Verify => asked.until = position(&mut args)?,
            Long("subject") if verb == Verb::Mended => {
                asked.subject = Some(args.value()?.string()?);
            }
            Long("yes") if matches!(verb, Verb::GiveUp | Verb::Mended) => asked.yes = true,
            Long("by") if verb == Verb::GiveUp => {
                asked.by = Some(args.value()?.parse_with(sentence)?);
            }
            other => return Err(other.unexpected()),
        }
    }
    asked.verb = said.unwrap_or_default();
    complete(asked)
}

/// What a command cannot do without.
fn complete(asked: Asked) -> Result<Asked, lexopt::Error> {
    let all = matches!(
        asked.verb,
        Verb::Help | Verb::List | Verb::SetAside | Verb::DeadLetters
    );
    if asked.name.is_none() && !all {
        return Err("say which: CONSUMER/STREAM@VERSION, as `inbox list` shows it".into());
    }
    let missing = match asked.verb {
        Verb::Waiting if asked.key.is_none() => "--key: whose events",
        Verb::GiveUp if asked.position.is_none() || asked.reason.is_none() => {
            "--position and --reason: which event, and why"
        }
        Verb::Verify if asked.feed.is_none() => "--feed: where the publisher serves the stream",
        Verb::Mended if asked.subject.is_none() => "--subject: which entity",
        _ => return Ok(asked),
    };
    Err(format!("say {missing}").into())
}

fn position(args: &mut lexopt::Parser) -> Result<Option<Position>, lexopt::Error> {
    Ok(Some(Position::new(args.value()?.parse()?)))
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let wrong = "say a header as NAME:VALUE";
    let (name, value) = text.split_once(':').ok_or(wrong)?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
