//! The conformance suite for transports: the laws of [`Transport`] and [`Link`], each a check that a
//! wrong transport fails.
//!
//! ```
//! use es_runtime::publish::Route;
//! use es_runtime::testing::transports::{MemoryBroker, MemoryReader, Subject, check};
//!
//! struct Memory;
//!
//! impl Subject for Memory {
//!     type Transport = MemoryBroker;
//!     type Reader = MemoryReader;
//!     async fn fresh(&self) -> MemoryBroker { MemoryBroker::new() }
//!     async fn reader(&self, of: &MemoryBroker, route: &Route) -> MemoryReader {
//!         of.reader(&route.address())
//!     }
//!     async fn place(&self, of: &MemoryBroker, name: &str) -> MemoryReader { of.queue(name) }
//!     async fn cut(&self, of: &MemoryBroker) { of.cut() }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! check(&Memory).await.unwrap();
//! # }
//! ```

mod broker;

pub use broker::{MemoryBroker, MemoryLink, MemoryReader};

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::error::{Error, Result};
use crate::event::{Position, Timestamp};
use crate::publish::{Link, Message, Route, Transport};
use crate::store::{PublishedEvent, StreamVersion};

/// A kind of transport, as the suite needs it: with the eyes of those who read at the broker.
pub trait Subject: Sync {
    /// The transport.
    type Transport: Transport;
    /// Somebody who reads at the broker.
    type Reader: Reader;

    /// A transport to a part of the broker that nobody else uses.
    fn fresh(&self) -> impl Future<Output = Self::Transport> + Send;

    /// Somebody who reads all that is sent on the route from now on, as a consumer does.
    fn reader(
        &self,
        of: &Self::Transport,
        route: &Route,
    ) -> impl Future<Output = Self::Reader> + Send;

    /// A place to redeliver to, and who reads there.
    fn place(&self, of: &Self::Transport, name: &str) -> impl Future<Output = Self::Reader> + Send;

    /// Cuts all connections of the transport; the broker may notice a moment later.
    fn cut(&self, of: &Self::Transport) -> impl Future<Output = ()> + Send;
}

/// Somebody who reads at the broker.
pub trait Reader: Send {
    /// The next message's body; nothing if none comes for a while.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// A law that the transport breaks, and how.
#[derive(Debug)]
pub struct Violation {
    law: &'static str,
    what: String,
}

impl Violation {
    /// The law's name.
    pub fn law(&self) -> &'static str {
        self.law
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the transport breaks the law `{}`: {}",
            self.law, self.what
        )
    }
}

impl std::error::Error for Violation {}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self {
            law: "it answers",
            what: error.to_string(),
        }
    }
}

type Check = std::result::Result<(), Violation>;

/// Fails the law `$law` unless `$holds`.
macro_rules! law {
    ($law:expr, $holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(Violation { law: $law, what: format!($($what)+) });
        }
    };
}

/// How long a broker may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long at most a broker under test knows an event again that comes a second time.
pub const DOUBLES: Duration = Duration::from_millis(500);
const MANY: u64 = 300;

/// Checks every law on fresh transports.
///
/// # Errors
/// The first law that is broken.
pub async fn check<S: Subject>(subject: &S) -> std::result::Result<(), Violation> {
    what_is_confirmed_has_arrived(subject).await?;
    a_dropped_wait_loses_nothing(subject).await?;
    two_links_never_mix(subject).await?;
    who_was_replaced_sends_nothing(subject).await?;
    redelivery_reaches_one_place(subject).await
}

fn route(stream: &str) -> Route {
    let (stream, version) = (stream.to_owned(), 2);
    Route::new("bank", StreamVersion { stream, version })
}

/// A message whose bytes no JSON library would write itself.
fn message(route: &Route, position: u64) -> Result<Message> {
    let event = PublishedEvent {
        position: Position::new(position),
        source: Position::new(position * 2),
        event_type: "bank.account-opened.v2".to_owned(),
        subject: "it's ü".to_owned(),
        payload: format!("{{\"n\" : {position}.0,  \"text\":\"\\u00fc\"}}"),
        metadata: None,
        time: Timestamp::from_micros(1_700_000_000_000_001),
        recorded: Timestamp::from_micros(1_700_000_000_000_002),
        salt: [3; 16],
        hash: [7; 32],
    };
    Message::new(route, event)
}

