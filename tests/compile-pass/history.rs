// Everything that a history can say, under names that are in its way.
#![deny(warnings)]
#![allow(non_camel_case_types, dead_code)]

use es_runtime::prelude::{Deserialize, Event, Serialize};

struct Option;
struct Result;
struct Vec;
struct String;
struct Some;
struct None;
struct Ok;
mod core {}
mod std {}

type Text = ::std::string::String;

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    street: Text,
    city: Text,
}

#[derive(Deserialize)]
struct OldPayload {
    by: u8,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
#[event(split = "account.both", fields(one: u8, #[event(since = 2, default = 7)] two: u8), with = both)]
#[event(split = "account.maybe", fields(u8), with = maybe)]
#[event(dropped = "account.viewed")]
#[serde(rename_all_fields = "camelCase")]
enum AccountEvent {
    #[event(since = 2, was = "account.created")]
    #[event(since = 3, split(name: Text => firstName, lastName), with = two_names, down = one_name)]
    #[event(since = 4, removed(#[event(since = 2, default)] note: Text), down = Text::new)]
    #[event(since = 5, moved(street: Text, city: Text => address))]
    #[event(since = 6, combined(#[serde(with = "text")] cents: u8, rate: u8 => amount), with = sum)]
    Opened {
        first_name: Text,
        #[event(since = 7, was = "lastName")]
        family_name: Text,
        address: Address,
        amount: u8,
        #[event(since = 2, default)]
        #[event(since = 3, was = "else", was_type = u8, with = shown, down = read)]
        r#type: Text,
        #[serde(with = "text")]
        #[event(since = 2, from = from_all)]
        count: u8,
        #[event(since = 2, default = 2 + 2)]
        four: u8,
    },
    #[event(since = 2, moved(address: Address => street, city))]
    Moved { street: Text, city: Text },
    #[event(since = 2, upcast(by: u8), with = rewrite)]
    #[event(since = 3, upcast(u8), with = rewrite_or_not, down = back)]
    Raised(u16),
    #[event(since = 2, merged = "account.cash", fields(by: u8), with = merged)]
    Paid { by: u16 },
    #[event(retired)]
    Noted,
}

fn both(old: ::std::collections::BTreeMap<Text, u8>) -> [AccountEvent; 2] {
    let _ = old;
    [AccountEvent::Noted, AccountEvent::Noted]
}

fn maybe(old: u8) -> ::std::result::Result<::std::option::Option<AccountEvent>, Text> {
    ::std::result::Result::Ok((old > 0).then_some(AccountEvent::Noted))
}

fn two_names(name: Text) -> (Text, Text) {
    (name.clone(), name)
}

fn one_name(first: Text, _: Text) -> Text {
    first
}

fn sum(cents: u8, rate: u8) -> ::std::result::Result<u8, &'static str> {
    cents.checked_add(rate).ok_or("too much")
}

fn shown(old: u8) -> Text {
    old.to_string()
}

fn read(new: Text) -> ::std::result::Result<u8, ::std::num::ParseIntError> {
    new.parse()
}

fn from_all(old: ::std::collections::BTreeMap<Text, ::es_runtime::prelude::Position>) -> u8 {
    old.len() as u8
}

fn rewrite(old: OldPayload) -> u8 {
    old.by
}

fn rewrite_or_not(old: u8) -> ::std::result::Result<u16, Text> {
    ::std::result::Result::Ok(old.into())
}

fn back(new: u16) -> u8 {
    new as u8
}

fn merged(old: OldPayload) -> ::std::collections::BTreeMap<Text, u8> {
    ::std::collections::BTreeMap::from([("by".to_owned(), old.by)])
}

mod text {
    use es_runtime::prelude::Deserialize;

    pub fn serialize<S: serde::Serializer>(n: &u8, json: S) -> ::std::result::Result<S::Ok, S::Error> {
        json.collect_str(n)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(json: D) -> ::std::result::Result<u8, D::Error> {
        super::Text::deserialize(json)?.parse().map_err(serde::de::Error::custom)
    }
}

// What a default is written as, its type has to know.
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "box", dispatch = manual)]
enum BoxEvent<T: Default + Serialize> {
    #[event(since = 3, removed(note: Text))]
    Filled {
        #[event(since = 2, default)]
        with: T,
        #[event(since = 3, was = "count")]
        size: u8,
    },
}

fn main() {
    assert_eq!(AccountEvent::TYPES[0].version, 7);
    assert_eq!(BoxEvent::<u8>::TYPES[0].version, 3);
}
