//! `pg_dump` under load, restored into another cluster: the copy is a log as it stood at one
//! moment, and goes on from there.

use es_runtime::event::Position;
use es_runtime::postgres::PostgresStore;
use es_servers::Postgres;
use fastrand::Rng;

use crate::law::{Acknowledged, check};
use crate::load::{ALL, Load, Progress, Reads, Writes, append, insist, seeded, size, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_was_dumped_under_load_goes_on_in_another_cluster() {
    let mut random = seeded();
    let (old, new) = (Postgres::start(), Postgres::start());
    let url = old.database();
    let connect = async |url: &str| PostgresStore::connect(url).await.unwrap();
    let stores = [connect(&url).await, connect(&url).await];
    let load = Load {
        writers: 12,
        appends: size(40, 400),
    };
    let mut dump = Vec::new();
    let attack = async |progress: &Progress, random: &mut Rng| {
        progress.advances(random.u64(10..load.total() / 3)).await;
        dump = tokio::task::block_in_place(|| old.dump(&url));
        Ok(vec![])
    };
    load.under(&stores, &stores[1], &mut random, attack)
        .await
        .unwrap();
    let original = stores[0].read_log(Position::START, ALL).await.unwrap();

    let url = new.database();
    new.restore(&url, &dump);
    let copy = connect(&url).await;
    let log = copy.read_log(Position::START, ALL).await.unwrap();
    assert!(!log.is_empty() && log.len() <= original.len());
    check(&log, [&original[..log.len()].to_vec()], &[]).unwrap();

    // A follower of the old cluster goes on from its cursor; commands of before are known.
    let cursor = log[random.usize(..log.len())].position;
    let heard = |event: &es_runtime::event::StoredEvent| event.command_id.unwrap();
    let last = log.last().unwrap();
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    let progress = Progress::default();
    let retried = log.iter().filter(|event| event.version == 1);
    for event in retried {
        let command = heard(event);
        let own = log.iter().filter(|other| other.command_id == Some(command));
        let mut again = append(&event.stream, 0, "", own.count());
        again.command_id = command;
        // The others are known by their events alone.
        again.repeatable = copy
            .outcome(&event.stream, command)
            .await
            .unwrap()
            .is_some();
        let done = insist(&copy, again, &progress).await.unwrap();
        assert_eq!(done.outcome.first, event.position);
        acknowledged.push(done);
    }
    let next = append(&stream("after"), 0, "after", 2);
    let next = insist(&copy, next, &progress).await.unwrap();
    assert_eq!(next.outcome.first, last.position.next());
    acknowledged.push(next);
    let mut seen = log[..usize::try_from(cursor.get()).unwrap()].to_vec();
    seen.extend(copy.read_log(cursor, ALL).await.unwrap());
    let log = copy.read_log(Position::START, ALL).await.unwrap();
    check(&log, [&seen], &acknowledged).unwrap();
}
