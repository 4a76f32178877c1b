//! The cache, when others write to the same streams.

use es_runtime::event::CommandId;
use es_runtime::{Builder, Result, Store};

use crate::ledger::{Ledger, LedgerCommand, OnlySo};
use crate::{File, plain, total};

fn cached(store: &Store) -> Builder {
    plain(store).cache::<Ledger>(100)
}

use LedgerCommand::{Add, Empty, Take};

#[tokio::test]
async fn a_no_from_the_past_is_none() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let (one, two) = (cached(&store).start().await?, cached(&store).start().await?);
    one.execute::<Ledger>("a", Add(1)).await?;
    let refused = one.execute::<Ledger>("a", Take(5)).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&OnlySo(1)));
    two.execute::<Ledger>("a", Add(9)).await?;
    let receipt = one.execute::<Ledger>("a", Take(5)).await?;
    assert_eq!((receipt.version, receipt.events), (3, 1));
    // And a yes from the past is none.
    let refused = two.execute::<Ledger>("a", Take(6)).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&OnlySo(5)));
    Ok(())
}

#[tokio::test]
async fn nothing_to_do_in_the_past_is_something_now() -> Result<()> {
    for named in [false, true] {
        let store = Store::connect("memory:").await?;
        let (one, two) = (cached(&store).start().await?, cached(&store).start().await?);
        one.execute::<Ledger>("a", Add(1)).await?;
        one.execute::<Ledger>("a", Empty).await?;
        two.execute::<Ledger>("a", Add(9)).await?;
        let empty = one.execute::<Ledger>("a", Empty);
        let empty = if named {
            empty.id(CommandId::of("x"))
        } else {
            empty
        };
        let receipt = empty.await?;
        assert_eq!((receipt.version, receipt.events), (4, 1), "named: {named}");
        assert_eq!(total(&one, "a").await?, (4, 0));
        // Nothing to do, and nobody wrote since: the version is the stream's.
        let nothing = one.execute::<Ledger>("a", Empty).await?;
        assert_eq!(
            (nothing.version, nothing.events, nothing.position),
            (4, 0, receipt.position)
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_loaded_is_what_the_store_has() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let (one, two) = (cached(&store).start().await?, cached(&store).start().await?);
    for n in 1..=30_i64 {
        two.execute::<Ledger>("a", Add(1)).await?;
        assert_eq!(total(&one, "a").await?, (n.unsigned_abs(), n));
    }
    assert_eq!(total(&one, "nobody").await?, (0, 0));
    Ok(())
}

/// The command is looked for before the version, so a state that is behind makes no double.
#[tokio::test]
async fn a_retried_command_is_done_once() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let (one, two) = (cached(&store).start().await?, cached(&store).start().await?);
    one.execute::<Ledger>("a", Add(1)).await?;
    let id = CommandId::of("input.csv:1");
    let first = one.execute::<Ledger>("a", Take(1)).id(id).await?;
    for service in [&two, &one, &two, &one] {
        let again = service.execute::<Ledger>("a", Take(1)).id(id).await?;
        assert!(again.repeated);
        assert_eq!(
            (again.version, again.position),
            (first.version, first.position)
        );
        service.execute::<Ledger>("b", Add(1)).await?;
    }
    // On a state that is behind, and that would allow it.
    two.execute::<Ledger>("a", Add(7)).await?;
    let again = one.execute::<Ledger>("a", Take(1)).id(id).await?;
    assert!(again.repeated);
    // And what was repeated has moved no state.
    for service in [&one, &two] {
        assert_eq!(total(service, "a").await?, (3, 7));
        let refused = service.execute::<Ledger>("a", Take(8)).await.unwrap_err();
        assert_eq!(refused.rejection(), Some(&OnlySo(7)));
    }
    Ok(())
}

/// A log that was restored and grew again: what is known is of another history.
#[tokio::test]
async fn another_history_is_noticed_when_it_is_read() -> Result<()> {
    let file = File::new();
    let store = file.store().await;
    let one = cached(&store).start().await?;
    for _ in 0..4 {
        one.execute::<Ledger>("a", Add(1)).await?;
        one.execute::<Ledger>("b", Add(1)).await?;
    }
    file.run(
        "DROP TRIGGER es_event_no_delete; DROP TRIGGER es_command_no_delete;
         DELETE FROM es_event WHERE version > 2;
         DELETE FROM es_command WHERE version > 2",
    )
    .await;
    let other = plain(&store).start().await?;
    for _ in 0..2 {
        other.execute::<Ledger>("a", Add(50)).await?;
    }
    let refused = one.execute::<Ledger>("a", Take(103)).await.unwrap_err();
    assert_eq!(
        refused.rejection(),
        Some(&OnlySo(102)),
        "as long, and another one"
    );
    assert_eq!(
        total(&one, "b").await?,
        (2, 2),
        "shorter than what was known"
    );
    let receipt = one.execute::<Ledger>("b", Add(1)).await?;
    assert_eq!(receipt.version, 3);
    Ok(())
}

/// What serde leaves out of an event is no part of the history, and of no state.
mod lossy {
    use es_runtime::prelude::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "lossy", aggregate = Lossy)]
    pub(super) enum LossyEvent {
        Said {
            kept: i64,
            #[serde(skip)]
            lost: i64,
        },
    }

    #[derive(Clone, Command)]
    #[command(aggregate = Lossy)]
    pub(super) enum LossyCommand {
        Say,
    }

    #[derive(Clone, Debug, Default, PartialEq, Aggregate)]
    #[aggregate(name = "lossy", event = LossyEvent, command = LossyCommand, error = std::fmt::Error)]
    pub(super) struct Lossy {
        pub(super) kept: i64,
        pub(super) lost: i64,
    }

    impl Lossy {
        fn say(&self) -> Result<LossyEvent, std::fmt::Error> {
            // What was decided on shows in what is kept.
            let kept = self.lost + 1;
            Ok(LossyEvent::Said { kept, lost: 1000 })
        }

        fn on_said(&mut self, kept: &i64, lost: &i64) {
            self.kept += kept;
            self.lost += lost;
        }
    }
}

#[tokio::test]
async fn a_cached_state_is_the_one_that_is_read_back() -> Result<()> {
    use lossy::{Lossy, LossyCommand};
    let store = Store::connect("memory:").await?;
    let service = es_runtime::Service::builder("lossy").store(store);
    let service = service
        .aggregate::<Lossy>()
        .cache::<Lossy>(10)
        .start()
        .await?;
    for n in 1..=3 {
        service.execute::<Lossy>("a", LossyCommand::Say).await?;
        let loaded = service.load::<Lossy>("a").await?;
        assert_eq!(*loaded.state(), Lossy { kept: n, lost: 0 });
    }
    Ok(())
}
