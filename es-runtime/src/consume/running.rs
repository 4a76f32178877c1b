//! The handle to a consumer at work.

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::inbox::Inbox;
use super::told::{Progress, Reached, State};
use crate::error::{Error, Kind, Result};
use crate::event::Position;

/// A consumer at work.
#[derive(Debug)]
pub struct Running {
    pub(super) name: String,
    pub(super) task: JoinHandle<Result<()>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) seen: watch::Receiver<State>,
    pub(super) attempts: u32,
    pub(super) inbox: Inbox,
}

impl Running {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.seen.borrow().progress(self.attempts)
    }

    /// Its inbox: the keys that are set aside, and what to do with them.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Waits until it has handled everything up to `position`.
    ///
    /// # Errors
    /// When it has stopped before; [`stop`](Self::stop) tells why. When an event up to there has
    /// failed so often that somebody should look ([`is_parked`](Error::is_parked)).
    pub async fn reached(&self, position: Position) -> Result<()> {
        let mut seen = self.seen.clone();
        let attempts = self.attempts;
        let sure = |state: &State| !matches!(state.reached(position, attempts), Reached::NotYet);
        let ended = |_| {
            let reason = "its task has ended; `stop()` tells why".to_owned();
            Error::new(Kind::Stopped {
                worker: self.name.clone(),
                reason,
            })
        };
        let state = seen.wait_for(sure).await.map_err(ended)?;
        match state.reached(position, attempts) {
            Reached::Parked(key, failing) => Err(Error::new(Kind::ParkedInInbox {
                consumer: self.name.clone(),
                key,
                position: failing.position,
                reason: failing.reason,
            })),
            Reached::Yes | Reached::NotYet => Ok(()),
        }
    }

    /// Finishes the transactions at hand and stops.
    ///
    /// # Errors
    /// Why it had stopped before, if it had: nothing was skipped.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM), or until it cannot go on.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub async fn until_shutdown(mut self) -> Result<()> {
        tokio::select! {
            () = crate::runtime::asked_to_stop() => self.stop().await,
            ended = &mut self.task => ended.map_err(|error| panicked(&self.name, error))?,
        }
    }

    async fn ended(self) -> Result<()> {
        self.task
            .await
            .map_err(|error| panicked(&self.name, error))?
    }
}

fn panicked(name: &str, error: tokio::task::JoinError) -> Error {
    let (worker, reason) = (name.to_owned(), crate::runtime::panic_message(error));
    Error::new(Kind::Stopped { worker, reason })
}
