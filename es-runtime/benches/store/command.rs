//! Whole commands: load ten events, decide, append one; against the same by hand.

use std::sync::Arc;

use es_runtime::postgres::sqlx;
use es_runtime::{Service, Store};
use es_servers::Postgres;
use serde::Deserialize;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;

use crate::account::{Account, AccountCommand};
use crate::append::{RAW_TABLE, copy, raw_insert};
use crate::measure::{Comparison, together};
use crate::{Size, in_turn};

const ACCOUNTS: usize = 1000;
const EVENTS: usize = 10;

pub(crate) async fn whole(server: &Postgres, name: &str, callers: usize, size: Size) -> Comparison {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    let bank = Service::builder("bench")
        .store(store)
        .aggregate::<Account>();
    let bank = bank.start().await.expect("the service");
    for n in 0..ACCOUNTS * EVENTS {
        let deposit = AccountCommand::Deposit { amount: 1 };
        bank.execute::<Account>((n % ACCOUNTS).to_string(), deposit)
            .await
            .expect("a deposit");
    }
    let mut raw = Vec::new();
    for _ in 0..callers {
        let connection = PgConnection::connect(&url).await.expect("a connection");
        raw.push(Arc::new(Mutex::new(connection)));
    }
    {
        let mut connection = raw[0].lock().await;
        sqlx::raw_sql(RAW_TABLE)
            .execute(&mut *connection)
            .await
            .expect("a table");
        for account in 0..ACCOUNTS {
            copy(&mut connection, &format!("account-{account}"), EVENTS).await;
        }
        sqlx::raw_sql("ANALYZE")
            .execute(&mut *connection)
            .await
            .expect("statistics");
    }
    // Each caller has accounts of its own, so that the raw program needs no retries.
    let account = move |caller: usize, n: usize| {
        let own = ACCOUNTS / callers;
        caller * own + n % own
    };
    in_turn!(
        name,
        size,
        together(callers, size.round, |caller| {
            let bank = bank.clone();
            move |n| {
                let bank = bank.clone();
                async move {
                    let id = account(caller, n).to_string();
                    let deposit = AccountCommand::Deposit { amount: 1 };
                    bank.execute::<Account>(id, deposit)
                        .await
                        .expect("a deposit");
                }
            }
        }),
        together(callers, size.round, |caller| {
            let connection = raw[caller].clone();
            move |n| {
                let connection = connection.clone();
                async move {
                    let mut connection = connection.lock().await;
                    by_hand(&mut connection, &format!("account-{}", account(caller, n))).await;
                }
            }
        })
    )
}

/// Selects the stream, decodes it, decides, inserts one row and commits.
async fn by_hand(connection: &mut PgConnection, stream: &str) {
    #[derive(Deserialize)]
    struct Deposited {
        amount: i64,
    }
    let select = "SELECT version, payload::text FROM raw_event WHERE stream = $1 ORDER BY version";
    let rows = sqlx::query(select)
        .bind(stream)
        .fetch_all(&mut *connection)
        .await
        .expect("rows");
    let (mut balance, mut version) = (0, 0);
    for row in &rows {
        version = row.get(0);
        let payload: &str = row.get(1);
        balance += serde_json::from_str::<Deposited>(payload)
            .expect("a payload")
            .amount;
    }
    std::hint::black_box(balance);
    raw_insert(connection, stream, version + 1).await;
}
