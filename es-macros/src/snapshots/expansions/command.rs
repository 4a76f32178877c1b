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
            __command: Self::Command,
        ) -> __es::Result<__es::Vec<Self::Event>, Self::Error> {
            match __es::its_command::<AccountCommand>(__command) {
                AccountCommand::Withdraw {
                    amount: __0,
                    r#type: __1,
                } => __es::events(self, (*self).withdraw(__0, __1)),
                AccountCommand::Move(__0) => __es::events(self, (*self).r#move(__0)),
                AccountCommand::Close {} => __es::events(self, (*self).close()),
            }
        }
    }
    struct withdraw;
    struct r#move;
    struct close;
    trait __MissingHandlers<__E, __R, __0, __1> {
        fn withdraw(&mut self, _: __0, _: __1) -> Self::Answer
        where
            Self: __es::HandlesCommand<withdraw, (Money, String), __E, __R, Answer = ()>,
        {
        }
        fn r#move(&mut self, _: __0) -> Self::Answer
        where
            Self: __es::HandlesCommand<r#move, (AccountId,), __E, __R, Answer = ()>,
        {
        }
        fn close(&mut self) -> Self::Answer
        where
            Self: __es::HandlesCommand<close, (), __E, __R, Answer = ()>,
        {
        }
    }
    impl<__A: __es::Aggregate, __0, __1> __MissingHandlers<__A::Event, __A::Error, __0, __1> for __A {}
};
