//! The conformance suite: the laws of [`EventStore`], each a check that a wrong store fails.
//!
//! ```
//! use es_runtime::store::memory::MemoryStore;
//! use es_runtime::testing::conformance::{Subject, check};
//!
//! struct Memory;
//!
//! impl Subject for Memory {
//!     type Store = MemoryStore;
//!     async fn fresh(&self) -> MemoryStore { MemoryStore::new() }
//!     // Nothing in memory survives its process, so a restart is only another handle.
//!     async fn reopen(&self, store: MemoryStore) -> MemoryStore { store }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! check(&Memory, 7).await.unwrap();
//! # }
//! ```

mod consumers;
mod cursors;
mod dropped;
mod found;
mod inboxes;
mod instances;
mod log;
mod moving;
mod order;
mod parked;
mod parts;
mod passed;
mod published;
mod reactions;
mod reading;
mod relays;
mod rows;
mod segments;
mod snapshots;
mod timers;

use std::fmt;
use std::future::Future;

use crate::error::{Error, Result};
use crate::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use crate::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome};

/// A kind of store, as the suite needs it.
pub trait Subject: Sync {
    /// The store.
    type Store: EventStore;

    /// An empty store.
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send;

    /// The same store after a restart: everything in memory is gone.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store> + Send;
}

/// A law that the store breaks, and how.
#[derive(Debug)]
pub struct Violation {
    law: &'static str,
    what: String,
}

impl Violation {
    /// The law's name.
    pub fn law(&self) -> &'static str {
        self.law
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store breaks the law `{}`: {}", self.law, self.what)
    }
}

impl std::error::Error for Violation {}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self {
            law: "it answers",
            what: error.to_string(),
        }
    }
}

type Check = std::result::Result<(), Violation>;

/// Fails the law `$law` unless `$holds`.
macro_rules! law {
    ($law:expr, $holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::testing::conformance::Violation {
                law: $law,
                what: format!($($what)+),
            });
        }
    };
}
use law;

