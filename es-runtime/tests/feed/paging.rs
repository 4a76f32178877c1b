//! Paging against a model: whatever is asked, the answer is what the stream holds, and a reader who
//! follows the answers gets each event once, in order.

use es_runtime::Result;
use es_runtime::feed::Serve;
use es_runtime::integration::{CloudEvent, StreamHash};
use es_runtime::store::PublishedEvent;
use fastrand::Rng;

use crate::ANYWHERE;
use crate::filled::{TYPES, add, chain, filled};
use crate::raw::ask;

const EVENTS: &str = "/streams/accounts/v1/events";
const SUBJECTS: [&str; 3] = ["alice", "bob", "carol"];

fn seed() -> u64 {
    let seed = std::env::var("ES_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("ES_SEED is a number"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    seed
}

/// What a request filters by.
#[derive(Clone, Copy, Debug)]
struct Filter {
    of: Option<usize>,
    subject: Option<usize>,
}

impl Filter {
    fn any(random: &mut Rng) -> Self {
        Self {
            of: random.bool().then(|| random.usize(..2)),
            subject: random.bool().then(|| random.usize(..3)),
        }
    }

    fn wants(self, event: &PublishedEvent) -> bool {
        self.of.is_none_or(|of| event.event_type == TYPES[of])
            && self.subject.is_none_or(|of| event.subject == SUBJECTS[of])
    }

    fn is_some(self) -> bool {
        self.of.is_some() || self.subject.is_some()
    }

    fn query(self) -> String {
        let of = self.of.map(|of| format!("&types={}", TYPES[of]));
        let subject = self.subject.map(|of| format!("&subject={}", SUBJECTS[of]));
        of.unwrap_or_default() + &subject.unwrap_or_default()
    }
}

#[tokio::test]
async fn every_answer_is_what_the_stream_holds() -> Result<()> {
    let mut random = Rng::with_seed(seed());
    let what = (0..500).map(|_| (random.usize(..2), SUBJECTS[random.usize(..3)].to_owned()));
    let all = chain(what.collect::<Vec<_>>(), 3);
    let mut head = random.usize(1..300);
    let serve = Serve::at(ANYWHERE).largest_page(50);
    let (bank, store, url) = filled(&all[..head], serve).await?;
    for _ in 0..400 {
        if random.u8(..10) == 0 && head < all.len() {
            let more = random.usize(1..=(all.len() - head).min(20));
            add(&store, head as u64, &all[head..head + more]).await?;
            head += more;
        }
        let filter = Filter::any(&mut random);
        let after = random.usize(..head + 20);
        let limit = random.usize(1..80);
        let wait = random.u8(..3);
        let cursor = match random.bool() {
            true => after.to_string(),
            false => format!("accounts.v1-{after}"),
        };
        let path = format!(
            "{EVENTS}?after={cursor}&limit={limit}&wait={wait}{}",
            filter.query()
        );
        let answer = ask(&url, "GET", &path, "").await.unwrap();
        if after > head {
            assert_eq!(answer.status, 409, "{path} at {head}");
            continue;
        }
        assert_eq!(answer.status, 200, "{path} at {head}: {answer:?}");
        let wanted = all[after..head].iter().filter(|event| filter.wants(event));
        let wanted: Vec<_> = wanted.take(limit.min(50)).collect();
        let found: Vec<CloudEvent> = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(found.len(), wanted.len(), "{path} at {head}");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found.position(), Some(wanted.position), "{path} at {head}");
            assert_eq!(found.data.get(), wanted.payload);
            let before = match wanted.position.get() {
                1 => StreamHash::START,
                n => StreamHash::from_bytes(all[usize::try_from(n).unwrap() - 2].hash),
            };
            assert_eq!(found.proof(before).unwrap().to_string(), found.streamhash);
        }
        let full = wanted.len() == limit.min(50);
        let seen = match wanted.last() {
            Some(last) if full => last.position.get(),
            _ => head as u64,
        };
        assert_eq!(
            answer.headers["stream-checkpoint"],
            seen.to_string(),
            "{path} at {head}"
        );
        assert_eq!(answer.headers["stream-head"], head.to_string(), "{path}");
        let immutable = answer.headers["cache-control"].contains("immutable");
        assert_eq!(immutable, full && !filter.is_some(), "{path} at {head}");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn whoever_follows_the_answers_gets_each_event_once() -> Result<()> {
    let mut random = Rng::with_seed(seed());
    let what = (0..400).map(|_| (random.usize(..2), SUBJECTS[random.usize(..3)].to_owned()));
    let all = chain(what.collect::<Vec<_>>(), 3);
    let (bank, store, url) = filled(&all[..100], Serve::at(ANYWHERE)).await?;
    let readers: Vec<_> = (0..6)
        .map(|_| (Filter::any(&mut random), random.usize(1..30)))
        .collect();
    let read = async |(filter, limit): (Filter, usize)| {
        let (mut after, mut found) = (0, Vec::new());
        while after < 400 {
            let path = format!(
                "{EVENTS}?after={after}&limit={limit}&wait=5000{}",
                filter.query()
            );
            let answer = ask(&url, "GET", &path, "").await.unwrap();
            let page: Vec<CloudEvent> = serde_json::from_str(&answer.body).unwrap();
            found.extend(page.iter().map(|event| event.position().unwrap()));
            after = answer.headers["stream-checkpoint"].parse().unwrap();
        }
        let wanted = all.iter().filter(|event| filter.wants(event));
        let wanted: Vec<_> = wanted.map(|event| event.position).collect();
        assert_eq!(found, wanted, "{filter:?}, {limit} at once");
    };
    let write = async {
        let mut head = 100;
        while head < 400 {
            let more = random.usize(1..=(400 - head).min(30));
            add(&store, head as u64, &all[head..head + more])
                .await
                .unwrap();
            head += more;
            tokio::task::yield_now().await;
        }
    };
    let readers = futures_util::future::join_all(readers.into_iter().map(read));
    tokio::join!(readers, write);
    bank.shutdown().await
}
