//! Handles one entity's events ahead of the others, when somebody asks for it.

use super::ahead::Opened;
use super::handler::Handler;
use super::reader::PAGE;
use super::source::{Filtered, Source};
use super::worker::{Failure, Worker, judged};
use crate::error::Result;
use crate::event::Position;
use crate::integration::{IntegrationEvent, Received, StreamHash};
use crate::runtime::caught;
use crate::store::{EventStore, InboxChange, InboxEntity, Tx};

impl<E: IntegrationEvent, H: Handler<E>> Worker<E, H> {
    /// Handles what the source has of an entity, up to where the stream ends now, and answers whoever
    /// asked. What it finds is compared when the cursor comes there.
    pub(super) async fn handle_ahead(&mut self, entity: InboxEntity) -> Result<(), Failure> {
        let mut now = InboxEntity {
            failure: None,
            ..entity.clone()
        };
        let mut goal = None;
        if self.held.has(&entity.subject) {
            let why = "its key is set aside: try it again, or give its event up, first";
            return self.refuse(entity, why.to_owned()).await;
        }
        let mut from = entity.until.max(self.seen.position);
        while !self.stop.is_asked() {
            let (stream, subject) = (self.id.stream.clone(), entity.subject.clone());
            let page = self.beside.subject(&stream, &subject, from, PAGE).await;
            let page = match page {
                Ok(page) => page,
                Err(error) if error.is_transient() => return Err(Failure::Away(error)),
                // The reader has ended, and says why.
                Err(error) if error.is_stopped() => return Err(Failure::Fenced),
                Err(error) => return self.refuse(entity, error.to_string()).await,
            };
            let goal = *goal.get_or_insert(page.head);
            let events = match self.read(&page, &subject, from) {
                Ok(events) => events,
                Err(why) => return self.refuse(entity, why).await,
            };
            (from, now.until) = (page.checkpoint, page.checkpoint);
            for event in &page.events {
                let before = StreamHash::from_bytes(now.handled);
                let Some(chain) = event.proof(before) else {
                    let why = format!("`{}` cannot be proven: it has no salt", event.id);
                    return self.refuse(entity, why).await;
                };
                now.handled = *chain.as_bytes();
            }
            let done = from >= goal;
            if done {
                now.answered = entity.asked;
            } else if events.is_empty() {
                continue;
            }
            let ahead = self.all(&events).await;
            let committed = match ahead {
                Ok(tx) => self.tell(tx, now.clone()).await,
                Err(failure) => Err(failure),
            };
            match committed {
                Ok(()) if done => return Ok(()),
                Ok(()) => {}
                Err(Failure::Event { reason, .. }) => return self.refuse(entity, reason).await,
                Err(Failure::Together(error)) => {
                    return self.refuse(entity, error.to_string()).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The events of a page, if it is one of this entity alone, and each can be handled.
    fn read(
        &self,
        page: &Filtered,
        subject: &str,
        after: Position,
    ) -> Result<Vec<Received<E>>, String> {
        let mut last = after;
        let mut events = Vec::with_capacity(page.events.len());
        for event in &page.events {
            let position = event.position().unwrap_or_default();
            let fits = position > last && position <= page.checkpoint && event.subject == subject;
            if !fits {
                return Err(format!(
                    "the source answered `{}` of `{}` when it was asked for what comes after {last}",
                    event.id, event.subject
                ));
            }
            last = position;
            match self.open.open(event, &self.id) {
                Opened::Passed => {}
                Opened::Unreadable(why) => return Err(why),
                Opened::Event(received) => {
                    let key = H::key(&received);
                    if key != subject {
                        return Err(format!(
                            "the key of `{}` is `{key}`, and what belongs to that key would come out \
                             of order: one entity can be handled ahead only where it is its own key",
                            event.id
                        ));
                    }
                    events.push(received);
                }
            }
        }
        if page.checkpoint < page.head && page.checkpoint <= after {
            return Err(format!(
                "the source does not look for it beyond position {after}"
            ));
        }
        Ok(events)
    }

    async fn all(&self, events: &[Received<E>]) -> Result<Tx, Failure> {
        let handler = self.handler.clone();
        let mut handler = handler.lock().await;
        let mut tx = self.inbox.begin().await.map_err(Failure::Away)?;
        for (index, event) in events.iter().enumerate() {
            let handled = caught(handler.handle(event, &mut tx)).await;
            judged(handled).map_err(|failed| failed.at(index))?;
        }
        Ok(tx)
    }

    /// Answers whoever asked that it cannot be done. What was committed before stays, and is passed over
    /// as all that was handled ahead.
    async fn refuse(&mut self, asked: InboxEntity, why: String) -> Result<(), Failure> {
        tracing::warn!(inbox = %self.id, subject = asked.subject, why, "not handled ahead");
        let tx = self.inbox.begin().await.map_err(Failure::Away)?;
        let known = self.entities.known(&asked.subject).cloned();
        let refused = InboxEntity {
            answered: asked.asked,
            failure: Some(why),
            ..known.unwrap_or(asked)
        };
        self.tell(tx, refused).await
    }

    /// Commits what became of an entity, with what was done for it.
    async fn tell(&mut self, tx: Tx, now: InboxEntity) -> Result<(), Failure> {
        let Some(was) = self.entities.known(&now.subject).cloned() else {
            return Err(Failure::Fenced);
        };
        let now = Some(now);
        self.move_to(tx, self.seen, vec![InboxChange::Entity { was, now }])
            .await
    }
}
