//! The program `es`: what people do with a log, and with schemas, from a command line.

mod args;
mod commands;
mod schema;

use std::io::{self, Write};
use std::process::ExitCode;

/// What was asked for was not understood.
const MISUSED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
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
