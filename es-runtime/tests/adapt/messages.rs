//! One message at a time: what becomes of it, and what is refused.

use std::time::Duration;

use es_runtime::adapt::{Adapt, Adapted, Adapter, Arrival, Fate, Misplaced, NoCommand, Place};
use es_runtime::adapt::{Placed, Rank};
use es_runtime::event::Clock;
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, StreamQuery};
use es_runtime::{Result, Service};

use crate::domain::{Aircraft, AircraftEvent, Report, What, memory, seen, service, tower};

async fn at(flights: &Service) -> String {
    let aircraft = flights.load::<Aircraft>("N1").await.unwrap();
    aircraft.state().airport.clone()
}

#[tokio::test]
async fn a_message_counts_once_and_what_is_late_is_superseded() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let tower = tower(&flights);
    let newest = tower.take(&seen("b", "IAH", 9)).await?;
    assert_eq!((newest.version, newest.fate), (1, Fate::Counted));
    let late = tower.take(&seen("a", "EWR", 5)).await?;
    assert_eq!((late.version, late.fate), (2, Fate::Superseded));
    for (report, version) in [(seen("b", "IAH", 9), 1), (seen("a", "EWR", 5), 2)] {
        let again = tower.take(&report).await?;
        assert_eq!((again.version, again.fate), (version, Fate::Repeated));
    }
    assert_eq!(at(&flights).await, "IAH");
    // Who asks is known, and what for.
    let stream = "aircraft-N1".parse()?;
    let history = flights
        .store()
        .history(&stream, StreamQuery::after(0))
        .await?;
    let first = &history.entries[0];
    assert_eq!(first.metadata.actor.as_deref(), Some("adapter tower"));
    assert_eq!(first.metadata.causation.as_deref(), Some("b"));
    flights.shutdown().await
}

#[tokio::test]
async fn what_was_made_up_never_takes_the_place_of_what_is_live() -> Result<()> {
    for live_first in [true, false] {
        let flights = service(&memory().await).start().await?;
        let tower = tower(&flights);
        let live = seen("a", "IAH", 9);
        // By its key alone it would win.
        let made_up = seen("z", "somewhere", 9);
        let fill = tower.clone().synthetic();
        if live_first {
            tower.take(&live).await?;
            assert_eq!(fill.take(&made_up).await?.fate, Fate::Superseded);
        } else {
            fill.take(&made_up).await?;
            assert_eq!(tower.take(&live).await?.fate, Fate::Counted);
        }
        assert_eq!(at(&flights).await, "IAH", "live first: {live_first}");
        // A copy of the live message keeps the live one out neither before nor after it.
        let copy = seen("c", "JFK", 10);
        assert_eq!(fill.take(&copy).await?.fate, Fate::Counted);
        assert_eq!(tower.take(&copy).await?.fate, Fate::Counted);
        assert_eq!(fill.take(&copy).await?.fate, Fate::Repeated);
        flights.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_fact_counts_once_whoever_tells_it() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let tower = tower(&flights);
    let flew = Report {
        what: What::Flew { miles: 100 },
        ..seen("f", "", 0)
    };
    assert_eq!(
        tower.clone().synthetic().take(&flew).await?.fate,
        Fate::Counted
    );
    assert_eq!(tower.take(&flew).await?.fate, Fate::Repeated);
    let aircraft = flights.load::<Aircraft>("N1").await?;
    assert_eq!((aircraft.state().flights, aircraft.state().miles), (1, 100));
    flights.shutdown().await
}

/// A clock that tests turn.
#[derive(Clone, Default)]
struct Hand(std::sync::Arc<std::sync::atomic::AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_key_is_never_forgotten() -> Result<()> {
    let (store, hand) = (memory().await, Hand::default());
    let flights = service(&store).clock(hand.clone()).start().await?;
    let tower = tower(&flights);
    tower.take(&seen("a", "EWR", 5)).await?;
    hand.0.store(i64::MAX, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(store.forget_commands(hand.now(), 100).await?, 0);
    assert_eq!(tower.take(&seen("a", "EWR", 5)).await?.fate, Fate::Repeated);
    flights.shutdown().await
}

#[tokio::test]
async fn a_key_that_is_used_twice_is_noticed() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let tower = tower(&flights);
    tower.take(&seen("b", "IAH", 9)).await?;
    tower.take(&seen("a", "EWR", 5)).await?;
    for other in [seen("b", "JFK", 9), seen("a", "JFK", 5)] {
        let error = tower.take(&other).await.unwrap_err();
        assert_eq!(error.code(), "ES0277", "{error}");
        let trusting = tower.clone().trust_keys();
        assert_eq!(trusting.take(&other).await?.fate, Fate::Repeated);
    }
    // The time of the transport is no part of what the message says.
    assert_eq!(
        tower.take(&seen("b", "IAH", 10)).await?.fate,
        Fate::Repeated
    );
    flights.shutdown().await
}

#[tokio::test]
async fn what_has_no_place_is_refused() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let tower = tower(&flights);
    for key in ["", &"k".repeat(2000)] {
        let error = tower.take(&seen(key, "IAH", 9)).await.unwrap_err();
        assert_eq!(error.code(), "ES0276", "{error}");
    }
    let nobody = Report {
        aircraft: String::new(),
        ..seen("a", "IAH", 9)
    };
    assert_eq!(tower.take(&nobody).await.unwrap_err().code(), "ES0107");
    assert_eq!(tower.take_bytes(b"{").await.unwrap_err().code(), "ES0275");
    let unknown = Adapter::<Report>::new(
        &Service::builder("other")
            .store(memory().await)
            .start()
            .await?,
        "tower",
    );
    assert_eq!(unknown.unwrap_err().code(), "ES0124");
    assert_eq!(
        Adapter::<Report>::new(&flights, "").unwrap_err().code(),
        "ES0107"
    );
    let twice = service(&memory().await).adapt::<Aircraft>().start().await;
    assert_eq!(twice.unwrap_err().code(), "ES0126");
    flights.shutdown().await
}

fn event(key: &str, rank: Rank) -> AircraftEvent {
    #[derive(Serialize, Deserialize)]
    struct Ranked(String, Rank);
    impl Adapt for Ranked {
        type Entity = Aircraft;
        fn key(&self) -> String {
            self.0.clone()
        }
        fn entity(&self) -> String {
            "N1".to_owned()
        }
        fn rank(&self) -> Rank {
            self.1.clone()
        }
        fn becomes(&self, place: Place) -> AircraftEvent {
            let airport = self.0.clone();
            AircraftEvent::Seen { airport, place }
        }
    }
    let json = serde_json::json!({ "adapter": "tower", "key": key, "rank": rank });
    Ranked(key.to_owned(), rank).becomes(serde_json::from_value(json).unwrap())
}

#[test]
fn ranks_decide_by_what_they_say_alone() {
    use es_runtime::aggregate::given;
    let arrives = |event: AircraftEvent| Arrival::new(event);
    let time = |micros| Rank::state(Timestamp::from_micros(micros));
    let both = |micros, version| Rank::state((Timestamp::from_micros(micros), version));
    // Older, newer; the key breaks ties.
    for (older, newer) in [
        (event("z", Rank::state(1)), event("a", Rank::state(2))),
        (event("z", time(1)), event("a", time(2))),
        (event("z", both(1, 9)), event("a", both(2, 1))),
        (event("z", both(1, 1)), event("a", both(1, 2))),
        (event("a", time(1)), event("b", time(1))),
    ] {
        let late = older.clone().superseded();
        given::<Adapted<Aircraft>>([newer.clone()])
            .when(arrives(older.clone()))
            .then([late.clone()]);
        given::<Adapted<Aircraft>>([older.clone()])
            .when(arrives(newer.clone()))
            .then([newer.clone()]);
        // What came late changes nothing: the next one is judged by the newest.
        given::<Adapted<Aircraft>>([newer, late.clone()])
            .when(arrives(older))
            .then([late]);
    }
    // Without an order, the last one to arrive.
    let comes = |key| event(key, Rank::state_as_it_comes());
    given::<Adapted<Aircraft>>([comes("b")])
        .when(arrives(comes("a")))
        .then([comes("a")]);
    // Parts are apart.
    let [address, owner] = ["address", "owner"].map(|of| event("a", time(1).of(of)));
    given::<Adapted<Aircraft>>([address])
        .when(arrives(owner.clone()))
        .then([owner]);
    // What says a time and what says a version do not compare.
    for (known, come) in [
        (time(1), Rank::state(1)),
        (Rank::state(1), both(1, 1)),
        (time(1), Rank::state_as_it_comes()),
    ] {
        given::<Adapted<Aircraft>>([event("a", known)])
            .when(arrives(event("b", come)))
            .then_error(Misplaced::Mixed);
    }
}

/// An event whose author forgot what is late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "careless", aggregate = Careless)]
enum CarelessEvent {
    Is { place: Place },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "careless", event = CarelessEvent, command = NoCommand, error = std::fmt::Error)]
