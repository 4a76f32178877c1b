//! What the command line says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bank::accounts::Release;
use bank::accounts::balances::Versions;
use bank::generate::COMMITTED;
use lexopt::prelude::*;

/// Where the databases are unless something is said.
pub(crate) const USUAL_DATA: &str = "bank-data";

pub(crate) const HELP: &str = "\
A bank of three services: imports transactions, shows what became of them, and serves.

usage: bank [options]
       bank generate [--seed N] [--lines N]    prints an input like the built-in one
       bank trace TRANSFER [--data DIR]        shows every row of a transfer: `transactions.csv:17` is
                                               the one of line 17
       bank projections COMMAND                looks after versions: list, show, diff, promote, …
       bank streams COMMAND                    and after what is published: list, consumers, retire, …

  --input FILE         imports FILE instead; its name and its lines' numbers name the commands,
                       so a line is executed once, however often it is imported
  --no-import          only projects and serves
  --data DIR           keeps the databases in DIR                             [bank-data]
  --listen ADDRESS     serves the feed there               [127.0.0.1:8080, or a free port]
  --balances VERSIONS  of the read model, to keep up to date: 1, 2 or both         [both]
  --accounts VERSIONS  of the stream: 1 publishes and reads the first one alone, 2 reads the
                       second one alone                                           [both]
  --acks               prints a line for every line of the input, right after its commit
  --rabbitmq URL       publishes there as well, to the exchange `bank`; needs a build with
                       `--features rabbitmq`
  --exit               stops by itself when everything is shown
  --log LEVEL          error, warn, info, debug or trace, to stderr                [warn]
";

pub(crate) enum Command {
    Help,
    Generate { seed: u64, lines: usize },
    Trace { transfer: String, data: PathBuf },
    Run(Run),
}

pub(crate) struct Run {
    pub(crate) input: Option<PathBuf>,
    pub(crate) data: PathBuf,
    pub(crate) listen: Option<String>,
    pub(crate) release: Release,
    pub(crate) acks: bool,
    pub(crate) rabbitmq: Option<String>,
    pub(crate) exit: bool,
    pub(crate) log: tracing::Level,
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut args = lexopt::Parser::from_args(args);
    let mut run = Run {
        input: Some(built_in()),
        data: USUAL_DATA.into(),
        listen: None,
        release: Release::default(),
        acks: false,
        rabbitmq: None,
        exit: false,
        log: tracing::Level::WARN,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Value(word) if word == "generate" => return generate(args),
            Value(word) if word == "trace" => return trace(args),
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("input") => run.input = Some(args.value()?.into()),
            Long("no-import") => run.input = None,
            Long("data") => run.data = args.value()?.into(),
            Long("listen") => run.listen = Some(args.value()?.string()?),
            Long("balances") => run.release.balances = args.value()?.parse_with(versions)?,
            Long("accounts") => run.release.accounts = args.value()?.parse_with(versions)?,
            Long("acks") => run.acks = true,
            Long("rabbitmq") if cfg!(feature = "rabbitmq") => {
                run.rabbitmq = Some(args.value()?.string()?);
            }
            Long("rabbitmq") => return Err("build it with `--features rabbitmq` first".into()),
            Long("exit") => run.exit = true,
            Long("log") => run.log = args.value()?.parse()?,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Command::Run(run))
}

/// The committed input, named as somebody in the present directory would.
fn built_in() -> PathBuf {
    let file = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/transactions.csv"
    ));
    let here = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(here).unwrap_or(file).to_owned()
}

fn generate(mut args: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut seed, mut lines) = COMMITTED;
    while let Some(arg) = args.next()? {
        match arg {
            Long("seed") => seed = args.value()?.parse()?,
            Long("lines") => lines = args.value()?.parse()?,
            Short('h') | Long("help") => return Ok(Command::Help),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Command::Generate { seed, lines })
}

fn trace(mut args: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut transfer, mut data) = (None, PathBuf::from(USUAL_DATA));
    while let Some(arg) = args.next()? {
        match arg {
            Value(id) if transfer.is_none() => transfer = Some(id.string()?),
            Long("data") => data = args.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            _ => return Err(arg.unexpected()),
        }
    }
    let transfer = transfer.ok_or("say which transfer: `bank trace transactions.csv:17`")?;
    Ok(Command::Trace { transfer, data })
}

fn versions(text: &str) -> Result<Versions, &'static str> {
    match text {
        "1" => Ok(Versions::One),
        "2" => Ok(Versions::Two),
        "both" => Ok(Versions::Both),
        _ => Err("say 1, 2 or both"),
    }
}
