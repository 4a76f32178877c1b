//! Forgets command ids that are older than the service keeps them.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Clock, Timestamp};
use crate::runtime::Stop;
use crate::store::EventStore;

/// Commands that are forgotten in one transaction.
const AT_ONCE: usize = 1000;

/// Each pass goes over all that is kept.
const SELDOM: Duration = Duration::from_hours(24);
const OFTEN: Duration = Duration::from_mins(1);

/// Forgets now, and from time to time, until it is asked to stop. What it could not forget now is
/// forgotten with the next pass.
pub(super) async fn run<S: EventStore>(
    store: S,
    clock: Arc<dyn Clock>,
    keep: Duration,
    mut stop: Stop,
) {
    let pause = (keep / 10).clamp(OFTEN, SELDOM);
    let work = async {
        loop {
            let before = before(clock.now(), keep);
            match store.forget_commands(before, AT_ONCE).await {
                Ok(commands) => tracing::debug!(%before, commands, "forgot command ids"),
                Err(error) => tracing::warn!(%error, "could not forget command ids; later again"),
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.asked() => {}
    }
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    let ago = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(ago))
}
