//! One codec for every enum of events: the variant's *number* goes to a static table, its fields
//! become the payload. No code is generated for it: serde's own `Serialize` and `Deserialize` of
//! the enum are driven from here, so serde's attributes on fields hold.

use serde::Deserialize;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer as _, IgnoredAny, IntoDeserializer,
    Visitor,
};
use serde::ser::{self, Impossible, Serialize, SerializeStruct, SerializeTuple};
use serde_json::{Error, Serializer};

/// The variant's number and its fields as JSON. A variant without fields has the payload `{}`, so
/// that fields may be added to it later.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<(usize, String), Error> {
    let mut json = Vec::with_capacity(128);
    let index = value.serialize(Untag {
        json: &mut Serializer::new(&mut json),
    })?;
    let json = String::from_utf8(json).map_err(|_| ser::Error::custom("JSON is not UTF-8"))?;
    Ok((
        index as usize,
        if json.is_empty() {
            "{}".to_owned()
        } else {
            json
        },
    ))
}

/// The value whose variant has the number `index` and whose fields stand in `payload`.
pub(crate) fn decode<T: DeserializeOwned>(index: usize, payload: &str) -> Result<T, Error> {
    let index = u32::try_from(index).map_err(de::Error::custom)?;
    T::deserialize(Tagged { index, payload })
}

type Json<'a> = Serializer<&'a mut Vec<u8>>;

/// Writes the content of an enum's variant and answers the variant's number.
struct Untag<'s, 'a> {
    json: &'s mut Json<'a>,
}

const NOT_AN_ENUM: &str = "expected an enum with serde's own (external) tagging";

macro_rules! not_an_enum {
    ($($method:ident($($ty:ty)?)),* $(,)?) => {$(
        fn $method(self, $(_: $ty)?) -> Result<u32, Error> {
            Err(ser::Error::custom(NOT_AN_ENUM))
        }
    )*};
}

impl<'s, 'a> ser::Serializer for Untag<'s, 'a> {
    type Ok = u32;
    type Error = Error;
    type SerializeSeq = Impossible<u32, Error>;
    type SerializeTuple = Impossible<u32, Error>;
    type SerializeTupleStruct = Impossible<u32, Error>;
    type SerializeMap = Impossible<u32, Error>;
    type SerializeStruct = Impossible<u32, Error>;
    type SerializeTupleVariant = Fields<<&'s mut Json<'a> as ser::Serializer>::SerializeTuple>;
    type SerializeStructVariant = Fields<<&'s mut Json<'a> as ser::Serializer>::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<u32, Error> {
        Ok(index)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<u32, Error> {
        value.serialize(self.json)?;
        Ok(index)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Ok(Fields {
            index,
            inner: ser::Serializer::serialize_tuple(self.json, len)?,
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Ok(Fields {
            index,
            inner: ser::Serializer::serialize_struct(self.json, name, len)?,
        })
    }

    not_an_enum! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32),
        serialize_i64(i64), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32),
        serialize_u64(u64), serialize_f32(f32), serialize_f64(f64), serialize_char(char),
        serialize_str(&str), serialize_bytes(&[u8]), serialize_none(), serialize_unit(),
        serialize_unit_struct(&'static str),
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<u32, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<u32, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Error> {
        Err(ser::Error::custom(NOT_AN_ENUM))
    }
}

/// The fields of a variant on their way into JSON.
struct Fields<S> {
    index: u32,
    inner: S,
}

impl<S: SerializeTuple<Ok = (), Error = Error>> ser::SerializeTupleVariant for Fields<S> {
    type Ok = u32;
    type Error = Error;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_element(value)
    }

    fn end(self) -> Result<u32, Error> {
        self.inner.end().map(|()| self.index)
    }
}

impl<S: SerializeStruct<Ok = (), Error = Error>> ser::SerializeStructVariant for Fields<S> {
    type Ok = u32;
    type Error = Error;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.inner.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), Error> {
        self.inner.skip_field(key)
    }

    fn end(self) -> Result<u32, Error> {
        self.inner.end().map(|()| self.index)
    }
}

/// Presents a variant's number and its payload as an externally tagged enum.
struct Tagged<'p> {
    index: u32,
    payload: &'p str,
}

impl<'p> de::Deserializer<'p> for Tagged<'p> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'p>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom(NOT_AN_ENUM))
    }

    fn deserialize_enum<V: Visitor<'p>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'p>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'p> de::EnumAccess<'p> for Tagged<'p> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'p>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index = IntoDeserializer::<Error>::into_deserializer(self.index);
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'p> Tagged<'p> {
    fn read<T>(self, read: impl FnOnce(&mut JsonText<'p>) -> Result<T, Error>) -> Result<T, Error> {
        let mut json = JsonText::from_str(self.payload);
        let value = read(&mut json)?;
        json.end()?;
        Ok(value)
    }
}

type JsonText<'p> = serde_json::Deserializer<serde_json::de::StrRead<'p>>;

impl<'p> de::VariantAccess<'p> for Tagged<'p> {
    type Error = Error;

    /// Whatever the payload holds: fields that this variant no longer has are ignored.
    fn unit_variant(self) -> Result<(), Error> {
        self.read(|json| IgnoredAny::deserialize(json).map(drop))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'p>>(self, seed: T) -> Result<T::Value, Error> {
        self.read(|json| seed.deserialize(json))
    }

    fn tuple_variant<V: Visitor<'p>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.read(|json| json.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'p>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.read(|json| json.deserialize_struct("variant", fields, visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Every {
        Unit,
        #[serde(rename = "another")]
        Newtype(String),
        Tuple(i64, bool),
        Struct {
            #[serde(rename = "N")]
            n: u64,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            note: Option<String>,
        },
    }

    #[test]
    fn every_shape_goes_to_a_number_and_fields_and_back() {
        for (value, index, payload) in [
            (Every::Unit, 0, "{}"),
            (Every::Newtype("a".into()), 1, "\"a\""),
            (Every::Tuple(-1, true), 2, "[-1,true]"),
            (
                Every::Struct {
                    n: u64::MAX,
                    note: None,
                },
                3,
                r#"{"N":18446744073709551615}"#,
            ),
        ] {
            assert_eq!(encode(&value).unwrap(), (index, payload.to_owned()));
            assert_eq!(decode::<Every>(index, payload).unwrap(), value);
        }
    }

    #[test]
    fn a_payload_that_does_not_fit_is_an_error_that_says_where() {
        let missing = decode::<Every>(3, "{}").unwrap_err().to_string();
        assert!(missing.contains("missing field `N`"), "{missing}");
        let trailing = decode::<Every>(1, "\"a\" x").unwrap_err().to_string();
        assert!(trailing.contains("trailing characters"), "{trailing}");
        assert!(
            decode::<Every>(9, "{}")
                .unwrap_err()
                .to_string()
                .contains("variant index")
        );
        assert!(
            encode(&5)
                .unwrap_err()
                .to_string()
                .contains("expected an enum")
        );
    }
}
