//! Projections and their rows as they were at one moment.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use sqlx::Transaction;

use super::memory::Frozen;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use super::{ProjectionId, ProjectionState, Row, RowQuery, Table};
use crate::error::Result;

/// Projections and their rows as they were at one moment: all questions have answers that belong
/// together, whatever is written meanwhile.
///
/// It keeps a connection of the database's, and what was deleted or overwritten since, on disk: let
/// go of it soon.
#[derive(Debug)]
pub struct Still(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    Memory(Frozen),
    #[cfg(feature = "sqlite")]
    Sqlite(Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Transaction<'static, sqlx::Postgres>),
}

impl Still {
    /// Where the projection stood; nothing if no instance had prepared it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projection(&mut self, id: &ProjectionId) -> Result<Option<ProjectionState>> {
        match &mut self.0 {
            Inner::Memory(frozen) => Ok(frozen.projection(id)),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx) => sqlite::life::state(tx, id).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx) => postgres::life::state(tx, id).await,
        }
    }

    /// The rows that the query asks for, in its order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn query_rows(
        &mut self,
        table: &Table,
        query: &RowQuery,
    ) -> Result<Vec<(String, Row)>> {
        match &mut self.0 {
            Inner::Memory(frozen) => Ok(frozen.query(table, query)),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx) => sqlite::read_rows::query(&mut **tx, table, query).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx) => postgres::read_rows::query(tx, table, query).await,
        }
    }
}
