//! Who works on which part of a version: leases, and how the parts are shared.

use sqlx::{Postgres, Transaction};

use super::life::{CURSORS, DOING, WRITING, about, get, read, unknown};
use super::types::unsigned;
use super::{failed, parked};
use crate::error::Result;
use crate::store::share::Shares;
use crate::store::{Claim, Claimed};

type Tx = Transaction<'static, Postgres>;

/// Somebody would work on a part; those who are not heard of any more would not.
const WOULD_WORK: &str = "
    WITH gone AS (
      DELETE FROM es.worker
      WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4 AND who <> $5
        AND until <= clock_timestamp())
    INSERT INTO es.worker AS w (kind, name, version, slice_from, who, until)
    VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))
    ON CONFLICT (kind, name, version, slice_from, who) DO UPDATE SET until = excluded.until
    WHERE w.until < excluded.until - make_interval(secs => $6 / 2)";

/// Who would work on a part, how many parts each of them has, and how many are nobody's.
pub(super) const SHARES: &str = "
    SELECT w.who, count(c.owner) FILTER (WHERE c.owner = w.who),
           count(*) FILTER (WHERE c.owner IS NULL)
    FROM es.worker w,
         (SELECT CASE WHEN owned_until > clock_timestamp() THEN owner END AS owner
          FROM es.cursor WHERE kind = $1 AND name = $2 AND version = $3) c
    WHERE w.kind = $1 AND w.name = $2 AND w.version = $3 AND w.slice_from = $4
      AND w.until > clock_timestamp()
    GROUP BY w.who";

/// How the parts are shared now. Until the transaction ends, nobody else shares them out.
async fn shares(tx: &mut Tx, claim: &Claim) -> Result<Shares> {
    let (id, part) = (&claim.projection, i32::from(claim.slices.start));
    let alone = sqlx::query("SELECT pg_advisory_xact_lock(1163084889, 4)");
    let alone = alone.execute(&mut **tx).await;
    alone.map_err(failed("waiting for another instance"))?;
    let would = about(WOULD_WORK, id)?.bind(part).bind(&claim.owner);
    let would = would.bind(claim.lease.as_secs_f64());
    would.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let rows = about(SHARES, id)?.bind(part).fetch_all(&mut **tx).await;
    let mut shares = Shares::default();
    for row in &rows.map_err(failed(DOING))? {
        let parts = unsigned("parts", get::<i64>(row, 1)?)?;
        shares.parts.insert(get(row, 0)?, parts);
        shares.free = unsigned("parts", get::<i64>(row, 2)?)?;
    }
    Ok(shares)
}

const CLAIM: &str = "
    UPDATE es.cursor SET owner = $5, owned_until = at + make_interval(secs => $6)
    FROM clock_timestamp() at
    WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
      AND (CASE WHEN owner IS NULL OR owned_until <= at THEN $7
           ELSE owner = $5 AND owned_until < at + make_interval(secs => $6 / 2) END)";

pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> Result<Claimed> {
    let id = &claim.projection;
    let part = i32::from(claim.slices.start);
    let (may_take, gives_up) = match claim.is_divided() {
        true => {
            let shares = shares(tx, claim).await?;
            (shares.may_take(&claim.owner), shares.gives_up(&claim.owner))
        }
        false => (true, false),
    };
    if gives_up {
        let give = "UPDATE es.cursor SET owner = NULL, owned_until = NULL
                    WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
                      AND owner = $5";
        let give = about(give, id)?.bind(part).bind(&claim.owner);
        give.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    let take = about(CLAIM, id)?
        .bind(part)
        .bind(&claim.owner)
        .bind(claim.lease.as_secs_f64())
        .bind(may_take && !gives_up);
    take.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let lineage = read(tx, id, CURSORS).await?;
    let state = lineage.versions.get(&id.version);
    let state = state.ok_or_else(|| unknown(id))?;
    let parked = match state.parked {
        0 => Vec::new(),
        _ => parked::list(tx, id, None, usize::MAX).await?,
    };
    Ok(Claimed::of(state, claim, lineage.clone(), parked))
}

/// In the order in which others lock them who look at all versions: without it, the two would wait for
/// each other.
const RELEASE: &str = "
    WITH mine AS MATERIALIZED (
      SELECT kind, name, version, slice_from FROM es.cursor WHERE owner = $1
      ORDER BY kind, name, version, slice_from FOR UPDATE)
    UPDATE es.cursor c SET owner = NULL, owned_until = NULL FROM mine m
    WHERE (c.kind, c.name, c.version, c.slice_from) = (m.kind, m.name, m.version, m.slice_from)";

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    // Workers before parts, as with those who claim one.
    let leave = sqlx::query("DELETE FROM es.worker WHERE who = $1").bind(owner);
    leave.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let released = sqlx::query(RELEASE).bind(owner).execute(&mut **tx).await;
    released.map_err(failed(WRITING))?;
    Ok(())
}
