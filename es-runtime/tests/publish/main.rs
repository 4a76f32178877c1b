//! Stream versions go out over brokers: each event, in order, whatever dies.
#![cfg(all(feature = "sqlite", feature = "testing"))]

#[path = "../domain/mod.rs"]
mod domain;

mod broken;
mod laws;
#[cfg(feature = "rabbitmq")]
mod rabbit;
mod relays;
#[cfg(feature = "rabbitmq")]
mod torture;
