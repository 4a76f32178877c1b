//! Names that are keywords.
#![deny(warnings)]

use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "parcel", aggregate = r#Parcel)]
enum ParcelEvent {
    Moved { r#in: String, r#type: u8 },
    r#Lost,
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Parcel)]
enum ParcelCommand {
    Move { r#in: String, r#type: u8 },
    Super,
    Crate,
    Gen,
    Match(u8),
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "parcel", event = ParcelEvent, command = ParcelCommand, error = std::fmt::Error)]
struct Parcel;

type Answer = Result<Option<ParcelEvent>, std::fmt::Error>;

impl Parcel {
    fn r#move(&self, r#in: String, r#type: u8) -> Answer {
        Ok(Some(ParcelEvent::Moved { r#in, r#type }))
    }

    fn super_(&self) -> Answer {
        Ok(Some(ParcelEvent::Lost))
    }

    fn crate_(&self) -> Answer {
        Ok(None)
    }

    fn r#gen(&self) -> Answer {
        Ok(None)
    }

    fn r#match(&self, _with: u8) -> Answer {
        Ok(None)
    }

    fn on_moved(&mut self, _in: &str, _type: &u8) {}

    fn on_lost(&mut self) {}
}

#[derive(Projection)]
#[projection(name = "parcels", version = 1)]
struct ParcelRow {
    r#type: String,
}

fn main() -> Result<(), es_runtime::projection::OutOfRange> {
    for command in [ParcelCommand::Crate, ParcelCommand::Gen, ParcelCommand::Match(1)] {
        given::<Parcel>([]).when(command).then_nothing();
    }
    given::<Parcel>([]).when(ParcelCommand::Super).then([ParcelEvent::Lost]);
    let moved = ParcelCommand::Move { r#in: "box".to_owned(), r#type: 1 };
    assert_eq!(moved.name(), "move");
    assert_eq!(ParcelRow::COLUMNS[0].name, "type");
    assert_eq!(ParcelRow::from_row(ParcelRow { r#type: "box".to_owned() }.to_row()?)?.r#type, "box");
    assert_eq!(ParcelEvent::TYPES[1].variant, "Lost");
    Ok(())
}
