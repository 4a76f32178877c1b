//! Who reads the integration streams.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row, Transaction};

use super::failed;
use super::types::{Moment, number, position, signed, unsigned};
use crate::error::{Error, Result};
use crate::store::consumer::newest;
use crate::store::{ConsumerState, ProjectionId, ProjectionKind, Reading, StreamVersion};

const DOING: &str = "reading who reads";

const NOTE: &str = "
    INSERT INTO es.consumer (stream, version, consumer, position, hash, via, first_seen, last_seen)
    SELECT e.s, e.v, e.c, e.p, e.h, e.w, at, at
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bytea[], $6::text[])
         e(s, v, c, p, h, w), clock_timestamp() at
    ON CONFLICT (stream, version, consumer) DO UPDATE
    SET position = excluded.position, hash = excluded.hash, via = excluded.via,
        last_seen = greatest(es.consumer.last_seen, excluded.last_seen)";

pub(super) async fn note(
    tx: &mut Transaction<'static, Postgres>,
    readings: &[Reading],
) -> Result<()> {
    const DOING: &str = "noting who reads";
    // Nobody misses it when it is lost: whoever reads on is heard of again.
    let hasty = sqlx::query("SELECT set_config('synchronous_commit', 'off', true)");
    hasty.execute(&mut **tx).await.map_err(failed(DOING))?;
    let readings = newest(readings);
    let versions = readings.iter().map(|r| signed("version", r.stream.version));
    let positions = readings.iter().map(|r| number(r.position));
    let column = |of: fn(&Reading) -> &str| readings.iter().map(|r| of(r)).collect::<Vec<_>>();
    let hashes = readings
        .iter()
        .map(|r| r.hash.as_ref().map(|hash| &hash[..]));
    let note = sqlx::query(NOTE)
        .bind(column(|r| &r.stream.stream))
        .bind(versions.collect::<Result<Vec<i32>>>()?)
        .bind(column(|r| &r.consumer))
        .bind(positions.collect::<Result<Vec<i64>>>()?)
        .bind(hashes.collect::<Vec<_>>())
        .bind(column(|r| &r.via));
    note.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(())
}

const LIST: &str = "
    SELECT stream, version, consumer, position, hash, via, first_seen, last_seen FROM es.consumer
    WHERE stream = $1 AND version = $2 ORDER BY consumer";

/// All of them are wanted.
const ALL: &str = "
    SELECT stream, version, consumer, position, hash, via, first_seen, last_seen FROM es.consumer
    ORDER BY stream, version, consumer";

pub(super) async fn list(
    connection: &mut PgConnection,
    stream: Option<&StreamVersion>,
) -> Result<Vec<ConsumerState>> {
    let query =
        match stream {
            None => sqlx::query(ALL),
            Some(StreamVersion { stream, version }) => sqlx::query(LIST)
                .bind(stream)
                .bind(signed::<i32, _>("version", *version)?),
        };
    let rows = query.fetch_all(connection).await.map_err(failed(DOING))?;
    rows.iter().map(consumer).collect()
}

/// Those of an integration stream; nothing else has any.
pub(super) async fn of(
    connection: &mut PgConnection,
    id: &ProjectionId,
) -> Result<Vec<ConsumerState>> {
    if id.kind != ProjectionKind::Stream {
        return Ok(Vec::new());
    }
    let (stream, version) = (id.name.clone(), id.version);
    list(connection, Some(&StreamVersion { stream, version })).await
}

fn consumer(row: &PgRow) -> Result<ConsumerState> {
    let text = |column| row.try_get::<String, _>(column).map_err(failed(DOING));
    let moment = |column| row.try_get::<Moment, _>(column).map_err(failed(DOING));
    let hash: Option<&[u8]> = row.try_get(4).map_err(failed(DOING))?;
    let broken = |error| Error::database(DOING, error);
    let version: i32 = row.try_get(1).map_err(failed(DOING))?;
    Ok(ConsumerState {
        reading: Reading {
            stream: StreamVersion {
                stream: text(0)?,
                version: unsigned("version", version)?,
            },
            consumer: text(2)?,
            position: position(row.try_get(3).map_err(failed(DOING))?)?,
            hash: hash.map(TryInto::try_into).transpose().map_err(broken)?,
            via: text(5)?,
        },
        first_seen: moment(6)?.0,
        last_seen: moment(7)?.0,
    })
}
