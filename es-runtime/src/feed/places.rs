//! Room for what clients ask for: bounded, and given back when they are gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;
use super::serve::Limits;
use crate::runtime::without;

/// Room for answers under way, and for those who wait.
pub(super) struct Places {
    limits: Limits,
    answers: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// How many wait, in all and of each name; those without one are one.
#[derive(Default)]
struct Waiting {
    all: usize,
    of: HashMap<Option<String>, usize>,
}

/// The room that an answer takes until its client has it.
pub(super) type Place = OwnedSemaphorePermit;

/// The room of one who waits.
pub(super) struct Seat {
    places: Arc<Places>,
    name: Option<String>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            answers: Arc::new(Semaphore::new(limits.answers)),
            waiting: Mutex::default(),
        }
    }

    /// Room for an answer, as soon as there is some.
    pub(super) async fn answer(&self) -> Result<Place, Problem> {
        let place = self.answers.clone().acquire_owned();
        // Shorter than slow clients are given, so that others hear of them.
        match timeout(self.limits.patience / 2, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Problem::crowded(
                "too many answers are under way, and their clients are slow to take them",
            )),
        }
    }

    /// Room to wait for news, if there is some.
    pub(super) fn wait(self: &Arc<Self>, name: Option<&str>) -> Result<Seat, Problem> {
        let Limits {
            waiting: most,
            waiting_each,
            ..
        } = self.limits;
        let each = name.map_or(most.div_ceil(2), |_| waiting_each);
        let name = name.map(str::to_owned);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of_name = waiting.of.get(&name).copied().unwrap_or_default();
        if of_name >= each && !without("those who wait are bounded") {
            return Err(match &name {
                Some(name) => Problem::waits_too_often(&format!("`{name}`"), each),
                None => Problem::crowded(
                    "too many readers without a name wait for news: send the header `Es-Consumer`, or ask without `wait`",
                ),
            });
        }
        if waiting.all >= most && !without("those who wait are bounded") {
            return Err(Problem::crowded(
                "too many readers wait for news: ask again, without `wait`",
            ));
        }
        waiting.all += 1;
        waiting.of.insert(name.clone(), of_name + 1);
        let places = self.clone();
        Ok(Seat { places, name })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let waiting = &self.places.waiting;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all -= 1;
        if let Some(of_name) = waiting.of.get_mut(&self.name) {
            *of_name -= 1;
            if *of_name == 0 {
                waiting.of.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Serve;
    use super::*;

    #[test]
    fn room_is_bounded_and_given_back() {
        let limits = Serve::at("nowhere").waiting(4, 2).limits;
        let places = Arc::new(Places::new(limits));
        let one = places.wait(Some("one")).unwrap();
        let _two = places.wait(Some("one")).unwrap();
        assert!(places.wait(Some("one")).is_err(), "of one name");
        let nameless = [(); 2].map(|()| places.wait(None).unwrap());
        assert!(places.wait(None).is_err(), "without a name");
        assert!(places.wait(Some("other")).is_err(), "in all");
        drop(one);
        let _other = places.wait(Some("other")).unwrap();
        drop(nameless);
        assert_eq!(places.waiting.lock().unwrap().of.len(), 2);
    }
}
