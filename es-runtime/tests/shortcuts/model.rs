//! Random commands through services that cache and snapshot, side by side on one store, against a
//! service that reads every event on a store of its own.

use es_runtime::event::{CommandId, Position};
use es_runtime::store::{EventStore, LogQuery};
use es_runtime::{Builder, Result, Service, Snapshots, Store};
use fastrand::Rng;
use tokio::task::JoinSet;

use crate::ledger::{Ledger, LedgerCommand, LedgerEvent};
use crate::{File, plain, stats, total};

fn seeds() -> impl Iterator<Item = u64> {
    let seeds = [1, 2, fastrand::u64(..), fastrand::u64(..)];
    seeds.into_iter().inspect(|seed| println!("seed {seed}"))
}

/// Every way that there is, with few entries, so that most are evicted.
fn kinds(store: &Store) -> Vec<Builder> {
    vec![
        plain(store).cache::<Ledger>(3),
        plain(store),
        plain(store).snapshots::<Ledger>(Snapshots::every(3)),
        plain(store)
            .cache::<Ledger>(100)
            .snapshots::<Ledger>(Snapshots::every(2)),
    ]
}

fn command(random: &mut Rng) -> LedgerCommand {
    match random.u8(..10) {
        0..3 => LedgerCommand::Add(random.i64(1..5)),
        3..5 => LedgerCommand::AddTwice(random.i64(1..5)),
        5..9 => LedgerCommand::Take(random.i64(1..9)),
        _ => LedgerCommand::Empty,
    }
}

/// What somebody outside sees of a command.
async fn told(service: &Service, id: &str, command: LedgerCommand, name: Option<u8>) -> String {
    let execute = service.execute::<Ledger>(id, command);
    let execute = match name {
        Some(name) => execute.id(CommandId::of([name])),
        None => execute,
    };
    match execute.await {
        Ok(receipt) => format!("{receipt:?}"),
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn one_after_the_other_they_answer_as_one_that_reads_everything() -> Result<()> {
    for seed in seeds() {
        for in_a_file in [false, true] {
            let (mut random, file) = (Rng::with_seed(seed), File::new());
            let store = match in_a_file {
                true => file.store().await,
                false => Store::connect("memory:").await?,
            };
            let reference = plain(&Store::connect("memory:").await?).start().await?;
            let mut services = Vec::new();
            for kind in kinds(&store) {
                services.push(kind.start().await?);
            }
            for step in 0..400 {
                let which = random.usize(..services.len());
                let service = &services[which];
                let id = format!("{}", random.u8(..5));
                let name = random.bool().then(|| random.u8(..40));
                let command = command(&mut random);
                let what =
                    format!("seed {seed}, step {step}, service {which}: {command:?} of {id}");
                let expected = told(&reference, &id, command.clone(), name).await;
                assert_eq!(told(service, &id, command, name).await, expected, "{what}");
                if random.u8(..8) == 0 {
                    assert_eq!(
                        total(service, &id).await?,
                        total(&reference, &id).await?,
                        "{what}"
                    );
                }
                if random.u8(..50) == 0 {
                    // A new process: nothing in memory, and what waited is written.
                    service.shutdown().await?;
                    let again = kinds(&store).swap_remove(which);
                    services[which] = again.start().await?;
                }
            }
            for service in [&services[2], &services[3]] {
                let stats = stats(service);
                assert_eq!((stats.refused, stats.off), (0, false), "seed {seed}");
            }
        }
    }
    Ok(())
}

/// All at once: nobody sees the past after the present, and every decision was right when it
/// was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_once_every_decision_was_right_when_it_was_made() -> Result<()> {
    const STREAMS: u8 = 3;
    for seed in seeds() {
        let store = Store::connect("memory:").await?;
        let mut callers = JoinSet::new();
        for (kind, nth) in kinds(&store).into_iter().zip(0_u64..) {
            let service = kind.start().await?;
            for caller in 0..3 {
                let (service, mut random) =
                    (service.clone(), Rng::with_seed(seed ^ nth << 8 ^ caller));
                callers.spawn(async move {
                    let (mut events, mut seen) = (0, [0; STREAMS as usize]);
                    for _ in 0..60 {
                        let stream = random.u8(..STREAMS);
                        let id = stream.to_string();
                        let version = match random.u8(..4) {
                            0 => total(&service, &id).await.unwrap().0,
                            _ => {
                                match service.execute::<Ledger>(&*id, command(&mut random)).await {
                                    Ok(receipt) => {
                                        events += u64::from(receipt.events);
                                        receipt.version
                                    }
                                    Err(error) => {
                                        assert!(
                                            error.is_rejected() || error.is_conflict(),
                                            "{error}"
                                        );
                                        continue;
                                    }
                                }
                            }
                        };
                        let seen = &mut seen[usize::from(stream)];
                        assert!(version >= *seen, "{id} went from {seen} back to {version}");
                        *seen = version;
                    }
                    events
                });
            }
        }
        let events: u64 = callers.join_all().await.into_iter().sum();
        let everything = LogQuery::after(Position::START).limit(usize::MAX);
        let log = store.read_log(&everything).await?.events;
        assert_eq!(log.len() as u64, events, "every event was told once");
        let mut totals = [0_i64; STREAMS as usize];
        for event in log.iter() {
            let total = &mut totals[event.id().parse::<usize>().unwrap()];
            for part in es_runtime::event::Recorded::<LedgerEvent>::decode(event)? {
                *total += match part.data {
                    LedgerEvent::Added { amount } => amount,
                    LedgerEvent::Taken { amount } => -amount,
                };
            }
            assert!(
                *total >= 0,
                "more was taken than there was, at {}",
                event.position
            );
        }
    }
    Ok(())
}
