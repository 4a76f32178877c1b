//! Every arrow of a version's life, by somebody who dies on the way: what is found afterwards is
//! what was before, or what is behind it, and nothing between.

use std::env;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::Stdio;
use std::task::Poll;
use std::time::{Duration, Instant};

use es_runtime::Store;
use es_runtime::error::Result;
use es_runtime::event::{Position, Timestamp};
use es_runtime::store::{
    Advance, Change, EventStore, Lineage, Phase, ProjectionId, ProjectionKind, ProjectionState,
    PublishedEvent, Row, RowChange, RowQuery, Select, SliceState, StreamVersion, Table, Value,
};
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::yield_now;

use crate::check::{table, view_of};
use crate::place::Place;
use crate::seeds;

/// A step of a life.
#[derive(Clone)]
enum Step {
    /// A version is made known: it was a draft until then.
    Prepare(u32),
    /// It works through some events.
    Work(u32),
    /// Its worker cannot go on.
    Fail(u32),
    Change(u32, Change),
}

use Step::{Fail, Prepare, Work};

fn why() -> String {
    "the test says so".to_owned()
}

fn complete(version: u32) -> Step {
    Step::Change(version, Change::Complete)
}

fn promote(version: u32) -> Step {
    let (fresh, forced) = (Duration::ZERO, Some(why()));
    Step::Change(version, Change::Promote { fresh, forced })
}

fn roll_back(version: u32) -> Step {
    Step::Change(version, Change::RollBack { reason: why() })
}

fn retire(version: u32) -> Step {
    let (quiet, forced) = (Duration::ZERO, Some(why()));
    Step::Change(version, Change::Retire { quiet, forced })
}

fn rebuild(version: u32) -> Step {
    Step::Change(version, Change::Rebuild { reason: why() })
}

fn deprecate(version: u32, sunset: Option<i64>) -> Step {
    let sunset = sunset.map(Timestamp::from_micros);
    Step::Change(version, Change::Deprecate { sunset })
}

fn pause(version: u32) -> Step {
    Step::Change(version, Change::Pause { reason: why() })
}

fn resume(version: u32) -> Step {
    Step::Change(version, Change::Resume)
}

/// An arrow in the life of a read model or a stream: its last step, after those that lead to where
/// it begins.
#[derive(Clone)]
struct Arrow {
    what: &'static str,
    kind: ProjectionKind,
    steps: Vec<Step>,
}

fn arrows() -> Vec<Arrow> {
    let of = |kind| move |(what, steps)| Arrow { what, kind, steps };
    let read_models = of_read_models()
        .into_iter()
        .map(of(ProjectionKind::ReadModel));
    let streams = of_streams().into_iter().map(of(ProjectionKind::Stream));
    read_models.chain(streams).collect()
}

fn of_streams() -> Vec<(&'static str, Vec<Step>)> {
    let live = vec![Prepare(1), Work(1), complete(1)];
    let deprecated = [live.clone(), vec![deprecate(1, None)]].concat();
    let to = |before: &[Step], arrow: Step| [before, &[arrow]].concat();
    vec![
        ("a stream is built", vec![Prepare(1)]),
        ("a stream is built beside it", to(&live, Prepare(2))),
        ("a stream is live", live.clone()),
        (
            "the next is live, too",
            [live.clone(), vec![Prepare(2), Work(2), complete(2)]].concat(),
        ),
        ("a stream is deprecated", deprecated.clone()),
        (
            "its day is announced",
            to(&deprecated, deprecate(1, Some(7))),
        ),
        (
            "its deprecation is taken back",
            to(&deprecated, Step::Change(1, Change::Reinstate)),
        ),
        ("a deprecated stream is retired", to(&deprecated, retire(1))),
        ("a live stream is retired", to(&live, retire(1))),
        (
            "a stream that is built begins anew",
            vec![Prepare(1), Work(1), rebuild(1)],
        ),
        ("a stream stops", to(&live, Fail(1))),
        ("a stream is paused", to(&deprecated, pause(1))),
        (
            "a stream goes on",
            [live, vec![Fail(1), resume(1)]].concat(),
        ),
    ]
}

