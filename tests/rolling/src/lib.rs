//! What both releases of the bank have in common: a program that does what it reads, line by line,
//! and answers each line with one.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use es_runtime::aggregate::{Decide, Evolve};
use es_runtime::event::{CommandId, Position};
use es_runtime::projection::Health;
use es_runtime::store::EventStore;
use es_runtime::{Builder, Error, Service, Store};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

/// How often an instance says that it lives, and how long it counts as alive without.
pub const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(8));

/// How long the others wait for the projections of one that was killed.
const LEASE: Duration = Duration::from_millis(200);

/// Longer than a read waits for a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a version of the read model `balances` holds for an account: the sum, and of how many
/// deposits.
pub type Balance = (i64, i64);

/// The account of one release.
pub trait Release: Decide + Evolve<Id = String> {
    /// What a line asks for: `open`, `deposit` or `note`, and the rest of the line.
    fn command(name: &str, rest: &str) -> Option<Self::Command>;

    /// What is on the account.
    fn balance(&self) -> i64;

    /// The account's row in a version of `balances`, as it is after a position.
    fn read(
        bank: &Service,
        version: u32,
        account: &str,
        after: Position,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Balance>, Error>> + Send;
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
        .lease(LEASE)
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

/// `busy` where the same line, said again, may succeed.
fn refused(error: &Error) -> String {
    let what = if error.is_transient() {
        "busy"
    } else {
        "error"
    };
    format!("{what} {} {error}", error.code())
}

/// `deposit alice 100`, `balance alice`, `read alice 2 17`, `caught-up`, `health`.
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
        "read" => {
            let mut numbers = rest.split(' ').map(str::parse);
            let (Some(Ok(version)), Some(Ok(after))) = (numbers.next(), numbers.next()) else {
                return Ok(format!("what is `{line}`?"));
            };
            let (version, after) = (u32::try_from(version).unwrap_or(0), Position::new(after));
            let row = A::read(bank, version, account, after, PATIENCE).await?;
            Ok(row.map_or("none".to_owned(), |(amount, deposits)| {
                format!("row {amount} {deposits}")
            }))
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
