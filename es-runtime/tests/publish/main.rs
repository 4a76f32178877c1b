//! Stream versions go out over brokers: each event, in order, whatever dies.
#![cfg(all(feature = "sqlite", feature = "testing"))]

#[path = "../domain/mod.rs"]
mod domain;

mod broken;
mod laws;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbit;
mod relays;
#[cfg(any(feature = "nats", feature = "rabbitmq"))]
mod torture;
