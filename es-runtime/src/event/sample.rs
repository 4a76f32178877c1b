//! Made-up values of any type that reads itself: random, but the same for the same seed.
//!
//! A `Deserializer` whose input is a random number generator. It offers what the type asks for;
//! a type that refuses most of that, as one with a check digit does, cannot be made up.

use fastrand::Rng;
use serde::de::value::{Error, StrDeserializer, U32Deserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// How often a type may refuse before it is given up.
const ATTEMPTS: usize = 200;
/// Below this, lists are empty and options hold nothing: types may contain themselves.
const DEEPEST: usize = 6;

/// The texts that types with a form of their own like to read.
const FORMS: &[&str] = &[
    "2026-02-28T23:59:59.123456Z",
    "2026-02-28",
    "5d9d7f0a-94f2-8f3b-a1d4-8c5c0b7d9e21",
    "12.50",
    "7",
    "00ff",
    "https://example.org/a?b=c",
    "a@example.org",
    "DK",
];

/// A value of the enum `E` in its variant with this number, or `None` if the type refuses whatever
/// is made up for it.
pub(crate) fn sample<E: DeserializeOwned>(random: &mut Rng, variant: usize) -> Option<E> {
    let index = u32::try_from(variant).ok()?;
    (0..ATTEMPTS).find_map(|_| {
        let outermost = Sampler {
            random,
            depth: 0,
            index: Some(index),
        };
        E::deserialize(outermost).ok()
    })
}

struct Sampler<'r> {
    random: &'r mut Rng,
    depth: usize,
    /// The variant of the outermost enum.
    index: Option<u32>,
}

impl Sampler<'_> {
    fn inner(&mut self) -> Sampler<'_> {
        Sampler {
            random: self.random,
            depth: self.depth + 1,
            index: None,
        }
    }

    fn length(&mut self) -> usize {
        if self.depth < DEEPEST {
            self.random.usize(..4)
        } else {
            0
        }
    }

    /// Small and large, and both ends.
    fn integer(&mut self, lowest: i128, highest: i128) -> i128 {
        let anything = self.random.i128(lowest..=highest);
        match self.random.u8(..8) {
            0 => lowest,
            1 => highest,
            2 => 0,
            3 => anything,
            _ => i128::from(self.random.i16(-200..=1000)).clamp(lowest, highest),
        }
    }

    fn text(&mut self) -> String {
        if self.random.u8(..4) == 0 {
            return self
                .random
                .choice(FORMS)
                .map_or_else(String::new, |form| (*form).to_owned());
        }
        let length = self.random.usize(..12);
        let letter = |_| match self.random.u8(..6) {
            0 => self.random.char(..),
            1 => '"',
            _ => self.random.alphanumeric(),
        };
        (0..length).map(letter).collect()
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ty),*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            let made = self.integer(i128::from(<$ty>::MIN), i128::from(<$ty>::MAX));
            visitor.$visit(<$ty>::try_from(made).map_err(de::Error::custom)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Sampler<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.random.u8(..6) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_bool(self.random.bool()),
            2 => self.deserialize_i64(visitor),
            3 => self.deserialize_f64(visitor),
            4 if self.depth < DEEPEST => self.deserialize_seq(visitor),
            _ => visitor.visit_string(self.text()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.random.bool())
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    }

    /// As far as JSON carries them.
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // Eighths: nothing is lost between the two widths and their decimal forms.
        visitor.visit_f32(f32::from(self.random.i16(..)) / 8.0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(f64::from(self.random.i32(..)) / 8.0)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_char(self.random.char(..))
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    /// In JSON, bytes are a list of numbers.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.depth < DEEPEST && self.random.bool() {
            visitor.visit_some(self.inner())
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self.inner())
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length();
        visitor.visit_seq(Several {
            sampler: self,
            left,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Several {
            sampler: self,
            left,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length();
        visitor.visit_map(Several {
            sampler: self,
            left,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let sampler = self;
        visitor.visit_map(Fields { sampler, fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Chosen {
            sampler: self,
            variants,
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// A list, or a map of texts to values.
struct Several<'r> {
    sampler: Sampler<'r>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Several<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.sampler.inner()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Several<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.sampler.inner())
    }
}

/// The fields of a struct, each of them once.
struct Fields<'r> {
    sampler: Sampler<'r>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((first, rest)) = self.fields.split_first() else {
            return Ok(None);
        };
        self.fields = rest;
        let name: StrDeserializer<'_, Error> = (*first).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.sampler.inner())
    }
}

/// A variant: the one that was asked for, or any.
struct Chosen<'r> {
    sampler: Sampler<'r>,
    variants: &'static [&'static str],
}

impl<'de, 'r> EnumAccess<'de> for Chosen<'r> {
    type Error = Error;
    type Variant = Sampler<'r>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Sampler<'r>), Error> {
        let Self { sampler, variants } = self;
        let variant = if let Some(index) = sampler.index {
            let index: U32Deserializer<Error> = index.into_deserializer();
            seed.deserialize(index)?
        } else {
            let Some(name) = sampler.random.choice(variants) else {
                return Err(de::Error::custom("an enum without variants has no values"));
            };
            let name: StrDeserializer<'_, Error> = (*name).into_deserializer();
            seed.deserialize(name)?
        };
        Ok((variant, sampler))
    }
}

impl<'de> VariantAccess<'de> for Sampler<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.inner())
    }

    fn tuple_variant<V: Visitor<'de>>(
        mut self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.inner().deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.inner().deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::num::NonZeroU8;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::event::{Timestamp, decode, encode};

    #[derive(Debug, Deserialize, Serialize)]
    enum Every {
        Unit,
        Newtype(Vec<Option<i64>>),
        Tuple(u8, char, (bool, f32)),
        Struct {
            text: String,
            #[serde(rename = "Map")]
            map: BTreeMap<String, Inner>,
            at: Timestamp,
            some: Option<NonZeroU8>,
            number: f64,
        },
        Tree(Box<Tree>),
    }

    #[derive(Debug, Deserialize, Serialize)]
    enum Inner {
        A,
        B { id: uuid::Uuid },
    }

    #[derive(Debug, Deserialize, Serialize)]
    struct Tree(Vec<Tree>);

    #[test]
    fn every_shape_is_made_up_and_survives_its_json() {
        let mut random = Rng::with_seed(7);
        for variant in 0..5 {
            let mut seen = BTreeSet::new();
            for _ in 0..50 {
                let made: Every = sample(&mut random, variant).expect("a sample");
                let (index, json) = encode(&made).expect("JSON");
                assert_eq!(index, variant);
                let again: Every = decode(index, &json).expect("the same");
                assert_eq!(encode(&again).expect("JSON").1, json);
                seen.insert(json);
            }
            assert!(variant == 0 || seen.len() > 5, "{seen:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same() {
        let make = |seed| format!("{:?}", sample::<Every>(&mut Rng::with_seed(seed), 3));
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn what_refuses_everything_is_not_made_up() {
        #[derive(Debug)]
        struct Never;
        impl<'de> Deserialize<'de> for Never {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(de::Error::custom("never"))
            }
        }
        #[derive(Debug, Deserialize)]
        enum Holds {
            #[allow(dead_code)]
            It(Never),
        }
        assert!(sample::<Holds>(&mut Rng::with_seed(1), 0).is_none());
    }
}
