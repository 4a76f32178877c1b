//! The outline of a type as serde reads it: its fields, their types, its variants, and those of
//! the types inside of it. A derive sees the names of nested types alone; this sees into them.
//!
//! A deserializer that has no data asks the type for what it wants, notes it, and hands out the
//! plainest value: zeros, empty texts, one item per list. Of an enum every variant is asked for,
//! one at a time, in as many runs as the largest enum has variants. To a type that refuses a plain
//! value others are offered; if it refuses all of them, what was noted until then counts.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// Deeper than this a type is taken to hold itself.
const DEEPEST: usize = 24;
/// What is noted of a type that never ends.
const LONGEST: usize = 64 << 10;
const MOST_RUNS: usize = 64;
/// How often one run starts again.
const MOST_OFFERS: usize = 1000;

/// What is offered to those who read texts: many take any, and some take ids, times or numbers.
const TEXTS: [&str; 8] = [
    "",
    "a",
    "1",
    "00000000-0000-0000-0000-000000000000",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "127.0.0.1",
];
/// And to those who read numbers.
const NUMBERS: [u8; 8] = [0, 1, 2, 10, 100, 42, 7, 3];

/// The outline of `T`, the same text for as long as the type and what is in it stay the same.
pub(super) fn outline<T: DeserializeOwned>() -> String {
    let mut seen = BTreeSet::new();
    let (mut run, mut runs) = (0, 1);
    while run < runs {
        let mut notes = Notes::new(run);
        for _ in 0..MOST_OFFERS {
            let asker = Asker {
                notes: &mut notes,
                depth: 0,
            };
            let read = catch_unwind(AssertUnwindSafe(|| T::deserialize(asker).is_ok()));
            if read.unwrap_or(false) || !notes.offers_another() {
                break;
            }
        }
        runs = notes.variants.clamp(runs, MOST_RUNS);
        seen.insert(notes.text);
        run += 1;
    }
    seen.into_iter().collect::<Vec<_>>().join("\n")
}

struct Notes {
    run: usize,
    /// How many variants the largest enum has.
    variants: usize,
    text: String,
    /// Which value each question for a plain one is answered with.
    offers: Vec<usize>,
    asked: usize,
}

impl Notes {
    fn new(run: usize) -> Self {
        Self {
            run,
            variants: 1,
            text: String::new(),
            offers: Vec::new(),
            asked: 0,
        }
    }

    /// Starts again with another value for the last question, if there is one left.
    fn offers_another(&mut self) -> bool {
        let Some(last) = self.asked.checked_sub(1) else {
            return false;
        };
        if self.offers[last] + 1 == TEXTS.len() {
            return false;
        }
        self.offers[last] += 1;
        (self.asked, self.variants) = (0, 1);
        self.text.clear();
        true
    }

    fn offer(&mut self) -> usize {
        if self.asked == self.offers.len() {
            self.offers.push(0);
        }
        self.asked += 1;
        self.offers[self.asked - 1]
    }
}

struct Asker<'n> {
    notes: &'n mut Notes,
    depth: usize,
}

/// Why a run ended.
#[derive(Debug)]
struct Ended(String);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Ended {}

impl de::Error for Ended {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl Asker<'_> {
    fn note(&mut self, word: &str) -> Result<(), Ended> {
        if self.notes.text.len() > LONGEST {
            return Err(Ended("it never ends".to_owned()));
        }
        self.notes.text.extend([word, " "]);
        Ok(())
    }

    fn inside(&mut self) -> Asker<'_> {
        Asker {
            notes: self.notes,
            depth: self.depth + 1,
        }
    }

    /// Whether what may be left out is left out.
    fn is_deep(&self) -> bool {
        self.depth >= DEEPEST
    }
}

/// Answers with a plain value, which depends on how often another one was refused.
macro_rules! plain {
    ($($method:ident: $visit:ident($($offer:expr)?),)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Ended> {
            self.note(stringify!($method).trim_start_matches("deserialize_"))?;
            visitor.$visit($($offer(self.notes.offer()))?)
        }
    )*};
}

fn text(offer: usize) -> &'static str {
    TEXTS[offer]
}

fn number<T: From<u8>>(offer: usize) -> T {
    NUMBERS[offer].into()
}

fn small(offer: usize) -> i8 {
    NUMBERS[offer].cast_signed()
}

fn bytes(offer: usize) -> &'static [u8] {
    &[0; 64][..[0, 16, 32, 4, 8, 12, 20, 64][offer]]
}

