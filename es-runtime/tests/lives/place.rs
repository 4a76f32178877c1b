//! Where a log lies, and new ways to it.

use es_runtime::Store;
use es_servers::Postgres;
use tempfile::TempDir;

pub(crate) enum Place {
    Memory(Store),
    File(TempDir),
    Server(Postgres, String),
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(es_runtime::store::memory::MemoryStore::new().into())
    }

    pub(crate) fn file() -> Self {
        Self::File(TempDir::new().unwrap())
    }

    pub(crate) fn server() -> Self {
        let server = Postgres::start();
        let url = server.database();
        Self::Server(server, url)
    }

    /// As another process connects.
    pub(crate) async fn connect(&self) -> Store {
        let url = match self {
            Self::Memory(store) => return store.clone(),
            Self::File(folder) => format!("sqlite://{}/bank.db", folder.path().display()),
            Self::Server(server, url) => server.same_database(url),
        };
        Store::connect(&url).await.unwrap()
    }
}