/// Checks every law on fresh stores. `seed` decides the interleavings; print it, so that a failure
/// can be repeated.
///
/// # Errors
/// The first [`Violation`].
pub async fn check<S: Subject>(subject: &S, seed: u64) -> Check {
    log::a_log_keeps_its_identity(subject).await?;
    log::appends_are_atomic(subject.fresh().await).await?;
    log::conflicts_tell_the_version(subject.fresh().await).await?;
    reading::reading_takes_limits(subject.fresh().await).await?;
    log::commands_are_accepted_once(subject).await?;
    log::appends_are_recognised(subject).await?;
    order::waiting_ends(subject.fresh().await).await?;
    order::readers_skip_nothing(subject.fresh().await, seed).await?;
    order::retries_add_nothing(subject.fresh().await, seed).await?;
    rows::rows_and_cursor_move_together(subject).await?;
    rows::rows_have_one_order(subject.fresh().await).await?;
    rows::one_moment_is_shown(subject.fresh().await).await?;
    snapshots::they_are_found_by_who_made_them(subject).await?;
    snapshots::they_never_go_back(subject.fresh().await, seed).await?;
    snapshots::they_come_with_their_events(subject.fresh().await).await?;
    snapshots::they_can_be_removed(subject.fresh().await).await?;
    cursors::cursors_are_fenced(subject.fresh().await, seed).await?;
    cursors::versions_live_side_by_side(subject.fresh().await).await?;
    parked::they_move_with_the_cursor(subject).await?;
    parked::they_are_fenced(subject.fresh().await).await?;
    parked::people_decide(subject.fresh().await).await?;
    parked::they_hold_up_a_promotion(subject.fresh().await).await?;
    parts::they_are_shared(subject.fresh().await).await?;
    reactions::they_move_with_the_cursor(subject).await?;
    reactions::they_wait_for_their_turn(subject.fresh().await).await?;
    reactions::they_are_ordered_over_versions(subject.fresh().await).await?;
    reactions::none_is_lost(subject.fresh().await, seed).await?;
    timers::they_move_with_the_cursor(subject).await?;
    cursors::streams_are_dense(subject).await?;
    published::pages_tell_what_they_saw(subject.fresh().await, seed).await?;
    published::pages_are_bounded(subject.fresh().await).await?;
    published::schemas_are_kept(subject).await?;
    cursors::inboxes_commit_with_their_effects(subject).await?;
    inboxes::they_are_divided(subject).await?;
    inboxes::they_are_shared(subject.fresh().await).await?;
    inboxes::keys_are_fenced(subject.fresh().await).await?;
    inboxes::keys_are_set_aside(subject).await?;
    inboxes::people_give_events_up(subject).await?;
    passed::places_are_known(subject).await?;
    passed::entities_come_ahead(subject).await?;
    moving::they_move_from_where_they_stand(subject).await?;
    moving::the_newest_has_it(subject.fresh().await).await?;
    moving::who_begins_with_a_newer_one_comes_back(subject.fresh().await).await?;
    moving::keys_move_along(subject).await?;
    consumers::they_are_known_by_what_they_read(subject).await?;
    consumers::no_stream_ends_under_them(subject.fresh().await).await?;
    log::a_transaction_ends_with_its_append(subject.fresh().await).await?;
    dropped::appends_are_whole(subject.fresh().await, seed).await?;
    dropped::rows_and_cursor_are_whole(subject.fresh().await, seed).await?;
    rows::rows_come_with_their_cursor(subject.fresh().await, seed).await?;
    found::rows_are_found_by_their_values(subject.fresh().await, seed).await?;
    found::what_is_unique_stays_unique(subject.fresh().await, seed).await?;
    found::what_is_unique_is_so_over_all_parts(subject.fresh().await).await?;
    reading::filters_leave_nothing_else_out(subject.fresh().await, seed).await?;
    reading::what_belongs_together_is_found(subject.fresh().await).await?;
    reading::large_events_come_page_by_page(subject.fresh().await).await?;
    relays::one_moves_its_cursor(subject).await?;
    instances::they_are_known_to_each_other(subject).await?;
    instances::they_are_known_before_anything_is_written(subject.fresh().await, seed).await?;
    segments::imported_history_is_the_same(subject).await?;
    segments::only_what_continues_is_imported(subject).await?;
    segments::commands_are_forgotten_by_time(subject).await?;
    let (from, to) = (subject.fresh().await, subject.fresh().await);
    segments::imports_are_whole(from, to, seed).await
}

fn stream(id: impl fmt::Display) -> Result<StreamId> {
    Ok(StreamId::new("account", id)?)
}

/// An append whose events can be told apart.
fn append(stream: &StreamId, expected: u64, command: &str, events: usize) -> Append {
    let event = |n| NewEvent {
        event_type: "account.deposited",
        schema_version: 3,
        min_reader: 2,
        payload: format!(r#"{{"command":"{command}","event":{n},"text":"it's \"ü\" \\ \u0000"}}"#),
    };
    Append {
        stream: stream.clone(),
        expected,
        command_id: CommandId::of(command),
        repeatable: true,
        events: (0..events).map(event).collect(),
        metadata: Some(format!("{{\"actor\":\"{command}\"}}")),
        correlation: None,
        time: Timestamp::from_micros(1_700_000_000_000_001),
        known_instances: None,
    }
}

/// The outcome of an append that must be new.
async fn accepted<S: EventStore>(
    store: &S,
    append: Append,
) -> std::result::Result<Outcome, Violation> {
    match store.append(append).await? {
        Appended::New(outcome) => Ok(outcome),
        other => Err(Violation {
            law: "an append at the stream's version is accepted",
            what: format!("the answer was {other:?}"),
        }),
    }
}

/// A page of the log.
async fn log<S: EventStore>(store: &S, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
    let page = store.read_log(&LogQuery::after(after).limit(limit)).await?;
    Ok(page.events.to_vec()?)
}
