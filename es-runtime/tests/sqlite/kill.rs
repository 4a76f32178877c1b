//! `kill -9` while another process appends. An acknowledgement is a line that the parent read; a
//! command's id comes from its input, so that the next process repeats what was not acknowledged.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use es_runtime::event::{CommandId, Position, StoredEvent};
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{Append, Appended, EventStore, Outcome};
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::{File, append, log};

const KILLS: usize = 12;
const WRITERS: usize = 6;
/// More lines than any process lives to work through.
const LINES: usize = 1_000_000;

/// The append that the line of a writer's input asks for.
fn of_line(writer: usize, line: usize, version: u64) -> Append {
    let own = format!("{writer}");
    let stream = if line.is_multiple_of(3) {
        "shared"
    } else {
        &own
    };
    append(
        stream,
        version,
        &format!("input-{writer}:{line}"),
        1 + line % 3,
    )
}

/// Works through a writer's input from a line on, and says what is done.
async fn work(store: SqliteStore, writer: usize, from: usize) {
    for line in from..LINES {
        let mut version = 0;
        let outcome = loop {
            match store.append(of_line(writer, line, version)).await.unwrap() {
                Appended::Conflict { found } => version = found,
                Appended::New(outcome) | Appended::Already(outcome) => break outcome,
            }
        };
        let Outcome {
            first,
            count,
            version,
        } = outcome;
        let line = format!("\nack {writer} {line} {first} {count} {version}\n");
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .unwrap();
    }
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn the_process_that_is_killed() {
    let store = SqliteStore::open(env::var("ES_FILE").unwrap())
        .await
        .unwrap();
    let from = env::var("ES_FROM").unwrap();
    let writers = from.split(',').map(|line| line.parse().unwrap());
    let work: JoinSet<()> = writers
        .enumerate()
        .map(|(writer, from)| work(store.clone(), writer, from))
        .collect();
    work.join_all().await;
}

/// What the parent read: an outcome for each line of each writer, from its first one on.
type Acknowledged = Vec<Vec<Outcome>>;

/// Starts a process, kills it at a random moment, and reads all that it acknowledged.
async fn live_and_die(file: &File, acknowledged: &mut Acknowledged, random: &mut Rng) {
    let from: Vec<_> = acknowledged
        .iter()
        .map(|done| done.len().to_string())
        .collect();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "kill::the_process_that_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .envs([
            ("ES_FILE", file.path().into_os_string()),
            ("ES_FROM", from.join(",").into()),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut left = random.usize(1..150);
    let mut line = String::new();
    while out.read_line(&mut line).await.unwrap() > 0 {
        // A line without its end was never read.
        if let Some(ack) = line
            .strip_prefix("ack ")
            .and_then(|rest| rest.strip_suffix('\n'))
        {
            let numbers: Vec<u64> = ack.split(' ').map(|n| n.parse().unwrap()).collect();
            let [writer, nth, first, count, version] = numbers[..] else {
                panic!("{ack}");
            };
            let done = &mut acknowledged[usize::try_from(writer).unwrap()];
            assert_eq!(done.len() as u64, nth, "writer {writer}");
            let (first, count) = (Position::new(first), count.try_into().unwrap());
            done.push(Outcome {
                first,
                count,
                version,
            });
            left = left.saturating_sub(1);
            if left == 0 {
                let moment = Instant::now() + Duration::from_micros(random.u64(..3000));
                while Instant::now() < moment {
                    std::hint::spin_loop();
                }
                child.start_kill().ok();
            }
        }
        line.clear();
    }
    let killed = child.wait().await.unwrap().signal();
    assert_eq!(killed, Some(9), "it ended by itself");
}

/// The log is dense, every append in it is whole and there once, and all that was acknowledged is
/// where it was said to be. Answers the number of appends.
async fn check(store: &SqliteStore, acknowledged: &Acknowledged) -> usize {
    let log = log(store).await;
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for (event, n) in log.iter().zip(1..) {
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(
            (event.position.get(), event.version),
            (n, *version),
            "{event:?}"
        );
    }
    let whole =
        |events: &[StoredEvent]| events[0].payload == format!(r#"{{"of":{}}}"#, events.len());
    let mut appends: HashMap<CommandId, Outcome> = HashMap::new();
    for events in log.chunk_by(|a, b| a.command_id == b.command_id) {
        assert!(whole(events), "torn: {events:?}");
        let (first, last) = (&events[0], events.last().unwrap());
        let id = first.command_id.unwrap();
        let count = u32::try_from(events.len()).unwrap();
        let outcome = Outcome {
            first: first.position,
            count,
            version: last.version,
        };
        assert_eq!(
            store.outcome(&first.stream, id).await.unwrap(),
            Some(outcome)
        );
        assert_eq!(appends.insert(id, outcome), None, "twice: {events:?}");
    }
    for (writer, done) in acknowledged.iter().enumerate() {
        for (line, outcome) in done.iter().enumerate() {
            let id = of_line(writer, line, 0).command_id;
            assert_eq!(appends.get(&id), Some(outcome), "line {line} of {writer}");
        }
    }
    appends.len()
}

#[tokio::test]
async fn what_was_acknowledged_survives_kills_exactly_once() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (file, mut random) = (File::new(), Rng::with_seed(seed));
    let mut acknowledged = vec![Vec::new(); WRITERS];
    let mut unheard = 0;
    for _ in 0..KILLS {
        live_and_die(&file, &mut acknowledged, &mut random).await;
        let store = file.open().await;
        let appends = check(&store, &acknowledged).await;
        unheard += appends - acknowledged.iter().map(Vec::len).sum::<usize>();
        store.close().await;
    }
    let heard: usize = acknowledged.iter().map(Vec::len).sum();
    println!("{heard} acknowledged over {KILLS} kills, {unheard} times done and not heard of");
    assert!(heard >= KILLS);
}
