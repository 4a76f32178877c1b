//! Appends against plain inserts of the same columns.

use es_runtime::postgres::PostgresStore;
use es_runtime::postgres::sqlx::PgConnection;
use es_servers::Postgres;

use crate::Size;
use crate::child::Child;
use crate::measure::{Comparison, Work, in_turn, together};
use crate::rows::{
    RAW_COPY, RAW_TABLE, account, append, connect, copy, copy_text, execute, payload, raw_insert,
    write,
};
use crate::{pgbench, processes};

/// Appends one event after the other, ten to a stream, as accounts have a few.
pub(crate) struct Ours {
    pub(crate) store: PostgresStore,
    pub(crate) writer: usize,
    pub(crate) round: usize,
    /// Whether the ids of the commands are kept.
    pub(crate) named: bool,
}

impl Work for Ours {
    async fn once(&mut self, n: usize) {
        let stream = account(&format!("{}-{}-{}", self.round, self.writer, n / 10));
        let mut append = append(&stream, n as u64 % 10, 1);
        append.repeatable = self.named;
        write(&self.store, append).await;
    }
}

/// The same by hand, on a connection of its own. A process beside this one does it, on one thread,
/// where it costs least.
pub(crate) struct Raw {
    pub(crate) connection: PgConnection,
    pub(crate) writer: usize,
    pub(crate) round: usize,
}

impl Work for Raw {
    async fn once(&mut self, n: usize) {
        let stream = format!("account-{}-{}-{}", self.round, self.writer, n / 10);
        let version = i64::try_from(n % 10 + 1).expect("a version");
        raw_insert(&mut self.connection, &stream, version, &payload(7)).await;
    }
}

/// One event an append, each writer on streams of its own.
pub(crate) async fn single(
    server: &Postgres,
    name: &str,
    writers: usize,
    named: bool,
    size: Size,
) -> Comparison {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    execute(&mut connect(&url).await, RAW_TABLE).await;
    let mut raw = [Child::start(&format!("append-raw {url} 0 {writers}"))];
    let mut rounds = 0..;
    let mut next = || rounds.next().expect("a number");
    in_turn!(
        name,
        size,
        async {
            let round = next();
            let ours = |writer| Ours {
                store: store.clone(),
                writer,
                round,
                named,
            };
            together(&mut (0..writers).map(ours).collect(), size.round).await
        },
        async { processes::all(&mut raw, next(), size.round) },
        async { pgbench::inserts(server, &url, writers, next(), size.round) }
    )
}

const BATCH: usize = 100;

struct OurBatches {
    store: PostgresStore,
    round: usize,
}

impl Work for OurBatches {
    async fn once(&mut self, n: usize) {
        let stream = account(&format!("{}-{n}", self.round));
        write(&self.store, append(&stream, 0, BATCH)).await;
    }
}

struct RawBatches {
    connection: PgConnection,
    round: usize,
}

impl Work for RawBatches {
    async fn once(&mut self, n: usize) {
        let mut text = String::new();
        let stream = format!("account-{}-{n}", self.round);
        copy_text(&mut text, &stream, BATCH);
        copy(&mut self.connection, RAW_COPY, text).await;
    }
}

/// A hundred events an append, against `COPY` in batches of the same size.
pub(crate) async fn batches(server: &Postgres, name: &str, size: Size) -> Comparison {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    let mut connection = connect(&url).await;
    execute(&mut connection, RAW_TABLE).await;
    let mut ours = vec![OurBatches { store, round: 0 }];
    let mut raw = vec![RawBatches {
        connection,
        round: 0,
    }];
    in_turn!(
        name,
        size,
        async {
            ours[0].round += 1;
            together(&mut ours, size.round).await.each(BATCH)
        },
        async {
            raw[0].round += 1;
            together(&mut raw, size.round).await.each(BATCH)
        }
    )
}
