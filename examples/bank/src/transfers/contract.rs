//! What the transfers service tells the world: what it asks of the accounts, and what the customers
//! should hear.

use es_runtime::prelude::*;

use super::{Phase, Transfer, TransferEvent};
use crate::accounts::{Currency, Money};

/// Something that an account is to do with money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Request {
    /// Names it for ever, and its answer: the transfer, and which of its steps.
    pub booking: String,
    /// The account.
    pub account: String,
    /// How much, in minor units.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// What for.
    pub text: String,
}

/// What is asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[integration(stream = "transfers", version = 1)]
pub enum Transfers {
    /// Money is to leave an account.
    DebitRequested {
        /// What is asked for.
        request: Request,
        /// The receiver's account.
        to: String,
    },
    /// Money is to arrive.
    CreditRequested {
        /// What is asked for.
        request: Request,
        /// The sender's account.
        from: String,
    },
    /// Money is to go back to the account that it left.
    RefundRequested {
        /// What is asked for.
        request: Request,
    },
    /// Nothing came of a transfer, and the money is where it was.
    TransferFailed {
        /// The transfer.
        transfer: String,
        /// The account that it was to leave.
        account: String,
        /// Why.
        why: String,
    },
}

impl Publish<Transfer> for Transfers {
    fn publish(event: &Recorded<TransferEvent>, after: &Transfer) -> impl IntoEvents<Self> {
        use TransferEvent::*;
        let (from, to) = (after.from.clone(), after.to.clone());
        let request = |account: &str| Request {
            booking: format!("{}.{}", event.id(), after.step),
            account: account.to_owned(),
            amount: after.payment.amount,
            currency: after.payment.currency,
            text: after.payment.text.clone(),
        };
        let failed = |why: &str| Self::TransferFailed {
            transfer: event.id().to_owned(),
            account: after.from.clone(),
            why: why.to_owned(),
        };
        let back = || Self::RefundRequested {
            request: request(&after.from),
        };
        match &event.data {
            Requested { .. } => Some(Self::DebitRequested {
                request: request(&from),
                to,
            }),
            Taken if after.phase == Phase::Returning => Some(back()),
            Taken => Some(Self::CreditRequested {
                request: request(&to),
                from,
            }),
            Bounced { .. } | SentBackAgain => Some(back()),
            Refused { why } => Some(failed(why)),
            Returned => Some(failed(&after.why)),
            TimedOut | Stranded { .. } | Completed => None,
        }
    }
}
