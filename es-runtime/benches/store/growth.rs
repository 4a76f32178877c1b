//! What becomes of the speed when the log grows, and what an event takes on disk.

use es_runtime::event::Position;
use es_runtime::postgres::sqlx::{self, PgConnection, Row};
use es_runtime::store::{EventStore, LogQuery, Store, StreamQuery};
use es_servers::Postgres;

use crate::Size;
use crate::measure::{Comparison, Work, in_turn, rate, together};
use crate::report::Report;
use crate::rows::{Json, account, append, connect, execute, payload, write};

/// Events in one statement that fills.
const CHUNK: u64 = 200_000;
/// Events of a stream.
const LENGTH: u64 = 10;
/// What is in a payload: 200 bytes.
const PAYLOAD: u64 = 200;
/// The spaces of ids: those that fill the log, and from here those that are appended.
const IDS: u64 = 1 << 32;

/// How the ids of streams look.
#[derive(Clone, Copy)]
pub(crate) enum Ids {
    /// `account-2654435761`.
    Numbers,
    /// `account-0cc175b9-c0f1-b6a8-31c3-99e269772661`.
    Uuids,
}

/// Streams have ten events each, that come between those of others, and ids in no order: as in a
/// service, so that the index takes its rows everywhere.
const FILL: &str = r#"
    INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                          command_id, payload, occurred_at)
    SELECT $1 + g + 1,
           'account-' || CASE WHEN $4 THEN md5(id::text)::uuid::text ELSE id::text END,
           g / ($2 / 10) + 1, id % 1024, 'account.deposited', 1, 1, gen_random_uuid(),
           ('{"amount":' || 10000000 + g || ',"currency":"DKK","reference":"'
             || repeat('x', 149) || '"}')::json,
           now()
    FROM generate_series(0, $2 - 1) g,
         LATERAL (SELECT ($3 + g % ($2 / 10)) * 2654435761 % 4294967296 AS id) ids"#;

const FILL_COMMANDS: &str = "
    INSERT INTO es.command (stream, command_id, first_position, count, version, at)
    SELECT stream, command_id, position, 1, version, occurred_at FROM es.event WHERE position > $1";

/// Whether the command of each event has a row of its own.
#[derive(Clone, Copy)]
pub(crate) enum Commands {
    Kept,
    Unnamed,
}

/// Adds events up to `to`, of which there are `from`, each with a command of its own.
pub(crate) async fn fill(
    connection: &mut PgConnection,
    from: u64,
    to: u64,
    ids: Ids,
    commands: Commands,
) {
    let mut filled = from;
    while filled < to {
        let chunk = CHUNK.min(to - filled);
        let head = "SELECT coalesce(max(position), 0) FROM es.event";
        let head: i64 = sqlx::query_scalar(head)
            .fetch_one(&mut *connection)
            .await
            .expect("the head");
        let events = sqlx::query(FILL)
            .bind(head)
            .bind(signed(chunk))
            .bind(signed(filled / LENGTH))
            .bind(matches!(ids, Ids::Uuids));
        events.execute(&mut *connection).await.expect("events");
        if matches!(commands, Commands::Kept) {
            let commands = sqlx::query(FILL_COMMANDS).bind(head);
            commands.execute(&mut *connection).await.expect("commands");
        }
        filled += chunk;
    }
    // What autovacuum would do in the middle of a measurement.
    execute(connection, "VACUUM ANALYZE es.event").await;
    execute(connection, "VACUUM ANALYZE es.command").await;
    execute(connection, "CHECKPOINT").await;
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a small number")
}

/// The id of the `n`th stream that fills the log.
fn id(n: u64) -> u64 {
    n * 2_654_435_761 % IDS
}

/// Bytes of an event on disk.
struct Footprint {
    table: f64,
    indexes: f64,
    command: f64,
}

