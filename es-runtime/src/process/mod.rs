//! Processes: what has to be done in several steps, over several aggregates and over time, so that
//! it is done to its end whatever dies in between.

mod effects;
#[cfg(feature = "runtime")]
mod follow;
mod given;
#[cfg(feature = "runtime")]
mod inputs;
#[cfg(feature = "runtime")]
mod task;

pub use effects::Effects;
#[cfg(feature = "runtime")]
pub(crate) use follow::{Bells, Driven, Route, Told};
pub use given::{GivenProcess, ThenProcess, WhenProcess, given_process};
#[cfg(feature = "runtime")]
pub use inputs::Inputs;
#[cfg(feature = "runtime")]
pub(crate) use task::{Task, What, Why};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::{Decide, Evolve};
use crate::event::{Event, Recorded};
use crate::integration::{IntegrationEvent, Received};

/// A process manager: a transfer between two accounts, an order until it is delivered.
///
/// It is an aggregate whose commands are its *inputs*: what somebody wants of it, what became of the
/// commands that it sent, what time it is, and what happened to others. It decides as every
/// aggregate does, and what it decided stands in its events. What follows from those is said here,
/// purely: the commands that it sends and the timers that it sets.
///
/// ```
/// use std::time::Duration;
///
/// use es_runtime::prelude::*;
/// use es_runtime::process::{Effects, Hears, Process, Sent};
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "letter", aggregate = Letter)]
/// # enum LetterEvent { Posted }
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
/// # #[command(aggregate = Letter)]
/// # enum LetterCommand { Post }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "letter", event = LetterEvent, command = LetterCommand, error = std::fmt::Error)]
/// # struct Letter;
/// # impl Letter {
/// #     fn post(&self) -> Result<LetterEvent, std::fmt::Error> { Ok(LetterEvent::Posted) }
/// #     fn on_posted(&mut self) {}
/// # }
///
/// /// Reminds of a bill when it was not paid after a week.
/// #[derive(Clone, Debug, Default, Process)]
/// #[process(name = "bill", event = BillEvent, input = BillInput, error = std::fmt::Error, sends = Letter)]
/// struct Bill { paid: bool }
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "bill", aggregate = Bill)]
/// enum BillEvent { Sent, Paid, Overdue }
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
/// #[command(aggregate = Bill)]
/// enum BillInput { Send, Pay, Wait }
///
/// impl Bill {
///     fn send(&self) -> Result<BillEvent, std::fmt::Error> { Ok(BillEvent::Sent) }
///     fn pay(&self) -> Result<BillEvent, std::fmt::Error> { Ok(BillEvent::Paid) }
///     fn wait(&self) -> Result<Option<BillEvent>, std::fmt::Error> {
///         Ok((!self.paid).then_some(BillEvent::Overdue))
///     }
///     fn on_sent(&mut self) {}
///     fn on_paid(&mut self) { self.paid = true }
///     fn on_overdue(&mut self) {}
/// }
///
/// const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
///
/// impl Process for Bill {
///     fn effects(event: &Recorded<BillEvent>, _: &Self) -> Effects<Self> {
///         match event.data {
///             BillEvent::Sent => Effects::new().set("a week", event.time + WEEK, BillInput::Wait),
///             BillEvent::Paid => Effects::new().cancel("a week"),
///             BillEvent::Overdue => Effects::new().send::<Letter>(event.id(), LetterCommand::Post),
///         }
///     }
/// }
///
/// impl Hears<Letter> for Bill {
///     fn hear(_: Sent<'_, Letter>, answer: Result<(), &std::fmt::Error>) -> Option<BillInput> {
///         answer.err().map(|_| BillInput::Wait)
///     }
/// }
///
/// # use es_runtime::event::Timestamp;
/// use es_runtime::process::given_process;
///
/// given_process::<Bill>("7", [])
///     .when(BillInput::Send)
///     .then([BillEvent::Sent])
///     .effects(Effects::new().set("a week", Timestamp::default() + WEEK, BillInput::Wait));
/// ```
///
/// The law: what follows from a recorded event is done, whatever dies in between, and nothing
/// follows from what was not recorded. The commands of one process are sent one after the other, in
/// the order of its events, and each counts once. A timer fires once, never before its time, in
/// order with all others of the kind, also after a time in which nothing ran.
#[diagnostic::on_unimplemented(
    message = "nothing says what follows from the events of `{Self}`",
    label = "this process has no effects",
    note = "write `impl Process for {Self}` with `fn effects(event: &Recorded<…>, after: &Self) -> Effects<Self>`"
)]
pub trait Process:
    Decide<Command: Serialize + DeserializeOwned> + Evolve<Id: 'static> + Wired
{
    /// What is to be done because of the event, and what the process is `after` it. Pure: the same
    /// event always has the same effects.
    fn effects(event: &Recorded<Self::Event>, after: &Self) -> Effects<Self>;
}

/// An aggregate to which processes can send commands: they are kept until they were sent.
#[diagnostic::on_unimplemented(
    message = "no process can send commands to `{Self}`",
    label = "its commands cannot be kept until they are sent",
    note = "`{Self}` must be an aggregate, and its commands need `#[derive(Serialize, Deserialize)]`"
)]
pub trait Recipient: Decide<Command: Serialize + DeserializeOwned> + Evolve {}

