//! Group commit: everything that waits while the previous commit is under way goes into the next
//! transaction.

#[cfg(test)]
mod model;

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::sync::Arc;

use tokio::select;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;

use super::{Append, Appended};
use crate::error::{Error, Kind, Result};

/// What is being done, for errors.
pub(crate) const DOING: &str = "appending events";

/// Turns in which no append arrived, after which no more are expected.
const IDLE_TURNS: usize = 16;
/// Turns after which those that are there do not wait any longer for others.
const MOST_TURNS: usize = 64;

/// How much a committer takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Appends that may wait beside those that are being written.
    pub(crate) queue: usize,
    /// Appends in one transaction.
    pub(crate) batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 8192,
            batch: 512,
        }
    }
}

/// Writes a batch of appends in one transaction.
pub(crate) trait Commit: Send + 'static {
    /// Whether a batch may hold two appends to one stream.
    const STREAMS_REPEAT: bool;

    /// Decides each append by its own merits and writes those that are accepted.
    fn commit(
        &mut self,
        batch: &Arc<[Append]>,
    ) -> impl Future<Output = Result<Vec<Appended>, Failed>> + Send;

    /// Lets go of what it writes with.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// How a batch failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Whatever was in it: nothing was written.
    Before(Error),
    /// The connection was lost on the way: nobody knows what was written.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    Lost(Error),
    /// On account of one of them, or in the commit.
    Within(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Before(error) | Failed::Lost(error) | Failed::Within(error) => error,
        }
    }
}

/// What keeps the laws here. The model switches each off to see that it notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
enum Guard {
    /// A stream's appends are written in the order of their calls.
    Order,
    /// A close finishes what was taken.
    Drain,
    /// A lost connection is asked again.
    Again,
    /// A refused append fails alone.
    Alone,
    /// The caller hears of its append after the commit.
    Late,
}

/// Whether a test switched this guard off.
fn without(guard: Guard) -> bool {
    #[cfg(test)]
    return model::is_off(guard);
    #[cfg(not(test))]
    {
        let _ = guard;
        false
    }
}

/// The way to the task that writes all appends of this process.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Waiting>,
    closing: Arc<watch::Sender<bool>>,
    /// Ends with the task.
    running: watch::Receiver<()>,
}

/// The other end: what the task works with.
pub(crate) struct Work {
    queue: mpsc::Receiver<Waiting>,
    closing: watch::Receiver<bool>,
    running: watch::Sender<()>,
    batch: usize,
}

#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Appended>>;

impl Committer {
    pub(crate) fn start(commit: impl Commit, limits: Limits) -> Self {
        let (committer, work) = Self::new(limits);
        tokio::spawn(work.run(commit));
        committer
    }

    fn new(limits: Limits) -> (Self, Work) {
        let (queue, waiting) = mpsc::channel(limits.queue.max(1));
        let (running, ended) = watch::channel(());
        let (close, closing) = watch::channel(false);
        let work = Work {
            queue: waiting,
            closing,
            running,
            batch: limits.batch.max(1),
        };
        let committer = Self {
            queue,
            closing: Arc::new(close),
            running: ended,
        };
        (committer, work)
    }

    /// Hands the append over and waits for its commit. The commit happens also if the caller does
    /// not wait. Where the queue is full, it fails at once.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended> {
        let closed = || Error::database(DOING, "the store is closed");
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Waiting { append, answer }) {
            Ok(()) => answered.await.map_err(|_| closed())?,
            Err(TrySendError::Closed(_)) => Err(closed()),
            Err(TrySendError::Full(_)) => Err(Error::new(Kind::Overloaded {
                queue: self.queue.max_capacity(),
            })),
        }
    }

    /// How many appends wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Takes no more appends, and returns when those that were taken are answered.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        // An error is the end of the task, which is waited for.
        self.running.clone().changed().await.ok();
    }
}

impl Work {
    async fn run<C: Commit>(mut self, mut commit: C) {
        let mut arrived = Vec::with_capacity(self.batch);
        let (mut waiting, mut answered) = (VecDeque::new(), 0);
        loop {
            if waiting.is_empty() && self.more(&mut arrived).await == 0 {
                break;
            }
            waiting.extend(arrived.drain(..));
            if *self.closing.borrow() {
                self.queue.close();
            }
            self.gather(&mut waiting, answered).await;
            let batch = take(&mut waiting, self.batch, C::STREAMS_REPEAT);
            answered = batch.len();
            write(&mut commit, batch).await;
        }
        commit.close().await;
        drop(self.running);
    }

