//! A bank of three services, each with its own database: `accounts` keeps the accounts and tells the
//! world about them, `transfers` moves money between them, and `notifications` reads what is told and
//! writes to the customers.
//!
//! Read it in this order: [`accounts`] from its domain to its contract, then [`transfers`] and what
//! the accounts answer it ([`accounts::bookings`]), then [`notifications`], then [`import`], which
//! feeds it all.

pub mod accounts;
pub mod generate;
pub mod import;
pub mod notifications;
pub mod report;
pub mod trace;
pub mod transfers;

use std::fs;
use std::path::{Path, PathBuf};

use es_runtime::consume::{Feed, Running};
use es_runtime::integration::stream_of;
use es_runtime::prelude::*;
use es_runtime::store::EventStore;
use es_runtime::{Builder, Service, Store};

use self::accounts::bookings::Bookings;
use self::accounts::{Release, contract};
use self::notifications::Notifications;
use self::transfers::contract::Transfers;

/// Any error, to be shown to people.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// `Result` with any error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The services in one process. They share nothing but the addresses of their feeds.
#[derive(Debug)]
pub struct Bank {
    /// Where the databases are.
    pub data: PathBuf,
    /// What this process has of the accounts service.
    pub release: Release,
    /// The accounts service.
    pub accounts: Service,
    /// The transfers service.
    pub transfers: Service,
    /// What the accounts hear of the transfers.
    pub requests: Running,
    /// What the transfers hear of the accounts.
    pub answers: Running,
    /// The notifications service.
    pub notifications: Notifications,
}

impl Bank {
    /// Starts the services on the databases in `data`.
    ///
    /// # Errors
    /// When a database cannot be opened or the address is taken.
    pub async fn start(data: &Path, listen: &str, release: impl Into<Release>) -> Result<Self> {
        Self::start_with(data, listen, release, |service| service).await
    }

    /// The same, with more about the services that publish, such as where else they do.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(
        data: &Path,
        listen: &str,
        release: impl Into<Release>,
        more: impl Fn(Builder) -> Builder,
    ) -> Result<Self> {
        let unusable = |error| format!("cannot keep data in `{}`: {error}", data.display());
        fs::create_dir_all(data).map_err(unusable)?;
        let release = release.into();
        let store = Store::connect(&accounts_url(data)).await?;
        let accounts = accounts::service(store, listen, release);
        let accounts = more(accounts).start().await?;
        let store = Store::connect(&url(&data.join("transfers.db"))).await?;
        let transfers = transfers::service(store, "127.0.0.1:0");
        let transfers = more(transfers).start().await?;
        // A consumer may come first, too: it asks again until the feed has what it wants.
        accounts.caught_up().await?;
        transfers.caught_up().await?;
        let requests = accounts::listen(&accounts, Feed::http(feed(&transfers))).await?;
        let answers = transfers::listen(&transfers, Feed::http(feed(&accounts))).await?;
        let feeds = (feed(&accounts), feed(&transfers));
        let notifications =
            Notifications::start(data, &feeds.0, &feeds.1, release.accounts).await?;
        Ok(Self {
            data: data.to_owned(),
            release,
            accounts,
            transfers,
            requests,
            answers,
            notifications,
        })
    }

    /// Waits until nothing is under way: every transfer has come as far as it can, and everything that
    /// happened is projected, published and consumed.
    ///
    /// # Errors
    /// When a part of it has stopped, with its reason.
    pub async fn settle(&self) -> Result<()> {
        loop {
            let before = self.heads().await?;
            self.transfers.settled().await?;
            let requested = head::<Transfers>(&self.transfers).await?;
            self.requests.reached(requested).await?;
            self.accounts.settled().await?;
            let answered = head::<Bookings>(&self.accounts).await?;
            self.answers.reached(answered).await?;
            self.transfers.settled().await?;
            if self.heads().await? == before {
                break;
            }
        }
        let v1 = head::<contract::v1::Accounts>(&self.accounts).await?;
        let v2 = head::<contract::v2::Accounts>(&self.accounts).await?;
        let transfers = head::<Transfers>(&self.transfers).await?;
        self.notifications.reached(v1, v2, transfers).await
    }

    async fn heads(&self) -> Result<(Position, Position)> {
        let (accounts, transfers) = (self.accounts.store(), self.transfers.store());
        Ok((accounts.head().await?, transfers.head().await?))
    }

    /// Where the feed of the accounts is, `http://127.0.0.1:8080`.
    pub fn feed(&self) -> String {
        feed(&self.accounts)
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM), then stops the services.
    ///
    /// # Errors
    /// Why a part of it had stopped before.
    pub async fn until_shutdown(self) -> Result<()> {
        let notifications = self.notifications.until_shutdown();
        let requests = async { Ok(self.requests.until_shutdown().await?) };
        let answers = async { Ok(self.answers.until_shutdown().await?) };
        // Who reads stops first, or would find that nobody answers any more.
        tokio::try_join!(requests, answers, notifications)?;
        self.transfers.shutdown().await?;
        Ok(self.accounts.shutdown().await?)
    }

    /// Stops the services, each after the transaction at hand.
    ///
    /// # Errors
    /// Why a part of it had stopped before.
    pub async fn shutdown(self) -> Result<()> {
        self.notifications.stop().await?;
        self.requests.stop().await?;
        self.answers.stop().await?;
        self.transfers.shutdown().await?;
        Ok(self.accounts.shutdown().await?)
    }
}

/// How far a service has published a stream.
async fn head<E: IntegrationEvent>(service: &Service) -> Result<Position> {
    let head = service.store().published_head(&stream_of::<E>()).await?;
    Ok(head.position)
}

fn feed(service: &Service) -> String {
    service
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
