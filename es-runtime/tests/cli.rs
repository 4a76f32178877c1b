//! The program `es`: a log moves between databases, also when it is killed on the way.

mod filled;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use es_runtime::Store;
use es_runtime::event::{CommandId, Position, StoredEvent};
use es_runtime::store::{Append, Appended, EventStore, LogQuery};
use es_servers::Postgres;
use fastrand::Rng;
use filled::{fill, knows};
use tempfile::TempDir;

const KILLS: usize = 12;

fn es(arguments: &[&str]) -> Command {
    let mut es = Command::new(env!("CARGO_BIN_EXE_es"));
    es.args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    es
}

fn run(arguments: &[&str]) -> Output {
    es(arguments).output().unwrap()
}

/// What a command that succeeds says.
fn says(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// How a command ends that fails, and what it says.
fn fails(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), error)
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn sqlite(&self, name: &str) -> String {
        format!("sqlite://{}", self.file(name))
    }

    /// The lines of a file but the first, which names the log and the time.
    fn content(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    }
}

fn seeded() -> Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    Rng::with_seed(seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_moves_between_databases_and_stays_the_same() {
    let (mut random, files, server) = (seeded(), Files::new(), Postgres::start());
    let (lite, other, postgres) = (
        files.sqlite("a.db"),
        files.sqlite("b.db"),
        server.database(),
    );
    let store = Store::connect(&lite).await.unwrap();
    let appends = fill(&store, &mut random, 1500, 4).await;
    let head = store.head().await.unwrap();
    store.close().await;
    let way = [
        (&lite, "1.jsonl", &postgres),
        (&postgres, "2.jsonl.zst", &other),
        (&other, "3.jsonl", &postgres),
    ];
    for (from, name, to) in way {
        let file = files.file(name);
        let said = says(&["export", from, &file]);
        assert!(said.contains(&format!("up to position {head}")), "{said}");
        let said = says(&["import", to, &file]);
        assert!(
            said.ends_with(&format!("is at position {head}\n")),
            "{said}"
        );
        assert_eq!(says(&["head", to]), format!("{head}\n"));
    }
    says(&["export", &postgres, &files.file("4.jsonl")]);
    assert_eq!(files.content("1.jsonl"), files.content("3.jsonl"));
    assert_eq!(files.content("1.jsonl"), files.content("4.jsonl"));
    // What was accepted is accepted: also on the way back, and life goes on.
    for url in [&postgres, &other] {
        let store = Store::connect(url).await.unwrap();
        knows(&store, &appends).await;
        let mut next = appends[0].clone();
        next.command_id = CommandId::random();
        while let Appended::Conflict { found } = store.append(next.clone()).await.unwrap() {
            next.expected = found;
        }
        store.close().await;
    }
}

/// Imports a file until it is whole, and kills the program at random moments.
async fn import_under_kills(random: &mut Rng, files: &Files, url: &str, appends: &[Append]) {
    says(&["migrate", url]);
    let file = files.file("source.jsonl");
    let store = Store::connect(url).await.unwrap();
    let source = Store::connect(&files.sqlite("source.db")).await.unwrap();
    let end = source.head().await.unwrap().get();
    let mut killed = 0;
    for kill in 0..KILLS {
        let mut child = es(&["import", url, &file]).spawn().unwrap();
        // At a moment in this round's part of the log.
        let share = |round: usize| end * round as u64 / KILLS as u64;
        let wanted = random.u64(share(kill)..share(kill + 1));
        let mut head = store.head().await.unwrap();
        while head.get() <= wanted && child.try_wait().unwrap().is_none() {
            store.wait_for_append(head).await;
            head = store.head().await.unwrap();
        }
        for _ in 0..random.u32(..200_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        check(&store, &source, appends).await;
    }
    assert!(killed > KILLS / 2, "{killed} of {KILLS} died of it");
    says(&["import", url, &file]);
    let again = format!("again-{}.jsonl", random.u64(..));
    says(&["export", url, &files.file(&again)]);
    assert_eq!(files.content(&again), files.content("source.jsonl"));
    knows(&store, appends).await;
    store.close().await;
    source.close().await;
}

async fn log(store: &Store, events: usize) -> Vec<StoredEvent> {
    let query = LogQuery::after(Position::START).limit(events);
    let page = store.read_log(&query).await.unwrap();
    page.events.to_vec().unwrap()
}

/// The log is the beginning of the source, in whole commands, each of which is known.
async fn check(store: &Store, source: &Store, appends: &[Append]) {
    let head = store.head().await.unwrap();
    let all = usize::MAX >> 1;
    let mut is = log(store, all).await;
    let was = log(source, is.len()).await;
    assert_eq!(format!("{is:?}"), format!("{was:?}"));
    assert_eq!(is.len() as u64, head.get());
    let keys: Vec<_> = appends
        .iter()
        .map(|append| (append.stream.clone(), append.command_id))
        .collect();
    let known = store.read_commands(&keys).await.unwrap();
    let emitted = known.iter().map(|command| u64::from(command.outcome.count));
    assert_eq!(emitted.sum::<u64>(), head.get());
    is.dedup_by_key(|event| event.command_id);
    let with_events = known.iter().filter(|command| command.outcome.count > 0);
    assert_eq!(with_events.count(), is.len());
    // Those without events up to here came along.
    let there = source.read_commands(&keys).await.unwrap();
    let due = there.iter().filter(|c| c.outcome.position() < head);
    let expected = due.count();
    assert!(known.len() >= expected, "{} of {expected}", known.len());
}

async fn source(random: &mut Rng, files: &Files) -> Vec<Append> {
    let url = files.sqlite("source.db");
    let store = Store::connect(&url).await.unwrap();
    let appends = fill(&store, random, 2000, 80).await;
    store.close().await;
    says(&["export", &url, &files.file("source.jsonl")]);
    appends
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_in_sqlite() {
    let (mut random, files) = (seeded(), Files::new());
    let appends = source(&mut random, &files).await;
    import_under_kills(&mut random, &files, &files.sqlite("target.db"), &appends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_in_postgres() {
    let (mut random, files, server) = (seeded(), Files::new(), Postgres::start());
    let appends = source(&mut random, &files).await;
    import_under_kills(&mut random, &files, &server.database(), &appends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_killed_goes_on() {
    let (mut random, files) = (seeded(), Files::new());
    source(&mut random, &files).await;
    let url = files.sqlite("source.db");
    for name in ["killed.jsonl", "killed.jsonl.zst"] {
        let file = files.file(name);
        for round in 1..=KILLS as u64 {
            let mut child = es(&["export", &url, &file]).spawn().unwrap();
            let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
            let wanted = size() + random.u64(1..400_000) * round / 4;
            while size() < wanted && child.try_wait().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            child.kill().unwrap();
            if child.wait().unwrap().code() == Some(0) {
                break;
            }
        }
        // Complete already, or completed now.
        run(&["export", &url, &file]);
        let (target, again) = (format!("{name}.db"), format!("{name}.again.jsonl"));
        says(&["import", &files.sqlite(&target), &file]);
        says(&["export", &files.sqlite(&target), &files.file(&again)]);
        assert_eq!(files.content(&again), files.content("source.jsonl"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_brought_up_to_date_and_looked_at() {
    let (files, server) = (Files::new(), Postgres::start());
    for url in [files.sqlite("a.db"), server.database()] {
        let none = "version 0, and this release has";
        let check = run(&["migrate", &url, "--check"]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(3), "{said}");
        assert!(said.contains(none), "{said}");
        // Looking makes nothing.
        assert!(!url.starts_with("sqlite:") || !files.path("a.db").exists());
        let (code, error) = fails(&["head", &url]);
        assert!(
            code == 1 && error.contains("there is no log yet"),
            "{error}"
        );
        let (code, error) = fails(&["export", &url, &files.file("x.jsonl")]);
        assert!(
            code == 1 && error.contains("there is no log yet"),
            "{error}"
        );
        assert!(!files.path("x.jsonl").exists());

        let said = says(&["migrate", &url]);
        assert!(
            said.starts_with("the tables went from version 0 to "),
            "{said}"
        );
        for arguments in [&["migrate", &url][..], &["migrate", &url, "--check"]] {
            let said = says(arguments);
            assert!(said.starts_with("the tables are up to date: "), "{said}");
        }
        assert_eq!(says(&["head", &url]), "0\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_commands_are_forgotten_when_somebody_asks() {
    let (mut random, files, server) = (seeded(), Files::new(), Postgres::start());
    for url in [files.sqlite("a.db"), server.database()] {
        let store = Store::connect(&url).await.unwrap();
        let appends = fill(&store, &mut random, 60, 2).await;
        let said = says(&["forget-commands", &url, "--older-than", "36500d"]);
        assert!(said.starts_with("0 commands "), "{said}");
        knows(&store, &appends).await;
        let said = says(&["forget-commands", &url, "--older-than", "1h"]);
        assert!(said.starts_with("60 commands "), "{said}");
        let keys: Vec<_> = appends
            .iter()
            .map(|a| (a.stream.clone(), a.command_id))
            .collect();
        assert!(store.read_commands(&keys).await.unwrap().is_empty());
        // A log that forgot moves, too.
        let name = format!("{}.jsonl", random.u64(..));
        let said = says(&["export", &url, &files.file(&name)]);
        assert!(said.contains(" and 0 commands"), "{said}");
        says(&[
            "import",
            &files.sqlite(&format!("{name}.db")),
            &files.file(&name),
        ]);
        store.close().await;
    }
}

#[tokio::test]
async fn accepted_commands_are_changed_by_nobody() {
    use es_runtime::postgres::sqlx::{self, Connection, PgConnection};
    let (mut random, server) = (seeded(), Postgres::start());
    let url = server.database();
    let store = Store::connect(&url).await.unwrap();
    let appends = fill(&store, &mut random, 20, 2).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "UPDATE es.command SET count = 0",
        "DELETE FROM es.command",
        "TRUNCATE es.command",
    ] {
        let changed = sqlx::raw_sql(statement).execute(&mut connection).await;
        let error = changed.unwrap_err().to_string();
        assert!(error.contains("never changed"), "{statement}: {error}");
    }
    knows(&store, &appends).await;
}

#[test]
fn what_is_not_understood_is_said() {
    let files = Files::new();
    let url = files.sqlite("a.db");
    assert!(says(&["--help"]).contains("usage: es COMMAND URL"));
    assert!(says(&["import", "-h"]).contains("usage: es COMMAND URL"));
    assert!(says(&["--version"]).starts_with("es "));
    for (arguments, why) in [
        (&[][..], "say a command"),
        (&["dance"], "there is no command `dance`"),
        (&["head"], "say the store's URL"),
        (&["export", &url], "say the file"),
        (&["head", &url, "more"], "unexpected argument"),
        (&["head", &url, "--check"], "invalid option '--check'"),
        (&["forget-commands", &url], "say --older-than"),
        (&["forget-commands", &url, "--older-than", "9y"], "90d"),
    ] {
        let (code, error) = fails(arguments);
        assert!(code == 2 && error.contains(why), "{arguments:?}: {error}");
    }
    for (arguments, why) in [
        (&["head", "memory:"][..], "ends with its process"),
        (&["head", "mysql://a"], "[ES0112]"),
        (&["import", &url, "nothing.jsonl"], "[ES0144]"),
    ] {
        let (code, error) = fails(arguments);
        assert!(code == 1 && error.contains(why), "{arguments:?}: {error}");
    }
}
