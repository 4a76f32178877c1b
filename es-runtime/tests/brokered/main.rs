//! A consumer that hears over a broker: whatever the broker does, it handles the stream.
#![cfg(all(feature = "sqlite", feature = "testing"))]

#[path = "../domain/mod.rs"]
mod domain;

mod lab;
#[cfg(all(
    feature = "client",
    feature = "feed",
    any(feature = "nats", feature = "rabbitmq")
))]
mod servers;

use std::time::Duration;

use es_runtime::Result;
use es_runtime::event::Position;
use fastrand::Rng;
use lab::{Lab, seed};
use tokio::time::{Instant, sleep};

const SILENCE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn what_a_broker_brings_is_handled_without_a_question_to_the_feed() -> Result<()> {
    let lab = Lab::with(50).await?;
    let running = lab.waiting().await?;
    // The feed is away, and nobody misses it.
    lab.feed.away(true);
    let began = Instant::now();
    for event in &lab.events()[1..] {
        lab.broker.send(event);
    }
    running.reached(Position::new(50)).await?;
    assert!(began.elapsed() < SILENCE, "{:?}", began.elapsed());
    assert_eq!(lab.handled(), (1..=50).collect::<Vec<_>>());
    running.stop().await
}

/// Whoever sends to it may be away.
#[tokio::test(start_paused = true)]
async fn a_broker_that_has_brought_nothing_yet_is_not_waited_for() -> Result<()> {
    let lab = Lab::with(3).await?;
    let running = lab.connecting().await?;
    sleep(SILENCE / 2).await;
    let began = Instant::now();
    lab.publish(3);
    running.reached(Position::new(3)).await?;
    assert!(began.elapsed() < SILENCE / 10, "{:?}", began.elapsed());
    running.stop().await
}

#[tokio::test(start_paused = true)]
async fn a_history_begins_with_what_the_feed_says() -> Result<()> {
    let (lab, other) = (Lab::with(3).await?, Lab::of("mallory", 3).await?);
    // Nobody says what is true.
    lab.feed.away(true);
    let running = lab.consumer().await?;
    lab.connected().await;
    for event in other.events() {
        lab.broker.send(event);
    }
    sleep(SILENCE).await;
    assert_eq!(running.progress().position, Position::START);
    lab.feed.away(false);
    lab.publish(3);
    running.reached(Position::new(3)).await?;
    assert_eq!(lab.opened(), ["alice"]);
    running.stop().await
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_loses_comes_from_the_feed_after_the_silence() -> Result<()> {
    let lab = Lab::with(3).await?;
    let running = lab.waiting().await?;
    let began = Instant::now();
    lab.publish(3);
    running.reached(Position::new(3)).await?;
    let elapsed = began.elapsed();
    assert!(elapsed < 2 * SILENCE, "{elapsed:?}");
    running.stop().await
}

#[tokio::test(start_paused = true)]
async fn the_feed_hears_who_reads_however_lively_the_broker_is() -> Result<()> {
    let lab = Lab::with(100).await?;
    let running = lab.waiting().await?;
    let asked = lab.feed.questions();
    for (n, event) in lab.events().iter().enumerate().skip(1) {
        lab.broker.send(event);
        lab.publish(n + 1);
        sleep(SILENCE / 10).await;
    }
    let asked = lab.feed.questions() - asked;
    assert!(
        (9..30).contains(&asked),
        "{asked} questions in ten times five seconds"
    );
    running.reached(Position::new(100)).await?;
    running.stop().await
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_left_out_comes_from_the_feed_as_soon_as_it_shows() -> Result<()> {
    let lab = Lab::with(3).await?;
    let running = lab.waiting().await?;
    let began = Instant::now();
    lab.publish(3);
    lab.broker.send(&lab.events()[2]);
    running.reached(Position::new(3)).await?;
    assert!(began.elapsed() < SILENCE, "{:?}", began.elapsed());
    running.stop().await
}

/// It began at the end of the stream, so that the feed had nothing for it.
#[tokio::test(start_paused = true)]
async fn what_lies_before_the_start_is_there_to_be_compared() -> Result<()> {
    let lab = Lab::with(3).await?;
    lab.publish(3);
    let before = lab.consumer().await?;
    before.reached(Position::new(3)).await?;
    before.stop().await?;
    let running = lab.consumer().await?;
    sleep(SILENCE / 10).await;
    lab.broker.send(&lab.events()[2]);
    // The feed has had nothing new, and the broker is listened to: nothing is asked of the feed now.
    sleep(SILENCE * 5 / 2).await;
    let verified = running.verify(..).await?;
    assert!(verified.agrees(), "{verified:?}");
    // A feed that has not everything yet, as a copy that lags behind, is asked again.
    lab.feed.lie_once();
    let verified = running.verify(..).await?;
    assert!(verified.agrees(), "{verified:?}");
    running.stop().await
}

#[tokio::test(start_paused = true)]
async fn what_does_not_follow_is_asked_of_the_feed() -> Result<()> {
    let (lab, other) = (Lab::with(4).await?, Lab::of("mallory", 4).await?);
    let running = lab.waiting().await?;
    lab.publish(4);
    // Another history with the same names, and a position that nobody will ever reach.
    for event in other.events() {
        lab.broker.send(event);
    }
    let mut far = lab.events()[3].clone();
    far.sequence = format!("{:020}", u64::MAX);
    lab.broker.send(&far);
    running.reached(Position::new(4)).await?;
    running.stop().await?;
    assert_eq!(lab.opened(), ["alice"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_costs_nothing_but_speed() -> Result<()> {
    let lab = Lab::with(20).await?;
    lab.broker.away(true);
    let running = lab.consumer().await?;
    lab.publish(10);
    running.reached(Position::new(10)).await?;
    lab.broker.away(false);
    lab.connected().await;
    // What comes while it was told that it is back is not lost between the two.
    lab.publish(20);
    running.reached(Position::new(20)).await?;
    running.stop().await
}

/// Loses, doubles, shuffles, changes, cuts off, is away.
#[tokio::test(start_paused = true)]
async fn whatever_a_broker_does_the_stream_is_handled() -> Result<()> {
    let first = seed();
    let other = Lab::of("mallory", 120).await?;
    for seed in first..first + 60 {
        println!("ES_SEED={seed}");
        let mut random = Rng::with_seed(seed);
        let lab = Lab::with(120).await?;
        let mut running = lab.consumer().await?;
        let mut published = 0;
        while published < 120 {
            let more = (published + random.usize(1..15)).min(120);
            lab.publish(more);
            let mut sent: Vec<_> = lab.events()[published..more].to_vec();
            published = more;
            match random.u8(..8) {
                0 => random.shuffle(&mut sent),
                1 => sent.retain(|_| random.u8(..4) > 0),
                2 => sent.extend(sent.clone()),
                3 => sent = other.events()[..more].to_vec(),
                4 => sent.clear(),
                5 => lab.broker.cut(),
                _ => {}
            }
            lab.broker.away(random.u8(..10) == 0);
            lab.feed.away(random.u8(..4) == 0);
            sent.iter().for_each(|event| lab.broker.send(event));
            sleep(Duration::from_millis(random.u64(..3000))).await;
            if random.u8(..10) == 0 {
                running.stop().await?;
                running = lab.consumer().await?;
            }
        }
        lab.feed.away(false);
        // Why it stopped, if it has.
        let reached = running.reached(Position::new(120)).await;
        running.stop().await?;
        reached?;
        assert_eq!(lab.handled(), (1..=120).collect::<Vec<_>>());
        assert_eq!(lab.opened(), ["alice"]);
    }
    Ok(())
}
