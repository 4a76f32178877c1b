//! Waiting for transfers to come to their end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use es_runtime::event::CommandId;
use es_runtime::store::{EventStore, LogQuery};
use es_runtime::{Receipt, Result, Service};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Transfer, TransferEvent, TransferInput};
use crate::accounts::Payment;

/// Follows the log of the transfers service, for those who wait for a transfer. The transfers need
/// nobody who waits.
#[derive(Clone, Debug)]
pub struct Ends {
    transfers: Service,
    waiting: Arc<Waiting>,
    _following: Arc<JoinSet<()>>,
}

/// Those who wait, by transfer.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<String, Arc<Notify>>>);

impl Waiting {
    fn on(&self, id: &str) -> Arc<Notify> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(id.to_owned()).or_default().clone()
    }

    fn tell(&self, id: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = waiting.remove(id) {
            ended.notify_waiters();
        }
    }
}

impl Ends {
    /// Follows the service from now on, until the last clone is dropped.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn follow(transfers: &Service) -> Result<Self> {
        let (waiting, mut following) = (Arc::<Waiting>::default(), JoinSet::new());
        let (store, told) = (transfers.store().clone(), waiting.clone());
        let mut after = store.head().await?;
        following.spawn(async move {
            loop {
                let mut replay = store.replay::<TransferEvent>(LogQuery::after(after));
                // A log that cannot be read is asked again.
                while let Ok(Some(event)) = replay.next().await {
                    after = event.position;
                    if event.data.is_last() {
                        told.tell(event.id());
                    }
                }
                store.wait_for_append(after).await;
            }
        });
        Ok(Self {
            transfers: transfers.clone(),
            waiting,
            _following: Arc::new(following),
        })
    }

    /// Asks for a transfer, and waits until it is over: the receipt for having asked, or why nothing
    /// came of it. Asked again with the same id, it is the same transfer.
    ///
    /// # Errors
    /// When the service cannot be asked. A transfer that was asked for goes on all the same.
    pub async fn transfer(
        &self,
        id: &str,
        (from, to): (&str, &str),
        payment: Payment,
    ) -> Result<Result<Receipt, String>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let request = TransferInput::Request { from, to, payment };
        let asked = self.transfers.execute::<Transfer>(id, request);
        let asked = asked.id(CommandId::of(id)).correlation(id).await?;
        loop {
            // What ends from here on is heard; what ended before is found.
            let ended = self.waiting.on(id);
            let told = ended.notified();
            let transfer = self.transfers.load::<Transfer>(id).await?;
            if let Some(outcome) = transfer.state().outcome() {
                self.waiting.tell(id);
                return Ok(outcome.map(|()| asked));
            }
            told.await;
        }
    }
}

impl TransferEvent {
    /// Whether the transfer is over with it.
    fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Returned | Self::Refused { .. }
        )
    }
}
