//! Follows a transfer through every table in which it left a row, with the SQL that anybody could
//! type.

use std::path::Path;

use es_runtime::sqlite::sqlx::{query, query_scalar};

use crate::Result;
use crate::notifications::connect;

/// A table, what it says of a transfer, and how to find that: `?1` is the transfer.
const TABLES: [(&str, &str, &str); 9] = [
    (
        "transfers.es_event",
        "what was decided",
        "SELECT format('%d  %s  %d  %s  %s', position, stream, version, type, payload)
         FROM transfers.es_event WHERE metadata ->> 'correlation' = ?1 ORDER BY position",
    ),
    (
        "transfers.es_published",
        "what was asked of the accounts, and told",
        "SELECT format('%s@%d  %d  %s  %s', stream, version, position, type, payload)
         FROM transfers.es_published WHERE metadata ->> 'correlation' = ?1 ORDER BY position",
    ),
    (
        "accounts.es_event",
        "what the accounts made of it, and because of which message",
        "SELECT format('%d  %s  %d  %s  %s  %s', position, stream, version, type, payload,
                       iif(metadata ->> 'causation' LIKE '%.v%', metadata ->> 'causation', ''))
         FROM accounts.es_event WHERE metadata ->> 'correlation' = ?1 ORDER BY position",
    ),
    (
        "accounts.es_command",
        "the commands, and how many events each made",
        "SELECT format('%s  %d', stream, count)
         FROM accounts.es_command WHERE correlation = ?1 ORDER BY first_position, stream",
    ),
    (
        "accounts.es_published",
        "what was answered, and told",
        "SELECT format('%s@%d  %d  %s  %s', stream, version, position, type, payload)
         FROM accounts.es_published WHERE metadata ->> 'correlation' = ?1
         ORDER BY stream DESC, version, position",
    ),
    (
        "notifications.notification",
        "what the customers were written",
        "SELECT format('%d  %s  %s', n.position, n.event, n.text)
         FROM notifications.notification n JOIN accounts.es_published p
           ON n.event = format('%s.v%d-%d', p.stream, p.version, p.position)
         WHERE p.metadata ->> 'correlation' = ?1 ORDER BY n.position",
    ),
    (
        "notifications.explanation",
        "and explained",
        "SELECT format('%d  %s  %s', e.position, e.account, e.text)
         FROM notifications.explanation e JOIN transfers.es_published p
           ON p.stream = 'transfers' AND p.version = 1 AND p.position = e.position
         WHERE p.metadata ->> 'correlation' = ?1 ORDER BY e.position",
    ),
    (
        "es_reaction",
        "what waits to be executed",
        "SELECT format('%s  %s  %s', name, key, payload) FROM
           (SELECT * FROM transfers.es_reaction UNION ALL SELECT * FROM accounts.es_reaction)
         WHERE payload -> 'why' ->> 'correlation' = ?1 ORDER BY name, key, position",
    ),
    (
        "transfers.es_timer",
        "what waits for its time",
        "SELECT format('%s  %s', name, payload) FROM transfers.es_timer WHERE key = ?1",
    ),
];

/// Everything that is stored of a transfer.
///
/// # Errors
/// When there is no bank in `data`.
pub async fn trace(data: &Path, transfer: &str) -> Result<String> {
    let main = data.join("transfers.db");
    if !main.is_file() {
        return Err(format!("there is no `{}`: run the bank first", main.display()).into());
    }
    let mut db = connect(&main).await?;
    for name in ["accounts", "transfers", "notifications"] {
        let file = data.join(format!("{name}.db"));
        let attach = query("ATTACH ?1 AS ?2").bind(file.display().to_string());
        attach.bind(name).execute(&mut db).await?;
    }
    let mut out = String::new();
    for (table, what, rows) in TABLES {
        let rows = query_scalar(rows).bind(transfer);
        let rows: Vec<String> = rows.fetch_all(&mut db).await?;
        out += &format!("{table}: {what}\n");
        match rows.is_empty() {
            true => out += "  nothing\n",
            false => rows
                .iter()
                .for_each(|row| out += &format!("  {}\n", row.trim_end())),
        }
    }
    Ok(out)
}