fn of_read_models() -> Vec<(&'static str, Vec<Step>)> {
    let live = vec![Prepare(1), Work(1), complete(1)];
    let shadow = [live.clone(), vec![Prepare(4), Work(4), complete(4)]].concat();
    let promoted = [shadow.clone(), vec![promote(4)]].concat();
    let to = |before: &[Step], arrow: Step| [before, &[arrow]].concat();
    vec![
        ("a draft is built", vec![Prepare(1)]),
        ("a draft is built beside it", to(&live, Prepare(4))),
        ("the first is live", live.clone()),
        ("the next is a shadow", shadow.clone()),
        ("a shadow is live", promoted.clone()),
        ("it is rolled back", to(&promoted, roll_back(4))),
        ("the old one is promoted again", to(&promoted, promote(1))),
        ("a deprecated one is retired", to(&promoted, retire(1))),
        ("a shadow is retired", to(&shadow, retire(4))),
        ("the last one is retired", to(&live, retire(1))),
        ("a shadow is built anew", to(&shadow, rebuild(4))),
        ("a deprecated one is built anew", to(&promoted, rebuild(1))),
        (
            "one that is built stops",
            vec![Prepare(1), Work(1), Fail(1)],
        ),
        ("a shadow stops", to(&shadow, Fail(4))),
        ("the live one stops", to(&promoted, Fail(4))),
        ("a deprecated one stops", to(&promoted, Fail(1))),
        (
            "what stopped goes on",
            [promoted.clone(), vec![Fail(4), resume(4)]].concat(),
        ),
        ("the live one is paused", to(&promoted, pause(4))),
        (
            "what was paused goes on",
            [promoted, vec![pause(4), resume(4)]].concat(),
        ),
    ]
}

/// A read model whose name no other test has; it is never used again, either.
fn named(name: &str, version: u32) -> Table {
    Table {
        name: String::leak(name.to_owned()),
        ..table(version)
    }
}

fn accounts(name: &str, version: u32) -> StreamVersion {
    let stream = name.to_owned();
    StreamVersion { stream, version }
}

fn id(kind: ProjectionKind, name: &str, version: u32) -> ProjectionId {
    let name = name.to_owned();
    ProjectionId {
        kind,
        name,
        version,
    }
}

fn published(position: u64) -> PublishedEvent {
    let (position, time) = (Position::new(position), Timestamp::from_micros(7));
    PublishedEvent {
        position,
        source: position,
        event_type: "bank.opened.v1".to_owned(),
        subject: "alice".to_owned(),
        payload: "{}".to_owned(),
        metadata: None,
        time,
        recorded: time,
        salt: [1; 16],
        hash: [u8::try_from(position.get()).unwrap(); 32],
    }
}

async fn take(store: &Store, kind: ProjectionKind, name: &str, step: &Step) -> Result<()> {
    match step {
        Prepare(version) if kind == ProjectionKind::Stream => store
            .prepare_stream(&accounts(name, *version))
            .await
            .map(drop),
        Work(version) if kind == ProjectionKind::Stream => {
            let stream = accounts(name, *version);
            let advance = Advance::new(&stream, Position::START, Position::new(5));
            let events = vec![published(1), published(2)];
            store
                .advance_stream(advance, &stream, events)
                .await
                .map(drop)
        }
        Prepare(version) => store.prepare_table(&named(name, *version)).await.map(drop),
        Step::Change(version, change) => {
            let id = id(kind, name, *version);
            store.change(&id, change, "the test").await.map(drop)
        }
        Work(version) => {
            let table = named(name, *version);
            let state = store.projection(&(&table).into()).await?.unwrap();
            for slice in state.slices {
                let row = vec![Value::Integer(1), Value::Integer(i64::from(*version))];
                let changes = vec![RowChange {
                    key: format!("{}", slice.slices.start),
                    row: Some(row),
                }];
                let mut advance = Advance::new(&table, Position::START, Position::new(5));
                advance.slice = slice.slices.start;
                store.advance_rows(advance, &table, changes.into()).await?;
            }
            Ok(())
        }
        Fail(version) => {
            let id = id(kind, name, *version);
            let state = store.projection(&id).await?.unwrap();
            let stands = Advance::new(id, state.cursor, state.cursor).knowing(state.epoch);
            store.note_failure(&stands, "it cannot").await
        }
    }
}

