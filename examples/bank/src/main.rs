//! The program: arguments in, both services up, the input imported, the report out.

mod args;

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use args::{Command, HELP, Run};
use bank::generate::generate;
use bank::import::{Done, Summary, import};
use bank::{Bank, Result, report};
use es_runtime::Builder;
use indicatif::{ProgressBar, ProgressStyle};

/// Where the feed listens unless something is said or something else listens there.
const USUAL: &str = "127.0.0.1:8080";

fn main() -> ExitCode {
    let url = bank::accounts_url(Path::new(args::USUAL_DATA));
    if let Some(code) = es_runtime::ops::command(url, std::env::args_os()) {
        return code;
    }
    #[cfg(feature = "schema")]
    if let Some(code) = es_runtime::schema::command(bank::accounts::contract, std::env::args_os()) {
        return code;
    }
    let done = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => io::stdout().write_all(HELP.as_bytes()).map_err(Into::into),
        Ok(Command::Generate { seed, lines }) => {
            let mut out = BufWriter::new(io::stdout().lock());
            generate(seed, lines, &mut out)
                .and_then(|()| out.flush())
                .map_err(Into::into)
        }
        Ok(Command::Trace { transfer, data }) => trace(&transfer, &data),
        Ok(Command::Run(args)) => run(args),
        Err(error) => Err(format!("{error}; `bank --help` shows what there is").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "bank: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn trace(transfer: &str, data: &Path) -> Result<()> {
    let rows = bank::trace::trace(data, transfer).await?;
    Ok(io::stdout().write_all(rows.as_bytes())?)
}

#[tokio::main]
async fn run(args: Run) -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(args.log)
        .with_writer(io::stderr)
        .init();
    let mut out = io::stdout();
    let listen = args.listen.as_deref().unwrap_or_else(|| usual_or_free());
    let more = |service| relay(service, args.rabbitmq.as_deref());
    let bank = Bank::start_with(&args.data, listen, args.release, more).await?;
    writeln!(
        out,
        "Three services are up, each on its own database in `{}`.",
        args.data.display()
    )?;

    let shown = import_and_show(&bank, &args).await;
    if args.exit && shown.is_ok() {
        // Nothing to wait for where nobody named a broker.
        bank.accounts.relayed().await?;
        bank.transfers.relayed().await?;
    }
    if args.exit || shown.is_err() {
        bank.shutdown().await?;
        return shown;
    }
    writeln!(out, "Ctrl-C stops it.")?;
    bank.until_shutdown().await
}

/// Publishes over RabbitMQ as well, where somebody says so.
#[cfg(feature = "rabbitmq")]
fn relay(service: Builder, url: Option<&str>) -> Builder {
    let Some(url) = url else { return service };
    service.relay(es_runtime::publish::RabbitMq::at(url).exchange("bank"))
}

#[cfg(not(feature = "rabbitmq"))]
fn relay(service: Builder, _: Option<&str>) -> Builder {
    service
}

async fn import_and_show(bank: &Bank, args: &Run) -> Result<()> {
    let mut out = io::stdout();
    if let Some(input) = &args.input {
        let summary = import_alone(bank, input, args).await?;
        out.write_all(report::imported(input, &summary).as_bytes())?;
    }
    bank.settle().await?;
    out.write_all(report::report(bank).await?.as_bytes())?;
    let feed = bank.feed();
    writeln!(out, "\nThe feed is at {feed}; try")?;
    for path in [
        "",
        "/accounts/v1/events?limit=2",
        "/accounts/v2/events?after=100&limit=2",
    ] {
        writeln!(out, "  curl '{feed}/streams{path}'")?;
    }
    Ok(())
}

fn usual_or_free() -> &'static str {
    match std::net::TcpListener::bind(USUAL) {
        Ok(_) => USUAL,
        Err(_) => "127.0.0.1:0",
    }
}

/// Imports while no other process does: lines keep their order within one import.
async fn import_alone(bank: &Bank, input: &Path, args: &Run) -> Result<Summary> {
    let lock = File::create(args.data.join("import.lock"))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            "another process imports into the same data; wait for it, or say --no-import".into()
        }
        TryLockError::Error(error) => bank::Error::from(error),
    })?;
    let mut out = io::stdout();
    let bar = progress(input, args.acks);
    let done = |done: &Done| {
        bar.inc(1);
        if args.acks {
            acknowledge(&mut out, done)
        } else {
            Ok(())
        }
    };
    let summary = import(bank, input, done).await?;
    bar.finish_and_clear();
    Ok(summary)
}

/// `ack 17 120`, `ack 18 31`, `ack 19 refused`: the line, and where its command ended in the log of
/// the accounts, or in that of the transfers.
fn acknowledge(out: &mut impl Write, done: &Done) -> io::Result<()> {
    let Done { line, outcome } = done;
    match outcome {
        Ok(receipt) => writeln!(out, "ack {line} {}", receipt.position),
        Err(_) => writeln!(out, "ack {line} refused"),
    }
}

/// A bar over the input's lines; hidden where nobody watches.
fn progress(input: &Path, hidden: bool) -> ProgressBar {
    if hidden || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let lines =
        File::open(input).map_or(0, |file| BufReader::new(file).split(b'\n').skip(1).count());
    let style =
        ProgressStyle::with_template("  {bar:40} {human_pos}/{human_len} lines, {eta} left");
    let bar = ProgressBar::new(lines as u64);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
