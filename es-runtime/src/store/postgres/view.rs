//! What must have a view or a table for itself: the switch of a read model's view, and the end of
//! its tables. Readers hold both up, and are waited for a moment only.

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, Postgres, Transaction};

use super::failed;
use crate::error::{Error, Kind, Result};
use crate::store::{ProjectionId, life};

type Tx = Transaction<'static, Postgres>;

/// Marks our own views, so that nobody else's is dropped. People may add words of their own.
const OURS: &str = "the live version of a read model";

/// What DDL may wait for a lock: readers that come meanwhile wait behind it.
const PATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

const SWITCHING: &str = "switching a read model's view";

/// What is on the view, and on the table that it is to show, as statements that make it anew.
const KEPT: &str = r#"
    WITH view AS (SELECT * FROM pg_class WHERE oid = to_regclass(quote_ident($1))),
         shown AS (SELECT attname FROM pg_attribute
                   WHERE attrelid = to_regclass(quote_ident($2)) AND attnum > 0 AND NOT attisdropped),
         old AS (SELECT t.* FROM pg_attribute t JOIN view ON t.attrelid = view.oid
                 WHERE t.attnum > 0 AND t.attname IN (SELECT attname FROM shown)),
         granted AS (
           SELECT NULL::name AS attname, acl.* FROM view, aclexplode(relacl) acl
           UNION ALL SELECT attname, acl.* FROM old, aclexplode(attacl) acl)
    SELECT 1, format('ALTER VIEW %I SET (%s)', $1, array_to_string(reloptions, ', '))
      FROM view WHERE reloptions IS NOT NULL
    UNION ALL
    SELECT 2, format('COMMENT ON VIEW %I IS %L', $1, obj_description(oid, 'pg_class')) FROM view
    UNION ALL
    SELECT 3, format('COMMENT ON COLUMN %I.%I IS %L', $1, attname, col_description(attrelid, attnum))
      FROM old WHERE col_description(attrelid, attnum) IS NOT NULL
    UNION ALL
    SELECT 4, format('ALTER VIEW %I OWNER TO %I', $1, pg_get_userbyid(relowner)) FROM view
    UNION ALL
    SELECT 5, format('REVOKE ALL ON %I FROM %I', $1, pg_get_userbyid(relowner))
      FROM view WHERE relacl IS NOT NULL
    UNION ALL
    SELECT 6, format('GRANT %s%s ON %I TO %s%s', privilege_type, ' (' || quote_ident(attname) || ')', $1,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
      FROM granted
    ORDER BY 1, 2"#;

/// What the database's default privileges added to the new view.
const ADDED: &str = "
    SELECT DISTINCT format('REVOKE ALL ON %I FROM %s', $1,
             CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
    FROM pg_class, aclexplode(relacl)
    WHERE oid = to_regclass(quote_ident($1)) AND grantee <> relowner";

/// The owner of the view who may not read the table that it is to show.
const BLIND: &str = "
    SELECT pg_get_userbyid(relowner) FROM pg_class
    WHERE oid = to_regclass(quote_ident($1))
      AND NOT has_table_privilege(relowner, to_regclass(quote_ident($2)), 'SELECT')";

/// Points the name without a version at this version's table, or at nothing, unless somebody else
/// has the name. What people granted, noted and set on the view stays; what they built on it keeps
/// it from being switched.
pub(super) async fn point(
    tx: &mut Tx,
    projection: &ProjectionId,
    version: Option<u32>,
    what: &'static str,
) -> Result<()> {
    let name = &projection.name;
    let taken = sqlx::query_scalar(
        "SELECT coalesce(NOT starts_with(obj_description(to_regclass(quote_ident($1)), 'pg_class'), $2), true)
         WHERE to_regclass(quote_ident($1)) IS NOT NULL",
    );
    let taken = taken.bind(name).bind(OURS).fetch_optional(&mut **tx).await;
    let taken: Option<bool> = taken.map_err(failed(SWITCHING))?;
    if taken == Some(true) {
        let why = format!("`{name}` is somebody else's: give one of them another name");
        return Err(life::refused(projection, what, why));
    }
    let drop = format!("DROP VIEW IF EXISTS \"{name}\"");
    let Some(version) = version else {
        return alone(tx, projection, what, name, drop).await;
    };
    let table = format!("{name}_v{version}");
    let blind = sqlx::query_scalar(BLIND).bind(name).bind(&table);
    let blind: Option<String> = blind
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed(SWITCHING))?;
    if let Some(owner) = blind {
        let why = format!(
            "the view `{name}` belongs to the role `{owner}`, which may not read `{table}`: \
             `GRANT SELECT ON {table} TO {owner}`"
        );
        return Err(life::refused(projection, what, why));
    }
    let kept = sqlx::query_as::<_, (i32, String)>(KEPT);
    let kept = kept.bind(name).bind(&table).fetch_all(&mut **tx).await;
    let kept = kept.map_err(failed(SWITCHING))?;
    alone(tx, projection, what, name, drop).await?;
    let create = format!(
        "CREATE VIEW \"{name}\" AS SELECT * FROM \"{table}\";
         COMMENT ON VIEW \"{name}\" IS '{OURS}'"
    );
    run(tx, create).await?;
    if taken.is_some() {
        let added = sqlx::query_scalar(ADDED).bind(name);
        let added: Vec<String> = added
            .fetch_all(&mut **tx)
            .await
            .map_err(failed(SWITCHING))?;
        let kept = kept.into_iter().map(|(_, statement)| statement);
        run(
            tx,
            added.into_iter().chain(kept).collect::<Vec<_>>().join(";"),
        )
        .await?;
    }
    Ok(())
}

/// Takes all rows out of the version's table.
pub(super) async fn empty(tx: &mut Tx, projection: &ProjectionId, version: u32) -> Result<()> {
    let table = format!("{}_v{version}", projection.name);
    let truncate = format!("TRUNCATE \"{table}\"");
    alone(tx, projection, "rebuild", &table, truncate).await
}

/// Drops the version's table.
pub(super) async fn drop_table(tx: &mut Tx, projection: &ProjectionId) -> Result<()> {
    let ProjectionId { name, version, .. } = projection;
    let table = format!("{name}_v{version}");
    let drop = format!("DROP TABLE IF EXISTS \"{table}\"");
    alone(tx, projection, "remove the rows of", &table, drop).await
}

async fn run(tx: &mut Tx, statements: String) -> Result<()> {
    let run = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut **tx);
    run.await.map(drop).map_err(failed(SWITCHING))
}

