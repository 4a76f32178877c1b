//! The commands `es projections …`: what they print, how they end, and what they refuse.

mod domain;
mod mask;

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{Account, AccountEvent, deposit, open, v1, v2};
use es_runtime::prelude::*;
use es_runtime::store::{Change, Comparison, EventStore, Phase, ProjectionId, RowQuery};
use es_runtime::{Builder, Service, Store};
use es_servers::Postgres;
use mask::mask;
use serde_json::Value;
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
    fn run(&self, command: &str) -> Said {
        self.args(&command.split(' ').collect::<Vec<_>>())
    }

    fn args(&self, args: &[&str]) -> Said {
        let mut es = Command::new(env!("CARGO_BIN_EXE_es"));
        es.arg("projections").args(args).args(["--store", &self.0]);
        let Output {
            status,
            stdout,
            stderr,
        } = es.stdin(Stdio::null()).output().unwrap();
        let code = status.code().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, error) = (text(stdout), text(stderr));
        Said { code, out, error }
    }

    /// What a command says that does what it was asked.
    fn does(&self, command: &str) -> String {
        let said = self.run(command);
        assert!(
            said.code == 0 && said.error.is_empty(),
            "{command}: {said:?}"
        );
        mask(&said.out)
    }

    fn refuses(&self, command: &str, code: i32, why: &str) {
        let said = self.run(command);
        let right = said.code == code && said.error.contains(why);
        assert!(right && said.out.is_empty(), "{command}: {said:?}");
        assert!(said.error.starts_with("projections: "), "{said:?}");
    }
}

/// A log of its own in SQLite.
fn sqlite() -> (Cli, TempDir) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    (Cli(url), folder)
}

fn bank(store: &Store) -> Builder {
    let bank = Service::builder("bank").store(store.clone());
    bank.heartbeat(Duration::from_millis(50), Duration::from_secs(30))
        .aggregate::<Account>()
        .project::<AccountEvent, v1::Balance>()
}

fn with_v2(bank: Builder) -> Builder {
    bank.project::<AccountEvent, v2::Balance>()
}

fn balances(version: u32) -> ProjectionId {
    let id = ProjectionId::from(&v1::Balance::TABLE);
    ProjectionId { version, ..id }
}

/// The release with version 1, and then the one with both.
async fn deployed(store: &Store) -> Service {
    let before = bank(store).start().await.unwrap();
    before.caught_up().await.unwrap();
    for name in ["alice", "bob"] {
        before.execute::<Account>(name, open(name)).await.unwrap();
        before.execute::<Account>(name, deposit(100)).await.unwrap();
    }
    before.caught_up().await.unwrap();
    before.shutdown().await.unwrap();
    let after = with_v2(bank(store)).start().await.unwrap();
    after.caught_up().await.unwrap();
    after
}

/// A comparison of version 2 with version 1, as an instance would record it.
fn comparison(position: u64, differing: u64) -> Change {
    let sample = match differing {
        0 => "[]",
        _ => r#"[{"key": "bob", "old": "{amount: 100}", "new": null}]"#,
    };
    let text = format!(
        r#"{{"with": 1, "position": {position}, "keys": 2, "expected": 0, "differing": {differing},
            "sample": {sample}, "by": "bank-7-00000000", "began": "2999-01-01T00:00:00Z",
            "at": "2999-01-01T00:00:00Z"}}"#
    );
    let found: Comparison = serde_json::from_str(&text).unwrap();
    Change::Compared(Box::new(found))
}

async fn phases(store: &Store) -> Vec<(u32, Phase)> {
    let all = store.projections().await.unwrap().into_iter();
    all.map(|(id, state)| (id.version, state.phase)).collect()
}

