//! What each error says to people: what happened, and what to do.

use std::fmt;

use super::Kind;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict {
                stream,
                expected,
                found,
            } => write!(
                f,
                "`{stream}` is at version {found}, not {expected}: somebody else changed it; load it and decide again"
            ),
            Self::Rejected { stream, command } => write!(f, "`{stream}` rejected `{command}`"),
            Self::UnknownEvent(at) => write!(
                f,
                "`{}` is no event that this binary knows, at version {} of `{}`: deploy the one that does, or say what became of it: `was`, `merged`, `split` or `dropped`",
                at.0, at.2, at.1
            ),
            Self::Undecodable(at) => write!(
                f,
                "the payload of `{}` does not decode, at version {} of `{}`: say in the event's history what changed",
                at.0, at.2, at.1
            ),
            Self::NewerEvent { at, needs, known } => write!(
                f,
                "`{}` needs a reader of schema version {needs} and this binary knows {known}, at version {} of `{}`: deploy the newer binary",
                at.0, at.2, at.1
            ),
            Self::NotUpcast { at, from, version } => write!(
                f,
                "version {from} of `{}` does not become version {version}, at version {} of `{}`: correct what the attributes say of that version, which must take every payload that was written",
                at.0, at.2, at.1
            ),
            Self::NotDowncast { event, version } => write!(
                f,
                "`{event}` cannot be written as version {version}: declare `down` beside the change that made version {}",
                version + 1
            ),
            Self::Retired { event } => write!(
                f,
                "`{event}` is retired: it is read, and never written; decide on another event, or remove `retired`"
            ),
            Self::Unencodable { what } => {
                write!(
                    f,
                    "{what} cannot be written as JSON: look at its `Serialize`"
                )
            }
            Self::InvalidId => f.write_str("the aggregate's id cannot be used"),
            Self::Database { doing } => write!(f, "the database failed while {doing}"),
            Self::FutureDatabase { found, known } => write!(
                f,
                "the database has schema {found} and this binary knows {known}: deploy a newer binary, or use another database"
            ),
            Self::UnknownStore { url } => write!(
                f,
                "no store for `{url}`: use `memory:`, `sqlite://path/to/file.db` or `postgres://user@host/database`, and switch the store's feature on"
            ),
            Self::BrokenOrder { after, found } => write!(
                f,
                "the log goes from position {after} to {found}: positions are dense, so events are missing; restore the log before anything reads on"
            ),
            Self::OutOfRange { what } => write!(f, "{what} cannot be kept in its column"),
            Self::Building {
                projection,
                cursor,
                head,
            } => write!(
                f,
                "`{projection}` is still being built, at position {cursor} of {head}: read the live version, or wait"
            ),
            Self::ChangedColumns {
                projection,
                stored,
                declared,
            } => write!(
                f,
                "the columns of `{projection}` changed from ({stored}) to ({declared}) without a new version: raise `version`"
            ),
            Self::ChangedReactions {
                projection,
                stored,
                declared,
            } => write!(
                f,
                "`{projection}` was made to react to {stored}, and this code reacts to {declared}: raise `version`, so that each event is reacted to once"
            ),
            Self::Deadline {
                projection,
                wanted,
                cursor,
            } => write!(
                f,
                "`{projection}` is at position {cursor} and did not reach {wanted} in time: try again, or wait longer"
            ),
            Self::Stopped { worker, reason } => write!(f, "`{worker}` has stopped: {reason}"),
            Self::Unregistered { what } => {
                write!(
                    f,
                    "{what} is not part of this service: add it to the builder"
                )
            }
            Self::LifeRefused {
                projection,
                what,
                why,
            } => write!(f, "cannot {what} `{projection}`: {why}"),
            Self::Incomparable { old, new } => write!(
                f,
                "`{old}` and `{new}` are not two versions of one read model, and cannot be compared"
            ),
            Self::Locked { what, holders } => write!(
                f,
                "{what} is in use: {holders}. Nothing was changed; try again when that transaction \
                 has ended, or end it"
            ),
            Self::Duplicate { what } => {
                write!(
                    f,
                    "{what} is declared twice: give one of them another name or version"
                )
            }
            Self::Listen { address } => {
                write!(
                    f,
                    "cannot listen on `{address}`: choose a free address, or port 0"
                )
            }
            Self::Undescribed { stream, event } => write!(
                f,
                "the feed's contract does not describe `{event}` of `{stream}`: give `Serve::contract` the contract of this service, with its namespace"
            ),
            Self::Feed { url, why } => {
                write!(f, "the feed `{url}` did not answer as it should: {why}")
            }
            Self::Unprepared { consumer } => write!(
                f,
                "the handler of `{consumer}` could not prepare: nothing was read or written; mend it and start again"
            ),
            Self::FeedRefused { url, why } => {
                write!(f, "the feed `{url}` refuses this consumer: {why}")
            }
            Self::CursorAhead {
                stream,
                cursor,
                head,
            } => write!(
                f,
                "the cursor in `{stream}` is {cursor}, beyond its head {head}: the upstream was restored from a backup, or this is another environment"
            ),
            Self::UnfilledHole {
                stream,
                wanted,
                found,
            } => write!(
                f,
                "`{stream}` continues with position {found} instead of {wanted}, also when asked again: the feed is broken, nothing was skipped"
            ),
            Self::Forked { stream, position } => write!(
                f,
                "`{stream}` is not the stream that was read before: the hash differs at position {position}; compare it with the upstream before reading on"
            ),
            Self::Handler {
                consumer,
                most,
                key,
                reason,
            } => write!(
                f,
                "more than {most} keys of `{consumer}` have failed, so it is not about single keys: nothing was skipped, and it goes on as soon as some of them do; mend what failed; `{key}` failed: {reason}"
            ),
            Self::ParkedInInbox {
                consumer,
                key,
                position,
                reason,
            } => write!(
                f,
                "the key `{key}` of `{consumer}` is parked at position {position}, before what was asked for ({reason}): mend what failed and try it again, or give that event up"
            ),
            Self::NoHead { stream } => write!(
                f,
                "this source cannot tell where `{stream}` ends now: begin at its first event, or after a position"
            ),
            Self::NotServed { stream, why } => {
                write!(f, "`{stream}` is not served now, and is asked for again: {why}")
            }
            Self::TwoInboxes {
                consumer,
                stream,
                older,
                newer,
            } => write!(
                f,
                "`{consumer}` has an inbox of `{stream}@{older}` and one of `{stream}@{newer}`, and neither goes on as the other: it cannot move between them; leave `continues` out, or give the consumer another name"
            ),
            Self::NoPredecessor {
                consumer,
                stream,
                other,
            } => write!(
                f,
                "`{consumer}` cannot continue `{other}` with `{stream}`: name an older version of the same stream"
            ),
            Self::InsideEvent {
                inbox,
                position,
                until,
            } => write!(
                f,
                "{inbox} stands at position {position}, inside of what was one event at its publisher and ends at {until}: the release before must handle the rest of it first"
            ),
            Self::NotCarried {
                inbox,
                to,
                key,
                why,
            } => write!(
                f,
                "the key `{key}` of {inbox} waits, and cannot wait in `{to}`: {why}; have the release before handle its events, or give them up"
            ),
            Self::NoPlace { stream } => write!(
                f,
                "this source cannot tell where in `{stream}` a consumer of another version goes on: read from a feed, or stay with the version that was read"
            ),
            Self::NoFilter { stream } => write!(
                f,
                "this source cannot look for the events of one subject of `{stream}`: read it from the feed, or wait until the consumer comes to them"
            ),
            Self::NotAhead {
                consumer,
                subject,
                why,
            } => write!(
                f,
                "`{consumer}` cannot handle `{subject}` ahead of the others: {why}; nothing is lost, it comes with them"
            ),
            Self::HandledOther {
                consumer,
                subject,
                position,
            } => write!(
                f,
                "what `{consumer}` handled of `{subject}` ahead of the others is not what the stream has of it up to position {position}: the source's filter left something out or made it up; nothing was committed since, mend its effects before you go on"
            ),
            Self::StillAhead {
                inbox,
                subject,
                until,
            } => write!(
                f,
                "`{subject}` was handled ahead of the others in the inbox of {inbox}, up to position {until}, and its cursor has not come so far: let the release that reads it come there, and the inbox moves by itself"
            ),
            Self::NotRepaired { consumer, why } => write!(
                f,
                "`{consumer}` could not repair this range: {why}; what came before it was handled again, and nothing else was changed"
            ),
            Self::NoInbox { inbox } => write!(
                f,
                "there is no inbox for {inbox}: look at the names, or start the consumer first"
            ),
            Self::UnknownIntegrationEvent {
                stream,
                position,
                event_type,
            } => write!(
                f,
                "`{event_type}` at position {position} of `{stream}` is unknown to this consumer: take the newer contract, or allow unknown types to be skipped"
            ),
            Self::BadEnvelope { stream, why } => {
                write!(
                    f,
                    "an event of `{stream}` is no CloudEvent of this feed: {why}"
                )
            }
            Self::WrongTransaction { wanted } => {
                write!(
                    f,
                    "this transaction is no {wanted} transaction: ask for the store's own kind"
                )
            }
            Self::Overloaded { queue } => write!(
                f,
                "{queue} appends wait already, and no more are taken: try again later with the same command id, send less at once, or make the queue longer"
            ),
            Self::Parked {
                projection,
                key,
                position,
                reason,
            } => write!(
                f,
                "the key `{key}` of `{projection}` is parked at position {position}, before what was asked for ({reason}): mend what failed and try it again, or give up what waits"
            ),
            Self::Unapplied {
                projection,
                key,
                position,
                attempt,
                reason,
            } => write!(
                f,
                "`{projection}` failed to apply the event at position {position}, attempt {attempt}: {reason}; it is tried again, and then the key `{key}` is parked"
            ),
            Self::Uncreated { projection } => write!(
                f,
                "the tables of `{projection}` were not made: nothing was kept; mend `create` and start again"
            ),
            Self::TooManyParked {
                projection,
                most,
                key,
                reason,
            } => write!(
                f,
                "more than {most} keys of `{projection}` would be parked, so it is not about single keys: mend what failed and deploy it; nothing was skipped; `{key}` failed: {reason}"
            ),
            Self::OtherLog {
                host,
                found,
                expected,
            } => write!(
                f,
                "`{host}` holds the log {found} and not {expected}, which this store was connected to: nothing is written there; correct the hosts, or start again if the log was replaced on purpose"
            ),
            Self::NoPrimary { why } => write!(
                f,
                "no PostgreSQL server takes writes ({why}): start or promote one, or correct the hosts in the URL"
            ),
            Self::ReadOnly { doing } => write!(
                f,
                "this store only reads, and {doing} needs one that writes: connect to the primary without `read_only`"
            ),
            Self::PastDatabase { found, known } => write!(
                f,
                "the database has schema {found}, this binary knows {known}, and a store that only reads changes nothing: bring it up to date with `es migrate`, or start a service that writes first"
            ),
            Self::HeldBack {
                event,
                version,
                instance,
            } => write!(
                f,
                "version {version} of `{event}` is not written while {instance} runs, which cannot read it: send the command again when that instance has ended"
            ),
            Self::OtherInstances => f.write_str(
                "another instance has started since it was decided in which versions to write: nothing was written; send the command again",
            ),
            Self::Discontinuous { why } => write!(
                f,
                "these events do not continue the log: {why}; none of them was written"
            ),
            Self::BadLine { file, line, why } => {
                write!(f, "line {line} of `{file}` is refused: {why}")
            }
            Self::Damaged { file, why } => write!(
                f,
                "`{file}` is not whole: {why}; export it again, or take another copy"
            ),
            Self::OtherFile { file, position } => write!(
                f,
                "`{file}` is of another log: the event at position {position} differs; import it into an empty one"
            ),
            Self::File { doing } => write!(f, "the file failed while {doing}"),
            Self::NotContinuable { file, why } => write!(f, "`{file}` cannot be written: {why}"),
            Self::Uncast {
                stream,
                event,
                version,
                why,
            } => write!(
                f,
                "`{event}` of `{stream}` has no form in version {version}: {why}; mend the conversion that the history names"
            ),
            Self::Unmapped { stream, aggregate } => write!(
                f,
                "`{stream}` has a mapping of its own, but none for `{aggregate}`: say `.publish::<…>()` for both, or remove `own`"
            ),
            Self::NoSchema { of, why } => write!(f, "`{of}` has no schema of its events: {why}"),
            Self::NoSample { why } => write!(
                f,
                "no sample can be made from the schema: {why}; give the type an example, `#[schemars(example = …)]`"
            ),
            Self::Incompatible { findings } => write!(
                f,
                "readers would break, so publish it as a new version of the stream, or take it back:\n{findings}\n"
            ),
            Self::NotUnique {
                projection,
                key,
                column,
                holder,
            } => write!(
                f,
                "the row `{key}` of `{projection}` holds the same `{column}` as the row `{holder}`, and it is unique: mend the events or the fold, or declare it `index` in the next version"
            ),
            Self::FarBehind {
                projection,
                cursor,
                head,
                most,
            } => write!(
                f,
                "`{projection}` is at position {cursor} of {head}, more than {most} of its events behind: too far to fold them for one read; read the row as it is, or wait with `.after(…)`"
            ),
            Self::Broker { doing } => write!(f, "the message broker failed while {doing}"),
            Self::Held { route } => write!(
                f,
                "another relay sends `{route}` to the broker: this one waits until that one ends"
            ),
            Self::Untransportable { what } => write!(
                f,
                "`{what}` cannot be a name at the broker: choose a shorter one"
            ),
            Self::BadBrokerUrl { url, why } => write!(
                f,
                "the broker's URL is not understood ({why}): write it as `{url}`"
            ),
            Self::NoSuchPlace { to } => write!(
                f,
                "the broker has no queue `{to}`, so nothing was redelivered to it: look at its name, or make it first"
            ),
            Self::Unpublished {
                stream,
                position,
                head,
            } => write!(
                f,
                "`{stream}` ends at position {head} and has no event at {position}: nothing was redelivered; choose positions from 1 to {head}"
            ),
            Self::NoRecipient { process, to } => write!(
                f,
                "this release of `{process}` does not send commands to `{to}`, and one is still to be sent: say `sends = …` again until none is left"
            ),
            Self::OtherDecision { stream } => write!(
                f,
                "`{stream}` refused a command when it was sent, and this release would accept it on the same state: it is not sent again; deploy the decision as it was until the process has heard of it, or give the command up"
            ),
            Self::InboxElsewhere { aggregate } => write!(
                f,
                "the inbox of a consumer that brings inputs to `{aggregate}` must be in the database of its service: give `Consumer::new` the store that the service has"
            ),
            Self::UnreadableTask { process, what } => write!(
                f,
                "this release of `{process}` does not read {what} that an earlier one kept: give what is new a default, or a serde name that it had"
            ),
            Self::BadPageToken { why } => write!(
                f,
                "this page token is none of this query: {why}; take the one that the page before came with, or begin with the first page"
            ),
            Self::UnreadableMessage { adapter } => write!(
                f,
                "the adapter `{adapter}` cannot read a message: correct what sends it, or `Adapter::decode_with`"
            ),
            Self::Misplaced { adapter, key, why } => write!(
                f,
                "the adapter `{adapter}` cannot place the message `{key}`: {why}"
            ),
            Self::KeyReused {
                adapter,
                key,
                stream,
                version,
            } => write!(
                f,
                "the adapter `{adapter}` knows another message by the key `{key}`, at version {version} of `{stream}`: nothing was taken; make the key of what tells messages apart, or say `trust_keys` if the upstream sends one message in several forms"
            ),
            Self::Polling { adapter } => write!(
                f,
                "the adapter `{adapter}` cannot read the rows of its table: nothing was passed over, and it is tried again"
            ),
            Self::NotSetAside { adapter, number } => write!(
                f,
                "nothing is set aside as number {number} of the adapter `{adapter}`: `Adapter::set_aside` lists what is"
            ),
        }
    }
}
