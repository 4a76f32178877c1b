//! PgBouncer in transaction mode between the store and the server: a session is one transaction
//! long, so statements that were prepared in another one are not there, or are somebody else's.

use es_runtime::event::Position;
use es_runtime::postgres::PostgresStore;
use es_runtime::store::Appended;
use es_servers::{PgBouncer, Postgres, skip};
use fastrand::Rng;
use tokio::task::JoinSet;

use crate::attack::kill_connections;
use crate::law::{Acknowledged, check};
use crate::load::{ALL, Load, Progress, Reads, Writes, append, patiently, seeded, size, stream};

/// One before `server` that lets a driver's parameters pass, and has so few sessions that they are
/// shared.
fn bouncer(server: &Postgres, sessions: u32) -> Result<PgBouncer, String> {
    let ignored = "ignore_startup_parameters = extra_float_digits, options";
    PgBouncer::start(
        server,
        &format!("{ignored}\ndefault_pool_size = {sessions}"),
    )
}

/// Fails when it is not told what stands between, and breaks nothing: each append is tried a few
/// times and then given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_was_not_told_of_pgbouncer_fails_and_breaks_nothing() {
    const WRITERS: u64 = 8;
    const APPENDS: u64 = 10;
    let server = Postgres::start();
    let pool = match bouncer(&server, 1) {
        Ok(pool) => pool,
        Err(why) => return skip(&why),
    };
    let (mut random, url) = (seeded(), server.database());
    let direct = PostgresStore::connect(&url).await.unwrap();
    let (mut errors, mut stores) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        match PostgresStore::connect(&pool.url(&url)).await {
            Ok(store) => stores.push(store),
            Err(error) => errors.push(error.to_string()),
        }
    }
    let mut writers = JoinSet::new();
    for (writer, store) in (0..WRITERS).zip(stores.iter().cycle()) {
        let (store, mut random) = (store.clone(), random.fork());
        writers.spawn(async move {
            let (mut acknowledged, mut errors, mut version) = (Vec::new(), Vec::new(), 0);
            for n in 0..APPENDS {
                let events = random.usize(1..4);
                for _ in 0..3 {
                    let command = format!("{writer}/{n}");
                    let next = append(&stream(writer), version, &command, events);
                    let (stream, command) = (next.stream.clone(), next.command_id);
                    match store.append(next).await {
                        Ok(Appended::New(outcome) | Appended::Already(outcome)) => {
                            version = outcome.version;
                            acknowledged.push(Acknowledged {
                                stream,
                                command,
                                outcome,
                                kept: true,
                            });
                            break;
                        }
                        Ok(Appended::Conflict { found }) => version = found,
                        Err(error) => errors.push(error.to_string()),
                    }
                }
            }
            (acknowledged, errors)
        });
    }
    let mut acknowledged = Vec::new();
    for (done, failed) in writers.join_all().await {
        acknowledged.extend(done);
        errors.extend(failed);
    }
    let log = direct.read_log(Position::START, ALL).await.unwrap();
    check(&log, [], &acknowledged).unwrap();
    errors.sort();
    errors.dedup();
    println!("{} acknowledged, {errors:#?}", acknowledged.len());
    let named = errors
        .iter()
        .any(|error| error.contains("prepared statement"));
    assert!(named, "it works, or fails in another way: {errors:?}");
}

/// Told by the URL, it keeps nothing in a session, and everything works.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_was_told_of_pgbouncer_keeps_the_laws_behind_it() {
    let server = Postgres::start();
    let pool = match bouncer(&server, 3) {
        Ok(pool) => pool,
        Err(why) => return skip(&why),
    };
    let (mut random, url) = (seeded(), server.database());
    let pooled = format!("{}&pgbouncer=true", pool.url(&url));
    let connect = async || PostgresStore::connect(&pooled).await.unwrap();
    let (stores, reader) = ([connect().await, connect().await], connect().await);
    let load = Load {
        writers: 12,
        appends: size(30, 300),
    };
    let attack = async |progress: &Progress, random: &mut Rng| {
        for _ in 0..size(2, 20) {
            progress.advances(random.u64(1..load.total() / 4)).await;
            kill_connections(&url).await;
        }
        Ok(vec![])
    };
    load.under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
    let head = patiently(|| reader.read_log(Position::START, ALL))
        .await
        .len();
    let direct = PostgresStore::connect(&url).await.unwrap();
    assert_eq!(
        direct.read_log(Position::START, ALL).await.unwrap().len(),
        head
    );
}
