//! A deploy and a rollback, with programs that are killed: the bank in two releases on one database.

mod program;

use program::{AFTER, BEFORE, Bank};

fn forwards_and_backwards(url: &str) {
    let mut before = Bank::start(&[BEFORE, url]);
    before.does("open alice Alice");
    before.does("deposit alice 100");

    // The deploy: both write to the same accounts, and both read all of it.
    let mut after = Bank::start(&[AFTER, url]);
    after.does("open bob Bob");
    for n in 1..=20 {
        before.does(&format!("deposit bob {n}"));
        after.does(&format!("deposit alice {n}"));
        let balance = format!("balance {}", 100 + n * (n + 1) / 2);
        assert_eq!(before.told("balance alice"), balance);
        assert_eq!(after.told("balance alice"), balance);
    }
    before.does("note alice a good/customer");
    for bank in [&mut before, &mut after] {
        assert_eq!(bank.told("caught-up"), "caught up");
        assert_eq!(bank.told("health"), "well");
    }
    // What has no way back waits, and nothing of it is written.
    let held = after.told("note bob tall/blond");
    assert!(held.starts_with("error ES0177"), "{held}");
    assert_eq!(before.told("caught-up"), "caught up");

    // The old one is killed. It counts until its time-out, and then the same command is done.
    drop(before);
    let held = after.told("note bob tall/blond");
    assert!(held.starts_with("error ES0177"), "{held}");
    after.until("note bob tall/blond", "done ");
    after.does("open carol Carol");
    after.does("deposit carol 7");

    // The rollback begins: what it cannot read stops its readers, with the reason, and nobody else.
    let mut back = Bank::start(&[BEFORE, url]);
    let stopped = back.until("health", "activity@1 stopped");
    assert!(stopped.contains("ES0105"), "{stopped}");
    assert!(back.told("balance bob").starts_with("error ES0105"));
    assert_eq!(back.told("balance alice"), "balance 310");
    back.does("deposit alice 1000");
    // From now on it can read what the new one writes.
    after.does("open dora Dora");
    after.does("deposit dora 5");
    back.does("deposit dora 6");
    assert_eq!(back.told("balance dora"), "balance 11");
    assert_eq!(after.told("balance dora"), "balance 11");
    assert_eq!(after.told("health"), "well");
    assert_eq!(after.ends(), "ended");
    back.does("deposit alice 2000");
    assert!(back.ends().starts_with("error ES0123"));

    // Forward again, where everybody stopped.
    let mut after = Bank::start(&[AFTER, url]);
    assert_eq!(after.told("caught-up"), "caught up");
    for (account, balance) in [("alice", 3310), ("bob", 210), ("carol", 7), ("dora", 11)] {
        assert_eq!(
            after.told(&format!("balance {account}")),
            format!("balance {balance}")
        );
    }
    after.does("note alice all/is/well");
    assert_eq!(after.told("caught-up"), "caught up");
    assert_eq!(after.ends(), "ended");
}

#[test]
fn two_releases_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    forwards_and_backwards(&format!(
        "sqlite://{}",
        folder.path().join("bank.db").display()
    ));
}

#[test]
fn two_releases_share_a_server() {
    let server = es_servers::Postgres::start();
    forwards_and_backwards(&server.database());
}
