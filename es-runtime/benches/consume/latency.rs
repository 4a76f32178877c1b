//! How long after a command its effect is committed in another service, and where the time goes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Consumer, Feed, Handler, HandlerError, Page, Source};
use es_runtime::event::Position;
use es_runtime::integration::Received;
use es_runtime::postgres::sqlx;
use es_runtime::prelude::*;
use es_runtime::publish::RabbitMq;
use es_runtime::store::{EventStore, StreamCursor, StreamVersion, Tx};
use es_runtime::{Result, Service, Store};
use es_servers::Postgres;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::Size;
use crate::child::{Child, answer, number};
use crate::measure::{Round, Work};
use crate::pace::{now, paced};
use crate::report::Report;

const RATE: usize = 200;

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened { owner: String },
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Open { owner: String },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = fmt::Error)]
struct Account;

impl Account {
    fn open(&self, owner: String) -> Result<AccountEvent, fmt::Error> {
        Ok(AccountEvent::Opened { owner })
    }

    fn on_opened(&mut self, _: &String) {}
}

#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Accounts {
    AccountOpened { owner: String },
}

impl Publish<Account> for Accounts {
    fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
        let AccountEvent::Opened { owner } = &event.data;
        let owner = owner.clone();
        Self::AccountOpened { owner }
    }
}

/// When a command was asked for and acknowledged, by its account.
type Asked = Arc<Mutex<HashMap<String, [i64; 2]>>>;

struct Teller {
    bank: Service,
    asked: Asked,
}

impl Work for Teller {
    async fn once(&mut self, n: usize) {
        let (id, owner) = (n.to_string(), "somebody".to_owned());
        let asked = now();
        let open = AccountCommand::Open { owner };
        let opened = self.bank.execute::<Account>(id.as_str(), open).await;
        opened.expect("an account");
        let mut all = self.asked.lock().expect("no panic");
        all.insert(id, [asked, now()]);
    }
}

pub(crate) async fn remote(server: &Postgres, name: &str, size: Size, report: &mut Report) {
    over(server, None, &format!("{name} by the feed"), size, report).await;
    match es_servers::RabbitMq::start() {
        Ok(broker) => {
            let address = Some(broker.address());
            over(
                server,
                address,
                &format!("{name} by RabbitMQ"),
                size,
                report,
            )
            .await;
        }
        Err(why) => report.note(format!("{name} by RabbitMQ was not measured: {why}")),
    }
}

fn broker(address: &str) -> RabbitMq {
    RabbitMq::at(format!("amqp://{address}/%2f")).exchange("bench")
}

async fn over(
    server: &Postgres,
    address: Option<String>,
    name: &str,
    size: Size,
    report: &mut Report,
) {
    let store = Store::connect(&server.database()).await.expect("the store");
    let bank = Service::builder("bench")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, Accounts>()
        .serve("127.0.0.1:0");
    let bank = match &address {
        Some(address) => bank.relay(broker(address)),
        None => bank,
    };
    let bank = bank.start().await.expect("the service");
    let (inbox, feed) = (server.database(), bank.feed_address().expect("a feed"));
    let address = address.as_deref().unwrap_or("none");
    let child = block_in_place(|| Child::start(&format!("consume {inbox} {feed} {address}")));
    let (count, asked) = (RATE * 5 * size.rounds, Asked::default());
    let teller = |_| Teller {
        bank: bank.clone(),
        asked: asked.clone(),
    };
    paced(&mut (0..32).map(teller).collect(), RATE, count).await;
    let seen = block_in_place(|| {
        let mut child = child;
        child.tell(&count.to_string());
        child.hear()
    });
    bank.shutdown().await.expect("a clean end");
    store.close().await;

    let asked = asked.lock().expect("no panic");
    let mut parts: [Vec<Duration>; 6] = Default::default();
    for seen in seen.split(';') {
        let mut words = seen.split(' ');
        let [asked, acknowledged] = asked[words.next().expect("an account")];
        let moment = |word: &str| word.parse().expect("a moment");
        let [published, heard, handled, committed] = words.map(moment).collect::<Vec<i64>>()[..]
        else {
            panic!("not the four moments of an event");
        };
        let way = [asked, acknowledged, published, heard, handled, committed];
        for (part, ends) in parts.iter_mut().zip(way.windows(2)) {
            part.push(micros(ends[1] - ends[0]));
        }
        parts[5].push(micros(committed - asked));
    }
    assert_eq!(parts[5].len(), count, "every event, once");
    let at = |part: usize, percent| {
        let round = Round::timed(parts[part].clone(), Duration::from_secs(1));
        let time = round.percentile(percent).expect("some");
        time.as_secs_f64() * 1000.0
    };
    report.note(format!(
        "latency {name} p50 {:.2} p99 {:.2} ms from the command to its effect's commit (bound 30 at \
         p50): p50 of the parts: acknowledged {:.2}, published {:.2}, heard {:.2}, handled {:.2}, \
         committed {:.2} ms",
        at(5, 50),
        at(5, 99),
        at(0, 50),
        at(1, 50),
        at(2, 50),
        at(3, 50),
        at(4, 50),
    ));
}

