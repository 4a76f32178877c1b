use es_runtime::prelude::*;

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

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "transfer", event = TransferEvent, command = TransferInput, error = std::fmt::Error)]
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

fn main() {}
