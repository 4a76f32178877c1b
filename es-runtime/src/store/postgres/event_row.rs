//! Rows of events, read from the bytes that the server sent: to have each value made by the driver
//! would be a tenth of a replay.

use std::error::Error as StdError;
use std::str::from_utf8;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::failed;
use super::log::DOING;
use super::types::{Moment, position, unsigned};
use crate::error::{Error, Result};
use crate::event::{CommandId, Position, StoredEventRef, Timestamp};

/// An event with all of its columns.
pub(super) fn event_of(row: &PgRow) -> Result<StoredEventRef<'_>> {
    let mut columns = Columns { row, read: 0 };
    let position = columns.position()?;
    let stream = columns.text()?;
    let event = columns.bare(position, stream)?;
    Ok(StoredEventRef {
        metadata: columns.nullable_text()?,
        time: columns.moment()?,
        ..event
    })
}

/// An event of the stream `name`, without what a fold does not ask for.
pub(super) fn bare_event_of<'r>(row: &'r PgRow, name: &'r str) -> Result<StoredEventRef<'r>> {
    let mut columns = Columns { row, read: 0 };
    let position = columns.position()?;
    columns.bare(position, name)
}

/// The columns of a row, one after the other, as the server sends them to a prepared statement.
struct Columns<'r> {
    row: &'r PgRow,
    read: usize,
}

impl<'r> Columns<'r> {
    fn bare(&mut self, position: Position, stream: &'r str) -> Result<StoredEventRef<'r>> {
        let version = unsigned("version", self.bigint()?)?;
        let event_type = self.text()?;
        let (schema_version, min_reader) = self.versions()?;
        Ok(StoredEventRef {
            position,
            stream,
            version,
            event_type,
            schema_version,
            min_reader,
            command_id: self.command()?,
            payload: self.text()?,
            metadata: None,
            time: Timestamp::default(),
        })
    }

    /// The next column's bytes; none where it is NULL.
    fn nullable(&mut self) -> Result<Option<&'r [u8]>> {
        let value = self.row.try_get_raw(self.read).map_err(failed(DOING))?;
        self.read += 1;
        Ok(value.as_bytes().ok())
    }

    fn bytes(&mut self) -> Result<&'r [u8]> {
        self.nullable()?.ok_or_else(|| self.broken("it is NULL"))
    }

    fn bigint(&mut self) -> Result<i64> {
        let bytes = self.bytes()?.try_into();
        let bytes = bytes.map_err(|why| self.broken(why))?;
        Ok(i64::from_be_bytes(bytes))
    }

    fn position(&mut self) -> Result<Position> {
        position(self.bigint()?)
    }

    /// Of the schema and of the oldest reader, in the two halves of a number.
    fn versions(&mut self) -> Result<(u32, u32)> {
        let both = self.bigint()?;
        let schema_version = unsigned("schema_version", both >> 32)?;
        Ok((schema_version, unsigned("min_reader", both & 0xffff_ffff)?))
    }

    fn moment(&mut self) -> Result<Timestamp> {
        let moment = Moment::read(self.bigint()?);
        moment.map_err(|why| self.broken(why))
    }

    fn command(&mut self) -> Result<Option<CommandId>> {
        let Some(bytes) = self.nullable()? else {
            return Ok(None);
        };
        let id = bytes.try_into().map_err(|why| self.broken(why))?;
        Ok(Some(CommandId::from_u128(u128::from_be_bytes(id))))
    }

    /// Also `json`, which is its own text.
    fn text(&mut self) -> Result<&'r str> {
        from_utf8(self.bytes()?).map_err(|why| self.broken(why))
    }

    fn nullable_text(&mut self) -> Result<Option<&'r str>> {
        let text = self.nullable()?.map(from_utf8).transpose();
        text.map_err(|why| self.broken(why))
    }

    /// What was read last is not what our tables hold.
    #[cold]
    fn broken(&self, why: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        let (index, source) = (self.read.to_string(), why.into());
        failed(DOING)(sqlx::Error::ColumnDecode { index, source })
    }
}
