// #[event(name = "account", aggregate = Account)]
// pub enum AccountEvent {
//     Opened { owner: String },
//     #[event(was = "account.money-paid-in")]
//     Deposited { amount: Money, reference: String },
//     LimitRaised(Money, u32),
//     Closed,
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
    impl __es::Event for AccountEvent {
        const NAME: &'static str = "account";
        const TYPES: &'static [__es::EventType] = &[
            __es::EventType {
                variant: "Opened",
                name: "account.opened",
                was: &[],
                version: 1,
                min_reader: 1,
            },
            __es::EventType {
                variant: "Deposited",
                name: "account.deposited",
                was: &["account.money-paid-in"],
                version: 1,
                min_reader: 1,
            },
            __es::EventType {
                variant: "LimitRaised",
                name: "account.limit-raised",
                was: &[],
                version: 1,
                min_reader: 1,
            },
            __es::EventType {
                variant: "Closed",
                name: "account.closed",
                was: &[],
                version: 1,
                min_reader: 1,
            },
        ];
        const SHAPES: &'static str = "event account.opened 1 { owner: String }\nevent account.deposited 1 { amount: Money, reference: String }\nevent account.limit-raised 1 (Money, u32)\nevent account.closed 1 {}\n";
    }
    const _: () = ::core::assert!(
        __es::same(<Account as __es::Aggregate>::NAME, "account"),
        "[ES0012] the events of `AccountEvent` are stored as `account.…`, but `Account` has another name; both must be the same"
    );
    #[automatically_derived]
    impl __es::Evolve for Account {
        fn evolve(&mut self, __event: &AccountEvent) {
            match __event {
                AccountEvent::Opened { owner: __owner } => (*self).on_opened(__owner),
                AccountEvent::Deposited {
                    amount: __amount,
                    reference: __reference,
                } => (*self).on_deposited(__amount, __reference),
                AccountEvent::LimitRaised(__0, __1) => (*self).on_limit_raised(__0, __1),
                AccountEvent::Closed {} => (*self).on_closed(),
            }
        }
    }
    trait __MissingHandlers: __es::Aggregate {
        fn on_opened<__0>(&mut self, _: __0)
        where
            Self: __HandlesOpened<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
        fn on_deposited<__0, __1>(&mut self, _: __0, _: __1)
        where
            Self: __HandlesDeposited<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
        fn on_limit_raised<__0, __1>(&mut self, _: __0, _: __1)
        where
            Self: __HandlesLimitRaised<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
        fn on_closed(&mut self)
        where
            Self: __HandlesClosed<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
    }
    impl<__A: __es::Aggregate> __MissingHandlers for __A {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountEvent::Opened` [ES0015]",
        label = "`{Self}` has no method `on_opened` that is visible here",
        note = "write: fn on_opened(&mut self, owner: &String)"
    )]
    trait __HandlesOpened<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesOpened<Event, Error> for () {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountEvent::Deposited` [ES0015]",
        label = "`{Self}` has no method `on_deposited` that is visible here",
        note = "write: fn on_deposited(&mut self, amount: &Money, reference: &String)"
    )]
    trait __HandlesDeposited<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesDeposited<Event, Error> for () {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountEvent::LimitRaised` [ES0015]",
        label = "`{Self}` has no method `on_limit_raised` that is visible here",
        note = "write: fn on_limit_raised(&mut self, _0: &Money, _1: &u32)"
    )]
    trait __HandlesLimitRaised<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesLimitRaised<Event, Error> for () {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountEvent::Closed` [ES0015]",
        label = "`{Self}` has no method `on_closed` that is visible here",
        note = "write: fn on_closed(&mut self)"
    )]
    trait __HandlesClosed<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesClosed<Event, Error> for () {}
};
