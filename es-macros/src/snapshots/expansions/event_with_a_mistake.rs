// #[event(nmae = "account", aggregate = Account)]
// enum AccountEvent { Opened { owner: String } }

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
        const NAME: &'static str = "";
        const TYPES: &'static [__es::EventType] = &[];
    }
    #[automatically_derived]
    impl __es::Evolve for Account {
        fn evolve(&mut self, __event: &Self::Event) {
            ::core::unreachable!()
        }
    }
};
