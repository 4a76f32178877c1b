//! Messages that cannot be taken: kept in the log, with the reason, until they can, or until somebody
//! gives them up.

use std::collections::BTreeSet;
use std::fmt;

use es_macros::{Aggregate, Command, Event};
use serde::{Deserialize, Serialize};

use super::adapter::is_its_own;
use super::{Adapt, Adapter};
use crate::aggregate::Aggregate;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position, Recorded, StreamId, Timestamp};
use crate::store::{EventStore, StreamQuery};

/// Messages that are read at once.
const PAGE: usize = 100;

/// A message that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aside {
    /// Its number in its adapter.
    pub number: u64,
    /// The message as it came.
    pub body: Vec<u8>,
    /// Why it could not be taken.
    pub reason: String,
    /// When it came, by the service's clock.
    pub time: Timestamp,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Body {
    /// Bytes that are text.
    Text(String),
    /// Others, in hex.
    Hex(String),
    /// The message itself as JSON, where it never was bytes.
    Message(String),
}

impl Body {
    pub(super) fn raw(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex::encode(bytes)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) | Self::Message(text) => text.clone().into_bytes(),
            Self::Hex(hex) => hex::decode(hex).unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "adapter", aggregate = Desk)]
pub(crate) enum DeskEvent {
    SetAside { body: Body, reason: String },
    Taken { number: u64, position: Position },
    GivenUp { number: u64, reason: String },
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Desk)]
pub(crate) enum DeskCommand {
    SetAside { body: Body, reason: String },
    Take { number: u64, position: Position },
    GiveUp { number: u64, reason: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotThere;

impl fmt::Display for NotThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not there")
    }
}

impl std::error::Error for NotThere {}

/// The messages of one adapter that could not be taken. Their numbers alone: what they say is in the
/// log, at the version that is the number.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "adapter", event = DeskEvent, command = DeskCommand, error = NotThere)]
pub(crate) struct Desk {
    version: u64,
    aside: BTreeSet<u64>,
}

impl Desk {
    fn set_aside(&self, body: Body, reason: String) -> Result<DeskEvent, NotThere> {
        Ok(DeskEvent::SetAside { body, reason })
    }

    fn take(&self, number: u64, position: Position) -> Result<Option<DeskEvent>, NotThere> {
        // Two instances may try the same one.
        let there = self.aside.contains(&number);
        Ok(there.then_some(DeskEvent::Taken { number, position }))
    }

    fn give_up(&self, number: u64, reason: String) -> Result<DeskEvent, NotThere> {
        match self.aside.contains(&number) {
            true => Ok(DeskEvent::GivenUp { number, reason }),
            false => Err(NotThere),
        }
    }

    fn on_set_aside(&mut self, _: &Body, _: &str) {
        self.version += 1;
        self.aside.insert(self.version);
    }

    fn on_taken(&mut self, number: &u64, _: &Position) {
        self.version += 1;
        self.aside.remove(number);
    }

    fn on_given_up(&mut self, number: &u64, _: &str) {
        self.version += 1;
        self.aside.remove(number);
    }
}

impl<M: Adapt> Adapter<M> {
    /// Keeps a message that could not be taken. The same one again is kept once.
    pub(super) async fn put_aside(&self, body: Body, reason: String) -> Result<()> {
        let mut input = b"aside:".to_vec();
        input.extend(body.bytes());
        let command = DeskCommand::SetAside { body, reason };
        let kept = self.service.execute::<Desk>(self.name(), command);
        kept.id(CommandId::kept(input)).await?;
        Ok(())
    }

    /// How many messages are set aside.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn aside(&self) -> Result<usize> {
        let desk = self.service.load::<Desk>(self.name()).await?;
        Ok(desk.state().aside.len())
    }

    /// The messages that are set aside, at most a hundred, after the one with the number `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn set_aside(&self, after: u64) -> Result<Vec<Aside>> {
        let mut found = Vec::new();
        for (number, body, known) in self.kept(after).await? {
            let DeskEvent::SetAside { reason, .. } = known.data else {
                continue;
            };
            found.push(Aside {
                number,
                body: body.bytes(),
                reason,
                time: known.time,
            });
        }
        Ok(found)
    }

    /// Tries all of them again, in the order in which they came, and answers how many were taken. The
    /// sources do so by themselves when they start, since a deploy may have mended what failed.
    ///
    /// # Errors
    /// When the database fails: what was taken until then is taken.
    pub async fn retry_set_aside(&self) -> Result<usize> {
        let (mut after, mut taken) = (0, 0);
        loop {
            let page = self.kept(after).await?;
            let Some((last, _, _)) = page.last() else {
                return Ok(taken);
            };
            after = *last;
            for (number, body, _) in page {
                let message = match &body {
                    Body::Message(json) => serde_json::from_str(json).map_err(|error| {
                        let adapter = self.name().to_owned();
                        Error::caused_by(Kind::UnreadableMessage { adapter }, error)
                    }),
                    raw => self.read(&raw.bytes()),
                };
                let done = match message {
                    Ok(message) => self.take(&message).await,
                    Err(error) => Err(error),
                };
                match done {
                    Ok(now) => {
                        let position = now.position;
                        let command = DeskCommand::Take { number, position };
                        self.service.execute::<Desk>(self.name(), command).await?;
                        taken += 1;
                    }
                    Err(error) if is_its_own(&error) => {
                        let adapter = self.name();
                        tracing::warn!(adapter, number, %error, "a message stays set aside");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Gives a message up that is set aside: it is never tried again. It stays in the log, with the
    /// reason.
    ///
    /// # Errors
    /// When none is set aside under this number.
    pub async fn give_up(&self, number: u64, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        let command = DeskCommand::GiveUp { number, reason };
        let done = self.service.execute::<Desk>(self.name(), command).await;
        done.map(drop).map_err(|error| {
            let adapter = self.name().to_owned();
            match error.is_rejected() {
                true => Error::new(Kind::NotSetAside { adapter, number }),
                false => error,
            }
        })
    }

    /// What is set aside after a number, as it is in the log.
    async fn kept(&self, after: u64) -> Result<Vec<(u64, Body, Recorded<DeskEvent>)>> {
        let desk = self.service.load::<Desk>(self.name()).await?;
        let stream = StreamId::new(Desk::NAME, self.name())?;
        let (mut kept, store) = (Vec::new(), self.service.store());
        for number in desk.state().aside.range(after + 1..).take(PAGE) {
            let query = StreamQuery::after(number - 1).limit(1);
            let page = store.read_stream(&stream, query).await?;
            for stored in page.events.iter() {
                for known in Recorded::<DeskEvent>::decode(stored)? {
                    if let DeskEvent::SetAside { body, .. } = &known.data {
                        kept.push((*number, body.clone(), known));
                    }
                }
            }
        }
        Ok(kept)
    }
}
