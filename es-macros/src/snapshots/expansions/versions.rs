// #[integration(stream = "accounts", version = 3, deprecated(2, from = "2026-12-01", sunset = "2027-06-30"), own(1))]
// /// What happens to accounts.
// pub enum Accounts {
//     /// An account was opened.
//     #[integration(since = 2, was = "account-created")]
//     #[integration(since = 3, removed(note: String), default, lossy)]
//     #[integration(since = 3, split(name: String => first, last), with = split_name, down = join_name)]
//     AccountOpened {
//         /// The account.
//         account: String,
//         first: String,
//         last: String,
//         #[integration(since = 2, default = Currency::Dkk)]
//         #[integration(since = 3, was_type = String, with = Currency::parse, down = Currency::code)]
//         currency: Currency,
//     },
//     BalanceChanged {
//         #[integration(since = 2, was = "balance")]
//         new_balance: super::Money,
//         #[integration(since = 3, from = currency_of)]
//         currency: Currency,
//     },
//     #[integration(since = 2)]
//     AccountClosed,
// }

#[doc(hidden)]
#[allow(
    dead_code,
    deprecated,
    non_camel_case_types,
    non_snake_case,
    unused_imports,
    unused_qualifications
)]
const _: () = {
    use ::es_runtime::__private as __es;
    #[automatically_derived]
    impl __es::IntegrationEvent for Accounts {
        const STREAM: &'static str = "accounts";
        const VERSION: u32 = 3;
        const TYPES: &'static [__es::IntegrationType] = &[
            __es::IntegrationType {
                variant: "AccountOpened",
                name: "account-opened",
            },
            __es::IntegrationType {
                variant: "BalanceChanged",
                name: "balance-changed",
            },
            __es::IntegrationType {
                variant: "AccountClosed",
                name: "account-closed",
            },
        ];
        const OLDER: &'static [__es::Older] = {
            use __es::NoSchema as _;
            &[
                __es::Older::fed::<__V2>(__es::Probe::<__V2>::SCHEMA),
                __es::Older::own::<__V1>(__es::Probe::<__V1>::SCHEMA),
            ]
        };
    }
    const _: () = ::core::assert!(
        !{
            use __es::NotInternal as _;
            __es::Probe::<Accounts>::INTERNAL
        },
        "[ES0011] `Accounts` is internal and is never published; publish an integration event made from it: an enum of its own"
    );
    type __V3 = Accounts;
    type __V2 = accounts_versions::v2::Accounts;
    type __V1 = accounts_versions::v1::Accounts;
    #[automatically_derived]
    impl __es::IntegrationEvent for __V2 {
        const STREAM: &'static str = "accounts";
        const VERSION: u32 = 2;
        const STATUS: __es::Status = __es::Status::Deprecated {
            from: __es::day(2026, 12, 1),
            sunset: ::core::option::Option::Some(__es::day(2027, 6, 30)),
        };
        const TYPES: &'static [__es::IntegrationType] = &[
            __es::IntegrationType {
                variant: "AccountOpened",
                name: "account-opened",
            },
            __es::IntegrationType {
                variant: "BalanceChanged",
                name: "balance-changed",
            },
            __es::IntegrationType {
                variant: "AccountClosed",
                name: "account-closed",
            },
        ];
    }
    #[automatically_derived]
    impl __es::Upcast for __V2 {
        type Newer = __V3;
        const LOSSY: &'static [&'static str] = &["account-opened"];
        fn upcast(self) -> __es::Result<__es::Vec<__V3>, __es::Error> {
            __es::Ok(match self {
                __V2::AccountOpened {
                    account: __account,
                    currency: __currency,
                    name: __name,
                    ..
                } => {
                    let (__first, __last) = __es::upward::<Self, (String, String)>(
                        "account-opened",
                        split_name(__name),
                    )?;
                    __es::Vec::from([__V3::AccountOpened {
                        account: __account,
                        first: __first,
                        last: __last,
                        currency: __es::upward::<Self, Currency>(
                            "account-opened",
                            Currency::parse(__currency),
                        )?,
                    }])
                }
                __event @ __V2::BalanceChanged { .. } => {
                    let __currency =
                        __es::upward::<Self, Currency>("balance-changed", currency_of(&__event))?;
                    let __V2::BalanceChanged {
                        new_balance: __new_balance,
                    } = __event
                    else {
                        ::core::unreachable!()
                    };
                    __es::Vec::from([__V3::BalanceChanged {
                        new_balance: __new_balance,
                        currency: __currency,
                    }])
                }
                __V2::AccountClosed {} => __es::Vec::from([__V3::AccountClosed {}]),
            })
        }
    }
    #[automatically_derived]
    impl __es::Downcast for __V2 {
        fn downcast(newer: __V3) -> __es::Result<__es::Vec<Self>, __es::Error> {
            __es::Ok(match newer {
                __V3::AccountOpened {
                    account: __account,
                    first: __first,
                    last: __last,
                    currency: __currency,
                } => __es::Vec::from([__V2::AccountOpened {
                    account: __account,
                    currency: __es::downward::<Self, String>(
                        "account-opened",
                        Currency::code(__currency),
                    )?,
                    name: __es::downward::<Self, String>(
                        "account-opened",
                        join_name(__first, __last),
                    )?,
                    note: __es::Default::default(),
                }]),
                __V3::BalanceChanged {
                    new_balance: __new_balance,
                    ..
                } => __es::Vec::from([__V2::BalanceChanged {
                    new_balance: __new_balance,
                }]),
                __V3::AccountClosed {} => __es::Vec::from([__V2::AccountClosed {}]),
            })
        }
    }
    #[automatically_derived]
    impl __es::IntegrationEvent for __V1 {
        const STREAM: &'static str = "accounts";
        const VERSION: u32 = 1;
        const TYPES: &'static [__es::IntegrationType] = &[
            __es::IntegrationType {
                variant: "AccountCreated",
                name: "account-created",
            },
            __es::IntegrationType {
                variant: "BalanceChanged",
                name: "balance-changed",
            },
        ];
        const OLDER: &'static [__es::Older] =
            __es::below(<__V3 as __es::IntegrationEvent>::OLDER, 1);
    }
    #[automatically_derived]
    impl __es::Upcast for __V1 {
        type Newer = __V2;
        fn upcast(self) -> __es::Result<__es::Vec<__V2>, __es::Error> {
            __es::Ok(match self {
                __V1::AccountCreated {
                    account: __account,
                    name: __name,
                    note: __note,
                } => __es::Vec::from([__V2::AccountOpened {
                    account: __account,
                    currency: Currency::Dkk,
                    name: __name,
                    note: __note,
                }]),
                __V1::BalanceChanged { balance: __balance } => {
                    __es::Vec::from([__V2::BalanceChanged {
                        new_balance: __balance,
                    }])
                }
            })
        }
    }
};
#[doc = "The versions of the stream `accounts`, side by side."]
#[allow(
    dead_code,
    deprecated,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    unused_imports,
    unused_qualifications
)]
pub mod accounts_versions {
    #[doc = "Version 1 of `accounts`."]
    pub mod v1 {
        use super::super::*;
        #[doc = " What happens to accounts."]
        #[derive(
            :: core :: clone :: Clone,
            :: core :: fmt :: Debug,
            :: core :: cmp :: PartialEq,
            :: es_runtime :: __private :: serde :: Serialize,
            :: es_runtime :: __private :: serde :: Deserialize,
        )]
        #[serde(crate = "::es_runtime::__private::serde")]
        pub enum Accounts {
            #[doc = " An account was opened."]
            AccountCreated {
                #[doc = " The account."]
                account: String,
                name: String,
                note: String,
            },
            BalanceChanged {
                balance: super::super::super::Money,
            },
        }
    }
    #[doc = "Version 2 of `accounts`."]
    pub mod v2 {
        use super::super::*;
        #[doc = " What happens to accounts."]
        #[derive(
            :: core :: clone :: Clone,
            :: core :: fmt :: Debug,
            :: core :: cmp :: PartialEq,
            :: es_runtime :: __private :: serde :: Serialize,
            :: es_runtime :: __private :: serde :: Deserialize,
        )]
        #[serde(crate = "::es_runtime::__private::serde")]
        pub enum Accounts {
            #[doc = " An account was opened."]
            AccountOpened {
                #[doc = " The account."]
                account: String,
                currency: String,
                name: String,
                note: String,
            },
            BalanceChanged {
                new_balance: super::super::super::Money,
            },
            AccountClosed,
        }
    }
    #[doc = "Version 3 of `accounts`, the newest one."]
    pub mod v3 {
        pub use super::super::Accounts;
    }
}
