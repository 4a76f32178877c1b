//! Rows by their values: what is asked of indexes, and what is unique.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use fastrand::Rng;
use tokio::task::JoinSet;

use super::rows::{advance, change};
use super::{Check, law};
use crate::error::Error;
use crate::store::{
    Advance, Advanced, ColumnDef, ColumnKind, EventStore, IndexDef, Row, RowPlace, RowQuery,
    Select, Table, Value,
};

const fn column(name: &'static str, kind: ColumnKind, nullable: bool) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        nullable,
    }
}

const fn index(columns: &'static [usize], unique: bool) -> IndexDef {
    IndexDef { columns, unique }
}

/// Every kind of column, first those that always hold something, then those that may not.
const COLUMNS: &[ColumnDef] = &[
    column("amount", ColumnKind::Integer, false),
    column("rate", ColumnKind::Real, false),
    column("open", ColumnKind::Boolean, false),
    column("order", ColumnKind::Text, false),
    column("photo", ColumnKind::Bytes, false),
    column("closed", ColumnKind::Integer, true),
    column("alias", ColumnKind::Text, true),
];

const ALONE: [&[usize]; 7] = [&[0], &[1], &[2], &[3], &[4], &[5], &[6]];

const FOUND: Table = Table {
    name: "found",
    version: 1,
    slices: 1,
    columns: COLUMNS,
    indexes: &[
        index(ALONE[0], false),
        index(ALONE[1], false),
        index(ALONE[2], false),
        index(ALONE[3], false),
        index(ALONE[4], false),
        index(ALONE[5], false),
        index(ALONE[6], false),
        index(&[3, 0], false),
        index(&[2, 5, 6], false),
    ],
};

/// A value out of few, so that many rows hold the same, and some that are hard to order.
fn value(column: &ColumnDef, random: &mut Rng) -> Value {
    const TEXTS: [&str; 8] = ["", "A", "a", "b", "ä", "z", "\u{fffd}", "\u{1f600}"];
    if column.nullable && random.u8(..3) == 0 {
        return Value::Null;
    }
    let few = random.i8(-2..=2);
    match column.kind {
        ColumnKind::Integer => Value::Integer(match few {
            -2 => i64::MIN,
            2 => i64::MAX,
            few => few.into(),
        }),
        ColumnKind::Real => Value::Real(match few {
            -2 => f64::NEG_INFINITY,
            2 => 0.1 + 0.2,
            few => f64::from(few) / 3.0,
        }),
        ColumnKind::Boolean => Value::Boolean(few > 0),
        ColumnKind::Text => Value::Text(TEXTS[random.usize(..TEXTS.len())].to_owned()),
        ColumnKind::Bytes => Value::Bytes(vec![random.u8(..3) * 100; random.usize(..3)]),
    }
}

fn row(table: &Table, random: &mut Rng) -> Row {
    table.columns.iter().map(|c| value(c, random)).collect()
}

type Rows = BTreeMap<String, Row>;

pub(super) async fn rows_are_found_by_their_values<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "rows are found by their values, in order and once";
    let mut random = Rng::with_seed(seed);
    store.prepare_table(&FOUND).await?;
    let mut rows = Rows::new();
    for at in 0..3 {
        let mut changes = Vec::new();
        for _ in 0..60 {
            let key = random.u8(..100).to_string();
            let row = (random.u8(..5) > 0).then(|| row(&FOUND, &mut random));
            match row.clone() {
                Some(row) => rows.insert(key.clone(), row),
                None => rows.remove(&key),
            };
            changes.push(change(&key, row));
        }
        let advance = advance(&FOUND, at, at + 1);
        store.advance_rows(advance, &FOUND, changes.into()).await?;
    }
    for _ in 0..150 {
        let select = question(&mut random);
        let expected = answer(&rows, &select);
        let count = store.count_rows(&FOUND, &select).await?;
        law!(
            LAW,
            count == expected.len() as u64,
            "{select:?}: {count} were counted, and there are {}",
            expected.len()
        );
        // Page after page they are all there, in order.
        let limit = random.usize(1..20);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = RowQuery {
                select: select.clone(),
                after: after.clone(),
                limit,
            };
            let page = store.query_rows(&FOUND, &query).await?;
            let full = page.len() == limit;
            after = page.last().map(|(key, row)| select.place(key, row));
            found.extend(page);
            if !full {
                break;
            }
        }
        law!(
            LAW,
            found == expected,
            "{query:?}: {found:?} in pages of {limit}, not {expected:?}",
            query = select
        );
        // And behind a place where no row is.
        let after = RowPlace {
            key: random.u8(..100).to_string(),
            ..select.place("", &row(&FOUND, &mut random))
        };
        if after.values.contains(&Value::Null) {
            continue;
        }
        let behind: Vec<_> = expected
            .into_iter()
            .filter(|(key, row)| {
                let place = select.place(key, row);
                in_order(&place, &after).is_gt()
            })
            .collect();
        let query = RowQuery {
            select,
            after: Some(after),
            limit: 100,
        };
        let found = store.query_rows(&FOUND, &query).await?;
        law!(LAW, found == behind, "{query:?}: {found:?}, not {behind:?}");
    }
    Ok(())
}

