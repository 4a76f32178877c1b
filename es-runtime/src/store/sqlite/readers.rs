//! Connections that read the log, each on a thread that may wait.
//!
//! `sqlx` hands every row from its own thread to the task that asked, in memory of its own; a replay
//! is nothing but rows. So the log is read with `rusqlite`, where the rows are: a page crosses once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::open::{PATIENCE, READERS, reader_here};
use crate::error::{Error, Result};

/// Clones share the connections.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    free: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Connections are made when they are needed.
    pub(super) fn new(file: &Path) -> Self {
        let (file, free) = (file.to_owned(), Mutex::default());
        Self {
            shared: Arc::new(Shared { file, free }),
            turns: Arc::new(Semaphore::new(READERS as usize)),
        }
    }

    /// What `ask` reads. Whoever drops the future does not hear of it, and disturbs nobody.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let failed = |error: &str| Error::database(doing, error);
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| failed("all connections are busy"))?;
        let turn = turn.map_err(|_| failed("the store is closed"))?;
        let shared = self.shared.clone();
        let reading = spawn_blocking(move || {
            let connection = shared.take().map_err(|e| Error::database(doing, e))?;
            let answer = ask(&connection);
            shared.give_back(connection);
            drop(turn);
            answer
        });
        match reading
            .await
            .map_err(tokio::task::JoinError::try_into_panic)
        {
            Ok(answer) => answer,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => Err(failed("the runtime shuts down")),
        }
    }

    /// Lets those who read end, and nobody begin.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.turns.acquire_many(READERS).await {
            self.turns.close();
            all.forget();
        }
        drop(std::mem::take(&mut *self.shared.free()));
    }
}

impl Shared {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is free, or a new one.
    fn take(&self) -> rusqlite::Result<Connection> {
        if let Some(free) = self.free().pop() {
            return Ok(free);
        }
        reader_here(&self.file)
    }

    fn give_back(&self, connection: Connection) {
        self.free().push(connection);
    }
}
