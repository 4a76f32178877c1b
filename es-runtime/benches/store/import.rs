//! A whole log from a file, against a bare `COPY` of its events into the same table.

use std::path::Path;
use std::time::Instant;

use es_runtime::event::{Position, Timestamp};
use es_runtime::ops;
use es_runtime::postgres::PgConnection;
use es_runtime::store::{EventStore, Store};
use es_servers::Postgres;
use futures_util::TryStreamExt;
use tempfile::TempDir;

use crate::Size;
use crate::growth::{Commands, Ids, fill};
use crate::measure::{Comparison, Round, in_turn};
use crate::rows::connect;

/// Each round into a log of its own.
pub(crate) async fn import(
    server: &Postgres,
    name: &str,
    commands: Commands,
    size: Size,
) -> Comparison {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    let mut connection = connect(&url).await;
    let events = size.events as u64;
    fill(&mut connection, 0, events, Ids::Numbers, commands).await;
    let rows = rows(&mut connection).await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("log.jsonl");
    let exported = ops::export(&store, &file, Position::START, Timestamp::default(), |_| {});
    exported.await.expect("an export");
    store.close().await;
    in_turn!(
        name,
        size,
        ours(server, &file, size.events),
        bare(server, &rows, size.events)
    )
}

async fn ours(server: &Postgres, file: &Path, events: usize) -> Round {
    let store = Store::connect(&server.database()).await.expect("the store");
    let began = Instant::now();
    let imported = ops::import(&store, file, |_| {}).await.expect("an import");
    let round = Round::of(events, began.elapsed());
    assert_eq!(imported.events, events as u64);
    store.close().await;
    round
}

/// The rows of the log as `COPY` writes and reads them, in pieces.
async fn rows(connection: &mut PgConnection) -> Vec<Vec<u8>> {
    const PIECE: usize = 1 << 20;
    let copy = connection.copy_out_raw("COPY es.event TO STDOUT").await;
    let mut copy = copy.expect("a copy");
    let (mut pieces, mut piece) = (Vec::new(), Vec::with_capacity(PIECE));
    while let Some(row) = copy.try_next().await.expect("a row") {
        if piece.len() + row.len() > PIECE {
            pieces.push(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)));
        }
        piece.extend_from_slice(&row);
    }
    pieces.push(piece);
    pieces
}

/// One `COPY` from memory, in one transaction; without the commands.
async fn bare(server: &Postgres, rows: &[Vec<u8>], events: usize) -> Round {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the tables");
    store.close().await;
    let mut connection = connect(&url).await;
    let began = Instant::now();
    let mut copy = connection
        .copy_in_raw("COPY es.event FROM STDIN")
        .await
        .expect("a copy");
    for piece in rows {
        copy.send(&piece[..]).await.expect("its rows");
    }
    let copied = copy.finish().await.expect("its end");
    assert_eq!(copied, events as u64);
    Round::of(events, began.elapsed())
}
