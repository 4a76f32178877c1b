//! A process that listens to the events of others, and what happens when its code is wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::event::Clock;
use es_runtime::prelude::*;
use es_runtime::store::{
    Advance, Append, Change, EventStore, NewReaction, ProcessPage, ProjectionId,
};
use es_runtime::testing::SimulatedClock;
use es_runtime::{Result, Service, Store};

use crate::at_rest::all;
use crate::bank::{Account, AccountCommand, AccountEvent, Refused, deposit, open};
use crate::running::noon;
use crate::stores;
use crate::until::until;

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Gives 5 to whoever has an account for a month.
#[derive(Clone, Debug, Default, PartialEq, Process)]
#[process(name = "bonus", event = BonusEvent, input = BonusInput, error = std::fmt::Error, sends = Account, listens = AccountEvent)]
struct Bonus {
    waits: bool,
    earned: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "bonus", aggregate = Bonus)]
enum BonusEvent {
    Begun,
    Earned,
    Forfeited,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Bonus)]
enum BonusInput {
    Begin,
    Earn,
    Forfeit,
}

type Decided = std::result::Result<Option<BonusEvent>, std::fmt::Error>;

impl Bonus {
    fn begin(&self) -> Decided {
        Ok((!self.waits).then_some(BonusEvent::Begun))
    }

    /// Whether it waits does not matter: a timer that was cancelled in time does not come.
    fn earn(&self) -> Decided {
        match self.earned {
            false => Ok(Some(BonusEvent::Earned)),
            true => Err(std::fmt::Error),
        }
    }

    fn forfeit(&self) -> Decided {
        Ok(self.waits.then_some(BonusEvent::Forfeited))
    }

    fn on_begun(&mut self) {
        self.waits = true;
    }

    fn on_earned(&mut self) {
        (self.waits, self.earned) = (false, true);
    }

    fn on_forfeited(&mut self) {
        self.waits = false;
    }
}

/// Whether the release at hand has a mistake.
static MISTAKE: AtomicBool = AtomicBool::new(false);

impl Process for Bonus {
    fn effects(event: &Recorded<BonusEvent>, _: &Self) -> Effects<Self> {
        let wrong = MISTAKE.load(Ordering::Relaxed) && event.id() == "wrong";
        assert!(!wrong, "a mistake in what follows");
        match event.data {
            BonusEvent::Begun => Effects::new().set("month", event.time + MONTH, BonusInput::Earn),
            BonusEvent::Forfeited => Effects::new().cancel("month"),
            BonusEvent::Earned => {
                Effects::new().send::<Account>(event.id(), AccountCommand::Deposit { amount: 5 })
            }
        }
    }
}

impl Hears<Account> for Bonus {
    fn hear(_: Sent<'_, Account>, _: std::result::Result<(), &Refused>) -> Option<BonusInput> {
        None
    }
}

impl Listens<AccountEvent> for Bonus {
    fn listen(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = (String, BonusInput)> {
        let input = match event.data {
            AccountEvent::Opened { .. } => Some(BonusInput::Begin),
            AccountEvent::Closed => Some(BonusInput::Forfeit),
            AccountEvent::Deposited { .. } | AccountEvent::Withdrawn { .. } => None,
        };
        input.map(|input| (event.id().to_owned(), input))
    }
}

async fn start(store: &Store, clock: &SimulatedClock) -> Result<Service> {
    let bank = Service::builder("bank")
        .store(store.clone())
        .clock(clock.clone());
    let bank = bank.lease(Duration::from_millis(100));
    bank.aggregate::<Account>().process::<Bonus>().start().await
}

/// A bank without the process.
async fn plain(store: &Store, clock: &SimulatedClock) -> Result<Service> {
    let bank = Service::builder("bank")
        .store(store.clone())
        .clock(clock.clone());
    bank.aggregate::<Account>().start().await
}

async fn balance(bank: &Service, account: &str) -> Result<i64> {
    Ok(bank.load::<Account>(account).await?.state().balance)
}

#[tokio::test]
async fn events_of_others_are_inputs_from_when_on_somebody_listens() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let before = plain(&store, &clock).await?;
        before.execute::<Account>("old", open("old")).await?;
        before.shutdown().await?;
        let bank = start(&store, &clock).await?;
        for account in ["alice", "bob"] {
            bank.execute::<Account>(account, open(account)).await?;
        }
        bank.settled().await?;
        bank.execute::<Account>("bob", AccountCommand::Close)
            .await?;
        clock.advance(&bank, MONTH * 2).await?;
        assert_eq!(balance(&bank, "alice").await?, 5);
        let events = all::<BonusEvent>(&store).await?;
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.id(), &event.data))
            .collect();
        let (alice, bob) = ("alice", "bob");
        let mut expected = [
            (alice, &BonusEvent::Begun),
            (bob, &BonusEvent::Begun),
            (bob, &BonusEvent::Forfeited),
            (alice, &BonusEvent::Earned),
        ];
        // Two that begin at once do so in either order.
        if told[0].0 == bob {
            expected.swap(0, 1);
        }
        assert_eq!(told, expected);
        bank.shutdown().await?;
    }
    Ok(())
}

