//! A log of accounts whose events come in no order of theirs, as in a service.

use std::fmt::Write as _;

use es_runtime::event::{CommandId, StreamId};
use es_runtime::postgres::PgConnection;
use fastrand::Rng;

use super::database::{copy, execute};

const COPY: &str = "
    COPY es.event (position, stream, version, slice, type, schema_version, min_reader, command_id,
                   payload, metadata, occurred_at) FROM STDIN";

/// Events in one `COPY`.
const CHUNK: usize = 50_000;

/// One account, as far as its next event depends on it.
#[derive(Clone, Copy, Default)]
struct Account {
    version: u64,
    open: bool,
}

/// Fills an empty log with so many events of so many accounts.
pub(crate) async fn fill(connection: &mut PgConnection, events: usize, accounts: usize) {
    let mut random = Rng::with_seed(events as u64 ^ accounts as u64);
    let mut known = vec![Account::default(); accounts];
    let mut text = String::new();
    for position in 1..=events {
        let n = random.usize(..accounts);
        event(&mut text, position, n, &mut known[n], &mut random);
        if position % CHUNK == 0 || position == events {
            copy(connection, COPY, std::mem::take(&mut text)).await;
        }
    }
    // What autovacuum would do in the middle of a measurement.
    execute(connection, "VACUUM ANALYZE es.event").await;
    execute(connection, "CHECKPOINT").await;
}

/// A line of the next event of the `n`th account.
fn event(text: &mut String, position: usize, n: usize, account: &mut Account, random: &mut Rng) {
    let amount = random.u32(1..1_000_000);
    let moved = format!(
        r#"{{"amount":{amount},"reference":"a payment for something that was bought in a shop around the corner, {position}"}}"#
    );
    let (name, payload) = match random.u32(..1000) {
        _ if !account.open => (
            "opened",
            format!(r#"{{"owner":"the owner of account {n}","currency":"DKK"}}"#),
        ),
        ..2 => ("closed", "{}".to_owned()),
        2..12 => (
            "renamed",
            format!(r#"{{"owner":"owner {position} of account {n}"}}"#),
        ),
        12..500 => ("withdrawn", moved),
        500.. => ("deposited", moved),
    };
    account.open = name != "closed";
    account.version += 1;
    // Ids in no order, as those that nobody counts.
    let id = n as u64 * 2_654_435_761 % (1 << 32);
    let stream = StreamId::new("account", id).expect("an id");
    let (slice, command, version) = (stream.slice(), CommandId::random(), account.version);
    writeln!(
        text,
        "{position}\t{stream}\t{version}\t{slice}\taccount.{name}\t1\t1\t{command}\t{payload}\t\
         {{\"actor\":\"bench\"}}\t2026-01-01 00:00:00+00"
    )
    .expect("memory");
}