fn question(random: &mut Rng) -> Select {
    let index = FOUND.indexes[random.usize(..FOUND.indexes.len())];
    let of = |random: &mut Rng| -> Row {
        let columns = index.columns.iter().map(|place| &COLUMNS[*place]);
        columns.map(|column| value(column, random)).collect()
    };
    let equal = random.u8(..3) == 0 || (index.columns.len() > 2);
    if equal {
        return Select::Equal(index, of(random));
    }
    let mut bound = || {
        let present =
            std::iter::repeat_with(|| of(random)).find(|values| !values.contains(&Value::Null));
        match (present, random.u8(..3)) {
            (Some(values), 0) => Bound::Included(values),
            (Some(values), 1) => Bound::Excluded(values),
            _ => Bound::Unbounded,
        }
    };
    let (from, to) = (bound(), bound());
    Select::Range(index, from, to)
}

/// The law in the plainest words.
fn answer(rows: &Rows, select: &Select) -> Vec<(String, Row)> {
    let mut found: Vec<_> = rows
        .iter()
        .filter(|(_, row)| match select {
            Select::All => true,
            Select::Equal(index, values) => index
                .columns
                .iter()
                .zip(values)
                .all(|(place, value)| row[*place] == *value),
            Select::Range(index, from, to) => {
                let held: Vec<_> = index.columns.iter().map(|place| &row[*place]).collect();
                let is = |bound: &Row, wanted: fn(Ordering) -> bool| {
                    wanted(lexicographic(&held, &bound.iter().collect::<Vec<_>>()))
                };
                let from = match from {
                    Bound::Included(from) => is(from, Ordering::is_ge),
                    Bound::Excluded(from) => is(from, Ordering::is_gt),
                    Bound::Unbounded => true,
                };
                let to = match to {
                    Bound::Included(to) => is(to, Ordering::is_le),
                    Bound::Excluded(to) => is(to, Ordering::is_lt),
                    Bound::Unbounded => true,
                };
                from && to && !held.contains(&&Value::Null)
            }
        })
        .map(|(key, row)| (key.clone(), row.clone()))
        .collect();
    found.sort_by(|(a, row), (b, other)| in_order(&select.place(a, row), &select.place(b, other)));
    found
}

fn in_order(a: &RowPlace, b: &RowPlace) -> Ordering {
    fn values(place: &RowPlace) -> Vec<&Value> {
        place.values.iter().collect()
    }
    lexicographic(&values(a), &values(b)).then_with(|| a.key.cmp(&b.key))
}

/// The order of values, one after the other, in Rust's own.
fn lexicographic(a: &[&Value], b: &[&Value]) -> Ordering {
    let order = |(a, b): (&&Value, &&Value)| match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    let orders = a.iter().zip(b).map(order);
    orders.fold(Ordering::Equal, Ordering::then)
}

const UNIQUE: Table = Table {
    name: "unique_things",
    version: 1,
    slices: 1,
    columns: &[
        column("owner", ColumnKind::Text, false),
        column("currency", ColumnKind::Text, true),
        column("iban", ColumnKind::Integer, true),
        column("amount", ColumnKind::Integer, false),
    ],
    indexes: &[index(&[0, 1], true), index(&[2], true), index(&[3], false)],
};

/// The first of the changed keys whose row holds what a row before it, or an unchanged one, holds.
fn refused(before: &Rows, changed: &[String], after: &Rows) -> Option<(String, String)> {
    let unchanged = before.keys().filter(|key| !changed.contains(key));
    let mut seen: Vec<&String> = unchanged.collect();
    for key in changed.iter().filter(|key| after.contains_key(*key)) {
        for index in UNIQUE.indexes.iter().filter(|index| index.unique) {
            let held = |key: &String| -> Vec<&Value> {
                index
                    .columns
                    .iter()
                    .map(|place| &after[key][*place])
                    .collect()
            };
            let own = held(key);
            let same = |other: &&&String| !own.contains(&&Value::Null) && held(other) == own;
            if let Some(holder) = seen.iter().find(same) {
                return Some((key.clone(), (*holder).clone()));
            }
        }
        seen.push(key);
    }
    None
}

