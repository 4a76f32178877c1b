//! Shows who reads.

use super::args::Asked;
use super::facts::{Behind, Reads};
use super::{Now, Refusal, find, stream};
use crate::ops::words::{ago, columns, number, span};
use crate::store::{EventStore, ProjectionKind, Store};

const TITLES: [&str; 8] = [
    "CONSUMER",
    "STREAM",
    "POSITION",
    "BEHIND",
    "WAITING",
    "VIA",
    "FIRST SEEN",
    "LAST SEEN",
];

pub(super) async fn consumers(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let streams: Vec<_> = match asked.name {
        Some(_) => find::find(store, asked.name.as_ref())
            .await?
            .ids()
            .collect(),
        None => {
            let all = store.projections().await?.into_iter().map(|(id, _)| id);
            all.filter(|id| id.kind == ProjectionKind::Stream).collect()
        }
    };
    let mut all = Vec::new();
    for id in &streams {
        all.extend(Behind::of(store, &stream(id)).await?);
    }
    let now = Now::of(store).await?;
    match asked.json {
        false if all.is_empty() => Ok("nobody who gave a name has read yet\n".to_owned()),
        false => Ok(table(&all, &now)),
        true => {
            let mut text = String::new();
            for behind in &all {
                text += &serde_json::to_string(&Reads::of(behind, &now))?;
                text.push('\n');
            }
            Ok(text)
        }
    }
}

pub(super) fn table(all: &[Behind], now: &Now) -> String {
    let mut lines = vec![TITLES.map(str::to_owned).to_vec()];
    lines.extend(all.iter().map(|behind| line(behind, now)));
    columns(&lines, &[2, 3])
}

fn line(behind: &Behind, now: &Now) -> Vec<String> {
    let known = &behind.known;
    vec![
        known.reading.consumer.clone(),
        known.reading.stream.to_string(),
        number(known.reading.position.get()),
        number(behind.events()),
        match behind.waits {
            Some(_) => span(behind.time(now)),
            None => "-".to_owned(),
        },
        known.reading.via.clone(),
        ago(known.first_seen, now.time),
        ago(known.last_seen, now.time),
    ]
}
