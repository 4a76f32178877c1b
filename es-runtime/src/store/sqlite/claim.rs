//! Who works on which part of a version: leases, and how the parts are shared.

use sqlx::{Sqlite, Transaction};

use super::instances::micros;
use super::life::{DOING, WRITING, about, get, now, read, unknown};
use super::{failed, parked, unsigned};
use crate::error::Result;
use crate::store::share::Shares;
use crate::store::{Claim, Claimed};

type Tx = Transaction<'static, Sqlite>;

/// Somebody would work on a part.
const WOULD_WORK: &str = "
    INSERT INTO es_worker (kind, name, version, slice_from, who, until)
    VALUES ($1, $2, $3, $4, $5, $6 + $7)
    ON CONFLICT (kind, name, version, slice_from, who) DO UPDATE SET until = excluded.until";

/// Those who are not heard of any more would not.
const WOULD_NOT: &str = "
    DELETE FROM es_worker
    WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4 AND until <= $5";

/// Who would work on a part, how many parts each of them has, and how many are nobody's.
const SHARES: &str = "
    SELECT w.who, sum(coalesce(c.owner = w.who, 0)), sum(c.owner IS NULL)
    FROM es_worker w,
         (SELECT CASE WHEN owned_until > $5 THEN owner END AS owner
          FROM es_cursor WHERE kind = $1 AND name = $2 AND version = $3) c
    WHERE w.kind = $1 AND w.name = $2 AND w.version = $3 AND w.slice_from = $4
    GROUP BY w.who";

/// How the parts are shared now.
async fn shares(tx: &mut Tx, claim: &Claim) -> Result<Shares> {
    let (id, part, now) = (
        &claim.projection,
        i64::from(claim.slices.start),
        now().as_micros(),
    );
    let would = about(WOULD_WORK, id).bind(part).bind(&claim.owner);
    let would = would.bind(now).bind(micros(claim.lease));
    would.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let would_not = about(WOULD_NOT, id).bind(part).bind(now);
    would_not
        .execute(&mut **tx)
        .await
        .map_err(failed(WRITING))?;
    let rows = about(SHARES, id).bind(part).bind(now);
    let rows = rows.fetch_all(&mut **tx).await;
    let mut shares = Shares::default();
    for row in &rows.map_err(failed(DOING))? {
        let parts = unsigned("parts", get::<i64>(row, 1)?)?;
        shares.parts.insert(get(row, 0)?, parts);
        shares.free = unsigned("parts", get::<i64>(row, 2)?)?;
    }
    Ok(shares)
}

const CLAIM: &str = "
    UPDATE es_cursor SET owner = $5, owned_until = $6 + $7
    WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
      AND (CASE WHEN owner IS NULL OR owned_until <= $6 THEN $8
           ELSE owner = $5 AND owned_until < $6 + $7 / 2 END)";

pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> Result<Claimed> {
    let id = &claim.projection;
    let part = i64::from(claim.slices.start);
    let (may_take, gives_up) = match claim.is_divided() {
        true => {
            let shares = shares(tx, claim).await?;
            (shares.may_take(&claim.owner), shares.gives_up(&claim.owner))
        }
        false => (true, false),
    };
    if gives_up {
        let give = "UPDATE es_cursor SET owner = NULL, owned_until = NULL
                    WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4
                      AND owner = $5";
        let give = about(give, id).bind(part).bind(&claim.owner);
        give.execute(&mut **tx).await.map_err(failed(WRITING))?;
    }
    let take = about(CLAIM, id)
        .bind(part)
        .bind(&claim.owner)
        .bind(now().as_micros())
        .bind(micros(claim.lease))
        .bind(may_take && !gives_up);
    take.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let lineage = read(tx, id).await?;
    let state = lineage.versions.get(&id.version);
    let state = state.ok_or_else(|| unknown(id))?;
    let parked = match state.parked {
        0 => Vec::new(),
        _ => parked::list(tx, id, None, usize::MAX).await?,
    };
    Ok(Claimed::of(state, claim, lineage.clone(), parked))
}

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es_cursor SET owner = NULL, owned_until = NULL WHERE owner = $1";
    let released = sqlx::query(release).bind(owner).execute(&mut **tx).await;
    released.map_err(failed(WRITING))?;
    let leave = sqlx::query("DELETE FROM es_worker WHERE who = $1").bind(owner);
    leave.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(())
}
