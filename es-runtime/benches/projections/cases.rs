//! What is measured here.

use crate::support::cases::{Case, case, figures};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    case(
        "rebuild_keyed",
        0.6,
        "a read model of 10,000 accounts from the first event, by a service; the program of \
         `by_hand.rs`",
    ),
    case(
        "rebuild_keyed_spread",
        0.6,
        "the same with half as many accounts as events: most rows are written as often as there \
         are events, and not all fit into memory",
    ),
    figures(
        "rebuild_memory",
        "the most memory that a service took for a rebuild, of logs of two lengths",
    ),
    figures(
        "execute_during_rebuild",
        "500 commands a second, each for a new account, with and without a rebuild in the same \
         process; the median slower by no more than 1.2 times",
    ),
    figures(
        "row_visible",
        "500 commands a second: from a command's acknowledgement until its row is read, in its own \
         process, and in another one that runs the same service and is told the position; `LISTEN` \
         and one upsert for what was heard, in a process that does nothing else. p50 under 15 ms, \
         p99 under 60 ms",
    ),
];
