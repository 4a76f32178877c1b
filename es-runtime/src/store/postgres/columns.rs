//! A batch of appends as arrays, one for each column.

use uuid::Uuid;

use super::types::{Json, Moment, signed};
use crate::error::Result;
use crate::store::{Append, known_instances};

/// A batch as the call takes it: one array per column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) stream: Vec<&'a str>,
    pub(super) expected: Vec<i64>,
    pub(super) command: Vec<Uuid>,
    /// Nothing where no command is kept.
    pub(super) kept: Option<Vec<bool>>,
    pub(super) count: Vec<i32>,
    pub(super) offset: Vec<i64>,
    pub(super) at: Vec<Moment>,
    pub(super) correlation: Vec<Option<&'a str>>,
    /// Nothing where each append has one event, to which the others say it all.
    pub(super) own: Option<Own<'a>>,
    pub(super) events: Events<'a>,
    pub(super) known_instances: Option<i64>,
}

/// What the rows of a batch's events say of their appends.
#[derive(Default)]
pub(super) struct Own<'a> {
    pub(super) append: Vec<i32>,
    pub(super) stream: Vec<&'a str>,
    pub(super) version: Vec<i64>,
    pub(super) command: Vec<Uuid>,
    pub(super) at: Vec<Moment>,
}

/// The rest of the rows of a batch's events, without their positions.
#[derive(Default)]
pub(super) struct Events<'a> {
    pub(super) slice: Vec<i16>,
    pub(super) event_type: Vec<&'a str>,
    pub(super) schema_version: Vec<i32>,
    pub(super) min_reader: Vec<i32>,
    pub(super) payload: Vec<Json<'a>>,
    pub(super) metadata: Vec<Option<Json<'a>>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a [Append]) -> Result<Self> {
        let known = known_instances(batch).map(|known| signed("instance", known));
        let mut columns = Self {
            known_instances: known.transpose()?,
            ..Self::default()
        };
        if batch.iter().any(|append| append.events.len() != 1) {
            columns.own = Some(Own::default());
        }
        if batch.iter().any(Append::is_kept) {
            columns.kept = Some(batch.iter().map(Append::is_kept).collect());
        }
        for (append, ordinal) in batch.iter().zip(1..) {
            let command = Uuid::from_u128(append.command_id.as_u128());
            let expected = signed("version", append.expected)?;
            let offset = signed("events", columns.events.payload.len())?;
            columns.stream.push(append.stream.as_str());
            columns.expected.push(expected);
            columns.command.push(command);
            columns.count.push(signed("events", append.events.len())?);
            columns.offset.push(offset);
            columns.at.push(Moment(append.time));
            columns.correlation.push(append.correlation.as_deref());
            let slice = signed("slice", append.stream.slice())?;
            for (event, version) in append.events.iter().zip(expected + 1..) {
                if let Some(own) = &mut columns.own {
                    own.append.push(ordinal);
                    own.stream.push(append.stream.as_str());
                    own.version.push(version);
                    own.command.push(command);
                    own.at.push(Moment(append.time));
                }
                let rows = &mut columns.events;
                rows.slice.push(slice);
                rows.event_type.push(event.event_type);
                let number = |version| signed("schema version", version);
                rows.schema_version.push(number(event.schema_version)?);
                rows.min_reader.push(number(event.min_reader)?);
                rows.payload.push(Json(&event.payload));
                rows.metadata.push(append.metadata.as_deref().map(Json));
            }
        }
        Ok(columns)
    }
}
