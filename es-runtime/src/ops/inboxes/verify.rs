//! Compares what was consumed with what a feed has.

use super::args::Asked;
use super::{Answer, Refusal, Store};

#[cfg(feature = "client")]
pub(super) async fn verify(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    use std::ops::Bound;
    use std::process::ExitCode;

    use super::find::{name, one};
    use crate::consume::{Feed, Inbox, Verified};
    use crate::ops::words::{counted, number};

    let id = one(store, asked).await?;
    let inbox = name(&id);
    let mut feed = Feed::http(asked.feed.clone().unwrap_or_default());
    for (header, value) in &asked.headers {
        feed = feed.header(header, value);
    }
    let after = asked.after.map_or(Bound::Unbounded, Bound::Excluded);
    let until = asked.until.map_or(Bound::Unbounded, Bound::Included);
    let verified = Inbox::new(id, store.clone())
        .verify(feed, (after, until))
        .await?;
    let code = match verified.agrees() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    let text = match &verified {
        _ if asked.json => {
            let object = serde_json::json!({
                "inbox": inbox,
                "agrees": verified.agrees(),
                "verified": json(&verified),
            });
            format!("{object}\n")
        }
        Verified::Agrees {
            after,
            until,
            hash,
            waiting,
            given_up,
        } => {
            let events = until.get().saturating_sub(after.get());
            let mut text = format!(
                "{inbox} consumed what the feed has: {} behind position {}, up to {}\nhash {hash}\n",
                counted(events, "event", "events"),
                number(after.get()),
                number(until.get()),
            );
            if *waiting > 0 {
                text += &format!(
                    "{} for a key that is set aside\n",
                    counted(*waiting, "event waits", "events wait")
                );
            }
            if *given_up > 0 {
                text += &format!(
                    "{} given up\n",
                    counted(*given_up, "event was", "events were")
                );
            }
            text
        }
        Verified::Differs { after, until, why } => format!(
            "{inbox} did not consume what the feed has, behind position {} and at the latest at {}: {why}\n",
            number(after.get()),
            number(until.get()),
        ),
    };
    Ok(Answer { text, code })
}

#[cfg(feature = "client")]
fn json(verified: &crate::consume::Verified) -> serde_json::Value {
    use crate::consume::Verified;
    match verified {
        Verified::Agrees {
            after,
            until,
            hash,
            waiting,
            given_up,
        } => serde_json::json!({
            "after": after, "until": until, "hash": hash.to_string(), "waiting": waiting,
            "given_up": given_up,
        }),
        Verified::Differs { after, until, why } => {
            serde_json::json!({"after": after, "until": until, "why": why})
        }
    }
}

#[cfg(not(feature = "client"))]
#[allow(clippy::unused_async)]
pub(super) async fn verify(_: &Store, _: &Asked) -> Result<Answer, Refusal> {
    super::failed("this program cannot ask a feed: build it with the feature `client`")
}
