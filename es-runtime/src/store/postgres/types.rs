//! Numbers and moments as PostgreSQL keeps them.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};

use crate::error::{Error, Kind, Result};
use crate::event::{Position, Timestamp};

/// A `timestamptz`: microseconds since 2000-01-01T00:00:00Z on the wire, without loss.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

/// 2000-01-01T00:00:00Z in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("TIMESTAMPTZ")
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_TIMESTAMPTZ")
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
        let micros = <i64 as Decode<Postgres>>::decode(value)?.checked_add(EPOCH);
        Ok(Self(Timestamp::from_micros(
            micros.ok_or("the time is too late")?,
        )))
    }
}

/// A text that is JSON: sent as it is, and looked through by the server once.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(pub(super) &'a str);

impl Type<Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("JSON")
    }
}

impl PgHasArrayType for Json<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_JSON")
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
