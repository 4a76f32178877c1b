//! Forth and back, one step at a time.

use std::collections::BTreeMap;

use es_runtime::Result;
use es_runtime::consume::{Consumer, Inbox};
use es_runtime::prelude::*;

use crate::bank::{Bank, v1, v2};
use crate::domain::{Account, AccountCommand, deposit, open, withdraw};
use crate::effects::{Rows, effects};
use crate::{effect, file, new, old, reads_all, tells};

async fn alice(bank: &Bank, command: AccountCommand) -> Result<()> {
    bank.service().execute::<Account>("alice", command).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_moves_at_an_exact_point_and_back() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    // In version 1: 1, 2, 4, 4. In version 2: 1, 2, 3, 3, 3, 4.
    alice(&bank, open("Alice")).await?;
    alice(&bank, deposit(4)).await?;
    alice(&bank, withdraw(1)).await?;
    alice(&bank, deposit(3)).await?;
    let first = old(&database, bank.feed(), Rows::good(&database), 1).await?;
    reads_all(&bank, &first, 1).await?;
    // Of 5, version 2 does not tell; of 6, version 1 does not.
    alice(&bank, deposit(5)).await?;
    reads_all(&bank, &first, 1).await?;

    // There, straight back, and there again: nothing comes twice, of 5 neither.
    let second = new(&database, bank.feed(), Rows::good(&database), 2).await?;
    tells(&first, |progress| progress.stands_by == Some(2)).await;
    reads_all(&bank, &second, 2).await?;
    second.stop().await?;
    tells(&first, |progress| progress.stands_by.is_none()).await;
    reads_all(&bank, &first, 1).await?;
    let second = new(&database, bank.feed(), Rows::good(&database), 2).await?;
    reads_all(&bank, &second, 2).await?;

    alice(&bank, withdraw(2)).await?;
    alice(&bank, deposit(9)).await?;
    reads_all(&bank, &second, 2).await?;
    tells(&first, |progress| progress.stands_by == Some(2)).await;
    second.stop().await?;
    alice(&bank, withdraw(1)).await?;
    alice(&bank, deposit(7)).await?;
    reads_all(&bank, &first, 1).await?;
    first.stop().await?;
    let expected = [
        effect(1, 1, 0),
        effect(1, 2, 0),
        effect(1, 4, 0),
        effect(1, 4, 1),
        effect(1, 5, 0),
        effect(2, 6, 0),
        effect(2, 6, 1),
        effect(2, 6, 2),
        effect(2, 7, 0),
        effect(1, 9, 0),
    ];
    let expected = BTreeMap::from([("alice".to_owned(), expected.to_vec())]);
    assert_eq!(effects(&database).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_release_goes_on_until_the_new_version_is_served() -> Result<()> {
    let mut bank = Bank::new(false).await?;
    let (database, _folder) = file().await?;
    alice(&bank, open("Alice")).await?;
    let first = old(&database, bank.feed(), Rows::good(&database), 2).await?;
    let second = new(&database, bank.feed(), Rows::good(&database), 2).await?;
    let waits = |progress: &es_runtime::consume::Progress| {
        let trouble = progress.trouble.as_deref().unwrap_or_default();
        trouble.contains("ES0242") && progress.stands_by.is_none()
    };
    tells(&second, waits).await;
    alice(&bank, deposit(4)).await?;
    reads_all(&bank, &first, 1).await?;

    bank.deploy(true).await?;
    alice(&bank, deposit(7)).await?;
    reads_all(&bank, &second, 2).await?;
    tells(&first, |progress| progress.stands_by == Some(2)).await;

    // The publisher is rolled back: the old release has the inbox again.
    bank.deploy(false).await?;
    alice(&bank, deposit(8)).await?;
    reads_all(&bank, &first, 1).await?;
    tells(&second, waits).await;
    bank.deploy(true).await?;
    alice(&bank, withdraw(1)).await?;
    reads_all(&bank, &second, 2).await?;
    first.stop().await?;
    second.stop().await?;
    let effects = effects(&database).await?;
    let sources: Vec<_> = effects["alice"].iter().map(|e| &e.of).collect();
    let expected = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (5, 1), (5, 2)];
    let expected = expected.map(|(source, part)| crate::bank::MadeOf { source, part });
    assert_eq!(sources, expected.iter().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_than_the_first_goes_on_where_that_stood() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    alice(&bank, open("Alice")).await?;
    alice(&bank, deposit(4)).await?;
    let second = new(&database, bank.feed(), Rows::good(&database), 3).await?;
    reads_all(&bank, &second, 2).await?;
    second.stop().await?;
    alice(&bank, deposit(7)).await?;
    let first = old(&database, bank.feed(), Rows::good(&database), 1).await?;
    reads_all(&bank, &first, 1).await?;
    first.stop().await?;
    let expected = [effect(2, 1, 0), effect(2, 2, 0), effect(1, 3, 0)];
    assert_eq!(effects(&database).await?["alice"], expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_continued_is_said() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    let back = Consumer::new("rows", database.clone())
        .stream::<v1::Accounts>(bank.feed())
        .continues::<v2::Accounts>()
        .handle(Rows::good(&database));
    let error = back.start().await.unwrap_err();
    assert_eq!(error.code(), "ES0244");

    // Both versions were read from their beginning: neither is the other.
    alice(&bank, open("Alice")).await?;
    let first = old(&database, bank.feed(), Rows::good(&database), 1).await?;
    reads_all(&bank, &first, 1).await?;
    let apart = Consumer::new("rows", database.clone())
        .stream::<v2::Accounts>(bank.feed())
        .handle(Rows::good(&database));
    let apart = apart.start().await?;
    reads_all(&bank, &apart, 2).await?;
    apart.stop().await?;
    let both = new(&database, bank.feed(), Rows::good(&database), 1).await?;
    let error = both.reached(Position::new(2)).await.unwrap_err();
    assert!(error.is_stopped());
    assert_eq!(both.stop().await.unwrap_err().code(), "ES0243");
    // Who reads the older one hears nothing of it.
    alice(&bank, deposit(4)).await?;
    reads_all(&bank, &first, 1).await?;
    first.stop().await?;
    let inbox = Inbox::of::<v1::Accounts>("rows", database);
    assert_eq!(inbox.cursor().await?.position, Position::new(2));
    Ok(())
}
