//! The processes that are tortured.

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use es_runtime::Store;
use es_servers::kill_process;
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::feeds::Feeds;
use crate::ledger;
use crate::people::{Hasty, Place};
use crate::sites::Site;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not said"))
}

/// To the one who started this process.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What a child does: the ledger's work, or that of a place.
pub(crate) async fn be_a_child<S: Site>() {
    let store = Store::connect(&variable("ES_STORE")).await.unwrap();
    let broker = S::broker(&variable("ES_BROKER"));
    let (feed, random) = (variable("ES_FEED"), Rng::new());
    match variable("ES_PLACE").as_str() {
        "Ledger" => {
            let running = ledger::start(&store, &feed, broker, random).await;
            running.unwrap().until_shutdown().await.unwrap();
        }
        place => {
            let place: Place = place.parse().unwrap();
            let clock: Hasty = variable("ES_CLOCK").parse().unwrap();
            let service = place.service(&store, clock).relay(broker.clone());
            let service = service.start().await.unwrap();
            say(&format!("feed {}", service.feed_address().unwrap()));
            let hears = place.hear(&service, &feed, broker, random).await.unwrap();
            let answers = hears.inbox().clone();
            tokio::spawn(async move {
                // Not for long, then: who started this process notices.
                println!("it hears no more: {:?}", hears.until_shutdown().await);
                std::process::exit(1);
            });
            for input in variable("ES_FROM").parse().unwrap().. {
                place.wait_for_answers(&service, &answers).await;
                let done = place.ask(&service, input).await;
                say(&format!("ack {input} {done}"));
            }
        }
    }
}

/// What those at a place were answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The line that comes next.
    pub(crate) next: usize,
    /// Lines that did something.
    pub(crate) done: BTreeSet<usize>,
}

impl Answers {
    pub(crate) fn hear(&mut self, input: usize, done: bool) {
        assert_eq!(input, self.next);
        self.next += 1;
        if done {
            self.done.insert(input);
        }
    }
}

/// A process from outside.
pub(crate) struct Running {
    child: Child,
    heard: Arc<Mutex<Answers>>,
}

impl Running {
    /// Starts one; `test` is the test in which it is a child, and `say` what it must know.
    pub(crate) fn start(
        test: &str,
        say: &[(&str, &str)],
        answers: &Arc<Mutex<Answers>>,
        feeds: &Feeds,
    ) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .envs(say.iter().copied())
            .env("ES_FROM", answers.lock().unwrap().next.to_string())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (heard, feeds) = (answers.clone(), feeds.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut words = line.split(' ');
                match (words.next(), words.next(), words.next()) {
                    (Some("feed"), Some(feed), None) => feeds.add(feed),
                    (Some("ack"), Some(input), Some(done)) => {
                        let input = input.parse().unwrap();
                        heard.lock().unwrap().hear(input, done == "true");
                    }
                    _ => {}
                }
            }
        });
        Self {
            child,
            heard: answers.clone(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Kills it, which must not have ended by itself.
    pub(crate) async fn kill(mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        kill_process(self.pid());
        self.child.wait().await.unwrap();
        // What was said before is read to the end.
        while Arc::strong_count(&self.heard) > 2 {
            tokio::task::yield_now().await;
        }
    }
}
