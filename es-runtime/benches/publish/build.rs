//! An integration stream built from the first event, ours and by hand.

use std::time::Instant;

use es_runtime::postgres::PgConnection;
use es_runtime::store::EventStore;
use es_runtime::{Service, Store};
use es_servers::Postgres;

use crate::Size;
use crate::by_hand;
use crate::database::{connect, execute};
use crate::domain::{Account, Accounts};
use crate::fill::fill;
use crate::machine::ask;
use crate::measure::{Comparison, Round, in_turn};

/// A log of so many events and accounts, in a database of its own.
pub(crate) async fn log(server: &Postgres, events: usize, accounts: usize) -> String {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the tables");
    store.close().await;
    fill(&mut connect(&url).await, events, accounts).await;
    url
}

/// As if the stream had never been there.
const FORGET: &str = "
    TRUNCATE es.published;
    DELETE FROM es.cursor;
    DELETE FROM es.handover;
    DELETE FROM es.projection";

async fn forget(connection: &mut PgConnection) {
    execute(connection, FORGET).await;
    execute(connection, "CHECKPOINT").await;
}

/// Events that one of the two has and the other has not.
const DIFFERENT: &str = "
    SELECT count(*)::text
    FROM es.published o FULL JOIN raw_published r USING (stream, version, position)
    WHERE (o.source, o.type, o.subject, o.payload::text, o.occurred_at)
          IS DISTINCT FROM (r.source, r.type, r.subject, r.payload::text, r.occurred_at)";

pub(crate) async fn build(
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
            let round = by_hand::build(&url, size.events).await;
            assert_eq!(ask(&mut admin, DIFFERENT).await, "0", "events that differ");
            round
        }
    )
}

/// A service that publishes the stream of this log, and has filled it.
pub(crate) async fn filled(store: Store, serve: bool) -> Service {
    let bank = Service::builder("bench")
        .store(store)
        .publish::<Account, Accounts>();
    let bank = match serve {
        true => bank.serve("127.0.0.1:0"),
        false => bank,
    };
    let bank = bank.start().await.expect("the service");
    bank.caught_up().await.expect("a stream");
    bank
}

/// Builds the stream by a service that starts, as a deployed one does.
async fn ours(url: &str, events: usize) -> Round {
    let store = Store::connect(url).await.expect("the store");
    let began = Instant::now();
    let bank = filled(store.clone(), false).await;
    let round = Round::of(events, began.elapsed());
    bank.shutdown().await.expect("a clean end");
    store.close().await;
    round
}