/// It is begun anew from the first event: its timers are set again, and nothing is sent again.
#[tokio::test]
async fn timers_are_made_anew_from_the_log() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        bank.execute::<Account>("alice", open("alice")).await?;
        clock.advance(&bank, MONTH).await?;
        bank.execute::<Account>("bob", open("bob")).await?;
        bank.settled().await?;
        let timers = store.timers("bonus", None, 9).await?;
        assert_eq!(timers.len(), 1);
        let reason = "to see".to_owned();
        let id = ProjectionId::process("bonus");
        store
            .change(&id, &Change::Rebuild { reason }, "test")
            .await?;
        assert_eq!(store.timers("bonus", None, 9).await?, []);
        // Alice's timer is there again, and has fired: it is the same command.
        clock.advance(&bank, Duration::from_secs(1)).await?;
        while store
            .projection(&id)
            .await?
            .is_none_or(|state| state.phase.to_string() != "live")
        {
            tokio::task::yield_now().await;
        }
        bank.settled().await?;
        assert_eq!(store.timers("bonus", None, 9).await?, timers);
        assert_eq!(balance(&bank, "alice").await?, 5);
        bank.shutdown().await?;
    }
    Ok(())
}

/// The process was cancelled in time, and nobody had come to that when time was over.
#[tokio::test]
async fn a_timer_that_was_cancelled_in_time_never_fires() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        bank.execute::<Account>("alice", open("alice")).await?;
        bank.settled().await?;
        bank.shutdown().await?;
        // The process decides while nothing follows from what it decides.
        let decides = Service::builder("bank")
            .store(store.clone())
            .clock(clock.clone());
        let decides = decides
            .aggregate::<Bonus>()
            .aggregate::<Account>()
            .start()
            .await?;
        // What means nothing to it, and has to be gone through.
        for _ in 0..50 {
            decides.execute::<Account>("alice", deposit(1)).await?;
        }
        decides
            .execute::<Bonus>("alice", BonusInput::Forfeit)
            .await?;
        decides.shutdown().await?;
        clock.turn(MONTH * 2);
        let bank = start(&store, &clock).await?;
        bank.settled().await?;
        let events = all::<BonusEvent>(&store).await?;
        let earned = events
            .iter()
            .find(|e| e.id() == "alice" && e.data == BonusEvent::Earned);
        assert!(earned.is_none(), "it was cancelled: {earned:?}");
        let failed = store.timers("bonus", None, 9).await?;
        assert!(
            failed.iter().all(|timer| timer.place.due > clock.now()),
            "{failed:?}"
        );
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_code_sets_one_process_aside_until_it_is_mended() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        MISTAKE.store(true, Ordering::Relaxed);
        let bank = start(&store, &clock).await?;
        for account in ["wrong", "right"] {
            bank.execute::<Account>(account, open(account)).await?;
        }
        clock.advance(&bank, MONTH).await?;
        assert_eq!(
            (
                balance(&bank, "wrong").await?,
                balance(&bank, "right").await?
            ),
            (0, 5)
        );
        let parked = store
            .parked(&ProjectionId::process("bonus"), None, 9)
            .await?;
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].key, "bonus-wrong");
        assert!(
            parked[0].reason.contains("a mistake in what follows"),
            "{}",
            parked[0].reason
        );
        bank.shutdown().await?;
        MISTAKE.store(false, Ordering::Relaxed);
        let bank = start(&store, &clock).await?;
        while !store
            .parked(&ProjectionId::process("bonus"), None, 9)
            .await?
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
        bank.settled().await?;
        // The month is over already.
        assert_eq!(
            (
                balance(&bank, "wrong").await?,
                balance(&bank, "right").await?
            ),
            (5, 5)
        );
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_service_has_whom_its_processes_send_to() -> Result<()> {
    let bank = Service::builder("bank").store(Store::connect("memory:").await?);
    let error = bank.process::<Bonus>().start().await.unwrap_err();
    assert_eq!(error.code(), "ES0124");
    assert!(error.to_string().contains("`account`"), "{error}");
    let bank = Service::builder("bank").store(Store::connect("memory:").await?);
    let twice = bank
        .aggregate::<Account>()
        .process::<Bonus>()
        .process::<Bonus>();
    assert_eq!(twice.start().await.unwrap_err().code(), "ES0126");
    Ok(())
}

