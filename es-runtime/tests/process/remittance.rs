//! A transfer between accounts that another service keeps: what is asked of it is a stream, and so is
//! what it answers.

use es_runtime::prelude::*;

use crate::bank::{Account, AccountCommand, Refused};
use crate::patience::{AGAIN, PATIENCE};

/// What the transfers' service asks for, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "requests", version = 1)]
pub(crate) enum Requests {
    Debit {
        booking: String,
        account: String,
        amount: i64,
    },
    Credit {
        booking: String,
        account: String,
        amount: i64,
    },
}

/// What the accounts' service answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "bookings", version = 1)]
pub(crate) enum Bookings {
    Booked { booking: String },
    Refused { booking: String, why: String },
}

/// One step of a transfer, in the accounts' service.
#[derive(Clone, Debug, Default, PartialEq, Process)]
#[process(name = "booking", event = BookingEvent, input = BookingInput, error = std::fmt::Error, sends = Account)]
pub(crate) struct Booking {
    asked: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "booking", aggregate = Booking)]
pub(crate) enum BookingEvent {
    Asked {
        account: String,
        command: AccountCommand,
    },
    Done,
    Refused {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Booking)]
pub(crate) enum BookingInput {
    Ask {
        account: String,
        command: AccountCommand,
    },
    Did,
    Missed {
        why: String,
    },
}

type Told<E> = Result<E, std::fmt::Error>;

impl Booking {
    /// Asked a second time, it never comes to rest.
    fn ask(&self, account: String, command: AccountCommand) -> Told<BookingEvent> {
        match self.asked {
            false => Ok(BookingEvent::Asked { account, command }),
            true => Err(std::fmt::Error),
        }
    }

    fn did(&self) -> Told<BookingEvent> {
        Ok(BookingEvent::Done)
    }

    fn missed(&self, why: String) -> Told<BookingEvent> {
        Ok(BookingEvent::Refused { why })
    }

    fn on_asked(&mut self, _: &str, _: &AccountCommand) {
        self.asked = true;
    }

    fn on_done(&mut self) {}

    fn on_refused(&mut self, _: &str) {}
}

impl Process for Booking {
    fn effects(event: &Recorded<BookingEvent>, _: &Self) -> Effects<Self> {
        match &event.data {
            BookingEvent::Asked { account, command } => {
                Effects::new().send::<Account>(account, command.clone())
            }
            BookingEvent::Done | BookingEvent::Refused { .. } => Effects::new(),
        }
    }
}

impl Hears<Account> for Booking {
    fn hear(_: Sent<'_, Account>, answer: Result<(), &Refused>) -> Option<BookingInput> {
        Some(match answer {
            Ok(()) => BookingInput::Did,
            Err(why) => BookingInput::Missed {
                why: why.to_string(),
            },
        })
    }
}

impl Receives<Requests> for Booking {
    fn receive(event: &Received<Requests>) -> impl IntoIterator<Item = (String, BookingInput)> {
        let (booking, account, command) = match event.data.clone() {
            Requests::Debit {
                booking,
                account,
                amount,
            } => (booking, account, AccountCommand::Withdraw { amount }),
            Requests::Credit {
                booking,
                account,
                amount,
            } => (booking, account, AccountCommand::Deposit { amount }),
        };
        Some((booking, BookingInput::Ask { account, command }))
    }
}

impl Publish<Booking> for Bookings {
    fn publish(event: &Recorded<BookingEvent>, _: &Booking) -> impl IntoEvents<Self> {
        let booking = event.id().to_owned();
        match &event.data {
            BookingEvent::Asked { .. } => None,
            BookingEvent::Done => Some(Self::Booked { booking }),
            BookingEvent::Refused { why } => Some(Self::Refused {
                booking,
                why: why.clone(),
            }),
        }
    }
}

/// The transfer, in the transfers' service.
#[derive(Clone, Debug, Default, PartialEq, Process)]
#[process(name = "remittance", event = RemittanceEvent, input = RemittanceInput, error = Twice)]
pub(crate) struct Remittance {
    from: String,
    to: String,
    pub(crate) amount: i64,
    pub(crate) phase: Phase,
    /// Bookings that it asked for; the last one is not answered yet.
    step: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Phase {
    #[default]
    New,
    Taking,
    /// The time was over before the money had left.
    TakingInVain,
    Giving,
    Returning,
    /// The money could not go back, which is tried again.
    Stuck,
    Done,
    Failed,
    Returned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "remittance", aggregate = Remittance)]
pub(crate) enum RemittanceEvent {
    Requested {
        from: String,
        to: String,
        amount: i64,
    },
    Taken,
    NotTaken {
        why: String,
    },
    TimedOut,
    Bounced {
        why: String,
    },
    Stuck {
        why: String,
    },
    SentBackAgain,
    Completed,
    Returned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Remittance)]
