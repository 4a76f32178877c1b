//! Group commit: everything that waits while the previous commit is under way goes into the next
//! transaction.

use std::collections::{HashSet, VecDeque};
use std::future::Future;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::{Append, Appended};
use crate::error::{Error, Result};

/// What is being done, for errors.
pub(crate) const DOING: &str = "appending events";
/// Appends that may wait; the next caller waits for room.
const QUEUE: usize = 1024;
/// Appends in one transaction.
const BATCH: usize = 512;

/// Writes a batch of appends in one transaction.
pub(crate) trait Commit: Send + 'static {
    /// Whether a batch may hold two appends to one stream.
    const STREAMS_REPEAT: bool;

    /// Decides each append by its own merits and writes those that are accepted.
    fn commit(
        &mut self,
        batch: &[Append],
    ) -> impl Future<Output = Result<Vec<Appended>, Failed>> + Send;
}

/// Where a batch failed.
pub(crate) enum Failed {
    /// Before any of its appends was looked at, and why.
    Before(String),
    /// On account of one of them, or in the commit.
    Within(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Before(why) => Self::database(DOING, why),
            Failed::Within(error) => error,
        }
    }
}

/// The way to the task that writes all appends of this process.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    append: Append,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Appended>>;

impl Committer {
    pub(crate) fn start(commit: impl Commit) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(commit, waiting));
        Self { queue }
    }

    /// Hands the append over and waits for its commit. The commit happens also if the caller does
    /// not wait.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended> {
        let gone = || Error::database(DOING, "the store is closed");
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { append, answer };
        self.queue.send(waiting).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn run<C: Commit>(mut commit: C, mut queue: mpsc::Receiver<Waiting>) {
    let mut arrived = Vec::with_capacity(BATCH);
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() && queue.recv_many(&mut arrived, BATCH).await == 0 {
            return;
        }
        waiting.extend(arrived.drain(..));
        // Callers that were just answered may have more to append: one turn for them, so that a
        // commit is shared by all and not by half of them.
        yield_now().await;
        while waiting.len() < BATCH {
            let Ok(more) = queue.try_recv() else { break };
            waiting.push_back(more);
        }
        let batch = take::<C>(&mut waiting);
        write(&mut commit, batch).await;
    }
}

/// The appends that go into the next transaction, first come first served; a second append to a
/// stream waits for the next one where a batch may not repeat a stream.
fn take<C: Commit>(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut streams = HashSet::new();
    let now = waiting.len().min(BATCH);
    let (mut batch, mut later) = (Vec::with_capacity(now), VecDeque::new());
    for next in waiting.drain(..now) {
        if C::STREAMS_REPEAT || streams.insert(next.append.stream.clone()) {
            batch.push(next);
        } else {
            later.push_back(next);
        }
    }
    later.append(waiting);
    *waiting = later;
    batch
}

async fn write<C: Commit>(commit: &mut C, batch: Vec<Waiting>) {
    let (appends, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.append, waiting.answer))
        .unzip();
    // A caller that is gone does not want its answer.
    let tell = |answer: Answer, result| drop(answer.send(result));
    match commit.commit(&appends).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                tell(answer, Ok(result));
            }
        }
        // Nobody's fault: the patience that it cost is not spent again for each of them.
        Err(Failed::Before(why)) => {
            for answer in answers {
                tell(answer, Err(Error::database(DOING, why.clone())));
            }
        }
        // One append that the database refuses must not fail its neighbours. If the commit itself
        // was in doubt, the command ids answer with what it did.
        Err(Failed::Within(error)) => {
            tracing::warn!(%error, appends = appends.len(), "a batch of appends failed");
            for (answer, append) in answers.into_iter().zip(appends) {
                let result = commit.commit(&[append]).await;
                tell(
                    answer,
                    result.map(|results| results[0]).map_err(Error::from),
                );
            }
        }
    }
}
