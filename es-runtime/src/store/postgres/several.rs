//! Several streams in one statement, each from a version of its own.

use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;

use super::event_row::bare_event_of;
use super::failed;
use super::loads::{DOING, Load};
use super::log::get;
use super::types::{limit as rows_limit, unsigned};
use crate::error::{Error, Result};
use crate::event::{StoredEventRef, StoredEvents};
use crate::runtime::without;
use crate::store::{PAGE_BYTES, StreamPage};

/// Each as [`BARE`](super::log::BARE) has it, with the number of its question. One is read
/// after the other, as nothing else can be made of it; to sort them would cost as much again.
pub(super) const SEVERAL: &str = "
    SELECT position, version, type, schema_version * 4294967296 + min_reader, command_id, payload, n
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY q (stream, after, most, n)
    CROSS JOIN LATERAL (
      SELECT position, version, type, schema_version, min_reader, command_id, payload
      FROM es.event e WHERE e.stream = q.stream AND e.version > q.after
      ORDER BY e.version LIMIT q.most) found";

/// A page for each load, in their order; fewer where they are too much for one answer.
pub(super) async fn streams(
    connection: &mut PgConnection,
    loads: &[Load],
) -> Result<Vec<StreamPage>> {
    let names: Vec<_> = loads.iter().map(|load| load.stream.as_str()).collect();
    let after = |load: &Load| i64::try_from(load.after).unwrap_or(i64::MAX);
    let most = |load: &Load| rows_limit(load.limit.saturating_add(1));
    let mut rows = sqlx::query(SEVERAL)
        .bind(&names)
        .bind(loads.iter().map(after).collect::<Vec<_>>())
        .bind(loads.iter().map(most).collect::<Vec<_>>())
        .fetch(connection);
    let mut answer = Answer::new(loads.iter().map(|load| load.limit).collect());
    while let Some(row) = rows.try_next().await.map_err(failed(DOING))? {
        let n: usize = unsigned("n", get::<i64>(&row, 6)?)?;
        let name = n.checked_sub(1).and_then(|n| names.get(n));
        let name = name.ok_or_else(out_of_order)?;
        answer.push(n - 1, bare_event_of(&row, name)?)?;
        if answer.is_full() {
            // The page at hand may lack events, which only the whole of it would tell.
            return Ok(answer.pages);
        }
    }
    Ok(answer.end())
}

fn out_of_order() -> Error {
    Error::database(DOING, "streams came out of their order")
}

/// Rows on their way to pages. Only in the order of the questions does one page end where the next one
/// begins.
struct Answer {
    limits: Vec<usize>,
    pages: Vec<StreamPage>,
    /// Of the page at hand.
    events: StoredEvents,
    /// In the pages before it.
    bytes: usize,
}

impl Answer {
    fn new(limits: Vec<usize>) -> Self {
        Self {
            pages: Vec::with_capacity(limits.len()),
            limits,
            events: StoredEvents::new(),
            bytes: 0,
        }
    }

    /// Takes the next row, of the question with this index.
    fn push(&mut self, index: usize, event: StoredEventRef<'_>) -> Result<()> {
        while self.pages.len() < index {
            self.turn();
        }
        let last = self.events.last().map_or(0, |last| last.version);
        let follows = self.pages.len() == index && event.version > last;
        if !follows && !without("streams come in the order of their questions") {
            return Err(out_of_order());
        }
        self.events.push(event);
        Ok(())
    }

    /// Ends the page at hand.
    fn turn(&mut self) {
        let events = std::mem::take(&mut self.events);
        self.bytes += events.bytes();
        let limit = self.limits[self.pages.len()];
        self.pages.push(StreamPage::cut(events, limit, false));
    }

    fn is_full(&self) -> bool {
        self.bytes + self.events.bytes() >= PAGE_BYTES
    }

    fn end(mut self) -> Vec<StreamPage> {
        while self.pages.len() < self.limits.len() {
            self.turn();
        }
        self.pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Position, Timestamp};

    fn event(version: u64) -> StoredEventRef<'static> {
        StoredEventRef {
            position: Position::new(version),
            stream: "account-a",
            version,
            event_type: "account.opened",
            schema_version: 1,
            min_reader: 1,
            command_id: None,
            payload: "{}",
            metadata: None,
            time: Timestamp::default(),
        }
    }

    fn answer(rows: &[(usize, u64)]) -> Result<Vec<(Vec<u64>, bool)>> {
        let mut answer = Answer::new(vec![2; 4]);
        for (index, version) in rows {
            answer.push(*index, event(*version))?;
        }
        let page = |page: &StreamPage| {
            let versions = page.events.iter().map(|event| event.version);
            (versions.collect(), page.more)
        };
        Ok(answer.end().iter().map(page).collect())
    }

    #[test]
    fn rows_become_pages_where_they_come_in_order() {
        let none = || (vec![], false);
        let rows = [(1, 1), (1, 2), (1, 3), (2, 7)];
        let pages = answer(&rows).unwrap();
        assert_eq!(
            pages,
            [none(), (vec![1, 2], true), (vec![7], false), none()]
        );
        assert_eq!(answer(&[]).unwrap(), [none(), none(), none(), none()]);
    }

    #[test]
    fn rows_out_of_order_are_nobodys_page() {
        for rows in [
            [(0, 1), (1, 1), (0, 2)],
            [(0, 1), (0, 3), (0, 2)],
            [(0, 1), (0, 2), (0, 2)],
        ] {
            let error = answer(&rows).unwrap_err().to_string();
            assert!(error.contains("out of their order"), "{error}");
        }
    }
}