pub(super) async fn what_is_unique_stays_unique<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "what is unique is held by one row";
    let mut random = Rng::with_seed(seed);
    store.prepare_table(&UNIQUE).await?;
    let few = |random: &mut Rng| -> Row {
        let text = |n: u8| Value::Text(n.to_string());
        let mut row = vec![
            text(random.u8(..4)),
            text(random.u8(..3)),
            Value::Integer(random.i64(0..12)),
            Value::Integer(random.i64(0..3)),
        ];
        for place in [1, 2] {
            if random.bool() {
                row[place] = Value::Null;
            }
        }
        row
    };
    let (mut rows, mut at, mut refusals, mut swaps) = (Rows::new(), 0, 0, 0);
    for _ in 0..200 {
        let (mut after, mut changed) = (rows.clone(), Vec::new());
        let mut put = |after: &mut Rows, key: &String, row: Option<Row>| {
            changed.retain(|known| known != key);
            changed.push(key.clone());
            match row {
                Some(row) => after.insert(key.clone(), row),
                None => after.remove(key),
            };
        };
        let keys: Vec<_> = rows.keys().cloned().collect();
        match random.u8(..3) {
            // Everybody hands on to the next one what they hold.
            0 if keys.len() > 1 => {
                swaps += 1;
                for (key, next) in keys.iter().zip(keys.iter().cycle().skip(1)) {
                    put(&mut after, next, Some(rows[key].clone()));
                }
            }
            1 => {
                let key = random.u8(..10).to_string();
                put(&mut after, &key, None);
                put(
                    &mut after,
                    &random.u8(..10).to_string(),
                    Some(few(&mut random)),
                );
            }
            _ => {
                for _ in 0..random.u8(1..3) {
                    put(
                        &mut after,
                        &random.u8(..10).to_string(),
                        Some(few(&mut random)),
                    );
                }
            }
        }
        let changes = changed
            .iter()
            .map(|key| change(key, after.get(key).cloned()));
        let moving = store.advance_rows(
            advance(&UNIQUE, at, at + 1),
            &UNIQUE,
            changes.collect::<Vec<_>>().into(),
        );
        let answer = moving.await;
        match refused(&rows, &changed, &after) {
            None => {
                law!(
                    LAW,
                    matches!(answer, Ok(Advanced::Moved)),
                    "{rows:?} may become {after:?}, and {answer:?} was the answer"
                );
                (rows, at) = (after, at + 1);
            }
            Some((key, holder)) => {
                refusals += 1;
                let said = answer.as_ref().err().and_then(Error::not_unique);
                law!(
                    LAW,
                    said == Some((&key, &holder)),
                    "{rows:?} may not become {after:?}, since {key} holds what {holder} does, and {answer:?} was the answer"
                );
            }
        }
        let kept = store.query_rows(&UNIQUE, &RowQuery::all()).await?;
        law!(
            LAW,
            kept.iter().map(|(k, r)| (k, r)).eq(&rows),
            "{kept:?} is kept of {rows:?}"
        );
    }
    let fenced = store.advance_rows(advance(&UNIQUE, at + 1, at + 2), &UNIQUE, {
        let same = vec![
            Value::Text("0".to_owned()),
            Value::Null,
            Value::Integer(1),
            Value::Integer(0),
        ];
        vec![change("x", Some(same.clone())), change("y", Some(same))].into()
    });
    let fenced = fenced.await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "whoever is late is told so, not {fenced:?}"
    );
    law!(
        LAW,
        refusals > 0 && swaps > 0,
        "nothing was tried: {refusals} refusals, {swaps} swaps"
    );
    Ok(())
}

/// Parts of one table are written at once, and see each other's rows when they are committed.
pub(super) async fn what_is_unique_is_so_over_all_parts<S: EventStore>(store: S) -> Check {
    const LAW: &str = "what is unique is held by one row, whichever part writes it";
    const PARTS: [(u16, &str); 2] = [(0, "a"), (512, "b")];
    let table = Table {
        slices: 2,
        ..UNIQUE
    };
    store.prepare_table(&table).await?;
    let mut cursors = [0, 0];
    for round in 0..20 {
        let mut parts = JoinSet::new();
        for (at, (slice, key)) in cursors.into_iter().zip(PARTS) {
            let store = store.clone();
            parts.spawn(async move {
                let row = vec![
                    Value::Text(format!("{key} {round}")),
                    Value::Null,
                    Value::Integer(round),
                    Value::Integer(0),
                ];
                let advance = Advance {
                    slice,
                    ..advance(&table, at, at + 1)
                };
                loop {
                    let changes = vec![change(key, Some(row.clone()))];
                    match store
                        .advance_rows(advance.clone(), &table, changes.into())
                        .await
                    {
                        // Two that wait for each other are told so, and one tries again.
                        Err(error) if error.is_transient() => {}
                        done => break (key, done),
                    }
                }
            });
        }
        let (mut moved, mut refused) = (Vec::new(), Vec::new());
        for (key, done) in parts.join_all().await {
            match done {
                Ok(Advanced::Moved) => moved.push(key),
                other => refused.push((key, other)),
            }
        }
        law!(
            LAW,
            matches!(&*moved, [_]),
            "round {round}: {moved:?} wrote the same, and {refused:?} did not"
        );
        for (key, other) in &refused {
            let said = other.as_ref().err().and_then(Error::not_unique);
            law!(
                LAW,
                said == Some((key, moved[0])),
                "round {round}: {key} was told {other:?}"
            );
        }
        for (cursor, (_, key)) in cursors.iter_mut().zip(PARTS) {
            *cursor += u64::from(moved.contains(&key));
        }
    }
    Ok(())
}
