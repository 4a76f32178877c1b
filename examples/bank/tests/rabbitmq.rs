//! The bank publishes both versions of its stream over RabbitMQ, too, and a program in Python reads
//! them, which knows nothing of es: the tutorial's `--rabbitmq`.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use es_runtime::Store;
use es_runtime::integration::StreamHash;
use es_runtime::store::{EventStore, StreamVersion};
use es_servers::RabbitMq;
use serde_json::Value;
use tempfile::TempDir;

/// A Python with `pika` and `cloudevents`: the one that `ES_PYTHON` names, or the one on the path.
fn python() -> Result<String, String> {
    let python = env::var("ES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    command.args(["-c", "import pika, cloudevents.core"]);
    let found = command.stderr(Stdio::null()).status();
    match found.is_ok_and(|status| status.success()) {
        true => Ok(python),
        false => Err("no Python with its clients: `pip install pika cloudevents`".to_owned()),
    }
}

fn reader(python: &str, url: &str, read: bool) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/rabbitmq.py");
    let mut command = Command::new(python);
    command.arg(script).args([url, "bank"]);
    command.args(read.then_some("read"));
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the reader in Python failed");
    output.stdout
}

#[tokio::test]
async fn a_program_in_python_reads_both_versions() {
    let (server, python) = match (RabbitMq::start(), python()) {
        (Ok(server), Ok(python)) => (server, python),
        (Err(why), _) | (_, Err(why)) => return es_servers::skip(&why),
    };
    let url = format!("amqp://guest:guest@{}/%2f", server.address());
    reader(&python, &url, false);
    let folder = TempDir::new().unwrap();
    let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
    bank.current_dir(folder.path());
    let ended = bank.args(["--rabbitmq", &url, "--exit"]).output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );

    let found: BTreeMap<String, Value> =
        serde_json::from_slice(&reader(&python, &url, true)).unwrap();
    println!("{found:?}");
    let data = bank::accounts_url(&folder.path().join("bank-data"));
    let store = Store::connect(&data).await.unwrap();
    for version in [1, 2] {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version,
        };
        let head = store.published_head(&stream).await.unwrap();
        let read = &found[&format!("accounts.v{version}")];
        assert!(head.position.get() > 100, "the bank did something");
        assert_eq!(read["head"], head.position.get());
        assert_eq!(read["hash"], StreamHash::from_bytes(head.hash).to_string());
        assert!(read["types"]["account-opened"].as_u64() > Some(0), "{read}");
    }
}
