//! A bank of two services, each with its own database: `accounts` keeps the accounts and tells the
//! world about them, `notifications` reads what is told and writes to the customers.
//!
//! Read it in this order: [`accounts`] from its domain to its contract, then [`notifications`],
//! then [`import`], which feeds it all.

pub mod accounts;
pub mod generate;
pub mod import;
pub mod notifications;
pub mod report;

use std::fs;
use std::path::{Path, PathBuf};

use es_runtime::integration::stream_of;
use es_runtime::store::EventStore;
use es_runtime::{Builder, Service, Store};

use self::accounts::{Release, contract};
use self::notifications::Notifications;

/// Any error, to be shown to people.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// `Result` with any error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Both services in one process. They share nothing but the address of the feed.
#[derive(Debug)]
pub struct Bank {
    /// Where both databases are.
    pub data: PathBuf,
    /// What this process has of the accounts service.
    pub release: Release,
    /// The accounts service.
    pub accounts: Service,
    /// The notifications service.
    pub notifications: Notifications,
}

impl Bank {
    /// Starts both services on the databases in `data`.
    ///
    /// # Errors
    /// When a database cannot be opened or the address is taken.
    pub async fn start(data: &Path, listen: &str, release: impl Into<Release>) -> Result<Self> {
        Self::start_with(data, listen, release, |accounts| accounts).await
    }

    /// The same, with more about the accounts service, such as where else it publishes.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(
        data: &Path,
        listen: &str,
        release: impl Into<Release>,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self> {
        let unusable = |error| format!("cannot keep data in `{}`: {error}", data.display());
        fs::create_dir_all(data).map_err(unusable)?;
        let store = Store::connect(&accounts_url(data)).await?;
        let release = release.into();
        let accounts = more(accounts::service(store, listen, release))
            .start()
            .await?;
        // A consumer may come first, too: it asks again until the feed has what it wants.
        accounts.caught_up().await?;
        let notifications = Notifications::start(data, &feed(&accounts), release.accounts).await?;
        Ok(Self {
            data: data.to_owned(),
            release,
            accounts,
            notifications,
        })
    }

    /// Waits until everything that happened is projected, published and consumed.
    ///
    /// # Errors
    /// When a part of it has stopped, with its reason.
    pub async fn settle(&self) -> Result<()> {
        self.accounts.caught_up().await?;
        let store = self.accounts.store();
        let v1 = store
            .published_head(&stream_of::<contract::v1::Accounts>())
            .await?;
        let v2 = store
            .published_head(&stream_of::<contract::v2::Accounts>())
            .await?;
        self.notifications.reached(v1.position, v2.position).await
    }

    /// Where the feed is, `http://127.0.0.1:8080`.
    pub fn feed(&self) -> String {
        feed(&self.accounts)
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM), then stops both services.
    ///
    /// # Errors
    /// Why a part of it had stopped before.
    pub async fn until_shutdown(self) -> Result<()> {
        let notifications = self.notifications.until_shutdown();
        let accounts = async { Ok(self.accounts.until_shutdown().await?) };
        tokio::try_join!(accounts, notifications)?;
        Ok(())
    }

    /// Stops both services, each after the transaction at hand.
    ///
    /// # Errors
    /// Why a part of it had stopped before.
    pub async fn shutdown(self) -> Result<()> {
        self.notifications.stop().await?;
        Ok(self.accounts.shutdown().await?)
    }
}

fn feed(accounts: &Service) -> String {
    accounts
        .feed_address()
        .map_or_else(String::new, |address| format!("http://{address}"))
}

fn url(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

/// The store of the accounts service that keeps its data in a folder.
pub fn accounts_url(data: &Path) -> String {
    url(&data.join("accounts.db"))
}
