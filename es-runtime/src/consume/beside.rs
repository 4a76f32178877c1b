//! Questions to a consumer's source beside the consumer's own: the reader asks them between two of its
//! pages.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::source::{Filtered, Page, Source};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::store::{StreamCursor, StreamVersion};

/// What was asked, for one reader after the other.
pub(super) type Questions = Arc<Mutex<mpsc::Receiver<Question>>>;

/// Questions that wait for the reader.
const WAITING: usize = 16;

/// A question to the source.
#[derive(Debug)]
pub(super) enum Question {
    Head {
        answer: oneshot::Sender<Result<Position>>,
    },
    Read {
        after: StreamCursor,
        limit: usize,
        answer: oneshot::Sender<Result<Page>>,
    },
    Subject {
        subject: String,
        after: Position,
        limit: usize,
        answer: oneshot::Sender<Result<Filtered>>,
    },
}

impl Question {
    /// Asks the source; whoever wanted to know may be gone.
    pub(super) async fn ask<S: Source>(self, source: &mut S, stream: &StreamVersion) {
        match self {
            Self::Head { answer } => drop(answer.send(source.head(stream).await)),
            Self::Read {
                after,
                limit,
                answer,
            } => drop(answer.send(source.read(stream, after, limit, Duration::ZERO).await)),
            Self::Subject {
                subject,
                after,
                limit,
                answer,
            } => drop(answer.send(source.subject(stream, &subject, after, limit).await)),
        }
    }
}

/// The source of a consumer at work, which nobody waits long for: it answers what is there.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    consumer: String,
    questions: mpsc::Sender<Question>,
}

impl Beside {
    pub(super) fn new(consumer: &str) -> (Self, Questions) {
        let (questions, asked) = mpsc::channel(WAITING);
        let consumer = consumer.to_owned();
        let beside = Self {
            consumer,
            questions,
        };
        (beside, Arc::new(Mutex::new(asked)))
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T>>) -> Question,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let ended = || {
            let worker = self.consumer.clone();
            let reason = "its task has ended; `stop()` tells why".to_owned();
            Error::new(Kind::Stopped { worker, reason })
        };
        let sent = self.questions.send(question(answer)).await;
        sent.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Source for Beside {
    async fn head(&mut self, _: &StreamVersion) -> Result<Position> {
        self.ask(|answer| Question::Head { answer }).await
    }

    async fn read(
        &mut self,
        _: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        _: Duration,
    ) -> Result<Page> {
        let read = |answer| Question::Read {
            after,
            limit,
            answer,
        };
        self.ask(read).await
    }

    async fn subject(
        &mut self,
        _: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        let subject = subject.to_owned();
        let ask = |answer| Question::Subject {
            subject,
            after,
            limit,
            answer,
        };
        self.ask(ask).await
    }
}
