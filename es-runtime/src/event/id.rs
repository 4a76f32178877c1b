use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A place in a global or an integration order: dense, from 1. [`Position::START`] stands before
/// the first event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event: the cursor of a reader that has seen nothing.
    pub const START: Self = Self(0);

    /// The `n`-th place, counted from 1.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place `n` further on.
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0 + n)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a stream, `{aggregate}-{id}`: the events of one aggregate.
///
/// An aggregate's name holds no `-`, so that the first one separates; the id may hold anything
/// but control characters.
///
/// ```
/// use es_runtime::event::StreamId;
/// let stream = StreamId::new("account", "alice-2")?;
/// assert_eq!((stream.aggregate(), stream.id(), stream.as_str()), ("account", "alice-2", "account-alice-2"));
/// # Ok::<(), es_runtime::event::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamId {
    text: String,
    dash: usize,
}

/// Slices that the streams of a log are spread over.
pub const SLICES: u16 = 1024;

/// The longest stream name, in bytes: it is a key in every index.
const MAX_STREAM: usize = 512;

impl StreamId {
    /// The stream of the aggregate `aggregate` with the id `id`.
    ///
    /// # Errors
    /// [`InvalidId`] when the name or the id is empty, holds control characters or is too long.
    pub fn new(aggregate: &str, id: impl fmt::Display) -> Result<Self, InvalidId> {
        format!("{aggregate}-{id}").parse()
    }

    /// The aggregate's name.
    pub fn aggregate(&self) -> &str {
        &self.text[..self.dash]
    }

    /// The aggregate's id, as text.
    pub fn id(&self) -> &str {
        &self.text[self.dash + 1..]
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The top ten bits of the name's SHA-256: which of 1,024 slices the stream belongs to.
    pub fn slice(&self) -> u16 {
        slice_of(&self.text)
    }
}

/// The top ten bits of the text's SHA-256.
pub(crate) fn slice_of(text: &str) -> u16 {
    let digest = Sha256::digest(text.as_bytes());
    u16::from_be_bytes([digest[0], digest[1]]) >> 6
}

// Equal, ordered and hashed as its text, by which maps may then be asked.

impl Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl PartialEq for StreamId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StreamId {}

impl PartialOrd for StreamId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for StreamId {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.text.hash(hasher);
    }
}

impl FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| {
            Err(InvalidId {
                text: text.to_owned(),
                why,
            })
        };
        let Some(dash) = text.find('-') else {
            return invalid("a stream is named `{aggregate}-{id}`");
        };
        if dash == 0 || dash + 1 == text.len() {
            return invalid("neither the aggregate's name nor the id may be empty");
        }
        // Beyond ASCII the check is slower, and rarely needed.
        let control = |byte: u8| byte.is_ascii_control();
        if text.bytes().any(control) || (!text.is_ascii() && text.chars().any(char::is_control)) {
            return invalid("an id holds no control characters");
        }
        if text.len() > MAX_STREAM {
            return invalid("a stream's name is at most 512 bytes long");
        }
        Ok(Self {
            text: text.to_owned(),
            dash,
        })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// A text that names no stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    text: String,
    why: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot name a stream: {}",
            self.text.escape_debug(),
            self.why
        )
    }
}

impl std::error::Error for InvalidId {}

/// Names one request to change one stream. The same id twice is one command: the second answer is
/// the first outcome.
///
/// Take it from the input, so that a repeated input repeats the id:
///
/// ```
/// use es_runtime::event::CommandId;
/// assert_eq!(CommandId::of("payments.csv:17"), CommandId::of("payments.csv:17"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(Uuid);

impl CommandId {
    /// The id that `input` always gets: derived from its SHA-256.
    pub fn of(input: impl AsRef<[u8]>) -> Self {
        Self(name_based(&[input.as_ref()]))
    }

    /// As [`of`](Self::of), and its command is never forgotten, whatever
    /// [`forget_commands_after`](crate::Builder::forget_commands_after) says: for inputs that may come
    /// again after any time.
    ///
    /// It begins with the letters `kept`, 6b657074 in hex, by which stores know it.
    pub fn kept(input: impl AsRef<[u8]>) -> Self {
        let id = name_based(&[b"kept", input.as_ref()]).as_u128();
        Self(Uuid::from_u128(id & !KEPT_MASK | KEPT))
    }

    /// Whether its command is never forgotten.
    pub const fn is_kept(self) -> bool {
        self.0.as_u128() & KEPT_MASK == KEPT
    }

    /// The first and the last id whose commands are never forgotten.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) const KEPT: (Self, Self) = (
        Self(Uuid::from_u128(KEPT)),
        Self(Uuid::from_u128(KEPT | !KEPT_MASK)),
    );

    /// An id that nobody else has.
    #[cfg(feature = "runtime")]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// An id that the caller received, for example in a request's header.
    pub const fn from_u128(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }

    /// The id as a number.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

