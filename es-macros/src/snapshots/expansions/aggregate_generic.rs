// #[aggregate(name = "account", event = Event<C>, command = Command<C>, error = Refused, id = Iban)]
// pub struct Account<C> { balance: C }

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
    impl<C> __es::Aggregate for Account<C>
    where
        Self: __es::Clone + __es::Default + __es::Send + __es::Sync + 'static,
        Event<C>: __es::Event,
        Command<C>: __es::Command,
        Refused: __es::StdError + __es::Send + __es::Sync + 'static,
    {
        const NAME: &'static str = "account";
        const SHAPE: &'static str = "1: {balance:C}";
        type Id = Iban;
        type Event = Event<C>;
        type Command = Command<C>;
        type Error = Refused;
    }
};
