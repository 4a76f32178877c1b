//! The accounts service: it keeps the accounts, and tells the world about them.

pub mod balances;
pub mod bookings;
pub mod cash;
pub mod contract;
mod domain;
mod money;

pub use domain::{Account, AccountCommand, AccountError, AccountEvent, Payment};
use es_runtime::consume::{Consumer, Running, Source};
use es_runtime::feed::Serve;
use es_runtime::{Builder, Result, Service, Store};
pub use money::{Currency, Money, NotACurrency, NotMoney};

use self::balances::{Versions, v1, v2};
use self::bookings::{Booking, Bookings};
use self::cash::Cash;
use crate::import::Import;
#[cfg(feature = "schema")]
use crate::transfers::Transfer;
use crate::transfers::contract::Transfers;

/// What a release has: the bank grows while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The versions of `balances` that it keeps up to date.
    pub balances: Versions,
    /// The versions of the stream `accounts`: version 1 was published alone once, and some day it is
    /// not read any more.
    pub accounts: Versions,
}

impl From<Versions> for Release {
    fn from(balances: Versions) -> Self {
        let accounts = Versions::Both;
        Self { balances, accounts }
    }
}

/// Starts the service on its store; its feed listens on `listen`.
///
/// # Errors
/// As [`Builder::start`].
pub async fn start(store: Store, listen: &str, release: Release) -> Result<Service> {
    service(store, listen, release).start().await
}

/// The description of the service.
pub fn service(store: Store, listen: &str, release: Release) -> Builder {
    let Release { balances, accounts } = release;
    let mut bank = Service::builder("bank")
        .store(store)
        .aggregate::<Account>()
        .aggregate::<Import>()
        .process::<Booking>()
        .inputs::<Booking>()
        .project::<AccountEvent, Cash>()
        .publish::<Booking, Bookings>()
        .serve(feed(listen));
    bank = match accounts {
        Versions::One => bank.publish::<Account, contract::v1::Accounts>(),
        Versions::Two | Versions::Both => bank.publish::<Account, contract::Accounts>(),
    };
    if balances.has_v1() {
        bank = bank.project::<AccountEvent, v1::Balance>();
    }
    if balances.has_v2() {
        bank = bank.project::<AccountEvent, v2::Balance>();
    }
    if balances == Versions::Both {
        bank = bank.compare::<v1::Balance, v2::Balance>();
    }
    bank
}

/// Listens to what the transfers service asks for.
///
/// # Errors
/// When the inbox cannot be read.
pub async fn listen(accounts: &Service, transfers: impl Source) -> Result<Running> {
    Consumer::new("accounts", accounts.store().clone())
        .stream::<Transfers>(transfers)
        .handle(accounts.inputs::<Booking>()?)
        .start()
        .await
}

/// Where the streams are read, and, with the feature `schema`, what they look like.
fn feed(listen: &str) -> Serve {
    let serve = Serve::at(listen);
    #[cfg(feature = "schema")]
    let serve = serve.contract(contract());
    serve
}

/// What the bank says of itself: the same as [`service`] and
/// [`transfers::service`](crate::transfers::service) tell their builders.
#[cfg(feature = "schema")]
pub fn contract() -> es_runtime::schema::Contract {
    es_runtime::schema::Contract::service("bank")
        .description("Keeps the accounts of a bank, and tells what happens to them.")
        .aggregate::<Account>()
        .aggregate::<Import>()
        .aggregate::<Booking>()
        .aggregate::<Transfer>()
        .project::<AccountEvent, Cash>()
        .project::<AccountEvent, v1::Balance>()
        .project::<AccountEvent, v2::Balance>()
        .publish::<Account, contract::Accounts>()
        .publish::<Booking, Bookings>()
        .publish::<Transfer, Transfers>()
}
