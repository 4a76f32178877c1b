// #[integration(stream = "accounts", version = 2)]
// pub enum Accounts { AccountOpened { account: String }, BalanceChanged { balance: i64 } }

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
    impl __es::IntegrationEvent for Accounts {
        const STREAM: &'static str = "accounts";
        const VERSION: u32 = 2;
        const TYPES: &'static [__es::IntegrationType] = &[
            __es::IntegrationType {
                variant: "AccountOpened",
                name: "account-opened",
            },
            __es::IntegrationType {
                variant: "BalanceChanged",
                name: "balance-changed",
            },
        ];
    }
    const _: () = ::core::assert!(
        !{
            use __es::NotInternal as _;
            __es::Probe::<Accounts>::INTERNAL
        },
        "[ES0011] `Accounts` is internal and is never published; publish an integration event made from it: an enum of its own"
    );
};
