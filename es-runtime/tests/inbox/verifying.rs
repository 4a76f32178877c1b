//! What was consumed, compared with what the source has.

use es_runtime::Result;
use es_runtime::consume::{Begin, Inbox, Verified};
use es_runtime::event::Position;
use es_runtime::integration::StreamHash;
use es_runtime::store::EventStore;

use crate::chain::{Chain, accounts, events};
use crate::domain::v1;
use crate::{Rows, file, rows};

const ACCOUNTS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const EVENTS: u64 = 5_300;

async fn chain() -> Result<Chain> {
    Ok(Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?))
}

/// Which positions were compared, if they agree.
fn compared(verified: &Verified) -> (u64, u64) {
    match verified {
        Verified::Agrees { after, until, .. } => (after.get(), until.get()),
        other => panic!("{other:?}"),
    }
}

/// Behind which position it differs, and at the latest at which one.
fn differs(verified: &Verified) -> (u64, u64) {
    match verified {
        Verified::Differs { after, until, .. } => (after.get(), until.get()),
        other => panic!("{other:?}"),
    }
}

fn range(from: u64, to: u64) -> std::ops::RangeInclusive<Position> {
    Position::new(from)..=Position::new(to)
}

#[tokio::test]
async fn what_was_consumed_agrees_with_what_is_there() -> Result<()> {
    let chain = chain().await?;
    let (inbox, _folder) = file().await?;
    let running = rows(&inbox, chain.clone(), Rows::good())
        .parts(3)
        .start()
        .await?;
    running.reached(Position::new(EVENTS)).await?;
    let all = running.verify(..).await?;
    assert_eq!(compared(&all), (0, EVENTS));
    let Verified::Agrees { hash, .. } = all else {
        panic!("{all:?}")
    };
    assert_eq!(hash.to_string(), chain.events.last().unwrap().streamhash);
    // The places next to a range are not far.
    let (after, until) = compared(&running.verify(range(2_100, 2_200)).await?);
    assert!((1_000..2_100).contains(&after), "{after}");
    assert!((2_200..4_000).contains(&until), "{until}");
    running.stop().await?;
    // Without a consumer that runs, and with another source.
    let inbox = Inbox::of::<v1::Accounts>("rows", inbox);
    let again = inbox.verify(chain.clone(), range(4_000, 9_999)).await?;
    assert_eq!(compared(&again).1, EVENTS);
    let marks = inbox.state().await?.marks;
    assert!(marks.len() >= 5, "{marks:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_verified_begins_where_the_consumer_did() -> Result<()> {
    let chain = chain().await?;
    let (inbox, _folder) = file().await?;
    let running = rows(&inbox, chain, Rows::good())
        .from(Begin::After(Position::new(4_217)))
        .start()
        .await?;
    running.reached(Position::new(EVENTS)).await?;
    assert_eq!(compared(&running.verify(..).await?), (4_217, EVENTS));
    running.stop().await
}

#[tokio::test]
async fn a_difference_is_found_and_where() -> Result<()> {
    let chain = chain().await?;
    let (inbox, _folder) = file().await?;
    let running = rows(&inbox, chain.clone(), Rows::good()).start().await?;
    running.reached(Position::new(EVENTS)).await?;
    running.stop().await?;
    let inbox = Inbox::of::<v1::Accounts>("rows", inbox);

    // Another history since a backup.
    let forked = Chain::of(events(&ACCOUNTS, EVENTS, |position| position >= 3_300).await?);
    let verified = inbox.verify(forked, ..).await?;
    let (after, until) = differs(&verified);
    assert!((2_000..3_300).contains(&after), "{verified:?}");
    assert!((3_300..5_000).contains(&until), "{verified:?}");

    // Restored from a backup, and nothing since.
    let short = Chain::of(chain.events[..4_000].to_vec());
    let verified = inbox.verify(short, ..).await?;
    let (after, until) = differs(&verified);
    assert!(
        (2_500..=4_000).contains(&after) && until > 4_000,
        "{verified:?}"
    );

    // A payload that somebody changed, under hashes that nobody made again.
    let mut changed = chain.events.to_vec();
    changed[1_499].data.clone_from(&chain.events[1_504].data);
    let other = changed[1_499].data.get().replace("\"", " \"");
    changed[1_499].data = serde_json::value::RawValue::from_string(other).unwrap();
    let changed = Chain::of(changed);
    let verified = inbox.verify(changed.clone(), ..).await?;
    let (after, until) = differs(&verified);
    assert!(after < 1_500 && until == 1_500, "{verified:?}");
    let beyond = inbox.verify(changed, range(3_000, 4_000)).await?;
    assert!(beyond.agrees(), "{beyond:?}");

    // An event that is not there.
    let mut holed = chain.events.to_vec();
    holed.remove(700);
    let verified = inbox.verify(Chain::of(holed), range(1, 1_000)).await?;
    assert!(!verified.agrees(), "{verified:?}");
    Ok(())
}

#[tokio::test]
async fn what_has_no_effects_is_counted() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, 50, |_| false).await?);
    let (inbox, _folder) = file().await?;
    let running = rows(&inbox, chain.clone(), Rows::failing_at(7))
        .attempts(1)
        .start()
        .await?;
    running.reached(Position::new(50)).await.unwrap_err();
    let bob = running.inbox().waiting("bob").await?;
    assert_eq!(bob.len(), 9);
    running
        .inbox()
        .give_up(Position::new(12), "a test", "me")
        .await?;
    let verified = running.verify(..).await?;
    let Verified::Agrees {
        waiting, given_up, ..
    } = verified
    else {
        panic!("{verified:?}")
    };
    assert_eq!((waiting, given_up), (8, 1));
    let hash = chain.events[49].streamhash.parse::<StreamHash>().unwrap();
    assert_eq!(running.inbox().cursor().await?.hash, *hash.as_bytes());
    running.stop().await
}

#[tokio::test]
async fn nothing_is_said_of_an_inbox_that_is_not_there() -> Result<()> {
    let (inbox, _folder) = file().await?;
    assert!(inbox.inboxes().await?.is_empty());
    let nobody = Inbox::of::<v1::Accounts>("nobody", inbox);
    let error = nobody.verify(chain().await?, ..).await.unwrap_err();
    assert_eq!(error.code(), "ES0253");
    assert_eq!(accounts().to_string(), "accounts@1");
    Ok(())
}