pub(crate) enum RemittanceInput {
    Request {
        from: String,
        to: String,
        amount: i64,
    },
    TooLate,
    TryAgain,
    Booked {
        step: u32,
    },
    Refused {
        step: u32,
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Twice;

impl std::fmt::Display for Twice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("that was said before")
    }
}

impl std::error::Error for Twice {}

type Decided = Result<Option<RemittanceEvent>, Twice>;

impl Remittance {
    fn request(&self, from: String, to: String, amount: i64) -> Decided {
        match self.phase {
            Phase::New => Ok(Some(RemittanceEvent::Requested { from, to, amount })),
            _ => Err(Twice),
        }
    }

    fn too_late(&self) -> Decided {
        Ok((self.phase == Phase::Taking).then_some(RemittanceEvent::TimedOut))
    }

    fn try_again(&self) -> Decided {
        Ok((self.phase == Phase::Stuck).then_some(RemittanceEvent::SentBackAgain))
    }

    fn booked(&self, step: u32) -> Decided {
        self.waits_for(step)?;
        Ok(Some(match self.phase {
            Phase::Giving => RemittanceEvent::Completed,
            Phase::Returning => RemittanceEvent::Returned,
            _ => RemittanceEvent::Taken,
        }))
    }

    fn refused(&self, step: u32, why: String) -> Decided {
        self.waits_for(step)?;
        Ok(Some(match self.phase {
            Phase::Giving => RemittanceEvent::Bounced { why },
            Phase::Returning => RemittanceEvent::Stuck { why },
            _ => RemittanceEvent::NotTaken { why },
        }))
    }

    /// With an answer to nothing, or a second one, it never comes to rest.
    fn waits_for(&self, step: u32) -> Result<(), Twice> {
        match step == self.step {
            true => Ok(()),
            false => Err(Twice),
        }
    }

    fn on_requested(&mut self, from: &str, to: &str, amount: &i64) {
        (self.from, self.to) = (from.to_owned(), to.to_owned());
        self.amount = *amount;
        self.asks(Phase::Taking);
    }

    fn on_taken(&mut self) {
        self.asks(match self.phase {
            Phase::TakingInVain => Phase::Returning,
            _ => Phase::Giving,
        });
    }

    fn on_not_taken(&mut self, _: &str) {
        self.phase = Phase::Failed;
    }

    fn on_timed_out(&mut self) {
        self.phase = Phase::TakingInVain;
    }

    fn on_bounced(&mut self, _: &str) {
        self.asks(Phase::Returning);
    }

    fn on_stuck(&mut self, _: &str) {
        self.phase = Phase::Stuck;
    }

    fn on_sent_back_again(&mut self) {
        self.asks(Phase::Returning);
    }

    fn on_completed(&mut self) {
        self.phase = Phase::Done;
    }

    fn on_returned(&mut self) {
        self.phase = Phase::Returned;
    }

    fn asks(&mut self, phase: Phase) {
        (self.phase, self.step) = (phase, self.step + 1);
    }
}

impl Process for Remittance {
    fn effects(event: &Recorded<RemittanceEvent>, _: &Self) -> Effects<Self> {
        use RemittanceEvent::*;
        let effects = Effects::new();
        match &event.data {
            Requested { .. } => {
                effects.set("patience", event.time + PATIENCE, RemittanceInput::TooLate)
            }
            Taken | NotTaken { .. } => effects.cancel("patience"),
            Stuck { .. } => effects.set("again", event.time + AGAIN, RemittanceInput::TryAgain),
            TimedOut | Bounced { .. } | SentBackAgain | Completed | Returned => effects,
        }
    }
}

impl Publish<Remittance> for Requests {
    fn publish(event: &Recorded<RemittanceEvent>, after: &Remittance) -> impl IntoEvents<Self> {
        use RemittanceEvent::*;
        let (booking, amount) = (format!("{}.{}", event.id(), after.step), after.amount);
        let account = match after.phase {
            Phase::Giving => after.to.clone(),
            _ => after.from.clone(),
        };
        match &event.data {
            Requested { .. } => Some(Self::Debit {
                booking,
                account,
                amount,
            }),
            Taken | Bounced { .. } | SentBackAgain => Some(Self::Credit {
                booking,
                account,
                amount,
            }),
            NotTaken { .. } | TimedOut | Stuck { .. } | Completed | Returned => None,
        }
    }
}

impl Receives<Bookings> for Remittance {
    fn receive(event: &Received<Bookings>) -> impl IntoIterator<Item = (String, RemittanceInput)> {
        let (Bookings::Booked { booking } | Bookings::Refused { booking, .. }) = &event.data;
        let (id, step) = booking.rsplit_once('.').expect("a booking of ours");
        let step = step.parse().expect("a booking of ours");
        let input = match &event.data {
            Bookings::Booked { .. } => RemittanceInput::Booked { step },
            Bookings::Refused { why, .. } => RemittanceInput::Refused {
                step,
                why: why.clone(),
            },
        };
        Some((id.to_owned(), input))
    }
}
