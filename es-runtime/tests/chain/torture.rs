//! Kills, suspends and cuts off whatever there is; and looks, whenever it is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::event::{Clock, Position};
use es_runtime::integration::{IntegrationEvent, stream_of};
use es_runtime::store::EventStore;
use es_runtime::testing::SimulatedClock;
use es_runtime::{Service, Store, consume};
use es_servers::{Postgres, Proxy, resume_process, suspend_process};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use crate::at_rest::{all, balances, between, remittances};
use crate::bank::{AccountEvent, v1};
use crate::chance::{seed, time};
use crate::children::{Answers, Running, be_a_child};
use crate::feeds::Feeds;
use crate::ledger;
use crate::people::{Hasty, Place};
use crate::remittance::{Bookings, RemittanceEvent, Requests};
use crate::sites::{self, Site};

/// How long nothing may move, also on a machine with much else to do, before it is called stuck.
const STUCK: Duration = Duration::from_secs(60);
/// How often it is quiet.
const QUIETS: u32 = 3;
const LEDGERS: usize = 2;

/// All that there is. What there is of each place is in the order of [`Place::ALL`].
struct Chain<S> {
    server: S,
    proxy: Proxy,
    feeds: [Feeds; 2],
    clock: Hasty,
    /// The databases of the places, and the ledger's.
    urls: [String; 3],
    answers: [Arc<Mutex<Answers>>; 2],
    /// The test in which processes are children.
    test: &'static str,
}

impl<S: Site> Chain<S> {
    /// An instance of a place's service.
    fn place(&self, n: usize) -> Running {
        let (clock, place) = (self.clock.to_string(), format!("{:?}", Place::ALL[n]));
        let say = [
            ("ES_PLACE", place.as_str()),
            ("ES_STORE", &self.urls[n]),
            ("ES_BROKER", &self.proxy.address()),
            ("ES_CLOCK", &clock),
            ("ES_FEED", self.feeds[1 - n].url()),
        ];
        Running::start(self.test, &say, &self.answers[n], &self.feeds[n])
    }

    fn ledger(&self) -> Running {
        let say = [
            ("ES_PLACE", "Ledger"),
            ("ES_STORE", &self.urls[2]),
            ("ES_BROKER", &self.proxy.address()),
            ("ES_FEED", self.feeds[0].url()),
        ];
        Running::start(self.test, &say, &Arc::default(), &self.feeds[0])
    }

    /// Strikes until `end`.
    async fn torture(
        &mut self,
        end: Instant,
        random: &mut Rng,
        did: &mut BTreeMap<&'static str, u32>,
    ) {
        let mut places: Vec<_> = (0..2).map(|n| self.place(n)).collect();
        let mut ledgers: Vec<_> = (0..LEDGERS).map(|_| self.ledger()).collect();
        while Instant::now() < end {
            // Some work is done between two blows.
            sleep(Duration::from_millis(random.u64(100..900))).await;
            let blow = match random.u32(..100) {
                0..25 => {
                    let n = random.usize(..places.len());
                    places.remove(n).kill().await;
                    places.insert(n, self.place(n));
                    "killed a service"
                }
                25..45 => {
                    let n = random.usize(..LEDGERS);
                    ledgers.remove(n).kill().await;
                    ledgers.insert(n, self.ledger());
                    "killed a ledger"
                }
                45..65 => {
                    let all: Vec<_> = places.iter().chain(&ledgers).collect();
                    let one = random.choice(all).unwrap();
                    suspend_process(one.pid());
                    sleep(Duration::from_millis(random.u64(200..3000))).await;
                    resume_process(one.pid());
                    "suspended one of them"
                }
                65..80 => {
                    self.proxy.cut();
                    "cut the connections"
                }
                80..87 => {
                    self.server.suspend();
                    sleep(Duration::from_millis(random.u64(100..3000))).await;
                    self.server.resume();
                    "suspended the broker"
                }
                87..94 => {
                    self.server.kill();
                    self.server.run();
                    "killed the broker"
                }
                _ => {
                    self.server.stop();
                    self.server.run();
                    "stopped the broker"
                }
            };
            *did.entry(blow).or_default() += 1;
        }
        for one in places.into_iter().chain(ledgers) {
            one.kill().await;
        }
    }

