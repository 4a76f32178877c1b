// #[process(name = "order", event = Event<C>, input = Input<C>, error = Refused, id = OrderId, sends = Stock<C>)]
// pub struct Order<C> { goods: C }

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
    impl<C> __es::Aggregate for Order<C>
    where
        Self: __es::Clone + __es::Default + __es::Send + __es::Sync + 'static,
        Event<C>: __es::Event,
        Input<C>: __es::Command,
        Refused: __es::StdError + __es::Send + __es::Sync + 'static,
    {
        const NAME: &'static str = "order";
        const SHAPE: &'static str = "1: {goods:C}";
        type Id = OrderId;
        type Event = Event<C>;
        type Command = Input<C>;
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
    impl<C> __es::Sends<Stock<C>> for Order<C> {}
    #[automatically_derived]
    impl<C> __es::Wired for Order<C>
    where
        Self: __es::Clone + __es::Default + __es::Send + __es::Sync + 'static,
        Event<C>: __es::Event,
        Input<C>: __es::Command,
    {
        fn wire(__wires: &mut impl __es::Wires<Self>) {
            let _ = &__wires;
            __wires.sends::<Stock<C>>();
        }
    }
};
