// #[process(name = "transfer", event = TransferEvent, input = TransferInput, error = Refused, sends = Account, listens = AccountEvent)]
// struct Transfer {
//     from: String,
//     amount: i64,
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
    impl __es::Aggregate for Transfer {
        const NAME: &'static str = "transfer";
        const SHAPE: &'static str = "1: {from:String, amount:i64}";
        type Id = __es::String;
        type Event = TransferEvent;
        type Command = TransferInput;
        type Error = Refused;
    }
};
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
    impl __es::Sends<Account> for Transfer {}
    #[automatically_derived]
    impl __es::ListensTo<AccountEvent> for Transfer {}
    #[automatically_derived]
    impl __es::Wired for Transfer {
        fn wire(__wires: &mut impl __es::Wires<Self>) {
            let _ = &__wires;
            __wires.sends::<Account>();
            __wires.listens::<AccountEvent>();
        }
    }
};
