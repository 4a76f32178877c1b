//! What another service may ask of accounts, and what it is answered: a request is an event of its
//! stream, a booking is what comes of it, and the answer is an event of the stream `bookings`.

use std::convert::Infallible;

use es_runtime::prelude::*;

use super::{Account, AccountCommand, AccountError, Payment};
use crate::transfers::contract::Transfers;

/// What is asked of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub enum Entry {
    /// To send money.
    Send {
        /// The receiver's account.
        to: String,
    },
    /// To take what another account sent.
    Receive {
        /// The sender's account.
        from: String,
    },
    /// To take back what it had sent.
    TakeBack,
}

/// One request: asked once, answered once.
#[derive(Clone, Debug, Default, PartialEq, Process)]
#[process(name = "booking", event = BookingEvent, input = BookingInput, error = Infallible, sends = Account)]
pub struct Booking {
    asked: bool,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[event(name = "booking", aggregate = Booking)]
pub enum BookingEvent {
    /// Somebody asked for it.
    Asked {
        /// Of which account.
        account: String,
        /// For what.
        entry: Entry,
        /// The money.
        payment: Payment,
    },
    /// The account did it.
    Booked,
    /// The account said no.
    Refused {
        /// Why.
        why: String,
    },
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Booking)]
pub enum BookingInput {
    /// What another service asks for.
    Ask {
        /// Of which account.
        account: String,
        /// For what.
        entry: Entry,
        /// The money.
        payment: Payment,
    },
    /// The account's yes.
    Book,
    /// The account's no.
    Refuse {
        /// Why.
        why: String,
    },
}

impl Booking {
    fn ask(
        &self,
        account: String,
        entry: Entry,
        payment: Payment,
    ) -> Result<Option<BookingEvent>, Infallible> {
        Ok((!self.asked).then_some(BookingEvent::Asked {
            account,
            entry,
            payment,
        }))
    }

    fn book(&self) -> Result<BookingEvent, Infallible> {
        Ok(BookingEvent::Booked)
    }

    fn refuse(&self, why: String) -> Result<BookingEvent, Infallible> {
        Ok(BookingEvent::Refused { why })
    }

    fn on_asked(&mut self, _account: &str, _entry: &Entry, _payment: &Payment) {
        self.asked = true;
    }

    fn on_booked(&mut self) {}

    fn on_refused(&mut self, _why: &str) {}
}

impl Process for Booking {
    fn effects(event: &Recorded<BookingEvent>, _: &Self) -> Effects<Self> {
        let BookingEvent::Asked {
            account,
            entry,
            payment,
        } = &event.data
        else {
            return Effects::new();
        };
        let payment = payment.clone();
        let command = match entry.clone() {
            Entry::Send { to } => AccountCommand::Send { to, payment },
            Entry::Receive { from } => AccountCommand::Receive { from, payment },
            Entry::TakeBack => AccountCommand::TakeBack(payment),
        };
        Effects::new().send::<Account>(account, command)
    }
}

impl Hears<Account> for Booking {
    fn hear(_: Sent<'_, Account>, answer: Result<(), &AccountError>) -> Option<BookingInput> {
        Some(match answer {
            Ok(()) => BookingInput::Book,
            Err(no) => BookingInput::Refuse {
                why: no.to_string(),
            },
        })
    }
}

/// What the transfers service asks for.
impl Receives<Transfers> for Booking {
    fn receive(event: &Received<Transfers>) -> impl IntoIterator<Item = (String, BookingInput)> {
        use Transfers::*;
        let (request, entry) = match event.data.clone() {
            DebitRequested { request, to } => (request, Entry::Send { to }),
            CreditRequested { request, from } => (request, Entry::Receive { from }),
            RefundRequested { request } => (request, Entry::TakeBack),
            TransferFailed { .. } => return None,
        };
        let payment = Payment {
            amount: request.amount,
            currency: request.currency,
            text: request.text,
        };
        let account = request.account;
        let ask = BookingInput::Ask {
            account,
            entry,
            payment,
        };
        Some((request.booking, ask))
    }
}

/// What is answered: by the name that the request gave to the booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[integration(stream = "bookings", version = 1)]
pub enum Bookings {
    /// The account did what it was asked for.
    Booked {
        /// The booking.
        booking: String,
    },
    /// The account said no; no money moved.
    BookingRefused {
        /// The booking.
        booking: String,
        /// Why.
        why: String,
    },
}

impl Publish<Booking> for Bookings {
    fn publish(event: &Recorded<BookingEvent>, _: &Booking) -> impl IntoEvents<Self> {
        let booking = event.id().to_owned();
        match &event.data {
            BookingEvent::Asked { .. } => None,
            BookingEvent::Booked => Some(Self::Booked { booking }),
            BookingEvent::Refused { why } => Some(Self::BookingRefused {
                booking,
                why: why.clone(),
            }),
        }
    }
}
