//! Notes, and a read model of them that fails where a test says so.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use es_runtime::prelude::*;
use es_runtime::projection::{Column, OutOfRange};
use es_runtime::{Receipt, Result, Service};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "notes", aggregate = Notes)]
pub(crate) enum Noted {
    Noted { what: String },
}

#[derive(Clone, Debug, Serialize, Command)]
#[command(aggregate = Notes)]
pub(crate) enum Note {
    Note { what: String },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "notes", event = Noted, command = Note, error = Infallible)]
pub(crate) struct Notes;

impl Notes {
    fn note(&self, what: String) -> std::result::Result<Noted, Infallible> {
        Ok(Noted::Noted { what })
    }

    fn on_noted(&mut self, _: &String) {}
}

/// Notes something, and answers where.
pub(crate) async fn note(notes: &Service, who: &str, what: &str) -> Result<Receipt> {
    let what = what.to_owned();
    notes.execute::<Notes>(who, Note::Note { what }).await
}

/// The notes whose fold fails.
static FAILING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(crate) fn fail(what: &str) {
    let mut failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
    failing.insert(what.to_owned());
}

pub(crate) fn heal(what: &str) {
    let mut failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
    failing.remove(what);
}

fn fails(what: &str) -> bool {
    let failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
    failing.contains(what)
}

/// Makes notes that are no other test's, and no other store's.
pub(crate) fn tag() -> impl Fn(&str) -> String {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    let test = TESTS.fetch_add(1, Ordering::Relaxed);
    move |what| format!("{test}:{what}")
}

/// Everything that was noted under a key, in order.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "pages", version = 1)]
pub(crate) struct Pages {
    pub(crate) trail: Fitting,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fitting(pub(crate) String);

impl Column for Fitting {
    type Stored = String;

    fn to_stored(&self) -> std::result::Result<String, OutOfRange> {
        match self.0.contains("does not fit") {
            true => Err(OutOfRange::new("it is too long")),
            false => Ok(self.0.clone()),
        }
    }

    fn from_stored(stored: String) -> std::result::Result<Self, OutOfRange> {
        Ok(Self(stored))
    }
}

impl Fold<Noted> for Pages {
    /// Notes `for` others stand on their page, too.
    fn keys(event: &Recorded<Noted>) -> impl IntoIterator<Item = String> {
        let Noted::Noted { what } = &event.data;
        let other = what.split_once(" for ").map(|(_, other)| other.to_owned());
        [event.id().to_owned()].into_iter().chain(other)
    }

    fn fold(row: Option<Self>, event: &Recorded<Noted>) -> Option<Self> {
        let Noted::Noted { what } = &event.data;
        let said = what.split_once(':').map_or(what.as_str(), |(_, said)| said);
        assert!(!fails(what), "{said} fails");
        let trail = row.map(|row| row.trail.0).unwrap_or_default();
        let trail = Fitting(format!("{trail}{said} "));
        Some(Self { trail })
    }
}

/// What was noted last under a key: nobody else may note it.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "names", version = 1)]
pub(crate) struct Names {
    #[projection(unique)]
    pub(crate) name: String,
}

impl Fold<Noted> for Names {
    fn fold(_: Option<Self>, event: &Recorded<Noted>) -> Option<Self> {
        let Noted::Noted { what } = &event.data;
        Some(Self { name: what.clone() })
    }
}
