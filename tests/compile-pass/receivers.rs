//! Handlers with another receiver than expected, from another module, in a trait's way.
#![deny(warnings)]

use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "lamp", aggregate = state::Lamp)]
enum LampEvent {
    Lit,
    Cloned(u8),
}

#[derive(Clone, Command)]
#[command(aggregate = state::Lamp)]
enum LampCommand {
    // A method of `Clone` has this name, and the inherent one wins.
    Clone { n: u8 },
    Light,
}

mod state {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, Aggregate)]
    #[aggregate(name = "lamp", event = LampEvent, command = LampCommand, error = std::fmt::Error)]
    pub(super) struct Lamp;

    impl Lamp {
        pub(super) fn light(self) -> Result<[LampEvent; 1], std::fmt::Error> {
            Ok([LampEvent::Lit])
        }

        pub(super) fn clone(&self, n: u8) -> Result<Vec<LampEvent>, std::fmt::Error> {
            Ok(vec![LampEvent::Cloned(n)])
        }

        pub(super) fn on_lit(&self) {}

        pub(super) fn on_cloned(self, _n: &u8) {}
    }
}

fn main() {
    given::<state::Lamp>([]).when(LampCommand::Light).then([LampEvent::Lit]);
    given::<state::Lamp>([]).when(LampCommand::Clone { n: 1 }).then([LampEvent::Cloned(1)]);
}
