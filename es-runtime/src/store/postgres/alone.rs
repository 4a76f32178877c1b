//! Appends of a process that was alone on the log for a while: it knows where the log ends, and one
//! statement appends there if nobody else did. All the rest is decided by the call.

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres, raw_sql};
use uuid::Uuid;

use super::columns::Columns;
use super::types::{Json, Moment, number, signed};
use crate::event::Position;
use crate::store::{Append, known_instances};

/// The statements' plans are made once and kept: made while the tables are small, they must still be
/// right when these have grown. Whoever raises the log's floor is refused while there is such a session.
const SESSION: &str = "
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off; SET enable_bitmapscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SELECT pg_advisory_lock_shared(1163084889, 5)";

/// Makes a session one that may append so.
pub(super) async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
    raw_sql(SESSION).execute(connection).await.map(drop)
}

/// One append of one event, in scalars. The next position is free only where nobody else has appended:
/// then this statement saw all of the log, and the stream ends at the version that it expects.
const ONE: &str = "
    INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                          command_id, payload, metadata, occurred_at)
    SELECT $1 + 1, $3, $4 + 1, $5, $6, $7, $8, $9, $10, $11, $12
    WHERE es.append_lock_1(NULL, $2)
      AND ($4 = 0 OR EXISTS (SELECT FROM es.event e WHERE e.stream = $3 AND e.version = $4))
    ON CONFLICT DO NOTHING";

/// Any appends, in arrays. The lock is taken where the log ends at the head, or not at all: what this
/// statement saw is all of the log, also the versions of the streams.
macro_rules! many {
    ($stream:literal, $version:literal) => {
        concat!(
            "INSERT INTO es.event (position, stream, version, slice, type, schema_version,
                                   min_reader, command_id, payload, metadata, occurred_at)
             SELECT $1 + generate_series(1, cardinality($5)), ",
            $stream,
            ", ",
            $version,
            ", unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10),
             unnest($11), unnest($12)
             WHERE es.append_lock_1($1, $2)
               AND $4 = ARRAY(
                 SELECT coalesce((SELECT e.version FROM es.event e WHERE e.stream = a.s
                                  ORDER BY e.version DESC LIMIT 1), 0)
                 FROM (SELECT unnest($3) AS s) a)"
        )
    };
}

/// Where each append has one event.
const SINGLE: &str = many!("unnest($3)", "unnest($4) + 1");
/// Where one has more, the events say themselves whose they are.
const SEVERAL: &str = many!("unnest($13)", "unnest($14)");

/// How many appends the log has to be this process's own before it counts on that: a statement that
/// finds somebody else's has cost half a call.
const ENOUGH: u32 = 8;

/// What a session knows of the log's end.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Of the last append of its own.
    last: Option<Position>,
    /// How many were its own until then, without a stranger's in between.
    own: u32,
}

impl End {
    /// The log's end, unless somebody else has probably moved it.
    pub(super) fn expected(&self) -> Option<Position> {
        self.last.filter(|_| self.own >= ENOUGH)
    }

    /// It was not there, or the appends did not fit.
    pub(super) fn was_wrong(&mut self) {
        self.own = 0;
    }

    /// This session has appended.
    pub(super) fn moved(&mut self, first: Position, last: Position) {
        let follows = self.last.is_some_and(|last| last.next() == first);
        self.own = if follows {
            self.own.saturating_add(1)
        } else {
            0
        };
        self.last = Some(last);
    }
}

/// Whether appends of this kind can be written so: the commands of others have rows of their own.
pub(super) fn may(batch: &[Append]) -> bool {
    !batch.iter().any(Append::is_kept)
}

/// Appends all of the batch behind the head, or nothing: where that is not the log's end, where a
/// stream is not as expected, and where the call has to say what is wrong with an append.
pub(super) async fn append(
    connection: &mut PgConnection,
    head: Position,
    batch: &[Append],
) -> sqlx::Result<bool> {
    let columns;
    let statement = match batch {
        [append] if append.events.len() == 1 => one(head, append),
        _ => {
            columns = Columns::of(batch);
            columns
                .as_ref()
                .ok()
                .and_then(|columns| many(head, columns))
        }
    };
    match statement {
        Some(statement) => Ok(statement.execute(connection).await?.rows_affected() > 0),
        None => Ok(false),
    }
}

type Statement<'a> = Query<'a, Postgres, PgArguments>;

fn one(head: Position, append: &Append) -> Option<Statement<'_>> {
    let event = append.events.first()?;
    let known = known_instances(std::slice::from_ref(append));
    let known = known.map(|known| signed::<i64, _>("instance", known));
    let statement = sqlx::query(ONE)
        .bind(number(head).ok()?)
        .bind(known.transpose().ok()?)
        .bind(append.stream.as_str())
        .bind(signed::<i64, _>("version", append.expected).ok()?)
        .bind(signed::<i16, _>("slice", append.stream.slice()).ok()?)
        .bind(event.event_type)
        .bind(signed::<i32, _>("schema version", event.schema_version).ok()?)
        .bind(signed::<i32, _>("schema version", event.min_reader).ok()?)
        .bind(Uuid::from_u128(append.command_id.as_u128()))
        .bind(Json(&event.payload))
        .bind(append.metadata.as_deref().map(Json))
        .bind(Moment(append.time));
    Some(statement)
}

fn many<'a>(head: Position, columns: &'a Columns<'_>) -> Option<Statement<'a>> {
    let (events, own) = (&columns.events, columns.own.as_ref());
    let text = if own.is_some() { SEVERAL } else { SINGLE };
    let statement = sqlx::query(text)
        .bind(number(head).ok()?)
        .bind(columns.known_instances)
        .bind(&columns.stream)
        .bind(&columns.expected)
        .bind(&events.slice)
        .bind(&events.event_type)
        .bind(&events.schema_version)
        .bind(&events.min_reader)
        .bind(own.map_or(&columns.command, |own| &own.command))
        .bind(&events.payload)
        .bind(&events.metadata)
        .bind(own.map_or(&columns.at, |own| &own.at));
    Some(match own {
        Some(own) => statement.bind(&own.stream).bind(&own.version),
        None => statement,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn an_end_is_expected_after_enough_of_ones_own() {
        let mut end = End::default();
        end.moved(at(5), at(6));
        for n in 0..u64::from(ENOUGH) {
            assert_eq!(end.expected(), None, "{end:?}");
            end.moved(at(7 + n), at(7 + n));
        }
        assert_eq!(end.expected(), Some(at(6 + u64::from(ENOUGH))));
        // And no more after a stranger's, or a disappointment.
        let mut wrong = std::mem::take(&mut end);
        wrong.was_wrong();
        assert_eq!(wrong.expected(), None);
        wrong.moved(at(7 + u64::from(ENOUGH)), at(20));
        assert_eq!(wrong.expected(), None);
        for n in 0..=u64::from(ENOUGH) {
            end.moved(at(1 + n), at(1 + n));
        }
        assert!(end.expected().is_some());
        end.moved(at(100), at(101));
        assert_eq!(end.expected(), None);
    }
}
