//! The whole chain under torture: three services, with commands, processes and their timers, stream
//! versions, relays, a broker, feeds, and inboxes. Everything is killed, suspended and cut off, what the broker brings and the feed answers is lost, doubled, late, shuffled and broken off;
//! and whenever it is quiet no money is missing, and the consumer has what was published.
#![cfg(all(
    feature = "client",
    feature = "feed",
    feature = "postgres",
    feature = "sqlite",
    feature = "testing",
    any(feature = "nats", feature = "rabbitmq")
))]

#[path = "../process/at_rest.rs"]
mod at_rest;
#[path = "../domain/mod.rs"]
mod bank;
#[path = "../chance/mod.rs"]
mod chance;
mod children;
mod feeds;
mod ledger;
mod liar;
#[path = "../process/patience.rs"]
mod patience;
mod people;
#[path = "../process/remittance.rs"]
mod remittance;
mod sites;
mod torture;
