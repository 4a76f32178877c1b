//! A transfer: two accounts, two commands, and a way back.

use es_runtime::prelude::*;
use es_runtime::{Receipt, Result, Service};

use super::{Account, AccountCommand, Payment};

/// Moves money from one account to another; what the receiver refuses goes back.
///
/// The commands' ids are made from `id`, so that a transfer that was interrupted is completed by
/// asking for it again with the same id: what was done answers as it did, the rest is done now.
///
/// # Errors
/// [`is_rejected`](es_runtime::Error::is_rejected) when either account says no; then no money has
/// moved. After any other error, ask again.
pub async fn transfer(
    bank: &Service,
    id: &str,
    (from, to): (&str, &str),
    payment: Payment,
) -> Result<[Receipt; 2]> {
    let step = async |name, account, command| {
        let step = CommandId::of(format!("{id}/{name}"));
        let execute = bank.execute::<Account>(account, command).id(step);
        execute.correlation(id).actor("transfer").await
    };
    let (sent, received) = (payment.clone(), payment.clone());
    let send = AccountCommand::Send {
        to: to.to_owned(),
        payment: sent,
    };
    let receive = AccountCommand::Receive {
        from: from.to_owned(),
        payment: received,
    };

    let out = step("out", from, send).await?;
    match step("in", to, receive).await {
        Ok(into) => Ok([out, into]),
        Err(refused) => {
            if refused.is_rejected() {
                step("back", from, AccountCommand::TakeBack(payment)).await?;
            }
            Err(refused)
        }
    }
}
