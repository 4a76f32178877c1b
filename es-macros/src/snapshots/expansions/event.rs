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
            __es::event("Opened", "account.opened"),
            __es::EventType {
                was: &["account.money-paid-in"],
                version: 1,
                min_reader: 1,
                ..__es::event("Deposited", "account.deposited")
            },
            __es::event("LimitRaised", "account.limit-raised"),
            __es::event("Closed", "account.closed"),
        ];
        const SHAPES: &'static str = "event account.opened 1 { owner: String }\nevent account.deposited 1 { amount: Money, reference: String }\nevent account.limit-raised 1 (Money, u32)\nevent account.closed 1 {}\n";
    }
    const _: () = ::core::assert!(
        {
            use __es::NoAggregate as _;
            __es::same(__es::Named::<Account>::NAME, "account")
        },
        "[ES0012] the events of `AccountEvent` are stored as `account.…`, but `Account` has another name; both must be the same"
    );
    #[automatically_derived]
    impl __es::Evolve for Account {
        fn evolve(&mut self, __event: &Self::Event) {
            match __es::its_event::<AccountEvent>(__event) {
                AccountEvent::Opened { owner: __0 } => (*self).on_opened(__0),
                AccountEvent::Deposited {
                    amount: __0,
                    reference: __1,
                } => (*self).on_deposited(__0, __1),
                AccountEvent::LimitRaised(__0, __1) => (*self).on_limit_raised(__0, __1),
                AccountEvent::Closed {} => (*self).on_closed(),
            }
        }
    }
    struct on_opened;
    struct on_deposited;
    struct on_limit_raised;
    struct on_closed;
    trait __MissingHandlers<__0, __1> {
        fn on_opened(&mut self, _: __0)
        where
            Self: __es::HandlesEvent<on_opened, (String,)>,
        {
        }
        fn on_deposited(&mut self, _: __0, _: __1)
        where
            Self: __es::HandlesEvent<on_deposited, (Money, String)>,
        {
        }
        fn on_limit_raised(&mut self, _: __0, _: __1)
        where
            Self: __es::HandlesEvent<on_limit_raised, (Money, u32)>,
        {
        }
        fn on_closed(&mut self)
        where
            Self: __es::HandlesEvent<on_closed, ()>,
        {
        }
    }
    impl<__A: __es::Aggregate, __0, __1> __MissingHandlers<__0, __1> for __A {}
};