impl Footprint {
    async fn of(connection: &mut PgConnection) -> Self {
        let sizes = "
            SELECT pg_table_size('es.event') / n, pg_indexes_size('es.event') / n,
                   pg_total_relation_size('es.command') / n, bytes
            FROM (SELECT max(position)::float8 n FROM es.event) head,
                 (SELECT avg(octet_length(payload::text))::float8 bytes
                  FROM (SELECT payload FROM es.event ORDER BY position LIMIT 1000) first) payloads";
        let row = sqlx::query(sizes).fetch_one(connection).await;
        let row = row.expect("sizes");
        let bytes: f64 = row.get(3);
        assert!((bytes - PAYLOAD as f64).abs() < 0.5, "{bytes} bytes");
        Self {
            table: row.get(0),
            indexes: row.get(1),
            command: row.get(2),
        }
    }

    fn line(&self, name: &str, what: &str) -> String {
        let Self {
            table,
            indexes,
            command,
        } = self;
        let (all, bound) = (table + indexes, PAYLOAD as f64 * 1.6 + 150.0);
        format!(
            "{name} {what}: {all:.0} bytes for an event with {PAYLOAD} of payload (table \
             {table:.0}, indexes {indexes:.0}; bound {bound:.0}), and {command:.0} for its command"
        )
    }
}

/// What an event takes, with short and with long ids.
pub(crate) async fn bytes(server: &Postgres, name: &str, report: &mut Report) {
    for (ids, what) in [
        (Ids::Numbers, "ids are numbers"),
        (Ids::Uuids, "ids are UUIDs"),
    ] {
        let url = server.database();
        let store = Store::connect(&url).await.expect("the store");
        let mut connection = connect(&url).await;
        fill(&mut connection, 0, CHUNK, ids, Commands::Kept).await;
        report.note(Footprint::of(&mut connection).await.line(name, what));
        store.close().await;
    }
}

/// Appends, pages and streams at two sizes of one log, ours and bare statements on its table.
pub(crate) async fn growth(server: &Postgres, name: &str, size: Size, report: &mut Report) {
    let (small, large) = size.growth;
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    let mut connection = connect(&url).await;
    let mut measured = Vec::new();
    for (from, to) in [(0, small), (small, large)] {
        fill(&mut connection, from, to, Ids::Numbers, Commands::Unnamed).await;
        let footprint = Footprint::of(&mut connection).await;
        report.note(footprint.line(name, &format!("{to} events")));
        measured.push([
            appends(&store, &url, size).await,
            pages(&store, &url, to, size).await,
            streams(&store, &url, to, size).await,
        ]);
    }
    let slower = |few, many| rate(few) / rate(many);
    for (small, large) in measured[0].iter().zip(&measured[1]) {
        let ours = slower(&small.ours, &large.ours);
        let bare = slower(&small.limit, &large.limit);
        report.note(format!(
            "{name} {}: ours {:.0}/s to {:.0}/s, {ours:.2} times slower; bare {:.0}/s to {:.0}/s, \
             {bare:.2} times; quotient {:.2} (bound 1.15)",
            small.name,
            rate(&small.ours),
            rate(&large.ours),
            rate(&small.limit),
            rate(&large.limit),
            // Of rounds beside each other, not of minutes apart.
            small.ratio() / large.ratio(),
        ));
    }
    store.close().await;
}

const TOGETHER: usize = 100;

/// A new stream somewhere in the index.
fn anywhere(random: &mut fastrand::Rng) -> u64 {
    random.u64(IDS..IDS << 20)
}

struct Append {
    store: Store,
    random: fastrand::Rng,
}

impl Work for Append {
    async fn once(&mut self, _: usize) {
        let stream = account(&anywhere(&mut self.random).to_string());
        let mut append = append(&stream, 0, 1);
        append.metadata = None;
        write(&self.store, append).await;
    }
}

struct BareAppend {
    connection: PgConnection,
    payload: String,
    random: fastrand::Rng,
}

impl Work for BareAppend {
    async fn once(&mut self, _: usize) {
        let insert = "
            INSERT INTO es.event (position, stream, version, slice, type, schema_version,
                                  min_reader, command_id, payload, occurred_at)
            SELECT head + i, stream, 1, 7, 'account.deposited', 1, 1, gen_random_uuid(), $2, now()
            FROM (SELECT max(position) AS head FROM es.event) log,
                 unnest($1) WITH ORDINALITY new(stream, i)";
        let streams: Vec<_> = (0..TOGETHER)
            .map(|_| format!("account-{}", anywhere(&mut self.random)))
            .collect();
        let insert = sqlx::query(insert).bind(streams).bind(Json(&self.payload));
        insert
            .execute(&mut self.connection)
            .await
            .expect("an insert");
    }
}