/// What can be seen of a read model or a stream, without times.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    versions: Vec<(u32, Version)>,
    handovers: Vec<(Position, u32)>,
    told: Vec<(u32, String, Phase)>,
    view: Option<Option<u32>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Version {
    phase: Phase,
    epoch: u64,
    cursors: Vec<Position>,
    stands_still: Vec<String>,
    rows: Vec<(String, Row)>,
    sunset: Option<Timestamp>,
}

/// Its rows, or its events.
async fn rows(store: &Store, kind: ProjectionKind, name: &str, version: u32) -> Vec<(String, Row)> {
    if kind == ProjectionKind::Stream {
        let stream = accounts(name, version);
        let events = store.read_published(&stream, Position::START, 1000).await;
        let event = |event: PublishedEvent| {
            let row = vec![Value::Bytes(event.hash.to_vec())];
            (event.position.to_string(), row)
        };
        return events.unwrap().into_iter().map(event).collect();
    }
    let all = RowQuery {
        select: Select::All,
        after: None,
        limit: 1000,
    };
    store.query_rows(&named(name, version), &all).await.unwrap()
}

async fn version(
    store: &Store,
    kind: ProjectionKind,
    name: &str,
    (version, state): (u32, &ProjectionState),
) -> Version {
    let gone = state.phase == Phase::Retired && kind == ProjectionKind::ReadModel;
    let rows = match gone {
        true => Vec::new(),
        false => rows(store, kind, name, version).await,
    };
    let failures = state
        .slices
        .iter()
        .filter_map(|slice| slice.failure.clone());
    let notes = state.paused.clone().into_iter().chain(failures);
    Version {
        phase: state.phase,
        epoch: state.epoch,
        cursors: state
            .slices
            .iter()
            .map(|slice: &SliceState| slice.cursor)
            .collect(),
        stands_still: notes.map(|note| note.reason).collect(),
        rows,
        sunset: state.sunset,
    }
}

async fn look(store: &Store, kind: ProjectionKind, name: &str) -> Seen {
    let id = id(kind, name, 1);
    let Lineage {
        versions,
        handovers,
        ..
    } = store.lineage(&id).await.unwrap();
    let mut seen = Vec::new();
    for (number, state) in versions {
        let version = version(store, kind, name, (number, &state)).await;
        seen.push((number, version));
    }
    let told = store.life(&id).await.unwrap().into_iter();
    Seen {
        versions: seen,
        handovers: handovers.iter().map(|h| (h.after, h.version)).collect(),
        told: told
            .map(|e| (e.projection.version, e.what, e.phase))
            .collect(),
        view: match kind {
            ProjectionKind::ReadModel => view_of(store, name).await,
            ProjectionKind::Stream | ProjectionKind::Process => None,
        },
    }
}

/// As it is once whoever died is gone, whose last words may still be under way.
async fn settled(store: &Store, kind: ProjectionKind, name: &str) -> Seen {
    loop {
        let seen = look(store, kind, name).await;
        if look(store, kind, name).await == seen {
            return seen;
        }
    }
}

/// A read model or stream of its own where the arrow begins; answers the arrow's step.
async fn begin(store: &Store, name: &str, arrow: &Arrow) -> Step {
    let (last, before) = arrow.steps.split_last().unwrap();
    for step in before {
        take(store, arrow.kind, name, step).await.unwrap();
    }
    last.clone()
}

/// What is seen before the arrow, and behind it.
async fn sides(store: &Store, name: &str, arrow: &Arrow) -> [Seen; 2] {
    let last = begin(store, name, arrow).await;
    let before = look(store, arrow.kind, name).await;
    take(store, arrow.kind, name, &last).await.unwrap();
    let behind = look(store, arrow.kind, name).await;
    assert_ne!(before, behind, "an arrow that goes nowhere");
    [before, behind]
}

/// Polls the call so often, and drops it then. Answers whether it was done.
async fn give_up(call: impl Future<Output = Result<()>>, polls: usize) -> bool {
    let mut call = pin!(call);
    for _ in 0..polls {
        let poll = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = poll {
            done.unwrap();
            return true;
        }
        yield_now().await;
    }
    false
}

