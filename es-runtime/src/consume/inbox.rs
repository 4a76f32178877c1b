//! What people ask of an inbox: which keys are set aside and why, to try them again, or to give an
//! event up.

use crate::error::Result;
use crate::event::Position;
use crate::integration::{IntegrationEvent, stream_of};
use crate::store::{DeadLetter, EventStore, HeldEvent, InboxId, InboxKey, Store, StreamCursor};

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

    pub(super) fn new(id: InboxId, store: Store) -> Self {
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
}
