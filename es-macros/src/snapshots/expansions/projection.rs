// #[projection(name = "balances", version = 2)]
// struct Balance { owner: String, #[projection(index)] r#type: Option<String> }

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
    impl __es::Projection for Balance {
        const NAME: &'static str = "balances";
        const VERSION: u32 = 2;
        const COLUMNS: &'static [__es::ColumnDef] = &[
            __es::column::<<String as __es::Column>::Stored>("owner"),
            __es::column::<<Option<String> as __es::Column>::Stored>("type"),
        ];
        const INDEXES: &'static [__es::IndexDef] = &[__es::many(&[1])];
        fn to_row(&self) -> __es::Result<__es::Row, __es::OutOfRange> {
            __es::Ok(__es::Vec::from([
                __es::Stored::into_value(<String as __es::Column>::to_stored(&self.owner)?),
                __es::Stored::into_value(<Option<String> as __es::Column>::to_stored(
                    &self.r#type,
                )?),
            ]))
        }
        fn from_row(__row: __es::Row) -> __es::Result<Self, __es::OutOfRange> {
            let [__owner, __type] = __es::values(__row)?;
            __es::Ok(Self {
                owner: <String as __es::Column>::from_stored(__es::Stored::from_value(__owner)?)?,
                r#type: <Option<String> as __es::Column>::from_stored(__es::Stored::from_value(
                    __type,
                )?)?,
            })
        }
    }
};
#[allow(dead_code, deprecated, private_interfaces, unused_qualifications)]
const _: () = {
    use ::es_runtime::__private as __es;
    impl Balance {
        #[doc = "The rows by `type`."]
        const BY_TYPE: __es::Index<Self, Option<String>> = __es::index(0);
    }
};
