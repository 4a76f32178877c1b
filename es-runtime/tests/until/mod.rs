//! Waiting for what must come, without pauses and not for ever.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

/// More than anything here takes, also on a machine with much else to do.
const DEADLINE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            yield_now().await;
        }
    };
    let answer = timeout(DEADLINE, asking).await;
    answer.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}
