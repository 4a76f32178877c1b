//! A log as a file: the same after every way through it, and nothing taken from a damaged one.
#![cfg(feature = "cli")]

mod filled;

use std::fs;
use std::path::{Path, PathBuf};

use es_runtime::event::{Position, Timestamp};
use es_runtime::ops::{Exported, Imported, export, import};
use es_runtime::store::EventStore;
use es_runtime::store::memory::MemoryStore;
use es_runtime::{Error, Result};
use fastrand::Rng;
use filled::{fill, knows};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn seed() -> u64 {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    seed
}

async fn exported(store: &MemoryStore, file: &Path, after: u64) -> Result<Exported> {
    let now = Timestamp::from_micros(1);
    export(store, file, Position::new(after), now, |_| {}).await
}

async fn imported(store: &MemoryStore, file: &Path) -> Result<Imported> {
    import(store, file, |_| {}).await
}

/// The lines without the first one, which names the log.
fn content(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap();
    let text = match file.extension().unwrap() == "zst" {
        true => zstd::decode_all(&bytes[..]).unwrap(),
        false => bytes,
    };
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().skip(1).map(str::to_owned).collect()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[tokio::test]
async fn a_log_is_the_same_behind_its_file() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let source = MemoryStore::new();
    // More than one block, and more than one segment.
    let appends = fill(&source, &mut random, 15_000, 4).await;
    let mut contents = Vec::new();
    let mut store = source;
    for name in ["a.jsonl", "b.jsonl.zst", "c.jsonl"] {
        let (file, next) = (files.file(name), MemoryStore::new());
        let out = exported(&store, &file, 0).await.unwrap();
        let back = imported(&next, &file).await.unwrap();
        let events = out.position.get();
        assert_eq!((out.events, out.commands), (events, 15_000));
        assert_eq!((back.events, back.position), (events, out.position));
        contents.push(content(&file));
        store = next;
    }
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
    knows(&store, &appends).await;
    // The file says how to prove it, with tools that everybody has.
    let lines = &contents[0];
    let (end, before) = lines.split_last().unwrap();
    let all: String = before.iter().map(|line| format!("{line}\n")).collect();
    let sha = hex::encode(Sha256::digest(all.as_bytes()));
    assert!(end.contains(&format!(r#""sha256":"{sha}""#)), "{end}");
    // What is there is not imported again.
    let again = imported(&store, &files.file("a.jsonl")).await.unwrap();
    assert_eq!(again.events, 0);
}

#[tokio::test]
async fn an_export_goes_on_wherever_it_was_torn() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let store = MemoryStore::new();
    fill(&store, &mut random, 3000, 4).await;
    for name in ["a.jsonl", "a.jsonl.zst"] {
        let file = files.file(name);
        exported(&store, &file, 0).await.unwrap();
        let (bytes, lines) = (fs::read(&file).unwrap(), content(&file));
        for n in 0..24 {
            let length = match n {
                0..6 => n * n * n,
                6..10 => bytes.len() - (n - 5),
                _ => random.usize(..bytes.len()),
            };
            let mut torn = bytes[..length].to_vec();
            if n % 3 == 0 && length > 2000 {
                // A crash of the machine may leave what was never written.
                torn.extend([0; 300]);
            }
            fs::write(&file, torn).unwrap();
            exported(&store, &file, 0).await.unwrap();
            assert_eq!(content(&file), lines, "{name} cut at {length}");
        }
    }
}

#[tokio::test]
async fn what_comes_later_goes_into_a_further_file() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    let (mut appends, mut after) = (Vec::new(), 0);
    for name in ["1.jsonl", "2.jsonl.zst", "3.jsonl"] {
        appends.extend(fill(&source, &mut random, 500, 3).await);
        let file = files.file(name);
        let out = exported(&source, &file, after).await.unwrap();
        after = out.position.get();
        // An old file does not disturb.
        for name in [name, "1.jsonl"] {
            imported(&target, &files.file(name)).await.unwrap();
        }
        assert_eq!(target.head().await.unwrap(), out.position);
    }
    knows(&target, &appends).await;
    let (a, b) = (files.file("a.jsonl"), files.file("b.jsonl"));
    exported(&source, &a, 0).await.unwrap();
    exported(&target, &b, 0).await.unwrap();
    assert_eq!(content(&a), content(&b));
    // Not without what comes before, nor behind another past.
    let code = |result: Result<Imported>| result.unwrap_err().code();
    let (empty, other) = (MemoryStore::new(), MemoryStore::new());
    fill(&other, &mut random, 3000, 3).await;
    let third = files.file("3.jsonl");
    assert_eq!(code(imported(&empty, &third).await), "ES0140");
    assert_eq!(code(imported(&other, &third).await), "ES0143");
    assert_eq!(
        code(imported(&other, &files.file("1.jsonl")).await),
        "ES0143"
    );
    assert_eq!(empty.head().await.unwrap(), Position::START);
}

#[tokio::test]
async fn no_file_begins_within_a_command() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let store = MemoryStore::new();
    let appends = fill(&store, &mut random, 50, 3).await;
    let long = appends.iter().find(|append| append.events.len() == 3);
    let long = long.expect("a command with three events");
    let done = store.outcome(&long.stream, long.command_id).await.unwrap();
    let first = done.unwrap().first.get();
    for (after, whole) in [
        (first - 1, true),
        (first, false),
        (first + 1, false),
        (first + 2, true),
    ] {
        let out = exported(&store, &files.file(&format!("{after}.jsonl")), after).await;
        assert_eq!(out.is_ok(), whole, "{after}: {out:?}");
    }
    let beyond = exported(&store, &files.file("x.jsonl"), 1000).await;
    assert_eq!(beyond.unwrap_err().code(), "ES0145");
}

