//! The read model `cash`: where the bank's money came from and went, by currency.

use es_runtime::prelude::*;

use super::AccountEvent;

/// The money of one currency, in minor units: sums may be more than an amount of money can be.
///
/// The law of the bank: what the accounts hold and what is in transit between them is what was paid
/// in and not paid out.
#[derive(Clone, Debug, Default, PartialEq, Projection)]
#[projection(name = "cash", version = 1)]
pub struct Cash {
    /// Came in over the counter.
    pub paid_in: i64,
    /// Went out over the counter.
    pub paid_out: i64,
    /// Sent, and neither received nor returned.
    pub in_transit: i64,
}

impl Fold<AccountEvent> for Cash {
    fn keys(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = String> {
        let payment = event.data.payment();
        payment.map(|payment| payment.currency.to_string())
    }

    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        use AccountEvent::*;
        let mut cash = row.unwrap_or_default();
        match &event.data {
            Deposited(payment) => cash.paid_in += payment.amount.minor(),
            Withdrawn(payment) => cash.paid_out += payment.amount.minor(),
            Sent { payment, .. } => cash.in_transit += payment.amount.minor(),
            Received { payment, .. } | Returned(payment) => {
                cash.in_transit -= payment.amount.minor()
            }
            Opened { .. } | Closed => {}
        }
        Some(cash)
    }
}