async fn send<L: Link>(link: &mut L, route: &Route, range: RangeInclusive<u64>) -> Result<()> {
    for position in range {
        link.send(message(route, position)?).await?;
    }
    Ok(())
}

/// Waits until all up to `to` is confirmed.
async fn confirmed<L: Link>(link: &mut L, to: u64) -> Check {
    const LAW: &str = "confirmations rise, up to what was sent";
    let mut told = 0;
    while told < to {
        let waiting = timeout(PATIENCE, link.confirmed()).await;
        law!(
            LAW,
            waiting.is_ok(),
            "{to} were sent, and after {told} came nothing"
        );
        let place = waiting.map_or(Ok(Position::START), |told| told)?.get();
        law!(
            LAW,
            told < place && place <= to,
            "after {told} came {place}, of {to}"
        );
        told = place;
    }
    Ok(())
}

/// Opens a link, when the broker has noticed that the one before is gone.
async fn reopen<T: Transport>(transport: &T, route: &Route) -> Result<T::Link> {
    let end = Instant::now() + PATIENCE;
    loop {
        match transport.open(route).await {
            Err(error) if error.is_transient() && Instant::now() < end => {}
            answer => return answer,
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// All that comes, as positions; an event whose bytes are others is 0.
async fn read<R: Reader>(reader: &mut R, route: &Route) -> Result<Vec<u64>> {
    let mut read = Vec::new();
    while let Some(body) = reader.next().await {
        let text = String::from_utf8_lossy(&body).into_owned();
        let digits = text.split("\"sequence\":\"").nth(1).unwrap_or_default();
        let place: u64 = digits
            .split('"')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or_default();
        let same = place > 0 && message(route, place)?.body == body;
        read.push(if same { place } else { 0 });
    }
    Ok(read)
}

async fn what_is_confirmed_has_arrived<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "what is confirmed has arrived, in order and as it was";
    let (transport, accounts, cards) = (subject.fresh().await, route("accounts"), route("cards"));
    let mut link = transport.open(&accounts).await?;
    let mut other = transport.open(&cards).await?;
    let mut reader = subject.reader(&transport, &accounts).await;
    // Others are neither heard nor disturbed.
    send(&mut other, &cards, 1..=3).await?;
    send(&mut link, &accounts, 1..=MANY).await?;
    confirmed(&mut link, MANY).await?;
    confirmed(&mut other, 3).await?;
    // Whoever is lost right after a confirmation loses nothing of it.
    subject.cut(&transport).await;
    let expected: Vec<_> = (1..=MANY).collect();
    let found = read(&mut reader, &accounts).await?;
    law!(
        LAW,
        found == expected,
        "1 to {MANY} were confirmed, and {found:?} arrived"
    );
    Ok(())
}

async fn a_dropped_wait_loses_nothing<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a dropped wait loses no confirmation";
    let (transport, route) = (subject.fresh().await, route("accounts"));
    let mut link = transport.open(&route).await?;
    send(&mut link, &route, 1..=20).await?;
    let (mut told, end) = (0, Instant::now() + PATIENCE);
    while told < 20 {
        // Asked once and dropped, again and again.
        let asked = poll_fn(|context| Poll::Ready(pin!(link.confirmed()).poll(context)));
        let Poll::Ready(place) = asked.await else {
            law!(
                LAW,
                Instant::now() < end,
                "{told} of 20 were told, then nothing"
            );
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        let place = place?.get();
        law!(
            LAW,
            told < place && place <= 20,
            "after {told} came {place}, of 20"
        );
        told = place;
    }
    Ok(())
}

async fn two_links_never_mix<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "two links of a route never mix";
    let (transport, accounts) = (subject.fresh().await, route("accounts"));
    let mut link = transport.open(&accounts).await?;
    let mut reader = subject.reader(&transport, &accounts).await;
    send(&mut link, &accounts, 1..=5).await?;
    confirmed(&mut link, 5).await?;
    match transport.open(&accounts).await {
        Err(error) => {
            law!(
                LAW,
                error.is_held(),
                "while there is one, a second was {error}"
            );
            link.close().await;
        }
        Ok(mut newer) => {
            send(&mut newer, &accounts, 6..=20).await?;
            confirmed(&mut newer, 20).await?;
            // Longer than a broker remembers doubles: a process may be suspended for hours.
            sleep(DOUBLES).await;
            let older = async {
                send(&mut link, &accounts, 6..=9).await?;
                link.confirmed().await
            };
            timeout(Duration::from_secs(5), older).await.ok();
            newer.close().await;
        }
    }
    let found = read(&mut reader, &accounts).await?;
    let whole = found.iter().copied().eq(1..=found.len() as u64);
    law!(LAW, whole, "there arrived {found:?}");
    // Other routes are other ones. Closed or dropped, a link is gone, in a moment.
    let next = transport.open(&accounts).await;
    law!(
        LAW,
        next.is_ok(),
        "after the first was closed: {:?}",
        next.map(drop)
    );
    drop((next, transport.open(&route("cards")).await?));
    reopen(&transport, &accounts).await?;
    Ok(())
}

async fn who_was_replaced_sends_nothing<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "who was replaced sends nothing";
    let (transport, route) = (subject.fresh().await, route("accounts"));
    let mut old = transport.open(&route).await?;
    let mut reader = subject.reader(&transport, &route).await;
    send(&mut old, &route, 1..=5).await?;
    confirmed(&mut old, 5).await?;
    // On its way, or lost.
    send(&mut old, &route, 6..=9).await.ok();
    subject.cut(&transport).await;
    // What was on its way may come in between: then the new one tries again, as a relay does.
    let end = Instant::now() + PATIENCE;
    while let Err(error) = anew(&transport, &route, 6..=30).await {
        let again = error.is_transient() && Instant::now() < end;
        law!(LAW, again, "the new one cannot send: {error}");
    }
    // Whether it hears of it or not: nothing of it arrives.
    let late = async {
        send(&mut old, &route, 10..=12).await?;
        old.confirmed().await
    };
    timeout(Duration::from_secs(5), late).await.ok();
    let found = read(&mut reader, &route).await?;
    // Each goes on where the one before was, or goes back; the new one ends it.
    let all: BTreeSet<_> = found.iter().copied().collect();
    let runs = found.first() == Some(&1) && found.windows(2).all(|two| two[1] <= two[0] + 1);
    let whole = all.into_iter().eq(1..=30) && found.last() == Some(&30);
    law!(LAW, runs && whole, "there arrived {found:?}");
    Ok(())
}

