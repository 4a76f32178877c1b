//! What the bank looks like, for people. Everything is read with the queries that anybody would
//! use.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use es_runtime::Service;
use es_runtime::integration::{StreamHash, stream_of};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::query_scalar;
use es_runtime::store::{EventStore, Phase, ProjectionKind};
use indicatif::HumanCount;

use crate::accounts::balances::{v1, v2};
use crate::accounts::bookings::Bookings;
use crate::accounts::cash::Cash;
use crate::accounts::{Money, contract};
use crate::import::{Refused, Summary};
use crate::transfers::contract::Transfers;
use crate::{Bank, Result, notifications};

/// So much is shown of what there is more of.
const FEW: u32 = 5;

/// The whole report.
///
/// # Errors
/// When a database cannot be read.
pub async fn report(bank: &Bank) -> Result<String> {
    let mut out = String::new();
    balances(&mut out, bank).await?;
    money(&mut out, bank).await?;
    out += "\nWhat the world is told: a stream per version of the contract\n";
    stream::<contract::v1::Accounts>(&mut out, &bank.accounts).await?;
    stream::<contract::v2::Accounts>(&mut out, &bank.accounts).await?;
    stream::<Bookings>(&mut out, &bank.accounts).await?;
    stream::<Transfers>(&mut out, &bank.transfers).await?;
    received(&mut out, bank).await?;
    Ok(out)
}

/// What became of an input.
pub fn imported(input: &Path, summary: &Summary) -> String {
    let (file, accepted) = (input.display(), summary.accepted);
    let mut out = format!("Imported `{file}`: {accepted} lines were accepted");
    if summary.repeated > 0 {
        out += &format!(" ({} of them before)", summary.repeated);
    }
    out += &format!(", and {} refused\n", summary.refused.len());
    for Refused { line, reason } in &summary.refused {
        out += &format!("  line {line:<5} {reason}\n");
    }
    out
}

/// Both versions of the read model, side by side, with the largest amounts.
async fn balances(out: &mut String, bank: &Bank) -> Result<()> {
    let (mut one, mut two) = (BTreeMap::new(), BTreeMap::new());
    if bank.release.balances.has_v1() {
        one = all::<v1::Balance>(bank).await?;
    }
    if bank.release.balances.has_v2() {
        two = all::<v2::Balance>(bank).await?;
    }
    let mut rows = BTreeMap::<&str, Row<'_>>::new();
    for (account, row) in &one {
        rows.entry(account).or_default().one = Some(row);
    }
    for (account, row) in &two {
        rows.entry(account).or_default().two = Some(row);
    }
    let count = rows.len();
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.amount()));

    writeln!(
        out,
        "\nBalances: a table per version of the read model, the largest of {count}"
    )?;
    writeln!(
        out,
        "  account               balances@1     balances@2       movements"
    )?;
    for (account, row) in rows.iter().take(FEW as usize) {
        writeln!(out, "  {account:18}{row}")?;
    }
    for (id, state) in bank.accounts.store().projections().await? {
        if id.kind == ProjectionKind::ReadModel && id.name == v2::Balance::NAME {
            let phase = match state.phase {
                Phase::Live => "live: what `SELECT … FROM balances` reads",
                Phase::Shadow => "complete, beside the live one",
                Phase::Deprecated => "the way back from the live one",
                Phase::Retired => "retired",
                _ => "being built",
            };
            writeln!(out, "  {id} is {phase}")?;
        }
    }
    Ok(())
}

/// One account in both versions.
#[derive(Default)]
struct Row<'a> {
    one: Option<&'a v1::Balance>,
    two: Option<&'a v2::Balance>,
}

impl Row<'_> {
    fn amount(&self) -> Option<Money> {
        let (one, two) = (
            self.one.map(|row| row.amount),
            self.two.map(|row| row.amount),
        );
        one.max(two)
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self
            .one
            .map_or_else(String::new, |row| decimal(row.amount.minor()));
        write!(f, "{amount:>14}")?;
        if let Some(row) = self.two {
            let (amount, currency) = (decimal(row.amount.minor()), row.currency);
            write!(f, "{amount:>15} {currency}{:>12}", row.movements)?;
        }
        Ok(())
    }
}

