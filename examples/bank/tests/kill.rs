//! `kill -9` at random moments: nothing acknowledged is lost, nothing is done twice.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bank::generate::generate;
use bank::import::{Line, Lines, Request};
use common::{accounts, audit, log};
use es_runtime::event::StreamId;
use es_runtime::prelude::*;
use es_runtime::store::EventStore;

const ROUNDS: usize = 20;
const LINES: usize = 1000;
/// New acknowledgements before a kill, at most: so few that a round's kill leaves work for the next.
const MOST: usize = 40;
const INPUT: &str = "transactions.csv";

/// What was acknowledged of each line: the positions of its commands, or nothing for a refusal.
type Acks = BTreeMap<u64, Vec<Position>>;

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
        for _ in 0..random.u32(0..20_000) {
            std::thread::yield_now();
        }
        bank.kill().unwrap();
        bank.wait().unwrap();
        // What it had said before it died is said.
        while read(&mut out, &mut acks) {}
        println!("round {round:2}: {} lines acknowledged", acks.len());
    }
    assert!(acks.len() < LINES, "the last run has something left to do");
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
    let positions = match outcome {
        "refused" => Vec::new(),
        positions => positions
            .split(' ')
            .map(|n| Position::new(n.parse().unwrap()))
            .collect(),
    };
    let first = acks
        .entry(number.parse().unwrap())
        .or_insert_with(|| positions.clone());
    assert_eq!(*first, positions, "line {number} had another outcome first");
    true
}

/// Every line is acknowledged, and its commands are in the store once, with the outcome that was
/// acknowledged; a refused line left nothing, or money that went and came back.
async fn check(dir: &Path, input: &[u8], acks: &Acks) {
    let store = accounts(&dir.join("data")).await;
    let mut commands = BTreeMap::<_, u32>::new();
    for event in log(&store).await {
        *commands
            .entry((event.stream.to_string(), event.command_id))
            .or_default() += 1;
    }
    let mut checked = 0;
    for line in Lines::new(input).unwrap() {
        let Line { number, request } = line.unwrap();
        let positions = acks
            .get(&number)
            .unwrap_or_else(|| panic!("line {number} is lost"));
        let Ok(request) = request else {
            assert!(positions.is_empty(), "line {number}");
            continue;
        };
        let accounts: Vec<_> = request.accounts().collect();
        let id = |step: &str| CommandId::of(format!("{INPUT}:{number}{step}"));
        let steps = match request {
            Request::Transfer { .. } => vec![(accounts[0], id("/out")), (accounts[1], id("/in"))],
            _ => vec![(accounts[0], id(""))],
        };
        if positions.is_empty() {
            let stream = StreamId::new("account", accounts[0]).unwrap();
            let out = store.outcome(&stream, id("/out")).await.unwrap();
            let back = store.outcome(&stream, id("/back")).await.unwrap();
            assert_eq!(
                out.is_some(),
                back.is_some(),
                "line {number}: money is in transit"
            );
        }
        for (place, (account, command)) in steps.into_iter().enumerate() {
            let stream = StreamId::new("account", account).unwrap();
            let outcome = store.outcome(&stream, command).await.unwrap();
            let position = outcome.map(|outcome| outcome.position());
            if place == 0 && positions.is_empty() {
                continue;
            }
            assert_eq!(position, positions.get(place).copied(), "line {number}");
            let events = commands.get(&(stream.to_string(), Some(command))).copied();
            assert_eq!(
                events,
                outcome.map(|outcome| outcome.count),
                "line {number}"
            );
            checked += 1;
        }
    }
    assert_eq!(acks.len(), LINES);
    println!("{checked} commands are there once");
}
