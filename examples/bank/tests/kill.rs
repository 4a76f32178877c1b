//! `kill -9` at random moments: nothing acknowledged is lost, nothing is done twice.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bank::generate::generate;
use bank::import::{Line, Lines, Request};
use common::{accounts, audit, log};
use es_runtime::Store;
use es_runtime::event::StreamId;
use es_runtime::prelude::*;
use es_runtime::store::EventStore;

const ROUNDS: usize = 20;
const LINES: usize = 1000;
/// New acknowledgements that are read before a kill, at most: few, so that work is left for the next
/// round.
const MOST: usize = 40;
/// Microseconds from the last of them to the kill, at most: long enough to hit every part of a start.
const LATEST: u64 = 60_000;
const INPUT: &str = "transactions.csv";

/// What was acknowledged of each line: the position of its command, or nothing for a refusal.
type Acks = BTreeMap<u64, Option<Position>>;

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_is_done_twice() {
    let seed =
        std::env::var("ES_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("the seed is {seed}; say ES_SEED={seed} to run it again");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut input = Vec::new();
    generate(seed, LINES, &mut input).unwrap();
    fs::write(dir.path().join(INPUT), &input).unwrap();

    let mut acks = Acks::new();
    for round in 1..=ROUNDS {
        let before = acks.len();
        let mut bank = start(dir.path());
        let mut out = BufReader::new(bank.stdout.take().unwrap());
        let new = random.usize(0..=MOST);
        while acks.len() < before + new && read(&mut out, &mut acks) {}
        let moment = Instant::now() + Duration::from_micros(random.u64(..LATEST));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        bank.kill().unwrap();
        bank.wait().unwrap();
        // What it had said before it died is said.
        while read(&mut out, &mut acks) {}
        println!("round {round:2}: {} lines acknowledged", acks.len());
    }
    let mut bank = start(dir.path());
    let mut out = BufReader::new(bank.stdout.take().unwrap());
    while read(&mut out, &mut acks) {}
    assert!(bank.wait().unwrap().success());

    audit(&dir.path().join("data")).await;
    check(dir.path(), &input, &acks).await;
}

fn start(dir: &Path) -> Child {
    let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
    bank.args([
        "--acks",
        "--exit",
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
        "--input",
        INPUT,
    ]);
    bank.current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads a line of output; one that is not complete was not said. A line that is acknowledged again
/// has the outcome that it had first.
fn read(out: &mut impl BufRead, acks: &mut Acks) -> bool {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let Some(line) = line.strip_suffix('\n') else {
        return false;
    };
    let Some(ack) = line.strip_prefix("ack ") else {
        return true;
    };
    let (number, outcome) = ack.split_once(' ').unwrap();
    let position = match outcome {
        "refused" => None,
        position => Some(Position::new(position.parse().unwrap())),
    };
    let first = acks.entry(number.parse().unwrap()).or_insert(position);
    assert_eq!(*first, position, "line {number} had another outcome first");
    true
}

/// Every line is acknowledged, and its command is in its store once, with the outcome that was
/// acknowledged; what became of the transfers, [`audit`] has seen.
async fn check(dir: &Path, input: &[u8], acks: &Acks) {
    let store = accounts(&dir.join("data")).await;
    let url = format!("sqlite://{}", dir.join("data/transfers.db").display());
    let transfers = Store::connect(&url).await.unwrap();
    let mut events = BTreeMap::<_, u32>::new();
    for event in [log(&store).await, log(&transfers).await].concat() {
        *events.entry((event.stream, event.command_id)).or_default() += 1;
    }
    let stored = async |store: &Store, stream: StreamId, id: CommandId| {
        let outcome = store.outcome(&stream, id).await.unwrap()?;
        let once = events.get(&(stream, Some(id))).copied().unwrap_or(0);
        assert_eq!(
            once, outcome.count,
            "the events of a command are there once"
        );
        Some(outcome.position())
    };
    assert_eq!(acks.len(), LINES, "every line is acknowledged");
    for line in Lines::new(input).unwrap() {
        let Line { number, request } = line.unwrap();
        let id = format!("{INPUT}:{number}");
        let command = CommandId::of(&id);
        let found = match request {
            Err(_) => None,
            Ok(Request::Command { account, .. }) => {
                let stream = StreamId::new("account", account).unwrap();
                stored(&store, stream, command).await
            }
            Ok(Request::Transfer { .. }) => {
                let stream = StreamId::new("transfer", &id).unwrap();
                let asked = stored(&transfers, stream, command).await;
                assert!(asked.is_some(), "line {number} was asked for");
                // A refused one was asked for as well.
                asked.filter(|_| acks[&number].is_some())
            }
        };
        assert_eq!(found, acks[&number], "line {number}");
    }
    store.close().await;
    transfers.close().await;
}
