//! What a snapshot depends on, in 16 bytes. Snapshots of another fingerprint are never used.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Aggregate;
use super::outline::outline;
use crate::event::Event;

/// Raised when the runtime itself makes other snapshots of the same states.
const FORMAT: &str = "1";

/// Stands for all that a snapshot of an aggregate depends on, as far as it can be seen: the
/// aggregate's name and [`SHAPE`](Aggregate::SHAPE); the names and versions of its events; the
/// state before the first event; and the fields, their types and the variants that serde meets in
/// the state, also inside of nested types.
///
/// What no program can see, the meaning of the code in `on_…` methods, is told by
/// `#[aggregate(snapshot = 2)]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of an aggregate in this binary.
    ///
    /// # Errors
    /// When the state before the first event cannot be written as JSON.
    pub fn of<A: Aggregate + Serialize + DeserializeOwned>() -> Result<Self, serde_json::Error> {
        let mut first = serde_json::to_value(A::default())?;
        first.sort_all_objects();
        let first = first.to_string();
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // Length first, so that no two lists of texts are one.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        for text in [FORMAT, A::NAME, A::SHAPE, type_arguments::<A>(), &first] {
            add(text);
        }
        for event in A::Event::TYPES {
            let (version, reader) = (event.version, event.min_reader);
            add(&format!("{} {version} {reader}", event.name));
            event.was.iter().for_each(|was| add(was));
        }
        let history = A::Event::HISTORY;
        history.merged.iter().for_each(|merged| add(merged.name));
        history.gone.iter().for_each(|gone| add(gone.name));
        add(&outline::<A>());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Ok(Self(bytes))
    }

    /// The fingerprint with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a generic aggregate is made of: its shape speaks of the parameters alone.
fn type_arguments<A>() -> &'static str {
    let name = std::any::type_name::<A>();
    name.find('<').map_or("", |start| &name[start..])
}

/// In hex.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
