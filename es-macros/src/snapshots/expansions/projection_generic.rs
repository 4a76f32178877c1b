// #[projection(name = "balances", version = 1)]
// struct Balance<T> { amount: Vec<T>, owner: String }

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
    impl<T> __es::Projection for Balance<T>
    where
        Self: __es::Send + __es::Sync + 'static,
        Vec<T>: __es::Column,
    {
        const NAME: &'static str = "balances";
        const VERSION: u32 = 1;
        const COLUMNS: &'static [__es::ColumnDef] = &[
            __es::column::<<Vec<T> as __es::Column>::Stored>("amount"),
            __es::column::<<String as __es::Column>::Stored>("owner"),
        ];
        fn to_row(&self) -> __es::Result<__es::Row, __es::OutOfRange> {
            __es::Ok(__es::Vec::from([
                __es::Stored::into_value(<Vec<T> as __es::Column>::to_stored(&self.amount)?),
                __es::Stored::into_value(<String as __es::Column>::to_stored(&self.owner)?),
            ]))
        }
        fn from_row(__row: __es::Row) -> __es::Result<Self, __es::OutOfRange> {
            let [__amount, __owner] = __es::values(__row)?;
            __es::Ok(Self {
                amount: <Vec<T> as __es::Column>::from_stored(__es::Stored::from_value(__amount)?)?,
                owner: <String as __es::Column>::from_stored(__es::Stored::from_value(__owner)?)?,
            })
        }
    }
};