impl<'de> Deserializer<'de> for Asker<'_> {
    type Error = Ended;

    plain! {
        deserialize_any: visit_unit(),
        deserialize_ignored_any: visit_unit(),
        deserialize_unit: visit_unit(),
        deserialize_bool: visit_bool(|offer| offer % 2 == 1),
        deserialize_i8: visit_i8(small),
        deserialize_i16: visit_i16(number),
        deserialize_i32: visit_i32(number),
        deserialize_i64: visit_i64(number),
        deserialize_i128: visit_i128(number),
        deserialize_u8: visit_u8(number),
        deserialize_u16: visit_u16(number),
        deserialize_u32: visit_u32(number),
        deserialize_u64: visit_u64(number),
        deserialize_u128: visit_u128(number),
        deserialize_f32: visit_f32(number),
        deserialize_f64: visit_f64(number),
        deserialize_char: visit_char(|offer| if offer == 0 { 'a' } else { number(offer) }),
        deserialize_str: visit_str(text),
        deserialize_string: visit_str(text),
        deserialize_bytes: visit_bytes(bytes),
        deserialize_byte_buf: visit_bytes(bytes),
        deserialize_identifier: visit_str(text),
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Ended> {
        self.note("option")?;
        if self.is_deep() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self.inside())
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.note("unit")?;
        visitor.visit_unit()
    }

    /// The name of a struct stands in no snapshot.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        visitor.visit_newtype_struct(self.inside())
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Ended> {
        self.note("seq")?;
        let items = usize::from(!self.is_deep());
        visitor.visit_seq(Items {
            asker: self.inside(),
            names: &[],
            left: items,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        items: usize,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.note(&format!("tuple {items}"))?;
        visitor.visit_seq(Items {
            asker: self.inside(),
            names: &[],
            left: items,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        items: usize,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.deserialize_tuple(items, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Ended> {
        self.note("map")?;
        let items = usize::from(!self.is_deep());
        visitor.visit_map(Items {
            asker: self.inside(),
            names: &[],
            left: items,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.note("struct")?;
        visitor.visit_map(Items {
            asker: self.inside(),
            names,
            left: names.len(),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.note(&format!("enum {}", names.join("|")))?;
        self.notes.variants = self.notes.variants.max(names.len());
        // Deep down always the first, which is the one that ends most often.
        let nth = if self.is_deep() { 0 } else { self.notes.run };
        let name = names.get(nth % names.len().max(1));
        let name = *name.ok_or_else(|| Ended("an enum without variants".to_owned()))?;
        self.note(name)?;
        visitor.visit_enum(Variant {
            asker: self.inside(),
            name,
        })
    }
}

/// The items of a list, a map or a struct, whose fields have names.
struct Items<'n> {
    asker: Asker<'n>,
    names: &'static [&'static str],
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Ended> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.asker.inside()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Ended;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Ended> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match self.names {
            [] => seed.deserialize(self.asker.inside()),
            names => {
                let name = names[names.len() - 1 - self.left];
                self.asker.note(name)?;
                seed.deserialize(name.into_deserializer())
            }
        }
        .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Ended> {
        seed.deserialize(self.asker.inside())
    }
}

struct Variant<'n> {
    asker: Asker<'n>,
    name: &'static str,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Ended;
    type Variant = Asker<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Asker<'n>), Ended> {
        let name = IntoDeserializer::<Ended>::into_deserializer(self.name);
        Ok((seed.deserialize(name)?, self.asker))
    }
}

impl<'de> VariantAccess<'de> for Asker<'_> {
    type Error = Ended;

    fn unit_variant(self) -> Result<(), Ended> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Ended> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, items: usize, visitor: V) -> Result<V::Value, Ended> {
        self.deserialize_tuple(items, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.deserialize_struct("", names, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;
    use std::num::NonZeroU16;

    use serde::Deserialize;

    use super::*;

    /// The outline of a type that has the inner one deep inside.
    fn around<T: DeserializeOwned>() -> String {
        outline::<(u32, HashMap<String, Vec<Option<T>>>)>()
    }

    /// Types that are defined apart, each under the name `Inner`.
    macro_rules! inner {
        ($($type:item)*) => {
            [$({
                #[derive(Deserialize)]
                #[allow(dead_code)]
                $type
                around::<Inner>()
            }),*]
        };
    }

    #[test]
    fn a_change_deep_inside_is_seen() {
        let [one, same] = inner! {
            struct Inner { amount: i64 }
            struct Inner { amount: i64 }
        };
        assert_eq!(one, same);
        let outlines = inner! {
            struct Inner { amount: i64 }
            struct Inner { balance: i64 }
            struct Inner { amount: i32 }
            struct Inner { amount: Option<i64> }
            struct Inner { amount: i64, note: String }
            struct Inner { note: String, amount: i64 }
            struct Inner(i64);
            struct Inner(i64, i64);
            enum Inner { A, B { amount: i64 } }
            enum Inner { A, B { amount: u64 } }
            enum Inner { A, C { amount: i64 } }
            enum Inner { A, B(i64) }
            enum Inner { A, B { amount: i64 }, C }
        };
        let different: BTreeSet<_> = outlines.iter().collect();
        assert_eq!(different.len(), outlines.len(), "{outlines:#?}");
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Tree {
        Leaf(u8),
        Fork(Box<Tree>, Box<Tree>),
        List(Vec<Tree>),
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Endless {
        next: Option<Box<Endless>>,
        again: Option<Box<Endless>>,
    }

    #[test]
    fn what_holds_itself_has_an_outline() {
        assert!(outline::<Tree>().len() <= 3 * (LONGEST + 1000));
        assert!(outline::<Endless>().len() <= LONGEST + 1000);
        assert_eq!(outline::<Tree>(), outline::<Tree>());
    }

    #[derive(Deserialize)]
    #[serde(try_from = "i64")]
    struct Never;

    impl TryFrom<i64> for Never {
        type Error = &'static str;

        fn try_from(n: i64) -> Result<Self, &'static str> {
            if n == 7_000_000 {
                Ok(Self)
            } else {
                Err("only that one")
            }
        }
    }

    #[derive(Deserialize)]
    #[serde(from = "String")]
    struct Panics;

    impl From<String> for Panics {
        fn from(text: String) -> Self {
            assert!(text.len() == 1, "a type of a user's that is not careful");
            Self
        }
    }

    #[test]
    fn a_type_that_refuses_a_plain_value_is_offered_others() {
        type Careful = (
            uuid::Uuid,
            crate::event::Timestamp,
            NonZeroU16,
            Panics,
            [IpAddr; 2],
            bool,
        );
        let seen = outline::<Careful>();
        assert_eq!(seen, "tuple 6 str string u16 string tuple 2 str str bool ");
    }

    #[test]
    fn a_type_that_refuses_all_is_seen_up_to_there() {
        assert_eq!(outline::<(bool, Never, bool)>(), "tuple 3 bool i64 ");
    }
}
