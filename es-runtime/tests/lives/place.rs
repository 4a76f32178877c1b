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

    /// Where another process finds it. Nobody else finds what is in memory.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Memory(_) => "memory:".to_owned(),
            Self::File(folder) => format!("sqlite://{}/bank.db", folder.path().display()),
            Self::Server(server, url) => server.same_database(url),
        }
    }

    /// As another process connects.
    pub(crate) async fn connect(&self) -> Store {
        match self {
            Self::Memory(store) => store.clone(),
            _ => Store::connect(&self.url()).await.unwrap(),
        }
    }
}
