//! The chain of proof: every event of an integration stream carries a running hash over all that
//! came before it, so that two numbers show whether two parties hold the same stream.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::event::Position;

/// The running hash of an integration stream at one position.
///
/// ```text
/// digest  = SHA-256(salt ‖ length of payload ‖ payload)
/// hash(n) = SHA-256(hash(n-1) ‖ n ‖ length of type ‖ type ‖ digest)
/// hash(0) = 32 zero bytes; numbers are 64 bits, big-endian; lengths count bytes
/// ```
///
/// The payload is hashed through a salted digest, so that a payload can be redacted and the chain
/// still proves the rest.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamHash([u8; 32]);

/// Sixteen random bytes in front of a payload, which keep a redacted payload from being guessed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Salt([u8; 16]);

impl StreamHash {
    /// The hash of a stream without events.
    pub const START: Self = Self([0; 32]);

    /// The hash after one more event.
    #[must_use]
    pub fn after(self, position: Position, event_type: &str, salt: Salt, payload: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(salt.0)
            .chain_update(length(payload))
            .chain_update(payload)
            .finalize();
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(position.get().to_be_bytes())
            .chain_update(length(event_type))
            .chain_update(event_type)
            .chain_update(digest);
        Self(hash.finalize().into())
    }
}

/// Salts that nobody can guess, made without asking for randomness each time: whoever knows some of
/// them knows none of the others.
#[cfg(feature = "runtime")]
pub(crate) struct Salts([u8; 32]);

#[cfg(feature = "runtime")]
impl Salts {
    /// For some events; forgotten after them.
    pub(crate) fn fresh() -> Self {
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let mut secret = [0; 32];
        for (half, random) in secret.chunks_exact_mut(16).zip(random) {
            half.copy_from_slice(random.as_bytes());
        }
        Self(secret)
    }

    pub(crate) fn at(&self, position: Position) -> Salt {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(position.get().to_be_bytes())
            .finalize();
        let mut salt = [0; 16];
        salt.copy_from_slice(&digest[..16]);
        Salt(salt)
    }
}

fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

/// A text that is not the hexadecimal form it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHex;

impl fmt::Display for InvalidHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected hexadecimal digits, 64 for a hash and 32 for a salt")
    }
}

impl std::error::Error for InvalidHex {}

/// Fixed-size bytes that are written in hexadecimal.
macro_rules! hexadecimal {
    ($name:ident, $len:literal) => {
        impl $name {
            /// These bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHex)?;
                Ok(Self(bytes))
            }
        }
    };
}

hexadecimal!(StreamHash, 32);
hexadecimal!(Salt, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_all_that_it_covers() {
        let salt = Salt::from_bytes([7; 16]);
        let at =
            |n, ty, salt, payload| StreamHash::START.after(Position::new(n), ty, salt, payload);
        let hash = at(1, "opened", salt, "{}");
        assert_eq!(hash, at(1, "opened", salt, "{}"));
        assert_ne!(hash, at(2, "opened", salt, "{}"));
        assert_ne!(hash, at(1, "closed", salt, "{}"));
        assert_ne!(hash, at(1, "opened", Salt::default(), "{}"));
        assert_ne!(hash, at(1, "opened", salt, "{ }"));
        assert_ne!(hash, hash.after(Position::new(1), "opened", salt, "{}"));
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[cfg(feature = "runtime")]
    #[test]
    fn no_two_salts_are_the_same() {
        let (one, other) = (Salts::fresh(), Salts::fresh());
        let at = |salts: &Salts, n| salts.at(Position::new(n));
        assert_eq!(at(&one, 1), at(&one, 1));
        assert_ne!(at(&one, 1), at(&one, 2));
        assert_ne!(at(&one, 1), at(&other, 1));
    }

    /// The chain is part of the contract: these bytes are for ever.
    #[test]
    fn the_chain_is_frozen() {
        let hash = StreamHash::START.after(Position::new(1), "a", Salt::from_bytes([0; 16]), "{}");
        assert_eq!(
            hash.to_string(),
            "74c65a0e0685f8066953a7c7594aac8cd629501bfbdbf5e9bead28f0570d46f9"
        );
    }
}
