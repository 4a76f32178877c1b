//! A transfer between two accounts: the money leaves one, waits until somebody accepts it, and
//! arrives at the other. If it is refused, or nobody accepts it in time, it goes back.

use es_runtime::prelude::*;

use crate::bank::{Account, AccountCommand, Refused};
use crate::patience::{AGAIN, PATIENCE};

#[derive(Clone, Debug, Default, PartialEq, Process)]
#[process(name = "transfer", event = TransferEvent, input = TransferInput, error = Refusal, sends = Account)]
pub(crate) struct Transfer {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) amount: i64,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Phase {
    #[default]
    New,
    /// The money is to leave.
    Taking,
    /// The time was over before the money had left.
    TakingInVain,
    /// The money waits.
    Held,
    /// The money is to arrive.
    Giving,
    /// The money is to go back.
    Returning,
    /// The money could not go back, which is tried again.
    Stuck,
    Done,
    Failed,
    Returned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "transfer", aggregate = Transfer)]
pub(crate) enum TransferEvent {
    Requested {
        from: String,
        to: String,
        amount: i64,
    },
    Taken,
    NotTaken {
        why: String,
    },
    Accepted,
    TimedOut,
    Bounced {
        why: String,
    },
    Stuck {
        why: String,
    },
    Completed,
    Returned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Transfer)]
pub(crate) enum TransferInput {
    Request {
        from: String,
        to: String,
        amount: i64,
    },
    Accept,
    TooLate,
    TryAgain,
    /// What became of the withdrawal.
    Took,
    Missed {
        why: String,
    },
    /// What became of a deposit.
    Arrived,
    Refused {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    Twice,
    TooLate,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Twice => "there is such a transfer already",
            Self::TooLate => "there is nothing to accept",
        })
    }
}

impl std::error::Error for Refusal {}

type Decided = Result<Option<TransferEvent>, Refusal>;

/// What comes too late changes nothing.
fn when(yes: bool, event: TransferEvent) -> Decided {
    Ok(yes.then_some(event))
}

impl Transfer {
    fn request(&self, from: String, to: String, amount: i64) -> Decided {
        match self.phase {
            Phase::New => Ok(Some(TransferEvent::Requested { from, to, amount })),
            _ => Err(Refusal::Twice),
        }
    }

    fn accept(&self) -> Decided {
        match self.phase {
            Phase::Held => Ok(Some(TransferEvent::Accepted)),
            Phase::Giving | Phase::Done => Ok(None),
            _ => Err(Refusal::TooLate),
        }
    }

    fn too_late(&self) -> Decided {
        let waits = matches!(self.phase, Phase::Taking | Phase::Held);
        when(waits, TransferEvent::TimedOut)
    }

    fn try_again(&self) -> Decided {
        let why = "it is tried again".to_owned();
        when(self.phase == Phase::Stuck, TransferEvent::Bounced { why })
    }

    fn took(&self) -> Decided {
        let taking = matches!(self.phase, Phase::Taking | Phase::TakingInVain);
        when(taking, TransferEvent::Taken)
    }

    fn missed(&self, why: String) -> Decided {
        let taking = matches!(self.phase, Phase::Taking | Phase::TakingInVain);
        when(taking, TransferEvent::NotTaken { why })
    }

    fn arrived(&self) -> Decided {
        Ok(match self.phase {
            Phase::Giving => Some(TransferEvent::Completed),
            Phase::Returning => Some(TransferEvent::Returned),
            _ => None,
        })
    }

    fn refused(&self, why: String) -> Decided {
        Ok(match self.phase {
            Phase::Giving => Some(TransferEvent::Bounced { why }),
            Phase::Returning => Some(TransferEvent::Stuck { why }),
            _ => None,
        })
    }

    fn on_requested(&mut self, from: &str, to: &str, amount: &i64) {
        (self.from, self.to) = (from.to_owned(), to.to_owned());
        (self.amount, self.phase) = (*amount, Phase::Taking);
    }

    fn on_taken(&mut self) {
        self.phase = match self.phase {
            Phase::TakingInVain => Phase::Returning,
            _ => Phase::Held,
        };
    }

    fn on_not_taken(&mut self, _: &str) {
        self.phase = Phase::Failed;
    }

    fn on_accepted(&mut self) {
        self.phase = Phase::Giving;
    }

    fn on_timed_out(&mut self) {
        self.phase = match self.phase {
            Phase::Taking => Phase::TakingInVain,
            _ => Phase::Returning,
        };
    }

    fn on_bounced(&mut self, _: &str) {
        self.phase = Phase::Returning;
    }

    fn on_stuck(&mut self, _: &str) {
        self.phase = Phase::Stuck;
    }

    fn on_completed(&mut self) {
        self.phase = Phase::Done;
    }

    fn on_returned(&mut self) {
        self.phase = Phase::Returned;
    }
}

impl Process for Transfer {
    fn effects(event: &Recorded<TransferEvent>, after: &Self) -> Effects<Self> {
        let (amount, effects) = (after.amount, Effects::new());
        let back =
            || Effects::new().send::<Account>(&after.from, AccountCommand::Deposit { amount });
        match &event.data {
            TransferEvent::Requested { from, .. } => effects
                .set("patience", event.time + PATIENCE, TransferInput::TooLate)
                .send::<Account>(from, AccountCommand::Withdraw { amount }),
            TransferEvent::Taken if after.phase == Phase::Returning => back(),
            TransferEvent::Taken => effects,
            TransferEvent::NotTaken { .. } => effects.cancel("patience"),
            TransferEvent::Accepted => effects
                .cancel("patience")
                .send::<Account>(&after.to, AccountCommand::Deposit { amount }),
            TransferEvent::TimedOut if after.phase == Phase::Returning => back(),
            TransferEvent::TimedOut => effects,
            TransferEvent::Bounced { .. } => back(),
            TransferEvent::Stuck { .. } => {
                effects.set("again", event.time + AGAIN, TransferInput::TryAgain)
            }
            TransferEvent::Completed | TransferEvent::Returned => effects,
        }
    }
}

impl Hears<Account> for Transfer {
    fn hear(sent: Sent<'_, Account>, answer: Result<(), &Refused>) -> Option<TransferInput> {
        let why = |why: &Refused| why.to_string();
        Some(match (sent.command, answer) {
            (AccountCommand::Withdraw { .. }, Ok(())) => TransferInput::Took,
            (AccountCommand::Withdraw { .. }, Err(reason)) => {
                TransferInput::Missed { why: why(reason) }
            }
            (_, Ok(())) => TransferInput::Arrived,
            (_, Err(reason)) => TransferInput::Refused { why: why(reason) },
        })
    }
}

pub(crate) fn request(from: &str, to: &str, amount: i64) -> TransferInput {
    TransferInput::Request {
        from: from.to_owned(),
        to: to.to_owned(),
        amount,
    }
}
