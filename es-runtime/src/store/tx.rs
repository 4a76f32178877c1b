use super::memory::MemoryStore;
#[cfg(feature = "postgres")]
use super::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
use super::sqlite::SqliteStore;
use super::{
    Advance, Advanced, Append, Appended, EventStore, NewInput, ParkedChange, ProjectionId,
    ProjectionState,
};
use crate::error::{Error, Kind, Result};
use crate::event::LogIdentity;
use crate::runtime::without;

/// Any error of a handler; `?` makes one of whatever failed.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Whether a handler may succeed without anybody mending anything.
pub(crate) fn passes(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<Error>() {
        return is_away(error);
    }
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return super::is_transient(error);
    }
    false
}

/// Whether a store failed for a reason that has nothing to do with what it was given.
pub(crate) fn is_away(error: &Error) -> bool {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(error) = error.cause::<sqlx::Error>() {
        return super::is_transient(error);
    }
    error.is_transient() && error.cause::<Ended>().is_none()
}

/// The database ended a transaction before it was committed.
#[derive(Debug)]
pub(crate) struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an earlier error ended the transaction; what it did is undone")
    }
}

impl std::error::Error for Ended {}

/// A transaction in the database of a store: a consumer writes its effects in it, beside its
/// cursor; a service writes rows of its own that must agree with an [`append`](Self::append).
///
/// Dropped without a commit, everything is rolled back.
#[derive(Debug)]
pub struct Tx(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    /// The memory store keeps cursors and inputs; effects live elsewhere.
    Memory(MemoryTx),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>, SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, PostgresStore),
}

/// What is written once the transaction commits.
#[derive(Debug)]
pub(crate) struct MemoryTx {
    store: MemoryStore,
    pub(crate) inputs: Vec<(String, Vec<NewInput>)>,
}

impl From<&MemoryStore> for MemoryTx {
    fn from(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            inputs: Vec::new(),
        }
    }
}

impl Tx {
    /// Adds the events of a command and commits, both or neither with all that was written in this
    /// transaction before: the way to rows that never disagree with the log.
    ///
    /// It consumes the transaction, so that the append is its last statement: the log's lock,
    /// which gives positions the order of commits, is held for this one commit and no longer.
    /// Other appends wait for that commit, where they would share theirs: this way takes hundreds
    /// to a few thousand a second, the plain append many times as many.
    ///
    /// The law: only a new append commits. After a conflict nothing of the transaction is kept,
    /// nor if the command was accepted before, since what belongs to it was written then.
    ///
    /// # Errors
    /// When the database fails. After an error in the commit nobody knows: the same again, with
    /// the same command id, finds out.
    ///
    /// # Cancel safety
    /// A dropped future leaves all of the transaction with its append, or nothing.
    ///
    /// ```
    /// # use es_runtime::store::{Append, EventStore, NewEvent};
    /// # use es_runtime::event::{CommandId, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> es_runtime::Result<()> {
    /// # let folder = tempfile::TempDir::new().unwrap();
    /// # let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    /// # let store = es_runtime::Store::connect(&url).await?;
    /// # let event = NewEvent { event_type: "account.opened", schema_version: 1, min_reader: 1, payload: "{}".into() };
    /// # let opened = Append { stream: "account-alice".parse()?, expected: 0, command_id: CommandId::of("1"), repeatable: true,
    /// #     events: vec![event], metadata: None, correlation: None, time: Timestamp::default(), known_instances: None };
    /// use es_runtime::sqlite::sqlx;
    /// let mut tx = store.begin().await?;
    /// let table = "CREATE TABLE iban (number TEXT PRIMARY KEY, account TEXT)";
    /// # let row = "INSERT INTO iban VALUES ('DK5000400440116243', 'alice')";
    /// sqlx::query(table).execute(tx.sqlite()?).await.unwrap();
    /// sqlx::query(row).execute(tx.sqlite()?).await.unwrap();
    /// tx.append(opened).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn append(self, append: Append) -> Result<Appended> {
        match self.0 {
            Inner::Memory(tx) => tx.store.append(append).await,
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, store) => store.append_in(tx, append).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, store) => store.append_in(tx, append).await,
        }
    }

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
            Inner::Sqlite(tx, _) => Ok(tx),
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
            Inner::Postgres(tx, _) => Ok(tx),
            _ => Err(Error::new(Kind::WrongTransaction {
                wanted: "PostgreSQL",
            })),
        }
    }
}

impl Tx {
    /// Waits for other instances that do the same, until this transaction ends. SQLite has one writer
    /// anyway; in PostgreSQL two may find that a table is not there, and both make it.
    pub(crate) async fn take_turns(&mut self) -> Result<()> {
        match &mut self.0 {
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => super::postgres::take_turns(tx).await,
            _ => Ok(()),
        }
    }
}

