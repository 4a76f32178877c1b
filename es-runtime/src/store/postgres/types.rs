//! Numbers and moments as PostgreSQL keeps them.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::event::{Position, Timestamp};

// Types are named by their number, which is the same in every database: a name is looked up in each
// connection.

/// A `timestamptz`: microseconds since 2000-01-01T00:00:00Z on the wire, without loss.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

/// 2000-01-01T00:00:00Z in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

impl Moment {
    /// The time so many microseconds after the server's epoch.
    pub(super) fn read(micros: i64) -> Result<Timestamp, &'static str> {
        let micros = micros.checked_add(EPOCH);
        let micros = micros.ok_or("the time is too late")?;
        Ok(Timestamp::from_micros(micros))
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.as_micros().checked_sub(EPOCH);
        <i64 as Encode<Postgres>>::encode(micros.ok_or("the time is too early")?, buffer)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Self::read(micros)?))
    }
}

/// A text that is JSON: sent as it is, and looked through by the server once.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(pub(super) &'a str);

impl Type<Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl PgHasArrayType for Json<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(199))
    }
}

impl Encode<'_, Postgres> for Json<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<Postgres>>::encode(self.0, buffer)
    }
}

/// A stored number that must not be negative.
pub(super) fn unsigned<T, S>(column: &str, stored: S) -> Result<T>
where
    T: TryFrom<S>,
    S: std::fmt::Display + Copy,
{
    let what = || format!("{stored} in `{column}`");
    stored
        .try_into()
        .map_err(|_| Error::new(Kind::OutOfRange { what: what() }))
}

/// A number as the database keeps it.
pub(super) fn signed<T, N>(what: &str, number: N) -> Result<T>
where
    T: TryFrom<N>,
    N: std::fmt::Display + Copy,
{
    let what = || format!("{what} {number}");
    number
        .try_into()
        .map_err(|_| Error::new(Kind::OutOfRange { what: what() }))
}

pub(super) fn position(stored: i64) -> Result<Position> {
    unsigned("position", stored).map(Position::new)
}

pub(super) fn number(position: Position) -> Result<i64> {
    signed("position", position.get())
}

/// A number of rows, of which the database takes no more than an `i64`.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Rows in the binary format of `COPY`.
pub(super) struct CopyRows {
    bytes: Vec<u8>,
    columns: i16,
}

impl CopyRows {
    pub(super) fn new(columns: i16) -> Self {
        // The signature, no flags, no extension.
        let bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        Self { bytes, columns }
    }

    /// Begins a row; its columns follow in their order.
    pub(super) fn row(&mut self) {
        self.bytes.extend(self.columns.to_be_bytes());
    }

    fn fixed<const N: usize>(&mut self, value: [u8; N]) {
        const { assert!(N <= 16) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
        self.bytes.extend((N as i32).to_be_bytes());
        self.bytes.extend(value);
    }

    fn null(&mut self) {
        self.bytes.extend((-1_i32).to_be_bytes());
    }

    pub(super) fn smallint(&mut self, value: i16) {
        self.fixed(value.to_be_bytes());
    }

    pub(super) fn int(&mut self, value: i32) {
        self.fixed(value.to_be_bytes());
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.fixed(value.to_be_bytes());
    }

    pub(super) fn moment(&mut self, time: Timestamp) -> Result<()> {
        let micros = time.as_micros().checked_sub(EPOCH);
        let what = || Kind::OutOfRange {
            what: format!("the time {time}"),
        };
        self.bigint(micros.ok_or_else(|| Error::new(what()))?);
        Ok(())
    }

    pub(super) fn uuid(&mut self, id: Option<Uuid>) {
        match id {
            Some(id) => self.fixed(id.into_bytes()),
            None => self.null(),
        }
    }

    /// Also `json`, which is its own text.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        let length: i32 = signed("a text of bytes", text.len())?;
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(text.as_bytes());
        Ok(())
    }

    pub(super) fn nullable_text(&mut self, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => self.text(text),
            None => {
                self.null();
                Ok(())
            }
        }
    }

    /// Bytes of what was not taken yet.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What there is so far; more may follow.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The rest, with the mark of the end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend((-1_i16).to_be_bytes());
        self.bytes
    }
}