async fn a_whole_life(cli: &Cli) {
    cli.refuses("list", 1, "there is no log yet");
    let store = Store::connect(&cli.0).await.unwrap();
    assert_eq!(
        cli.does("list"),
        "the log is at position 0\nno instance has ever run a projection on it"
    );
    let service = deployed(&store).await;
    assert_eq!(
        cli.does("list"),
        "the log is at position 4\n\
         \n\
         PROJECTION  KIND  PHASE  SINCE  CURSOR  LAG  RUN BY  READ BY  COMPARED  PARKED\n\
         balances@1  read model  live  <n> s ago  4  0  <who>  -  -  -\n\
         balances@2  read model  shadow  <n> s ago  4  0  <who>  -  -  -"
    );
    // Nobody has compared them.
    cli.refuses(
        "promote balances@2",
        1,
        "it was not compared with version 1",
    );
    cli.refuses("diff balances@2 --recorded", 1, "was never compared");
    cli.refuses(
        "diff balances@2 --wait 0s",
        1,
        "no comparison came within 0 s",
    );
    let state = store.projection(&balances(2)).await.unwrap().unwrap();
    assert!(state.comparison_wanted);

    // They differ where they should not.
    store
        .change(&balances(2), &comparison(4, 1), "bank")
        .await
        .unwrap();
    let said = cli.run("diff balances@2 --recorded");
    assert_eq!(said.code, 1);
    assert_eq!(
        mask(&said.out),
        "balances@2 compared with balances@1 at position 4, <n> s ago by <who>\n  \
           2 keys: 0 differ as declared, 1 differs that should not\n  \
           bob\n    \
             balances@1  {amount: 100}\n    \
             balances@2  no row"
    );
    cli.refuses("promote balances@2", 1, "1 of 2 rows differ from version 1");
    assert!(cli.does("list").contains("1 differs"));

    // They are the same.
    store
        .change(&balances(2), &comparison(4, 0), "bank")
        .await
        .unwrap();
    assert_eq!(
        cli.does("diff balances@2 --recorded"),
        "balances@2 compared with balances@1 at position 4, <n> s ago by <who>\n  \
           2 keys: all the same"
    );
    cli.refuses("promote balances@2 --compared-within 0s", 1, "too long ago");
    assert_eq!(
        cli.does("promote balances@2 --by anna"),
        "balances@2 is live; balances@1 is deprecated and goes on beside it"
    );
    assert_eq!(
        phases(&store).await,
        [(1, Phase::Deprecated), (2, Phase::Live)]
    );
    assert_eq!(cli.does("promote balances@2"), "balances@2 is live already");

    // And back, and there again.
    cli.refuses("rollback balances@1 --reason no", 1, "it is not live");
    let said = cli.args(&["rollback", "balances", "--reason", "the report is wrong"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            0,
            "balances@1 is live again; balances@2 is shadow and waits beside it\n"
        )
    );
    assert_eq!(phases(&store).await, [(1, Phase::Live), (2, Phase::Shadow)]);
    cli.args(&[
        "promote",
        "balances@2",
        "--force",
        "--reason",
        "it was right",
    ]);

    // Version 1 is taken out of the code.
    cli.refuses("retire balances@1", 2, "say --yes");
    cli.refuses("retire balances@1 --yes", 1, "take it out of the code");
    cli.refuses("retire balances@2 --yes", 1, "it is live");
    service.shutdown().await.unwrap();
    assert_eq!(
        phases(&store).await,
        [(1, Phase::Deprecated), (2, Phase::Live)]
    );
    let retired = "balances@1 is retired, and its rows are gone";
    assert_eq!(
        cli.does("retire balances@1 --unseen-for 0s --yes --by anna"),
        retired
    );
    // Said twice, it is done once.
    assert_eq!(cli.does("retire balances@1"), retired);
    let rows = store
        .query_rows(&v1::Balance::TABLE, &RowQuery::all())
        .await;
    assert!(rows.is_err(), "{rows:?}");
    assert_eq!(
        cli.does("show balances@1"),
        "balances@1  read model\n\
         phase  retired since <day> <time> (<n> s ago)\n\
         run by  <who>, seen <n> s ago\n\
         read by  nobody\n\
         reacts  to the events after 0, up to 4\n\
         \n\
         its life\n  \
           <day> <time>  complete  is live  at 0  by <who>\n  \
           <day> <time>  promote  is deprecated  at 4  by anna\n  \
           <day> <time>  roll back  is live  at 4  by <who>  “the report is wrong”\n  \
           <day> <time>  promote  is deprecated  at 4  by <who>  “it was right”\n  \
           <day> <time>  retire  is retired  at 4  by anna"
    );
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
async fn a_comparison_is_waited_for() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let service = deployed(&store).await;
    // What an instance does that knows how to compare.
    let comparer = store.clone();
    let instance = tokio::spawn(async move {
        loop {
            let state = comparer.projection(&balances(2)).await.unwrap().unwrap();
            if state.comparison_wanted {
                let found = comparison(4, 0);
                return comparer.change(&balances(2), &found, "bank").await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    });
    let said = cli.does("diff balances@2 --wait 60s");
    assert!(said.ends_with("2 keys: all the same"), "{said}");
    instance.await.unwrap();
    service.shutdown().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_stands_still_and_goes_on() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let service = deployed(&store).await;
    let said = cli.args(&["pause", "balances@2", "--reason", "the disk is full"]);
    assert_eq!(said.out, "balances@2 stands still until it is resumed\n");
    let receipt = service.execute::<Account>("bob", deposit(1)).await.unwrap();
    let view = service.view::<v1::Balance>().after(receipt);
    view.get("bob").await.unwrap();
    let said = cli.does("list balances@2");
    let note = "\nbalances@2 stands still, since <n> s ago: the disk is full";
    assert!(said.contains("  4  1  ") && said.ends_with(note), "{said}");
    cli.refuses(
        "promote balances@2 --force --reason now",
        1,
        "the disk is full",
    );
    cli.refuses(
        "diff balances@2 --wait 0s",
        1,
        "stands still: the disk is full",
    );
    cli.refuses("pause balances@2", 2, "say --reason");

    assert_eq!(cli.does("resume balances@2"), "balances@2 goes on");
    service.caught_up().await.unwrap();
    assert!(cli.does("list balances@2").contains("  5  0  "));
    service.shutdown().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_built_anew() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let service = deployed(&store).await;
    cli.refuses("rebuild balances@2 --yes", 2, "say --reason");
    cli.refuses("rebuild balances@2 --reason bug", 2, "say --yes");
    cli.refuses("rebuild balances@1 --reason bug --yes", 1, "it is live");
    let said = cli.does("rebuild balances@2 --reason bug --yes");
    assert_eq!(said, "balances@2 is shadow: built from 4 events in 0 s");
    let rows = store
        .query_rows(&v2::Balance::TABLE, &RowQuery::all())
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    service.shutdown().await.unwrap();

    // Whoever could build it is gone.
    let said = cli.does("rebuild balances@2 --reason bug --yes --wait 0s");
    assert_eq!(said, "balances@2 is being built");
    let said = cli.does("list balances@2");
    assert!(
        said.contains("  building  ") && said.contains(" events/s on average, "),
        "{said}"
    );
    let wait = "rebuild balances@2 --reason bug --yes --wait 1s";
    cli.refuses(wait, 1, "goes on by itself");
    store.close().await;
}

/// Whether the code was mended that fails with 13.
static MENDED: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "sums", version = 1)]
struct Sum {
    sum: i64,
}

