//! No money is lost, and none was made.

use std::collections::{BTreeMap, BTreeSet};

use es_runtime::{Service, Store};

use crate::at_rest::{all, balances};
use crate::bank::AccountEvent;
use crate::transfer::{Phase, Transfer, TransferEvent};

/// A bank at rest: what went into it and out of it is what is in it now, and each transfer did each
/// of its steps once.
pub(crate) async fn check(store: &Store, bank: &Service) {
    let mut outside = 0;
    let mut moved = BTreeMap::<String, Vec<i64>>::new();
    for event in all::<AccountEvent>(store).await.unwrap() {
        let amount = match event.data {
            AccountEvent::Deposited { amount } => amount,
            AccountEvent::Withdrawn { amount } => -amount,
            _ => continue,
        };
        match event.metadata.actor {
            Some(transfer) => moved.entry(transfer).or_default().push(amount),
            None => outside += amount,
        }
    }
    let mut inside: i64 = balances(bank).await.values().sum();
    let transfers = all::<TransferEvent>(store).await.unwrap();
    let transfers: BTreeSet<_> = transfers.iter().map(|event| event.id()).collect();
    for id in transfers {
        let transfer = bank.load::<Transfer>(id).await.unwrap();
        let Transfer { amount, phase, .. } = transfer.state();
        let (amount, phase) = (*amount, *phase);
        let moved = moved.remove(&format!("transfer-{id}")).unwrap_or_default();
        // Each step was done once, and none that the transfer does not know of.
        let expected = match phase {
            Phase::Failed => vec![],
            Phase::Held | Phase::Stuck => vec![-amount],
            Phase::Done | Phase::Returned => vec![-amount, amount],
            other => panic!("{id} is at rest and {other:?}"),
        };
        assert_eq!(moved, expected, "{id} is {phase:?}");
        if matches!(phase, Phase::Held | Phase::Stuck) {
            inside += amount;
        }
    }
    assert!(moved.is_empty(), "moved by nobody: {moved:?}");
    assert_eq!(inside, outside);
}
