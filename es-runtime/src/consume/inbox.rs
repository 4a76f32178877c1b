//! What people ask of an inbox: which keys are set aside and why, to try them again, or to give an
//! event up.

use std::ops::RangeBounds;

use super::source::Source;
use super::verify::{Agreed, Comparison, Difference, Verified, bounds};
use crate::error::Result;
use crate::event::Position;
use crate::integration::{IntegrationEvent, StreamHash, stream_of};
use crate::store::{
    DeadLetter, EventStore, HeldEvent, InboxId, InboxKey, InboxQuestion, InboxState, Store,
    StreamCursor,
};

/// The inbox of a consumer, to be looked at and looked after. The consumer may run meanwhile, here or
/// elsewhere, or not at all.
///
/// ```no_run
/// # use es_runtime::{Store, consume::Inbox, prelude::*};
/// # #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
/// # #[integration(stream = "accounts", version = 1)]
/// # enum Accounts { Opened }
/// # async fn run() -> es_runtime::Result<()> {
/// let database = Store::connect("sqlite://notifications.db").await?;
/// let inbox = Inbox::of::<Accounts>("notifications", database);
/// for key in inbox.set_aside(None).await? {
///     println!("{} since position {}: {}", key.key, key.position, key.reason);
/// }
/// inbox.retry(Some("alice")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    store: Store,
    id: InboxId,
}

/// How many are answered at once.
const PAGE: usize = 1000;

impl Inbox {
    /// The inbox of a consumer of the stream of `E`, in its database.
    pub fn of<E: IntegrationEvent>(consumer: impl Into<String>, store: Store) -> Self {
        let (consumer, stream) = (consumer.into(), stream_of::<E>());
        Self::new(InboxId { consumer, stream }, store)
    }

    pub(crate) fn new(id: InboxId, store: Store) -> Self {
        Self { store, id }
    }

    /// How far the consumer has come, with the running hash there.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn cursor(&self) -> Result<StreamCursor> {
        self.store.inbox(&self.id).await
    }

    /// The keys that are set aside, by key, after the key `after`; at most a thousand.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn set_aside(&self, after: Option<&str>) -> Result<Vec<InboxKey>> {
        self.store.inbox_keys(&self.id, after, PAGE).await
    }

    /// The first events that wait for a key, in order, with their whole envelopes; at most a thousand.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn waiting(&self, key: &str) -> Result<Vec<HeldEvent>> {
        self.store.inbox_events(&self.id, key, PAGE).await
    }

    /// Has a key tried again at once, or all of them, by whoever works on it. Answers how many.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn retry(&self, key: Option<&str>) -> Result<u64> {
        self.store.retry_inbox(&self.id, key).await
    }

    /// Gives up an event that waits: it stays as a [dead letter](Self::dead_letters), with who gave it
    /// up and why, and its key goes on with the next one. Answers whether it was waiting.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn give_up(&self, position: Position, reason: &str, by: &str) -> Result<bool> {
        self.store
            .give_up_inbox(&self.id, position, reason, by)
            .await
    }

    /// The events that somebody gave up, in order, after a position; at most a thousand.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn dead_letters(&self, after: Position) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(&self.id, after, PAGE).await
    }

    /// Where its parts stand, and the places that it has passed.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn state(&self) -> Result<InboxState> {
        self.store.inbox_state(&self.id).await
    }

    /// Compares what was consumed with what a source has: every event of the range, and, by two numbers,
    /// all that came before the cursor. The range is widened to places that the inbox knows, which are a
    /// thousand events apart at most, and further apart the longer ago they were passed.
    ///
    /// It reads the range, page by page, and changes nothing; the consumer may run meanwhile.
    ///
    /// ```no_run
    /// # use es_runtime::consume::{Feed, Inbox, Verified};
    /// # #[cfg(feature = "client")]
    /// # async fn prove(inbox: &Inbox) -> es_runtime::Result<()> {
    /// match inbox.verify(Feed::http("http://bank:8080"), ..).await? {
    ///     Verified::Agrees { until, hash, .. } => println!("the same up to {until}: {hash}"),
    ///     Verified::Differs { after, why, .. } => println!("behind {after}: {why}"),
    ///     _ => {}
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The law: where it agrees, the consumer was given exactly the events that the source has now, all
    /// of them, each once. What waits for a key that is set aside, or was given up, is counted in the
    /// answer: it has no effects.
    ///
    /// # Errors
    /// When the source or the database cannot be asked, also not again; when nobody ever started the
    /// consumer. What differs is no error.
    pub async fn verify(
        &self,
        mut source: impl Source,
        range: impl RangeBounds<Position>,
    ) -> Result<Verified> {
        let (after, until) = bounds(&range);
        let (after, end) = match self.compare(&mut source, after, until).await? {
            Ok(Agreed { from, end }) => (from.position, end),
            Err(Difference { after, until, why }) => {
                return Ok(Verified::Differs { after, until, why });
            }
        };
        Ok(Verified::Agrees {
            after,
            until: end.position,
            hash: StreamHash::from_bytes(end.hash),
            waiting: self.all_waiting().await?,
            given_up: self.given_up(after, end.position).await?,
        })
    }

    pub(super) async fn compare(
        &self,
        source: &mut impl Source,
        after: Position,
        until: Position,
    ) -> Result<std::result::Result<Agreed, Difference>> {
        let state = self.state().await?;
        let mut comparison = Comparison::new(&self.id, &state, source)?;
        comparison.compare(after, until).await
    }

    /// How many events wait for keys that are set aside.
    async fn all_waiting(&self) -> Result<u64> {
        let (mut waiting, mut last) = (0, None::<String>);
        loop {
            let keys = self.set_aside(last.as_deref()).await?;
            waiting += keys.iter().map(|key| key.waiting).sum::<u64>();
            match keys.last() {
                Some(key) if keys.len() == PAGE => last = Some(key.key.clone()),
                _ => return Ok(waiting),
            }
        }
    }

    /// How many events of a range were given up.
    async fn given_up(&self, mut after: Position, until: Position) -> Result<u64> {
        let mut given_up = 0;
        loop {
            let letters = self.dead_letters(after).await?;
            let of = letters.iter().filter(|letter| letter.position <= until);
            given_up += of.count() as u64;
            match letters.last() {
                Some(last) if letters.len() == PAGE && last.position < until => {
                    after = last.position;
                }
                _ => return Ok(given_up),
            }
        }
    }

    /// Says that the effects of an entity were mended, which was handled
    /// [ahead of the others](super::Running::entity) by a filter that was wrong: the consumer goes on,
    /// behind what was handled, and does not compare it. Answers whether such an entity is known.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn mended(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        let known = self.ask(InboxQuestion::Mended { subject }).await?;
        Ok(known > 0)
    }

    /// Asks something of whoever works on it.
    pub(super) async fn ask(&self, question: InboxQuestion) -> Result<u64> {
        self.store.ask_inbox(&self.id, &question).await
    }
}
