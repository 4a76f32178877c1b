// #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = AccountError)]
// pub struct Account { balance: Money }

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
    impl __es::Aggregate for Account {
        const NAME: &'static str = "account";
        const SHAPE: &'static str = "1: {balance:Money}";
        type Id = __es::String;
        type Event = AccountEvent;
        type Command = AccountCommand;
        type Error = AccountError;
    }
};
