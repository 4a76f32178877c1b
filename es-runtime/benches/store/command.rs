//! Whole commands: load ten events, decide, append one; against the same by hand.

use es_runtime::postgres::sqlx::{self, PgConnection, Row};
use es_runtime::{Builder, Service, Store};
use es_servers::Postgres;
use serde::Deserialize;

use crate::Size;
use crate::account::{Account, AccountCommand};
use crate::measure::{Comparison, Work, in_turn, together};
use crate::rows::{
    RAW_COPY, RAW_TABLE, account, append, connect, copy, copy_text, execute, payload, raw_insert,
    write,
};

pub(crate) const ACCOUNTS: usize = 1000;
const EVENTS: usize = 10;

/// Commands, each to the next of the caller's own accounts: so the raw program needs no retries.
struct Accounts {
    round: usize,
    first: usize,
    own: usize,
}

impl Accounts {
    fn of(caller: usize, callers: usize, round: usize) -> Self {
        let own = ACCOUNTS / callers;
        let first = caller * own;
        Self { round, first, own }
    }

    fn id(&self, n: usize) -> String {
        format!("{}-{}", self.round, self.first + n % self.own)
    }
}

struct Ours {
    bank: Service,
    accounts: Accounts,
}

impl Work for Ours {
    async fn once(&mut self, n: usize) {
        let deposit = AccountCommand::Deposit { amount: 1 };
        let done = self.bank.execute::<Account>(self.accounts.id(n), deposit);
        done.await.expect("a deposit");
    }
}

struct ByHand {
    connection: PgConnection,
    accounts: Accounts,
}

#[derive(Deserialize)]
struct Deposited {
    amount: i64,
}

impl Work for ByHand {
    /// Selects the stream, decodes it, decides, inserts one row and commits.
    async fn once(&mut self, n: usize) {
        let stream = format!("account-{}", self.accounts.id(n));
        let select = "SELECT version, payload FROM raw_event WHERE stream = $1 ORDER BY version";
        let rows = sqlx::query(select).bind(&stream);
        let rows = rows.fetch_all(&mut self.connection).await.expect("rows");
        let (mut balance, mut version) = (0, 0);
        for row in &rows {
            version = row.get(0);
            // `json` is its own text.
            let payload: &str = row.get_unchecked(1);
            let event: Deposited = serde_json::from_str(payload).expect("a payload");
            balance += event.amount;
        }
        std::hint::black_box(balance);
        raw_insert(&mut self.connection, &stream, version + 1, &payload(1)).await;
    }
}

/// A thousand accounts of ten events, new ones for each round: in the old ones, streams grow.
/// `with` says what else the service is built with.
pub(crate) async fn whole(
    server: &Postgres,
    name: &str,
    callers: usize,
    size: Size,
    with: impl FnOnce(Builder) -> Builder,
) -> Comparison {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    let bank = Service::builder("bench")
        .store(store.clone())
        .aggregate::<Account>();
    let bank = with(bank).start().await.expect("the service");
    let mut by_hand = connect(&url).await;
    execute(&mut by_hand, RAW_TABLE).await;
    let mut raw = Vec::new();
    for caller in 0..callers {
        let (connection, accounts) = (connect(&url).await, Accounts::of(caller, callers, 0));
        raw.push(ByHand {
            connection,
            accounts,
        });
    }
    let mut rounds = 0..;
    let comparison = in_turn!(
        name,
        size,
        async {
            let round = rounds.next().expect("a number");
            fill(&store, round).await;
            execute(&mut by_hand, "ANALYZE es.event").await;
            let ours = |caller| Ours {
                bank: bank.clone(),
                accounts: Accounts::of(caller, callers, round),
            };
            together(&mut (0..callers).map(ours).collect(), size.round).await
        },
        async {
            let round = rounds.next().expect("a number");
            let mut text = String::new();
            for account in 0..ACCOUNTS {
                copy_text(&mut text, &format!("account-{round}-{account}"), EVENTS);
            }
            copy(&mut by_hand, RAW_COPY, text).await;
            execute(&mut by_hand, "ANALYZE raw_event").await;
            raw.iter_mut().for_each(|raw| raw.accounts.round = round);
            together(&mut raw, size.round).await
        }
    );
    bank.shutdown().await.expect("a clean end");
    comparison
}

async fn fill(store: &Store, round: usize) {
    let fill = |number| {
        let (store, stream) = (store.clone(), account(&format!("{round}-{number}")));
        async move { write(&store, append(&stream, 0, EVENTS)).await }
    };
    let filling: tokio::task::JoinSet<()> = (0..ACCOUNTS).map(fill).collect();
    filling.join_all().await;
}
