// #[event(name = "account", aggregate = Account, dispatch = manual)]
// enum AccountEvent { Opened }

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
        const TYPES: &'static [__es::EventType] = &[__es::event("Opened", "account.opened")];
        const SHAPES: &'static str = "event account.opened 1 {}\n";
    }
    const _: () = ::core::assert!(
        {
            use __es::NoAggregate as _;
            __es::same(__es::Named::<Account>::NAME, "account")
        },
        "[ES0012] the events of `AccountEvent` are stored as `account.…`, but `Account` has another name; both must be the same"
    );
};
