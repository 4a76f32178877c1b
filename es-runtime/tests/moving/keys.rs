//! Keys that are set aside, while their consumer moves.

use es_runtime::Result;
use es_runtime::consume::{Inbox, Progress};
use es_runtime::prelude::*;

use crate::bank::{Bank, MadeOf, v1, v2};
use crate::domain::{Account, AccountCommand, deposit, open, withdraw};
use crate::effects::{Rows, effects};
use crate::{effect, file, new, old, reads_all, tells};

async fn does(bank: &Bank, account: &str, command: AccountCommand) -> Result<()> {
    bank.service().execute::<Account>(account, command).await?;
    Ok(())
}

fn failing_at(database: &es_runtime::Store, source: u64, part: u64) -> Rows {
    let fails = MadeOf { source, part };
    Rows::acting(database, move |of| match *of == fails {
        true => Err("told to fail".into()),
        false => Ok(()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_waits_moves_along_and_goes_on_in_order() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    for account in ["alice", "bob"] {
        does(&bank, account, open(account)).await?;
        does(&bank, account, deposit(3)).await?;
        does(&bank, account, withdraw(1)).await?;
        does(&bank, account, deposit(4)).await?;
        does(&bank, account, deposit(7)).await?;
    }
    // From the first of alice's two on that were one, everything of hers waits; one was given up.
    let first = old(&database, bank.feed(), failing_at(&database, 2, 0), 2).await?;
    bank.service().caught_up().await?;
    tells(&first, |p| p.position.get() == 10 && p.waiting == 1).await;
    first.stop().await?;
    let inbox = Inbox::of::<v1::Accounts>("rows", database.clone());
    assert!(inbox.give_up(Position::new(4), "a mistake", "anna").await?);
    let before = inbox.set_aside(None).await?.remove(0);
    assert_eq!((before.position.get(), before.waiting), (2, 3));

    let second = new(&database, bank.feed(), failing_at(&database, 2, 0), 2).await?;
    tells(&second, |p| p.position.get() == 14 && p.waiting == 1).await;
    assert!(inbox.set_aside(None).await?.is_empty());
    let moved = second.inbox().set_aside(None).await?.remove(0);
    assert_eq!(
        (moved.key.as_str(), moved.position.get(), moved.waiting),
        ("alice", 2, 2),
        "what version 2 alone tells is not told, and what was given up neither"
    );
    assert_eq!(moved.since, before.since);
    does(&bank, "alice", withdraw(1)).await?;
    bank.service().caught_up().await?;
    tells(&second, |p| p.position.get() == 17).await;
    second.stop().await?;

    let second = new(&database, bank.feed(), Rows::good(&database), 2).await?;
    reads_all(&bank, &second, 2).await?;
    second.stop().await?;
    let effects = effects(&database).await?;
    let alice = [
        effect(1, 1, 0),
        effect(2, 2, 0),
        effect(2, 5, 0),
        effect(2, 11, 0),
        effect(2, 11, 1),
        effect(2, 11, 2),
    ];
    assert_eq!(effects["alice"], alice);
    let bob = [(6, 0), (7, 0), (7, 1), (9, 0), (10, 0)];
    assert_eq!(effects["bob"], bob.map(|(of, part)| effect(1, of, part)));
    let letters = inbox.dead_letters(Position::START).await?;
    assert_eq!(letters.len(), 1);
    let newer = Inbox::of::<v2::Accounts>("rows", database);
    assert!(newer.dead_letters(Position::START).await?.is_empty());
    Ok(())
}

/// What cannot be said in the other version holds the move up, and not the consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_wait_elsewhere_is_handled_or_given_up_first() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    does(&bank, "alice", open("alice")).await?;
    // The second of two that were one: the first is handled.
    does(&bank, "alice", deposit(3)).await?;
    let first = old(&database, bank.feed(), failing_at(&database, 2, 1), 1).await?;
    bank.service().caught_up().await?;
    tells(&first, |p| p.position.get() == 3 && p.waiting == 1).await;
    let second = new(&database, bank.feed(), Rows::good(&database), 1).await?;
    let held_up = |p: &Progress| p.trouble.as_ref().is_some_and(|t| t.contains("ES0246"));
    tells(&second, held_up).await;
    does(&bank, "alice", deposit(4)).await?;
    does(&bank, "bob", open("bob")).await?;
    bank.service().caught_up().await?;
    tells(&first, |p| p.position.get() == 5 && p.stands_by.is_none()).await;
    let inbox = Inbox::of::<v1::Accounts>("rows", database.clone());
    assert!(inbox.give_up(Position::new(3), "told so", "anna").await?);
    reads_all(&bank, &second, 2).await?;
    first.stop().await?;

    // Version 2 knows nothing of a deposit of five.
    second.stop().await?;
    does(&bank, "alice", deposit(5)).await?;
    let first = old(&database, bank.feed(), failing_at(&database, 5, 0), 1).await?;
    bank.service().caught_up().await?;
    tells(&first, |p| p.position.get() == 6 && p.waiting == 1).await;
    let second = new(&database, bank.feed(), Rows::good(&database), 1).await?;
    tells(&second, held_up).await;
    first.stop().await?;
    assert!(inbox.give_up(Position::new(6), "told so", "anna").await?);
    reads_all(&bank, &second, 2).await?;
    second.stop().await?;
    let effects = effects(&database).await?;
    let alice: Vec<_> = effects["alice"].iter().map(|e| e.of.source).collect();
    assert_eq!(alice, [1, 2, 3]);
    Ok(())
}
