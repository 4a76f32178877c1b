//! Plain readers of the feed, who know nothing but HTTP: one asks for page after page, the other
//! follows what is sent. Whatever happens to whoever serves, they go on where they were.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use reqwest::{Client, Response};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Where the feed is served now, by several.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Vec<String>>>);

impl Places {
    pub(crate) fn add(&self, place: &str) {
        self.0.lock().unwrap().push(place.to_owned());
    }

    /// Whoever served before does so no more.
    pub(crate) fn only(&self, place: &str) {
        *self.0.lock().unwrap() = vec![place.to_owned()];
    }

    fn any(&self, random: &mut Rng) -> Option<String> {
        let mut places = self.0.lock().unwrap();
        // Those of long ago are dead.
        let old = places.len().saturating_sub(6);
        places.drain(..old);
        random.choice(places.iter()).cloned()
    }
}

/// A reader at work.
pub(crate) struct Reader {
    task: JoinHandle<Vec<Vec<u8>>>,
    goal: watch::Sender<Option<usize>>,
}

impl Reader {
    /// Reads `stream`, as `accounts/v1`: in pages, or as it is sent.
    pub(crate) fn start(places: &Places, stream: &'static str, sent: bool, random: Rng) -> Self {
        let (goal, wanted) = watch::channel(None);
        let (places, read) = (places.clone(), Vec::new());
        let task = tokio::spawn(read_on(places, stream, sent, random, wanted, read));
        Self { task, goal }
    }

    /// All that it read, as soon as there are `events` of them.
    pub(crate) async fn read(self, events: usize) -> Vec<Vec<u8>> {
        self.goal.send_replace(Some(events));
        let read = timeout(Duration::from_secs(60), self.task).await;
        read.expect("the reader gets all").unwrap()
    }
}

async fn read_on(
    places: Places,
    stream: &str,
    sent: bool,
    mut random: Rng,
    wanted: watch::Receiver<Option<usize>>,
    mut read: Vec<Vec<u8>>,
) -> Vec<Vec<u8>> {
    while wanted.borrow().is_none_or(|events| read.len() < events) {
        let Some(place) = places.any(&mut random) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let url = format!("http://{place}/streams/{stream}/events");
        // Who reads breaks off, too: in the middle of a line, if it comes so.
        let patience = Duration::from_millis(random.u64(10..3000));
        match sent {
            true => patiently(patience, follow(&url, stream, &mut read)).await,
            false => patiently(patience, page(&url, random.u8(1..100), &mut read)).await,
        }
    }
    read
}

/// Somebody who does not answer is asked again later, as is one who answers with an error.
async fn patiently(patience: Duration, asking: impl Future<Output = reqwest::Result<()>>) {
    if !matches!(timeout(patience, asking).await, Ok(Ok(()))) {
        sleep(Duration::from_millis(20)).await;
    }
}

async fn page(url: &str, limit: u8, read: &mut Vec<Vec<u8>>) -> reqwest::Result<()> {
    let url = format!("{url}?after={}&limit={limit}&wait=500", read.len());
    let page = Client::new().get(url).send().await?.error_for_status()?;
    let page = page.bytes().await?;
    let events: Vec<Box<RawValue>> = serde_json::from_slice(&page).expect("a page of events");
    read.extend(events.iter().map(|event| event.get().as_bytes().to_vec()));
    Ok(())
}

async fn follow(url: &str, stream: &str, read: &mut Vec<Vec<u8>>) -> reqwest::Result<()> {
    let last = format!("{}-{}", stream.replace('/', "."), read.len());
    let ask = Client::new()
        .get(url)
        .header("accept", "text/event-stream")
        .header("last-event-id", last);
    let mut answer: Response = ask.send().await?.error_for_status()?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        text.extend_from_slice(&chunk);
        // A block counts when it is whole.
        while let Some(end) = text.windows(2).position(|end| end == b"\n\n") {
            let block: Vec<u8> = text.drain(..end + 2).collect();
            let data = block.split(|byte| *byte == b'\n');
            let mut data = data.filter_map(|line| line.strip_prefix(b"data: "));
            read.extend(data.next().map(<[u8]>::to_vec));
        }
    }
    Ok(())
}