/// A hundred callers of ours, which share commits, and a statement that inserts a hundred.
async fn appends(store: &Store, url: &str, size: Size) -> Comparison {
    let mut random = fastrand::Rng::new();
    println!("growth seed {}", random.get_seed());
    let mut ours: Vec<_> = (0..TOGETHER)
        .map(|_| Append {
            store: store.clone(),
            random: random.fork(),
        })
        .collect();
    let mut bare = vec![BareAppend {
        connection: connect(url).await,
        payload: payload(7),
        random: random.fork(),
    }];
    in_turn!("append", size, together(&mut ours, size.round), async {
        together(&mut bare, size.round).await.each(TOGETHER)
    })
}

/// Where to read: anywhere in the log.
struct Reader<From> {
    from: From,
    random: fastrand::Rng,
    events: u64,
}

impl<From> Reader<From> {
    fn new(from: From, events: u64) -> Self {
        let random = fastrand::Rng::with_seed(events);
        Self {
            from,
            random,
            events,
        }
    }
}

struct Page<From>(Reader<From>);

const PAGE: u64 = 1000;

impl<From> Page<From> {
    fn after(&mut self) -> u64 {
        self.0.random.u64(0..=self.0.events - PAGE)
    }
}

impl Work for Page<Store> {
    async fn once(&mut self, _: usize) {
        let after = Position::new(self.after());
        let page = self.0.from.read_log(&LogQuery::after(after)).await;
        assert_eq!(page.expect("a page").events.len(), 1000);
    }
}

impl Work for Page<PgConnection> {
    async fn once(&mut self, _: usize) {
        let select = "SELECT position, stream, version, type, schema_version, min_reader,
                             command_id, payload, metadata, occurred_at
                      FROM es.event WHERE position > $1 ORDER BY position LIMIT 1000";
        let page = sqlx::query(select).bind(signed(self.after()));
        let page = page.fetch_all(&mut self.0.from).await.expect("a page");
        assert_eq!(page.len(), 1000);
        std::hint::black_box(page);
    }
}

async fn pages(store: &Store, url: &str, events: u64, size: Size) -> Comparison {
    let mut ours = vec![Page(Reader::new(store.clone(), events))];
    let mut bare = vec![Page(Reader::new(connect(url).await, events))];
    in_turn!(
        "page of 1000",
        size,
        together(&mut ours, size.round),
        together(&mut bare, size.round)
    )
}

struct Stream<From>(Reader<From>);

impl<From> Stream<From> {
    fn id(&mut self) -> u64 {
        id(self.0.random.u64(0..self.0.events / LENGTH))
    }
}

impl Work for Stream<Store> {
    async fn once(&mut self, _: usize) {
        let stream = account(&self.id().to_string());
        let page = self
            .0
            .from
            .read_stream(&stream, StreamQuery::after(0))
            .await;
        assert_eq!(page.expect("a stream").events.len(), 10);
    }
}

impl Work for Stream<PgConnection> {
    async fn once(&mut self, _: usize) {
        let select = "SELECT position, stream, version, type, schema_version, min_reader,
                             command_id, payload, metadata, occurred_at
                      FROM es.event WHERE stream = $1 ORDER BY version";
        let events = sqlx::query(select).bind(format!("account-{}", self.id()));
        let events = events.fetch_all(&mut self.0.from).await;
        assert_eq!(events.expect("a stream").len(), 10);
    }
}

async fn streams(store: &Store, url: &str, events: u64, size: Size) -> Comparison {
    let mut ours = vec![Stream(Reader::new(store.clone(), events))];
    let mut bare = vec![Stream(Reader::new(connect(url).await, events))];
    in_turn!(
        "stream of 10",
        size,
        together(&mut ours, size.round),
        together(&mut bare, size.round)
    )
}
