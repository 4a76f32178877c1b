// #[command(aggregate = Account)]
// enum Never {}

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
    impl __es::Command for Never {
        fn name(&self) -> &'static str {
            match *self {}
        }
    }
    #[automatically_derived]
    impl __es::Decide for Account {
        fn decide(
            &self,
            __command: Self::Command,
        ) -> __es::Result<__es::Vec<Self::Event>, Self::Error> {
            match __command {}
        }
    }
};