/// What the ids begin with whose commands are never forgotten, and where it stands.
const KEPT: u128 = 0x6b65_7074 << 96;
const KEPT_MASK: u128 = 0xffff_ffff << 96;

/// The hyphenated form of a UUID.
impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CommandId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidId {
            text: text.to_owned(),
            why: "a command id is a UUID",
        })
    }
}

/// Which life of which log this is: a restore from a backup changes it, so that a cursor of
/// another life is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIdentity(Uuid);

impl LogIdentity {
    /// A new log's identity.
    #[cfg(feature = "runtime")]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// An identity as stored.
    pub const fn from_u128(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }

    /// The identity as a number.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id of the event at `position` of this log.
    pub fn event_id(self, position: Position) -> EventId {
        EventId(name_based(&[
            self.0.as_bytes(),
            &position.get().to_be_bytes(),
        ]))
    }

    /// The idempotency key of a reaction: that of a read model to what happened to a key at a
    /// position, with the part of the event and a number.
    pub(crate) fn idempotency_key(
        self,
        projection: &str,
        key: &str,
        (position, part, number): (Position, u32, u32),
    ) -> IdempotencyKey {
        // With their lengths, so that no two differ in where one ends alone.
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        IdempotencyKey(name_based(&[
            b"reaction",
            self.0.as_bytes(),
            &length(projection),
            projection.as_bytes(),
            &length(key),
            key.as_bytes(),
            &position.get().to_be_bytes(),
            &part.to_be_bytes(),
            &number.to_be_bytes(),
        ]))
    }
}

impl fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one event for ever. Derived from the log's identity and the position: it needs no column
/// and cannot collide within a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id as a number.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What all attempts at one reaction have in common, and nothing else has: hand it to whoever does
/// the work, so that a repeated attempt does nothing twice.
///
/// Derived from the log's identity, the read model's name, the key, and the place of the event: the
/// same for every version of the read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(Uuid);

impl IdempotencyKey {
    /// The key as a number.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

/// The hyphenated form of a UUID.
impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A reaction that is a command happens once: its attempts are one command.
impl From<IdempotencyKey> for CommandId {
    fn from(key: IdempotencyKey) -> Self {
        Self(key.0)
    }
}

/// A version 8 UUID (RFC 9562) from the SHA-256 of `parts`.
fn name_based(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregates_name_ends_at_the_first_dash() {
        let stream: StreamId = "account-a-b".parse().unwrap();
        assert_eq!((stream.aggregate(), stream.id()), ("account", "a-b"));
    }

    #[test]
    fn what_names_no_stream_is_refused_with_the_reason() {
        for text in [
            "",
            "account",
            "account-",
            "-alice",
            "account-a\nb",
            &"a-".repeat(300),
        ] {
            let error = text.parse::<StreamId>().unwrap_err().to_string();
            assert!(error.contains("cannot name a stream: "), "{error}");
        }
    }

    #[test]
    fn attempts_have_one_key_and_other_reactions_another() {
        let log = LogIdentity::from_u128(7);
        let key =
            |name, key, at, part, n| log.idempotency_key(name, key, (Position::new(at), part, n));
        let one = key("balances", "alice", 5, 0, 0);
        // Frozen: whoever remembers it outside must meet it again.
        assert_eq!(one.to_string(), "ca33bdb5-c617-8e41-8385-de8ae75d1cde");
        let others = [
            key("balance", "salice", 5, 0, 0),
            key("balances", "bob", 5, 0, 0),
            key("balances", "alice", 6, 0, 0),
            key("balances", "alice", 5, 1, 0),
            key("balances", "alice", 5, 0, 1),
            LogIdentity::from_u128(8).idempotency_key(
                "balances",
                "alice",
                (Position::new(5), 0, 0),
            ),
        ];
        assert!(!others.contains(&one));
    }

    #[test]
    fn a_command_that_is_kept_shows_it() {
        let kept = CommandId::kept("payments:17");
        // Frozen: a message must meet it again, in every release.
        assert_eq!(kept.to_string(), "6b657074-8f86-8e38-8a59-185a6a8ec608");
        assert!(kept.is_kept() && !CommandId::of("payments:17").is_kept());
        assert_ne!(kept, CommandId::kept("payments:18"));
    }

    #[test]
    fn slices_are_stable_and_spread() {
        let slice = |n: u32| StreamId::new("account", n).unwrap().slice();
        assert_eq!(slice(1), slice(1));
        let mut seen: Vec<_> = (0..5000).map(slice).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 900 && seen.iter().all(|s| *s < 1024));
    }
}
