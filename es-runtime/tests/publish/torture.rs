//! Instances are killed and suspended, and with them the feeds that they serve; brokers are stopped,
//! killed and suspended, connections cut, at random. In the end each stream version has what was
//! acknowledged, and plain readers at the broker and at the feeds have it too: each event, in order,
//! the same bytes however often it came.

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::event::CommandId;
use es_runtime::integration::{CloudEvent, StreamHash};
use es_runtime::store::{EventStore, StreamVersion};
use es_runtime::{Builder, Service, Store};
use es_servers::{Proxy, kill_process, resume_process, suspend_process};
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::chance::{seed, time};
use crate::domain::{Account, deposit, open, v1, v2};
use crate::readers::{Places, Reader};

/// A broker, as the torture treats it.
pub(crate) trait Stage {
    /// Gives the service its transport; `address` is where it is to be found.
    fn relay(builder: Builder, address: &str) -> Builder;
    /// Through which the instances go.
    fn proxy(&self) -> &Proxy;
    /// Makes what plain readers need, before anything is sent.
    async fn prepare(&self);
    /// All that was sent to `address`, in the order in which it came.
    async fn read_all(&self, address: &str) -> Vec<Vec<u8>>;
    fn run(&mut self);
    fn stop(&mut self);
    fn kill(&mut self);
    fn suspend(&self);
    fn resume(&self);
}

const ACCOUNTS: usize = 3;
const INSTANCES: usize = 2;

fn bank(store: &Store) -> Builder {
    Service::builder("bank")
        .store(store.clone())
        .lease(Duration::from_secs(1))
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>()
        .serve("127.0.0.1:0")
}

fn account(input: usize) -> String {
    format!("account-{}", input % ACCOUNTS)
}

fn command(instance: usize, input: usize) -> CommandId {
    CommandId::of(format!("input-{instance}:{input}"))
}

/// An instance: works through its input from a line on, and says what is done.
pub(crate) async fn work<S: Stage>() {
    let variable = |name: &str| env::var(name).unwrap();
    let store = Store::connect(&variable("ES_STORE")).await.unwrap();
    let bank = S::relay(bank(&store), &variable("ES_BROKER"))
        .start()
        .await
        .unwrap();
    say(&format!("feed {}", bank.feed_address().unwrap()));
    let instance = variable("ES_INSTANCE").parse().unwrap();
    for input in variable("ES_FROM").parse().unwrap().. {
        loop {
            let done = bank
                .execute::<Account>(account(input), deposit(1))
                .id(command(instance, input))
                .await;
            match done {
                Ok(_) => break,
                Err(error) => assert!(error.is_transient() || error.is_conflict(), "{error}"),
            }
        }
        say(&format!("ack {input}"));
    }
}

/// To the one who started this instance.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// An instance from outside, and how many of its commands were acknowledged.
struct Instance {
    child: Child,
    acknowledged: Arc<Mutex<usize>>,
}

