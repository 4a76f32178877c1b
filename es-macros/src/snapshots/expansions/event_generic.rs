// #[event(name = "account", aggregate = Account<C>)]
// enum AccountEvent<C: Currency> where C: Copy { Opened { currency: C } }

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
    impl<C: Currency> __es::Event for AccountEvent<C>
    where
        C: Copy,
        Self: __es::Serialize
            + __es::DeserializeOwned
            + __es::Clone
            + __es::Send
            + __es::Sync
            + 'static,
    {
        const NAME: &'static str = "account";
        const TYPES: &'static [__es::EventType] = {
            ::core::assert!(
                {
                    use __es::NoAggregate as _;
                    __es::same(__es::Named::<Account<C>>::NAME, "account")
                },
                "[ES0012] the events of `AccountEvent` are stored as `account.…`, but `Account<C>` has another name; both must be the same"
            );
            &[__es::event("Opened", "account.opened")]
        };
        const SHAPES: &'static str = "event account.opened 1 { currency: C }\n";
    }
    #[automatically_derived]
    impl<C: Currency> __es::InternalIsNeverPublished_ES0011 for AccountEvent<C> where C: Copy {}
    #[automatically_derived]
    impl<C: Currency> __es::Evolve for Account<C>
    where
        C: Copy,
    {
        fn evolve(&mut self, __event: &Self::Event) {
            match __es::its_event::<AccountEvent<C>>(__event) {
                AccountEvent::Opened { currency: __0 } => (*self).on_opened(__0),
            }
        }
    }
    struct on_opened;
    trait __MissingHandlers<__0> {
        fn on_opened(&mut self, _: __0)
        where
            Self: __es::HandlesEvent<on_opened, (__0,)>,
        {
        }
    }
    impl<__A: __es::Aggregate, __0> __MissingHandlers<__0> for __A {}
};