/// Damages a file, and says what became of its import: the error, and how far the log came.
async fn refused(file: &Path, damaged: &str) -> (Error, u64) {
    fs::write(file, damaged).unwrap();
    let target = MemoryStore::new();
    let error = imported(&target, file).await.unwrap_err();
    (error, target.head().await.unwrap().get())
}

#[tokio::test]
async fn nothing_is_taken_from_a_damaged_file() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let store = MemoryStore::new();
    fill(&store, &mut random, 300, 3).await;
    let file = files.file("a.jsonl");
    exported(&store, &file, 0).await.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let but = |n: usize, line: Option<&str>| {
        let mut lines = lines.clone();
        match line {
            Some(line) => lines[n] = line,
            None => drop(lines.remove(n)),
        }
        lines.join("\n") + "\n"
    };
    let event = lines
        .iter()
        .position(|line| line.contains(r#""payload":{}"#));
    let event = event.expect("a plain event");
    let amount = lines[event].replace(r#""payload":{}"#, r#""payload":{"amount":1}"#);
    let broken = lines[event].replace(r#""payload":{}"#, r#""payload":{"amount":}"#);
    let newer = lines[event].replace(r#""payload":{}"#, r#""payload":{},"new":1"#);
    let text_of = lines[event].replace(r#""payload":{}"#, r#""payload_text":"{""#);
    let unnamed = lines[event].replace("account-", "account");
    for (damage, line, code) in [
        ("changed", Some(amount.as_str()), "ES0142"),
        ("no JSON", Some(broken.as_str()), "ES0141"),
        ("a field of another format", Some(newer.as_str()), "ES0141"),
        ("a payload that is none", Some(text_of.as_str()), "ES0141"),
        ("no stream", Some(unnamed.as_str()), "ES0141"),
        ("left out", None, "ES0141"),
        ("twice", Some(lines[event + 1]), "ES0141"),
        ("empty", Some(""), "ES0141"),
    ] {
        let (error, head) = refused(&file, &but(event, line)).await;
        println!("{damage}: {error}");
        assert_eq!((error.code(), head), (code, 0), "{damage}: {error}");
        if code == "ES0141" {
            let (here, next) = (
                format!("line {} of ", event + 1),
                format!("line {} of ", event + 2),
            );
            let text = error.to_string();
            assert!(text.contains(&here) || text.contains(&next), "{text}");
        }
    }
    // Cut anywhere: the log has what was whole and proven, and the whole file goes on from there.
    for _ in 0..20 {
        let length = random.usize(..text.len() - 1);
        let Some(torn) = text.get(..length) else {
            continue;
        };
        let (error, head) = refused(&file, torn).await;
        assert!(matches!(error.code(), "ES0141" | "ES0142"), "{error}");
        assert_eq!(head, 0, "cut at {length}");
    }
    let (error, _) = refused(&file, &text.replace(r#""format":1"#, r#""format":2"#)).await;
    assert_eq!(error.code(), "ES0141");
    let (error, _) = refused(&file, "hello\n").await;
    assert_eq!(error.code(), "ES0141");
}

#[tokio::test]
async fn the_part_before_the_damage_is_kept_and_gone_on_with() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let store = MemoryStore::new();
    let appends = fill(&store, &mut random, 30_000, 3).await;
    let (whole, torn) = (files.file("a.jsonl"), files.file("b.jsonl"));
    exported(&store, &whole, 0).await.unwrap();
    let bytes = fs::read(&whole).unwrap();
    let target = MemoryStore::new();
    let mut head = 0;
    for part in 1..=9 {
        fs::write(&torn, &bytes[..bytes.len() * part / 10]).unwrap();
        let error = imported(&target, &torn).await.unwrap_err();
        assert_eq!(error.code(), "ES0142", "{error}");
        let now = target.head().await.unwrap().get();
        assert!(now >= head);
        head = now;
    }
    assert!(head > 0);
    imported(&target, &whole).await.unwrap();
    assert_eq!(target.head().await.unwrap(), store.head().await.unwrap());
    knows(&target, &appends).await;
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_touched() {
    let (mut random, files) = (Rng::with_seed(seed()), Files::new());
    let (store, other) = (MemoryStore::new(), MemoryStore::new());
    fill(&store, &mut random, 20, 3).await;
    fill(&other, &mut random, 20, 3).await;
    let (complete, part) = (files.file("complete.jsonl"), files.file("part.jsonl"));
    exported(&store, &complete, 0).await.unwrap();
    exported(&other, &part, 0).await.unwrap();
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[..bytes.len() - 10]).unwrap();
    let (letter, short) = (files.file("letter.jsonl"), files.file("short.jsonl"));
    fs::write(&letter, "dear bank\n".repeat(200)).unwrap();
    fs::write(&short, "dear bank\n").unwrap();
    let note = files.file("note.jsonl");
    fs::write(&note, "no line").unwrap();
    for file in [complete, part, letter, short, note] {
        let before = fs::read(&file).unwrap();
        let error = exported(&store, &file, 0).await.unwrap_err();
        println!("{error}");
        assert_eq!(error.code(), "ES0145", "{error}");
        assert_eq!(fs::read(&file).unwrap(), before, "{}", file.display());
    }
}