#[tokio::test]
async fn a_timer_that_cannot_fire_holds_up_its_own_process_alone() -> Result<()> {
    let (store, clock) = (Store::connect("memory:").await?, noon());
    let bank = start(&store, &clock).await?;
    for account in ["alice", "bob"] {
        bank.execute::<Account>(account, open(account)).await?;
    }
    bank.settled().await?;
    // Alice has earned it before its time, and cannot a second time.
    bank.execute::<Bonus>("alice", BonusInput::Earn).await?;
    bank.settled().await?;
    clock.turn(MONTH);
    while balance(&bank, "bob").await? == 0 {
        tokio::task::yield_now().await;
    }
    let failed = loop {
        let timers = store.timers("bonus", None, 9).await?;
        if timers.len() == 1 && timers[0].failure.is_some() {
            break timers;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(failed[0].place.key, "alice");
    let reason = &failed[0].failure.as_ref().unwrap().reason;
    assert!(reason.contains("ES0102"), "{reason}");
    bank.execute::<Account>("bob", deposit(1)).await?;
    bank.shutdown().await
}

/// What an earlier release left to do, which cannot be done as it is, is told and stays.
#[tokio::test]
async fn what_cannot_be_done_waits_with_its_reason() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let before = plain(&store, &clock).await?;
        before.execute::<Account>("alice", open("alice")).await?;
        before.shutdown().await?;
        let refused = Append {
            stream: "account-alice".parse()?,
            expected: 1,
            command_id: CommandId::of("refused"),
            repeatable: true,
            events: Vec::new(),
            metadata: None,
            correlation: None,
            time: clock.now(),
            known_instances: None,
        };
        store.append(refused).await?;
        store.prepare_process("bonus").await?;
        let send = |id: &str, to: &str| {
            let id = CommandId::of(id);
            let command = r#"{"Deposit":{"amount":5}}"#;
            format!(
                r#"{{"id":"{id}","why":{{}},"what":{{"send":{{"to":"{to}","id":"alice","command":{command}}}}}}}"#
            )
        };
        let mut page = ProcessPage::default();
        for (key, payload) in [
            ("a", send("1", "ledger")),
            ("b", send("refused", "account")),
            ("c", r#"{"id":"of an older release"}"#.to_owned()),
            ("d", send("2", "account")),
        ] {
            page.tasks.push(NewReaction {
                key: key.to_owned(),
                position: Position::new(1),
                part: 0,
                number: 0,
                family: "bonus",
                payload,
            });
        }
        let advance = Advance::new(
            ProjectionId::process("bonus"),
            Position::START,
            Position::new(1),
        );
        store.advance_process(advance, page).await?;
        let bank = start(&store, &clock).await?;
        let waiting = until("all were tried", async || {
            let waiting = store
                .reaction_queues("process:bonus", None, 9)
                .await
                .unwrap();
            let tried = waiting.iter().all(|waits| waits.failure.is_some());
            (waiting.len() == 3 && tried).then_some(waiting)
        })
        .await;
        for (waits, (key, code)) in
            waiting
                .iter()
                .zip([("a", "ES0260"), ("b", "ES0261"), ("c", "ES0262")])
        {
            assert_eq!(waits.first.key, key);
            let reason = &waits.failure.as_ref().unwrap().reason;
            assert!(reason.contains(code), "{reason}");
        }
        assert_eq!(balance(&bank, "alice").await?, 5);
        let given_up = store
            .drop_reaction(&waiting[1].first, "told by hand", "test")
            .await?;
        assert!(given_up);
        let life = store.life(&ProjectionId::process("bonus")).await?;
        assert!(
            life.iter().any(|told| told.what == "drop reaction"),
            "{life:?}"
        );
        bank.shutdown().await?;
    }
    Ok(())
}
