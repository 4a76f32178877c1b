//! The schemas that were ever served.

use sqlx::postgres::PgConnection;
use sqlx::{Postgres, Row, Transaction};

use super::failed;
use super::types::{signed, unsigned};
use crate::error::Result;
use crate::store::{KeptSchema, StreamVersion};

const KEEP: &str = "
    INSERT INTO es.contract (name, revision, stream, version, text)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
    ON CONFLICT DO NOTHING";

pub(super) async fn keep(
    tx: &mut Transaction<'static, Postgres>,
    schemas: &[KeptSchema],
) -> Result<()> {
    let column = |of: fn(&KeptSchema) -> &str| schemas.iter().map(of).collect::<Vec<_>>();
    let versions = schemas.iter().map(|s| signed("version", s.stream.version));
    let keep = sqlx::query(KEEP)
        .bind(column(|schema| &schema.name))
        .bind(column(|schema| &schema.revision))
        .bind(column(|schema| &schema.stream.stream))
        .bind(versions.collect::<Result<Vec<i32>>>()?)
        .bind(column(|schema| &schema.text));
    keep.execute(&mut **tx)
        .await
        .map_err(failed("keeping the schemas"))?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut PgConnection,
    name: &str,
    revision: &str,
) -> Result<Option<KeptSchema>> {
    const DOING: &str = "reading a schema";
    const FIND: &str = "
        SELECT stream, version, text FROM es.contract WHERE name = $1 AND revision = $2";
    let find = sqlx::query(FIND).bind(name).bind(revision);
    let Some(row) = find
        .fetch_optional(connection)
        .await
        .map_err(failed(DOING))?
    else {
        return Ok(None);
    };
    let version: i32 = row.try_get(1).map_err(failed(DOING))?;
    Ok(Some(KeptSchema {
        name: name.to_owned(),
        revision: revision.to_owned(),
        stream: StreamVersion {
            stream: row.try_get(0).map_err(failed(DOING))?,
            version: unsigned("version", version)?,
        },
        text: row.try_get(2).map_err(failed(DOING))?,
    }))
}
