//! The transfers service: it moves money between accounts that another service keeps. The two speak
//! in streams alone, and neither has to be there when the other one says something.

pub mod contract;
mod ends;
mod transfer;

pub use ends::Ends;
use es_runtime::consume::{Consumer, Running, Source};
use es_runtime::{Builder, Result, Service, Store};
pub use transfer::{
    AGAIN, AlreadyRequested, PATIENCE, Phase, Transfer, TransferEvent, TransferInput,
};

use self::contract::Transfers;
use crate::accounts::bookings::Bookings;

/// The description of the service; its feed listens on `listen`.
pub fn service(store: Store, listen: &str) -> Builder {
    Service::builder("transfers")
        .store(store)
        // The bank speaks with one voice.
        .namespace("bank")
        .process::<Transfer>()
        .inputs::<Transfer>()
        .publish::<Transfer, Transfers>()
        .serve(listen)
}

/// Listens to what the accounts answer.
///
/// # Errors
/// When the inbox cannot be read.
pub async fn listen(transfers: &Service, accounts: impl Source) -> Result<Running> {
    Consumer::new("transfers", transfers.store().clone())
        .stream::<Bookings>(accounts)
        .handle(transfers.inputs::<Transfer>()?)
        .start()
        .await
}
