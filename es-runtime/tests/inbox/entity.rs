//! One entity on demand, ahead of all others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Consumer, Handler, HandlerError, Running};
use es_runtime::event::Position;
use es_runtime::integration::{CloudEvent, Received};
use es_runtime::store::{EventStore, Tx};
use es_runtime::{Result, Store};
use fastrand::Rng;
use serde_json::value::RawValue;

use crate::chain::{Chain, events};
use crate::domain::v1;
use crate::{Rows, all, effects, file, rows, until};

const ACCOUNTS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const EVENTS: u64 = 3_000;
const TURNS: i64 = 600;

/// A stream that shows its first events alone, unless it is asked for one subject.
async fn far_behind(shown: u64) -> Result<Chain> {
    let chain = Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?);
    chain.open(shown);
    Ok(chain)
}

async fn start(inbox: &Store, chain: &Chain, handler: Rows) -> Result<Running> {
    let running = rows(inbox, chain.clone(), handler).parts(3).start().await?;
    let shown = chain.gate.load(std::sync::atomic::Ordering::SeqCst);
    running.reached(Position::new(shown)).await?;
    Ok(running)
}

#[tokio::test]
async fn it_comes_first_and_nothing_twice() -> Result<()> {
    let chain = far_behind(100).await?;
    let (inbox, _folder) = file().await?;
    let running = start(&inbox, &chain, Rows::good()).await?;
    let until = running.entity("eve").await?;
    assert_eq!(until.get(), EVENTS);
    let mut expected = all(&ACCOUNTS, 20);
    let whole = all(&ACCOUNTS, TURNS);
    expected.insert("eve".to_owned(), whole["eve"].clone());
    assert_eq!(effects(&inbox).await?, expected);
    assert_eq!(running.progress().position.get(), 100);
    // Nothing is new of it, and it is asked again by another instance, too.
    assert_eq!(running.entity("eve").await?.get(), EVENTS);
    running.stop().await?;
    chain.open(1_500);
    let running = start(&inbox, &chain, Rows::good()).await?;
    assert_eq!(running.entity("eve").await?.get(), EVENTS);
    assert_eq!(running.entity("bob").await?.get(), EVENTS);
    running.stop().await?;
    chain.open(EVENTS);
    let running = start(&inbox, &chain, Rows::good()).await?;
    assert_eq!(effects(&inbox).await?, whole);
    assert!(running.verify(..).await?.agrees());
    running.stop().await?;
    let running = start(&inbox, &chain, Rows::good()).await?;
    assert_eq!(running.entity("eve").await?.get(), EVENTS);
    assert_eq!(running.inbox().state().await?.parts.len(), 3);
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, whole);
    Ok(())
}

/// Another instance, which has the part, does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_its_part_does_it() -> Result<()> {
    let chain = far_behind(100).await?;
    let (inbox, _folder) = file().await?;
    let (one, two) = (
        start(&inbox, &chain, Rows::good()).await?,
        start(&inbox, &chain, Rows::good()).await?,
    );
    for account in ACCOUNTS {
        assert_eq!(one.entity(account).await?.get(), EVENTS);
    }
    assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));
    chain.open(EVENTS);
    one.reached(Position::new(EVENTS)).await?;
    two.reached(Position::new(EVENTS)).await?;
    one.stop().await?;
    two.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));
    Ok(())
}

/// Whatever a source says of one subject, the stream shows whether it is true.
#[tokio::test]
async fn a_filter_that_lies_stops_the_consumer() -> Result<()> {
    let lies: [fn(&mut Vec<CloudEvent>); 2] = [
        // It leaves one out.
        |events| drop(events.remove(7)),
        // It makes one up.
        |events| {
            let other = events[7].data.get().replace('{', "{ ");
            events[7].data = RawValue::from_string(other).unwrap();
        },
    ];
    for lie in lies {
        let mut chain = far_behind(100).await?;
        chain.lie = Arc::new(lie);
        let (store, _folder) = file().await?;
        let running = start(&store, &chain, Rows::good()).await?;
        running.entity("eve").await?;
        chain.open(EVENTS);
        let stopped = running.reached(Position::new(EVENTS)).await.unwrap_err();
        assert!(stopped.is_stopped(), "{stopped}");
        let why = running.stop().await.unwrap_err();
        assert_eq!(why.code(), "ES0252", "{why}");
        assert!(why.to_string().contains("`eve`"), "{why}");
        // It is not forgotten.
        let running = rows(&store, chain.clone(), Rows::good()).start().await?;
        running.reached(Position::new(EVENTS)).await.unwrap_err();
        let inbox = running.inbox().clone();
        assert_eq!(running.stop().await.unwrap_err().code(), "ES0252");
        // Until somebody has seen to it.
        assert!(!inbox.mended("ann").await?);
        assert!(inbox.mended("eve").await?);
        let running = start(&store, &chain, Rows::good()).await?;
        assert_eq!(running.inbox().state().await?.entities, []);
        running.stop().await?;
        let (done, whole) = (effects(&store).await?, all(&ACCOUNTS, TURNS));
        assert_eq!(done["ann"], whole["ann"]);
        assert!(done["eve"].len() <= whole["eve"].len(), "{done:?}");
    }
    Ok(())
}