    /// Time stands still, everything comes to rest, and is compared.
    async fn quiet(&self, random: &mut Rng) -> String {
        let clock = SimulatedClock::new(self.clock.now());
        let broker = || S::broker(&self.proxy.address());
        let (mut services, mut hear) = (Vec::new(), Vec::new());
        for (n, place) in Place::ALL.into_iter().enumerate() {
            let store = Store::connect(&self.urls[n]).await.unwrap();
            let service = place.service(&store, clock.clone()).relay(broker());
            let service = service.start().await.unwrap();
            self.feeds[n].only(&service.feed_address().unwrap().to_string());
            // What was under way is done now, or was.
            let next = self.answers[n].lock().unwrap().next;
            let done = place.ask(&service, next).await;
            self.answers[n].lock().unwrap().hear(next, done);
            services.push(service);
        }
        for (n, place) in Place::ALL.into_iter().enumerate() {
            let (feed, random) = (self.feeds[1 - n].url(), random.fork());
            let hears = place.hear(&services[n], feed, broker(), random).await;
            hear.push(hears.unwrap());
        }
        let books = Store::connect(&self.urls[2]).await.unwrap();
        let ledger = ledger::start(&books, self.feeds[0].url(), broker(), random.fork());
        let ledger = ledger.await.unwrap();

        let [bank, transfers] = &services[..] else {
            unreachable!("there are two places");
        };
        let at_rest = async {
            rest(bank, transfers, &hear).await;
            for service in &services {
                service.relayed().await.unwrap();
            }
            let head = head::<v1::Accounts>(bank).await;
            reached(&ledger, head).await;
            head
        };
        let head = select! {
            head = at_rest => head,
            stuck = stuck(&services, [&hear[0], &hear[1], &ledger]) => panic!("{stuck}"),
        };
        let verified = timeout(STUCK, ledger.verify(..)).await;
        let verified = verified.expect("it is verified").unwrap();
        assert!(verified.agrees(), "{verified:?}");

        self.answered(bank, transfers).await;
        let accounts = balances(bank).await;
        let events = all::<AccountEvent>(bank.store()).await.unwrap();
        between(
            &events,
            accounts.values().sum(),
            remittances(transfers).await,
        );
        books_agree(bank, &books, accounts).await;
        ledger.stop().await.unwrap();
        for hears in hear {
            hears.stop().await.unwrap();
        }
        for service in services {
            service.shutdown().await.unwrap();
            service.store().close().await;
        }
        books.close().await;
        format!("{head} events in the ledger")
    }

    /// What was done is in the logs.
    async fn answered(&self, bank: &Service, transfers: &Service) {
        let accounts = all::<AccountEvent>(bank.store()).await.unwrap();
        let transfers = all::<RemittanceEvent>(transfers.store()).await.unwrap();
        let accounts = accounts.iter().map(|event| event.command_id);
        let transfers = transfers.iter().map(|event| event.command_id);
        let commands: BTreeSet<_> = accounts.chain(transfers).flatten().collect();
        for (place, answers) in Place::ALL.into_iter().zip(&self.answers) {
            for input in &answers.lock().unwrap().done {
                let is_there = commands.contains(&place.id(*input));
                assert!(is_there, "line {input} of {place:?} is lost");
            }
        }
    }
}

async fn head<E: IntegrationEvent>(service: &Service) -> Position {
    let head = service.store().published_head(&stream_of::<E>()).await;
    head.unwrap().position
}

/// Waits until a consumer has come so far, which it does unless it has ended.
async fn reached(consumer: &consume::Running, position: Position) {
    let reached = consumer.reached(position).await;
    reached.unwrap_or_else(|error| panic!("{error}: {:?}", consumer.progress()));
}

