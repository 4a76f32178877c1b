//! What may be wrong with a store.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the wrapper itself.
    None,
    /// Takes positions when an append begins and shows them when it ends, as a plain sequence does.
    LateCommit,
    /// Shows appends in the order in which they end, not in that of their positions.
    Reordered,
    /// Shows the first event of an append before the others.
    TornRead,
    /// Stores an append in two halves that another writer can come between.
    TornWrite,
    /// Stores an append in two halves, and a caller that gives up leaves one.
    TornByDrop,
    /// Says that a filtered reader has seen all of the log when its page was full.
    HastyFilter,
    /// Says that a filtered reader of an integration stream has seen all of it.
    HastyPage,
    /// Leaves the other aggregates' events on the page.
    LoosePage,
    /// Takes a consumer that reads again for a new one.
    AlwaysNewConsumers,
    /// Retires a stream whoever reads it.
    HeedlessRetirement,
    /// Forgets what a command belongs to.
    LostCorrelation,
    /// Says that a page of what belongs together is all of it.
    CutShort,
    /// Looks for the command only if the version differs: a retry after a reload is new.
    DoubledRetry,
    /// Knows only the commands that may come again: another try at an append is a conflict.
    DeniedRetry,
    /// Knows after a restart no command of the time before.
    ForgottenCommand,
    /// Is another log after each restart.
    ForgottenIdentity,
    /// Writes rows; the cursor is at the start again after a restart.
    ForgottenCursor,
    /// Moves the cursor without its rows.
    ForgottenRows,
    /// Writes the rows of an instance that was too late.
    Unfenced,
    /// Moves the cursor, and writes the rows in a second step.
    TwoSteps,
    /// Shows the moment that was asked for before.
    FormerMoment,
    /// Reads rows, and the cursor in a second step.
    SplitRead,
    /// Goes on behind a value, and not behind a row of that value.
    SkipsTies,
    /// Answers a range in the order of the keys.
    UnsortedRange,
    /// Writes what another row holds already.
    LooseUnique,
    /// Removes the row that holds what only one may hold, as a `REPLACE` does.
    ReplacesHolder,
    /// Looks at each row alone, so that two cannot swap what is unique.
    HastyUnique,
    /// Parks keys in another step than the cursor's.
    ParkedApart,
    /// Believes whoever writes of a parked key.
    ParkedUnfenced,
    /// Believes a consumer's position without its proof.
    Unproven,
    /// Believes a consumer who knows an inbox as it was divided before.
    InboxOfBefore,
    /// Moves an inbox to another version from wherever it stands by now.
    TakenAsItIs,
    /// Sets a consumer's keys aside in another step than the cursor's.
    HeldApart,
    /// Believes a consumer of a key that is set aside, or not any more.
    HeldUnfenced,
    /// Believes a consumer of an entity that was handled ahead.
    AheadUnfenced,
    /// Keeps no place that an inbox has passed, but the first.
    Unmarked,
    /// Keeps no event that was given up.
    ForgottenLetters,
    /// Imports events and leaves their commands behind.
    CommandsLeft,
    /// Imports what does not follow: it puts it where its log ends.
    Renumbered,
    /// Imports events, and their commands in a second step.
    ImportInTwoSteps,
    /// Forgets the commands of the moment itself, too.
    ForgetsTooMuch,
    /// Looks who runs when an append begins, and not when it is written.
    HastyLook,
    /// Moves the cursor without the reactions to its events.
    ForgottenReactions,
    /// Gives a key with reactions to everybody who asks.
    SharedReactions,
    /// Moves a process's cursor without its timers.
    ForgottenTimers,
    /// Takes a timer for fired that was set anew since.
    HastyTimers,
    /// Shows the timers that come after a time, and leaves out those that are due at it.
    SkipsEqualTimes,
    /// Moves a relay's cursor from wherever it stands.
    RelayUnfenced,
    /// Lets everybody be the relay.
    RelayForAll,
    /// Takes who comes for the relay that there was.
    RelayUnnoticed,
    /// Says to everybody who asks for a part of a version that it is theirs.
    SharedParts,
    /// Never tells of news in the log.
    Deaf,
    /// Never tells of news in an integration stream.
    DeafToStreams,
    /// Writes an older snapshot over a newer one.
    SnapshotsGoBack,
    /// Keeps one snapshot of a stream, whoever made it.
    AnyonesSnapshot,
    /// Reads the events after a snapshot without its own last one.
    LooseSnapshot,
    /// Finds no events behind a snapshot, so that a stale state looks like the newest.
    FrozenSnapshot,
    /// Does not find the schemas of earlier releases.
    ForgottenSchema,
}
