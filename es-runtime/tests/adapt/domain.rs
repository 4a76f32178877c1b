//! The log of a system that is not event sourced: what aircraft did. See data/NOTES.md.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use es_runtime::adapt::{Adapt, Adapter, NoCommand, Place, Placed, Rank};
use es_runtime::prelude::*;
use es_runtime::{Builder, Service, Store};

const FLIGHTS: &str = include_str!("data/flights.csv");

/// What the upstream says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) aircraft: String,
    pub(crate) what: What,
    #[serde(default)]
    pub(crate) estimated: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum What {
    Seen { airport: String, at: Timestamp },
    Flew { miles: i64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "aircraft", aggregate = Aircraft)]
pub(crate) enum AircraftEvent {
    Seen { airport: String, place: Place },
    SeenLate { airport: String, place: Place },
    Flew { miles: i64, place: Place },
}

impl Placed for AircraftEvent {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Seen { place, .. } | Self::SeenLate { place, .. } | Self::Flew { place, .. } => {
                Some(place)
            }
        }
    }

    fn superseded(self) -> Self {
        match self {
            Self::Seen { airport, place } => Self::SeenLate { airport, place },
            other => other,
        }
    }
}

impl Adapt for Report {
    type Entity = Aircraft;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn entity(&self) -> String {
        self.aircraft.clone()
    }

    fn rank(&self) -> Rank {
        match self.what {
            What::Seen { at, .. } => Rank::state(at),
            What::Flew { .. } => Rank::fact(),
        }
    }

    fn is_synthetic(&self) -> bool {
        self.estimated
    }

    fn becomes(&self, place: Place) -> AircraftEvent {
        match self.what.clone() {
            What::Seen { airport, .. } => AircraftEvent::Seen { airport, place },
            What::Flew { miles } => AircraftEvent::Flew { miles, place },
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Aggregate)]
#[aggregate(name = "aircraft", event = AircraftEvent, command = NoCommand, error = std::fmt::Error)]
pub(crate) struct Aircraft {
    pub(crate) airport: String,
    pub(crate) flights: u64,
    pub(crate) miles: i64,
}

impl Aircraft {
    fn on_seen(&mut self, airport: &str, _: &Place) {
        self.airport = airport.to_owned();
    }

    fn on_seen_late(&mut self, _: &str, _: &Place) {}

    fn on_flew(&mut self, miles: &i64, _: &Place) {
        self.flights += 1;
        self.miles += miles;
    }
}

/// What others are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "aircraft", version = 1)]
pub(crate) enum Movements {
    Moved { aircraft: String, airport: String },
    Flew { aircraft: String, miles: i64 },
}

impl Publish<Aircraft> for Movements {
    fn publish(event: &Recorded<AircraftEvent>, _: &Aircraft) -> impl IntoEvents<Self> {
        let aircraft = event.id().to_owned();
        match event.data.clone() {
            AircraftEvent::Seen { airport, .. } => Some(Self::Moved { aircraft, airport }),
            AircraftEvent::Flew { miles, .. } => Some(Self::Flew { aircraft, miles }),
            AircraftEvent::SeenLate { .. } => None,
        }
    }
}

/// Where all aircraft are in the end.
pub(crate) type Fleet = BTreeMap<String, Aircraft>;

struct Flight {
    id: String,
    aircraft: String,
    from: String,
    to: String,
    left: i64,
    landed: i64,
    miles: i64,
}

fn flights() -> impl Iterator<Item = Flight> {
    const MINUTE: i64 = 60_000_000;
    FLIGHTS.lines().skip(1).map(|line| {
        let columns: Vec<_> = line.split(',').collect();
        let [
            day,
            left,
            carrier,
            flight,
            aircraft,
            from,
            to,
            minutes,
            miles,
        ] = columns[..]
        else {
            panic!("not a flight: {line}");
        };
        let number = |text: &str| text.parse::<i64>().unwrap();
        let (hour, minute) = left.split_once(':').unwrap();
        let left = ((number(day) * 24 + number(hour)) * 60 + number(minute)) * MINUTE;
        Flight {
            id: format!("{day}-{carrier}-{flight}"),
            aircraft: aircraft.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            left,
            landed: left + number(minutes) * MINUTE,
            miles: number(miles),
        }
    })
}

/// What the upstream says of all flights, in the order in which it came about; and what somebody
/// estimated for the radar's gaps: while they flew, and of where they landed.
pub(crate) fn reports() -> Vec<Report> {
    static REPORTS: LazyLock<Vec<Report>> = LazyLock::new(said);
    REPORTS.clone()
}

fn said() -> Vec<Report> {
    let mut reports = Vec::new();
    for flight in flights() {
        let mut say = |kind: &str, what: What| {
            let id = format!("{}-{kind}", flight.id);
            reports.push(Report {
                id,
                aircraft: flight.aircraft.clone(),
                what,
                estimated: kind.starts_with("estimated"),
            });
        };
        let seen = |airport: &str, at| What::Seen {
            airport: airport.to_owned(),
            at: Timestamp::from_micros(at),
        };
        say("left", seen(&flight.from, flight.left));
        let miles = flight.miles;
        say("landed", seen(&flight.to, flight.landed));
        say("flew", What::Flew { miles });
        say(
            "estimated-on-the-way",
            seen("in the air", (flight.left + flight.landed) / 2),
        );
        say("estimated-there", seen("somewhere", flight.landed));
    }
    reports
}

/// Where they are in the end, by the plain records.
pub(crate) fn truth() -> Fleet {
    let (mut fleet, mut last) = (Fleet::new(), BTreeMap::new());
    for flight in flights() {
        let aircraft = fleet.entry(flight.aircraft.clone()).or_default();
        aircraft.flights += 1;
        aircraft.miles += flight.miles;
        let last = last.entry(flight.aircraft).or_default();
        if flight.landed > *last {
            *last = flight.landed;
            aircraft.airport = flight.to;
        }
    }
    fleet
}

pub(crate) fn service(store: &Store) -> Builder {
    Service::builder("flights")
        .store(store.clone())
        .adapt::<Aircraft>()
}

pub(crate) fn tower(flights: &Service) -> Adapter<Report> {
    Adapter::new(flights, "tower").unwrap()
}

/// Where they are, by the service, and how many messages it knows.
pub(crate) async fn fleet(flights: &Service) -> (Fleet, u64) {
    let (mut fleet, mut messages) = (Fleet::new(), 0);
    for name in truth().into_keys() {
        let aircraft = flights.load::<Aircraft>(name.clone()).await.unwrap();
        messages += aircraft.version();
        fleet.insert(name, aircraft.state().clone());
    }
    (fleet, messages)
}

pub(crate) async fn memory() -> Store {
    Store::connect("memory:").await.unwrap()
}

pub(crate) fn seen(id: &str, airport: &str, at: i64) -> Report {
    Report {
        id: id.to_owned(),
        aircraft: "N1".to_owned(),
        what: What::Seen {
            airport: airport.to_owned(),
            at: Timestamp::from_micros(at),
        },
        estimated: false,
    }
}