/// Every row of a version of a read model.
async fn all<P: Projection>(bank: &Bank) -> Result<BTreeMap<String, P>> {
    let mut rows: BTreeMap<String, P> = BTreeMap::new();
    loop {
        let after = rows.keys().next_back().cloned();
        let view = bank.accounts.view::<P>();
        let page = view.page(after.as_deref(), 1000).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

/// The law of the bank, over the version of `balances` that knows the currencies.
async fn money(out: &mut String, bank: &Bank) -> Result<()> {
    if !bank.release.balances.has_v2() {
        return Ok(());
    }
    let mut held = BTreeMap::<String, i64>::new();
    for row in all::<v2::Balance>(bank).await?.into_values() {
        *held.entry(row.currency.to_string()).or_default() += row.amount.minor();
    }
    out.push_str("\nMoney: balances + in transit = paid in − paid out\n");
    for (currency, cash) in all::<Cash>(bank).await? {
        let held = held.get(&currency).copied().unwrap_or_default();
        let holds = held + cash.in_transit == cash.paid_in - cash.paid_out;
        let sign = if holds { '=' } else { '≠' };
        let all = [held, cash.in_transit, cash.paid_in, cash.paid_out];
        let [held, transit, paid_in, paid_out] = all.map(decimal);
        writeln!(
            out,
            "  {currency}{held:>15} + {transit} {sign} {paid_in:>14} − {paid_out:>14}"
        )?;
    }
    Ok(())
}

/// Head, proof and the last events of an integration stream.
async fn stream<E: IntegrationEvent>(out: &mut String, service: &Service) -> Result<()> {
    let (store, stream) = (service.store(), stream_of::<E>());
    let head = store.published_head(&stream).await?;
    let hash = StreamHash::from_bytes(head.hash).to_string();
    writeln!(
        out,
        "  {stream}: {} events, running hash {hash:.16}…",
        head.position
    )?;
    let before = Position::new(head.position.get().saturating_sub(2));
    for event in store.read_published(&stream, before, 2).await? {
        writeln!(
            out,
            "    {} {} {}",
            event.position, event.event_type, event.payload
        )?;
    }
    Ok(())
}

/// What the notifications service made of it.
async fn received(out: &mut String, bank: &Bank) -> Result<()> {
    let service = &bank.notifications;
    let mut db = notifications::connect(&service.database).await?;
    out.push_str("\nWhat the notifications service heard, over HTTP, and keeps in its database\n");
    if let Some(warn) = &service.warn {
        let warnings = query_scalar("SELECT count(*) FROM warning");
        let warnings: i64 = warnings.fetch_one(&mut db).await?;
        writeln!(
            out,
            "  from accounts@1, up to {}: {warnings} warnings",
            warn.progress().position
        )?;
    }
    if let Some(notify) = &service.notify {
        let texts = query_scalar("SELECT text FROM notification ORDER BY position DESC LIMIT ?");
        let texts: Vec<String> = texts.bind(FEW).fetch_all(&mut db).await?;
        writeln!(
            out,
            "  from accounts@2, up to {}: a notification each, the last",
            notify.progress().position
        )?;
        for text in texts.iter().rev() {
            writeln!(out, "    {text}")?;
        }
    }
    let explained = query_scalar("SELECT count(*) FROM explanation");
    let explained: i64 = explained.fetch_one(&mut db).await?;
    writeln!(
        out,
        "  from transfers@1, up to {}: {explained} explanations",
        service.explain.progress().position
    )?;
    Ok(())
}

/// Minor units as `1,234,567.89`.
fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let (units, rest) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    format!("{sign}{}.{rest:02}", HumanCount(units))
}