/// A handler with one key for all.
#[derive(Clone)]
struct OneKey(Rows);

impl Handler<v1::Accounts> for OneKey {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        self.0.prepare(tx).await
    }

    fn key(_: &Received<v1::Accounts>) -> String {
        "all".to_owned()
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        self.0.handle(event, tx).await
    }
}

#[tokio::test]
async fn what_cannot_be_done_ahead_is_refused_and_comes_with_the_others() -> Result<()> {
    let chain = far_behind(100).await?;
    let (inbox, _folder) = file().await?;
    // Eve's event far ahead, and one of bob's that was read.
    let handler = Rows::acting(|event| match event.position.get() {
        42 | 2_000 => Err("told to fail".into()),
        _ => Ok(()),
    });
    let running = rows(&inbox, chain.clone(), handler).start().await?;
    until(async || (running.progress().position.get() == 100).then_some(())).await;
    let refused = running.entity("bob").await.unwrap_err();
    assert_eq!(refused.code(), "ES0251");
    assert!(refused.to_string().contains("set aside"), "{refused}");
    let refused = running.entity("eve").await.unwrap_err();
    assert!(refused.to_string().contains("told to fail"), "{refused}");
    // What came before it was committed or not: it is passed over, or not.
    running.stop().await?;
    chain.open(EVENTS);
    let running = start(&inbox, &chain, Rows::good()).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));

    let chain = far_behind(100).await?;
    let (inbox, _folder) = file().await?;
    let consumer = Consumer::new("one", inbox.clone()).stream::<v1::Accounts>(chain);
    let running = consumer.handle(OneKey(Rows::good())).start().await?;
    running.reached(Position::new(100)).await?;
    let refused = running.entity("eve").await.unwrap_err();
    assert!(refused.to_string().contains("`all`"), "{refused}");
    running.stop().await
}

/// Instances come and go, with another number of parts each, and ask for anybody while the stream grows:
/// every event has its effect once, and those of each key in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_asked_for_whenever_each_effect_is_there_once() -> Result<()> {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    for _ in 0..3 {
        let mut chain = far_behind(random.u64(0..200)).await?;
        chain.moody = Some(Arc::new(Mutex::new(random.fork())));
        let (inbox, _folder) = file().await?;
        let mut running = Vec::<Running>::new();
        for _ in 0..random.usize(6..12) {
            if running.is_empty() || random.bool() {
                let consumer = rows(&inbox, chain.clone(), Rows::good())
                    .lease(Duration::from_millis(600))
                    .parts(random.u16(1..5));
                running.push(consumer.start().await?);
            }
            let shown = chain.gate.load(std::sync::atomic::Ordering::SeqCst);
            let one = random.usize(..running.len());
            let asked = running[one].entity(random.choice(ACCOUNTS).unwrap());
            let patience = Duration::from_millis(random.u64(1..1_500));
            // Whoever gives up waiting leaves the question behind.
            if let Ok(answer) = tokio::time::timeout(patience, asked).await {
                answer?;
            }
            chain.open((shown + random.u64(..600)).min(EVENTS));
            if running.len() > 2 || random.u8(..3) == 0 {
                let one = running.swap_remove(random.usize(..running.len()));
                // Told to stop, or gone without a word.
                match random.bool() {
                    true => one.stop().await?,
                    false => drop(one),
                }
            }
        }
        chain.open(EVENTS);
        running.push(rows(&inbox, chain, Rows::good()).start().await?);
        for one in running {
            one.reached(Position::new(EVENTS)).await?;
            one.stop().await?;
        }
        assert_eq!(effects(&inbox).await?, all(&ACCOUNTS, TURNS));
        let id = inbox.inboxes().await?.remove(0);
        let left: BTreeMap<_, _> = inbox
            .inbox_state(&id)
            .await?
            .entities
            .into_iter()
            .map(|entity| (entity.subject.clone(), entity))
            .collect();
        assert!(left.values().all(|of| of.handled == of.passed), "{left:?}");
    }
    Ok(())
}
