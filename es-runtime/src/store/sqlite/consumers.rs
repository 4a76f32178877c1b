//! Who reads the integration streams.

use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::{failed, position, unsigned};
use crate::error::{Error, Result};
use crate::event::{Clock, SystemClock, Timestamp};
use crate::store::consumer::newest;
use crate::store::{ConsumerState, ProjectionId, ProjectionKind, Reading, StreamVersion};

const DOING: &str = "reading who reads";

const NOTE: &str = "
    INSERT INTO es_consumer (stream, version, consumer, position, hash, via, first_seen, last_seen)
    SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3, unhex(e.value->>4), e.value->>5, ?2, ?2
    FROM json_each(?1) e WHERE true
    ON CONFLICT DO UPDATE SET position = excluded.position, hash = excluded.hash,
      via = excluded.via, last_seen = max(last_seen, excluded.last_seen)";

pub(super) async fn note(
    tx: &mut Transaction<'static, Sqlite>,
    readings: &[Reading],
) -> Result<()> {
    let row = |reading: &&Reading| {
        let StreamVersion { stream, version } = &reading.stream;
        let (consumer, hash) = (&reading.consumer, reading.hash.map(hex::encode));
        json!([
            stream,
            version,
            consumer,
            reading.position,
            hash,
            reading.via
        ])
    };
    let rows: Vec<_> = newest(readings).iter().map(row).collect();
    let note = sqlx::query(NOTE).bind(json!(rows).to_string());
    let note = note.bind(SystemClock.now().as_micros());
    let noted = note.execute(&mut **tx).await;
    noted.map_err(failed("noting who reads"))?;
    Ok(())
}

pub(super) const LIST: &str = "
    SELECT stream, version, consumer, position, hash, via, first_seen, last_seen FROM es_consumer
    WHERE stream = ?1 AND version = ?2 ORDER BY consumer";

/// All of them are wanted.
const ALL: &str = "
    SELECT stream, version, consumer, position, hash, via, first_seen, last_seen FROM es_consumer
    ORDER BY stream, version, consumer";

pub(super) async fn list(
    connection: &mut SqliteConnection,
    stream: Option<&StreamVersion>,
) -> Result<Vec<ConsumerState>> {
    let query = match stream {
        None => sqlx::query(ALL),
        Some(stream) => sqlx::query(LIST).bind(&stream.stream).bind(stream.version),
    };
    let rows = query.fetch_all(connection).await.map_err(failed(DOING))?;
    rows.iter().map(consumer).collect()
}

/// Those of an integration stream; nothing else has any.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
) -> Result<Vec<ConsumerState>> {
    if id.kind != ProjectionKind::Stream {
        return Ok(Vec::new());
    }
    let (stream, version) = (id.name.clone(), id.version);
    list(connection, Some(&StreamVersion { stream, version })).await
}

fn consumer(row: &SqliteRow) -> Result<ConsumerState> {
    let number = |column| row.try_get::<i64, _>(column).map_err(failed(DOING));
    let text = |column| row.try_get::<String, _>(column).map_err(failed(DOING));
    let hash: Option<&[u8]> = row.try_get(4).map_err(failed(DOING))?;
    let broken = |error| Error::database(DOING, error);
    Ok(ConsumerState {
        reading: Reading {
            stream: StreamVersion {
                stream: text(0)?,
                version: unsigned("version", number(1)?)?,
            },
            consumer: text(2)?,
            position: position(number(3)?)?,
            hash: hash.map(TryInto::try_into).transpose().map_err(broken)?,
            via: text(5)?,
        },
        first_seen: Timestamp::from_micros(number(6)?),
        last_seen: Timestamp::from_micros(number(7)?),
    })
}
