//! The brokers, and where they are.

use std::time::Duration;

use es_runtime::consume::Broker;
use es_runtime::publish::Transport;
use es_servers::{Proxy, skip};

/// A broker's server, and how services get to it.
pub(crate) trait Site: Sized {
    type Broker: Broker + Transport + Clone;

    /// How services know it, at an address.
    fn broker(address: &str) -> Self::Broker;
    fn start() -> Result<Self, String>;
    fn address(&self) -> String;
    fn run(&mut self);
    fn stop(&mut self);
    fn kill(&mut self);
    fn suspend(&self);
    fn resume(&self);
}

macro_rules! site {
    ($server:ty, $broker:ty, $address:ident => $at:expr) => {
        impl Site for $server {
            type Broker = $broker;

            fn broker($address: &str) -> $broker {
                $at
            }

            fn start() -> Result<Self, String> {
                Self::start()
            }

            fn address(&self) -> String {
                self.address()
            }

            fn run(&mut self) {
                self.run();
            }

            fn stop(&mut self) {
                self.stop();
            }

            fn kill(&mut self) {
                self.kill();
            }

            fn suspend(&self) {
                self.suspend();
            }

            fn resume(&self) {
                self.resume();
            }
        }
    };
}

#[cfg(feature = "rabbitmq")]
site!(es_servers::RabbitMq, es_runtime::publish::RabbitMq, address => {
    es_runtime::publish::RabbitMq::at(format!("amqp://{address}/%2f"))
        .exchange("bank")
        .heartbeat(Duration::from_secs(1))
});

#[cfg(feature = "nats")]
site!(es_servers::Nats, es_runtime::publish::Nats, address => {
    es_runtime::publish::Nats::at(address).prefix("bank")
});

/// A server, if this machine can, and what stands before it.
pub(crate) fn start<S: Site>() -> Option<(S, Proxy)> {
    match S::start() {
        Ok(server) => {
            let proxy = Proxy::to(server.address());
            Some((server, proxy))
        }
        Err(why) => {
            skip(&why);
            None
        }
    }
}
