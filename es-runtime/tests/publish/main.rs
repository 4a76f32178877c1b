//! Stream versions go out over brokers: each event, in order, whatever dies.
#![cfg(all(feature = "sqlite", feature = "testing"))]

#[cfg(all(feature = "feed", any(feature = "nats", feature = "rabbitmq")))]
#[path = "../chance/mod.rs"]
mod chance;
#[path = "../domain/mod.rs"]
mod domain;

mod broken;
mod laws;
#[cfg(all(feature = "feed", feature = "nats"))]
mod nats;
#[cfg(all(feature = "feed", feature = "rabbitmq"))]
mod rabbit;
#[cfg(all(feature = "feed", any(feature = "nats", feature = "rabbitmq")))]
mod readers;
mod relays;
#[cfg(all(feature = "feed", any(feature = "nats", feature = "rabbitmq")))]
mod torture;
