//! The proof that the raw limit is one: PostgreSQL's own benchmark, with the same insert.

use std::io::Write;
use std::process::Stdio;
use std::thread::available_parallelism;
use std::time::Duration;

use es_servers::Postgres;
use tokio::task::block_in_place;

use crate::measure::Round;
use crate::rows::{METADATA, payload};

/// The raw program's insert. The streams are numbers as long as the raw program's names, so that
/// the server computes no text here either.
const SCRIPT: &str = r"
\set n :n + 1
\set stream :base + :client_id * 100000000 + :n / 10
\set version :n % 10 + 1
INSERT INTO raw_event (stream, version, slice, type, schema_version, min_reader, command_id,
                       payload, metadata, occurred_at)
VALUES (:stream, :version, :slice, :type, :one, :one, gen_random_uuid(), :payload::json,
        :metadata::json, now());
";

/// Single inserts into the raw table, one a commit, by so many clients.
pub(crate) fn inserts(
    server: &Postgres,
    url: &str,
    clients: usize,
    round: usize,
    time: Duration,
) -> Round {
    let wanted = time.as_secs_f64();
    // Its time begins before its connections, which take their time, are there.
    let mut seconds = time.as_secs() + clients as u64 / 100;
    loop {
        let said = block_in_place(|| run(server, url, clients, round, seconds));
        let figure = |name: &str| -> Option<f64> {
            let figure = said.lines().find_map(|line| line.strip_prefix(name))?;
            figure.split(' ').next()?.parse().ok()
        };
        let connecting = figure("initial connection time = ").expect("its connection time") / 1e3;
        if seconds as f64 - connecting > wanted * 0.8 {
            return Round::at(figure("tps = ").expect("its rate"));
        }
        println!("pgbench connected for {connecting:.1} s of {seconds}: once more, and longer");
        seconds *= 2;
    }
}

fn run(server: &Postgres, url: &str, clients: usize, round: usize, seconds: u64) -> String {
    let threads = available_parallelism().map_or(1, usize::from).min(clients);
    let mut command = server.command("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "--file=-"]);
    command.arg(format!("--client={clients}"));
    command.arg(format!("--jobs={threads}"));
    command.arg(format!("--time={seconds}"));
    // What was written before it had to begin again is in the way of no one.
    let base = 1_000_000_000_000_000 + (round as u64 * 100 + seconds) * 1_000_000_000_000;
    let variables = [
        ("n", "-1"),
        ("base", &base.to_string()),
        ("slice", "7"),
        ("type", "account.deposited"),
        ("one", "1"),
        ("payload", &payload(7)),
        ("metadata", METADATA),
    ];
    for (name, value) in variables {
        command.arg(format!("--define={name}={value}"));
    }
    command.arg(url);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("pgbench, beside the server");
    let mut script = child.stdin.take().expect("its script");
    script.write_all(SCRIPT.as_bytes()).expect("its script");
    drop(script);
    let output = child.wait_with_output().expect("what it says");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pgbench did not finish:\n{errors}");
    String::from_utf8(output.stdout).expect("a text")
}