/// Runs a statement that must have the relation for itself. Says who is in its way, and what is
/// built on the relation.
async fn alone(
    tx: &mut Tx,
    projection: &ProjectionId,
    what: &'static str,
    relation: &str,
    statement: String,
) -> Result<()> {
    let mut inner = tx.begin().await.map_err(failed(SWITCHING))?;
    let statement = AssertSqlSafe(format!("{PATIENCE}; {statement}"));
    let error = match sqlx::raw_sql(statement).execute(&mut *inner).await {
        Ok(_) => return inner.commit().await.map_err(failed(SWITCHING)),
        Err(error) => error,
    };
    inner.rollback().await.map_err(failed(SWITCHING))?;
    let known = error.as_database_error();
    let known = known.and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    match known.map(|error| (error.code(), error.detail())) {
        Some(("2BP01", detail)) => {
            let built = detail.unwrap_or("it is not said what").replace('\n', "; ");
            let why = format!(
                "others are built on `{relation}`: {built}. Drop them, or let them read a version's \
                 own table, and make them again afterwards"
            );
            Err(life::refused(projection, what, why))
        }
        Some(("55P03", _)) => {
            let holders = holders(tx, relation).await.map_err(failed(SWITCHING))?;
            let what = format!("`{relation}`");
            Err(Error::caused_by(Kind::Locked { what, holders }, error))
        }
        _ => Err(failed(SWITCHING)(error)),
    }
}

/// Who has a lock on the relation, as far as this role may see.
async fn holders(tx: &mut Tx, relation: &str) -> sqlx::Result<String> {
    const HOLDERS: &str = r#"
        SELECT format('process %s (%s)', a.pid, concat_ws(', ', a.usename,
                 nullif(a.application_name, ''),
                 a.state || coalesce(' since ' || to_char(a.xact_start AT TIME ZONE 'UTC',
                                                          'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')))
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
          AND l.relation = to_regclass(quote_ident($1))
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ORDER BY a.xact_start LIMIT 5"#;
    let holders = sqlx::query_scalar(HOLDERS).bind(relation);
    let holders: Vec<String> = holders.fetch_all(&mut **tx).await?;
    Ok(if holders.is_empty() {
        "somebody has just let go of it, or is not to be seen".to_owned()
    } else {
        holders.join(", ")
    })
}
