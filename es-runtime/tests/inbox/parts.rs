//! Parts of an inbox, worked on side by side and by several instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use es_runtime::consume::{HandlerError, Page, Source};
use es_runtime::event::Position;
use es_runtime::store::{StreamCursor, StreamVersion};
use es_runtime::{Result, Store};
use fastrand::Rng;

use crate::direct::{Direct, hostile};
use crate::{Rows, all, effects, file, publisher, rows, source};

const ACCOUNTS: [&str; 7] = ["ann", "bob", "cid", "dan", "eve", "fay", "gus"];
const TURNS: i64 = 30;
const EVENTS: u64 = 210;

/// Counts the events that it hands out.
struct Counting<S>(S, Arc<AtomicUsize>);

impl<S: Source> Source for Counting<S> {
    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let page = self.0.read(stream, after, limit, wait).await?;
        self.1.fetch_add(page.events.len(), Ordering::SeqCst);
        Ok(page)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_share_one_reading_of_the_stream() -> Result<()> {
    let (_bank, upstream) = publisher(&ACCOUNTS, TURNS).await?;
    let (inbox, _folder) = file().await?;
    let read = Arc::new(AtomicUsize::new(0));
    let source = Counting(source(&upstream), read.clone());
    let running = rows(&inbox, source, Rows::good()).parts(5).start().await?;
    running.reached(Position::new(EVENTS)).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));
    assert_eq!(
        read.load(Ordering::SeqCst),
        usize::try_from(EVENTS).unwrap()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_the_parts_and_have_each_effect_once() -> Result<()> {
    let (bank, upstream) = publisher(&ACCOUNTS, 1).await?;
    let (inbox, _folder) = file().await?;
    let start = || {
        rows(&inbox, source(&upstream), Rows::good())
            .parts(4)
            .start()
    };
    let (one, two) = (start().await?, start().await?);
    for turn in 1..TURNS {
        for account in ACCOUNTS {
            use crate::domain::{Account, deposit};
            bank.execute::<Account>(account, deposit(turn)).await?;
        }
    }
    one.reached(Position::new(EVENTS)).await?;
    two.reached(Position::new(EVENTS)).await?;
    // One alone goes on with all of them.
    two.stop().await?;
    bank.execute::<crate::domain::Account>("ann", crate::domain::deposit(1))
        .await?;
    one.reached(Position::new(EVENTS + 1)).await?;
    one.stop().await?;
    let mut expected = all(&ACCOUNTS, TURNS);
    expected.get_mut("ann").unwrap().push(211);
    assert_eq!(effects(&inbox).await?, expected);
    Ok(())
}

/// Fails now and then, at random.
fn moody(random: &mut Rng) -> Rows {
    let random = std::sync::Mutex::new(random.fork());
    Rows::acting(move |_| {
        let mut random = random.lock().unwrap();
        match random.u8(..40) {
            0 => Err("in a bad mood".into()),
            1 => Err::<_, HandlerError>(es_runtime::Error::database("x", "away").into()),
            _ => Ok(()),
        }
    })
}

/// Instances come and go, each with another number of parts, sources that lie, and handlers that
/// fail: every event has its effect once, and those of each key in order.
#[tokio::test]
async fn whatever_happens_each_key_has_its_effects_once_and_in_order() -> Result<()> {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let (_bank, upstream) = publisher(&ACCOUNTS, TURNS).await?;
    for _ in 0..3 {
        let (inbox, _folder) = file().await?;
        let mut running = Vec::new();
        for turn in 0..random.usize(2..8) {
            if turn > 0 {
                tokio::time::resume();
            }
            running.push(start(&upstream, &inbox, &mut random).await?);
            // Pauses take no time.
            tokio::time::pause();
            let goal = Position::new(random.u64(1..EVENTS));
            let one = random.usize(..running.len());
            let reached = running[one].reached(goal);
            tokio::time::timeout(Duration::from_secs(20), reached)
                .await
                .ok();
            if running.len() > 1 && random.bool() {
                let one = running.swap_remove(random.usize(..running.len()));
                // Told to stop, or gone without a word.
                match random.bool() {
                    true => one.stop().await?,
                    false => drop(one),
                }
            }
        }
        for one in running {
            one.reached(Position::new(EVENTS)).await?;
            one.stop().await?;
        }
        tokio::time::resume();
        assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));
    }
    Ok(())
}

async fn start(
    upstream: &Store,
    inbox: &Store,
    random: &mut Rng,
) -> Result<es_runtime::consume::Running> {
    let source = Direct {
        upstream: upstream.clone(),
        faults: hostile(random.fork()),
    };
    let handler = moody(random);
    let consumer = rows(inbox, source, handler).attempts(1000);
    consumer.parts(random.u16(1..6)).start().await
}
