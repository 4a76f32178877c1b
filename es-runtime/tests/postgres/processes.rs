//! Several processes write at once, some are killed and started again. An acknowledgement is a
//! line that the parent read; a command's id comes from its input, so that the next process
//! repeats what was not acknowledged.

use std::env;
use std::io::Write;
use std::process::Stdio;

use es_runtime::event::Position;
use es_runtime::postgres::PostgresStore;
use es_runtime::store::Outcome;
use es_servers::Postgres;
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::law::{Acknowledged, check};
use crate::load::{ALL, Progress, Reads, append, follow, insist, patiently, seeded, size, stream};

const PROCESSES: usize = 4;
const WRITERS: usize = 32;

/// The lines of each writer's input.
fn lines() -> usize {
    size(6, 60)
}

/// The append that the line of a writer's input asks for: some to a stream of all processes.
fn of_line(process: usize, writer: usize, line: usize) -> es_runtime::store::Append {
    let stream = match line % 3 {
        0 => stream("shared"),
        _ => stream(format!("{process}-{writer}")),
    };
    let events = 1 + (writer + line) % 3;
    append(&stream, 0, &format!("{process}/{writer}/{line}"), events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "one of the processes of the test below"]
async fn a_process() {
    let store = PostgresStore::connect(&env::var("ES_URL").unwrap())
        .await
        .unwrap();
    let process = env::var("ES_PROCESS").unwrap().parse().unwrap();
    let from = env::var("ES_FROM").unwrap();
    let from = from.split(',').map(|line| line.parse::<usize>().unwrap());
    let work = from.enumerate().map(|(writer, from)| {
        let store = store.clone();
        async move {
            for line in from..lines() {
                let next = of_line(process, writer, line);
                let done = insist(&store, next, &Progress::default()).await.unwrap();
                let Outcome {
                    first,
                    count,
                    version,
                } = done.outcome;
                let line = format!("\nack {writer} {line} {first} {count} {version}\n");
                let mut out = std::io::stdout().lock();
                out.write_all(line.as_bytes())
                    .and_then(|()| out.flush())
                    .unwrap();
            }
        }
    });
    work.collect::<JoinSet<()>>().join_all().await;
}

/// Starts a process until all of its input is acknowledged, and kills it now and then.
async fn live(url: String, process: usize, mut random: Rng) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut heard = vec![0; WRITERS];
    let mut kills = random.usize(usize::from(process == 0)..3);
    while heard.iter().any(|done| *done < lines()) {
        let from: Vec<_> = heard.iter().map(usize::to_string).collect();
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "processes::a_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .envs([("ES_URL", &url), ("ES_FROM", &from.join(","))])
            .env("ES_PROCESS", process.to_string())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let left = lines() * WRITERS - heard.iter().sum::<usize>();
        let mut until_kill = (kills > 0).then(|| random.usize(1..=left));
        let mut line = String::new();
        while out.read_line(&mut line).await.unwrap() > 0 {
            // A line without its end was never read.
            let ack = line
                .strip_prefix("ack ")
                .and_then(|rest| rest.strip_suffix('\n'));
            if let Some(ack) = ack {
                let numbers: Vec<u64> = ack.split(' ').map(|n| n.parse().unwrap()).collect();
                let [writer, nth, first, count, version] = numbers[..] else {
                    panic!("{ack}");
                };
                let (writer, nth) = (
                    usize::try_from(writer).unwrap(),
                    usize::try_from(nth).unwrap(),
                );
                assert_eq!(heard[writer], nth, "writer {writer} of process {process}");
                heard[writer] += 1;
                let of = of_line(process, writer, nth);
                let count = u32::try_from(count).unwrap();
                let outcome = Outcome {
                    first: Position::new(first),
                    count,
                    version,
                };
                acknowledged.push(Acknowledged {
                    stream: of.stream,
                    command: of.command_id,
                    outcome,
                    kept: true,
                });
                until_kill = until_kill.and_then(|left| left.checked_sub(1));
                if until_kill == Some(0) {
                    // What it wrote before it died is still read.
                    child.start_kill().unwrap();
                    kills -= 1;
                }
            }
            line.clear();
        }
        child.wait().await.unwrap();
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_processes_of_32_writers_of_which_some_are_killed() {
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let last = append(&stream("last"), 0, "last", 1);
    let progress = Progress::default();
    let follower = tokio::spawn(follow(store.clone(), last.command_id, progress.clone()));
    let processes = (0..PROCESSES).map(|process| live(url.clone(), process, random.fork()));
    let acknowledged = processes.collect::<JoinSet<_>>().join_all().await;
    let mut acknowledged = acknowledged.concat();
    acknowledged.push(insist(&store, last, &progress).await.unwrap());
    let seen = follower.await.unwrap();
    let log = patiently(|| store.read_log(Position::START, ALL)).await;
    check(&log, [&seen], &acknowledged).unwrap();
    // Everything was written in the end, so nothing else can be there.
    assert_eq!(acknowledged.len(), PROCESSES * WRITERS * lines() + 1);
    let events: u32 = acknowledged.iter().map(|done| done.outcome.count).sum();
    assert_eq!(log.len(), usize::try_from(events).unwrap());
}
