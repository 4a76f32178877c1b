//! The laws of transports: those that are there keep them, and the suite notices one that does not.

use es_runtime::publish::Route;
use es_runtime::testing::transports::{MemoryBroker, MemoryReader, Subject, check};

use crate::broken::{Broken, Fault};

struct Memory;

impl Subject for Memory {
    type Transport = MemoryBroker;
    type Reader = MemoryReader;

    async fn fresh(&self) -> MemoryBroker {
        MemoryBroker::new()
    }

    async fn reader(&self, of: &MemoryBroker, route: &Route) -> MemoryReader {
        of.reader(&route.address())
    }

    async fn place(&self, of: &MemoryBroker, name: &str) -> MemoryReader {
        of.queue(name)
    }

    async fn cut(&self, of: &MemoryBroker) {
        of.cut();
    }
}

#[tokio::test]
async fn the_broker_in_memory_keeps_the_laws() {
    check(&Memory).await.unwrap();
}

struct With(Fault);

impl Subject for With {
    type Transport = Broken;
    type Reader = MemoryReader;

    async fn fresh(&self) -> Broken {
        Broken::new(self.0)
    }

    async fn reader(&self, of: &Broken, route: &Route) -> MemoryReader {
        of.broker.reader(&route.address())
    }

    async fn place(&self, of: &Broken, name: &str) -> MemoryReader {
        of.broker.queue(name)
    }

    async fn cut(&self, of: &Broken) {
        of.broker.cut();
    }
}

/// The law under which each fault is rejected.
const REJECTED: [(Fault, &str); 9] = [
    (Fault::ConfirmsEarly, ARRIVED),
    (Fault::ConfirmsTooMuch, RISE),
    (Fault::Reorders, RISE),
    (Fault::Reformats, ARRIVED),
    (Fault::Forgets, "a dropped wait loses no confirmation"),
    (Fault::Shares, "two links of a route never mix"),
    (Fault::Resurrects, "who was replaced sends nothing"),
    (
        Fault::RedeliversToAll,
        "a redelivery reaches one place alone",
    ),
    (
        Fault::RedeliversNowhere,
        "a redelivery reaches one place alone",
    ),
];
const RISE: &str = "confirmations rise, up to what was sent";
const ARRIVED: &str = "what is confirmed has arrived, in order and as it was";

#[tokio::test(start_paused = true)]
async fn a_transport_that_breaks_a_law_is_rejected_under_its_name() {
    check(&With(Fault::None)).await.unwrap();
    for (fault, law) in REJECTED {
        let violation = check(&With(fault)).await.unwrap_err();
        println!("{fault:?}: {violation}");
        assert_eq!(violation.law(), law, "{fault:?}: {violation}");
    }
}

#[cfg(feature = "rabbitmq")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_keeps_the_laws() {
    let Some(broker) = crate::rabbit::Broker::start() else {
        return;
    };
    check(&broker).await.unwrap();
}

#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_keeps_the_laws() {
    let Some(broker) = crate::nats::Broker::start() else {
        return;
    };
    check(&broker).await.unwrap();
}
