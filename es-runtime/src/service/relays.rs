//! Starts a relay for each stream version over each transport, and tells how they are.

use std::time::Duration;

use tokio::sync::watch;

use super::supervise::Workers;
use crate::error::{Error, Kind, Result};
use crate::projection::Health;
use crate::publish::{Relay, RelayStatus, Route, Transport};
use crate::runtime::panic_message;
use crate::store::{EventStore, RelayId, Store, StreamVersion};

/// A transport of any type.
pub(super) trait Carrier: Send {
    fn name(&self) -> &str;
    /// Starts a relay for each of the streams.
    fn start(&self, fleet: &Fleet<'_>) -> Vec<Running>;
}

/// What all relays of a service have in common.
pub(super) struct Fleet<'a> {
    pub(super) service: &'a str,
    pub(super) store: &'a Store,
    pub(super) workers: &'a Workers,
    pub(super) lease: Duration,
    pub(super) streams: Vec<StreamVersion>,
}

type Running = (RelayId, watch::Sender<RelayStatus>);

impl<T: Transport + Clone> Carrier for T {
    fn name(&self) -> &str {
        Transport::name(self)
    }

    fn start(&self, fleet: &Fleet<'_>) -> Vec<Running> {
        let start = |stream: &StreamVersion| {
            let id = RelayId {
                transport: Transport::name(self).to_owned(),
                stream: stream.clone(),
            };
            let status = watch::Sender::new(RelayStatus::new());
            let relay = Relay {
                store: fleet.store.clone(),
                transport: self.clone(),
                id: id.clone(),
                route: Route::new(fleet.service, stream.clone()),
                owner: fleet.workers.owner().to_owned(),
                lease: fleet.lease,
                status: status.clone(),
                stop: fleet.workers.stop(),
            };
            let (running, shown) = (tokio::spawn(relay.run()), status.clone());
            let name = id.clone();
            fleet.workers.add(tokio::spawn(async move {
                let health = match running.await {
                    Ok(Ok(())) => Health::Finished,
                    Ok(Err(error)) => Health::Stopped {
                        reason: error.to_string(),
                    },
                    Err(error) => Health::Stopped {
                        reason: panic_message(error),
                    },
                };
                if let Health::Stopped { reason } = &health {
                    tracing::error!(relay = %name, %reason, "stopped");
                }
                shown.send_modify(|status| status.health = health);
            }));
            (id, status)
        };
        fleet.streams.iter().map(start).collect()
    }
}

/// The relays of a service.
#[derive(Default)]
pub(super) struct Relays(Vec<Running>);

impl Relays {
    pub(super) fn start(carriers: &[Box<dyn Carrier>], fleet: &Fleet<'_>) -> Self {
        Self(carriers.iter().flat_map(|of| of.start(fleet)).collect())
    }

    pub(super) fn status(&self) -> Vec<(RelayId, RelayStatus)> {
        let status = |(id, status): &Running| (id.clone(), status.borrow().clone());
        self.0.iter().map(status).collect()
    }

    /// Waits until each broker is known to have all that its streams have now.
    pub(super) async fn reached(&self, store: &Store) -> Result<()> {
        for (id, status) in &self.0 {
            let head = store.published_head(&id.stream).await?.position;
            let ended =
                |health: &Health| matches!(health, Health::Stopped { .. } | Health::Finished);
            let there = |status: &RelayStatus| status.cursor >= head || ended(&status.health);
            status.subscribe().wait_for(there).await.ok();
            let status = status.borrow().clone();
            if status.cursor < head {
                let reason = match status.health {
                    Health::Stopped { reason } => reason,
                    _ => "the service was shut down, or the version retired".to_owned(),
                };
                let worker = id.to_string();
                return Err(Error::new(Kind::Stopped { worker, reason }));
            }
        }
        Ok(())
    }
}
