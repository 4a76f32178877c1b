//! The cursors of relays.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction};

use super::failed;
use super::types::{Moment, number, position, signed, unsigned};
use crate::error::Result;
use crate::store::sql::move_relay;
use crate::store::{Advanced, Noted, RelayClaim, RelayId, RelayMove, RelayState, StreamVersion};

type Tx = Transaction<'static, Postgres>;

const READING: &str = "reading the relays";
const WRITING: &str = "writing a relay's state";

const CLAIM: &str = "
    INSERT INTO es.relay AS r (transport, stream, version, epoch, owner, owned_until)
    SELECT $1, $2, $3, 1, $4, at + make_interval(secs => $5) FROM clock_timestamp() at
    ON CONFLICT (transport, stream, version) DO UPDATE
      SET owner = excluded.owner, owned_until = excluded.owned_until,
          epoch = r.epoch + (r.owner IS DISTINCT FROM excluded.owner)::int
      WHERE r.owner IS NULL OR r.owner = excluded.owner OR r.owned_until <= clock_timestamp()";

pub(super) const ONE: &str = "
    SELECT transport, stream, version, position, epoch,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, failure, failed_at
    FROM es.relay WHERE transport = $1 AND stream = $2 AND version = $3";

const ALL: &str = "
    SELECT transport, stream, version, position, epoch,
           CASE WHEN owned_until > clock_timestamp() THEN owner END, failure, failed_at
    FROM es.relay ORDER BY transport, stream, version";

/// A statement about one relay, whose name comes first.
fn about<'q>(
    statement: &'static str,
    relay: &'q RelayId,
) -> Result<Query<'q, Postgres, PgArguments>> {
    let version: i32 = signed("version", relay.stream.version)?;
    let query = sqlx::query(statement).bind(&relay.transport);
    Ok(query.bind(&relay.stream.stream).bind(version))
}

fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(column).map_err(failed(READING))
}

fn state_of(row: &PgRow) -> Result<RelayState> {
    let (reason, at): (Option<String>, Option<Moment>) = (get(row, 6)?, get(row, 7)?);
    let noted = |(reason, Moment(at))| Noted { reason, at };
    Ok(RelayState {
        relay: RelayId {
            transport: get(row, 0)?,
            stream: StreamVersion {
                stream: get(row, 1)?,
                version: unsigned("version", get::<i32>(row, 2)?)?,
            },
        },
        position: position(get(row, 3)?)?,
        epoch: unsigned("epoch", get::<i64>(row, 4)?)?,
        owner: get(row, 5)?,
        failure: reason.zip(at).map(noted),
    })
}

pub(super) async fn claim(tx: &mut Tx, claim: &RelayClaim) -> Result<RelayState> {
    let take = about(CLAIM, &claim.relay)?
        .bind(&claim.owner)
        .bind(claim.lease.as_secs_f64());
    take.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let row = about(ONE, &claim.relay)?.fetch_one(&mut **tx).await;
    state_of(&row.map_err(failed(READING))?)
}

pub(super) async fn advance(tx: &mut Tx, step: &RelayMove) -> Result<Advanced> {
    const MOVING: &str = "moving a relay's cursor";
    // Lost, it costs events that are sent again.
    let hasty = sqlx::query("SELECT set_config('synchronous_commit', 'off', true)");
    hasty.execute(&mut **tx).await.map_err(failed(MOVING))?;
    let RelayId { transport, stream } = &step.relay;
    let update = sqlx::query(AssertSqlSafe(move_relay("es.relay")))
        .bind(transport)
        .bind(&stream.stream)
        .bind(signed::<i32, _>("version", stream.version)?)
        .bind(number(step.from)?)
        .bind(signed::<i64, _>("epoch", step.epoch)?)
        .bind(number(step.to)?);
    let moved = update.execute(&mut **tx).await.map_err(failed(MOVING))?;
    Ok(match moved.rows_affected() {
        0 => Advanced::Fenced,
        _ => Advanced::Moved,
    })
}

pub(super) async fn note_failure(
    tx: &mut Tx,
    relay: &RelayId,
    epoch: u64,
    reason: &str,
) -> Result<()> {
    let note = "UPDATE es.relay SET failure = $5, failed_at = clock_timestamp()
                WHERE transport = $1 AND stream = $2 AND version = $3 AND epoch = $4";
    let note = about(note, relay)?.bind(signed::<i64, _>("epoch", epoch)?);
    let noted = note.bind(reason).execute(&mut **tx).await;
    noted.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es.relay SET owner = NULL, owned_until = NULL WHERE owner = $1";
    let released = sqlx::query(release).bind(owner).execute(&mut **tx).await;
    released.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<RelayState>> {
    let rows = sqlx::query(ALL).fetch_all(connection).await;
    rows.map_err(failed(READING))?
        .iter()
        .map(state_of)
        .collect()
}
