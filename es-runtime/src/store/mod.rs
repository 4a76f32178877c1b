//! The store: the log, the cursors with what they guard, and the laws that every store keeps.
//!
//! [`EventStore`] is the contract. [`memory`] is the reference that teaches it, `sqlite` the
//! embedded default; the conformance suite of `testing` holds both to it.

mod append;
mod consumer;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod group;
#[cfg(feature = "runtime")]
mod handle;
pub(crate) mod handover;
#[cfg(feature = "runtime")]
mod health;
#[cfg(feature = "runtime")]
mod history;
pub(crate) mod inbox;
pub(crate) mod instance;
#[cfg(feature = "runtime")]
pub(crate) mod life;
pub(crate) mod mark;
#[cfg(feature = "runtime")]
pub mod memory;
mod parked;
#[cfg(feature = "postgres")]
pub mod postgres;
mod projection;
mod published;
mod query;
mod reaction;
mod read;
mod relay;
#[cfg(feature = "runtime")]
mod replay;
pub(crate) mod segment;
#[cfg(feature = "runtime")]
mod share;
mod snapshot;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "runtime")]
mod still;
mod table;
mod timer;
#[cfg(feature = "runtime")]
mod tx;
#[cfg(feature = "runtime")]
mod unique;
#[cfg(feature = "runtime")]
mod wake;

#[cfg(feature = "sqlite")]
pub(crate) use append::Plan;
pub use append::{Append, Appended, NewEvent, Outcome};
#[cfg(feature = "runtime")]
pub(crate) use append::{Found, known_instances, plan};
pub use consumer::{ConsumerState, Reading};
#[cfg(feature = "runtime")]
pub use handle::Store;
pub use handover::Owed;
#[cfg(feature = "runtime")]
pub use health::{Durability, Role, StoreHealth};
#[cfg(feature = "runtime")]
pub use history::{HistoryEntry, HistoryPage};
pub use inbox::{
    CarriedKey, DeadLetter, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxEntity, InboxId,
    InboxKey, InboxMove, InboxPart, InboxQuestion, InboxRepair, InboxTakeover, InboxVersion,
    InboxVersions, StillHeld, StreamCursor, Whereabouts,
};
pub use instance::{Instance, Knowledge, NewInstance};
pub use mark::InboxState;
pub use parked::{ParkedChange, ParkedKey, StillParked};
pub use projection::{
    Advance, Advanced, Change, Claim, Claimed, Comparing, Comparison, Difference, Handover, Hold,
    LifeEntry, Lineage, Noted, Phase, ProjectionId, ProjectionKind, ProjectionState, RowChange,
    Sighting, SliceState, Written,
};
#[cfg(feature = "runtime")]
pub(crate) use published::PUBLISHED_BYTES;
#[cfg(feature = "testing")]
pub(crate) use published::PUBLISHED_WINDOW;
pub use published::{
    KeptSchema, PublishedEvent, PublishedPage, PublishedQuery, StreamLife, StreamVersion,
};
pub use query::{RowPlace, RowQuery, RowsAt, Select};
pub use reaction::{
    DueKey, DueReaction, NewReaction, Postponed, ReactionClaim, ReactionId, ReactionQueue,
};
#[cfg(feature = "runtime")]
pub(crate) use reaction::{NewInput, inputs_of, tasks_of};
#[cfg(feature = "runtime")]
pub(crate) use read::SHORT;
pub use read::{LogPage, LogQuery, StreamPage, StreamQuery};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use read::{PAGE_BYTES, Start, WINDOW};
pub use relay::{RelayClaim, RelayId, RelayMove, RelayState};
#[cfg(feature = "runtime")]
pub use replay::Replay;
pub use segment::{AcceptedCommand, Segment};
#[cfg(feature = "runtime")]
pub(crate) use snapshot::Last;
pub use snapshot::{Outdated, Snapshot};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use sql::is_transient;
#[cfg(feature = "runtime")]
pub use still::Still;
#[cfg(feature = "runtime")]
pub(crate) use table::not_prepared;
pub use table::{ColumnDef, ColumnKind, IndexDef, Row, Table, Value};
#[cfg(feature = "runtime")]
pub(crate) use timer::last_changes;
pub use timer::{NewTimer, ProcessPage, Timer, TimerChange, TimerPlace};
#[cfg(feature = "runtime")]
pub use tx::{HandlerError, Tx};
#[cfg(feature = "runtime")]
pub(crate) use tx::{is_away, passes};

