//! The commands that a service's binary offers of itself.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;

use super::contract::Contract;
use super::files::{self, FOLDER, Files, LOCK, Texts};
use super::report::Report;
use super::{compare, export};
use crate::error::Result;

const HELP: &str = "\
The contract of this service: its schemas, and what was released of it.

usage: schema check [--released] [--json | --sarif]
                              compares the code with es.lock and schemas/
       schema release         adds what is new to es.lock and schemas/
       schema export [--dir DIR]
                              writes JSON Schemas, AsyncAPI and the catalogue  [target/schemas]

  --root DIR     the crate, where es.lock is    [where cargo runs it from, or else here]
  --released     fails, too, when something is not released yet
  --json         prints the findings as JSON
  --sarif        prints them as SARIF 2.1.0, for code hosts
";

impl Contract {
    /// The documents to publish, by path: the JSON Schema of each event and of each version of a
    /// stream, `asyncapi.json` and `catalogue.md`.
    ///
    /// # Errors
    /// When the contract has a mistake, or no example of an event can be made.
    pub fn documents(self) -> Result<Texts> {
        let contract = self.sound()?;
        let mut texts = export::documents(&contract)?;
        texts.extend(export::events(&contract));
        Ok(texts)
    }

    /// Writes the [`documents`](Self::documents) into a folder, and answers where.
    ///
    /// # Errors
    /// As `documents`, and when a file cannot be written.
    pub fn export(self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let (folder, texts) = (folder.as_ref(), self.documents()?);
        files::write(folder, &texts)?;
        Ok(texts.keys().map(|path| folder.join(path)).collect())
    }

    /// Compares the code with what was released of it: `es.lock` and `schemas/` in `root`, the
    /// crate's folder. What is new is no error; what breaks readers of today or yesterday is.
    ///
    /// # Errors
    /// When the contract has a mistake, the files cannot be read, or no sample can be made.
    pub fn check(self, root: impl AsRef<Path>) -> Result<Report> {
        let contract = self.sound()?;
        Ok(compare::compare(&contract, &Files::read(root.as_ref())?)?.report)
    }

    /// Adds what is new to `es.lock` and `schemas/`, and answers what that was; nothing is written
    /// where something breaks what was released before. The lock is written last, so that a
    /// release that was interrupted is made again.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when a file cannot be written.
    pub fn release(self, root: impl AsRef<Path>) -> Result<Report> {
        let (contract, root) = (self.sound()?, root.as_ref());
        let found = compare::compare(&contract, &Files::read(root)?)?;
        if found.report.is_ok() {
            files::write(&root.join(FOLDER), &found.schemas)?;
            files::write(root, &Texts::from([(LOCK.to_owned(), found.lock)]))?;
        }
        Ok(found.report)
    }
}

/// Runs `schema …` if the arguments say so, and answers how it ended; `None` where they say
/// something else. It is one line of a service's `main`:
///
/// ```no_run
/// # use std::process::ExitCode;
/// # fn contract() -> es_runtime::schema::Contract { es_runtime::schema::Contract::service("bank") }
/// fn main() -> ExitCode {
///     if let Some(code) = es_runtime::schema::command(contract, std::env::args_os()) {
///         return code;
///     }
///     // the service
/// #   ExitCode::SUCCESS
/// }
/// ```
///
/// The first argument is the program's name, as `std::env::args_os` has it.
pub fn command(
    contract: impl FnOnce() -> Contract,
    args: impl IntoIterator<Item = OsString>,
) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != "schema" {
        return None;
    }
    let mut out = io::stdout().lock();
    let done = parse(args)
        .map_err(Into::into)
        .and_then(|asked| run(contract(), &asked));
    Some(match done {
        Ok((text, code)) => {
            // A reader that has gone away has read enough.
            writeln!(out, "{text}").ok();
            code
        }
        Err(error) => {
            writeln!(io::stderr(), "schema: {error}").ok();
            ExitCode::from(2)
        }
    })
}

#[derive(Default)]
struct Asked {
    verb: String,
    root: Option<PathBuf>,
    dir: Option<PathBuf>,
    released: bool,
    json: bool,
    sarif: bool,
}

fn parse(args: impl Iterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let (mut parser, mut asked) = (lexopt::Parser::from_args(args), Asked::default());
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => asked.verb = "help".to_owned(),
            Value(verb) if asked.verb.is_empty() => asked.verb = verb.string()?,
            Long("root") => asked.root = Some(parser.value()?.into()),
            Long("dir") if asked.verb == "export" => asked.dir = Some(parser.value()?.into()),
            Long("released") if asked.verb == "check" => asked.released = true,
            Long("json") if asked.verb == "check" => asked.json = true,
            Long("sarif") if asked.verb == "check" => asked.sarif = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

type Answer = Result<(String, ExitCode), Box<dyn std::error::Error>>;

fn run(contract: Contract, asked: &Asked) -> Answer {
    // Cargo tells what it runs where the crate is.
    let here = || std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let root = asked.root.clone().unwrap_or_else(here);
    match asked.verb.as_str() {
        "check" => {
            let report = contract.check(&root)?;
            let ok = if asked.released {
                report.is_released()
            } else {
                report.is_ok()
            };
            let text = match (asked.json, asked.sarif) {
                (true, _) => report.to_json().to_string(),
                (_, true) => format!("{:#}", report.to_sarif()),
                _ => report.to_string(),
            };
            Ok((text, code(ok)))
        }
        "release" => {
            let report = contract.release(&root)?;
            let (ok, new) = (report.is_ok(), &report.unreleased);
            let text = match (ok, new.as_slice()) {
                (false, _) => format!("{report}\nnothing was released"),
                (true, []) => "there is nothing new to release".to_owned(),
                (true, new) => format!("released:\n{}", Lines(new)),
            };
            Ok((text, code(ok)))
        }
        "export" => {
            let folder = asked
                .dir
                .clone()
                .unwrap_or_else(|| root.join("target").join(FOLDER));
            let written = contract.export(folder)?;
            let written: Vec<_> = written
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Ok((format!("written:\n{}", Lines(&written)), ExitCode::SUCCESS))
        }
        "help" | "" => Ok((HELP.trim_end().to_owned(), ExitCode::SUCCESS)),
        other => Err(format!("`schema {other}` is unknown: say check, release or export").into()),
    }
}

fn code(ok: bool) -> ExitCode {
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(|line| format!("  {line}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Panics with everything that breaks what was released; what [`test!`](crate::schema::test)
/// writes.
///
/// # Panics
/// When the check fails, or cannot be made.
pub fn assert_kept(contract: Contract, root: impl AsRef<Path>) {
    match contract.check(root) {
        Ok(report) if report.is_ok() => {}
        Ok(report) => panic!("the code breaks what was released of it\n\n{report}"),
        Err(error) => panic!("what was released cannot be compared with the code: {error}"),
    }
}