/// None where the next one was faster: an event may be published before its command is answered.
fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

/// What is known of each event in the other service: account, published, heard, handled, committed.
type Seen = Arc<Mutex<Vec<(String, [i64; 4])>>>;

fn note(seen: &Seen, position: Position, change: impl FnOnce(&mut (String, [i64; 4]))) {
    let index = usize::try_from(position.get()).expect("a position") - 1;
    let mut seen = seen.lock().expect("no panic");
    if seen.len() <= index {
        seen.resize(index + 1, Default::default());
    }
    change(&mut seen[index]);
}

/// Notes when events were heard of.
struct Ears<S>(S, Seen);

impl<S: Source> Source for Ears<S> {
    fn introduce(&mut self, consumer: &str) {
        self.0.introduce(consumer);
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let page = self.0.read(stream, after, limit, wait).await?;
        let at = now();
        for event in &page.events {
            note(&self.1, event.position().expect("a position"), |seen| {
                seen.0 = event.subject.clone();
                (seen.1[0], seen.1[1]) = (event.recordedtime.as_micros(), at);
            });
        }
        Ok(page)
    }
}

struct Letters(Seen);

impl Handler<Accounts> for Letters {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        let table = "CREATE TABLE IF NOT EXISTS letter (account TEXT PRIMARY KEY, owner TEXT)";
        sqlx::query(table).execute(tx.postgres()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        note(&self.0, event.position, |seen| seen.1[2] = now());
        let Accounts::AccountOpened { owner } = &event.data;
        let insert = sqlx::query("INSERT INTO letter VALUES ($1, $2)");
        let insert = insert.bind(&event.subject).bind(owner);
        insert.execute(tx.postgres()?).await?;
        Ok(())
    }
}

/// What the other process does.
pub(crate) fn job(job: &str) {
    let ["consume", inbox, feed, address] = job.split(' ').collect::<Vec<_>>()[..] else {
        panic!("`{job}` is no job");
    };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(consume(inbox, feed, address));
}

async fn consume(inbox: &str, feed: &str, address: &str) {
    let (inbox, seen) = (
        Store::connect(inbox).await.expect("an inbox"),
        Seen::default(),
    );
    let (feed, consumer) = (
        Feed::http(format!("http://{feed}")),
        Consumer::new("letters", inbox),
    );
    let running = match address {
        "none" => {
            let consumer = consumer.stream::<Accounts>(Ears(feed, seen.clone()));
            consumer.handle(Letters(seen.clone())).start().await
        }
        address => {
            let source = Ears(feed.with_broker(broker(address)), seen.clone());
            let consumer = consumer.stream::<Accounts>(source);
            consumer.handle(Letters(seen.clone())).start().await
        }
    };
    let running = Arc::new(running.expect("a consumer"));
    let (watched, noted) = (running.clone(), seen.clone());
    let watching = tokio::spawn(async move {
        for position in (1..).map(Position::new) {
            watched.reached(position).await.expect("the event");
            note(&noted, position, |seen| seen.1[3] = now());
        }
    });
    block_in_place(|| {
        answer(|count| {
            let last = Position::new(number(count) as u64);
            let all = async {
                running.reached(last).await.expect("all events");
                while seen
                    .lock()
                    .expect("no panic")
                    .last()
                    .is_none_or(|seen| seen.1[3] == 0)
                {
                    tokio::task::yield_now().await;
                }
            };
            tokio::runtime::Handle::current().block_on(all);
            let seen = seen.lock().expect("no panic");
            let words = |(account, moments): &(String, [i64; 4])| {
                let [published, heard, handled, committed] = moments;
                format!("{account} {published} {heard} {handled} {committed}")
            };
            seen.iter().map(words).collect::<Vec<_>>().join(";")
        });
    });
    watching.abort();
}