use std::future::Future;
use std::time::Duration;

use crate::aggregate::Fingerprint;
use crate::error::Result;
use crate::event::{CommandId, LogIdentity, Position, StreamId, Timestamp};

/// The version of a database's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The one that it has; 0 if it has no tables yet.
    pub found: i64,
    /// The one that this binary brings it to when it connects.
    pub known: i64,
}

/// A log of events with the cursors over it.
///
/// The laws, which the conformance suite checks:
///
/// 1. An append is atomic: all its events, at consecutive versions of the stream and consecutive
///    positions of the log, or none.
/// 2. Positions are dense from 1 in commit order: a reader that has seen position n has seen
///    every position below.
/// 3. A cursor and what it guards change in one transaction, and only if the cursor stands where
///    the mover believes.
/// 4. A command id is accepted once per stream; the second time answers with the first outcome,
///    whatever version is expected, also after a restart.
/// 5. A snapshot is found under its stream and its fingerprint alone, as it was written, and never
///    an older one after a newer one. It may be gone at any time.
/// 6. History that is imported continues the log and its streams without a gap, and is known as if
///    it had been appended here; else it is refused, and nothing of it is written.
/// 7. An append that knows of the instances up to a number is refused once one with a higher number
///    has registered: each registration comes wholly before an append or wholly after it.
///
/// Every method may be called from several tasks, and from several processes where the store is
/// shared between them. A future that is dropped leaves either all of its effect or none.
pub trait EventStore: Clone + Send + Sync + 'static {
    /// Which life of which log this is.
    fn identity(&self) -> LogIdentity;

    /// Adds the events of one command to its stream.
    ///
    /// A conflict is an answer, not an error. After an error nobody knows: the same call again,
    /// with the same command id, finds out.
    fn append(&self, append: Append) -> impl Future<Output = Result<Appended>> + Send;

    /// What the command did, if the stream accepted it before.
    fn outcome(
        &self,
        stream: &StreamId,
        command: CommandId,
    ) -> impl Future<Output = Result<Option<Outcome>>> + Send;

    /// Events of one stream.
    fn read_stream(
        &self,
        stream: &StreamId,
        query: StreamQuery,
    ) -> impl Future<Output = Result<StreamPage>> + Send;

    /// The stream's snapshot of this fingerprint, with the events from its last one on; without a
    /// snapshot, the events from the first one on. At most `limit` events, in order.
    ///
    /// The snapshot's last event comes with it, so that the caller sees whether it belongs to this
    /// history. A snapshot beyond the stream's end comes without events.
    fn read_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        limit: usize,
    ) -> impl Future<Output = Result<(Option<Snapshot>, StreamPage)>> + Send;

    /// Keeps snapshots of distinct streams, each unless one of its fingerprint with the same or a
    /// higher version is kept.
    fn write_snapshots(&self, snapshots: Vec<Snapshot>) -> impl Future<Output = Result<()>> + Send;

    /// Removes the stream's snapshot of this fingerprint if it has this version: it was found to be
    /// wrong.
    fn remove_snapshot(
        &self,
        stream: &StreamId,
        fingerprint: Fingerprint,
        version: u64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes snapshots that nobody needs any more, at most `limit`, and answers how many.
    fn remove_outdated(
        &self,
        outdated: &Outdated,
        limit: usize,
    ) -> impl Future<Output = Result<usize>> + Send;

    /// Events of the log, in order.
    fn read_log(&self, query: &LogQuery) -> impl Future<Output = Result<LogPage>> + Send;

    /// What the commands did that were said to belong to `correlation`, after the position
    /// `after`, at most `limit` events, in order.
    fn read_correlated(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<StreamPage>> + Send;

    /// The position of the last event, or [`Position::START`].
    fn head(&self) -> impl Future<Output = Result<Position>> + Send;

    /// Those of these commands that the log remembers, in any order: what
    /// [`outcome`](Self::outcome) answers, for many and with all that is known.
    fn read_commands(
        &self,
        commands: &[(StreamId, CommandId)],
    ) -> impl Future<Output = Result<Vec<AcceptedCommand>>> + Send;

    /// The accepted commands without events, at most `limit`, in the order of
    /// [`first`](Outcome::first), id and stream: those whose `first` is `from` or later, and of
    /// those at `from` only the ones after the command `after`.
    fn read_empty_commands(
        &self,
        from: Position,
        after: Option<&(StreamId, CommandId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<AcceptedCommand>>> + Send;

    /// Adds a piece of history that was read from another log, as it is: positions, versions,
    /// times and commands stay what they were.
    ///
    /// The law: the log ends where the segment begins and every stream stands at the version that
    /// it continues, or the segment is refused and nothing of it is written. A command without
    /// events right at the seam may be there already.
    ///
    /// # Errors
    /// When the segment is refused. After any other error nobody knows: the head tells.
    fn import(&self, segment: Segment) -> impl Future<Output = Result<()>> + Send;

    /// Forgets the commands that were accepted before this moment, in transactions of at most
    /// `limit` each, and answers how many they were. A forgotten command that comes again is a new
    /// one. Events stay, and so do commands that [are kept](CommandId::is_kept).
    ///
    /// A dropped future, or an error, leaves some of them forgotten.
    fn forget_commands(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Returns when the log may have grown beyond `after`: at once if it is known to, on an
    /// append in this process, and otherwise after the store's poll interval.
    fn wait_for_append(&self, after: Position) -> impl Future<Output = ()> + Send;

    /// Makes the table of a read model, or checks that it is the declared one, and answers where
    /// its projection stands. Safe to call from several instances at once.
    ///
    /// A known version stays divided as it is.
    fn prepare_table(&self, table: &Table) -> impl Future<Output = Result<ProjectionState>> + Send;

    /// Makes what a table goes without while history is loaded into it, because it is faster made
    /// afterwards: before the version is complete. Does nothing where it is made already.
    fn complete_table(&self, table: &Table) -> impl Future<Output = Result<()>> + Send;

    /// Makes an integration stream known and answers where its projection stands.
    fn prepare_stream(
        &self,
        stream: &StreamVersion,
    ) -> impl Future<Output = Result<ProjectionState>> + Send;

    /// Makes a process known and answers where it stands.
    fn prepare_process(
        &self,
        process: &str,
    ) -> impl Future<Output = Result<ProjectionState>> + Send;

    /// Where the projection stands; nothing if no instance ever prepared it.
    fn projection(
        &self,
        projection: &ProjectionId,
    ) -> impl Future<Output = Result<Option<ProjectionState>>> + Send;

    /// Every projection that was ever prepared, by name and version.
    fn projections(
        &self,
    ) -> impl Future<Output = Result<Vec<(ProjectionId, ProjectionState)>>> + Send;

    /// All versions of one read model or stream, and who reacts to what; none if no instance ever
    /// prepared one.
    fn lineage(&self, projection: &ProjectionId) -> impl Future<Output = Result<Lineage>> + Send;

    /// Changes the life of a version, if the rules allow it: in one transaction, of which all its
    /// workers hear before they go on. Answers all versions as they are then.
    ///
    /// # Errors
    /// [`is_refused`](crate::Error::is_refused) with the reason, when the rules do not allow it.
    fn change(
        &self,
        projection: &ProjectionId,
        change: &Change,
        by: &str,
    ) -> impl Future<Output = Result<Lineage>> + Send;

    /// The keys of a version that are set aside, after the key `after`, by key, at most `limit`.
    fn parked(
        &self,
        projection: &ProjectionId,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ParkedKey>>> + Send;

    /// The events that wait for a key that is set aside, in order, at most `limit`; none for any
    /// other key.
    fn parked_events(
        &self,
        projection: &ProjectionId,
        key: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Position>>> + Send;

    /// What happened in the lives of the versions of one read model or stream, oldest first.
    fn life(
        &self,
        projection: &ProjectionId,
    ) -> impl Future<Output = Result<Vec<LifeEntry>>> + Send;

    /// Removes what a retired read model's version left behind, in steps that hold up nobody for
    /// long. Does nothing for one that is not retired, or whose rows are gone.
    fn remove_rows(&self, projection: &ProjectionId) -> impl Future<Output = Result<()>> + Send;

    /// Takes a part of a projection to work on, unless somebody else has it, and tells all that its
    /// worker must know. It saves work alone: what keeps two workers apart is the cursor's move.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Claimed>> + Send;

    /// Gives back all that `owner` has: parts of projections, keys with reactions, and relays.
    fn release(&self, owner: &str) -> impl Future<Output = Result<()>> + Send;

    /// Notes why a part stands still, unless its cursor has moved on since. A move takes the note
    /// away.
    fn note_failure(
        &self,
        stands: &Advance,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes who runs the code of these versions, and who reads those.
    fn note_seen(
        &self,
        who: &str,
        run: &[ProjectionId],
        read: &[ProjectionId],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Moves a read model's cursor and writes what the page makes, in one transaction. Of several
    /// changes of one key the last one counts.
    ///
    /// What is unique is unique in all rows as they are after the changes: two of them may swap it.
    ///
    /// # Errors
    /// [`is_not_unique`](crate::Error::is_not_unique) for the first of the new rows that holds what
    /// only one row may hold, and another row or a change before it holds. Nothing was written.
    fn advance_rows(
        &self,
        advance: Advance,
        table: &Table,
        written: Written,
    ) -> impl Future<Output = Result<Advanced>> + Send;

    /// Moves a process's cursor and writes what the page makes, in one transaction.
    fn advance_process(
        &self,
        advance: Advance,
        page: ProcessPage,
    ) -> impl Future<Output = Result<Advanced>> + Send;

    /// The timers of a process that have not fired, after a place, in order, at most `limit`.
    fn timers(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Timer>>> + Send;

    /// Notes that these timers have fired. One that was set anew since stays.
    fn finish_timers(
        &self,
        process: &str,
        fired: &[Timer],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes why a timer could not fire, unless it was set anew since.
    fn note_timer_failure(
        &self,
        process: &str,
        timer: &Timer,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Takes keys of a read model whose reactions are to be run, unless somebody else has them: those
    /// that are due longest, each with its first reactions in order. Of a key that somebody has, or
    /// whose first reaction a newer version enqueued, nothing; nor of events that come after some
    /// that another version has still to react to.
    fn claim_reactions(
        &self,
        claim: &ReactionClaim,
    ) -> impl Future<Output = Result<Vec<DueKey>>> + Send;

    /// Says that `owner` goes on to run the reactions of these keys, for `lease` from now on.
    fn keep_reactions(
        &self,
        projection: &str,
        keys: Vec<String>,
        owner: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes that a reaction was run; after the `last` that its worker took of the key, the key is
    /// anybody's. Does nothing for one that is not there any more.
    fn finish_reaction(
        &self,
        reaction: &ReactionId,
        last: bool,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Gives a key back whose first reaction was not run, if the owner has it.
    fn postpone_reactions(&self, postponed: &Postponed) -> impl Future<Output = Result<()>> + Send;

    /// The keys that have reactions which are still to be run, after the key `after`, by key, at
    /// most `limit`.
    fn reaction_queues(
        &self,
        projection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ReactionQueue>>> + Send;

    /// Lets the reactions that failed be tried again at once, also those that are parked: of one
    /// key, or of all. Answers how many keys there are.
    fn retry_reactions(
        &self,
        projection: &str,
        key: Option<&str>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Gives a reaction up, for a reason that is kept. Answers whether it was there.
    fn drop_reaction(
        &self,
        reaction: &ReactionId,
        reason: &str,
        by: &str,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// The rows of these keys; a key without a row is left out.
    fn read_rows(
        &self,
        table: &Table,
        keys: Vec<String>,
    ) -> impl Future<Output = Result<Vec<(String, Row)>>> + Send;

    /// The rows of these keys, and the positions of the log that they reflect: as both were at one
    /// moment.
    ///
    /// # Errors
    /// When nobody prepared the read model, or it is retired.
    fn read_rows_at(
        &self,
        table: &Table,
        keys: Vec<String>,
    ) -> impl Future<Output = Result<RowsAt>> + Send;

    /// The rows that the query asks for, in its order.
    fn query_rows(
        &self,
        table: &Table,
        query: &RowQuery,
    ) -> impl Future<Output = Result<Vec<(String, Row)>>> + Send;

    /// The projections and their rows as they are at one moment, which is not before this call.
    #[cfg(feature = "runtime")]
    fn still(&self) -> impl Future<Output = Result<Still>> + Send;

    /// How many rows these are.
    fn count_rows(
        &self,
        table: &Table,
        select: &Select,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Moves an integration stream's cursor and adds its events, in one transaction.
    fn advance_stream(
        &self,
        advance: Advance,
        stream: &StreamVersion,
        events: Vec<PublishedEvent>,
    ) -> impl Future<Output = Result<Advanced>> + Send;

    /// The events of an integration stream after the position `after`, at most `limit`, in order.
    fn read_published(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<PublishedEvent>>> + Send;

    /// Events of an integration stream after a position, in order, with the stream's head and its
    /// phase, all as they were at one moment. There may be fewer than were asked for: a page ends at
    /// about a megabyte, too, and a filtered one looks through a part of the stream at once.
    fn query_published(
        &self,
        query: &PublishedQuery,
    ) -> impl Future<Output = Result<PublishedPage>> + Send;

    /// The position and the hash of the last event of an integration stream.
    fn published_head(
        &self,
        stream: &StreamVersion,
    ) -> impl Future<Output = Result<StreamCursor>> + Send;

    /// Returns when the integration stream may have grown beyond `after`, as
    /// [`wait_for_append`](Self::wait_for_append) does.
    fn wait_for_published(
        &self,
        stream: &StreamVersion,
        after: Position,
    ) -> impl Future<Output = ()> + Send;

    /// Notes who read which integration streams, and from where: each consumer stands then where it
    /// read last, also if it began anew.
    ///
    /// The law: a stream is not retired, unless somebody forces it, before all that were noted are
    /// silent for as long as is asked for.
    fn note_consumers(&self, readings: &[Reading]) -> impl Future<Output = Result<()>> + Send;

    /// The consumers that were ever noted, of one stream or of all, by stream and name.
    fn consumers(
        &self,
        stream: Option<&StreamVersion>,
    ) -> impl Future<Output = Result<Vec<ConsumerState>>> + Send;

    /// Keeps schemas that are about to be served. One that is there already stays as it is.
    ///
    /// The law: what was kept once is found under its name and revision for ever.
    fn keep_schemas(&self, schemas: &[KeptSchema]) -> impl Future<Output = Result<()>> + Send;

    /// A schema that this or an earlier release kept.
    fn kept_schema(
        &self,
        name: &str,
        revision: &str,
    ) -> impl Future<Output = Result<Option<KeptSchema>>> + Send;

    /// Makes somebody the relay of a stream version over a transport, unless somebody else is, and
    /// answers how it stands: who is the relay, and where its cursor is. It saves work alone: what
    /// keeps two relays apart is the broker, and the cursor's move.
    ///
    /// The law: the epoch is higher each time that somebody becomes the relay who was not before.
    fn claim_relay(&self, claim: &RelayClaim) -> impl Future<Output = Result<RelayState>> + Send;

    /// Moves a relay's cursor, if it stands where the mover believes and nobody else became the relay
    /// since. It may be lost when the database crashes: then events are sent again.
    fn advance_relay(&self, step: &RelayMove) -> impl Future<Output = Result<Advanced>> + Send;

    /// Notes why nothing goes out, unless somebody else became the relay since. A move takes the note
    /// away.
    fn note_relay_failure(
        &self,
        relay: &RelayId,
        epoch: u64,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Every relay that there ever was, by transport, stream and version.
    fn relays(&self) -> impl Future<Output = Result<Vec<RelayState>>> + Send;

    /// How far the consumer has come: where the part stands that is behind the others.
    fn inbox(&self, inbox: &InboxId) -> impl Future<Output = Result<StreamCursor>> + Send;

    /// Every inbox that was ever claimed, by consumer, stream and version.
    fn inboxes(&self) -> impl Future<Output = Result<Vec<InboxId>>> + Send;

    /// All that an inbox knows of where it stands, and where it stood.
    ///
    /// The law: of the places that it has passed, those within the last ten thousand events are known
    /// to a thousand, and where it began.
    fn inbox_state(&self, inbox: &InboxId) -> impl Future<Output = Result<InboxState>> + Send;

    /// Asks something of whoever works on an inbox. Answers the number of the question; 0 if there is
    /// nothing that it is about.
    ///
    /// When parts are divided anew, repairs that are not done are forgotten.
    fn ask_inbox(
        &self,
        inbox: &InboxId,
        question: &InboxQuestion,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Makes a consumer's inbox known, if it is not, takes those of its parts to work on that are
    /// the claimer's share, and tells all that its workers must know. It saves work alone: what keeps
    /// two workers apart is the cursor's move.
    ///
    /// The law: parts are divided anew only where all of them stand at one position, and no move from
    /// before counts afterwards.
    fn claim_inbox(&self, claim: &InboxClaim) -> impl Future<Output = Result<InboxClaimed>> + Send;

    /// A consumer's inboxes of all versions of a stream, whichever of them `inbox` names.
    fn inbox_versions(&self, inbox: &InboxId)
    -> impl Future<Output = Result<InboxVersions>> + Send;

    /// Closes the inbox of one version and lets another version's go on where it stood, with the keys
    /// that are set aside.
    ///
    /// The law: it moves from where the taker believes it to stand, or not at all, and no move of the
    /// closed one from before counts afterwards.
    fn take_over_inbox(
        &self,
        takeover: &InboxTakeover,
    ) -> impl Future<Output = Result<Advanced>> + Send;

    /// The keys that a consumer has set aside, after the key `after`, by key, at most `limit`.
    fn inbox_keys(
        &self,
        inbox: &InboxId,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<InboxKey>>> + Send;

    /// The events that wait for a key that is set aside, in order, at most `limit`; none for any
    /// other key.
    fn inbox_events(
        &self,
        inbox: &InboxId,
        key: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<HeldEvent>>> + Send;

    /// Lets a key that is set aside be tried again at once, or all of them. Answers how many.
    fn retry_inbox(
        &self,
        inbox: &InboxId,
        key: Option<&str>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Gives up an event that waits: it becomes a dead letter, with the reason, and the key goes on
    /// with the next one. Answers whether it was there.
    fn give_up_inbox(
        &self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// The events that somebody gave up, after a position, in order, at most `limit`.
    fn dead_letters(
        &self,
        inbox: &InboxId,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadLetter>>> + Send;

    /// Begins a transaction for a consumer's effects. Dropped, it is rolled back.
    #[cfg(feature = "runtime")]
    fn begin(&self) -> impl Future<Output = Result<Tx>> + Send;

    /// Moves the cursor of a part of an inbox in the transaction of its effects, sets keys aside or
    /// lets them go on, and commits all of it.
    #[cfg(feature = "runtime")]
    fn commit_inbox(
        &self,
        tx: Tx,
        step: &InboxMove,
    ) -> impl Future<Output = Result<Advanced>> + Send;

    /// Makes an instance of a service known that is about to run, and answers all that are known,
    /// this one last.
    ///
    /// The law: an append that was told of the instances up to a number is refused once one with a
    /// higher number is there, and nothing of it is written.
    fn register(
        &self,
        instance: &NewInstance,
    ) -> impl Future<Output = Result<Vec<Instance>>> + Send;

    /// Says that an instance lives, for `timeout` from now on, and answers all that are known.
    /// Nothing if it was not heard of for too long, or has left: then it must register again.
    fn keep_alive(
        &self,
        number: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<Option<Vec<Instance>>>> + Send;

    /// Notes that an instance has ended. One that is not known has ended before.
    fn deregister(&self, number: u64) -> impl Future<Output = Result<()>> + Send;

    /// The instances that are known, by number: those that run, and those that were not heard of any
    /// more since at most a day.
    fn instances(&self) -> impl Future<Output = Result<Vec<Instance>>> + Send;

    /// Finishes what is under way and lets go of the files. Later calls fail.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
