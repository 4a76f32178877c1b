//! Adapters: what upstreams that number nothing say, late, doubled and out of order.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod arrival;
mod domain;
mod messages;
mod polled;
#[cfg(feature = "rabbitmq")]
mod rabbit;
#[cfg(feature = "webhook")]
mod webhook;
