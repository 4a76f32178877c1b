//! A lone append of one event: scalars in, its position out. It costs the server half of what the call
//! for many does.

use sqlx::postgres::PgConnection;
use sqlx::raw_sql;
use uuid::Uuid;

use super::types::{Json, Moment, position, signed};
use crate::error::Result;
use crate::store::{Append, Appended, NewEvent, Outcome, known_instances};

const APPEND_ONE: &str = "SELECT es.append_one_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// The call's plans are made once and kept: made while the tables are small, they must still be right
/// when these have grown.
const SESSION: &str = "SET enable_seqscan = off";

/// Makes a session one that appends so.
pub(super) async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
    raw_sql(SESSION).execute(connection).await.map(drop)
}

/// An append as the call takes it.
pub(super) struct One<'a> {
    append: &'a Append,
    event: &'a NewEvent,
    expected: i64,
    slice: i16,
    schema_version: i32,
    min_reader: i32,
    known_instances: Option<i64>,
}

impl<'a> One<'a> {
    /// Nothing where the call for many has to say what is wrong with it, or has more to keep.
    pub(super) fn of(batch: &'a [Append]) -> Option<Self> {
        let [append] = batch else { return None };
        let [event] = &append.events[..] else {
            return None;
        };
        let known = known_instances(batch).map(|known| signed("instance", known));
        let one = Self {
            append,
            event,
            expected: signed("version", append.expected).ok()?,
            slice: signed("slice", append.stream.slice()).ok()?,
            schema_version: signed("schema version", event.schema_version).ok()?,
            min_reader: signed("schema version", event.min_reader).ok()?,
            known_instances: known.transpose().ok()?,
        };
        (!append.is_kept()).then_some(one)
    }

    /// Nothing where the stream is not at the expected version, whyever.
    pub(super) async fn call(
        &self,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Option<Result<Appended>>> {
        let Self { append, event, .. } = self;
        let call = sqlx::query_scalar(APPEND_ONE)
            .bind(append.stream.as_str())
            .bind(self.expected)
            .bind(Uuid::from_u128(append.command_id.as_u128()))
            .bind(self.slice)
            .bind(event.event_type)
            .bind(self.schema_version)
            .bind(self.min_reader)
            .bind(Json(&event.payload))
            .bind(append.metadata.as_deref().map(Json))
            .bind(Moment(append.time))
            .bind(self.known_instances);
        let appended: Option<i64> = call.fetch_one(connection).await?;
        let new = |first| Outcome {
            first,
            count: 1,
            version: append.expected + 1,
        };
        Ok(appended.map(|first| Ok(Appended::New(new(position(first)?)))))
    }
}
