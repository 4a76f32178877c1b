//! What is measured here.

use crate::support::cases::{Case, case, figures};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    case(
        "integration_build",
        0.6,
        "an integration stream from the first event of 10,000 accounts, mapped with each account's \
         state, by a service; the program of `by_hand.rs`",
    ),
    figures(
        "integration_build_spread",
        "the same with half as many accounts as events, so that not all states fit into memory: \
         ours reads what it forgot, the program by hand forgets nothing",
    ),
    case(
        "relay_rabbitmq",
        0.7,
        "100,000 events at most, sent to RabbitMQ by a relay, from a service's start on until all \
         are confirmed and the cursor says so; a loop around `lapin` with as many messages under \
         way, which are in memory",
    ),
    case(
        "feed_pages",
        0.5,
        "the stream over HTTP in pages of 1,000 CloudEvents, by one client on one connection; the \
         same rows by `SELECT` in pages of 1,000",
    ),
];
