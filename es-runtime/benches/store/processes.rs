//! Appends from four processes, with a quarter of the writers each.

use std::time::Duration;

use es_runtime::postgres::PostgresStore;
use es_servers::Postgres;

use crate::Size;
use crate::append::{Ours, Raw};
use crate::child::{Child, number};
use crate::measure::{Comparison, Round, Work, in_turn, latencies};
use crate::pgbench;
use crate::rows::{RAW_TABLE, connect, execute};

const PROCESSES: usize = 4;

pub(crate) async fn appends(
    server: &Postgres,
    name: &str,
    writers: usize,
    size: Size,
) -> Comparison {
    let url = server.database();
    execute(&mut connect(&url).await, RAW_TABLE).await;
    let each = writers / PROCESSES;
    let start = |job: &str| -> Vec<Child> {
        let child = |process| Child::start(&format!("{job} {url} {} {each}", process * each));
        (0..PROCESSES).map(child).collect()
    };
    let (mut ours, mut raw) = (start("append-ours"), start("append-raw"));
    let mut rounds = 0..;
    let mut next = || rounds.next().expect("a number");
    in_turn!(
        name,
        size,
        async { all(&mut ours, next(), size.round) },
        async { all(&mut raw, next(), size.round) },
        async { pgbench::inserts(server, &url, writers, next(), size.round) }
    )
}

/// Lets all processes go at once; the slowest says how long it took.
pub(crate) fn all(children: &mut [Child], round: usize, time: Duration) -> Round {
    for child in &mut *children {
        child.tell(&format!("{round} {}", time.as_micros()));
    }
    let (mut all, mut longest) = (Vec::new(), 0);
    for child in children {
        let answer = child.hear();
        let mut micros = answer.split(' ').map(number);
        longest = longest.max(micros.next().expect("how long it took"));
        all.extend(micros.map(duration));
    }
    Round::timed(all, duration(longest))
}

fn duration(micros: usize) -> Duration {
    Duration::from_micros(micros as u64)
}

/// A round in the child: so many microseconds in all, and for each append.
pub(crate) async fn round<W: Work + Numbered>(workers: &mut Vec<W>, line: &str) -> String {
    let (round, time) = line.split_once(' ').expect("a round and its time");
    let round = number(round);
    workers.iter_mut().for_each(|worker| worker.number(round));
    let (latencies, elapsed) = latencies(workers, duration(number(time))).await;
    let micros: Vec<_> = std::iter::once(elapsed)
        .chain(latencies)
        .map(|time| time.as_micros().to_string())
        .collect();
    micros.join(" ")
}

/// What writes to other streams in each round.
pub(crate) trait Numbered {
    fn number(&mut self, round: usize);
}

impl Numbered for Ours {
    fn number(&mut self, round: usize) {
        self.round = round;
    }
}

impl Numbered for Raw {
    fn number(&mut self, round: usize) {
        self.round = round;
    }
}

/// The child's writers: ours, through one store.
pub(crate) async fn ours(url: &str, first: usize, writers: usize) -> Vec<Ours> {
    let store = PostgresStore::connect(url).await.expect("the store");
    let ours = |writer| Ours {
        store: store.clone(),
        writer,
        round: 0,
        named: false,
    };
    (first..first + writers).map(ours).collect()
}

/// The child's writers: by hand, each on a connection.
pub(crate) async fn raw(url: &str, first: usize, writers: usize) -> Vec<Raw> {
    let mut raw = Vec::new();
    for writer in first..first + writers {
        let connection = connect(url).await;
        raw.push(Raw {
            connection,
            writer,
            round: 0,
        });
    }
    raw
}
