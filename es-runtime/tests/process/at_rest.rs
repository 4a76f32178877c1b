//! What is known of accounts and transfers at rest.

use std::collections::{BTreeMap, BTreeSet};

use es_runtime::prelude::*;
use es_runtime::store::LogQuery;
use es_runtime::{Result, Service, Store};
use fastrand::Rng;

use crate::bank::{Account, AccountEvent};
use crate::remittance::{self, Remittance, RemittanceEvent};

const ACCOUNTS: usize = 4;

/// Any of the accounts that there may be.
pub(crate) fn account(random: &mut Rng) -> String {
    format!("account {}", random.usize(..ACCOUNTS))
}

/// The events of one kind of stream, in the order of the log.
pub(crate) async fn all<E: Event>(store: &Store) -> Result<Vec<Recorded<E>>> {
    let mut replay = store.replay::<E>(LogQuery::after(Position::START));
    let mut all = Vec::new();
    while let Some(event) = replay.next().await? {
        all.push(event);
    }
    Ok(all)
}

/// What each account has.
pub(crate) async fn balances(bank: &Service) -> BTreeMap<String, i64> {
    let mut balances = BTreeMap::new();
    for account in 0..ACCOUNTS {
        let account = format!("account {account}");
        let loaded = bank.load::<Account>(&account).await.unwrap();
        balances.insert(account, loaded.state().balance);
    }
    balances
}

/// What became of each transfer in a service of their own.
pub(crate) async fn remittances(service: &Service) -> BTreeMap<String, Remittance> {
    let events = all::<RemittanceEvent>(service.store()).await.unwrap();
    let ids: BTreeSet<_> = events.iter().map(|event| event.id()).collect();
    let mut remittances = BTreeMap::new();
    for id in ids {
        let remittance = service.load::<Remittance>(id).await.unwrap();
        remittances.insert(id.to_owned(), remittance.state().clone());
    }
    remittances
}

/// Accounts and transfers in two services at rest: what went into the bank is in it, or on its way; and
/// each step was done once. `inside` is what the accounts have.
pub(crate) fn between(
    events: &[Recorded<AccountEvent>],
    mut inside: i64,
    transfers: BTreeMap<String, Remittance>,
) {
    let mut outside = 0;
    let mut moved = BTreeMap::<&str, Vec<i64>>::new();
    for event in events {
        let amount = match event.data {
            AccountEvent::Deposited { amount } => amount,
            AccountEvent::Withdrawn { amount } => -amount,
            _ => continue,
        };
        let booking = event.metadata.actor.as_deref();
        match booking.and_then(|actor| actor.strip_prefix("booking-")) {
            Some(booking) => {
                let (transfer, _) = booking.split_once('.').unwrap();
                moved.entry(transfer).or_default().push(amount);
            }
            None => outside += amount,
        }
    }
    for (id, transfer) in &transfers {
        use remittance::Phase;
        let Remittance { amount, phase, .. } = *transfer;
        let moved = moved.remove(id.as_str()).unwrap_or_default();
        let expected = match phase {
            Phase::Failed => vec![],
            Phase::Stuck => vec![-amount],
            Phase::Done | Phase::Returned => vec![-amount, amount],
            other => panic!("{id} is at rest and {other:?}"),
        };
        assert_eq!(moved, expected, "{id} is {phase:?}");
        if phase == Phase::Stuck {
            inside += amount;
        }
    }
    assert!(moved.is_empty(), "moved by nobody: {moved:?}");
    assert_eq!(inside, outside);
}
