//! News between processes: each tells the others what it wrote, at most every few milliseconds,
//! on a connection of its own. A notification inside the append would take a lock over the whole
//! cluster at every commit.
//!
//! News are a courtesy: what is lost with a connection, the readers' poll interval finds.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::sleep;

use super::failed;
use super::failure::gone;
use super::pool::Pool;
use crate::error::Result;
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

/// Starts to tell others of `own` heads and to hear of theirs; ends when `own` is dropped. Without
/// a pool to listen with, readers poll.
pub(super) fn start(pool: &Pool, ears: Option<Ears>, own: &Heads, wake: &Arc<Wake>) {
    let (log, streams) = own.follow();
    if let Some(ears) = ears {
        tokio::spawn(hear(ears, Arc::downgrade(wake), own.dropped()));
    }
    tokio::spawn(tell(pool.clone(), log, streams));
}

/// What is listened with.
pub(super) enum Ears {
    /// A connection of the store's pool.
    Pool(Pool),
    /// One of its own, to the first of these that lets us listen, which a standby does not.
    Direct(Vec<PgConnectOptions>),
}

impl Ears {
    async fn open(&self) -> sqlx::Result<PgListener> {
        let hosts = match self {
            Self::Pool(pool) => return open(pool.pointed()).await,
            Self::Direct(hosts) => hosts,
        };
        let mut result = Err(sqlx::Error::PoolClosed);
        for host in hosts {
            let one = PgPoolOptions::new().max_connections(1).idle_timeout(None);
            result = open(&one.connect_lazy_with(host.clone())).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

async fn open(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    // A connection that is lost is looked for where the primary is then.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn tell(
    pool: Pool,
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
        match notify(&pool, news).await {
            Ok(()) => sleep(SPACING).await,
            Err(_) if pool.is_closed() => return,
            Err(error) => {
                tracing::debug!(%error, "others were not told; they will poll");
                sleep(AWAY).await;
            }
        }
    }
}

async fn notify(pool: &Pool, news: Vec<String>) -> Result<()> {
    const DOING: &str = "telling other processes";
    let mut connection = pool.reader(DOING).await?;
    let notify = sqlx::query(NOTIFY).bind(CHANNEL).bind(news);
    let told = notify.execute(&mut *connection).await;
    told.map_err(failed(DOING))?;
    connection.done().await.map_err(failed(DOING))
}

async fn hear(ears: Ears, wake: Weak<Wake>, gone: impl Future<Output = ()>) {
    let listen = async {
        loop {
            let error = match listen(&ears, &wake).await {
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
async fn listen(ears: &Ears, wake: &Weak<Wake>) -> sqlx::Result<()> {
    let mut listener = ears.open().await?;
    let lost = || gone("the connection that listened was lost");
    loop {
        let news = match ears {
            Ears::Direct(_) => listener.try_recv().await?,
            Ears::Pool(pool) => {
                let mut moves = pool.hosts().moves();
                tokio::select! {
                    news = listener.try_recv() => news?,
                    _ = moves.changed() => None,
                }
            }
        };
        let news = news.ok_or_else(lost)?;
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