impl Instance {
    fn start(
        test: &str,
        number: usize,
        store: &str,
        broker: &str,
        done: &Arc<Mutex<usize>>,
        feeds: &Places,
    ) -> Self {
        let from = done.lock().unwrap().to_string();
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .envs([
                ("ES_STORE", store),
                ("ES_BROKER", broker),
                ("ES_INSTANCE", &number.to_string()),
                ("ES_FROM", &from),
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (acknowledged, feeds) = (done.clone(), feeds.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(feed) = line.strip_prefix("feed ") {
                    feeds.add(feed);
                }
                if let Some(input) = line.strip_prefix("ack ") {
                    let mut done = acknowledged.lock().unwrap();
                    assert_eq!(input.parse(), Ok(*done));
                    *done += 1;
                }
            }
        });
        Self {
            child,
            acknowledged: done.clone(),
        }
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    async fn kill(mut self) -> usize {
        kill_process(self.pid());
        self.child.wait().await.unwrap();
        // What was said before is read to the end.
        while Arc::strong_count(&self.acknowledged) > 2 {
            tokio::task::yield_now().await;
        }
        *self.acknowledged.lock().unwrap()
    }
}

/// Tortures, and looks what became of it. `test` is the instance's own test.
pub(crate) async fn torture<S: Stage>(mut stage: S, url: &str, test: &str) {
    let mut random = Rng::with_seed(seed());
    stage.prepare().await;
    let store = Store::connect(url).await.unwrap();
    let address = stage.proxy().address();
    let teller = bank(&store).start().await.unwrap();
    for n in 0..ACCOUNTS {
        teller
            .execute::<Account>(account(n), open("Alice"))
            .await
            .unwrap();
    }
    teller.shutdown().await.unwrap();

    let done: Vec<_> = (0..INSTANCES).map(|_| Arc::new(Mutex::new(0))).collect();
    let feeds = Places::default();
    let start = |n: usize| Instance::start(test, n, url, &address, &done[n], &feeds);
    let mut instances: Vec<_> = (0..INSTANCES).map(start).collect();
    let readers = [
        Reader::start(&feeds, "accounts/v1", false, random.fork()),
        Reader::start(&feeds, "accounts/v2", true, random.fork()),
    ];
    let end = Instant::now() + time();
    let mut did = BTreeMap::<&str, u32>::new();
    while Instant::now() < end {
        // Some work is done between two blows.
        sleep(Duration::from_millis(random.u64(100..900))).await;
        let n = random.usize(..INSTANCES);
        let blow = match random.u32(..100) {
            0..30 => {
                instances.remove(n).kill().await;
                instances.insert(n, start(n));
                "killed an instance"
            }
            30..55 => {
                suspend_process(instances[n].pid());
                sleep(Duration::from_millis(random.u64(200..4000))).await;
                resume_process(instances[n].pid());
                "suspended an instance"
            }
            55..75 => {
                stage.proxy().cut();
                "cut the connections"
            }
            75..85 => {
                stage.suspend();
                sleep(Duration::from_millis(random.u64(100..4000))).await;
                stage.resume();
                "suspended the broker"
            }
            85..93 => {
                stage.kill();
                stage.run();
                "killed the broker"
            }
            _ => {
                stage.stop();
                stage.run();
                "stopped the broker"
            }
        };
        *did.entry(blow).or_default() += 1;
    }
    println!("{did:?}");
    let mut acknowledged = 0;
    let bank = S::relay(bank(&store), &address).start().await.unwrap();
    feeds.only(&bank.feed_address().unwrap().to_string());
    for (n, instance) in instances.into_iter().enumerate() {
        let next = instance.kill().await;
        // What was under way is done now, or was.
        let last = bank
            .execute::<Account>(account(next), deposit(1))
            .id(command(n, next));
        last.await.unwrap();
        acknowledged += next + 1;
    }
    bank.caught_up().await.unwrap();
    let relayed = timeout(Duration::from_secs(120), bank.relayed()).await;
    relayed.expect("the broker gets all").unwrap();
    println!("{acknowledged} commands");
    assert!(acknowledged > INSTANCES, "nobody did anything");

    let events = (acknowledged + ACCOUNTS) as u64;
    let mut read = Vec::new();
    for reader in readers {
        read.push(reader.read(acknowledged + ACCOUNTS).await);
    }
    bank.shutdown().await.unwrap();
    assert_eq!(
        store.head().await.unwrap().get(),
        events,
        "acknowledged, and in the log"
    );
    for (version, read) in [1, 2].into_iter().zip(read) {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version,
        };
        let head = store.published_head(&stream).await.unwrap();
        assert_eq!(head.position.get(), events, "positions of {stream}");
        let received = stage.read_all(&format!("accounts.v{version}")).await;
        println!("{stream}: {} received", received.len());
        let hash = judge(received, events);
        assert_eq!(hash, StreamHash::from_bytes(head.hash), "{stream}");
        assert_eq!(read.len() as u64, events, "the feed gives nothing twice");
        assert_eq!(judge(read, events), hash, "{stream} over the feed");
    }
}

/// Each event, in order, doubles only as the same bytes again; answers the hash of them all.
fn judge(received: Vec<Vec<u8>>, events: u64) -> StreamHash {
    let (mut bodies, mut hash) = (Vec::<Vec<u8>>::new(), StreamHash::default());
    let mut before = 0;
    for body in received {
        let event: CloudEvent = serde_json::from_slice(&body).unwrap();
        let place = event.position().unwrap().get();
        // A relay goes on where it was, or goes back to what was not confirmed: who jumps ahead was
        // mixed with another one, or left something out.
        assert!(place <= before + 1, "after {before} came {place}");
        before = place;
        match bodies.get(usize::try_from(place).unwrap() - 1) {
            Some(known) => assert_eq!(*known, body, "another event came as {}", event.id),
            None => {
                hash = event.proof(hash).unwrap();
                assert_eq!(hash.to_string(), event.streamhash);
                bodies.push(body);
            }
        }
    }
    assert_eq!(bodies.len() as u64, events, "received, without doubles");
    hash
}