/// Waits until nothing has moved for long, and tells where all stand.
async fn stuck(services: &[Service], consumers: [&consume::Running; 3]) -> String {
    let (mut before, mut since) = (Vec::new(), Instant::now());
    while since.elapsed() < STUCK {
        let mut stand = Vec::new();
        for service in services {
            stand.push(service.store().head().await.unwrap());
            stand.extend(service.relays().iter().map(|(_, relay)| relay.cursor));
        }
        stand.extend(consumers.iter().map(|one| one.progress().position));
        if stand != before {
            (before, since) = (stand, Instant::now());
        }
        sleep(Duration::from_secs(1)).await;
    }
    let relays: Vec<_> = services.iter().map(Service::relays).collect();
    let progress = consumers.map(consume::Running::progress);
    format!("nothing moves any more: {before:?}, {relays:?}, {progress:?}")
}

/// Waits until nothing is left to do on either side.
async fn rest(bank: &Service, transfers: &Service, hear: &[consume::Running]) {
    loop {
        let heads = async || {
            let bank = bank.store().head().await.unwrap();
            (bank, transfers.store().head().await.unwrap())
        };
        let before = heads().await;
        transfers.settled().await.unwrap();
        reached(&hear[0], head::<Requests>(transfers).await).await;
        bank.settled().await.unwrap();
        reached(&hear[1], head::<Bookings>(bank).await).await;
        transfers.settled().await.unwrap();
        if heads().await == before {
            return;
        }
    }
}

/// The ledger has each event once, in the order of its account, and what the accounts have.
async fn books_agree(bank: &Service, books: &Store, mut accounts: BTreeMap<String, i64>) {
    let stream = stream_of::<v1::Accounts>();
    let published = bank
        .store()
        .read_published(&stream, Default::default(), usize::MAX);
    let mut expected = BTreeMap::<_, Vec<_>>::new();
    for event in published.await.unwrap() {
        let position = i64::try_from(event.position.get()).unwrap();
        expected.entry(event.subject).or_default().push(position);
    }
    let held = ledger::held(books).await;
    assert_eq!(held.handled, expected, "each once, in order");
    accounts.retain(|account, _| held.balances.contains_key(account));
    assert_eq!(held.balances, accounts);
}

async fn torture<S: Site>(urls: [String; 3], test: &'static str) {
    let Some((server, proxy)) = sites::start::<S>() else {
        return;
    };
    let mut random = Rng::with_seed(seed());
    let feeds = [
        Feeds::start(random.fork()).await,
        Feeds::start(random.fork()).await,
    ];
    let mut chain = Chain {
        server,
        proxy,
        feeds,
        clock: Hasty::new(),
        urls,
        answers: Default::default(),
        test,
    };
    let mut did = BTreeMap::new();
    for _ in 0..QUIETS {
        let end = Instant::now() + time() / QUIETS;
        chain.torture(end, &mut random, &mut did).await;
        println!("{}", chain.quiet(&mut random).await);
    }
    println!("{did:?}");
    let asked = |answers: &Arc<Mutex<Answers>>| answers.lock().unwrap().next;
    let asked: usize = chain.answers.iter().map(asked).sum();
    println!("{asked} commands");
    assert!(asked > 20, "nobody did anything");
}

fn files(folder: &TempDir) -> [String; 3] {
    let url = |name| format!("sqlite://{}", folder.path().join(name).display());
    [url("bank.db"), url("transfers.db"), url("ledger.db")]
}

macro_rules! tests {
    ($module:ident, $server:ty) => {
        mod $module {
            use super::*;

            const CHILD: &str = concat!("torture::", stringify!($module), "::a_child");

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "the other processes of the tests below"]
            async fn a_child() {
                be_a_child::<$server>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let folder = TempDir::new().unwrap();
                torture::<$server>(files(&folder), CHILD).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let server = Postgres::start();
                let urls = [(); 3].map(|()| server.database());
                torture::<$server>(urls, CHILD).await;
            }
        }
    };
}

#[cfg(feature = "rabbitmq")]
tests!(over_rabbitmq, es_servers::RabbitMq);
#[cfg(feature = "nats")]
tests!(over_nats, es_servers::Nats);
