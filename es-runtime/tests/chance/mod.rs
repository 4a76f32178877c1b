//! What is left to chance, and for how long.

use std::env;
use std::time::Duration;

/// The time for one of four tests.
pub(crate) fn time() -> Duration {
    let seconds = env::var("ES_TORTURE_SECONDS").ok();
    let seconds = seconds.map_or(60, |text| {
        text.parse().expect("ES_TORTURE_SECONDS is a number")
    });
    Duration::from_secs(seconds) / 4
}

/// The seed that is named, or a new one; printed, so that it can be named.
pub(crate) fn seed() -> u64 {
    let named = env::var("ES_SEED").ok();
    let seed = named.map_or_else(|| fastrand::u64(..), |text| text.parse().expect("a seed"));
    println!("ES_SEED={seed}");
    seed
}
