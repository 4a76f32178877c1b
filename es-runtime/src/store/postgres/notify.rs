//! News between processes: each tells the others what it wrote, at most every few milliseconds,
//! on a connection of its own. A notification inside the append would take a lock over the whole
//! cluster at every commit.
//!
//! News are a courtesy: what is lost with a connection, the readers' poll interval finds.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::event::Position;
use crate::store::StreamVersion;
use crate::store::wake::{Heads, Wake};

const CHANNEL: &str = "es";
/// A notification is a commit. Nobody misses it when it is lost, so it need not wait for the disk.
const NOTIFY: &str = "
    SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, news)
    FROM unnest($2::text[]) news";

/// The least time between two notifications of one process.
const SPACING: Duration = Duration::from_millis(3);
/// How long to wait after the database was away.
const AWAY: Duration = Duration::from_secs(1);

/// Starts to tell others of `own` heads and to hear of theirs; ends when `own` is dropped.
pub(super) fn start(pool: &PgPool, own: &Heads, wake: &Arc<Wake>) {
    let (log, streams) = own.follow();
    tokio::spawn(hear(pool.clone(), Arc::downgrade(wake), log.clone()));
    tokio::spawn(tell(pool.clone(), log, streams));
}

async fn tell(
    pool: PgPool,
    mut log: watch::Receiver<Position>,
    mut streams: watch::Receiver<HashMap<StreamVersion, Position>>,
) {
    let mut told = HashMap::new();
    loop {
        let changed = tokio::select! {
            changed = log.changed() => changed,
            changed = streams.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let mut news = vec![format!("log:{}", *log.borrow_and_update())];
        for (stream, head) in streams.borrow_and_update().iter() {
            if told.insert(stream.clone(), *head) != Some(*head) {
                news.push(format!("{stream}:{head}"));
            }
        }
        let notify = sqlx::query(NOTIFY);
        match notify.bind(CHANNEL).bind(news).execute(&pool).await {
            Ok(_) => sleep(SPACING).await,
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => {
                tracing::debug!(%error, "others were not told; they will poll");
                sleep(AWAY).await;
            }
        }
    }
}

async fn hear(pool: PgPool, wake: Weak<Wake>, mut own: watch::Receiver<Position>) {
    let gone = async move { while own.changed().await.is_ok() {} };
    let listen = async {
        loop {
            let error = match listen(&pool, &wake).await {
                Ok(()) | Err(sqlx::Error::PoolClosed) => return,
                Err(error) => error,
            };
            tracing::debug!(%error, "not listening; readers poll");
            sleep(AWAY).await;
        }
    };
    tokio::select! {
        () = gone => {}
        () = listen => {}
    }
}

/// Passes on what others tell, until nobody wants to hear it.
async fn listen(pool: &PgPool, wake: &Weak<Wake>) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let news = listener.recv().await?;
        let Some(wake) = wake.upgrade() else {
            return Ok(());
        };
        // What another release tells in another form, the poll interval finds.
        match parse(news.payload()) {
            Some((None, head)) => wake.log_grew(head),
            Some((Some(stream), head)) => wake.stream_grew(&stream, head),
            None => {}
        }
    }
}

/// `log:17` or `accounts@2:5`.
fn parse(news: &str) -> Option<(Option<StreamVersion>, Position)> {
    let (of, head) = news.rsplit_once(':')?;
    let stream = match of {
        "log" => None,
        _ => {
            let (stream, version) = of.rsplit_once('@')?;
            Some(StreamVersion {
                stream: stream.to_owned(),
                version: version.parse().ok()?,
            })
        }
    };
    Some((stream, Position::new(head.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_and_noise_is_not() {
        let stream = StreamVersion {
            stream: "accounts".into(),
            version: 2,
        };
        assert_eq!(parse("log:17"), Some((None, Position::new(17))));
        assert_eq!(
            parse("accounts@2:5"),
            Some((Some(stream), Position::new(5)))
        );
        for noise in ["", "log", "log:", "accounts:5", "accounts@x:5", "log:-1"] {
            assert_eq!(parse(noise), None, "{noise}");
        }
    }
}
