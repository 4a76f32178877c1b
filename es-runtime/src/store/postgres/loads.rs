//! Loads of streams by many callers: those that wait while others are under way share one call.
//!
//! A load alone pays for a round trip and a connection, whatever its rows are. The first loads go
//! straight to the server; while they are under way, the others gather, as appends do for a
//! commit. Who waits is a caller, so there are no more of them than callers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::pool::{Pool, read};
use super::{PostgresStore, log, several};
use crate::error::{Error, Result};
use crate::event::StreamId;
use crate::runtime::without;
use crate::store::{StreamPage, StreamQuery};

pub(super) const DOING: &str = "reading a stream";

/// Loads of one call.
const MOST: usize = 128;
/// How long a load waits for its turn before it goes alone: the calls before it have trouble of
/// their own.
const TURN: Duration = Duration::from_secs(5);

fn turn() -> Duration {
    match without("a load waits for its turn for so long") {
        true => Duration::MAX,
        false => TURN,
    }
}

/// The way of short reads to the server. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    pool: Pool,
    /// Calls that may be under way at once.
    lanes: usize,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Load>,
    under_way: usize,
}

/// A short read that waits for its turn.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) stream: StreamId,
    /// The version after which it begins.
    pub(super) after: u64,
    pub(super) limit: usize,
    /// Dropped when the call that it had a part in failed, or brought too much.
    answer: oneshot::Sender<StreamPage>,
}

/// The right to one call at a time. Dropped, also on the way, it goes to those who wait.
struct Lane(Loads);

/// How a read comes to its answer.
enum Turn {
    /// At once and alone.
    Alone(Lane),
    /// From a call with others.
    Shared(oneshot::Receiver<StreamPage>),
}

impl PostgresStore {
    /// At most `limit` events of the stream after the version `after`, as bare as they come.
    pub(super) async fn load(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<StreamPage> {
        let lane = match self.loads.turn(stream, after, limit) {
            Turn::Alone(lane) => Some(lane),
            Turn::Shared(answered) => match timeout(turn(), answered).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(_)) if without("a shared call that fails fails nobody") => {
                    return Err(Error::database(DOING, "a call with others failed"));
                }
                // An error is everybody's own to hear of, and a lost connection to be replaced.
                _ => None,
            },
        };
        let query = StreamQuery::after(after).limit(limit).bare();
        let page = read!(self, DOING, |db| log::stream(db, stream, query));
        drop(lane);
        page
    }
}

impl Loads {
    pub(super) fn new(pool: &Pool) -> Self {
        Self {
            pool: pool.clone(),
            lanes: pool.readers().max(1),
            queue: Arc::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, stream: &StreamId, after: u64, limit: usize) -> Turn {
        let mut queue = self.queue();
        if queue.under_way < self.lanes {
            queue.under_way += 1;
            return Turn::Alone(Lane(self.clone()));
        }
        let (answer, answered) = oneshot::channel();
        queue.waiting.push_back(Load {
            stream: stream.clone(),
            after,
            limit,
            answer,
        });
        Turn::Shared(answered)
    }
}

impl Drop for Lane {
    /// The next who has it reads for all that wait.
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        if queue.waiting.is_empty() || without("a turn goes to those who wait") {
            queue.under_way -= 1;
            return;
        }
        drop(queue);
        let driver = Driver(self.0.clone());
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(driver.drive()));
        }
    }
}

/// Has a turn for all that wait. Dropped, it leaves those who still do to go alone: nobody else may
/// be there to drive them.
struct Driver(Loads);

impl Driver {
    async fn drive(self) {
        let own = &self.0;
        while let Some(loads) = self.next() {
            let reading = async { read!(own, DOING, |db| several::streams(db, &loads)) };
            match reading.await {
                Ok(pages) => {
                    for (load, page) in loads.into_iter().zip(pages) {
                        // A caller that is gone does not want its answer.
                        drop(load.answer.send(page));
                    }
                }
                Err(error) => {
                    let error: Error = error;
                    tracing::debug!(%error, loads = loads.len(), "a shared read failed: each reads alone");
                }
            }
        }
    }

    /// Loads for one call.
    fn next(&self) -> Option<Vec<Load>> {
        let mut queue = self.0.queue();
        while !queue.waiting.is_empty() {
            let now = queue.waiting.len().min(MOST);
            let next = queue.waiting.drain(..now);
            // Who gave up waiting is not read for.
            let wanted: Vec<_> = next.filter(|load| !load.answer.is_closed()).collect();
            if !wanted.is_empty() {
                return Some(wanted);
            }
        }
        None
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.under_way -= 1;
        queue.waiting.clear();
    }
}
