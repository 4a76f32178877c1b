// #[integration(stream = "accounts", version = 1)]
// enum Accounts<T> { AccountOpened(T) }

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
    impl<T> __es::IntegrationEvent for Accounts<T>
    where
        Self: __es::Serialize
            + __es::DeserializeOwned
            + __es::Clone
            + __es::Send
            + __es::Sync
            + 'static,
    {
        const STREAM: &'static str = "accounts";
        const VERSION: u32 = 1;
        const TYPES: &'static [__es::IntegrationType] = {
            ::core::assert!(
                !{
                    use __es::NotInternal as _;
                    __es::Probe::<Accounts<T>>::INTERNAL
                },
                "[ES0011] `Accounts` is internal and is never published; publish an integration event made from it: an enum of its own"
            );
            &[__es::IntegrationType {
                variant: "AccountOpened",
                name: "account-opened",
            }]
        };
    }
    #[automatically_derived]
    impl<T> __es::InternalIsNeverPublished_ES0011 for Accounts<T> {}
};
