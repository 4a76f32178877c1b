//! Rows kept in memory between pages, so that most pages read none.
//!
//! Whoever writes rows moves the cursor in the same transaction, from where it stands, or raises the
//! version's epoch. So the rows are what the table holds as long as it was this instance that moved
//! the cursor last, and the epoch is the same; else, and when nobody knows what became of a page,
//! they are dropped. A parked key, whose row is written without a move when it is tried again, is
//! none of them: it was parked in a move after which nothing was kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;

use super::{OutOfRange, Projection};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::runtime::without;
use crate::store::{Advance, Row, RowChange, Value};

/// The rows of the keys that were touched last.
///
/// Two generations instead of a list in order of use: what is touched moves to the young one; when
/// that is full, the old one is dropped.
pub(super) struct Kept<P> {
    /// The epoch and the cursor that the rows belong to; nothing while a page is under way.
    at: Option<(u64, Position)>,
    young: HashMap<String, Known<P>>,
    old: HashMap<String, Known<P>>,
    /// Whether every row of the table is here: a key that is not has none.
    complete: bool,
    /// The keys that the page under way touched.
    touched: Vec<String>,
    /// What the young ones weigh, in bytes.
    weight: usize,
    /// What a generation may weigh between two pages.
    most: usize,
}

/// What is known of a key.
struct Known<P> {
    row: Option<P>,
    /// Whether the table has a row of it.
    stored: bool,
    /// Whether the page under way touched it.
    touched: bool,
    weight: usize,
}

impl<P: Projection> Kept<P> {
    /// Keeps rows of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            at: None,
            young: HashMap::new(),
            old: HashMap::new(),
            complete: false,
            touched: Vec::new(),
            weight: 0,
            most: bytes / 2,
        }
    }

    /// Begins a page. Whatever becomes of it, the rows are believed again only when the cursor
    /// [`moved`](Self::moved).
    pub(super) fn begin(&mut self, advance: &Advance) {
        let Advance { epoch, from, .. } = *advance;
        let at = self.at.take();
        let ours = at == Some((epoch, from)) || without("rows are kept by the cursor");
        if !ours {
            *self = Self::new(self.most * 2);
            // A cursor that never moved has no rows.
            self.complete = from == Position::START;
        }
    }

    /// Those of the keys whose rows must be read first, each once.
    pub(super) fn missing<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Vec<String> {
        if self.complete {
            return Vec::new();
        }
        let is_known = |key: &str| self.young.contains_key(key) || self.old.contains_key(key);
        let mut missing: Vec<_> = keys.filter(|key| !is_known(key)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.into_iter().map(str::to_owned).collect()
    }

    /// Adds what was read: these rows, and none for those of the keys that have none.
    ///
    /// # Errors
    /// When a row is not one that this type writes.
    pub(super) fn add(&mut self, keys: Vec<String>, rows: Vec<(String, Row)>) -> Result<()> {
        for (key, row) in rows {
            let weight = weight::<P>(&key, Some(&row));
            let known = Known {
                row: Some(P::from_row(row).map_err(misfit::<P>(&key))?),
                stored: true,
                touched: false,
                weight,
            };
            self.weight += weight;
            self.young.insert(key, known);
        }
        for key in keys {
            if let Entry::Vacant(place) = self.young.entry(key) {
                let known = Known::absent(place.key());
                self.weight += known.weight;
                place.insert(known);
            }
        }
        Ok(())
    }

    /// Changes the row of a key, which must not be missing.
    pub(super) fn change(&mut self, key: String, change: impl FnOnce(Option<P>) -> Option<P>) {
        let known = match self.young.entry(key) {
            Entry::Occupied(place) => {
                if !place.get().touched {
                    self.touched.push(place.key().clone());
                }
                place.into_mut()
            }
            Entry::Vacant(place) => {
                self.touched.push(place.key().clone());
                let known = self.old.remove(place.key());
                let known = known.unwrap_or_else(|| Known::absent(place.key()));
                self.weight += known.weight;
                place.insert(known)
            }
        };
        known.touched = true;
        known.row = change(known.row.take());
    }

    /// What the page changed, as the table has to hear it.
    ///
    /// # Errors
    /// When a value does not fit its column.
    pub(super) fn changes(&mut self) -> Result<Vec<RowChange>> {
        let mut touched = mem::take(&mut self.touched);
        // Neighbours in the table come one after the other. What is unique is taken in the order of
        // the events.
        if P::TABLE.unique().next().is_none() {
            touched.sort_unstable();
        }
        let mut changes = Vec::with_capacity(touched.len());
        for key in touched {
            let Some(known) = self.young.get_mut(&key) else {
                continue;
            };
            known.touched = false;
            let row = known.row.as_ref().map(P::to_row).transpose();
            let row = row.map_err(misfit::<P>(&key))?;
            let weight = weight::<P>(&key, row.as_ref());
            self.weight = self.weight + weight - mem::replace(&mut known.weight, weight);
            // What was not there and still is not is no news.
            if mem::replace(&mut known.stored, row.is_some()) || row.is_some() {
                changes.push(RowChange { key, row });
            }
        }
        Ok(changes)
    }

    /// The page was committed, and with it the cursor moved.
    pub(super) fn moved(&mut self, advance: &Advance) {
        self.at = Some((advance.epoch, advance.to));
        if self.weight > self.most {
            let dropped = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.complete &= dropped.is_empty();
            self.weight = 0;
        }
    }
}

