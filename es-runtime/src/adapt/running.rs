//! A source at work: what all of them do with what they get.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::adapter::{Fate, is_its_own};
use super::aside::Body;
use super::{Adapt, Adapter};
use crate::error::{Error, Kind, Result};
use crate::runtime::{Stop, asked_to_stop, backoff, panic_message};

/// The pauses between attempts at what failed: each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long what is set aside rests until it is tried again: another release may run meanwhile, or what
/// it needed may have come.
const ASIDE: Duration = Duration::from_mins(10);

/// How a source is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Messages that were taken since it started, for the first time.
    pub taken: u64,
    /// Those of them that came late.
    pub superseded: u64,
    /// Messages that had been taken before.
    pub repeated: u64,
    /// Messages that were set aside.
    pub set_aside: u64,
    /// Everything that there was, this often: a poll, or a queue without a message.
    pub rounds: u64,
    /// What fails, while it is tried again.
    pub trouble: Option<String>,
}

/// A source at work. Dropped, it stops; what was not taken comes again.
#[derive(Debug)]
pub struct Running {
    name: String,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
}

impl Running {
    pub(super) fn start<M, F>(adapter: Adapter<M>, source: impl FnOnce(Work<M>) -> F) -> Self
    where
        M: Adapt,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let (sender, status) = watch::channel(Status::default());
        let name = format!("adapter {}", adapter.name());
        let work = Work {
            adapter,
            status: sender,
            stop: Stop::new(stopped),
            failures: 0,
            due: Instant::now(),
        };
        Self {
            name,
            task: tokio::spawn(source(work)),
            stop,
            status,
        }
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until it is doing as `there` says.
    ///
    /// # Errors
    /// When it has died before.
    pub async fn until(&self, there: impl FnMut(&Status) -> bool) -> Result<()> {
        let done = self.status.clone().wait_for(there).await.map(drop);
        done.map_err(|_| {
            let reason = "its task has ended; `stop()` tells why".to_owned();
            let worker = self.name.clone();
            Error::new(Kind::Stopped { worker, reason })
        })
    }

    /// Finishes what is at hand and stops.
    ///
    /// # Errors
    /// When it had died before, with the reason.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        let Self { name, task, .. } = self;
        task.await.map_err(|error| {
            let (worker, reason) = (name, panic_message(error));
            Error::new(Kind::Stopped { worker, reason })
        })
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM).
    ///
    /// # Errors
    /// When it dies before, with the reason.
    pub async fn until_shutdown(mut self) -> Result<()> {
        tokio::select! {
            () = asked_to_stop() => self.stop().await,
            ended = &mut self.task => ended.map_err(|error| {
                let (worker, reason) = (self.name.clone(), panic_message(error));
                Error::new(Kind::Stopped { worker, reason })
            }),
        }
    }
}

/// A message that a source got.
pub(super) struct Got<M> {
    pub(super) message: Result<Arc<M>>,
    /// What is kept if it cannot be taken.
    pub(super) body: Body,
}

/// What a source works with.
pub(super) struct Work<M: Adapt> {
    pub(super) adapter: Adapter<M>,
    status: watch::Sender<Status>,
    pub(super) stop: Stop,
    failures: u32,
    /// When what is set aside is tried again.
    due: Instant,
}

/// Somebody asked to stop.
pub(super) struct Stopped;

impl<M: Adapt> Work<M> {
    /// Notes that everything that there was is done.
    pub(super) fn round(&self) {
        self.status.send_modify(|status| {
            status.rounds += 1;
            status.trouble = None;
        });
    }

    /// Notes what failed, and waits until it may be tried again.
    pub(super) async fn pause(&mut self, error: &Error) -> Result<(), Stopped> {
        tracing::warn!(adapter = self.adapter.name(), %error, "tries again");
        let trouble = Some(error.to_string());
        self.status.send_modify(|status| status.trouble = trouble);
        let pause = backoff(FIRST_PAUSE, self.failures, LONGEST_PAUSE);
        self.failures += 1;
        self.rest(pause).await
    }

    pub(super) async fn rest(&mut self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.stop.asked() => Err(Stopped),
        }
    }

    /// Tries again what is set aside, if it is time: at the start, since a deploy may have mended it.
    pub(super) async fn retry_aside(&mut self) -> Result<(), Stopped> {
        if Instant::now() < self.due {
            return Ok(());
        }
        while let Err(error) = self.adapter.retry_set_aside().await {
            self.pause(&error).await?;
        }
        self.failures = 0;
        self.due = Instant::now() + ASIDE;
        Ok(())
    }

    /// Until it is time for that.
    #[cfg(feature = "rabbitmq")]
    pub(super) fn until_due(&self) -> impl Future<Output = ()> + use<M> {
        tokio::time::sleep_until(self.due)
    }

    /// Takes all of them, or sets aside those that cannot be taken, and returns when the log has each
    /// in one way or the other: then, and not before, the upstream may be told.
    pub(super) async fn all(&mut self, mut got: Vec<Got<M>>) -> Result<(), Stopped> {
        loop {
            let readable = got.iter().filter_map(|got| got.message.as_ref().ok());
            let messages: Vec<_> = readable.cloned().collect();
            let mut answers = self.adapter.take_each(&messages).await.into_iter();
            let (mut left, mut failed) = (Vec::new(), None);
            for got in got {
                let answer = match &got.message {
                    Ok(_) => answers
                        .next()
                        .unwrap_or_else(|| unreachable!("one for each")),
                    Err(error) => Err(error.copy()),
                };
                let error = match answer {
                    Ok(taken) => {
                        self.count(taken.fate);
                        continue;
                    }
                    Err(error) if is_its_own(&error) => {
                        match self.adapter.put_aside(&got.body, &error).await {
                            Ok(()) => {
                                self.status.send_modify(|status| status.set_aside += 1);
                                continue;
                            }
                            Err(error) => error,
                        }
                    }
                    Err(error) => error,
                };
                failed = Some(error);
                left.push(got);
            }
            let Some(error) = failed else {
                self.failures = 0;
                return Ok(());
            };
            got = left;
            self.pause(&error).await?;
        }
    }

    fn count(&self, fate: Fate) {
        self.status.send_modify(|status| {
            match fate {
                Fate::Counted => status.taken += 1,
                Fate::Superseded => {
                    (status.taken, status.superseded) = (status.taken + 1, status.superseded + 1)
                }
                Fate::Repeated => status.repeated += 1,
            }
            status.trouble = None;
        });
    }
}