/// Sends with a link of its own, until all is confirmed.
async fn anew<T: Transport>(
    transport: &T,
    route: &Route,
    range: RangeInclusive<u64>,
) -> Result<()> {
    let (mut link, to) = (reopen(transport, route).await?, *range.end());
    send(&mut link, route, range).await?;
    while link.confirmed().await?.get() < to {}
    link.close().await;
    Ok(())
}

async fn redelivery_reaches_one_place<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a redelivery reaches one place alone";
    let (transport, route) = (subject.fresh().await, route("accounts"));
    let mut link = transport.open(&route).await?;
    let mut reader = subject.reader(&transport, &route).await;
    let mut place = subject.place(&transport, "mail").await;
    send(&mut link, &route, 1..=9).await?;
    confirmed(&mut link, 9).await?;
    let again = [2, 3, 7].map(|position| message(&route, position));
    let again = again.into_iter().collect::<Result<Vec<_>>>()?;
    // Also while the relay is at work.
    transport.redeliver("mail", again.clone()).await?;
    send(&mut link, &route, 10..=11).await?;
    confirmed(&mut link, 11).await?;
    let found = read(&mut place, &route).await?;
    law!(
        LAW,
        found == [2, 3, 7],
        "2, 3 and 7 were sent again, and {found:?} arrived"
    );
    let found = read(&mut reader, &route).await?;
    law!(
        LAW,
        found.iter().copied().eq(1..=11),
        "the others read {found:?}"
    );
    let nowhere = transport.redeliver("nobody-made-this", again).await;
    law!(
        LAW,
        nowhere.is_err(),
        "there is no such place, and it was {nowhere:?}"
    );
    Ok(())
}
