//! The program `es`: what people do with a log, its projections, and schemas, from a command line.

mod args;
mod commands;
mod schema;

use std::io::{self, Write};
use std::process::ExitCode;

/// What was asked for was not understood.
const MISUSED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    // Its own arguments and its own words: a service's binary has the same.
    if let Some(code) = es_runtime::ops::command(None, std::env::args_os()) {
        return code;
    }
    let done = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => commands::run(command).await,
        Err(error) => {
            writeln!(io::stderr(), "es: {error}; `es --help` shows what there is").ok();
            return ExitCode::from(MISUSED);
        }
    };
    done.unwrap_or_else(|error| {
        writeln!(io::stderr(), "es: {error}").ok();
        ExitCode::FAILURE
    })
}
