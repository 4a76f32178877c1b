use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened,
}

#[derive(Clone, Serialize, Deserialize, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Open,
}

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account;

impl Account {
    fn on_opened(&mut self) {}
    fn open(&self) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Opened)
    }
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "transfer", aggregate = Transfer)]
enum TransferEvent {
    Begun,
}

#[derive(Clone, Serialize, Deserialize, Command)]
#[command(aggregate = Transfer)]
enum TransferInput {
    Begin,
}

// It says neither what the answers of accounts are to it nor what their events are.
#[derive(Clone, Default, Process)]
#[process(name = "transfer", event = TransferEvent, input = TransferInput, error = std::fmt::Error, sends = Account, listens = AccountEvent)]
struct Transfer;

impl Transfer {
    fn on_begun(&mut self) {}
    fn begin(&self) -> Result<TransferEvent, std::fmt::Error> {
        Ok(TransferEvent::Begun)
    }
}

impl Process for Transfer {
    fn effects(_: &Recorded<TransferEvent>, _: &Self) -> Effects<Self> {
        Effects::new()
    }
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "visit", aggregate = Visit)]
enum VisitEvent {
    Begun,
}

#[derive(Clone, Serialize, Deserialize, Command)]
#[command(aggregate = Visit)]
enum VisitInput {
    Begin,
}

// Its derive does not say whom it deals with.
#[derive(Clone, Default, Process)]
#[process(name = "visit", event = VisitEvent, input = VisitInput, error = std::fmt::Error)]
struct Visit;

impl Visit {
    fn on_begun(&mut self) {}
    fn begin(&self) -> Result<VisitEvent, std::fmt::Error> {
        Ok(VisitEvent::Begun)
    }
}

impl Process for Visit {
    fn effects(_: &Recorded<VisitEvent>, _: &Self) -> Effects<Self> {
        Effects::new()
    }
}

impl Hears<Account> for Visit {
    fn hear(_: Sent<'_, Account>, _: Result<(), &std::fmt::Error>) -> Option<VisitInput> {
        None
    }
}

impl Listens<AccountEvent> for Visit {
    fn listen(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = (String, VisitInput)> {
        [(event.id().to_owned(), VisitInput::Begin)]
    }
}

fn main() {}
