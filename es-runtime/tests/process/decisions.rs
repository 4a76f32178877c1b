//! The transfer on a desk: no store, no service, no clock.

use es_runtime::event::Timestamp;
use es_runtime::prelude::*;

use crate::bank::{Account, AccountCommand, Refused};
use crate::patience::{AGAIN, PATIENCE};
use crate::transfer::{Phase, Refusal, Transfer, TransferEvent, TransferInput, request};

fn requested() -> TransferEvent {
    TransferEvent::Requested {
        from: "alice".into(),
        to: "bob".into(),
        amount: 30,
    }
}

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn deposit(to: &str) -> Effects<Transfer> {
    Effects::new().send::<Account>(to, AccountCommand::Deposit { amount: 30 })
}

#[test]
fn a_request_takes_the_money_and_sets_a_timer() {
    let after = given_process::<Transfer>("t1", [])
        .at(noon())
        .when(request("alice", "bob", 30))
        .then([requested()])
        .effects(
            Effects::new()
                .set("patience", noon() + PATIENCE, TransferInput::TooLate)
                .send::<Account>("alice", AccountCommand::Withdraw { amount: 30 }),
        );
    assert_eq!(after.phase, Phase::Taking);
}

#[test]
fn what_the_accounts_say_comes_back() {
    let withdraw = AccountCommand::Withdraw { amount: 30 };
    let asked = || given_process::<Transfer>("t1", [requested()]);
    asked()
        .when_accepted::<Account>("alice", &withdraw)
        .then([TransferEvent::Taken])
        .no_effects();
    let why = "5 short".to_owned();
    asked()
        .when_refused::<Account>("alice", &withdraw, &Refused::Insufficient { short: 5 })
        .then([TransferEvent::NotTaken { why }])
        .effects(Effects::new().cancel("patience"));
}

#[test]
fn money_that_nobody_accepts_goes_back() {
    given_process::<Transfer>("t1", [requested(), TransferEvent::Taken])
        .when(TransferInput::TooLate)
        .then([TransferEvent::TimedOut])
        .effects(deposit("alice"));
    let late = [requested(), TransferEvent::TimedOut];
    given_process::<Transfer>("t1", late)
        .when(TransferInput::Took)
        .then([TransferEvent::Taken])
        .effects(deposit("alice"));
}

#[test]
fn money_that_is_refused_goes_back_and_is_never_given_up() {
    let giving = [requested(), TransferEvent::Taken, TransferEvent::Accepted];
    let why = "the account is not open".to_owned();
    let (bounced, stuck) = (
        TransferEvent::Bounced { why: why.clone() },
        TransferEvent::Stuck { why },
    );
    given_process::<Transfer>("t1", giving.clone())
        .when_refused::<Account>(
            "bob",
            &AccountCommand::Deposit { amount: 30 },
            &Refused::NotOpen,
        )
        .then([bounced.clone()])
        .effects(deposit("alice"));
    let back = giving.into_iter().chain([bounced]);
    given_process::<Transfer>("t1", back)
        .at(noon())
        .when_refused::<Account>(
            "alice",
            &AccountCommand::Deposit { amount: 30 },
            &Refused::NotOpen,
        )
        .then([stuck])
        .effects(Effects::new().set("again", noon() + AGAIN, TransferInput::TryAgain));
}

#[test]
fn it_says_no_as_every_aggregate_does() {
    given_process::<Transfer>("t1", [requested()])
        .when(request("alice", "carol", 1))
        .then_error(Refusal::Twice);
    given_process::<Transfer>("t1", [requested(), TransferEvent::TimedOut])
        .when(TransferInput::TooLate)
        .then_nothing();
}

#[test]
#[should_panic(expected = "other effects than expected")]
fn an_effect_that_is_left_out_of_a_test_is_told() {
    given_process::<Transfer>("t1", [])
        .when(request("alice", "bob", 30))
        .then([requested()])
        .effects(Effects::new().send::<Account>("alice", AccountCommand::Withdraw { amount: 30 }));
}
