//! What the bank looks like, for people. Everything is read with the queries that anybody would
//! use.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use es_runtime::integration::{StreamHash, stream_of};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::{query_as, query_scalar};
use es_runtime::store::{EventStore, Phase, ProjectionKind};

use crate::accounts::balances::{v1, v2};
use crate::accounts::cash::Cash;
use crate::accounts::{Money, contract};
use crate::import::Summary;
use crate::{Bank, Result, accounts_db, notifications};

/// So much is shown of what there is more of.
const FEW: usize = 5;

/// The whole report.
///
/// # Errors
/// When a database cannot be read.
pub async fn report(bank: &Bank) -> Result<String> {
    let mut out = String::new();
    balances(&mut out, bank).await?;
    money(&mut out, bank).await?;
    writeln!(
        out,
        "\nWhat the world is told: one integration stream per version of the contract"
    )?;
    stream::<contract::v1::Accounts>(&mut out, bank).await?;
    stream::<contract::v2::Accounts>(&mut out, bank).await?;
    received(&mut out, bank).await?;
    Ok(out)
}

/// What became of an input.
pub fn imported(input: &Path, summary: &Summary) -> String {
    let Summary {
        accepted,
        repeated,
        refused,
    } = summary;
    let (file, known) = (
        input.display(),
        if *repeated > 0 {
            format!(" ({repeated} of them before)")
        } else {
            String::new()
        },
    );
    let refusals = refused
        .iter()
        .map(|refused| format!("\n  line {:5}  {}", refused.line, refused.reason));
    format!(
        "Imported `{file}`: {accepted} lines accepted{known}, {} refused{}\n",
        refused.len(),
        refusals.collect::<String>()
    )
}

/// Both versions of the read model, side by side.
async fn balances(out: &mut String, bank: &Bank) -> Result<()> {
    let (mut v1, mut v2) = (BTreeMap::new(), BTreeMap::new());
    if bank.versions.has_v1() {
        v1 = all::<v1::Balance>(bank).await?;
    }
    if bank.versions.has_v2() {
        v2 = all::<v2::Balance>(bank).await?;
    }
    let amounts = |account: &str| {
        let (v1, v2) = (v1.get(account), v2.get(account));
        (v1.map(|row| row.amount), v2.map(|row| row.amount))
    };
    let mut accounts: Vec<_> = v1
        .keys()
        .chain(v2.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    accounts.sort_by_key(|account| Reverse(amounts(account)));

    let few = FEW.min(accounts.len());
    writeln!(
        out,
        "\nBalances: both versions of the read model, {few} of {} accounts",
        accounts.len()
    )?;
    writeln!(
        out,
        "  {:18}{:>14}{:>14}    {:>11}",
        "account", "balances@1", "balances@2", "movements"
    )?;
    for account in &accounts[..few] {
        let (one, two) = amounts(account);
        let (currency, movements) = v2.get(*account).map_or(("", String::new()), |row| {
            (row.currency.code(), row.movements.to_string())
        });
        let (one, two) = (cell(one), cell(two));
        writeln!(
            out,
            "  {account:18}{one:>14}{two:>14} {currency:3}{movements:>11}"
        )?;
    }
    for (id, state) in bank.accounts.store().projections().await? {
        if id.kind == ProjectionKind::ReadModel && id.name == "balances" {
            let phase = match state.phase {
                Phase::Live => "live: what `SELECT … FROM balances` reads",
                Phase::Shadow => "complete, beside the live one",
                _ => "being built",
            };
            writeln!(out, "  {id} is {phase}")?;
        }
    }
    Ok(())
}

/// Every row of a version of a read model.
async fn all<P: Projection>(bank: &Bank) -> Result<BTreeMap<String, P>> {
    let mut rows = BTreeMap::new();
    loop {
        let after = rows
            .last_key_value()
            .map(|(key, _): (&String, &P)| key.clone());
        let page = bank
            .accounts
            .view::<P>()
            .page(after.as_deref(), 1000)
            .await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

/// The law of the bank, checked with SQL on the live version of `balances`.
async fn money(out: &mut String, bank: &Bank) -> Result<()> {
    if !bank.versions.has_v2() {
        return Ok(());
    }
    let mut db = notifications::connect(&accounts_db(&bank.data)).await?;
    let held = "SELECT currency, sum(amount) FROM balances GROUP BY currency";
    let held: BTreeMap<String, i64> = query_as(held)
        .fetch_all(&mut db)
        .await?
        .into_iter()
        .collect();
    writeln!(out, "\nMoney: balances + in transit = paid in − paid out")?;
    for (currency, cash) in all::<Cash>(bank).await? {
        let held = held.get(&currency).copied().unwrap_or_default();
        let holds = held + cash.in_transit == cash.paid_in - cash.paid_out;
        let [held, transit, paid_in, paid_out] =
            [held, cash.in_transit, cash.paid_in, cash.paid_out].map(decimal);
        let sign = if holds { "=" } else { "≠" };
        writeln!(
            out,
            "  {currency} {held:>15} + {transit} {sign} {paid_in:>15} − {paid_out:>15}"
        )?;
    }
    Ok(())
}

/// Head, proof and the last events of an integration stream.
async fn stream<E: IntegrationEvent>(out: &mut String, bank: &Bank) -> Result<()> {
    let (store, stream) = (bank.accounts.store(), stream_of::<E>());
    let head = store.published_head(&stream).await?;
    let hash = StreamHash::from_bytes(head.hash).to_string();
    writeln!(
        out,
        "  {stream}  {} events, running hash {}…",
        head.position,
        &hash[..16]
    )?;
    let few = Position::new(head.position.get().saturating_sub(2));
    for event in store.read_published(&stream, few, FEW).await? {
        writeln!(
            out,
            "    {:>6}  {}  {}",
            event.position, event.event_type, event.payload
        )?;
    }
    Ok(())
}

/// What the other service made of it.
async fn received(out: &mut String, bank: &Bank) -> Result<()> {
    let service = &bank.notifications;
    let mut db = notifications::connect(&service.database).await?;
    let warnings: i64 = query_scalar("SELECT count(*) FROM warning")
        .fetch_one(&mut db)
        .await?;
    let texts = "SELECT text FROM notification ORDER BY position DESC LIMIT ?";
    let texts: Vec<String> = query_scalar(texts)
        .bind(FEW as i64)
        .fetch_all(&mut db)
        .await?;
    let (notify, warn) = (service.notify.progress(), service.warn.progress());
    writeln!(
        out,
        "\nWhat the notifications service heard, over HTTP, into its own database"
    )?;
    writeln!(
        out,
        "  `warn` reads accounts@1, is at {}, and wrote {warnings} warnings",
        warn.position
    )?;
    writeln!(
        out,
        "  `notify` reads accounts@2, is at {}, and wrote last:",
        notify.position
    )?;
    for text in texts.iter().rev() {
        writeln!(out, "    {text}")?;
    }
    Ok(())
}

fn cell(amount: Option<Money>) -> String {
    amount.map_or_else(String::new, |amount| decimal(amount.minor()))
}

/// Minor units as `1,234,567.89`.
fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    format!("{sign}{}.{cents:02}", indicatif::HumanCount(whole))
}
