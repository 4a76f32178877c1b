//! Stores around stores: `delegate!(target: method …)` hands these calls to `self.target()`.

macro_rules! delegate {
    ($target:ident: $($method:ident)*) => {
        $($crate::delegate::delegate!(@$method $target);)*
    };
    (@identity $to:ident) => {
        fn identity(&self) -> LogIdentity { self.$to().identity() }
    };
    (@append $to:ident) => { delegate!(@fn $to append(append: Append) -> Result<Appended>); };
    (@outcome $to:ident) => {
        delegate!(@fn $to outcome(stream: &StreamId, command: CommandId) -> Result<Option<Outcome>>);
    };
    (@read_stream $to:ident) => {
        delegate!(@fn $to read_stream(stream: &StreamId, query: StreamQuery) -> Result<StreamPage>);
    };
    (@read_snapshot $to:ident) => {
        delegate!(@fn $to read_snapshot(stream: &StreamId, of: Fingerprint, limit: usize)
            -> Result<(Option<Snapshot>, StreamPage)>);
    };
    (@write_snapshots $to:ident) => {
        delegate!(@fn $to write_snapshots(snapshots: Vec<Snapshot>) -> Result<()>);
    };
    (@remove_snapshot $to:ident) => {
        delegate!(@fn $to remove_snapshot(stream: &StreamId, of: Fingerprint, version: u64)
            -> Result<()>);
    };
    (@remove_outdated $to:ident) => {
        delegate!(@fn $to remove_outdated(outdated: &Outdated, limit: usize) -> Result<usize>);
    };
    (@read_log $to:ident) => {
        delegate!(@fn $to read_log(query: &LogQuery) -> Result<LogPage>);
    };
    (@read_correlated $to:ident) => {
        delegate!(@fn $to read_correlated(correlation: &str, after: Position, limit: usize)
            -> Result<StreamPage>);
    };
    (@read_commands $to:ident) => {
        delegate!(@fn $to read_commands(commands: &[(StreamId, CommandId)])
            -> Result<Vec<AcceptedCommand>>);
    };
    (@read_empty_commands $to:ident) => {
        delegate!(@fn $to read_empty_commands(
            from: Position, after: Option<&(StreamId, CommandId)>, limit: usize)
            -> Result<Vec<AcceptedCommand>>);
    };
    (@import $to:ident) => { delegate!(@fn $to import(segment: Segment) -> Result<()>); };
    (@forget_commands $to:ident) => {
        delegate!(@fn $to forget_commands(before: Timestamp, limit: usize) -> Result<u64>);
    };
    (@head $to:ident) => { delegate!(@fn $to head() -> Result<Position>); };
    (@wait_for_append $to:ident) => { delegate!(@fn $to wait_for_append(after: Position) -> ()); };
    (@prepare_table $to:ident) => {
        delegate!(@fn $to prepare_table(table: &Table) -> Result<ProjectionState>);
    };
    (@complete_table $to:ident) => {
        delegate!(@fn $to complete_table(table: &Table) -> Result<()>);
    };
    (@prepare_stream $to:ident) => {
        delegate!(@fn $to prepare_stream(stream: &StreamVersion) -> Result<ProjectionState>);
    };
    (@prepare_process $to:ident) => {
        delegate!(@fn $to prepare_process(process: &str) -> Result<ProjectionState>);
    };
    (@projection $to:ident) => {
        delegate!(@fn $to projection(id: &ProjectionId) -> Result<Option<ProjectionState>>);
    };
    (@projections $to:ident) => {
        delegate!(@fn $to projections() -> Result<Vec<(ProjectionId, ProjectionState)>>);
    };
    (@lineage $to:ident) => {
        delegate!(@fn $to lineage(id: &ProjectionId) -> Result<Lineage>);
    };
    (@change $to:ident) => {
        delegate!(@fn $to change(id: &ProjectionId, change: &Change, by: &str) -> Result<Lineage>);
    };
    (@life $to:ident) => {
        delegate!(@fn $to life(id: &ProjectionId) -> Result<Vec<LifeEntry>>);
    };
    (@parked $to:ident) => {
        delegate!(@fn $to parked(id: &ProjectionId, after: Option<&str>, limit: usize)
            -> Result<Vec<ParkedKey>>);
    };
    (@parked_events $to:ident) => {
        delegate!(@fn $to parked_events(id: &ProjectionId, key: &str, limit: usize)
            -> Result<Vec<Position>>);
    };
    (@remove_rows $to:ident) => {
        delegate!(@fn $to remove_rows(id: &ProjectionId) -> Result<()>);
    };
    (@claim $to:ident) => { delegate!(@fn $to claim(claim: &Claim) -> Result<Claimed>); };
    (@release $to:ident) => { delegate!(@fn $to release(owner: &str) -> Result<()>); };
    (@note_failure $to:ident) => {
        delegate!(@fn $to note_failure(stands: &Advance, reason: &str) -> Result<()>);
    };
    (@note_seen $to:ident) => {
        delegate!(@fn $to note_seen(who: &str, run: &[ProjectionId], read: &[ProjectionId])
            -> Result<()>);
    };
    (@advance_rows $to:ident) => {
        delegate!(@fn $to advance_rows(advance: Advance, table: &Table, written: Written)
            -> Result<Advanced>);
    };
    (@advance_process $to:ident) => {
        delegate!(@fn $to advance_process(advance: Advance, page: ProcessPage) -> Result<Advanced>);
    };
    (@timers $to:ident) => {
        delegate!(@fn $to timers(process: &str, after: Option<&TimerPlace>, limit: usize)
            -> Result<Vec<Timer>>);
    };
    (@finish_timers $to:ident) => {
        delegate!(@fn $to finish_timers(process: &str, fired: &[Timer]) -> Result<()>);
    };
    (@note_timer_failure $to:ident) => {
        delegate!(@fn $to note_timer_failure(process: &str, timer: &Timer, reason: &str)
            -> Result<()>);
    };
    (@claim_reactions $to:ident) => {
        delegate!(@fn $to claim_reactions(claim: &ReactionClaim) -> Result<Vec<DueKey>>);
    };
    (@keep_reactions $to:ident) => {
        delegate!(@fn $to keep_reactions(
            projection: &str, keys: Vec<String>, owner: &str, lease: Duration)
            -> Result<()>);
    };
    (@finish_reaction $to:ident) => {
        delegate!(@fn $to finish_reaction(reaction: &ReactionId, last: bool) -> Result<()>);
    };
    (@postpone_reactions $to:ident) => {
        delegate!(@fn $to postpone_reactions(postponed: &Postponed) -> Result<()>);
    };
    (@reaction_queues $to:ident) => {
        delegate!(@fn $to reaction_queues(projection: &str, after: Option<&str>, limit: usize)
            -> Result<Vec<ReactionQueue>>);
    };
    (@retry_reactions $to:ident) => {
        delegate!(@fn $to retry_reactions(projection: &str, key: Option<&str>) -> Result<u64>);
    };
    (@drop_reaction $to:ident) => {
        delegate!(@fn $to drop_reaction(reaction: &ReactionId, reason: &str, by: &str)
            -> Result<bool>);
    };
    (@read_rows $to:ident) => {
        delegate!(@fn $to read_rows(table: &Table, keys: Vec<String>) -> Result<Vec<(String, Row)>>);
    };
    (@read_rows_at $to:ident) => {
        delegate!(@fn $to read_rows_at(table: &Table, keys: Vec<String>)
            -> Result<RowsAt>);
    };
    (@query_rows $to:ident) => {
        delegate!(@fn $to query_rows(table: &Table, query: &RowQuery)
            -> Result<Vec<(String, Row)>>);
    };
    (@count_rows $to:ident) => {
        delegate!(@fn $to count_rows(table: &Table, select: &Select) -> Result<u64>);
    };
    (@advance_stream $to:ident) => {
        delegate!(@fn $to advance_stream(
            advance: Advance, stream: &StreamVersion, events: Vec<PublishedEvent>)
            -> Result<Advanced>);
    };
    (@read_published $to:ident) => {
        delegate!(@fn $to read_published(stream: &StreamVersion, after: Position, limit: usize)
            -> Result<Vec<PublishedEvent>>);
    };
    (@query_published $to:ident) => {
        delegate!(@fn $to query_published(query: &PublishedQuery) -> Result<PublishedPage>);
    };
    (@published_head $to:ident) => {
        delegate!(@fn $to published_head(stream: &StreamVersion) -> Result<StreamCursor>);
    };
    (@wait_for_published $to:ident) => {
        delegate!(@fn $to wait_for_published(stream: &StreamVersion, after: Position) -> ());
    };
    (@note_consumers $to:ident) => {
        delegate!(@fn $to note_consumers(readings: &[Reading]) -> Result<()>);
    };
    (@consumers $to:ident) => {
        delegate!(@fn $to consumers(stream: Option<&StreamVersion>) -> Result<Vec<ConsumerState>>);
    };
    (@keep_schemas $to:ident) => {
        delegate!(@fn $to keep_schemas(schemas: &[KeptSchema]) -> Result<()>);
    };
    (@kept_schema $to:ident) => {
        delegate!(@fn $to kept_schema(name: &str, revision: &str) -> Result<Option<KeptSchema>>);
    };
    (@claim_relay $to:ident) => {
        delegate!(@fn $to claim_relay(claim: &RelayClaim) -> Result<RelayState>);
    };
    (@advance_relay $to:ident) => {
        delegate!(@fn $to advance_relay(step: &RelayMove) -> Result<Advanced>);
    };
    (@note_relay_failure $to:ident) => {
        delegate!(@fn $to note_relay_failure(relay: &RelayId, epoch: u64, reason: &str)
            -> Result<()>);
    };
    (@relays $to:ident) => { delegate!(@fn $to relays() -> Result<Vec<RelayState>>); };
    (@inbox $to:ident) => { delegate!(@fn $to inbox(inbox: &InboxId) -> Result<StreamCursor>); };
    (@inboxes $to:ident) => { delegate!(@fn $to inboxes() -> Result<Vec<InboxId>>); };
    (@inbox_state $to:ident) => {
        delegate!(@fn $to inbox_state(inbox: &InboxId) -> Result<InboxState>);
    };
    (@ask_inbox $to:ident) => {
        delegate!(@fn $to ask_inbox(inbox: &InboxId, question: &InboxQuestion) -> Result<u64>);
    };
    (@claim_inbox $to:ident) => {
        delegate!(@fn $to claim_inbox(claim: &InboxClaim) -> Result<InboxClaimed>);
    };
    (@inbox_versions $to:ident) => {
        delegate!(@fn $to inbox_versions(inbox: &InboxId) -> Result<InboxVersions>);
    };
    (@take_over_inbox $to:ident) => {
        delegate!(@fn $to take_over_inbox(takeover: &InboxTakeover) -> Result<Advanced>);
    };
    (@inbox_keys $to:ident) => {
        delegate!(@fn $to inbox_keys(inbox: &InboxId, after: Option<&str>, limit: usize)
            -> Result<Vec<InboxKey>>);
    };
    (@inbox_events $to:ident) => {
        delegate!(@fn $to inbox_events(inbox: &InboxId, key: &str, limit: usize)
            -> Result<Vec<HeldEvent>>);
    };
    (@retry_inbox $to:ident) => {
        delegate!(@fn $to retry_inbox(inbox: &InboxId, key: Option<&str>) -> Result<u64>);
    };
    (@give_up_inbox $to:ident) => {
        delegate!(@fn $to give_up_inbox(
            inbox: &InboxId, position: Position, reason: &str, by: &str)
            -> Result<bool>);
    };
    (@dead_letters $to:ident) => {
        delegate!(@fn $to dead_letters(inbox: &InboxId, after: Position, limit: usize)
            -> Result<Vec<DeadLetter>>);
    };
    (@still $to:ident) => { delegate!(@fn $to still() -> Result<Still>); };
    (@begin $to:ident) => { delegate!(@fn $to begin() -> Result<Tx>); };
    (@commit_inbox $to:ident) => {
        delegate!(@fn $to commit_inbox(tx: Tx, step: &InboxMove) -> Result<Advanced>);
    };
    (@register $to:ident) => {
        delegate!(@fn $to register(instance: &NewInstance) -> Result<Vec<Instance>>);
    };
    (@keep_alive $to:ident) => {
        delegate!(@fn $to keep_alive(number: u64, timeout: Duration)
            -> Result<Option<Vec<Instance>>>);
    };
    (@deregister $to:ident) => { delegate!(@fn $to deregister(number: u64) -> Result<()>); };
    (@instances $to:ident) => { delegate!(@fn $to instances() -> Result<Vec<Instance>>); };
    (@close $to:ident) => { delegate!(@fn $to close() -> ()); };
    (@fn $to:ident $method:ident($($arg:ident: $type:ty),*) -> $answer:ty) => {
        async fn $method(&self, $($arg: $type),*) -> $answer {
            self.$to().$method($($arg),*).await
        }
    };
}

pub(crate) use delegate;
