// #[command(aggregate = Account)]
// pub enum AccountCommand {
//     Withdraw { amount: Money, r#type: String },
//     Move(AccountId),
//     #[command(name = "shut")]
//     Close,
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
    impl __es::Command for AccountCommand {
        fn name(&self) -> &'static str {
            match self {
                Self::Withdraw { .. } => "withdraw",
                Self::Move { .. } => "move",
                Self::Close { .. } => "shut",
            }
        }
    }
    #[automatically_derived]
    impl __es::Decide for Account {
        fn decide(
            &self,
            __command: AccountCommand,
        ) -> __es::Result<__es::Vec<Self::Event>, Self::Error> {
            match __command {
                AccountCommand::Withdraw {
                    amount: __amount,
                    r#type: __type,
                } => __es::Result::map(
                    (*self).withdraw(__amount, __type),
                    __es::IntoEvents::<Self::Event>::into_events,
                ),
                AccountCommand::Move(__0) => __es::Result::map(
                    (*self).r#move(__0),
                    __es::IntoEvents::<Self::Event>::into_events,
                ),
                AccountCommand::Close {} => __es::Result::map(
                    (*self).close(),
                    __es::IntoEvents::<Self::Event>::into_events,
                ),
            }
        }
    }
    trait __MissingHandlers: __es::Aggregate {
        fn withdraw<__0, __1>(
            &mut self,
            _: __0,
            _: __1,
        ) -> __es::Result<__es::Vec<Self::Event>, Self::Error>
        where
            Self: __HandlesWithdraw<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
        fn r#move<__0>(&mut self, _: __0) -> __es::Result<__es::Vec<Self::Event>, Self::Error>
        where
            Self: __HandlesMove<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
        fn close(&mut self) -> __es::Result<__es::Vec<Self::Event>, Self::Error>
        where
            Self: __HandlesClose<Self::Event, Self::Error>,
        {
            ::core::unreachable!()
        }
    }
    impl<__A: __es::Aggregate> __MissingHandlers for __A {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountCommand::Withdraw` [ES0015]",
        label = "`{Self}` has no method `withdraw` that is visible here",
        note = "write: fn withdraw(&self, amount: Money, r#type: String) -> Result<impl IntoEvents<{Event}>, {Error}>"
    )]
    trait __HandlesWithdraw<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesWithdraw<Event, Error> for () {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountCommand::Move` [ES0015]",
        label = "`{Self}` has no method `r#move` that is visible here",
        note = "write: fn r#move(&self, _0: AccountId) -> Result<impl IntoEvents<{Event}>, {Error}>"
    )]
    trait __HandlesMove<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesMove<Event, Error> for () {}
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no handler for `AccountCommand::Close` [ES0015]",
        label = "`{Self}` has no method `close` that is visible here",
        note = "write: fn close(&self) -> Result<impl IntoEvents<{Event}>, {Error}>"
    )]
    trait __HandlesClose<Event, Error> {}
    #[diagnostic::do_not_recommend]
    impl<Event, Error> __HandlesClose<Event, Error> for () {}
};
