//! Reading a stream for somebody: what they may be told now, and waiting for more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::asked::Question;
use super::places::Place;
use super::problem::Problem;
use crate::event::Position;
use crate::runtime::without;
use crate::store::{EventStore, Phase, PublishedPage};

/// How long a filter that finds nothing looks on before it answers how far it came.
const SEARCH: Duration = Duration::from_secs(1);

impl Shared {
    /// One page, and the room that it takes until somebody has it.
    pub(super) async fn look(&self, asked: &Question) -> Result<(PublishedPage, Place), Problem> {
        let place = self.places.answer().await?;
        let stream = &asked.query.stream;
        let page = self.feed.store.query_published(&asked.query).await?;
        match page.life.map_or(Phase::Building, |life| life.phase) {
            Phase::Building => return Err(Problem::building(stream)),
            // By a person, and not by the code.
            Phase::Retired => return Err(self.retired(stream)),
            Phase::Shadow | Phase::Live | Phase::Deprecated => {}
        }
        if asked.query.after > page.head && !without("a cursor beyond the head is refused") {
            return Err(Problem::cursor_ahead(stream, asked.cursor, page.head));
        }
        Ok((page, place))
    }

    /// The page that was asked for; waits for its first event if there is none yet.
    pub(super) async fn page(
        self: &Arc<Self>,
        reader: Option<&str>,
        mut asked: Question,
    ) -> Result<(PublishedPage, Place), Problem> {
        let start = Instant::now();
        let (deadline, search) = (start + asked.wait, start + SEARCH);
        let mut stop = self.stop.clone();
        let (mut news, mut seat) = (None, None);
        loop {
            // From here on nothing is missed.
            if !asked.wait.is_zero() {
                news = self.tails.follow(&asked.query.stream);
            }
            let (page, place) = self.look(&asked).await?;
            let is_all = page.seen >= page.head;
            let late = match is_all {
                true => Instant::now() >= deadline,
                false => Instant::now() >= search,
            };
            if !page.events.is_empty() || late || stop.is_asked() {
                return Ok((page, place));
            }
            asked.look_on(page.seen);
            let (true, Some(news)) = (is_all, &mut news) else {
                continue;
            };
            drop(place);
            if seat.is_none() {
                seat = Some(self.places.wait(reader)?);
            }
            tokio::select! {
                _ = news.changed() => {}
                () = sleep_until(deadline) => {}
                () = stop.asked() => {}
            }
        }
    }
}

impl Question {
    /// Goes on behind a position that was looked at.
    pub(super) fn look_on(&mut self, seen: Position) {
        self.query.after = seen;
        self.cursor = seen.get();
    }
}