    /// Gives turns to callers: those that were just answered may have more to append, and a commit
    /// that is shared by all of them is cheaper than one for each half.
    async fn gather(&mut self, waiting: &mut VecDeque<Waiting>, answered: usize) {
        let (mut idle, mut turns) = (0, 0);
        while waiting.len() < answered.min(self.batch) && idle <= IDLE_TURNS && turns < MOST_TURNS {
            yield_now().await;
            let before = waiting.len();
            while waiting.len() < self.batch {
                let Ok(more) = self.queue.try_recv() else {
                    break;
                };
                waiting.push_back(more);
            }
            idle = if waiting.len() > before { 0 } else { idle + 1 };
            turns += 1;
        }
    }

    /// Waits for appends; none when there will be no more.
    async fn more(&mut self, arrived: &mut Vec<Waiting>) -> usize {
        select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => {}
            more = self.queue.recv_many(arrived, self.batch) => return more,
        }
        // What was taken before is still received, then the queue ends.
        self.queue.close();
        if without(Guard::Drain) {
            return 0;
        }
        self.queue.recv_many(arrived, self.batch).await
    }
}

/// The appends that go into the next transaction, first come first served; a second append to a
/// stream waits for the next one where a batch may not repeat a stream.
fn take(waiting: &mut VecDeque<Waiting>, most: usize, streams_repeat: bool) -> Vec<Waiting> {
    let mut streams = HashSet::new();
    let now = waiting.len().min(most);
    let (mut batch, mut later) = (Vec::with_capacity(now), VecDeque::new());
    for next in waiting.drain(..now) {
        if streams_repeat || streams.insert(next.append.stream.clone()) {
            batch.push(next);
        } else if without(Guard::Order) {
            later.push_front(next);
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
    let appends = Arc::<[Append]>::from(appends);
    // A caller that is gone does not want its answer.
    let tell = |answer: Answer, result| drop(answer.send(result));
    if without(Guard::Late) {
        for (answer, append) in answers.into_iter().zip(&*appends) {
            let soon = super::Outcome {
                first: crate::event::Position::START.next(),
                count: 1,
                version: append.expected + 1,
            };
            tell(answer, Ok(Appended::New(soon)));
        }
        drop(settle(commit, &appends).await);
        return;
    }
    match settle(commit, &appends).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                tell(answer, Ok(result));
            }
        }
        // One append that the database refuses must not fail its neighbours. If the commit itself
        // was in doubt, the command ids answer with what it did.
        Err(Failed::Within(error)) if appends.len() > 1 && !without(Guard::Alone) => {
            tracing::warn!(%error, appends = appends.len(), "a batch of appends failed");
            let mut down = None;
            for (answer, append) in answers.into_iter().zip(&*appends) {
                let result = match &down {
                    Some(error) => Err(Error::copy(error)),
                    None => match settle(commit, &Arc::from([append.clone()])).await {
                        Ok(results) => Ok(results[0]),
                        Err(Failed::Within(error)) => Err(error),
                        Err(Failed::Before(error) | Failed::Lost(error)) => {
                            down = Some(error.copy());
                            Err(error)
                        }
                    },
                };
                tell(answer, result);
            }
        }
        // Nobody's fault: the patience that it cost is not spent again for each of them.
        Err(failed) => {
            let error = Error::from(failed);
            for answer in answers {
                tell(answer, Err(error.copy()));
            }
        }
    }
}

/// Commits the batch, and where the connection is lost on the way, the same batch once more: the
/// command ids tell what became of the first.
async fn settle<C: Commit>(commit: &mut C, batch: &Arc<[Append]>) -> Result<Vec<Appended>, Failed> {
    match commit.commit(batch).await {
        Err(Failed::Lost(error)) if !without(Guard::Again) => {
            tracing::warn!(%error, appends = batch.len(), "the connection was lost: asking again");
            commit.commit(batch).await
        }
        result => result,
    }
}
