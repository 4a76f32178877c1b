//! The handle to a consumer at work.

use std::ops::RangeBounds;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::beside::Beside;
use super::inbox::Inbox;
use super::told::{Progress, Reached, State};
use super::verify::{Difference, Verified, bounds};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::store::InboxQuestion;

/// More entities than this are not asked for ahead of the others: those come sooner then.
const MOST: usize = 1000;

/// A consumer at work.
#[derive(Debug)]
pub struct Running {
    pub(super) name: String,
    pub(super) task: JoinHandle<Result<()>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) seen: watch::Receiver<State>,
    pub(super) attempts: u32,
    pub(super) inbox: Inbox,
    pub(super) beside: Beside,
    pub(super) news: Arc<Notify>,
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

    /// Compares what was consumed with what its source has, while it goes on: see
    /// [`Inbox::verify`].
    ///
    /// # Errors
    /// As there; and when the consumer has stopped.
    pub async fn verify(&self, range: impl RangeBounds<Position>) -> Result<Verified> {
        self.inbox.verify(self.beside.clone(), range).await
    }

    /// Handles the events of one subject now, ahead of the others, and answers up to where: all that
    /// the stream had of it when this was asked. The rest goes on meanwhile, and passes over what was
    /// handled here.
    ///
    /// The law: each event has its effect once, and those of a key in order. The source's word that
    /// these are all events of the subject is compared with the stream, once the cursor comes there.
    ///
    /// Dropped, it is done nevertheless; asked again, it goes on from where it was.
    ///
    /// ```no_run
    /// # async fn open(running: &es_runtime::consume::Running) -> es_runtime::Result<()> {
    /// // Somebody wants to see this account, and the first millions are still being read.
    /// running.entity("alice").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it cannot be done: its key is set aside, an event fails, the handler has another key for
    /// it than its subject, the source cannot look for one subject alone, or a thousand others are
    /// asked for. Nothing is lost: it comes with the others. When the consumer has stopped.
    pub async fn entity(&self, subject: &str) -> Result<Position> {
        let refused = |why| {
            let (consumer, subject) = (self.name.clone(), subject.to_owned());
            Error::new(Kind::NotAhead {
                consumer,
                subject,
                why,
            })
        };
        let mut seen = self.seen.clone();
        if seen.borrow_and_update().entities() >= MOST {
            let why = format!("{MOST} others were asked for, and the cursor has not come to them");
            return Err(refused(why));
        }
        let (since, wanted) = (Instant::now(), subject.to_owned());
        let ahead = InboxQuestion::Ahead { subject: wanted };
        let question = self.inbox.ask(ahead).await?;
        self.news.notify_one();
        let answered = |state: &State| state.answer(subject, question, since).is_some();
        let state = seen.wait_for(answered).await.map_err(|_| self.gone())?;
        match state.answer(subject, question, since) {
            Some(Err(why)) => Err(refused(why)),
            Some(Ok(until)) => Ok(until),
            None => Err(self.gone()),
        }
    }

    /// Has the events of a range handled again, by [`Handler::again`](super::Handler::again): for effects
    /// that were lost or spoilt, in tables that the handler writes. First the range is
    /// [verified](Self::verify), and refused where it differs.
    ///
    /// The law: each part hands its events over in their order, in transactions that are fenced as all
    /// others, and nothing else is handled in it meanwhile. What waits for a key, or was given up, is left
    /// out. Only the events of the range are handled again, and no cursor moves back.
    ///
    /// ```no_run
    /// # use es_runtime::event::Position;
    /// # async fn mend(running: &es_runtime::consume::Running) -> es_runtime::Result<()> {
    /// // Somebody has deleted letters of September.
    /// running.repair(Position::new(40_000)..=Position::new(50_000)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When what was consumed is not what the source has, or an event cannot be handled again: what came
    /// before it was. Asked once more, it begins from the first one.
    pub async fn repair(&self, range: impl RangeBounds<Position>) -> Result<()> {
        let refused = |why| {
            let consumer = self.name.clone();
            Error::new(Kind::NotRepaired { consumer, why })
        };
        let (after, until) = bounds(&range);
        let mut source = self.beside.clone();
        let from = match self.inbox.compare(&mut source, after, until).await? {
            Ok(agreed) => agreed.from,
            Err(difference) => {
                let Difference { after, why, .. } = difference;
                let why = format!("behind position {after} it differs from its source: {why}");
                return Err(refused(why));
            }
        };
        let mut seen = self.seen.clone();
        let since = Instant::now();
        // As far as a database counts.
        let until = until.min(Position::new(i64::MAX.cast_unsigned()));
        let again = InboxQuestion::Again { from, after, until };
        let question = self.inbox.ask(again).await?;
        self.news.notify_one();
        let answered = |state: &State| state.repaired(question, since).is_some();
        let state = seen.wait_for(answered).await.map_err(|_| self.gone())?;
        match state.repaired(question, since) {
            Some(answer) => answer.map_err(refused),
            None => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        let reason = "its task has ended; `stop()` tells why".to_owned();
        Error::new(Kind::Stopped {
            worker: self.name.clone(),
            reason,
        })
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
        let state = seen.wait_for(sure).await.map_err(|_| self.gone())?;
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
