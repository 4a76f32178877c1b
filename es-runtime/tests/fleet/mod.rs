//! Several stores on one file, as several processes have them: each clone calls the next one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use es_runtime::aggregate::Fingerprint;
use es_runtime::error::Result;
use es_runtime::event::{CommandId, LogIdentity, Position, StreamId, Timestamp};
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Change, Claim, Claimed, ConsumerState,
    DeadLetter, DueKey, EventStore, HeldEvent, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxQuestion, InboxState, InboxTakeover, InboxVersions, Instance, KeptSchema,
    LifeEntry, Lineage, LogPage, LogQuery, NewInstance, Outcome, Outdated, ParkedKey, Postponed,
    ProcessPage, ProjectionId, ProjectionState, PublishedEvent, PublishedPage, PublishedQuery,
    ReactionClaim, ReactionId, ReactionQueue, Reading, RelayClaim, RelayId, RelayMove, RelayState,
    Row, RowQuery, RowsAt, Segment, Select, Snapshot, Still, StreamCursor, StreamPage, StreamQuery,
    StreamVersion, Table, Timer, TimerPlace, Tx, Written,
};

use crate::delegate::delegate;

const STORES: usize = 3;

#[derive(Debug)]
pub(crate) struct Fleet {
    stores: Arc<[SqliteStore; STORES]>,
    clones: Arc<AtomicUsize>,
    own: usize,
}

impl Clone for Fleet {
    fn clone(&self) -> Self {
        let own = self.clones.fetch_add(1, Ordering::Relaxed) % STORES;
        let (stores, clones) = (self.stores.clone(), self.clones.clone());
        Self {
            stores,
            clones,
            own,
        }
    }
}

impl Fleet {
    pub(crate) async fn open(file: &Path) -> Self {
        let open = async || SqliteStore::open(file).await.unwrap();
        let stores = Arc::new([open().await, open().await, open().await]);
        let (clones, own) = (Arc::new(AtomicUsize::new(1)), 0);
        Self {
            stores,
            clones,
            own,
        }
    }

    fn own(&self) -> &SqliteStore {
        &self.stores[self.own]
    }
}

impl EventStore for Fleet {
    delegate!(own: identity append outcome read_stream read_snapshot write_snapshots remove_snapshot
        remove_outdated read_log read_correlated read_commands read_empty_commands import forget_commands head wait_for_append prepare_table complete_table
        prepare_stream prepare_process projection projections lineage change life parked parked_events remove_rows claim release note_failure note_seen claim_reactions keep_reactions finish_reaction postpone_reactions
        advance_process timers finish_timers note_timer_failure
        reaction_queues retry_reactions drop_reaction advance_rows read_rows
        read_rows_at query_rows count_rows still advance_stream read_published query_published published_head wait_for_published note_consumers consumers keep_schemas kept_schema claim_relay advance_relay note_relay_failure relays inbox inboxes inbox_state ask_inbox claim_inbox inbox_versions take_over_inbox inbox_keys inbox_events retry_inbox give_up_inbox dead_letters begin
        commit_inbox register keep_alive deregister instances);

    async fn close(&self) {
        for store in self.stores.iter() {
            store.close().await;
        }
    }
}
