//! Who reads: heard of with each request, and told to the store now and then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use tokio::time::sleep;

use super::Shared;
use super::headers::ES_CONSUMER;
use super::problem::Problem;
use crate::error::Result;
use crate::event::Position;
use crate::runtime::Stop;
use crate::store::{EventStore, ProjectionId, Reading, Store, StreamVersion};

/// How often it is told who reads.
const EVERY: Duration = Duration::from_secs(1);
/// The longest name.
const LONGEST: usize = 128;

/// The most readings of names that are kept until they are told: more are of no use to anybody.
const MOST: usize = 10_000;
/// By which way they read.
const VIA: &str = "feed";

/// Who read since it was told last.
#[derive(Default)]
pub(super) struct Readers(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    /// What somebody read who gave no name.
    nameless: BTreeSet<StreamVersion>,
    /// Where those with a name stand.
    named: HashMap<(String, StreamVersion), Position>,
}

/// The name that a request gives itself: the header `Es-Consumer`, or the parameter `consumer`.
pub(super) fn name_of(request: &Parts) -> Result<Option<String>, Problem> {
    let said = request.headers.get(ES_CONSUMER);
    let said = said.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let parameter = || {
        let mut parameters = form_urlencoded::parse(query);
        let (_, name) = parameters.find(|(parameter, _)| parameter == "consumer")?;
        Some(name.into_owned())
    };
    let Some(name) = said.or_else(parameter) else {
        return Ok(None);
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
        let detail = format!(
            "a consumer's name has letters, digits and `. _ : -`, at most {LONGEST} of them"
        );
        return Err(Problem::wrong("consumer", detail));
    }
    Ok(Some(name))
}

impl Readers {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody asked for what comes after a position.
    pub(super) fn note(&self, name: Option<&str>, stream: &StreamVersion, after: Position) {
        let Heard { nameless, named } = &mut *self.heard();
        let known = name.map(|name| (name.to_owned(), stream.clone()));
        match known {
            Some(key) if named.len() < MOST || named.contains_key(&key) => {
                named.insert(key, after);
            }
            // Of too many names at least this is known.
            _ if !nameless.contains(stream) => {
                nameless.insert(stream.clone());
            }
            _ => {}
        }
    }

    /// Tells the store all that was not told yet; `who` is this instance.
    pub(super) async fn tell(&self, store: &Store, who: &str) {
        let Heard { nameless, named } = std::mem::take(&mut *self.heard());
        let told = tell(store, who, &nameless, &named).await;
        let Err(error) = told else { return };
        tracing::warn!(%error, "nobody hears who reads the feed");
        let mut heard = self.heard();
        heard.nameless.extend(nameless);
        for (key, after) in named {
            // What was heard since is newer.
            heard.named.entry(key).or_insert(after);
        }
    }
}

async fn tell(
    store: &Store,
    who: &str,
    nameless: &BTreeSet<StreamVersion>,
    named: &HashMap<(String, StreamVersion), Position>,
) -> Result<()> {
    let reading = |((consumer, stream), position): (&(String, StreamVersion), &Position)| Reading {
        consumer: consumer.clone(),
        stream: stream.clone(),
        position: *position,
        hash: None,
        via: VIA.to_owned(),
    };
    let readings: Vec<_> = named.iter().map(reading).collect();
    if !readings.is_empty() {
        store.note_consumers(&readings).await?;
    }
    let read: Vec<ProjectionId> = nameless.iter().map(Into::into).collect();
    if !read.is_empty() {
        store.note_seen(who, &[], &read).await?;
    }
    Ok(())
}

/// Tells it again and again until `stop` says so.
pub(super) async fn run(shared: &Shared, mut stop: Stop) {
    while !stop.is_asked() {
        tokio::select! {
            () = sleep(EVERY) => {}
            () = stop.asked() => {}
        }
        shared
            .readers
            .tell(&shared.feed.store, &shared.feed.who)
            .await;
    }
}
