//! Nothing that the derives emit is warned of, whatever the user lints for.
#![deny(warnings, missing_docs, unused, unused_qualifications, unreachable_pub, single_use_lifetimes)]
#![deny(rust_2018_idioms, missing_debug_implementations, missing_copy_implementations, let_underscore_drop)]
#![deny(explicit_outlives_requirements, trivial_casts, unit_bindings, unused_results, variant_size_differences)]

use es_runtime::prelude::*;

mod bank {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize, Event)]
    #[event(name = "account", aggregate = Account)]
    #[allow(non_camel_case_types, dead_code)]
    pub(super) enum AccountEvent {
        Opened { owner: String },
        #[deprecated]
        Limit_Raised { limit: i64 },
        Closed,
    }

    #[derive(Clone, Command)]
    #[command(aggregate = Account)]
    #[allow(dead_code)]
    pub(super) enum AccountCommand {
        Open { owner: String },
        Close,
    }

    #[derive(Clone, Default, Aggregate)]
    #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
    pub(super) struct Account;

    // Private, and used by the derives alone.
    impl Account {
        fn open(&self, owner: String) -> Result<AccountEvent, std::fmt::Error> {
            Ok(AccountEvent::Opened { owner })
        }

        fn close(&self) -> Result<Option<AccountEvent>, std::fmt::Error> {
            Ok(Some(AccountEvent::Closed))
        }

        fn on_opened(&mut self, _owner: &str) {}

        fn on_limit_raised(&mut self, _limit: &i64) {}

        fn on_closed(&mut self) {}
    }

    #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    #[allow(dead_code)]
    pub(super) enum Accounts {
        AccountOpened { account: String },
    }

    #[derive(Projection)]
    #[projection(name = "balances", version = 1)]
    #[allow(dead_code)]
    pub(super) struct Balance {
        #[projection(index)]
        owner: String,
    }
}

fn main() {
    drop(given::<bank::Account>([]).when(bank::AccountCommand::Close));
}
