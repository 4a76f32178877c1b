//! A broker that cannot be trusted: between it and who listens, messages get lost, doubled, late,
//! shuffled, broken off and changed.

use std::collections::VecDeque;
use std::sync::Mutex;

use es_runtime::Result;
use es_runtime::consume::{Broker, Subscription};
use es_runtime::store::StreamVersion;
use fastrand::Rng;

pub(crate) struct Liar<B> {
    broker: B,
    random: Mutex<Rng>,
}

impl<B> Liar<B> {
    pub(crate) fn new(broker: B, random: Rng) -> Self {
        let random = Mutex::new(random);
        Self { broker, random }
    }
}

pub(crate) struct Lies<S> {
    messages: S,
    random: Rng,
    /// What was held back.
    later: VecDeque<Vec<u8>>,
}

impl<B: Broker> Broker for Liar<B> {
    type Subscription = Lies<B::Subscription>;

    async fn subscribe(
        &self,
        stream: &StreamVersion,
        consumer: &str,
    ) -> Result<Lies<B::Subscription>> {
        let messages = self.broker.subscribe(stream, consumer).await?;
        let random = self.random.lock().unwrap().fork();
        let later = VecDeque::new();
        Ok(Lies {
            messages,
            random,
            later,
        })
    }
}

impl<S: Subscription> Subscription for Lies<S> {
    async fn next(&mut self) -> Result<Vec<u8>> {
        loop {
            if !self.later.is_empty() && self.random.u8(..3) == 0 {
                // The last that was held back may come first.
                let last = self.random.bool();
                let held = match last {
                    true => self.later.pop_back(),
                    false => self.later.pop_front(),
                };
                return Ok(held.expect("one is there"));
            }
            let mut message = self.messages.next().await?;
            match self.random.u8(..20) {
                0 => continue,
                1 => self.later.push_back(message.clone()),
                2 | 3 => {
                    self.later.push_back(message);
                    continue;
                }
                4 => message.truncate(self.random.usize(..message.len())),
                5 => changed(&mut message),
                _ => {}
            }
            return Ok(message);
        }
    }
}

/// As if somebody had more money than he has.
fn changed(message: &mut [u8]) {
    let digits = message.iter_mut().filter(|byte| byte.is_ascii_digit());
    if let Some(digit) = digits.last() {
        *digit = if *digit == b'9' { b'1' } else { *digit + 1 };
    }
}
