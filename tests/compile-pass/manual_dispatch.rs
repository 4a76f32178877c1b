//! The user writes the `match` themselves.
#![deny(warnings)]

use std::fmt::Error;

use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "door", aggregate = Door, dispatch = manual)]
enum DoorEvent {
    Opened,
    Closed,
}

#[derive(Clone, Command)]
#[command(dispatch = manual)]
enum DoorCommand {
    Open,
    Close,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Aggregate)]
#[aggregate(name = "door", event = DoorEvent, command = DoorCommand, error = Error, id = u32)]
enum Door {
    #[default]
    Closed,
    Open,
}

impl Decide for Door {
    fn decide(&self, command: DoorCommand) -> Result<Vec<DoorEvent>, Error> {
        Ok(match (self, command) {
            (Door::Closed, DoorCommand::Open) => vec![DoorEvent::Opened],
            (Door::Open, DoorCommand::Close) => vec![DoorEvent::Closed],
            _ => vec![],
        })
    }
}

impl Evolve for Door {
    fn evolve(&mut self, event: &DoorEvent) {
        *self = match event {
            DoorEvent::Opened => Door::Open,
            DoorEvent::Closed => Door::Closed,
        };
    }
}

fn main() {
    let opened = [DoorEvent::Opened];
    given::<Door>([]).when(DoorCommand::Close).then_nothing();
    assert_eq!(given::<Door>([]).when(DoorCommand::Open).then(opened), Door::Open);
}
