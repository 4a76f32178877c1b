//! Instances that are slow, just when the inbox moves.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::Result;
use es_runtime::Store;
use es_runtime::consume::{Consumer, Page, Source};
use es_runtime::event::Position;
use es_runtime::integration::Place;
use es_runtime::store::{StreamCursor, StreamVersion};
use es_servers::Postgres;
use tokio::sync::Semaphore;

use crate::bank::{Bank, MadeOf, Wherever, v1, v2};
use crate::domain::{Account, deposit, open};
use crate::effects::{Rows, effects};
use crate::{LEASE, effect, new, old, reached, reads_all, tells};

/// Handles the second event as soon as it may.
fn waiting(database: &Store, may: &Arc<Semaphore>) -> Rows {
    let may = may.clone();
    Rows::waiting(database, move |of: MadeOf| {
        let may = may.clone();
        async move {
            if of.source == 2 {
                may.acquire().await?.forget();
            }
            Ok(())
        }
    })
}

async fn bank() -> Result<Bank> {
    let bank = Bank::new(true).await?;
    bank.service()
        .execute::<Account>("alice", open("Alice"))
        .await?;
    Ok(bank)
}

async fn second(bank: &Bank) -> Result<()> {
    let service = bank.service();
    service.execute::<Account>("alice", deposit(4)).await?;
    service.caught_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wakes_up_after_the_move_commits_nothing() -> Result<()> {
    let server = Postgres::start();
    let database = Store::connect(&server.database()).await?;
    let (bank, may) = (bank().await?, Arc::new(Semaphore::new(0)));
    let slow = old(&database, bank.feed(), waiting(&database, &may), 1).await?;
    reads_all(&bank, &slow, 1).await?;
    second(&bank).await?;
    let newer = new(&database, bank.feed(), Rows::good(&database), 1).await?;
    reads_all(&bank, &newer, 2).await?;
    may.add_permits(1);
    tells(&slow, |progress| progress.stands_by == Some(2)).await;
    slow.stop().await?;
    newer.stop().await?;
    let expected = [effect(1, 1, 0), effect(2, 2, 0)];
    assert_eq!(effects(&database).await?["alice"], expected);
    Ok(())
}

/// Lets the release before go on, once it was asked where it stood.
struct Meanwhile {
    feed: Wherever,
    may: Arc<Semaphore>,
    went_on: Arc<Semaphore>,
}

impl Source for Meanwhile {
    async fn place(
        &mut self,
        stream: &StreamVersion,
        of: u32,
        position: Position,
        origin: Position,
    ) -> Result<Place> {
        let place = self.feed.place(stream, of, position, origin).await?;
        if position == Position::new(1) {
            self.may.add_permits(1);
            drop(self.went_on.acquire().await);
        }
        Ok(place)
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        self.feed.read(stream, after, limit, wait).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_before_the_move_is_not_told_again() -> Result<()> {
    let server = Postgres::start();
    let database = Store::connect(&server.database()).await?;
    let (bank, may) = (bank().await?, Arc::new(Semaphore::new(0)));
    let went_on = Arc::new(Semaphore::new(0));
    let first = old(&database, bank.feed(), waiting(&database, &may), 1).await?;
    reads_all(&bank, &first, 1).await?;
    second(&bank).await?;
    let source = Meanwhile {
        feed: bank.feed(),
        may,
        went_on: went_on.clone(),
    };
    let consumer = Consumer::new("rows", database.clone()).stream::<v2::Accounts>(source);
    let consumer = consumer.continues::<v1::Accounts>().lease(LEASE);
    let newer = consumer.handle(Rows::good(&database)).start().await?;
    reached(&first, Position::new(2)).await?;
    went_on.add_permits(100);
    reads_all(&bank, &newer, 2).await?;
    newer.stop().await?;
    first.stop().await?;
    let expected = [effect(1, 1, 0), effect(1, 2, 0)];
    assert_eq!(effects(&database).await?["alice"], expected);
    Ok(())
}
