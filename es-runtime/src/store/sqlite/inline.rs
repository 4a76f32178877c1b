//! An append that ends a transaction of the user's, by its connection.

use sqlx::{Row, Sqlite, Transaction};

use super::committer::{LOG, LOOK_UP, are_known, found, is_new, question};
use super::many::Values;
use super::rows::{INSERT_COMMANDS, INSERT_EVENTS, command_values, event_values, id_of};
use super::{failed, position};
use crate::error::Result;
use crate::store::group::DOING;
use crate::store::wake::Wake;
use crate::store::{Append, Appended, Plan, plan};

type Tx = Transaction<'static, Sqlite>;

/// Decides the append, and commits the transaction if it is new.
pub(super) async fn write(mut tx: Tx, append: &Append, wake: &Wake) -> Result<Appended> {
    let plan = decide(&mut tx, append).await?;
    let answer = plan.results[0];
    if is_new(&answer) {
        insert(&mut tx, append, answer).await?;
        tx.commit().await.map_err(failed(DOING))?;
        wake.log_grew(plan.head);
    }
    Ok(answer)
}

async fn decide(tx: &mut Tx, append: &Append) -> Result<Plan> {
    let log = sqlx::query_as(LOG).fetch_one(&mut **tx).await;
    let (head, newest) = log.map_err(failed(DOING))?;
    let mut values = Values::new(DOING);
    values.row(question(append))?;
    let row = values
        .of(LOOK_UP)
        .fetch_one(&mut **tx)
        .await
        .map_err(failed(DOING))?;
    let get = |column| row.try_get::<Option<i64>, _>(column).map_err(failed(DOING));
    let command: Option<&[u8]> = row.try_get(5).map_err(failed(DOING))?;
    let command = command.map(|id| id_of(id, DOING)).transpose()?;
    let found = found(
        append,
        [get(0)?, get(1)?, get(2)?, get(3)?, get(4)?],
        command,
    )?;
    let batch = std::slice::from_ref(append);
    are_known(batch, newest)?;
    Ok(plan(batch, &[found], position(head)?))
}

async fn insert(tx: &mut Tx, append: &Append, answer: Appended) -> Result<()> {
    let Appended::New(outcome) = answer else {
        return Ok(());
    };
    let (slice, stored) = (
        append.stream.slice(),
        append.stored(outcome).collect::<Vec<_>>(),
    );
    let events = INSERT_EVENTS.each(DOING, &stored, |event| event_values(*event, slice));
    let command = append.is_kept().then_some(append);
    let command = INSERT_COMMANDS.each(DOING, command.as_slice(), |append| {
        command_values(append, outcome)
    });
    for insert in events.chain(command) {
        insert?.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    Ok(())
}