struct Careless;

impl Careless {
    fn on_is(&mut self, _: &Place) {}
}

impl Placed for CarelessEvent {
    fn place(&self) -> Option<&Place> {
        let Self::Is { place } = self;
        Some(place)
    }

    fn superseded(self) -> Self {
        self
    }
}

#[derive(Serialize, Deserialize)]
struct Is {
    version: u64,
    forgets: bool,
}

impl Adapt for Is {
    type Entity = Careless;

    fn key(&self) -> String {
        self.version.to_string()
    }

    fn entity(&self) -> String {
        "one".to_owned()
    }

    fn rank(&self) -> Rank {
        Rank::state(self.version)
    }

    fn becomes(&self, place: Place) -> CarelessEvent {
        let forgotten = Place::example("another");
        let place = if self.forgets { forgotten } else { place };
        CarelessEvent::Is { place }
    }
}

#[tokio::test]
async fn an_adapter_that_would_lose_the_order_is_refused() -> Result<()> {
    let service = Service::builder("careless").store(memory().await);
    let service = service.adapt::<Careless>().start().await?;
    let adapter = Adapter::<Is>::new(&service, "one")?;
    let is = |version, forgets| Is { version, forgets };
    adapter.take(&is(2, false)).await?;
    let late = adapter.take(&is(1, false)).await.unwrap_err();
    assert!(late.to_string().contains("answer another one"), "{late}");
    let lost = adapter.take(&is(3, true)).await.unwrap_err();
    assert!(
        lost.to_string()
            .contains("`becomes` must put it into the event"),
        "{lost}"
    );
    assert_eq!(service.load::<Careless>("one").await?.version(), 1);
    service.shutdown().await
}

#[tokio::test]
async fn a_crowd_of_messages_about_one_entity_is_taken() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let tower = tower(&flights);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..100 {
        let tower = tower.clone();
        running.spawn(async move {
            loop {
                let taken = tower.take(&seen(&format!("{n}"), &format!("{n}"), n)).await;
                match taken {
                    Err(error) if error.is_conflict() => tokio::time::sleep(Duration::ZERO).await,
                    taken => return taken.unwrap(),
                }
            }
        });
    }
    while running.join_next().await.is_some() {}
    assert_eq!(at(&flights).await, "99");
    assert_eq!(flights.load::<Aircraft>("N1").await?.version(), 100);
    flights.shutdown().await
}
