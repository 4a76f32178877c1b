//! News between processes: each tells the others what it wrote, at most every few milliseconds,
//! on a connection of its own. A notification inside the append would take a lock over the whole
//! cluster at every commit. Where nobody else listens, nobody is told: a notification is a commit too,
//! and wakes a session beside the one that appends.
//!
//! News are a courtesy: what is lost with a connection, the readers' poll interval finds.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::Row;
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

/// What a session says that has begun to listen.
const LISTENS: &str = "listens";
/// Lets others see that this session listens, and tells them: by then the lock is there to be seen.
const LISTEN: &str = "
    SELECT pg_backend_pid(), pg_advisory_lock_shared(1163084889, 6),
           set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
/// Whether another session than this one listens.
const OTHERS: &str = "
    SELECT EXISTS (SELECT FROM pg_locks
                   WHERE locktype = 'advisory' AND classid = 1163084889 AND objid = 6 AND pid <> $1
                     AND database = (SELECT oid FROM pg_database
                                     WHERE datname = current_database()))";
/// After so many notifications, whether others are still there.
const LOOK: usize = 256;

/// The least time between two notifications of one process.
const SPACING: Duration = Duration::from_millis(3);
/// How long to wait after the database was away.
const AWAY: Duration = Duration::from_secs(1);

/// The session that listens, while there is one. It changes, be it to the same, where another one
/// may have begun to.
type Listening = watch::Sender<Option<i32>>;

/// Starts to tell others of `own` heads and to hear of theirs; ends when `own` is dropped. Without
/// a pool to listen with, readers poll.
pub(super) fn start(pool: &Pool, ears: Option<Ears>, own: &Heads, wake: &Arc<Wake>) {
    let listening = Arc::new(Listening::default());
    if let Some(ears) = ears {
        let (wake, gone) = (Arc::downgrade(wake), own.dropped());
        tokio::spawn(hear(ears, wake, listening.clone(), gone));
    }
    let (log, streams) = own.follow();
    let tell = tell(pool.clone(), log, streams, listening);
    let gone = own.dropped();
    tokio::spawn(async {
        tokio::select! {
            () = gone => {}
            () = tell => {}
        }
    });
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
    listening: Arc<Listening>,
) {
    let mut others = Others {
        listening: listening.subscribe(),
        alone: false,
        told: 0,
    };
    let mut told = HashMap::new();
    loop {
        let changed = tokio::select! {
            biased;
            changed = others.listening.changed() => {
                // They know nothing yet, also of what was not told to nobody.
                told.clear();
                others.told = 0;
                changed
            }
            changed = log.changed(), if !others.alone => changed,
            changed = streams.changed(), if !others.alone => changed,
        };
        if changed.is_err() {
            return;
        }
        if others.are_none(&pool).await {
            continue;
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

/// Whether somebody has to be told. Who does not listen would not hear of those who begin to, and
/// tells always.
struct Others {
    listening: watch::Receiver<Option<i32>>,
    /// Nobody, when it was looked at last.
    alone: bool,
    /// Notifications since then.
    told: usize,
}

impl Others {
    async fn are_none(&mut self, pool: &Pool) -> bool {
        if self.told.is_multiple_of(LOOK) {
            let session = *self.listening.borrow_and_update();
            self.alone = match session {
                // Where that is not known, somebody may.
                Some(session) => !listen_beside(pool, session).await.unwrap_or(true),
                None => false,
            };
        }
        self.told += 1;
        self.alone
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

/// Whether other sessions than this one listen.
async fn listen_beside(pool: &Pool, session: i32) -> Result<bool> {
    const DOING: &str = "looking who listens";
    let mut connection = pool.reader(DOING).await?;
    let others = sqlx::query_scalar(OTHERS).bind(session);
    let others = others.fetch_one(&mut *connection).await;
    let others = others.map_err(failed(DOING))?;
    connection.done().await.map_err(failed(DOING))?;
    Ok(others)
}

async fn hear(
    ears: Ears,
    wake: Weak<Wake>,
    listening: Arc<Listening>,
    gone: impl Future<Output = ()>,
) {
    let pass_on = async {
        loop {
            let heard = pass_on(&ears, &wake, &listening).await;
            listening.send_replace(None);
            let error = match heard {
                Ok(()) | Err(sqlx::Error::PoolClosed) => return,
                Err(error) => error,
            };
            tracing::debug!(%error, "not listening; readers poll");
            sleep(AWAY).await;
        }
    };
    tokio::select! {
        () = gone => {}
        () = pass_on => {}
    }
}

/// Passes on what others tell, until nobody wants to hear it.
async fn pass_on(ears: &Ears, wake: &Weak<Wake>, listening: &Listening) -> sqlx::Result<()> {
    let mut listener = ears.open().await?;
    let listen = sqlx::query(LISTEN).bind(CHANNEL).bind(LISTENS);
    let session: i32 = listen.fetch_one(&mut listener).await?.try_get(0)?;
    listening.send_replace(Some(session));
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
        if news.payload() == LISTENS {
            listening.send_modify(|_| {});
            continue;
        }
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
