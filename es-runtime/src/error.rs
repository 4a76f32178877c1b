//! The one error type: what went wrong, what to do about it, and a stable code with a page in the
//! book.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::event::{Position, StreamId};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn StdError + Send + Sync>;

/// What went wrong, in a sentence that says what to do, with a stable code.
///
/// Ask it with the predicates ([`is_conflict`](Self::is_conflict),
/// [`is_rejected`](Self::is_rejected), …), show it to people with `Display`, look it up by
/// [`code`](Self::code).
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    cause: Option<Cause>,
}

/// The stored name, the stream and the version of an event that cannot be read.
pub(crate) type At = Box<(String, String, u64)>;

/// Every way to fail. Private: users see codes and predicates, so that it can grow.
#[derive(Clone, Debug)]
// Which of them can happen depends on the features.
#[allow(dead_code)]
pub(crate) enum Kind {
    Conflict {
        stream: StreamId,
        expected: u64,
        found: u64,
    },
    Rejected {
        stream: StreamId,
        command: &'static str,
    },
    UnknownEvent(At),
    Undecodable(At),
    NewerEvent {
        at: At,
        needs: u32,
        known: u32,
    },
    NotUpcast {
        at: At,
        from: u32,
        /// The version that it does not become.
        version: u32,
    },
    NotDowncast {
        event: &'static str,
        /// The version that it does not become.
        version: u32,
    },
    Retired {
        event: &'static str,
    },
    Unencodable {
        what: String,
    },
    InvalidId,
    Database {
        doing: Cow<'static, str>,
    },
    FutureDatabase {
        found: i64,
        known: i64,
    },
    UnknownStore {
        url: String,
    },
    BrokenOrder {
        after: Position,
        found: Position,
    },
    OutOfRange {
        what: String,
    },
    Building {
        projection: String,
        cursor: Position,
        head: Position,
    },
    ChangedColumns {
        projection: String,
        stored: String,
        declared: String,
    },
    Deadline {
        projection: String,
        wanted: Position,
        cursor: Position,
    },
    Stopped {
        worker: String,
        reason: String,
    },
    Unregistered {
        what: String,
    },
    NotPromotable {
        projection: String,
        why: String,
    },
    Duplicate {
        what: String,
    },
    Listen {
        address: String,
    },
    Feed {
        url: String,
        why: String,
    },
    Unprepared {
        consumer: String,
    },
    FeedRefused {
        url: String,
        why: String,
    },
    CursorAhead {
        stream: String,
        cursor: Position,
        head: Position,
    },
    UnfilledHole {
        stream: String,
        wanted: Position,
        found: Position,
    },
    Forked {
        stream: String,
        position: Position,
    },
    Handler {
        consumer: String,
        position: Position,
        attempts: u32,
    },
    UnknownIntegrationEvent {
        stream: String,
        position: Position,
        event_type: String,
    },
    BadEnvelope {
        stream: String,
        why: String,
    },
    WrongTransaction {
        wanted: &'static str,
    },
    Overloaded {
        queue: usize,
    },
    OtherLog {
        host: String,
        found: String,
        expected: String,
    },
    NoPrimary {
        why: String,
    },
    Discontinuous {
        why: String,
    },
    BadLine {
        file: String,
        line: u64,
        why: String,
    },
    Damaged {
        file: String,
        why: String,
    },
    OtherFile {
        file: String,
        position: Position,
    },
    File {
        doing: String,
    },
    NotContinuable {
        file: String,
        why: String,
    },
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, cause: None }))
    }

    pub(crate) fn caused_by(kind: Kind, cause: impl Into<Cause>) -> Self {
        Self(Box::new(Inner {
            kind,
            cause: Some(cause.into()),
        }))
    }

    /// A failure of the database, for those who write stores: `doing` says what was tried.
    pub fn database(
        doing: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::caused_by(
            Kind::Database {
                doing: doing.into(),
            },
            cause,
        )
    }

    /// The same error for another caller; of the cause, its text.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn copy(&self) -> Self {
        let kind = self.kind().clone();
        match &self.0.cause {
            Some(cause) => Self::caused_by(kind, cause.to_string()),
            None => Self::new(kind),
        }
    }

    /// The cause, if it is of this type.
    pub(crate) fn cause<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The stable code, `ES0101`. The book has a page for each.
    pub fn code(&self) -> &'static str {
        match self.kind() {
            Kind::Conflict { .. } => "ES0101",
            Kind::Rejected { .. } => "ES0102",
            Kind::UnknownEvent(_) => "ES0103",
            Kind::Undecodable(_) => "ES0104",
            Kind::NewerEvent { .. } => "ES0105",
            Kind::Unencodable { .. } => "ES0106",
            Kind::InvalidId => "ES0107",
            Kind::Database { .. } => "ES0110",
            Kind::FutureDatabase { .. } => "ES0111",
            Kind::UnknownStore { .. } => "ES0112",
            Kind::BrokenOrder { .. } => "ES0113",
            Kind::OutOfRange { .. } => "ES0114",
            Kind::WrongTransaction { .. } => "ES0115",
            Kind::Overloaded { .. } => "ES0116",
            Kind::OtherLog { .. } => "ES0117",
            Kind::NoPrimary { .. } => "ES0118",
            Kind::Building { .. } => "ES0120",
            Kind::ChangedColumns { .. } => "ES0121",
            Kind::Deadline { .. } => "ES0122",
            Kind::Stopped { .. } => "ES0123",
            Kind::Unregistered { .. } => "ES0124",
            Kind::NotPromotable { .. } => "ES0125",
            Kind::Duplicate { .. } => "ES0126",
            Kind::Listen { .. } => "ES0127",
            Kind::Feed { .. } => "ES0130",
            Kind::CursorAhead { .. } => "ES0131",
            Kind::UnfilledHole { .. } => "ES0132",
            Kind::Forked { .. } => "ES0133",
            Kind::Handler { .. } => "ES0134",
            Kind::UnknownIntegrationEvent { .. } => "ES0135",
            Kind::BadEnvelope { .. } => "ES0136",
            Kind::Unprepared { .. } => "ES0138",
            Kind::FeedRefused { .. } => "ES0137",
            Kind::Discontinuous { .. } => "ES0140",
            Kind::BadLine { .. } => "ES0141",
            Kind::Damaged { .. } => "ES0142",
            Kind::OtherFile { .. } => "ES0143",
            Kind::File { .. } => "ES0144",
            Kind::NotContinuable { .. } => "ES0145",
            Kind::Retired { .. } => "ES0146",
            Kind::NotUpcast { .. } => "ES0147",
            Kind::NotDowncast { .. } => "ES0149",
        }
    }

    /// Somebody else changed the stream meanwhile; [`conflict`](Self::conflict) has the versions.
    pub fn is_conflict(&self) -> bool {
        self.conflict().is_some()
    }

    /// The version that was expected and the one that was found.
    pub fn conflict(&self) -> Option<(u64, u64)> {
        match self.kind() {
            Kind::Conflict {
                expected, found, ..
            } => Some((*expected, *found)),
            _ => None,
        }
    }

    /// The aggregate said no; [`rejection`](Self::rejection) has its reason.
    pub fn is_rejected(&self) -> bool {
        matches!(self.kind(), Kind::Rejected { .. })
    }

    /// The aggregate's own reason for its no.
    pub fn rejection<R: StdError + 'static>(&self) -> Option<&R> {
        if self.is_rejected() {
            self.cause()
        } else {
            None
        }
    }

    /// The database or the network failed, or has too much to do: trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Database { .. }
                | Kind::Feed { .. }
                | Kind::Overloaded { .. }
                | Kind::NoPrimary { .. }
        )
    }

    /// More appends wait than the store takes: this one was refused at once, and nothing was
    /// written. It is [transient](Self::is_transient), too.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind(), Kind::Overloaded { .. })
    }

    /// The read model or stream is still being built: its rows are not complete yet.
    pub fn is_building(&self) -> bool {
        matches!(self.kind(), Kind::Building { .. })
    }

    /// What was waited for did not come in time.
    pub fn is_deadline(&self) -> bool {
        matches!(self.kind(), Kind::Deadline { .. })
    }

    /// A stored event cannot be read by this binary: nothing was skipped.
    pub fn is_unreadable(&self) -> bool {
        matches!(
            self.kind(),
            Kind::UnknownEvent(_)
                | Kind::Undecodable(_)
                | Kind::NewerEvent { .. }
                | Kind::NotUpcast { .. }
        )
    }

    /// A projection, stream or consumer that has stopped, with its reason.
    pub fn is_stopped(&self) -> bool {
        matches!(self.kind(), Kind::Stopped { .. })
    }
}

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
                "the payload of `{}` does not decode, at version {} of `{}`: give the changed field a default",
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
            Self::NotPromotable { projection, why } => {
                write!(f, "`{projection}` cannot become the live version: {why}")
            }
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
                position,
                attempts,
            } => write!(
                f,
                "the handler of `{consumer}` failed {attempts} times at position {position}: nothing was skipped, it continues there when it is started again"
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
        }
    }
}

/// The sentence, the cause and the code.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)?;
        if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        write!(f, " [{}]", self.code())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The cause stands in the text already, so `source` is what lies behind the cause.
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref()?.source()
    }
}

impl From<crate::event::InvalidId> for Error {
    fn from(error: crate::event::InvalidId) -> Self {
        Self::caused_by(Kind::InvalidId, error)
    }
}
