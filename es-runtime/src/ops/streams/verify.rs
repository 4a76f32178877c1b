//! Compares a stream with what was published, and with what its consumers hold.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Serialize;

use super::args::Asked;
use super::find::find;
use super::{Answer, Refusal, failed, stream};
use crate::event::Position;
use crate::integration::{StreamHash, verify as make_again};
use crate::ops::words::{counted, number};
use crate::store::{EventStore, ProjectionId, Store, StreamVersion};

/// What somebody says to hold at a position, and what is there.
#[derive(Serialize)]
struct Held {
    who: String,
    position: Position,
    hash: String,
    same: bool,
}

/// What was found, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
struct Found {
    stream: String,
    /// What came behind this position was made again,
    after: Position,
    /// up to this one, where the chain has this hash.
    until: Position,
    hash: Option<String>,
    /// The first position that is not what was published, and why.
    breach: Option<Wrong>,
    held: Vec<Held>,
}

#[derive(Serialize)]
struct Wrong {
    position: Position,
    why: String,
}

pub(super) async fn verify(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let stream = stream(&id);
    let head = store.published_head(&stream).await?.position;
    let after = asked.after.unwrap_or(Position::START);
    let until = asked.until.unwrap_or(head);
    let most = asked.at.map_or(until, |at| at.max(until));
    if most > head {
        return failed(format!(
            "`{id}` ends at position {head}: nobody can hold position {most} of it"
        ));
    }
    if after > until {
        return failed(format!("nothing is between position {after} and {until}"));
    }
    let mut wanted = held(store, asked, &stream).await?;
    wanted.retain(|position, _| after < *position && *position <= until);
    if asked.at.is_some_and(|at| !wanted.contains_key(&at)) {
        return failed(
            "what is held is compared where the chain is made again: say --at within it",
        );
    }
    let (mut held, mut last) = (Vec::new(), None);
    let breach = make_again(store, &stream, after, until, |cursor| {
        last = Some(cursor);
        let made = StreamHash::from_bytes(cursor.hash);
        for (who, hash) in wanted.remove(&cursor.position).unwrap_or_default() {
            held.push(Held {
                who,
                position: cursor.position,
                hash: hash.to_string(),
                same: hash == made,
            });
        }
    });
    let breach = breach.await?.map(|breach| Wrong {
        position: breach.position,
        why: breach.why,
    });
    let found = Found {
        stream: id.to_string(),
        after,
        until: last.map_or(after, |last| last.position),
        hash: last.map(|last| StreamHash::from_bytes(last.hash).to_string()),
        breach,
        held,
    };
    let right = found.breach.is_none() && found.held.iter().all(|held| held.same);
    let text = match asked.json {
        true => format!("{}\n", serde_json::to_string(&found)?),
        false => text(&id, &found),
    };
    let code = match right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    Ok(Answer { text, code })
}

type Holders = Vec<(String, StreamHash)>;

/// What was said to be held, by position: now, and by consumers as they read.
async fn held(
    store: &Store,
    asked: &Asked,
    stream: &StreamVersion,
) -> Result<BTreeMap<Position, Holders>, Refusal> {
    let mut held: BTreeMap<_, Holders> = BTreeMap::new();
    if let Some((at, hash)) = asked.at.zip(asked.hash) {
        held.entry(at)
            .or_default()
            .push(("--hash".to_owned(), hash));
    }
    for consumer in store.consumers(Some(stream)).await? {
        let reading = consumer.reading;
        if let Some(hash) = reading.hash {
            let at = held.entry(reading.position).or_default();
            at.push((reading.consumer, StreamHash::from_bytes(hash)));
        }
    }
    Ok(held)
}

fn text(id: &ProjectionId, found: &Found) -> String {
    let events = found.until.get() - found.after.get();
    let mut text = match events {
        0 => format!("{id}: no event is there\n"),
        some => format!(
            "{id}: {} from position {} to {}, as published\n",
            counted(some, "event", "events"),
            number(found.after.get() + 1),
            number(found.until.get())
        ),
    };
    if let Some(hash) = &found.hash {
        text += &format!("  the hash there is {hash}\n");
    }
    for held in &found.held {
        let (who, at) = (&held.who, number(held.position.get()));
        text += &match held.same {
            true => format!("  {who} holds the same at {at}\n"),
            false => format!("  {who} holds something else at {at}: {}\n", held.hash),
        };
    }
    if let Some(Wrong { position, why }) = &found.breach {
        text += &format!(
            "position {} is not as published: {why}\n",
            number(position.get())
        );
    }
    text
}
