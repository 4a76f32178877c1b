//! Two processes on the same data, each with its own version of the read model.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bank::accounts::balances::{v1, v2};
use bank::generate::generate;
use bank::import::HEADER;
use common::{accounts, audit};
use es_runtime::Service;
use es_runtime::store::EventStore;

fn bank(dir: &Path, args: &[&str]) -> Command {
    let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
    bank.args([
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
        "--input",
        "transactions.csv",
    ]);
    bank.args(args).current_dir(dir).stdout(Stdio::null());
    bank
}

#[tokio::test]
async fn each_keeps_its_version_and_both_agree() {
    let dir = tempfile::tempdir().unwrap();
    let mut input = Vec::new();
    generate(1, 300, &mut input).unwrap();
    fs::write(dir.path().join("transactions.csv"), input).unwrap();

    let mut other = bank(dir.path(), &["--balances", "2", "--no-import"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut importing = bank(dir.path(), &["--balances", "1", "--exit"])
        .spawn()
        .unwrap();
    assert!(importing.wait().unwrap().success());

    // A third reader, which keeps nothing up to date itself, waits for what the others write.
    let data = dir.path().join("data");
    let store = accounts(&data).await;
    let reader = Service::builder("reader")
        .store(store.clone())
        .start()
        .await
        .unwrap();
    let (head, patience) = (store.head().await.unwrap(), Duration::from_secs(30));
    let one = reader
        .view::<v1::Balance>()
        .after(head)
        .within(patience)
        .page(None, 1000)
        .await
        .unwrap();
    let two = reader
        .view::<v2::Balance>()
        .after(head)
        .within(patience)
        .page(None, 1000)
        .await
        .unwrap();
    let one: Vec<_> = one
        .into_iter()
        .map(|(account, row)| (account, row.amount))
        .collect();
    let two: Vec<_> = two
        .into_iter()
        .map(|(account, row)| (account, row.amount))
        .collect();
    assert!(one.len() > 20 && one == two);
    reader.shutdown().await.unwrap();
    store.close().await;

    // Asked before it says so, it would just end.
    let said = BufReader::new(other.stdout.take().unwrap()).lines();
    let mut said = said.map(|line| line.unwrap());
    assert!(said.any(|line| line == "Ctrl-C stops it."));
    let pid = other.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        other.wait().unwrap().success(),
        "asked to stop, it stops in order"
    );
    audit(&data).await;
}

#[test]
fn a_second_import_is_told_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(dir.path().join("transactions.csv"), HEADER).unwrap();
    let lock = fs::File::create(data.join("import.lock")).unwrap();
    lock.lock().unwrap();
    let refused = bank(dir.path(), &["--exit"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("another process imports into the same data"),
        "{said}"
    );
    lock.unlock().unwrap();
    assert!(bank(dir.path(), &["--exit"]).status().unwrap().success());
}
