#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::error::{Error, Kind, Result};

/// A transaction in the database that a consumer writes its effects in, beside its cursor.
///
/// Dropped without a commit, everything is rolled back.
#[derive(Debug)]
pub struct Tx(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    /// The memory store keeps cursors alone; effects live elsewhere.
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Tx {
    /// The SQLite connection to write effects with, through the `sqlx` that
    /// [`store::sqlite`](super::sqlite) exports.
    ///
    /// Neither commit nor roll back by hand: the runtime does, together with the cursor. Do not
    /// append to the same database meanwhile: there is one writer, and this is it.
    ///
    /// # Errors
    /// When the store is not SQLite.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(&mut self) -> Result<&mut sqlx::SqliteConnection> {
        match &mut self.0 {
            Inner::Sqlite(tx) => Ok(tx),
            _ => Err(Error::new(Kind::WrongTransaction { wanted: "SQLite" })),
        }
    }

    /// The PostgreSQL connection to write effects with, through the `sqlx` that
    /// [`store::postgres`](super::postgres) exports.
    ///
    /// Neither commit nor roll back by hand: the runtime does, together with the cursor.
    ///
    /// # Errors
    /// When the store is not PostgreSQL.
    #[cfg(feature = "postgres")]
    pub fn postgres(&mut self) -> Result<&mut sqlx::PgConnection> {
        match &mut self.0 {
            Inner::Postgres(tx) => Ok(tx),
            _ => Err(Error::new(Kind::WrongTransaction {
                wanted: "PostgreSQL",
            })),
        }
    }
}
