//! A read model built from the first event, ours and by hand.

use std::time::Instant;

use es_runtime::postgres::PgConnection;
use es_runtime::store::EventStore;
use es_runtime::{Service, Store};
use es_servers::Postgres;
use tokio::task::block_in_place;

use crate::Size;
use crate::by_hand;
use crate::child::{Child, number};
use crate::database::{connect, execute};
use crate::domain::{AccountEvent, Balance};
use crate::fill::fill;
use crate::machine::ask;
use crate::measure::{Comparison, Round, in_turn};
use crate::memory::Memory;
use crate::report::Report;

/// A log of so many events and accounts, in a database of its own.
pub(crate) async fn log(server: &Postgres, events: usize, accounts: usize) -> String {
    let url = server.database();
    Store::connect(&url)
        .await
        .expect("the tables")
        .close()
        .await;
    fill(&mut connect(&url).await, events, accounts).await;
    url
}

/// As if no version of the read model had ever been there.
const FORGET: &str = "
    DROP VIEW IF EXISTS balances;
    DROP TABLE IF EXISTS balances_v1, balances_v2;
    DELETE FROM es.cursor;
    DELETE FROM es.handover;
    DELETE FROM es.projection";

pub(crate) async fn forget(connection: &mut PgConnection) {
    execute(connection, FORGET).await;
    execute(connection, "CHECKPOINT").await;
}

/// Rows that one of the two has and the other has not.
const DIFFERENT: &str = "
    SELECT count(*)::text
    FROM balances_v1 o FULL JOIN raw_balance r USING (key)
    WHERE (o.owner, o.currency, o.amount, o.movements, o.changed)
          IS DISTINCT FROM (r.owner, r.currency, r.amount, r.movements, r.changed)";

pub(crate) async fn rebuild(
    server: &Postgres,
    name: &str,
    accounts: usize,
    size: Size,
) -> Comparison {
    let url = log(server, size.events, accounts).await;
    let mut admin = connect(&url).await;
    in_turn!(
        name,
        size,
        async {
            forget(&mut admin).await;
            ours(&url, size.events).await
        },
        async {
            let round = by_hand::rebuild(&url, size.events).await;
            assert_eq!(ask(&mut admin, DIFFERENT).await, "0", "rows that differ");
            round
        }
    )
}

/// Builds the read model by a service that starts, as a deployed one does.
async fn ours(url: &str, events: usize) -> Round {
    let store = Store::connect(url).await.expect("the store");
    let began = Instant::now();
    let bank = Service::builder("bench")
        .store(store.clone())
        .project::<AccountEvent, Balance>();
    let bank = bank.start().await.expect("the service");
    bank.caught_up().await.expect("a read model");
    let round = Round::of(events, began.elapsed());
    bank.shutdown().await.expect("a clean end");
    store.close().await;
    round
}

/// The memory of processes that do nothing but rebuild, with a short and with a long log.
pub(crate) async fn memory(
    server: &Postgres,
    name: &str,
    accounts: usize,
    size: Size,
    report: &mut Report,
) {
    let mut line = format!("memory {name}:");
    for events in [size.events, 3 * size.events] {
        let url = log(server, events, accounts.min(events)).await;
        let mut child = Child::start(&format!("rebuild {url}"));
        child.tell(&events.to_string());
        let kibibytes = block_in_place(|| number(&child.hear()));
        let megabytes = kibibytes as f64 / 1024.0;
        line.push_str(&format!(" {megabytes:.1} MiB for {events} events,"));
    }
    report.note(format!("{line} of {accounts} accounts"));
}

/// A rebuild in the child: KiB.
pub(crate) async fn grown(url: &str, events: usize) -> String {
    let memory = Memory::watch();
    ours(url, events).await;
    memory.growth().expect("Linux counts it").to_string()
}
