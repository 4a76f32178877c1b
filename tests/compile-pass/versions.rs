//! A stream's history in a module with names of its own, and everything that a history can say.
#![deny(warnings)]
#![allow(dead_code)]

use es_runtime::prelude::*;

mod money {
    pub mod contract {
        // None of these is what it is called everywhere else.
        #[derive(Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        pub struct Option;
        #[derive(Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        pub struct Vec;
        pub struct Result;
        pub struct String;
        pub trait Clone {}

        #[derive(
            ::core::clone::Clone,
            Debug,
            PartialEq,
            serde::Serialize,
            serde::Deserialize,
            es_runtime::IntegrationEvent,
        )]
        #[derive(PartialOrd)]
        #[integration(stream = "payments", version = 3, history = older)]
        #[integration(since = 3, split = "paid-twice", fields(first: i64, second: i64), with = twice, lossy)]
        #[serde(rename_all_fields = "camelCase")]
        #[non_exhaustive]
        pub(in super::super) enum Payments {
            /// Money was paid.
            Paid {
                amount: super::Amount,
                #[integration(since = 2, default)]
                #[serde(default, with = "super::amounts")]
                fee_paid: super::Amount,
                #[integration(since = 3, was = "type")]
                r#match: i64,
                #[serde(skip)]
                nowhere: std::option::Option<i64>,
            },
            #[integration(since = 2, upcast(i64, i64), with = summed, down = halved)]
            Summed(i64),
            #[integration(since = 2, moved(euros: i64, cents: i64 => price))]
            Priced { price: super::Price },
            #[integration(since = 3, moved(price: super::Price => euros, cents))]
            Unpriced { euros: i64, cents: i64 },
            #[integration(since = 2, down = noted)]
            Noted,
            Empty {},
            None(),
        }

        fn twice(event: older::v2::Payments) -> [Payments; 2] {
            let older::v2::Payments::PaidTwice { first, second } = event else {
                return [Payments::Noted, Payments::Noted];
            };
            [Payments::Summed(first), Payments::Summed(second)]
        }

        fn summed(
            event: older::v1::Payments,
        ) -> ::core::result::Result<older::v2::Payments, &'static str> {
            match event {
                older::v1::Payments::Summed(a, b) => {
                    ::core::result::Result::Ok(older::v2::Payments::Summed(a + b))
                }
                _ => Err("no sum"),
            }
        }

        fn halved(event: older::v2::Payments) -> ::core::option::Option<older::v1::Payments> {
            match event {
                older::v2::Payments::Summed(sum) => Some(older::v1::Payments::Summed(sum, 0)),
                _ => ::core::option::Option::None,
            }
        }

        fn noted(_: older::v2::Payments) -> std::vec::Vec<older::v1::Payments> {
            std::vec![older::v1::Payments::Empty]
        }
    }

    pub type Amount = i64;

    #[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
    pub struct Price {
        pub euros: i64,
        pub cents: i64,
    }

    pub mod amounts {
        pub use serde::{Deserialize, Serialize};

        pub fn serialize<S: serde::Serializer>(amount: &i64, to: S) -> Result<S::Ok, S::Error> {
            amount.serialize(to)
        }

        pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
            i64::deserialize(from)
        }
    }
}

/// Private, with a history: so are the older versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "secrets", version = 2)]
enum Secrets {
    Told {
        #[integration(since = 2, default = 7)]
        times: u8,
    },
}

fn main() -> es_runtime::Result<()> {
    use money::contract::{Payments, older};

    let up = older::v1::Payments::Priced { euros: 3, cents: 50 }.upcast()?;
    let price = money::Price { euros: 3, cents: 50 };
    assert_eq!(up, [older::v2::Payments::Priced { price: price.clone() }]);
    let up = older::v2::Payments::Unpriced { price }.upcast()?;
    assert_eq!(up, [Payments::Unpriced { euros: 3, cents: 50 }]);
    let up = older::v2::Payments::PaidTwice { first: 1, second: 2 }.upcast()?;
    assert_eq!(up, [Payments::Summed(1), Payments::Summed(2)]);
    let paid = older::v2::Payments::Paid { amount: 1, fee_paid: 2, r#type: 3 };
    let nowhere = Option::None;
    let expected = Payments::Paid { amount: 1, fee_paid: 2, r#match: 3, nowhere };
    assert_eq!(paid.upcast()?, [expected]);
    assert!(older::v2::Payments::Empty < older::v2::Payments::None());
    let up = secrets_versions::v1::Secrets::Told {}.upcast();
    assert_eq!(up?, [Secrets::Told { times: 7 }]);
    Ok(())
}
