//! The schemas that were ever served.

use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, Sqlite, Transaction};

use super::failed;
use crate::error::Result;
use crate::store::{KeptSchema, StreamVersion};

const KEEP: &str = "
    INSERT INTO es_contract (name, revision, stream, version, text)
    SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?) WHERE true
    ON CONFLICT DO NOTHING";

pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    schemas: &[KeptSchema],
) -> Result<()> {
    let row = |schema: &KeptSchema| {
        let StreamVersion { stream, version } = &schema.stream;
        json!([schema.name, schema.revision, stream, version, schema.text])
    };
    let rows: Vec<_> = schemas.iter().map(row).collect();
    let keep = sqlx::query(KEEP).bind(json!(rows).to_string());
    keep.execute(&mut **tx)
        .await
        .map_err(failed("keeping the schemas"))?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    name: &str,
    revision: &str,
) -> Result<Option<KeptSchema>> {
    const DOING: &str = "reading a schema";
    const FIND: &str = "
        SELECT stream, version, text FROM es_contract WHERE name = ? AND revision = ?";
    let find = sqlx::query(FIND).bind(name).bind(revision);
    let Some(row) = find
        .fetch_optional(connection)
        .await
        .map_err(failed(DOING))?
    else {
        return Ok(None);
    };
    Ok(Some(KeptSchema {
        name: name.to_owned(),
        revision: revision.to_owned(),
        stream: StreamVersion {
            stream: row.try_get(0).map_err(failed(DOING))?,
            version: row.try_get(1).map_err(failed(DOING))?,
        },
        text: row.try_get(2).map_err(failed(DOING))?,
    }))
}
