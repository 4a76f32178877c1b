//! Generic enums and states: parameters, bounds and where-clauses go through to the impls.
#![deny(warnings)]

use std::fmt::{Debug, Error};

use es_runtime::projection::Column;
use es_runtime::prelude::*;
use serde::de::DeserializeOwned;

pub trait Currency:
    Clone + Copy + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Krone;

impl Currency for Krone {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account<C, 3>)]
#[serde(bound = "")]
pub enum AccountEvent<C: Currency> {
    Opened { currency: C, limits: [u8; 3] },
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account<C, 3>)]
pub enum AccountCommand<C>
where
    C: Currency,
{
    Open(C),
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent<C>, command = AccountCommand<C>, error = Error)]
pub struct Account<C: Currency, const N: usize> {
    currency: Option<C>,
}

impl<C: Currency> Account<C, 3> {
    fn open(&self, currency: C) -> Result<AccountEvent<C>, Error> {
        Ok(AccountEvent::Opened { currency, limits: [0; 3] })
    }

    fn on_opened(&mut self, currency: &C, _limits: &[u8; 3]) {
        self.currency = Some(*currency);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
#[serde(bound = "")]
pub enum Accounts<C: Currency> {
    AccountOpened { currency: C },
}

#[derive(Projection)]
#[projection(name = "balances", version = 1, index(owner, amount))]
pub struct Balance<T: Send + Sync + 'static> {
    #[projection(index)]
    pub amount: Option<T>,
    #[projection(unique)]
    pub owner: String,
}

fn projected<T: Column + Send + Sync + 'static>() -> usize {
    assert_eq!(Balance::<T>::BY_AMOUNT.def().columns, [0]);
    assert!(Balance::<T>::BY_OWNER.def().unique);
    assert_eq!(Balance::<T>::BY_OWNER_AND_AMOUNT.def().columns, [1, 0]);
    Balance::<T>::COLUMNS.len()
}

fn main() {
    let events = [AccountEvent::Opened { currency: Krone, limits: [0; 3] }];
    let state = given::<Account<Krone, 3>>([]).when(AccountCommand::Open(Krone)).then(events);
    assert_eq!(state.currency, Some(Krone));
    assert_eq!(AccountEvent::<Krone>::TYPES[0].name, "account.opened");
    assert_eq!(Accounts::<Krone>::TYPES[0].name, "account-opened");
    assert_eq!(projected::<i64>(), 2);
}