/// Drops each arrow's call again and again, each time later, until it is done.
async fn dropped_on_the_way(place: Place) {
    let mut random = Rng::with_seed(seeds(1).next().unwrap());
    let (store, other) = (place.connect().await, place.connect().await);
    for (number, arrow) in arrows().into_iter().enumerate() {
        let Arrow { what, kind, .. } = arrow.clone();
        let [before, behind] = sides(&store, &format!("a{number}"), &arrow).await;
        let (mut polls, mut drops) = (0, [0, 0]);
        loop {
            let name = format!("a{number}_{polls}");
            let last = begin(&store, &name, &arrow).await;
            let done = give_up(take(&other, kind, &name, &last), polls).await;
            let seen = settled(&store, kind, &name).await;
            let side = [&before, &behind]
                .into_iter()
                .position(|side| *side == seen);
            let side = side.unwrap_or_else(|| {
                panic!("{what}, dropped after {polls} polls: {seen:#?}\nis between {before:#?}\nand {behind:#?}")
            });
            drops[side] += 1;
            if done {
                assert_eq!(side, 1, "{what}: it was said to be done");
                break;
            }
            // The wait for a lock or an answer is many polls: not each of them is another step.
            polls += 1 + 2 * polls + random.usize(..=polls);
        }
        println!(
            "{what}: {} times before it, {} times behind it",
            drops[0], drops[1]
        );
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_one_side_of_an_arrow_in_memory() {
    dropped_on_the_way(Place::memory()).await;
}

#[tokio::test]
async fn a_dropped_call_leaves_one_side_of_an_arrow_on_a_file() {
    dropped_on_the_way(Place::file()).await;
}

#[tokio::test]
async fn a_dropped_call_leaves_one_side_of_an_arrow_on_a_server() {
    dropped_on_the_way(Place::server()).await;
}

#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn the_process_that_is_killed() {
    let asked = |what| env::var(what).unwrap();
    let Arrow { kind, steps, .. } = arrows().swap_remove(asked("ES_ARROW").parse().unwrap());
    let store = Store::connect(&asked("ES_URL")).await.unwrap();
    println!("\nbefore");
    take(&store, kind, &asked("ES_NAME"), steps.last().unwrap())
        .await
        .unwrap();
    println!("\nbehind");
    std::future::pending().await
}

/// A process takes an arrow, and is killed after it said a word and a moment went by.
async fn killed(url: &str, arrow: usize, name: &str, word: &str, moment: Duration) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "arrows::the_process_that_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .envs([
            ("ES_URL", url),
            ("ES_NAME", name),
            ("ES_ARROW", &arrow.to_string()),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it goes on") != word {}
    let killed = Instant::now() + moment;
    while Instant::now() < killed {
        std::hint::spin_loop();
    }
    child.kill().await.unwrap();
}

/// Kills a process before, on and behind each arrow.
async fn killed_on_the_way(place: Place, seed: u64) {
    let (url, mut random) = (place.url(), Rng::with_seed(seed));
    let store = place.connect().await;
    for (number, arrow) in arrows().into_iter().enumerate() {
        let Arrow { what, kind, .. } = arrow.clone();
        let [before, behind] = sides(&store, &format!("a{number}"), &arrow).await;
        let moment = Duration::from_micros(random.u64(..30_000));
        let kills = [
            ("before", Duration::ZERO),
            ("before", moment),
            ("behind", Duration::ZERO),
        ];
        for (kill, (word, moment)) in kills.into_iter().enumerate() {
            let name = format!("a{number}_{kill}");
            begin(&store, &name, &arrow).await;
            killed(&url, number, &name, word, moment).await;
            let seen = settled(&store, kind, &name).await;
            let is_behind = seen == behind;
            assert!(
                is_behind || word == "before" && seen == before,
                "{what}, killed {moment:?} after it was {word} it: {seen:#?}\nis not {before:#?}\nnor {behind:#?}"
            );
            println!("{what}, killed {moment:?} after it was {word} it: {is_behind}");
        }
    }
}

#[tokio::test]
async fn a_killed_process_leaves_one_side_of_an_arrow_on_a_file() {
    let seed = seeds(1).next().unwrap();
    killed_on_the_way(Place::file(), seed).await;
}

#[tokio::test]
async fn a_killed_process_leaves_one_side_of_an_arrow_on_a_server() {
    let seed = seeds(1).next().unwrap();
    killed_on_the_way(Place::server(), seed).await;
}
