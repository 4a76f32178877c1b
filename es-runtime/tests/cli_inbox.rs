//! The commands `es inbox …`: what they print, how they end, and what they refuse.

mod domain;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use domain::{Account, deposit, open, v1};
use es_runtime::consume::{Consumer, Feed, Handler, HandlerError};
use es_runtime::event::Position;
use es_runtime::prelude::*;
use es_runtime::store::Tx;
use es_runtime::{Result, Service, Store};
use serde_json::Value;
use tempfile::TempDir;

/// How a command ends, and what it says: to those who read on, and to those who wonder.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    error: String,
}

fn run(url: &str, command: &str) -> Said {
    let mut es = Command::new(env!("CARGO_BIN_EXE_es"));
    es.arg("inbox").args(command.split(' '));
    es.args(["--store", url]).stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = es.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: status.code().unwrap(),
        out: text(stdout),
        error: text(stderr),
    }
}

fn does(url: &str, command: &str) -> String {
    let said = run(url, command);
    let right = said.code == 0 && said.error.is_empty();
    assert!(right, "{command}: {said:?}");
    said.out
}

fn refuses(url: &str, command: &str, code: i32, why: &str) {
    let said = run(url, command);
    let right = said.code == code && said.error.contains(why);
    assert!(right && said.out.is_empty(), "{command}: {said:?}");
    assert!(said.error.starts_with("inbox: "), "{said:?}");
}

/// The words of each line, without the spaces between the columns.
fn words(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines();
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

/// Fails at every second event of bob's.
struct Picky;

impl Handler<v1::Accounts> for Picky {
    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        _: &mut Tx,
    ) -> Result<(), HandlerError> {
        match event.subject == "bob" && event.position.get() >= 4 {
            true => Err("bob is not welcome".into()),
            false => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_shown_tried_and_given_up() -> Result<()> {
    let bank = Service::builder("bank")
        .store(Store::connect("memory:").await?)
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
    for turn in 0..3 {
        for account in ["alice", "bob"] {
            let command = if turn == 0 {
                open(account)
            } else {
                deposit(turn)
            };
            bank.execute::<Account>(account, command).await?;
        }
    }
    let address = format!("http://{}", bank.feed_address().unwrap());
    let folder = TempDir::new().unwrap();
    let url = &format!("sqlite://{}", folder.path().join("letters.db").display());
    let store = Store::connect(url).await?;
    assert_eq!(
        does(url, "list"),
        "no consumer has an inbox in this database\n"
    );
    let running = Consumer::new("letters", store.clone())
        .stream::<v1::Accounts>(Feed::http(&address))
        .handle(Picky)
        .attempts(1)
        .start()
        .await?;
    running.reached(Position::new(6)).await.unwrap_err();

    let list = does(url, "list");
    assert_eq!(
        words(&list)[1],
        ["letters/accounts@1", "6", "1", "1", "1", "2", "0", "0"],
        "{list}"
    );
    let line: Value = serde_json::from_str(&does(url, "list letters --json")).unwrap();
    assert_eq!(line["position"], 6);
    assert_eq!(line["set_aside"], 1);
    assert_eq!(line["began"], 0);
    let aside = does(url, "set-aside letters/accounts@1");
    assert!(
        aside.contains("bob") && aside.contains("bob is not welcome"),
        "{aside}"
    );
    let waiting = does(url, "waiting letters --key bob");
    let events = waiting
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let subjects: Vec<_> = events.map(|event| event["subject"].clone()).collect();
    assert_eq!(subjects, ["bob", "bob"]);
    let retried = does(url, "retry letters --key bob");
    assert!(retried.starts_with("1 key is tried again now"), "{retried}");

    refuses(url, "retry letters --key ann", 1, "`ann` is not set aside");
    refuses(
        url,
        "waiting letters --key ann",
        1,
        "nothing waits for `ann`",
    );
    refuses(url, "list mails", 1, "there are letters/accounts@1");
    refuses(url, "give-up letters --position 4", 2, "--reason");
    refuses(
        url,
        "give-up letters --position 4 --reason test",
        2,
        "--yes",
    );
    refuses(
        url,
        "give-up letters --position 3 --reason test --yes",
        1,
        "no event waits",
    );
    refuses(url, "forget letters", 2, "no command `inbox forget`");
    refuses(url, "verify letters", 2, "--feed");

    running.stop().await?;
    does(
        url,
        "give-up letters --position 4 --reason test --by karin --yes",
    );
    let letters = does(url, "dead-letters");
    assert!(
        letters.contains("karin") && letters.contains("test"),
        "{letters}"
    );
    let letter: Value = serde_json::from_str(&does(url, "dead-letters --json")).unwrap();
    assert_eq!(letter["position"], 4);
    assert_eq!(letter["event"]["subject"], "bob");

    let verified = does(url, &format!("verify letters --feed {address}"));
    assert!(
        verified.contains("6 events behind position 0, up to 6"),
        "{verified}"
    );
    assert!(verified.contains("1 event waits") && verified.contains("1 event was given up"));
    let json = does(url, &format!("verify letters --json --feed {address}"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["agrees"], true);
    refuses(
        url,
        "mended letters --subject ann --yes",
        1,
        "nothing was handled ahead",
    );

    // Another bank, with another history.
    let other = Service::builder("bank")
        .store(Store::connect("memory:").await?)
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
    for amount in 0..7 {
        let command = if amount == 0 {
            open("zoe")
        } else {
            deposit(amount)
        };
        other.execute::<Account>("zoe", command).await?;
    }
    let address = format!("http://{}", other.feed_address().unwrap());
    let said = run(url, &format!("verify letters --feed {address}"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("did not consume what the feed has"),
        "{said:?}"
    );
    store_is_free(&store).await;
    bank.shutdown().await?;
    other.shutdown().await
}

/// A command leaves nothing behind that holds the database.
async fn store_is_free(store: &Store) {
    use es_runtime::store::EventStore;
    let begun = tokio::time::timeout(Duration::from_secs(20), store.begin()).await;
    drop(begun.expect("nobody holds it").unwrap());
}
