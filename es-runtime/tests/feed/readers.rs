//! Readers that this project did not write: `curl`, and Python with the `cloudevents` package.

use std::path::Path;
use std::process::Command;

use es_runtime::Result;
use es_servers::skip;
use serde_json::Value;
use tempfile::TempDir;

use crate::bank;

/// Runs a program and answers what it printed; nothing where it cannot be run.
async fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("{}: {text}{error}", program.as_ref().display());
        return None;
    }
    Some(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_reads_pages_and_what_comes() -> Result<()> {
    if run("curl", &["--version"]).await.is_none() {
        skip("no curl");
        return Ok(());
    }
    let (bank, url) = bank().await?;
    let events = format!("{url}/streams/accounts/v1/events");
    let page = run("curl", &["-sf", &format!("{events}?limit=2")])
        .await
        .unwrap();
    let page: Vec<Value> = serde_json::from_str(&page).unwrap();
    assert_eq!(page[1]["id"], "accounts.v1-2");
    // The tag that it keeps in a file spares it the second page.
    let place = TempDir::new().unwrap();
    let (tag, body) = (place.path().join("tag"), place.path().join("body"));
    let (tag, body) = (tag.to_str().unwrap(), body.to_str().unwrap());
    let ask = [
        "-sf",
        "--etag-save",
        tag,
        "--etag-compare",
        tag,
        "-o",
        body,
        "-w",
        "%{http_code}",
    ];
    for status in ["200", "304"] {
        let ask: Vec<_> = ask.iter().copied().chain([&*events]).collect();
        assert_eq!(run("curl", &ask).await.unwrap(), status);
    }
    // As a browser would, for a second.
    let accept = "Accept: text/event-stream";
    let script = format!("curl -sN --max-time 1 -H '{accept}' '{events}?after=1' || [ $? = 28 ]");
    let sent = run("sh", &["-c", &script]).await.unwrap();
    let lines: Vec<_> = sent
        .lines()
        .filter(|line| line.starts_with("id: "))
        .collect();
    assert_eq!(lines, ["id: accounts.v1-2", "id: accounts.v1-3"]);
    bank.shutdown().await
}

/// Reads the whole stream page by page, understands each event, and checks the chain by itself.
const PYTHON: &str = r#"
import hashlib, json, sys, urllib.request
from cloudevents.http import from_dict

url, after, seen, chain = sys.argv[1], 0, [], bytes(32)
while True:
    with urllib.request.urlopen(f"{url}?after={after}&limit=2") as answer:
        assert answer.headers["Content-Type"] == "application/cloudevents-batch+json"
        text = answer.read().decode()
    page = json.loads(text)
    if not page:
        break
    for raw in page:
        event = from_dict(raw)
        after += 1
        assert int(event["sequence"]) == after, event
        assert event["id"] == f"accounts.v1-{after}" and event["specversion"] == "1.0"
        payload = json.dumps(event.data, separators=(",", ":"), ensure_ascii=False).encode()
        length = lambda bytes: len(bytes).to_bytes(8, "big")
        salt, kind = bytes.fromhex(event["streamsalt"]), event["type"].encode()
        digest = hashlib.sha256(salt + length(payload) + payload).digest()
        chain = hashlib.sha256(chain + after.to_bytes(8, "big") + length(kind) + kind + digest).digest()
        assert chain.hex() == event["streamhash"], event
        seen.append(event["type"])
print(",".join(seen))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_reads_with_the_cloudevents_package() -> Result<()> {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("venv");
    let python = folder.join("bin/python");
    if run("python3", &["-m", "venv", folder.to_str().unwrap()])
        .await
        .is_none()
    {
        skip("no Python with venv");
        return Ok(());
    }
    let install = ["-m", "pip", "install", "--quiet", "cloudevents==1.12.0"];
    if run(&python, &install).await.is_none() {
        skip("pip cannot install `cloudevents`");
        return Ok(());
    }
    let (bank, url) = bank().await?;
    let events = format!("{url}/streams/accounts/v1/events");
    let seen = run(&python, &["-c", PYTHON, &events])
        .await
        .expect("it understands all");
    let (opened, changed) = (
        "dk.example.account-opened.v1",
        "dk.example.balance-changed.v1",
    );
    assert_eq!(seen.trim(), format!("{opened},{changed},{changed}"));
    bank.shutdown().await
}
