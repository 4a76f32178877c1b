//! What is measured here.

use crate::support::cases::{Case, case, figures};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    case(
        "append_1",
        0.8,
        "one writer, one event an append; one `INSERT` a commit with a sequence",
    ),
    case(
        "append_8",
        1.0,
        "8 writers in one process; 8 connections with one `INSERT` a commit",
    ),
    case("append_32", 1.5, "the same with 32"),
    case(
        "append_128",
        3.5,
        "the same with 128; p99 of ours under 4 times its p50",
    ),
    case("append_256", 5.0, "the same with 256"),
    figures(
        "named_32",
        "`append_32` with commands that may come again: each id is kept in a row of its own",
    ),
    figures("named_128", "the same with 128"),
    case(
        "append_32x4",
        0.6,
        "4 processes of 8 writers, on both sides",
    ),
    case(
        "append_128x4",
        2.2,
        "4 processes of 32 writers, on both sides",
    ),
    case(
        "batch_100",
        0.6,
        "100 events an append; `COPY` of 100 rows a commit",
    ),
    case(
        "import",
        0.7,
        "a log from a file; one bare `COPY` of the same rows into the same table",
    ),
    figures(
        "import_named",
        "the same with a row for the command of each event; the `COPY` is without",
    ),
    case(
        "command_32",
        1.2,
        "32 callers of `execute` on 1,000 accounts of 10 events; `SELECT` of the stream, one \
         `INSERT` and the commit, by hand",
    ),
    case("command_128", 1.3, "the same with 128 callers"),
    case(
        "command_cached_128",
        2.5,
        "the same, with a cache of 1,000 aggregates on our side",
    ),
    case(
        "replay",
        0.8,
        "the log as typed events; the same rows streamed, payloads decoded with serde_json",
    ),
    case(
        "load_10k",
        0.8,
        "an account of 10,000 events; `SELECT` of the stream, payloads decoded with serde_json",
    ),
    figures(
        "load_10k_snapshot",
        "the same account with a snapshot and 50 events after it; under 2 ms",
    ),
    case(
        "sqlite_append_128",
        10.0,
        "128 callers, `synchronous=FULL`; one caller of rusqlite with one `INSERT` a commit",
    ),
    case(
        "sqlite_replay",
        0.5,
        "the log as typed events; rusqlite, payloads decoded with serde_json",
    ),
    figures(
        "follower",
        "an event committed at 1,000 a second, until another process has it; `LISTEN` with the \
         event in the notification. p50 within 6 ms of it, p99 under 40 ms",
    ),
    figures(
        "bytes",
        "bytes of an event on disk, without metadata; under 1.6 times its payload + 150",
    ),
    figures(
        "growth",
        "appends, pages and streams of a small and a large log; bare statements on the same \
         table. Slower by no more than 1.15 times what they are",
    ),
];
