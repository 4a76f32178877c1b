//! Functions of the user's over types, as functions over JSON: what the derive wraps them in.
//!
//! A function may fail or not, `fn(Old) -> New` or `fn(Old) -> Result<New, impl Display>`. The
//! marker types tell rustc which of the two it is; where the new type is known it finds them.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize, Serializer};

use super::payload::{Payload, Raw, raw};

/// How a field is read from JSON.
pub trait Read {
    type Of;
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self::Of, D::Error>;
}

/// How a field is written as JSON.
pub trait Write {
    type Of;
    fn write<S: Serializer>(value: &Self::Of, json: S) -> Result<S::Ok, S::Error>;
}

/// By the type's own impls of serde's traits.
pub struct Json<T>(PhantomData<T>);

impl<T: DeserializeOwned> Read for Json<T> {
    type Of = T;

    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
        T::deserialize(json)
    }
}

impl<T: Serialize> Write for Json<T> {
    type Of = T;

    fn write<S: Serializer>(value: &T, json: S) -> Result<S::Ok, S::Error> {
        value.serialize(json)
    }
}

struct Written<'v, W: Write>(&'v W::Of);

impl<W: Write> Serialize for Written<'_, W> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        W::write(self.0, json)
    }
}

fn read<R: Read>(value: Option<&Raw>) -> Result<R::Of, String> {
    let Some(value) = value.map(|raw| raw.get()) else {
        // What was optional may be missing.
        let absent = R::read(&mut serde_json::Deserializer::from_str("null"));
        return absent.map_err(|_| "the payload has no such field".to_owned());
    };
    R::read(&mut serde_json::Deserializer::from_str(value)).map_err(|error| error.to_string())
}

/// The value of an added field.
pub fn fill<W: Write>(value: W::Of) -> Result<Raw, String> {
    raw(&Written::<W>(&value))
}

/// A type whose default an added field takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default that older events could take [ES0035]",
    label = "this type does not implement `Default`",
    note = "say the value: `#[event(since = …, default = …)]`, or derive `Default`"
)]
pub trait HasDefault: Sized {
    fn value() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> HasDefault for T {
    fn value() -> Self {
        T::default()
    }
}

/// The fields that a step takes, in order.
pub trait Reads {
    type Of;
    fn read(values: &[Option<Raw>]) -> Result<Self::Of, String>;
}

/// The fields that a step gives, in order.
pub trait Writes {
    type Of;
    fn write(values: Self::Of) -> Result<Vec<Raw>, String>;
}

/// A function that cannot fail.
pub enum Plain {}
/// A function that answers a `Result`.
pub enum Fallible {}

/// A function from what was to what is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not turn what was into what is [ES0034]",
    label = "the types of this function are not those of the fields",
    note = "it takes one argument for each field that was, and answers the new value, several as a tuple, or a `Result` with it"
)]
pub trait Converts<How, From, To> {
    fn convert(&self, from: From) -> Result<To, String>;
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*)),* $(,)?) => {$(
        impl<$($name: Read),*> Reads for ($($name,)*) {
            type Of = ($($name::Of,)*);

            #[allow(unused_variables)]
            fn read(values: &[Option<Raw>]) -> Result<Self::Of, String> {
                Ok(($(read::<$name>(values.get($at).and_then(Option::as_ref))?,)*))
            }
        }

        impl<Function, $($name,)* To> Converts<Plain, ($($name,)*), To> for Function
        where
            Function: Fn($($name),*) -> To,
        {
            fn convert(&self, from: ($($name,)*)) -> Result<To, String> {
                let ($($name,)*) = from;
                Ok(self($($name),*))
            }
        }

        impl<Function, $($name,)* To, Error> Converts<Fallible, ($($name,)*), To> for Function
        where
            Function: Fn($($name),*) -> Result<To, Error>,
            Error: Display,
        {
            fn convert(&self, from: ($($name,)*)) -> Result<To, String> {
                let ($($name,)*) = from;
                self($($name),*).map_err(|error| error.to_string())
            }
        }
    )*};
}

#[allow(non_snake_case)]
mod tuples {
    use super::*;

    tuples! {
        (), (A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4),
        (A 0, B 1, C 2, D 3, E 4, F 5),
    }
}

/// One field is answered as it is, several as a tuple.
impl<A: Write> Writes for (A,) {
    type Of = A::Of;

    fn write(value: A::Of) -> Result<Vec<Raw>, String> {
        Ok(vec![raw(&Written::<A>(&value))?])
    }
}

macro_rules! writes {
    ($(($($name:ident $at:tt),*)),* $(,)?) => {$(
        impl<$($name: Write),*> Writes for ($($name,)*) {
            type Of = ($($name::Of,)*);

            fn write(values: Self::Of) -> Result<Vec<Raw>, String> {
                Ok(vec![$(raw(&Written::<$name>(&values.$at))?),*])
            }
        }
    )*};
}

writes! {
    (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, F 5),
}

/// Fields by a function of fields.
pub fn convert<From: Reads, To: Writes, How, F>(
    function: F,
    values: &[Option<Raw>],
) -> Result<Vec<Raw>, String>
where
    F: Converts<How, From::Of, To::Of>,
{
    To::write(function.convert(From::read(values)?)?)
}

/// An added field by a function of the payload as it was.
pub fn compute<To: Write, Old: DeserializeOwned, How, F>(
    function: F,
    payload: &Payload,
) -> Result<Raw, String>
where
    F: Converts<How, (Old,), To::Of>,
{
    fill::<To>(function.convert((payload.read()?,))?)
}

/// What a function answers about a whole payload. The new type is the user's own, so that here it
/// is the inherent method, which wins, that tells a `Result` from a value.
pub struct Answer<T>(pub T);

impl<T: Serialize, Error: Display> Answer<Result<T, Error>> {
    pub fn write(self) -> Result<Raw, String> {
        self.0
            .map_err(|error| error.to_string())
            .and_then(|value| raw(&value))
    }
}

/// A value that is no `Result`.
pub trait Whole {
    fn write(self) -> Result<Raw, String>;
}

impl<T: Serialize> Whole for Answer<T> {
    fn write(self) -> Result<Raw, String> {
        raw(&self.0)
    }
}

/// A payload as the type that a function takes.
pub fn whole<T: DeserializeOwned>(payload: &Payload) -> Result<T, String> {
    payload.read()
}
