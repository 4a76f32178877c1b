//! The commands `es streams …`: what they print, how they end, and what they refuse.

mod domain;
mod mask;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use domain::{Account, deposit, open, v1, v2};
use es_runtime::event::Position;
use es_runtime::store::{
    Change, EventStore, Phase, ProjectionId, Reading, RelayClaim, RelayId, RelayMove, RelayState,
    StreamVersion,
};
use es_runtime::{Service, Store};
use es_servers::Postgres;
use mask::mask;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How a command ends, and what it says: to those who read on, and to those who wonder.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    error: String,
}

/// The commands on one log. They wait for the database, which tasks of the test may hold meanwhile: its
/// runtime has several threads.
struct Cli(String);

impl Cli {
    fn es(&self, command: &str) -> Command {
        let mut es = Command::new(env!("CARGO_BIN_EXE_es"));
        es.arg("streams").args(command.split(' '));
        es.args(["--store", &self.0]).stdin(Stdio::null());
        es
    }

    fn run(&self, command: &str) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = self.es(command).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: status.code().unwrap(),
            out: text(stdout),
            error: text(stderr),
        }
    }

    /// What a command says that does what it was asked.
    fn does(&self, command: &str) -> String {
        let said = self.run(command);
        let right = said.code == 0 && said.error.is_empty();
        assert!(right, "{command}: {said:?}");
        said.out
    }

    fn shows(&self, command: &str) -> String {
        hide(&mask(&self.does(command)))
    }

    fn lines(&self, command: &str) -> Vec<Value> {
        let said = self.does(command);
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn refuses(&self, command: &str, code: i32, why: &str) {
        let said = self.run(command);
        let right = said.code == code && said.error.contains(why);
        assert!(right && said.out.is_empty(), "{command}: {said:?}");
        assert!(said.error.starts_with("streams: "), "{said:?}");
    }
}

