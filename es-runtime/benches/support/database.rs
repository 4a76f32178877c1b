//! A server of our own, and how a hand-written program speaks to it.

use std::str::FromStr;

use es_runtime::postgres::{PgConnection, sqlx};
use es_servers::Postgres;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnectOptions, PgTypeInfo};
use sqlx::{ConnectOptions, Encode, Type};

/// A server with room, and a connection that looks after it.
pub(crate) async fn server() -> (Postgres, PgConnection) {
    let server = Postgres::start_with(&[
        "shared_buffers=1GB",
        "max_wal_size=4GB",
        "max_connections=600",
    ]);
    let mut admin = connect(&server.database()).await;
    compress(&mut admin).await;
    (server, admin)
}

/// Compresses full pages in the write-ahead log, if this server was built with lz4.
async fn compress(admin: &mut PgConnection) {
    let set = "ALTER SYSTEM SET wal_compression = lz4";
    let set = sqlx::raw_sql(set).execute(&mut *admin);
    match set.await {
        Ok(_) => execute(admin, "SELECT pg_reload_conf()").await,
        Err(error) => println!("without compression of the write-ahead log: {error}"),
    }
}

/// A connection as a hand-written program has one: nothing between it and the server.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).expect("a URL");
    let connection = options.disable_statement_logging().connect().await;
    connection.expect("a connection")
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &'static str) {
    let done = sqlx::raw_sql(sql).execute(connection).await;
    done.expect("a statement");
}

/// Text that goes into a `json` column as it is, without a conversion in the server.
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl Type<sqlx::Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl<'q> Encode<'q, sqlx::Postgres> for Json<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<sqlx::Postgres>::encode_by_ref(&self.0, buffer)
    }
}

pub(crate) async fn copy(connection: &mut PgConnection, start: &str, text: String) {
    let mut copy = connection.copy_in_raw(start).await.expect("a copy");
    copy.send(text.into_bytes()).await.expect("its rows");
    copy.finish().await.expect("its end");
}
