//! What is measured here.

use crate::support::cases::{Case, case, figures};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    case(
        "consume_inbox",
        0.6,
        "a stream of 10,000 accounts from the first event, by a consumer with its inbox in \
         PostgreSQL, one row written for each event; the program of `by_hand.rs` reads the same \
         envelopes and does the same in transactions as large",
    ),
    case(
        "consume_inbox_sqlite",
        0.6,
        "the same with the inbox in SQLite",
    ),
    figures(
        "consume_parts",
        "the same in PostgreSQL, in four parts side by side; the program by hand does one \
         transaction after the other",
    ),
    figures(
        "effect_elsewhere",
        "200 commands a second: from the moment at which one is asked for until its effect is \
         committed in another service, in another process with a database of its own, which reads \
         the feed, or hears of events over RabbitMQ. p50 under 30 ms",
    ),
];
