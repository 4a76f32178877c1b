use std::fmt;

use crate::event::Timestamp;
use crate::store::{ColumnKind, Value};

/// How a field's type is kept in a column: as a type that has a column, and back.
///
/// ```
/// use es_runtime::projection::{Column, OutOfRange};
///
/// struct Money(i64);
///
/// impl Column for Money {
///     type Stored = i64;
///     fn to_stored(&self) -> Result<i64, OutOfRange> { Ok(self.0) }
///     fn from_stored(stored: i64) -> Result<Self, OutOfRange> { Ok(Self(stored)) }
/// }
/// ```
///
/// The law: `from_stored(to_stored(x))` is `x`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no column type [ES0019]",
    label = "a read model's field is a column",
    note = "use `i64`, `f64`, `bool`, `String`, `Vec<u8>`, `Timestamp` or an `Option` of one, or write `impl Column for {Self}`"
)]
pub trait Column: Sized {
    /// The type that is kept.
    type Stored: Stored;

    /// The value to keep.
    ///
    /// # Errors
    /// [`OutOfRange`] when the column cannot hold it.
    fn to_stored(&self) -> Result<Self::Stored, OutOfRange>;

    /// The value that was kept.
    ///
    /// # Errors
    /// [`OutOfRange`] when this type never wrote such a value.
    fn from_stored(stored: Self::Stored) -> Result<Self, OutOfRange>;
}

/// A value that its column, or its field, cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    what: String,
}

impl OutOfRange {
    /// Says which value does not fit and why.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl std::error::Error for OutOfRange {}

/// The types that columns hold. Sealed: databases decide on them.
pub trait Stored: Sized + private::Sealed {
    /// The column's kind.
    const KIND: ColumnKind;
    /// Whether the column may be empty.
    const NULLABLE: bool = false;
    #[doc(hidden)]
    fn into_value(self) -> Value;
    #[doc(hidden)]
    fn from_value(value: Value) -> Result<Self, OutOfRange>;
}

mod private {
    pub trait Sealed {}
}

fn mismatch(wanted: &str, found: &Value) -> OutOfRange {
    OutOfRange::new(format!(
        "the column should hold {wanted}, but holds {found:?}"
    ))
}

macro_rules! stored {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl private::Sealed for $ty {}

        impl Stored for $ty {
            const KIND: ColumnKind = ColumnKind::$variant;

            fn into_value(self) -> Value {
                Value::$variant(self)
            }

            fn from_value(value: Value) -> Result<Self, OutOfRange> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(mismatch(stringify!($ty), &other)),
                }
            }
        }
    )*};
}

stored! { i64 => Integer, f64 => Real, bool => Boolean, String => Text, Vec<u8> => Bytes }

/// Types that are kept as they are.
macro_rules! itself {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            type Stored = Self;

            fn to_stored(&self) -> Result<Self, OutOfRange> {
                Ok(self.clone())
            }

            fn from_stored(stored: Self) -> Result<Self, OutOfRange> {
                Ok(stored)
            }
        }
    )*};
}

itself!(i64, bool, String, Vec<u8>);

/// What is not a number has no place in an order, and SQLite keeps it as nothing.
impl Column for f64 {
    type Stored = Self;

    fn to_stored(&self) -> Result<Self, OutOfRange> {
        match self.is_nan() {
            true => Err(OutOfRange::new("it is not a number")),
            false => Ok(*self),
        }
    }

    fn from_stored(stored: Self) -> Result<Self, OutOfRange> {
        Ok(stored)
    }
}

impl<T: Stored> private::Sealed for Option<T> {}

impl<T: Stored> Stored for Option<T> {
    const KIND: ColumnKind = T::KIND;
    const NULLABLE: bool = true;

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }

    fn from_value(value: Value) -> Result<Self, OutOfRange> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl<C: Column> Column for Option<C> {
    type Stored = Option<C::Stored>;

    fn to_stored(&self) -> Result<Self::Stored, OutOfRange> {
        self.as_ref().map(C::to_stored).transpose()
    }

    fn from_stored(stored: Self::Stored) -> Result<Self, OutOfRange> {
        stored.map(C::from_stored).transpose()
    }
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            type Stored = i64;

            fn to_stored(&self) -> Result<i64, OutOfRange> {
                (*self).try_into().map_err(|_| OutOfRange::new(format!("{self} is beyond an i64 column")))
            }

            fn from_stored(stored: i64) -> Result<Self, OutOfRange> {
                let beyond = || format!("{stored} is beyond {}", stringify!($ty));
                stored.try_into().map_err(|_| OutOfRange::new(beyond()))
            }
        }
    )*};
}

integers!(i8, i16, i32, u8, u16, u32, u64, usize);

impl Column for Timestamp {
    type Stored = i64;

    fn to_stored(&self) -> Result<i64, OutOfRange> {
        Ok(self.as_micros())
    }

    fn from_stored(stored: i64) -> Result<Self, OutOfRange> {
        Ok(Self::from_micros(stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<C: Column>(value: &C) -> C {
        C::from_stored(C::Stored::from_value(value.to_stored().unwrap().into_value()).unwrap())
            .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(there_and_back(&-5i32), -5);
        assert_eq!(there_and_back(&Some("a".to_owned())), Some("a".to_owned()));
        assert_eq!(there_and_back(&None::<u64>), None);
        assert_eq!(
            there_and_back(&Timestamp::from_micros(-1)),
            Timestamp::from_micros(-1)
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_not_a_guess() {
        assert!(u64::MAX.to_stored().is_err());
        assert!(f64::NAN.to_stored().is_err());
        assert!(u8::from_stored(256).is_err());
        assert!(bool::from_value(Value::Integer(1)).is_err());
    }
}
