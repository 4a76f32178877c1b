//! Handles the events of a range again, when somebody asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::ahead::{Opened, Read};
use super::detector::{Detector, Verdict};
use super::entities::Passed;
use super::handler::Handler;
use super::reader::{PAGE, PAUSE};
use super::source::Source;
use super::verify::ATTEMPTS;
use super::worker::{Failure, Worker, judged};
use crate::event::Position;
use crate::integration::{CloudEvent, IntegrationEvent};
use crate::runtime::caught;
use crate::store::{EventStore, InboxChange, InboxRepair, Tx};

impl<E: IntegrationEvent, H: Handler<E>> Worker<E, H> {
    /// What is to be handled again in this part, as it is divided now.
    pub(super) fn to_repair(&self) -> Option<InboxRepair> {
        let mine = |repair: &&InboxRepair| !repair.done && repair.slices == self.part.slices;
        self.repairs.iter().find(mine).cloned()
    }

    /// Reads a range once more, from a place that is known before it, and hands those of its events to the
    /// handler that were handled. A part that is not done is begun again by whoever has it next.
    pub(super) async fn repair(&mut self, repair: &InboxRepair) -> Result<(), Failure> {
        let mut detector = Detector::new(self.id.stream.clone(), repair.from);
        let until = repair.until.min(self.seen.position);
        let mut silent = 0;
        while detector.cursor().position < until {
            if self.stop.is_asked() {
                return Ok(());
            }
            let mut page = match self.next(&mut detector).await? {
                Ok(page) => page,
                Err(why) => return self.end(repair, Some(why)).await,
            };
            silent = if page.is_empty() { silent + 1 } else { 0 };
            if silent >= ATTEMPTS {
                let behind = detector.cursor().position;
                let why = format!("the source has nothing behind position {behind} now; ask again");
                return self.end(repair, Some(why)).await;
            }
            if silent > 0 {
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = self.stop.asked() => {}
                }
                continue;
            }
            page.retain(|read| {
                let at = read.cursor.position;
                let wanted = at > repair.after && at <= until;
                wanted && self.part.slices.contains(&read.slice) && !self.held.waits(&read.key, at)
            });
            let (Some(first), Some(last)) = (page.first(), page.last()) else {
                continue;
            };
            let dead = self
                .given_up(first.cursor.position, last.cursor.position)
                .await?;
            page.retain(|read| !dead.contains(&read.cursor.position));
            let handled = match self.all_again(&page).await {
                Ok(tx) => {
                    self.commit(tx, self.seen, Vec::new(), &Passed::default())
                        .await
                }
                Err(failure) => Err(failure),
            };
            let why = match handled {
                Ok(()) => continue,
                Err(Failure::Event { index, reason }) => {
                    let at = page.get(index).map_or(until, |read| read.cursor.position);
                    format!("the event at position {at} could not be handled again: {reason}")
                }
                Err(Failure::Together(error)) => error.to_string(),
                Err(failure) => return Err(failure),
            };
            return self.end(repair, Some(why)).await;
        }
        self.end(repair, None).await
    }

    /// The next events of the stream; none if the source does not answer as it should now. Else, why it
    /// never will.
    async fn next(
        &mut self,
        detector: &mut Detector,
    ) -> Result<Result<Vec<Arc<Read<E>>>, String>, Failure> {
        let (stream, after) = (self.id.stream.clone(), detector.cursor());
        let read = self.beside.read(&stream, after, PAGE, Duration::ZERO).await;
        let mut page = match read {
            Ok(page) => page,
            Err(error) if error.is_transient() => return Err(Failure::Away(error)),
            // The reader has ended, and says why.
            Err(error) if error.is_stopped() => return Err(Failure::Fenced),
            Err(error) => return Ok(Err(error.to_string())),
        };
        page.events.sort_by_key(CloudEvent::position);
        let mut events = Vec::new();
        for event in page.events {
            match detector.offer(&event) {
                Verdict::Next => {
                    let read = self.open.read(event, detector.cursor(), &self.id);
                    events.push(Arc::new(read));
                }
                Verdict::Duplicate => {}
                _ if !events.is_empty() => break,
                Verdict::Hole { .. } => break,
                Verdict::Forked => {
                    let at = after.position.next();
                    return Ok(Err(format!(
                        "the event at position {at} is not the one that was consumed"
                    )));
                }
                Verdict::Foreign { why } => return Ok(Err(why)),
            }
        }
        Ok(Ok(events))
    }

    /// The positions that somebody gave up.
    async fn given_up(
        &self,
        first: Position,
        last: Position,
    ) -> Result<BTreeSet<Position>, Failure> {
        let before = Position::new(first.get().saturating_sub(1));
        let many = usize::try_from(last.get() - before.get()).unwrap_or(usize::MAX);
        let letters = self.inbox.dead_letters(&self.id, before, many).await;
        let letters = letters.map_err(Failure::Away)?;
        Ok(letters.into_iter().map(|letter| letter.position).collect())
    }

    async fn all_again(&self, events: &[Arc<Read<E>>]) -> Result<Tx, Failure> {
        let handler = self.handler.clone();
        let mut handler = handler.lock().await;
        let mut tx = self.inbox.begin().await.map_err(Failure::Away)?;
        for (index, read) in events.iter().enumerate() {
            match &read.opened {
                Opened::Passed => {}
                Opened::Unreadable(why) => {
                    let reason = why.clone();
                    return Err(Failure::Event { index, reason });
                }
                Opened::Event(event) => {
                    let handled = caught(handler.again(event, &mut tx)).await;
                    judged(handled).map_err(|failed| failed.at(index))?;
                }
            }
        }
        Ok(tx)
    }

    /// Tells whoever asked that this part is done, or why not.
    async fn end(&mut self, repair: &InboxRepair, failure: Option<String>) -> Result<(), Failure> {
        if let Some(why) = &failure {
            tracing::warn!(inbox = %self.id, why, "the repair ends");
        }
        let tx = self.inbox.begin().await.map_err(Failure::Away)?;
        let repaired = InboxChange::Repaired {
            number: repair.number,
            slice: repair.slices.start,
            failure,
        };
        self.commit(tx, self.seen, vec![repaired], &Passed::default())
            .await
    }
}