impl<A: Decide<Command: Serialize + DeserializeOwned> + Evolve> Recipient for A {}

/// A command that a process sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sent<'a, A: Recipient> {
    /// The id of the aggregate to which it went, as text.
    pub to: &'a str,
    /// The command.
    pub command: &'a A::Command,
}

/// What a process makes of the answers to the commands that it sends to `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it makes of the answers of `{A}` [ES0061]",
    label = "it sends commands to `{A}`, which may say no",
    note = "write `impl Hears<{A}> for {Self}`"
)]
pub trait Hears<A: Recipient>: Process + Sends<A> {
    /// The input that the answer is to the process: `Ok` for a command that was accepted, also one
    /// that had nothing to do, and `Err` with the aggregate's own reason for one that was refused.
    /// Nothing, if the process need not know.
    ///
    /// A refusal is final: the same command is not sent again. What the database or the network does
    /// to a command is no answer: then it is sent again, until there is one.
    fn hear(sent: Sent<'_, A>, answer: Result<(), &A::Error>) -> Option<Self::Command>;
}

/// What the internal events `E` of others mean to a process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what the events `{E}` mean to it [ES0063]",
    label = "it listens to these events",
    note = "write `impl Listens<{E}> for {Self}`"
)]
pub trait Listens<E: Event>: Process + ListensTo<E> {
    /// The inputs, each with the id of the process that it is for. Pure.
    fn listen(event: &Recorded<E>) -> impl IntoIterator<Item = (Self::Id, Self::Command)>;
}

/// What the integration events `E` of another service mean to an aggregate, or to a process.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "loyalty", aggregate = Loyalty)]
/// # enum LoyaltyEvent { Earned { points: i64 } }
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
/// # #[command(aggregate = Loyalty)]
/// # enum LoyaltyCommand { Earn { points: i64 } }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "loyalty", event = LoyaltyEvent, command = LoyaltyCommand, error = std::fmt::Error)]
/// # struct Loyalty;
/// # impl Loyalty {
/// #     fn earn(&self, points: i64) -> Result<LoyaltyEvent, std::fmt::Error> { Ok(LoyaltyEvent::Earned { points }) }
/// #     fn on_earned(&mut self, _: &i64) {}
/// # }
/// /// What the shop tells.
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
/// #[integration(stream = "orders", version = 1)]
/// enum Orders {
///     Paid { customer: String, amount: i64 },
///     Shipped,
/// }
///
/// impl Receives<Orders> for Loyalty {
///     fn receive(event: &Received<Orders>) -> impl IntoIterator<Item = (String, LoyaltyCommand)> {
///         match &event.data {
///             Orders::Paid { customer, amount } => {
///                 Some((customer.clone(), LoyaltyCommand::Earn { points: amount / 100 }))
///             }
///             Orders::Shipped => None,
///         }
///     }
/// }
///
/// let paid = Orders::Paid { customer: "alice".into(), amount: 2500 };
/// let inputs: Vec<_> = Loyalty::receive(&Received::example("order-7", 1, paid)).into_iter().collect();
/// assert_eq!(inputs, [("alice".to_owned(), LoyaltyCommand::Earn { points: 25 })]);
/// ```
///
/// The law: each event is an input once, whatever dies in between, however often the stream is read
/// and under whatever name of a consumer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what the events `{E}` of another service mean to it",
    label = "they are to be its inputs",
    note = "write `impl Receives<{E}> for {Self}` with `fn receive(event: &Received<{E}>) -> impl IntoIterator<Item = (…, …)>`"
)]
pub trait Receives<E: IntegrationEvent>: Recipient {
    /// The inputs, each with the id of the aggregate that it is for. Pure.
    ///
    /// The law: an event has the same inputs, in the same order, in every release that may meet it.
    fn receive(event: &Received<E>) -> impl IntoIterator<Item = (Self::Id, Self::Command)>;
}

/// Said by the derive: `sends = A`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` sends no commands to `{A}` [ES0060]",
    label = "its derive does not say so",
    note = "say `sends = {A}` in its `#[process(…)]`"
)]
pub trait Sends<A> {}

/// Said by the derive: `listens = E`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not listen to `{E}` [ES0062]",
    label = "its derive does not say so",
    note = "say `listens = {E}` in its `#[process(…)]`"
)]
pub trait ListensTo<E> {}

/// Whom a process sends to and listens to, one by one, as its derive says.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process [ES0064]",
    label = "this is not the state of a process",
    note = "derive it on the state: `#[derive(Clone, Default, Process)]` and `#[process(name = \"…\", event = …, input = …, error = …)]`"
)]
pub trait Wired: Sized {
    fn wire(wires: &mut impl Wires<Self>);
}

/// Takes note of whom a process sends to and listens to.
#[doc(hidden)]
pub trait Wires<P> {
    fn sends<A: Recipient>(&mut self)
    where
        P: Hears<A>;

    fn listens<E: Event>(&mut self)
    where
        P: Listens<E>;
}
