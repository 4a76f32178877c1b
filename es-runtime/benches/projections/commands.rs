//! What a rebuild costs the commands that run beside it.

use std::time::{Duration, Instant};

use es_runtime::event::Position;
use es_runtime::store::{EventStore, Phase};
use es_runtime::{Service, Store};
use es_servers::Postgres;

use crate::Size;
use crate::database::{connect, execute};
use crate::domain::{Account, AccountCommand, AccountEvent, Balance, NextBalance};
use crate::measure::{Round, Work, median, percentile};
use crate::pace::paced;
use crate::rebuild::log;
use crate::report::Report;

const RATE: usize = 500;
/// Commands between two looks at the rebuild.
const CHUNK: usize = 50;

/// Opens accounts that nobody has yet.
pub(crate) struct Caller {
    pub(crate) bank: Service,
    pub(crate) name: String,
}

impl Caller {
    /// As many as keep the pace.
    pub(crate) fn some(bank: &Service, name: &str) -> Vec<Self> {
        let caller = |caller| Self {
            bank: bank.clone(),
            name: format!("{name}-{caller}"),
        };
        (0..32).map(caller).collect()
    }

    pub(crate) async fn open(&self, n: usize) -> (String, Position) {
        let id = format!("{}-{n}", self.name);
        let owner = "somebody".to_owned();
        let open = AccountCommand::Open { owner };
        let opened = self.bank.execute::<Account>(id.as_str(), open).await;
        (id, opened.expect("an account").position)
    }
}

impl Work for Caller {
    async fn once(&mut self, n: usize) {
        self.open(n).await;
    }
}

/// As if the second version had never been there.
const FORGET: &str = "
    DROP TABLE IF EXISTS balances_v2;
    DELETE FROM es.cursor WHERE version = 2;
    DELETE FROM es.projection WHERE version = 2";

/// Commands beside the live version of a read model, without and with the next one being built.
pub(crate) async fn during_rebuild(
    server: &Postgres,
    name: &str,
    accounts: usize,
    size: Size,
    report: &mut Report,
) {
    let url = log(server, size.events, accounts).await;
    let store = Store::connect(&url).await.expect("the store");
    let first = || {
        let bank = Service::builder("bench").store(store.clone());
        bank.aggregate::<Account>()
            .project::<AccountEvent, Balance>()
    };
    let start = || async {
        let both = first().project::<AccountEvent, NextBalance>();
        both.start().await.expect("the service")
    };
    // The first version is the live one, the second follows beside it.
    for both in [false, true] {
        let bank = match both {
            false => first().start().await.expect("the service"),
            true => start().await,
        };
        bank.caught_up().await.expect("all versions");
        bank.shutdown().await.expect("a clean end");
    }
    let mut admin = connect(&url).await;
    let (mut alone, mut beside, mut built) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let bank = start().await;
        alone.push(commands(&bank, &format!("alone-{round}"), size.round, |_| true).await);
        bank.shutdown().await.expect("a clean end");
        execute(&mut admin, FORGET).await;
        execute(&mut admin, "CHECKPOINT").await;
        let (began, bank) = (Instant::now(), start().await);
        let name = format!("beside-{round}");
        beside.push(commands(&bank, &name, size.round, is_building).await);
        let (cursor, elapsed) = (cursor(&bank), began.elapsed());
        built.push(cursor.get() as f64 / elapsed.as_secs_f64());
        bank.caught_up().await.expect("two versions");
        bank.shutdown().await.expect("a clean end");
    }
    store.close().await;
    let slower = alone.iter().zip(&beside).filter_map(|(alone, beside)| {
        let at = |round: &Round| Some(round.percentile(50)?.as_secs_f64());
        Some(at(beside)? / at(alone)?)
    });
    let slower = median(slower).unwrap_or(f64::NAN);
    let at = |rounds: &[Round], percent| percentile(rounds, percent).unwrap_or(f64::NAN);
    report.note(format!(
        "slowdown {name} {slower:.2} (bound 1.20): p50 {:.2} p99 {:.2} ms alone, p50 {:.2} p99 \
         {:.2} ms beside a rebuild of {:.0} events/s",
        at(&alone, 50),
        at(&alone, 99),
        at(&beside, 50),
        at(&beside, 99),
        median(built.into_iter()).unwrap_or(f64::NAN),
    ));
}

/// Commands at a fixed rate for a while, and no longer than `meanwhile` holds.
async fn commands(
    bank: &Service,
    name: &str,
    time: Duration,
    meanwhile: fn(&Service) -> bool,
) -> Round {
    let (began, mut all) = (Instant::now(), Vec::new());
    for chunk in 0.. {
        let mut callers = Caller::some(bank, &format!("{name}-{chunk}"));
        let (latencies, _) = paced(&mut callers, RATE, CHUNK).await;
        if !meanwhile(bank) {
            break;
        }
        all.extend(latencies);
        if began.elapsed() >= time {
            break;
        }
    }
    assert!(
        !all.is_empty(),
        "too few events: the rebuild was over at once"
    );
    Round::timed(all, began.elapsed())
}

fn is_building(bank: &Service) -> bool {
    let mut all = bank.status().into_iter();
    all.any(|(_, status)| status.phase == Phase::Building)
}

/// How far the one has come that is furthest behind.
fn cursor(bank: &Service) -> Position {
    let all = bank.status().into_iter();
    let least = all.map(|(_, status)| status.cursor).min();
    least.unwrap_or(Position::START)
}
