// #[event(name = "account", dispatch = manual)]
// #[event(split = "account.opened-with-deposit", fields(owner: String, amount: i64), with = two_facts)]
// #[event(dropped = "account.viewed")]
// pub enum AccountEvent {
//     #[event(since = 4, was = "account.created")]
//     #[event(since = 4, split(name: String => first, last), with = two_names, down = one_name)]
//     #[event(since = 5, removed(note: String))]
//     Opened {
//         first: String,
//         last: String,
//         #[event(since = 2, was = "ccy")]
//         #[event(since = 3, was_type = String, with = parse, down = code)]
//         currency: Currency,
//         #[event(since = 5, default = Country::Dk)]
//         country: Country,
//     },
//     #[event(since = 2, merged = "account.cash-deposited", fields(cash: i64), with = from_cash)]
//     Deposited { amount: i64, #[serde(with = "text")] #[event(since = 3, from = reference)] reference: Reference },
//     #[event(retired)]
//     Noted(String),
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
    use __es::Whole as _;
    use ::es_runtime::__private as __es;
    enum __Codec0 {}
    impl __es::Read for __Codec0 {
        type Of = Reference;
        fn read<'de, __D: __es::Deserializer<'de>>(
            __json: __D,
        ) -> __es::Result<Reference, __D::Error> {
            text::deserialize(__json)
        }
    }
    impl __es::Write for __Codec0 {
        type Of = Reference;
        fn write<__S: __es::Serializer>(
            __value: &Reference,
            __json: __S,
        ) -> __es::Result<__S::Ok, __S::Error> {
            text::serialize(__value, __json)
        }
    }
    #[automatically_derived]
    impl __es::Event for AccountEvent {
        const NAME: &'static str = "account";
        const TYPES: &'static [__es::EventType] = &[
            __es::EventType {
                was: &["account.created"],
                version: 5,
                min_reader: 5,
                ..__es::event("Opened", "account.opened")
            },
            __es::EventType {
                was: &[],
                version: 3,
                min_reader: 1,
                ..__es::event("Deposited", "account.deposited")
            },
            __es::event("Noted", "account.noted"),
        ];
        const SHAPES: &'static str = "event account.created 1 { ccy: String, note: String, name: String }\nevent account.created 2 { currency: String, note: String, name: String }\nevent account.created 3 { currency: Currency, note: String, name: String }\nevent account.opened 4 { first: String, last: String, currency: Currency, note: String }\nevent account.opened 5 { first: String, last: String, currency: Currency, country: Country }\nevent account.deposited 1 { amount: i64 }\nevent account.deposited 2 { amount: i64 }\nevent account.deposited 3 { amount: i64, reference: Reference by text::serialize }\nevent account.noted 1 (String)\nevent account.cash-deposited 1 { cash: i64 }\nevent account.opened-with-deposit 1 { owner: String, amount: i64 }\n";
        const HISTORY: &'static __es::History<Self> = &__es::History {
            variants: &[
                __es::Versions {
                    variant: 0,
                    min_readers: &[1, 2, 3, 4, 5],
                    steps: &[
                        __es::Step::renamed(2, "ccy", "currency"),
                        __es::Step::converted(
                            3,
                            &["currency"],
                            &["currency"],
                            |__old| {
                                __es::convert::<(__es::Json<String>,), (__es::Json<Currency>,), _, _>(
                                    parse, __old,
                                )
                            },
                            __es::Some(|__old| {
                                __es::convert::<(__es::Json<Currency>,), (__es::Json<String>,), _, _>(
                                    code, __old,
                                )
                            }),
                        ),
                        __es::Step::named(4, "account.created"),
                        __es::Step::converted(
                            4,
                            &["name"],
                            &["first", "last"],
                            |__old| {
                                __es::convert::<
                                    (__es::Json<String>,),
                                    (__es::Json<String>, __es::Json<String>),
                                    _,
                                    _,
                                >(two_names, __old)
                            },
                            __es::Some(|__old| {
                                __es::convert::<
                                    (__es::Json<String>, __es::Json<String>),
                                    (__es::Json<String>,),
                                    _,
                                    _,
                                >(one_name, __old)
                            }),
                        ),
                        __es::Step::removed(5, &["note"], __es::None),
                        __es::Step::added(5, "country", |_| {
                            __es::fill::<__es::Json<Country>>(Country::Dk)
                        }),
                    ],
                },
                __es::Versions {
                    variant: 1,
                    min_readers: &[1, 1, 1],
                    steps: &[__es::Step::added(3, "reference", |__old| {
                        __es::compute::<__Codec0, _, _, _>(reference, __old)
                    })],
                },
            ],
            merged: &[__es::Merged {
                name: "account.cash-deposited",
                versions: __es::Versions {
                    variant: 1,
                    min_readers: &[1],
                    steps: &[],
                },
                up: |__old| __es::Answer(from_cash(__es::whole(__old)?)).write(),
                since: 2,
            }],
            gone: &[
                __es::Gone {
                    name: "account.opened-with-deposit",
                    versions: __es::Versions {
                        variant: 0,
                        min_readers: &[1],
                        steps: &[],
                    },
                    up: __es::Some(|__old| __es::split::<Self, _, _, _>(two_facts, __old)),
                },
                __es::Gone {
                    name: "account.viewed",
                    versions: __es::Versions {
                        variant: 0,
                        min_readers: &[],
                        steps: &[],
                    },
                    up: __es::None,
                },
            ],
            retired: &[2],
        };
    }
};