impl Fold<AccountEvent> for Sum {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let sum = row.map_or(0, |row| row.sum);
        Some(match event.data {
            AccountEvent::Deposited { amount: 13 } if !MENDED.load(Ordering::SeqCst) => {
                panic!("13 brings bad luck")
            }
            AccountEvent::Deposited { amount } => Self { sum: sum + amount },
            _ => Self { sum },
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_keys_are_tried_again_or_given_up() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let service = bank(&store).project::<AccountEvent, Sum>().start();
    let service = service.await.unwrap();
    assert_eq!(cli.does("parked"), "no key is parked");
    for name in ["alice", "bob", "carol"] {
        service.execute::<Account>(name, open(name)).await.unwrap();
        for amount in [1, 13, 2] {
            service
                .execute::<Account>(name, deposit(amount))
                .await
                .unwrap();
            if name == "carol" {
                break;
            }
        }
    }
    service.caught_up().await.unwrap();
    assert_eq!(
        cli.does("parked"),
        "PROJECTION  KEY  SINCE  AT  WAITING  TRIED  WHY\n\
         sums@1  alice  <n> s ago  3  2 events  once  it panicked: 13 brings bad luck\n\
         sums@1  bob  <n> s ago  7  2 events  once  it panicked: 13 brings bad luck"
    );
    assert!(cli.does("list sums").ends_with("  2 keys"));
    assert!(
        cli.does("show sums@1")
            .contains("\nparked  2 keys: `projections parked sums@1`\n")
    );
    let json = cli.does("parked sums@1 --json");
    let begins = r#"{"projection":"sums@1","key":"alice","position":3,"since":"#;
    assert!(
        json.starts_with(begins) && json.lines().count() == 2,
        "{json}"
    );

    // The code is as it was.
    cli.refuses(
        "retry sums@1 --key carol",
        1,
        "`carol` of `sums@1` is not parked",
    );
    let why =
        "no key of sums@1 is up to date again\nstill parked:\n  alice: it panicked: 13 brings";
    cli.refuses("retry sums@1 --key alice", 1, why);
    assert!(cli.does("parked sums@1").contains("  2 times  "));

    // Bob's is given up; what comes later is folded again.
    cli.refuses("drop sums@1 --reason no", 2, "say --key");
    cli.refuses("drop sums@1 --key bob --reason no", 2, "say --yes");
    let dropped = "drop sums@1 --key bob --reason no --yes";
    assert_eq!(
        cli.does(dropped),
        "2 events of `bob` are given up; sums@1 goes on with it from the next one"
    );
    cli.refuses(dropped, 1, "`bob` of `sums@1` is not parked");
    let receipt = service.execute::<Account>("bob", deposit(5)).await.unwrap();
    let bob = service
        .view::<Sum>()
        .after(receipt)
        .get("bob")
        .await
        .unwrap();
    assert_eq!(bob, Some(Sum { sum: 6 }));

    // Alice's code is mended.
    MENDED.store(true, Ordering::SeqCst);
    assert_eq!(
        cli.does("retry sums@1"),
        "1 key of sums@1 is up to date again"
    );
    let alice = service.view::<Sum>().get("alice").await.unwrap();
    assert_eq!(alice, Some(Sum { sum: 16 }));
    cli.refuses("retry sums@1", 1, "no key of `sums@1` is parked");
    let kept = "“`bob` goes on without 2 events from position 7: no”";
    let life = cli.does("show sums@1");
    assert!(life.contains(kept), "{life}");
    service.shutdown().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_json() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let service = deployed(&store).await;
    store
        .change(&balances(2), &comparison(4, 0), "bank")
        .await
        .unwrap();
    service.shutdown().await.unwrap();
    let said = cli.does("list --json");
    let lines: Vec<Value> = said
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    // The fields and their names stay as they are: programs rely on them.
    let begins = r#"{"projection":"balances@2","kind":"read-model","name":"balances","version":2,"phase":"shadow","since":"#;
    assert!(said.lines().nth(1).unwrap().starts_with(begins), "{said}");
    let two = &lines[1];
    for (field, is) in [
        ("cursor", 4.into()),
        ("head", 4.into()),
        ("lag", 0.into()),
        ("owners", Value::Array(Vec::new())),
        ("read", Value::Null),
        ("paused", Value::Null),
        ("failures", Value::Array(Vec::new())),
        ("comparison_wanted", false.into()),
    ] {
        assert_eq!(two.get(field), Some(&is), "{field}: {two}");
    }
    assert!(
        two["run"]["who"].as_str().unwrap().starts_with("bank-"),
        "{two}"
    );
    assert_eq!(two["comparison"]["keys"], 2);
    assert!(two.get("build").is_none());

    let one: Value = serde_json::from_str(&cli.does("show balances@1 --json")).unwrap();
    assert_eq!(one["phase"], "live");
    assert_eq!(one["slices"][0]["slices"], serde_json::json!([0, 1024]));
    assert_eq!(one["slices"][0]["cursor"], 4);
    assert_eq!(
        one["reacts"],
        serde_json::json!([{"after": 0, "until": null}])
    );
    assert_eq!(one["life"][0]["what"], "complete");
    assert_eq!(cli.does("show balances --json").lines().count(), 2);

    let found: Value =
        serde_json::from_str(&cli.does("diff balances@2 --recorded --json")).unwrap();
    assert_eq!(
        (&found["with"], &found["differing"]),
        (&1.into(), &0.into())
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_is_found_or_missed() {
    let (cli, _folder) = sqlite();
    let store = Store::connect(&cli.0).await.unwrap();
    let named = "no instance has ever run `balances@1` on this log, nor any other";
    cli.refuses("show balances@1", 1, named);
    let service = deployed(&store).await;
    service.shutdown().await.unwrap();
    cli.refuses("show balances@3", 1, "there is balances@1, balances@2");
    cli.refuses(
        "show balance",
        1,
        "`balance` on this log; there is balances@1, balances@2",
    );
    // A stream of the same name.
    let stream = es_runtime::store::StreamVersion {
        stream: "balances".into(),
        version: 1,
    };
    store.prepare_stream(&stream).await.unwrap();
    cli.refuses("show balances@1", 2, "say --kind read-model or stream");
    assert!(
        cli.does("show balances@1 --kind stream")
            .starts_with("balances@1  stream\n")
    );
    assert!(
        cli.does("show balances@2")
            .starts_with("balances@2  read model\n")
    );
    cli.refuses("diff balances@1 --kind stream", 1, "are never compared");
    store.close().await;
}

#[test]
fn what_is_not_understood_is_said() {
    let (cli, folder) = sqlite();
    for help in ["--help", "list --help", "help"] {
        assert!(cli.does(help).contains("usage: projections COMMAND"));
    }
    for (command, why) in [
        ("dance", "there is no command `projections dance`"),
        ("promote", "say which: NAME@VERSION"),
        (
            "promote balances",
            "say which version: balances@1, balances@2",
        ),
        ("promote balances@two", "`two` is no version"),
        ("promote @2", "has no name"),
        (
            "promote balances@2 --force",
            "say --force and --reason together",
        ),
        (
            "promote balances@2 --reason why",
            "say --force and --reason together",
        ),
        ("promote balances@2 --yes", "invalid option '--yes'"),
        ("promote balances@2 --compared-within soon", "90d"),
        ("list a b", "unexpected argument"),
        ("list --kind table", "say read-model, stream or process"),
        ("rollback balances", "say --reason"),
        ("drop balances@1 --key a", "say --reason"),
        ("list --key a", "invalid option '--key'"),
        ("diff balances@2 --recorded --wait 1s", "leave --wait out"),
    ] {
        cli.refuses(command, 2, why);
    }
    for (url, why) in [
        ("memory:", "ends with its process"),
        ("mysql://a", "[ES0112]"),
    ] {
        Cli(url.to_owned()).refuses("list", 1, why);
    }
    // Nothing of this made a log.
    cli.refuses("list", 1, "there is no log yet");
    assert!(!folder.path().join("bank.db").exists());
    let es = Command::new(env!("CARGO_BIN_EXE_es"))
        .args(["projections", "list"])
        .output();
    let es = es.unwrap();
    let error = String::from_utf8_lossy(&es.stderr);
    assert_eq!(es.status.code(), Some(2));
    assert!(error.contains("say --store and the log's URL"), "{error}");
}
