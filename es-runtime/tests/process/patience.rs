//! How long transfers wait.

use std::time::Duration;

/// How long somebody has to accept.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// When what could not go back is tried again.
pub(crate) const AGAIN: Duration = Duration::from_secs(3600);