/// The text with every hash as `<hash>`, and how long something waits as `<n> s`.
fn hide(text: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let lines = text.lines().map(|line| {
        let words = line.split(' ');
        let words = words.map(|word| if is_hash(word) { "<hash>" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (0..60).fold(text, |text, n| {
        text.replace(&format!("  {n} s  feed"), "  <n> s  feed")
    })
}

fn sqlite() -> (Cli, TempDir) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    (Cli(url), folder)
}

fn accounts(version: u32) -> StreamVersion {
    let stream = "accounts".to_owned();
    StreamVersion { stream, version }
}

/// A bank that publishes three events on both versions of its stream.
async fn bank(store: &Store) -> Service {
    let bank = Service::builder("bank")
        .namespace("dk.example")
        .store(store.clone())
        .heartbeat(Duration::from_millis(50), Duration::from_secs(30))
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>();
    let bank = bank.start().await.unwrap();
    // Complete before the first event.
    bank.caught_up().await.unwrap();
    bank.execute::<Account>("alice", open("Alice"))
        .await
        .unwrap();
    for amount in [5, 6] {
        bank.execute::<Account>("alice", deposit(amount))
            .await
            .unwrap();
    }
    bank.caught_up().await.unwrap();
    bank
}

fn reading(consumer: &str, position: u64, hash: Option<[u8; 32]>) -> Reading {
    Reading {
        consumer: consumer.to_owned(),
        stream: accounts(1),
        position: Position::new(position),
        hash,
        via: "feed".to_owned(),
    }
}

async fn phase(store: &Store, version: u32) -> Phase {
    let id = ProjectionId::from(&accounts(version));
    store.projection(&id).await.unwrap().unwrap().phase
}

async fn a_whole_life(cli: &Cli) {
    cli.refuses("list", 1, "there is no log yet");
    let store = Store::connect(&cli.0).await.unwrap();
    assert_eq!(
        cli.shows("list"),
        "the log is at position 0\nno instance has ever published a stream from it"
    );
    let bank = bank(&store).await;
    assert_eq!(
        cli.shows("list"),
        "the log is at position 3\n\
         \n\
         STREAM  PHASE  SINCE  EVENTS  LAG  CONSUMERS  BEHIND  SUNSET  RUN BY\n\
         accounts@1  live  <n> s ago  3  0  0  -  -  <who>\n\
         accounts@2  live  <n> s ago  3  0  0  -  -  <who>"
    );

    // Who reads, and what they hold.
    assert_eq!(
        cli.shows("consumers"),
        "nobody who gave a name has read yet"
    );
    let held = store
        .read_published(&accounts(1), Position::new(1), 1)
        .await
        .unwrap()[0]
        .hash;
    let readings = [reading("mail", 2, Some(held)), reading("stats", 3, None)];
    store.note_consumers(&readings).await.unwrap();
    assert_eq!(
        cli.shows("consumers accounts"),
        "CONSUMER  STREAM  POSITION  BEHIND  WAITING  VIA  FIRST SEEN  LAST SEEN\n\
         mail  accounts@1  2  1  <n> s  feed  <n> s ago  <n> s ago\n\
         stats  accounts@1  3  0  -  feed  <n> s ago  <n> s ago"
    );
    assert!(cli.shows("list accounts@1").contains("  3  0  2  1  -  "));

    // It is told before it ends.
    assert_eq!(
        cli.shows("deprecate accounts@1 --sunset 2999-01-31 --by anna"),
        "accounts@1 is deprecated: its readers are told to move to another version, and that it may \
         be gone from <day> on"
    );
    assert!(cli.shows("list accounts@1").contains("  deprecated  "));
    let life = cli.shows("show accounts@1");
    assert_eq!(
        life,
        "accounts@1  stream\n\
         phase  deprecated since <day> <time> (<n> s ago)\n\
         sunset  may be gone from <day> on\n\
         events  3\n\
         hash  <hash>\n\
         cursor  3 of 3 in the log\n\
         run by  <who>\n\
         read by  2 consumers\n\
         retire?  cannot retire `accounts@1`: `mail` read it by feed up to position 2 at <time>, \
         `stats` read it by feed up to position 3 at <time>, less than <n> s ago: have them move to \
         another version, and retire it when they are silent for so long [ES0125]\n\
         \n\
         its consumers\n  \
           CONSUMER  STREAM  POSITION  BEHIND  WAITING  VIA  FIRST SEEN  LAST SEEN\n  \
           mail  accounts@1  2  1  <n> s  feed  <n> s ago  <n> s ago\n  \
           stats  accounts@1  3  0  -  feed  <n> s ago  <n> s ago\n\
         \n\
         its life\n  \
           <day> <time>  complete  is live  at 0  by <who>\n  \
           <day> <time>  deprecate  is deprecated  at 3  by anna  “may be gone from <time> on”"
    );

    // It ends when nobody reads it, and the day has come, while the bank runs.
    cli.refuses(
        "retire accounts@1 --yes",
        1,
        "`mail` read it by feed up to position 2 at",
    );
    cli.refuses("retire accounts@1 --check", 1, "`stats` read it by feed");
    let silent = "accounts@1 --unread-for 0s";
    cli.refuses(
        &format!("retire {silent} --yes"),
        1,
        "it was promised until 2999-01-31",
    );
    // A mistake is taken back, and the right thing said.
    assert_eq!(
        cli.shows("reinstate accounts@1 --by anna"),
        "accounts@1 is live again: its readers are told to move no more, unless the code says so"
    );
    assert_eq!(phase(&store, 1).await, Phase::Live);
    assert!(!cli.shows("show accounts@1").contains("sunset"));
    cli.refuses(
        "reinstate accounts@1",
        1,
        "no command deprecated it: it is live",
    );
    cli.does("deprecate accounts@1 --sunset 2020-01-01");
    assert_eq!(
        cli.shows(&format!("retire {silent} --check")),
        "accounts@1 may be retired: nobody reads it"
    );
    cli.refuses(&format!("retire {silent}"), 2, "say --yes");
    assert_eq!(phase(&store, 1).await, Phase::Deprecated);
    let retired = "accounts@1 is retired: whoever asks for it is told that it is gone";
    assert_eq!(cli.shows(&format!("retire {silent} --yes")), retired);
    assert_eq!(phase(&store, 1).await, Phase::Retired);
    // Said twice, it is done once.
    assert_eq!(cli.shows("retire accounts@1"), retired);
    cli.refuses("deprecate accounts@1", 1, "it is retired");
    cli.refuses("reinstate accounts@1", 1, "it is retired");
    // The other version goes on.
    bank.execute::<Account>("alice", deposit(7)).await.unwrap();
    bank.caught_up().await.unwrap();
    let list = cli.shows("list");
    assert!(
        list.contains("accounts@1  retired  <n> s ago  3  -  2  "),
        "{list}"
    );
    assert!(
        list.contains("accounts@2  live  <n> s ago  4  0  0  "),
        "{list}"
    );

    // Under a reader only for a reason, which is kept.
    let mail = Reading {
        stream: accounts(2),
        ..reading("mail", 4, None)
    };
    store.note_consumers(&[mail]).await.unwrap();
    let forced = "retire accounts@2 --yes --force --reason shut";
    cli.does(forced);
    assert!(cli.shows("show accounts@2").ends_with("  by <who>  “shut”"));
    bank.shutdown().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_in_sqlite() {
    let (cli, _folder) = sqlite();
    a_whole_life(&cli).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_in_postgres() {
    let server = Postgres::start();
    a_whole_life(&Cli(server.database())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_printed_as_they_come() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let bank = bank(&store).await;
    let ids = |events: &[Value]| -> Vec<String> {
        let ids = events
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let events = cli.lines("tail accounts@2 --no-follow");
    assert_eq!(
        ids(&events),
        ["accounts.v2-1", "accounts.v2-2", "accounts.v2-3"]
    );
    assert_eq!(events[0]["source"], "urn:es:bank:accounts:v2");
    assert_eq!(events[0]["type"], "dk.example.account-opened.v2");
    let one = cli.lines("tail accounts@2 --after 1 --limit 1");
    assert_eq!(ids(&one), ["accounts.v2-2"]);
    let other = cli.lines("tail accounts@2 --after 2 --no-follow --service other");
    assert_eq!(other[0]["source"], "urn:es:other:accounts:v2");
    cli.refuses("tail accounts@2 --after 4", 1, "ends at position 3");

    // Whoever follows is woken.
    let mut tail = cli.es("tail accounts@2 --after 3 --limit 2");
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    for (position, amount) in [(4, 7), (5, 8)] {
        bank.execute::<Account>("alice", deposit(amount))
            .await
            .unwrap();
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["id"], format!("accounts.v2-{position}"));
    }
    assert!(lines.next().is_none());
    assert!(tail.wait().unwrap().success());
    bank.shutdown().await.unwrap();

    // Nobody is told of one that is not complete, nor kept waiting for one that is over.
    store.prepare_stream(&accounts(3)).await.unwrap();
    cli.refuses("tail accounts@3", 1, "is still being built");
    let retire = Change::Retire {
        quiet: Duration::ZERO,
        forced: None,
    };
    store
        .change(&(&accounts(2)).into(), &retire, "test")
        .await
        .unwrap();
    assert_eq!(cli.lines("tail accounts@2").len(), 5);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_compared_with_what_was_published() {
    let (cli, folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let bank = bank(&store).await;
    bank.shutdown().await.unwrap();
    let events = store
        .read_published(&accounts(1), Position::START, 10)
        .await
        .unwrap();
    let hash = |n: usize| es_runtime::integration::StreamHash::from_bytes(events[n].hash);
    let readings = [
        reading("mail", 2, Some(events[1].hash)),
        reading("stats", 3, Some([7; 32])),
    ];
    store.note_consumers(&readings[..1]).await.unwrap();
    let right = format!(
        "accounts@1: 3 events from position 1 to 3, as published\n  the hash there is {}\n",
        hash(2)
    );
    assert_eq!(
        cli.does("verify accounts@1"),
        format!("{right}  mail holds the same at 2\n")
    );
    let held = format!("verify accounts@1 --at 3 --hash {}", hash(2));
    let said = cli.does(&held);
    assert!(said.ends_with("  --hash holds the same at 3\n"), "{said}");
    let part = cli.lines("verify accounts@1 --after 1 --until 2 --json");
    assert_eq!(
        part,
        [json!({
            "stream": "accounts@1", "after": 1, "until": 2, "hash": hash(1).to_string(),
            "breach": null,
            "held": [{"who": "mail", "position": 2, "hash": hash(1).to_string(), "same": true}],
        })]
    );

    // Somebody holds something else.
    let said = cli.run(&format!("verify accounts@1 --at 3 --hash {}", hash(0)));
    assert_eq!(said.code, 1);
    let other = format!("  --hash holds something else at 3: {}\n", hash(0));
    assert!(said.out.ends_with(&other), "{said:?}");
    store.note_consumers(&readings[1..]).await.unwrap();
    let said = cli.run("verify accounts@1");
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("  stats holds something else at 3: 0707"),
        "{said:?}"
    );
    for (command, code, why) in [
        (
            "verify accounts@1 --until 4",
            1,
            "ends at position 3: nobody can hold position 4",
        ),
        (
            "verify accounts@1 --after 3 --until 2",
            1,
            "nothing is between",
        ),
        (
            "verify accounts@1 --at 3",
            2,
            "say --at and --hash together",
        ),
        (
            "verify accounts@1 --at 3 --hash 7",
            2,
            "a hash is 64 hexadecimal digits",
        ),
    ] {
        cli.refuses(command, code, why);
    }
    let outside = format!("verify accounts@1 --after 2 --at 1 --hash {}", hash(0));
    cli.refuses(&outside, 1, "say --at within it");
    store.close().await;

    // Somebody changed what was published: a payload, and then an event is gone.
    let change = |statement: &str| {
        let database = rusqlite::Connection::open(folder.path().join("bank.db")).unwrap();
        assert_eq!(database.execute(statement, []).unwrap(), 1);
    };
    let one = "WHERE stream = 'accounts' AND version = 1 AND position = 2";
    change(&format!("UPDATE es_published SET payload = '{{}}' {one}"));
    let said = cli.run("verify accounts@1");
    assert_eq!(said.code, 1);
    let breach = "position 2 is not as published: the event makes the hash ";
    assert!(said.out.contains(breach), "{said:?}");
    assert!(
        said.out
            .starts_with("accounts@1: 1 event from position 1 to 1, "),
        "{said:?}"
    );
    // What comes after it hangs together.
    assert_eq!(cli.run("verify accounts@1 --after 2 --until 2").code, 0);
    change(&format!("DELETE FROM es_published {one}"));
    let said = cli.run("verify accounts@1");
    let gone = "position 2 is not as published: no event is there\n";
    assert!(said.code == 1 && said.out.ends_with(gone), "{said:?}");
    assert_eq!(cli.run("verify accounts@2").code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_json() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let bank = bank(&store).await;
    bank.shutdown().await.unwrap();
    store
        .note_consumers(&[reading("mail", 2, None)])
        .await
        .unwrap();
    // The fields and their names stay as they are: programs rely on them.
    let fields = |value: &Value| -> Vec<String> {
        let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort_unstable();
        fields
    };
    let own = "consumers cursor hash head lag name owners phase read run since standstill stream \
               sunset version";
    let list = cli.lines("list --json");
    assert_eq!(list.len(), 2);
    assert_eq!(fields(&list[0]).join(" "), own);
    for (field, is) in [
        ("stream", json!("accounts@1")),
        ("name", json!("accounts")),
        ("version", json!(1)),
        ("phase", json!("live")),
        ("sunset", Value::Null),
        ("head", json!(3)),
        ("cursor", json!(3)),
        ("lag", json!(0)),
        ("consumers", json!(1)),
    ] {
        assert_eq!(list[0][field], is, "{field}");
    }
    let show = cli.lines("show accounts@1 --json");
    let mut more: Vec<_> = own.split(' ').collect();
    more.extend(["life", "may_retire", "readers", "relays", "why_not"]);
    more.sort_unstable();
    assert_eq!(fields(&show[0]), more);
    assert_eq!(show[0]["may_retire"], false);
    assert!(
        show[0]["why_not"]
            .as_str()
            .unwrap()
            .contains("`mail` read it")
    );
    let consumers = cli.lines("consumers --json");
    assert_eq!(consumers, show[0]["readers"].as_array().unwrap().clone());
    assert_eq!(
        fields(&consumers[0]).join(" "),
        "consumer first_seen hash head lag lag_seconds last_seen position stream via"
    );
    assert_eq!(
        (&consumers[0]["lag"], &consumers[0]["via"]),
        (&json!(1), &json!("feed"))
    );
    store.close().await;
}

#[test]
fn what_is_not_understood_is_said() {
    let (cli, folder) = sqlite();
    for help in ["--help", "list --help", "help"] {
        assert!(cli.does(help).contains("usage: streams COMMAND"));
    }
    for (command, why) in [
        ("dance", "there is no command `streams dance`"),
        ("tail", "say which: NAME@VERSION"),
        (
            "retire accounts",
            "say which version: accounts@1, accounts@2",
        ),
        (
            "retire accounts@1 --force",
            "say --force and --reason together",
        ),
        (
            "retire accounts@1 --check --force --reason a",
            "leave --check out",
        ),
        (
            "deprecate accounts@1 --sunset soon",
            "say a day, 2027-01-31",
        ),
        ("deprecate accounts@1 --yes", "invalid option '--yes'"),
        ("tail accounts@1 --after x", "x"),
        (
            "redeliver accounts@1 --positions 3..1",
            "positions are numbers and ranges",
        ),
        (
            "redeliver accounts@1 --positions 3",
            "say --positions, --to and --broker",
        ),
        ("list a b", "unexpected argument"),
    ] {
        cli.refuses(command, 2, why);
    }
    assert!(!folder.path().join("bank.db").exists());
    let misused = cli.run("dance").error;
    assert!(
        misused.ends_with("; `streams --help` shows what there is\n"),
        "{misused}"
    );
}

/// What went out over brokers is shown, and why not.
#[tokio::test(flavor = "multi_thread")]
async fn relays_are_shown() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    bank(&store).await.shutdown().await.unwrap();
    let relay = RelayId {
        transport: "rabbitmq".to_owned(),
        stream: accounts(1),
    };
    let (owner, lease) = ("bank-1".to_owned(), Duration::from_secs(60));
    let claim = RelayClaim {
        relay,
        owner,
        lease,
    };
    let RelayState { relay, epoch, .. } = store.claim_relay(&claim).await.unwrap();
    let (from, to) = (Position::START, Position::new(2));
    let step = RelayMove {
        relay,
        epoch,
        from,
        to,
    };
    store.advance_relay(&step).await.unwrap();
    let shown = cli.does("show accounts@1");
    let line = "2, 1 event behind over rabbitmq, by bank-1";
    assert!(shown.contains(line), "{shown}");
    assert!(!cli.does("show accounts@2").contains("rabbitmq"));
    let noting = store.note_relay_failure(&step.relay, epoch, "it is away");
    noting.await.unwrap();
    store.release("bank-1").await.unwrap();
    let shown = cli.does("show accounts@1");
    let line = "2, 1 event behind over rabbitmq, by nobody now: it is away (";
    assert!(shown.contains(line), "{shown}");
    let found = &cli.lines("show accounts@1 --json")[0]["relays"][0];
    assert_eq!(found["transport"], "rabbitmq");
    assert_eq!((&found["position"], &found["lag"]), (&json!(2), &json!(1)));
    assert_eq!(found["failure"]["reason"], "it is away");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_streams_are_meant() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    bank(&store).await.shutdown().await.unwrap();
    cli.refuses(
        "show balances",
        1,
        "`balances` on this log; there is accounts@1, accounts@2",
    );
    cli.refuses("tail accounts@3", 1, "there is accounts@1, accounts@2");
    store.close().await;
}

/// To one queue, which a plain client reads, and to no other.
#[cfg(feature = "rabbitmq")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_sent_again_to_one_queue() {
    use lapin::options::{BasicGetOptions, QueueDeclareOptions};
    use lapin::{Connection, ConnectionProperties};

    let server = match es_servers::RabbitMq::start() {
        Ok(server) => server,
        Err(why) => return es_servers::skip(&why),
    };
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    bank(&store).await.shutdown().await.unwrap();
    let url = format!("amqp://{}/%2f", server.address());
    let broker = Connection::connect(&url, ConnectionProperties::default()).await;
    let broker = broker.unwrap();
    let channel = broker.create_channel().await.unwrap();
    for queue in ["mail", "other"] {
        let new = channel.queue_declare(
            queue.into(),
            QueueDeclareOptions::default(),
            Default::default(),
        );
        new.await.unwrap();
    }
    let to = |place: &str| {
        format!("redeliver accounts@1 --positions 2..3,1 --to {place} --broker {url}")
    };
    assert_eq!(
        cli.does(&to("mail")),
        "sent 3 events of `accounts@1` again, to `mail` alone\n"
    );
    let next = async |queue: &str| {
        let got = channel.basic_get(queue.into(), BasicGetOptions::default());
        let body = got.await.unwrap()?.delivery.data;
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["source"], "urn:es:bank:accounts:v1");
        Some(event["id"].as_str().unwrap().to_owned())
    };
    for position in [2, 3, 1] {
        assert_eq!(next("mail").await, Some(format!("accounts.v1-{position}")));
    }
    assert_eq!((next("mail").await, next("other").await), (None, None));
    cli.refuses(&to("nobody"), 1, "ES0204");
    let beyond = to("mail").replace("2..3,1", "1,99");
    cli.refuses(&beyond, 1, "ES0205");
    assert_eq!(next("mail").await, None);
}