impl<P: Projection> Known<P> {
    fn absent(key: &str) -> Self {
        Self {
            row: None,
            stored: false,
            touched: false,
            weight: weight::<P>(key, None),
        }
    }
}

/// About the bytes that a key and its row take here.
fn weight<P>(key: &str, row: Option<&Row>) -> usize {
    // A quarter of a map's places is free.
    let place = (size_of::<(String, Known<P>)>() + 1) * 4 / 3;
    let allocated = |bytes: usize| bytes + 16;
    let text = |value: &Value| match value {
        Value::Text(text) => allocated(text.len()),
        Value::Bytes(bytes) => allocated(bytes.len()),
        _ => 0,
    };
    place + allocated(key.len()) + row.into_iter().flatten().map(text).sum::<usize>()
}

/// Says which row of which projection holds a value that cannot be kept.
pub(super) fn misfit<P: Projection>(key: &str) -> impl FnOnce(OutOfRange) -> Error {
    let what = format!("the row `{key}` of `{}`", P::TABLE);
    |error| Error::caused_by(Kind::OutOfRange { what }, error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::{ColumnDef, ColumnKind};

    /// How often a key was touched, and by what last.
    #[derive(Debug, PartialEq)]
    struct Touched {
        times: i64,
        last: String,
    }

    impl Projection for Touched {
        const NAME: &'static str = "touched";
        const VERSION: u32 = 1;
        const COLUMNS: &'static [ColumnDef] = &[
            column("times", ColumnKind::Integer),
            column("last", ColumnKind::Text),
        ];

        fn to_row(&self) -> Result<Row, OutOfRange> {
            Ok(vec![
                Value::Integer(self.times),
                Value::Text(self.last.clone()),
            ])
        }

        fn from_row(row: Row) -> Result<Self, OutOfRange> {
            match <[Value; 2]>::try_from(row) {
                Ok([Value::Integer(times), Value::Text(last)]) => Ok(Self { times, last }),
                other => Err(OutOfRange::new(format!("{other:?}"))),
            }
        }
    }

    fn advance(from: u64, to: u64) -> Advance {
        let (from, to) = (Position::new(from), Position::new(to));
        Advance::new(&Touched::TABLE, from, to)
    }

    const fn column(name: &'static str, kind: ColumnKind) -> ColumnDef {
        ColumnDef {
            name,
            kind,
            nullable: false,
        }
    }

    /// Every seventh event removes the row.
    fn fold(row: Option<Touched>, event: u64) -> Option<Touched> {
        if event.is_multiple_of(7) {
            return None;
        }
        let times = row.map_or(0, |row| row.times) + 1;
        let last = format!("event {event}");
        Some(Touched { times, last })
    }

    /// A table with its cursor, as a store keeps both.
    #[derive(Default)]
    struct Table {
        cursor: u64,
        rows: BTreeMap<String, Row>,
    }

    /// One instance: what it keeps, and where it believes the cursor to stand.
    struct Instance {
        kept: Kept<Touched>,
        cursor: u64,
        /// Rows that it read.
        read: usize,
    }

    impl Instance {
        fn new(bytes: usize) -> Self {
            Self {
                kept: Kept::new(bytes),
                cursor: 0,
                read: 0,
            }
        }

        /// Works on a page of the log, whose `n`th event has the number `n + 1`, up to the write.
        fn work(&mut self, log: &[String], to: u64, table: &Table) -> Vec<RowChange> {
            self.kept.begin(&advance(self.cursor, to));
            let page = (self.cursor..to).map(|n| (n + 1, &log[usize::try_from(n).unwrap()]));
            let missing = self.kept.missing(page.clone().map(|(_, key)| key.as_str()));
            self.read += missing.len();
            let row = |key: &String| Some((key.clone(), table.rows.get(key)?.clone()));
            let rows = missing.iter().filter_map(row).collect();
            self.kept.add(missing, rows).unwrap();
            for (event, key) in page {
                self.kept.change(key.clone(), |row| fold(row, event));
            }
            self.kept.changes().unwrap()
        }
    }

    impl Table {
        fn commit(&mut self, from: u64, to: u64, changes: Vec<RowChange>) -> bool {
            if self.cursor != from {
                return false;
            }
            self.cursor = to;
            for RowChange { key, row } in changes {
                match row {
                    Some(row) => drop(self.rows.insert(key, row)),
                    None => assert!(self.rows.remove(&key).is_some(), "{key} was not there"),
                }
            }
            true
        }
    }

    /// Two instances, pages of every length, commits that fail or that nobody hears of: the rows
    /// are always those that a fold without any of it makes.
    #[test]
    fn the_table_is_what_the_events_say() {
        let seed = match std::env::var("ES_SEED") {
            Ok(seed) => seed.parse().expect("ES_SEED is a number"),
            Err(_) => fastrand::u64(..),
        };
        println!("ES_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let keys = random.usize(1..40);
            let log: Vec<_> = (0..400)
                .map(|_| format!("key {}", random.usize(..keys)))
                .collect();
            let row = weight::<Touched>("key 10", Some(&vec![Value::Text("event 100".into())]));
            let bytes = [0, 4 * row, 40 * row, 1 << 20][random.usize(..4)];
            let mut table = Table::default();
            let mut instances = [Instance::new(bytes), Instance::new(bytes)];
            while table.cursor < log.len() as u64 {
                let one = &mut instances[usize::from(random.u8(..10) == 0)];
                let from = one.cursor;
                if from == log.len() as u64 {
                    one.cursor = table.cursor;
                    continue;
                }
                let to = (from + random.u64(1..60)).min(log.len() as u64);
                let changes = one.work(&log, to, &table);
                match random.u8(..10) {
                    // The database failed before the commit.
                    0 => one.cursor = table.cursor,
                    // The commit was made, and the answer lost.
                    1 => {
                        table.commit(from, to, changes);
                        one.cursor = table.cursor;
                    }
                    _ if table.commit(from, to, changes) => {
                        one.kept.moved(&advance(from, to));
                        one.cursor = to;
                    }
                    _ => one.cursor = table.cursor,
                }
                let mut expected = BTreeMap::new();
                for (n, key) in (1..=table.cursor).zip(&log) {
                    match fold(expected.remove(key), n) {
                        Some(row) => expected.insert(key.clone(), row),
                        None => None,
                    };
                }
                let rows = table.rows.iter();
                let rows = rows.map(|(key, row)| (key.clone(), Touched::from_row(row.clone())));
                let rows: BTreeMap<_, _> = rows.map(|(key, row)| (key, row.unwrap())).collect();
                assert_eq!(rows, expected, "at {} with {bytes} bytes", table.cursor);
            }
        }
    }

    #[test]
    fn a_rebuild_reads_no_rows_while_they_fit() {
        let log: Vec<_> = (0..1000).map(|n| format!("key {}", n % 100)).collect();
        let read = |bytes| {
            let (mut table, mut one) = (Table::default(), Instance::new(bytes));
            for to in (10..=1000).step_by(10) {
                let changes = one.work(&log, to, &table);
                assert!(table.commit(one.cursor, to, changes));
                one.kept.moved(&advance(one.cursor, to));
                one.cursor = to;
            }
            assert!(one.kept.weight <= bytes / 2 || bytes == 0);
            one.read
        };
        assert_eq!(read(1 << 20), 0);
        // All but the first two pages: what they touched was kept, and all that there was.
        assert_eq!(read(0), 980);
    }
}
