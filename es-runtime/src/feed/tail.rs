//! Tells those who wait when a stream has news: however many wait, the store is asked once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::event::Position;
use crate::runtime::Stop;
use crate::store::{EventStore, Phase, PublishedQuery, Store, StreamVersion};

/// How long after the store has failed it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What is news: where the stream ends, and in which phase it is.
type State = (Position, Option<Phase>);

/// The ends of the streams, for as long as somebody waits for them to move.
#[derive(Debug)]
pub(super) struct Tails(BTreeMap<StreamVersion, Tail>);

#[derive(Debug, Default)]
struct Tail {
    state: watch::Sender<State>,
    wanted: Notify,
}

impl Tails {
    pub(super) fn new(streams: impl IntoIterator<Item = StreamVersion>) -> Self {
        let tails = streams.into_iter().map(|stream| (stream, Tail::default()));
        Self(tails.collect())
    }

    /// Hears of all that becomes of the stream after this call. Nothing for one that is not served.
    pub(super) fn follow(&self, stream: &StreamVersion) -> Option<watch::Receiver<State>> {
        let tail = self.0.get(stream)?;
        let news = tail.state.subscribe();
        tail.wanted.notify_one();
        Some(news)
    }

    /// Looks after one stream until `stop` says so.
    pub(super) async fn look_after(&self, stream: &StreamVersion, store: &Store, mut stop: Stop) {
        let Some(tail) = self.0.get(stream) else {
            return;
        };
        let question = PublishedQuery::after(stream, Position::START).limit(0);
        while !stop.is_asked() {
            if tail.state.receiver_count() == 0 {
                tokio::select! {
                    () = tail.wanted.notified() => {}
                    () = stop.asked() => {}
                }
                continue;
            }
            let asked = store.query_published(&question).await;
            if let Ok(page) = &asked {
                let state = (page.head, page.life.map(|life| life.phase));
                let send = |known: &mut State| std::mem::replace(known, state) != state;
                tail.state.send_if_modified(send);
            }
            let more = async {
                match &asked {
                    Ok(page) => store.wait_for_published(stream, page.head).await,
                    // Those who wait ask for themselves in the end, and are told why.
                    Err(_) => sleep(PAUSE).await,
                }
            };
            tokio::select! {
                () = more => {}
                () = stop.asked() => {}
            }
        }
    }
}
