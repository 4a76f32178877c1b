//! The one error type: what went wrong, what to do about it, and a stable code with a page in the
//! book.

mod kind;
mod text;

pub(crate) use kind::{At, Kind};

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

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

    /// A failure of a message broker, for those who write transports: `doing` says what was tried. It
    /// is [transient](Self::is_transient).
    pub fn broker(
        doing: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let doing = doing.into();
        Self::caused_by(Kind::Broker { doing }, cause)
    }

    /// Another relay sends this route to the broker, for those who write transports.
    pub fn held(route: impl Into<String>) -> Self {
        let route = route.into();
        Self::new(Kind::Held { route })
    }

    /// Another relay sends what this one wants to send. It is [transient](Self::is_transient), too.
    pub fn is_held(&self) -> bool {
        matches!(self.kind(), Kind::Held { .. })
    }

    /// The same error for another caller; of the cause, its text.
    #[cfg(feature = "runtime")]
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
        self.kind().code()
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
                | Kind::NotServed { .. }
                | Kind::InsideEvent { .. }
                | Kind::NotCarried { .. }
                | Kind::Broker { .. }
                | Kind::Held { .. }
                | Kind::Overloaded { .. }
                | Kind::NoPrimary { .. }
                | Kind::Unapplied { .. }
                | Kind::OtherInstances
                | Kind::Locked { .. }
                | Kind::Handler { .. }
                | Kind::StillAhead { .. }
        )
    }

    /// More appends wait than the store takes: this one was refused at once, and nothing was
    /// written. It is [transient](Self::is_transient), too.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind(), Kind::Overloaded { .. })
    }

    /// An event that an older instance which still runs cannot read, in no version that it can be
    /// written in: nothing was written. The same command is accepted when that instance has ended.
    pub fn is_held_back(&self) -> bool {
        matches!(self.kind(), Kind::HeldBack { .. })
    }

    /// Another instance came since the versions were chosen.
    #[cfg(feature = "runtime")]
    pub(crate) fn is_outdated(&self) -> bool {
        matches!(self.kind(), Kind::OtherInstances)
    }

    /// The store only reads.
    #[cfg(feature = "runtime")]
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.kind(), Kind::ReadOnly { .. })
    }

    /// The read model or stream is still being built: its rows are not complete yet.
    pub fn is_building(&self) -> bool {
        matches!(self.kind(), Kind::Building { .. })
    }

    /// A row of a read model that holds what only one row may hold, and another one holds: the row
    /// that was refused, and the one that holds it.
    pub fn not_unique(&self) -> Option<(&str, &str)> {
        match self.kind() {
            Kind::NotUnique { key, holder, .. } => Some((key, holder)),
            _ => None,
        }
    }

    /// A row of a read model that holds what only one row may hold;
    /// [`not_unique`](Self::not_unique) has the rows.
    pub fn is_not_unique(&self) -> bool {
        self.not_unique().is_some()
    }

    /// A read model is too far behind for a read that adds what is missing.
    pub fn is_far_behind(&self) -> bool {
        matches!(self.kind(), Kind::FarBehind { .. })
    }

    /// The rules do not allow this change in the life of a projection version; the text has the
    /// reason, and nothing was changed.
    pub fn is_refused(&self) -> bool {
        matches!(self.kind(), Kind::LifeRefused { .. })
    }

    /// A key of a read model or of a consumer is set aside, since an event failed, and what was asked
    /// for lies behind it.
    pub fn is_parked(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Parked { .. } | Kind::ParkedInInbox { .. }
        )
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