/// What a consumer needs whose events are inputs of aggregates.
impl Tx {
    /// The guard that no input is there without its cursor.
    const WITH_THE_CURSOR: &str = "an input is committed with the cursor";

    /// The log in whose database this is.
    pub(crate) fn identity(&self) -> LogIdentity {
        match &self.0 {
            Inner::Memory(tx) => tx.store.identity(),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(_, store) => store.identity(),
            #[cfg(feature = "postgres")]
            Inner::Postgres(_, store) => store.identity(),
        }
    }

    /// Adds inputs to a queue, which wait until they are executed.
    pub(crate) async fn add_inputs(&mut self, queue: String, new: Vec<NewInput>) -> Result<()> {
        match &mut self.0 {
            Inner::Memory(tx) if without(Self::WITH_THE_CURSOR) => {
                tx.store.add_inputs(&queue, new);
                Ok(())
            }
            Inner::Memory(tx) => {
                tx.inputs.push((queue, new));
                Ok(())
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => super::sqlite::add_inputs(tx, &queue, &new).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => super::postgres::add_inputs(tx, &queue, &new).await,
        }
    }
}

/// What a hand-written projection needs. The memory store has no transactions to write in.
impl Tx {
    /// Makes a projection known whose tables its own code makes; also whether nobody knew it.
    pub(crate) async fn prepare_projection(
        &mut self,
        id: &ProjectionId,
        tables: &[&str],
    ) -> Result<(ProjectionState, bool)> {
        match &mut self.0 {
            Inner::Memory(_) => {
                let _ = (id, tables);
                Err(no_database())
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => super::sqlite::prepare_in(tx, id, tables).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => super::postgres::prepare_in(tx, id, tables).await,
        }
    }

    /// Moves a projection's cursor, without a commit. After [`Fenced`](Advanced::Fenced) nothing of
    /// the transaction counts.
    pub(crate) async fn advance(
        &mut self,
        advance: &Advance,
        parked: &[ParkedChange],
    ) -> Result<Advanced> {
        match &mut self.0 {
            Inner::Memory(_) => {
                let _ = (advance, parked);
                Err(no_database())
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => super::sqlite::advance_in(tx, advance, parked).await,
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => super::postgres::advance_in(tx, advance, parked).await,
        }
    }

    /// Whether there is such a table.
    pub(crate) async fn has_table(&mut self, name: &str) -> Result<bool> {
        const DOING: &str = "looking for a projection's table";
        let _ = (name, DOING);
        match &mut self.0 {
            Inner::Memory(_) => Err(no_database()),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => {
                let there = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE";
                let there = sqlx::query_scalar(there).bind(name);
                let there = there.fetch_one(&mut **tx).await;
                there.map_err(|error| Error::database(DOING, error))
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => {
                let there = "SELECT to_regclass(quote_ident($1)) IS NOT NULL";
                let there = sqlx::query_scalar(there).bind(name);
                let there = there.fetch_one(&mut **tx).await;
                there.map_err(|error| Error::database(DOING, error))
            }
        }
    }

    /// Begins what may be taken back alone.
    pub(crate) async fn savepoint(&mut self) -> Result<()> {
        self.run("SAVEPOINT es_event").await
    }

    /// Takes back what was done since the [`savepoint`](Self::savepoint), which ends.
    pub(crate) async fn roll_back_to(&mut self) -> Result<()> {
        self.run("ROLLBACK TO es_event").await?;
        self.release().await
    }

    /// Ends the [`savepoint`](Self::savepoint), and keeps what was done since.
    pub(crate) async fn release(&mut self) -> Result<()> {
        self.run("RELEASE es_event").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<()> {
        const DOING: &str = "applying an event";
        let _ = (statement, DOING);
        match &mut self.0 {
            Inner::Memory(_) => Err(no_database()),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => {
                let done = sqlx::query(statement).execute(&mut **tx).await;
                done.map_err(|error| Error::database(DOING, error))
                    .map(drop)
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => {
                let done = sqlx::query(statement).execute(&mut **tx).await;
                done.map_err(|error| Error::database(DOING, error))
                    .map(drop)
            }
        }
    }

    /// Commits all that was done.
    pub(crate) async fn commit(self) -> Result<()> {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        const DOING: &str = "committing a transaction";
        match self.0 {
            Inner::Memory(_) => Ok(()),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx, _) => {
                let done = tx.commit().await;
                done.map_err(|error| Error::database(DOING, error))
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx, _) => {
                let done = tx.commit().await;
                done.map_err(|error| Error::database(DOING, error))
            }
        }
    }
}

fn no_database() -> Error {
    Error::new(Kind::WrongTransaction {
        wanted: "SQLite or PostgreSQL",
    })
}
