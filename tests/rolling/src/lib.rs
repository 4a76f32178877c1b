//! What both releases of the bank have in common: a program that does what it reads, line by line,
//! and answers each line with one.

use std::error::Error as StdError;
use std::time::Duration;

use es_runtime::aggregate::{Decide, Evolve};
use es_runtime::event::CommandId;
use es_runtime::projection::Health;
use es_runtime::store::EventStore;
use es_runtime::{Builder, Error, Service, Store};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

/// How often an instance says that it lives, and how long it counts as alive without.
pub const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(8));

/// The account of one release.
pub trait Release: Decide + Evolve<Id = String> {
    /// What a line asks for: `open`, `deposit` or `note`, and the rest of the line.
    fn command(name: &str, rest: &str) -> Option<Self::Command>;

    /// What is on the account.
    fn balance(&self) -> i64;
}

/// Runs a release on the database that its argument names, until its input ends.
///
/// # Errors
/// When the service does not start or end as it should, or its output is gone.
pub async fn run<A: Release>(
    models: impl FnOnce(Builder) -> Builder,
) -> Result<(), Box<dyn StdError>> {
    let url = std::env::args().nth(1).ok_or("name a database")?;
    let store = Store::connect(&url).await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .heartbeat(HEARTBEAT.0, HEARTBEAT.1)
        .aggregate::<A>();
    let bank = models(bank).start().await?;
    answer("started").await?;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let said = obey::<A>(&bank, &line).await;
        answer(&said.unwrap_or_else(|error| refused(&error))).await?;
    }
    let ended = bank.shutdown().await;
    store.close().await;
    answer(&ended.map_or_else(|error| refused(&error), |()| "ended".to_owned())).await
}

async fn answer(line: &str) -> Result<(), Box<dyn StdError>> {
    let mut out = stdout();
    out.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(out.flush().await?)
}

fn refused(error: &Error) -> String {
    format!("error {} {error}", error.code())
}

/// `deposit alice 100`, `balance alice`, `caught-up`, `health`.
async fn obey<A: Release>(bank: &Service, line: &str) -> Result<String, Error> {
    let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (account, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match what {
        "caught-up" => bank.caught_up().await.map(|()| "caught up".to_owned()),
        "health" => {
            let status = bank.status().into_iter();
            let stopped = status.filter_map(|(id, status)| match status.health {
                Health::Stopped { reason } => Some(format!("{id} stopped: {reason}")),
                _ => None,
            });
            Ok(stopped
                .reduce(|all, one| all + "; " + &one)
                .unwrap_or_else(|| "well".to_owned()))
        }
        "balance" => {
            let loaded = bank.load::<A>(account).await?;
            Ok(format!("balance {}", loaded.state().balance()))
        }
        _ => {
            let Some(command) = A::command(what, rest) else {
                return Ok(format!("what is `{line}`?"));
            };
            let done = bank
                .execute::<A>(account, command)
                .id(CommandId::of(line))
                .await?;
            Ok(format!("done {} {}", done.position, done.version))
        }
    }
}
