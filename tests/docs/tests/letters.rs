//! The service of forty lines, as a program: it is killed while it reads, and each letter is there once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use es_runtime::consume::{Feed, Inbox};
use es_runtime::event::Position;
use es_runtime::sqlite::sqlx;
use es_runtime::store::EventStore;
use es_runtime::{Result, Service, Store};
use tempfile::TempDir;
use tutorial::bank::{Account, AccountCommand, Accounts};

const CHANGES: u64 = 300;

/// The program; dropped, it is killed.
struct Letters(Child);

impl Letters {
    fn start(folder: &TempDir, bank: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_letters"));
        program
            .current_dir(folder)
            .env("BANK", bank)
            .stdin(Stdio::null());
        Self(program.spawn().expect("the program starts"))
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How many letters there are, once there are so many.
async fn written(store: &Store, at_least: i64) -> Result<i64> {
    let began = Instant::now();
    loop {
        let mut tx = store.begin().await?;
        let count = sqlx::query_scalar("SELECT count(*) FROM letter");
        // The program may not have made its table yet.
        let count = count.fetch_one(tx.sqlite()?).await.unwrap_or(0);
        drop(tx);
        if count >= at_least {
            return Ok(count);
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{count} letters");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_and_writes_each_letter_once() -> Result<()> {
    let bank = Service::builder("bank")
        .store(Store::connect("memory:").await?)
        .aggregate::<Account>()
        .publish::<Account, Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
    let address = format!("http://{}", bank.feed_address().expect("it is served"));
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("letters.db").display());
    let deposit = async |n: u64| {
        let account = ["alice", "bob", "carol"][usize::try_from(n % 3).unwrap_or_default()];
        let deposit = AccountCommand::Deposit { amount: 1 };
        bank.execute::<Account>(account, deposit).await.map(drop)
    };
    let program = Letters::start(&folder, &address);
    for n in 0..CHANGES / 2 {
        deposit(n).await?;
    }
    let store = Store::connect(&url).await?;
    written(&store, 10).await?;
    drop(program);
    for n in CHANGES / 2..CHANGES {
        deposit(n).await?;
    }
    let program = Letters::start(&folder, &address);
    let count = written(&store, CHANGES.cast_signed()).await?;
    let inbox = Inbox::of::<Accounts>("letters", store.clone());
    let verified = inbox
        .verify(Feed::http(&address), ..=Position::new(CHANGES))
        .await?;
    assert!(verified.agrees(), "{verified:?}");
    drop(program);
    assert_eq!(count, CHANGES.cast_signed());
    let mut tx = store.begin().await?;
    let last = "SELECT group_concat(text, '') FROM (SELECT text FROM letter WHERE account = 'alice' \
                ORDER BY rowid DESC LIMIT 1)";
    let last: String = sqlx::query_scalar(last)
        .fetch_one(tx.sqlite()?)
        .await
        .expect("letters");
    assert_eq!(last, "Your balance is 100.");
    bank.shutdown().await
}
