//! A transfer: takes money from one account, brings it to the other, and back if that says no. Pure.
//!
//! The accounts are another service's. What is asked of them is published, as
//! [`contract`](super::contract) says, and their answers are inputs.

use std::fmt;
use std::time::Duration;

use es_runtime::prelude::*;

use crate::accounts::Payment;
use crate::accounts::bookings::Bookings;

/// How long the payer's account has to answer. After that, the money goes back as soon as it comes.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// When an account that did not take its own money back is asked again.
pub const AGAIN: Duration = Duration::from_hours(1);

/// A transfer as its events left it.
#[derive(Clone, Debug, PartialEq, Process)]
#[process(name = "transfer", event = TransferEvent, input = TransferInput, error = AlreadyRequested)]
pub struct Transfer {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) payment: Payment,
    pub(super) phase: Phase,
    /// Bookings that it asked for. None is asked for before the last one is answered.
    pub(super) step: u32,
    /// Why nothing comes of it, where nothing does.
    pub(super) why: String,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has asked for it.
    New,
    /// The money is to leave.
    Taking,
    /// The money is to leave, and to come back at once: it took too long.
    TakingInVain,
    /// The money is to arrive.
    Giving,
    /// The money is to go back.
    Returning,
    /// The money could not go back, which is tried again.
    Stranded,
    /// The money arrived.
    Done,
    /// The money never left.
    Refused,
    /// The money is back.
    Returned,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[event(name = "transfer", aggregate = Transfer)]
pub enum TransferEvent {
    /// Somebody asked for it.
    Requested {
        /// The payer's account.
        from: String,
        /// The receiver's account.
        to: String,
        /// The money.
        payment: Payment,
    },
    /// The money left the payer's account.
    Taken,
    /// The payer's account said no.
    Refused {
        /// Why.
        why: String,
    },
    /// The payer's account did not answer in time.
    TimedOut,
    /// The receiver's account said no.
    Bounced {
        /// Why.
        why: String,
    },
    /// The money arrived.
    Completed,
    /// The money went back.
    Returned,
    /// The payer's account did not take it back.
    Stranded {
        /// Why.
        why: String,
    },
    /// It is sent back once more.
    SentBackAgain,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Transfer)]
pub enum TransferInput {
    /// Somebody asks for it.
    Request {
        /// The payer's account.
        from: String,
        /// The receiver's account.
        to: String,
        /// The money.
        payment: Payment,
    },
    /// An account did what it was asked for.
    Booked {
        /// Which booking it was.
        step: u32,
    },
    /// An account said no.
    Refuse {
        /// Which booking it was.
        step: u32,
        /// Why.
        why: String,
    },
    /// It took too long.
    TimeOut,
    /// Time to try again.
    TryAgain,
}

/// There is such a transfer, and a transfer is asked for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyRequested;

impl fmt::Display for AlreadyRequested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is such a transfer already")
    }
}

impl std::error::Error for AlreadyRequested {}

impl Default for Transfer {
    fn default() -> Self {
        let payment = Payment {
            amount: Default::default(),
            currency: Default::default(),
            text: String::new(),
        };
        Self {
            from: String::new(),
            to: String::new(),
            payment,
            phase: Phase::New,
            step: 0,
            why: String::new(),
        }
    }
}

type Decided = Result<Option<TransferEvent>, AlreadyRequested>;

/// What it makes of what it is told. What does not matter any more changes nothing.
impl Transfer {
    fn request(&self, from: String, to: String, payment: Payment) -> Decided {
        match self.phase {
            Phase::New => Ok(Some(TransferEvent::Requested { from, to, payment })),
            _ => Err(AlreadyRequested),
        }
    }

    fn booked(&self, step: u32) -> Decided {
        use TransferEvent::*;
        Ok(match self.phase {
            _ if step != self.step => None,
            Phase::Taking | Phase::TakingInVain => Some(Taken),
            Phase::Giving => Some(Completed),
            Phase::Returning => Some(Returned),
            _ => None,
        })
    }

    fn refuse(&self, step: u32, why: String) -> Decided {
        use TransferEvent::*;
        Ok(match self.phase {
            _ if step != self.step => None,
            Phase::Taking | Phase::TakingInVain => Some(Refused { why }),
            Phase::Giving => Some(Bounced { why }),
            Phase::Returning => Some(Stranded { why }),
            _ => None,
        })
    }

    fn time_out(&self) -> Decided {
        Ok((self.phase == Phase::Taking).then_some(TransferEvent::TimedOut))
    }

    fn try_again(&self) -> Decided {
        Ok((self.phase == Phase::Stranded).then_some(TransferEvent::SentBackAgain))
    }
}

/// What each event changes.
impl Transfer {
    fn on_requested(&mut self, from: &str, to: &str, payment: &Payment) {
        (self.from, self.to) = (from.to_owned(), to.to_owned());
        self.payment = payment.clone();
        self.asks(Phase::Taking);
    }

    fn on_taken(&mut self) {
        self.asks(match self.phase {
            Phase::TakingInVain => Phase::Returning,
            _ => Phase::Giving,
        });
    }

    fn on_refused(&mut self, why: &str) {
        (self.phase, self.why) = (Phase::Refused, why.to_owned());
    }

    fn on_timed_out(&mut self) {
        let why = "the payer's account did not answer in time".to_owned();
        (self.phase, self.why) = (Phase::TakingInVain, why);
    }

    fn on_bounced(&mut self, why: &str) {
        self.why = why.to_owned();
        self.asks(Phase::Returning);
    }

    fn on_completed(&mut self) {
        self.phase = Phase::Done;
    }

    fn on_returned(&mut self) {
        self.phase = Phase::Returned;
    }

    fn on_stranded(&mut self, _why: &str) {
        self.phase = Phase::Stranded;
    }

    fn on_sent_back_again(&mut self) {
        self.asks(Phase::Returning);
    }

    fn asks(&mut self, phase: Phase) {
        (self.phase, self.step) = (phase, self.step + 1);
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What became of it, once it is over: the money arrived, or why it is where it was.
    pub fn outcome(&self) -> Option<Result<(), String>> {
        match self.phase {
            Phase::Done => Some(Ok(())),
            Phase::Refused | Phase::Returned => Some(Err(self.why.clone())),
            _ => None,
        }
    }
}

/// What time does; what is asked of the accounts follows from the same events.
impl Process for Transfer {
    fn effects(event: &Recorded<TransferEvent>, _: &Self) -> Effects<Self> {
        use TransferEvent::*;
        let effects = Effects::new();
        match &event.data {
            Requested { .. } => {
                effects.set("patience", event.time + PATIENCE, TransferInput::TimeOut)
            }
            Taken | Refused { .. } => effects.cancel("patience"),
            Stranded { .. } => effects.set("again", event.time + AGAIN, TransferInput::TryAgain),
            TimedOut | Bounced { .. } | Completed | Returned | SentBackAgain => effects,
        }
    }
}

/// What the accounts answer. Other services' bookings are none of its business.
impl Receives<Bookings> for Transfer {
    fn receive(event: &Received<Bookings>) -> impl IntoIterator<Item = (String, TransferInput)> {
        let (Bookings::Booked { booking } | Bookings::BookingRefused { booking, .. }) = &event.data;
        let (id, step) = booking.rsplit_once('.')?;
        let step = step.parse().ok()?;
        let input = match &event.data {
            Bookings::Booked { .. } => TransferInput::Booked { step },
            Bookings::BookingRefused { why, .. } => TransferInput::Refuse {
                step,
                why: why.clone(),
            },
        };
        Some((id.to_owned(), input))
    }
}
