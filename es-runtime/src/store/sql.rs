//! SQL that the databases share: how a read model's table is made, and how it is asked.
//!
//! Names that go into SQL text come from derives, which allow lower-case letters, digits and `_`
//! in tables; columns are quoted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Bound;

use super::query::order_of;
use super::{
    Advance, ColumnKind, InboxId, InboxMove, IndexDef, Phase, ProjectionId, ProjectionKind,
    RelayMove, Row, RowPlace, RowQuery, RowsAt, Select, StreamLife, Table, Value,
};
use crate::error::{Error, Result};
use crate::event::{Position, Timestamp};
use crate::runtime::without;

/// How a database spells what the others spell otherwise.
pub(crate) struct Dialect {
    /// The type of the key, whose order is that of its bytes.
    pub key: &'static str,
    /// The type of a column. The order of texts is that of their bytes.
    pub column: fn(ColumnKind) -> &'static str,
    /// What stands behind the columns.
    pub options: &'static str,
    /// What stands behind a unique constraint.
    pub unique: &'static str,
    /// What stands before the number of a parameter.
    pub parameter: char,
}

/// The statement that makes a read model's table, with what is unique in it.
pub(crate) fn create_table(table: &Table, dialect: &Dialect) -> String {
    let name = table.sql_name();
    let mut create = format!(
        "CREATE TABLE \"{name}\" (\"key\" {} PRIMARY KEY",
        dialect.key
    );
    for column in table.columns {
        let null = if column.nullable { "" } else { " NOT NULL" };
        // Writing to a string cannot fail.
        write!(
            create,
            ", \"{}\" {}{null}",
            column.name,
            (dialect.column)(column.kind)
        )
        .ok();
    }
    for index in table.unique() {
        let (name, columns) = (index_name(table, index), quoted(table.names(index)));
        let unique = dialect.unique;
        write!(create, ", CONSTRAINT \"{name}\" UNIQUE ({columns}){unique}").ok();
    }
    write!(create, "){}", dialect.options).ok();
    create
}

/// The statement that makes an index which the table does not come with, unless it is there. The
/// key is its last column, which is the order of rows that hold the same.
pub(crate) fn create_index(table: &Table, index: &IndexDef) -> String {
    let (name, columns) = (index_name(table, index), quoted(table.names(index)));
    let table = table.sql_name();
    format!("CREATE INDEX IF NOT EXISTS \"{name}\" ON \"{table}\" ({columns}, \"key\")")
}

/// `balances_v2_by_owner_and_currency`; of a long one, PostgreSQL would cut off the end.
pub(crate) fn index_name(table: &Table, index: &IndexDef) -> String {
    const LONGEST: usize = 63;
    let columns = table.names(index).collect::<Vec<_>>().join("_and_");
    let name = format!("{}_by_{columns}", table.sql_name());
    if name.len() <= LONGEST {
        return name;
    }
    use sha2::{Digest, Sha256};
    let tail = hex::encode(&Sha256::digest(&name)[..8]);
    let head = name.floor_char_boundary(LONGEST - tail.len() - 1);
    format!("{}_{tail}", &name[..head])
}

fn quoted<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let columns = columns.map(|column| format!("\"{column}\""));
    columns.collect::<Vec<_>>().join(", ")
}

/// The key and the columns of a read model's rows, to be narrowed down.
pub(crate) fn select(table: &Table) -> String {
    let columns = table.columns.iter().map(|c| format!(", \"{}\"", c.name));
    format!(
        "SELECT \"key\"{} FROM \"{}\"",
        columns.collect::<String>(),
        table.sql_name()
    )
}

/// The rows whose key is `among` some, each beside each part of the projection and where it stands:
/// as they are at one moment, since it is one statement. Kind, name and version come first; where no
/// key has a row there is one of nothing.
pub(crate) fn select_at(table: &Table, cursors: &str, among: &str) -> String {
    let columns = table.columns.iter().map(|c| format!(", t.\"{}\"", c.name));
    format!(
        "SELECT t.\"key\"{}, c.slice_from, c.slice_to, c.position, c.epoch
         FROM {cursors} c LEFT JOIN \"{}\" t ON t.\"key\" {among}
         WHERE c.kind = $1 AND c.name = $2 AND c.version = $3",
        columns.collect::<String>(),
        table.sql_name()
    )
}

/// A statement with its parameters.
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
    parameter: char,
    /// Whether it has a condition.
    narrowed: bool,
}

/// The rows that a query asks for, in its order.
pub(crate) fn select_rows(table: &Table, query: &RowQuery, dialect: &Dialect) -> Statement {
    let mut statement = Statement::new(select(table), dialect);
    statement.narrow(table, query);
    statement.text.push_str(" ORDER BY ");
    let order = match &query.select {
        Select::All => "\"key\"".to_owned(),
        // No two of them hold the same.
        Select::Range(index, ..) if index.unique => quoted(table.names(index)),
        Select::Equal(index, _) | Select::Range(index, ..) => {
            quoted(table.names(index).chain(["key"]))
        }
    };
    statement.text.push_str(&order);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    statement.text.push_str(" LIMIT ");
    statement.parameter(Value::Integer(limit));
    statement
}

/// How many rows a query asks for, wherever it begins.
pub(crate) fn count_rows(table: &Table, select: &Select, dialect: &Dialect) -> Statement {
    let all = format!("SELECT count(*) FROM \"{}\"", table.sql_name());
    let mut statement = Statement::new(all, dialect);
    statement.narrow(
        table,
        &RowQuery {
            select: select.clone(),
            after: None,
            limit: 0,
        },
    );
    statement
}

/// The rows that hold what one of the `claims` holds in the columns of an index.
pub(crate) fn select_holders(
    table: &Table,
    index: &IndexDef,
    claims: Vec<Row>,
    dialect: &Dialect,
) -> Statement {
    let mut statement = Statement::new(select(table), dialect);
    let columns = quoted(table.names(index));
    write!(statement.text, " WHERE ({columns}) IN (VALUES ").ok();
    for (n, claim) in claims.into_iter().enumerate() {
        statement.text.push_str(if n == 0 { "(" } else { "), (" });
        statement.parameters(claim);
    }
    statement.text.push_str("))");
    statement
}

impl Statement {
    fn new(text: String, dialect: &Dialect) -> Self {
        Self {
            text,
            values: Vec::new(),
            parameter: dialect.parameter,
            narrowed: false,
        }
    }

    fn parameter(&mut self, value: Value) {
        self.values.push(value);
        write!(self.text, "{}{}", self.parameter, self.values.len()).ok();
    }

    fn parameters(&mut self, values: Row) {
        for (n, value) in values.into_iter().enumerate() {
            self.text.push_str(if n == 0 { "" } else { ", " });
            self.parameter(value);
        }
    }

    fn condition(&mut self) {
        let more = std::mem::replace(&mut self.narrowed, true);
        self.text.push_str(if more { " AND " } else { " WHERE " });
    }

    /// `("owner", "key") > ($1, $2)`.
    fn compare<'a>(&mut self, columns: impl Iterator<Item = &'a str>, sign: &str, values: Row) {
        self.condition();
        write!(self.text, "({}) {sign} (", quoted(columns)).ok();
        self.parameters(values);
        self.text.push(')');
    }

    fn narrow(&mut self, table: &Table, query: &RowQuery) {
        let after = query.after.clone();
        match &query.select {
            Select::All => {}
            // As a range of one value: PostgreSQL would forget the column in the order that it is
            // asked for, and may go along the keys instead, for as long as it takes.
            Select::Equal(index, values) if !index.unique && !values.contains(&Value::Null) => {
                let only = Bound::Included(values.clone());
                let after = after.map(|after| RowPlace {
                    values: values.clone(),
                    ..after
                });
                return self.range(table, index, &only, &only, after);
            }
            Select::Equal(index, values) => {
                for (column, value) in table.names(index).zip(values) {
                    self.condition();
                    write!(self.text, "\"{column}\" ").ok();
                    match value {
                        Value::Null => self.text.push_str("IS NULL"),
                        value => {
                            self.text.push_str("= ");
                            self.parameter(value.clone());
                        }
                    }
                }
            }
            Select::Range(index, from, to) => return self.range(table, index, from, to, after),
        }
        if let Some(after) = after {
            self.compare(["key"].into_iter(), ">", vec![Value::Text(after.key)]);
        }
    }

    fn range(
        &mut self,
        table: &Table,
        index: &IndexDef,
        from: &Bound<Row>,
        to: &Bound<Row>,
        after: Option<RowPlace>,
    ) {
        // One of the two says where to begin: a database looks for one place.
        let after = after.filter(|after| match from {
            Bound::Unbounded => true,
            Bound::Included(from) => order_of(&after.values, from).is_ge(),
            Bound::Excluded(from) => order_of(&after.values, from).is_gt(),
        });
        match (after, from) {
            (Some(after), _) if index.unique => {
                self.compare(table.names(index), ">", after.values);
            }
            (Some(after), _) => {
                let mut place = after.values;
                place.push(Value::Text(after.key));
                self.compare(table.names(index).chain(["key"]), ">", place);
            }
            (None, Bound::Included(from)) => self.compare(table.names(index), ">=", from.clone()),
            (None, Bound::Excluded(from)) => self.compare(table.names(index), ">", from.clone()),
            (None, Bound::Unbounded) => {
                for column in index.columns.iter().map(|place| &table.columns[*place]) {
                    if column.nullable {
                        self.condition();
                        write!(self.text, "\"{}\" IS NOT NULL", column.name).ok();
                    }
                }
            }
        }
        match to {
            Bound::Included(to) => self.compare(table.names(index), "<=", to.clone()),
            Bound::Excluded(to) => self.compare(table.names(index), "<", to.clone()),
            Bound::Unbounded => {}
        }
    }
}

/// The word that databases keep for what a projection makes.
pub(crate) fn kind(projection: &ProjectionId) -> &'static str {
    match projection.kind {
        ProjectionKind::ReadModel => "read-model",
        ProjectionKind::Stream => "stream",
        ProjectionKind::Process => "process",
    }
}

/// What a kept word of [`kind`] means.
pub(crate) fn kind_of(word: &str) -> ProjectionKind {
    match word {
        "stream" => ProjectionKind::Stream,
        "process" => ProjectionKind::Process,
        _ => ProjectionKind::ReadModel,
    }
}

/// Moves a cursor if it stands where the mover believes, and nothing changed that it must know:
/// the fence. Its parameters are kind, name, version, slice, from, epoch and to.
pub(crate) fn move_cursor(cursors: &str) -> String {
    let mut update = format!(
        "UPDATE {cursors} SET position = $7, failure = NULL, failed_at = NULL
         WHERE kind = $1 AND name = $2 AND version = $3 AND slice_from = $4"
    );
    let from = (Advance::FROM, " AND position = $5");
    let knowing = (Advance::KNOWING, " AND epoch = $6");
    for (guard, fence) in [from, knowing] {
        if !without(guard) {
            update.push_str(fence);
        }
    }
    update
}

/// Moves a relay's cursor if it stands where the mover believes, and nobody else became the relay.
/// Its parameters are transport, stream, version, from, epoch and to.
pub(crate) fn move_relay(relays: &str) -> String {
    let mut update = format!(
        "UPDATE {relays} SET position = $6, failure = NULL, failed_at = NULL
         WHERE transport = $1 AND stream = $2 AND version = $3"
    );
    if !without(RelayMove::FENCE) {
        update.push_str(" AND position = $4 AND epoch = $5");
    }
    update
}

/// The rows that [`select_at`] found, and the parts with their cursors.
pub(crate) fn rows_at<'r, R>(table: &Table, rows: &'r [R]) -> sqlx::Result<RowsAt>
where
    i32: Cell<'r, R>,
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    i64: Cell<'r, R>,
    f64: Cell<'r, R>,
    bool: Cell<'r, R>,
    String: Cell<'r, R>,
    Vec<u8>: Cell<'r, R>,
{
    let behind = table.columns.len() + 1;
    let (mut found, mut cursors, mut epoch) = (BTreeMap::new(), BTreeMap::new(), 0);
    for row in rows {
        if row.try_get::<Option<String>, _>(0)?.is_some() {
            found.extend([row_of(table, row)?]);
        }
        let (from, to): (i32, i32) = (row.try_get(behind)?, row.try_get(behind + 1)?);
        let (position, stored): (i64, i64) = (row.try_get(behind + 2)?, row.try_get(behind + 3)?);
        let misfit = |error| sqlx::Error::Decode(Box::new(error));
        let slices = from.try_into().map_err(misfit)?..to.try_into().map_err(misfit)?;
        let position = Position::new(position.try_into().map_err(misfit)?);
        epoch = stored.try_into().map_err(misfit)?;
        cursors.insert(from, (slices, position));
    }
    Ok(RowsAt {
        rows: found.into_iter().collect(),
        cursors: cursors.into_values().collect(),
        epoch,
    })
}

/// A row that [`select`] found.
pub(crate) fn row_of<'r, R>(table: &Table, row: &'r R) -> sqlx::Result<(String, Row)>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    i64: Cell<'r, R>,
    f64: Cell<'r, R>,
    bool: Cell<'r, R>,
    String: Cell<'r, R>,
    Vec<u8>: Cell<'r, R>,
{
    fn value<'r, R, T>(row: &'r R, i: usize, wrap: fn(T) -> Value) -> sqlx::Result<Value>
    where
        R: sqlx::Row,
        usize: sqlx::ColumnIndex<R>,
        T: Cell<'r, R>,
    {
        Ok(row.try_get::<Option<T>, _>(i)?.map_or(Value::Null, wrap))
    }
    let values = table
        .columns
        .iter()
        .zip(1..)
        .map(|(column, i)| match column.kind {
            ColumnKind::Integer => value(row, i, Value::Integer),
            ColumnKind::Real => value(row, i, Value::Real),
            ColumnKind::Boolean => value(row, i, Value::Boolean),
            ColumnKind::Text => value(row, i, Value::Text),
            ColumnKind::Bytes => value(row, i, Value::Bytes),
        });
    Ok((row.try_get(0)?, values.collect::<sqlx::Result<_>>()?))
}

/// What can be read from a database's row.
pub(crate) trait Cell<'r, R: sqlx::Row>:
    sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>
{
}

impl<'r, R, T> Cell<'r, R> for T
where
    R: sqlx::Row,
    T: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
}

/// Whether a statement failed for a reason that may go away by itself: it lost against another
/// transaction, or the database is away.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().map(|error| error.code());
    match code {
        // Rolled back, out of resources, locked, told to stop; busy and locked.
        Some(Some(code)) => {
            let classes = ["40", "53", "55", "57", "58", "08"];
            match code.len() {
                5 => classes.iter().any(|class| code.starts_with(class)),
                _ => {
                    matches!(code.parse::<i64>(), Ok(code) if matches!(code & 0xff, 5 | 6 | 10 | 13))
                }
            }
        }
        Some(None) => false,
        None => !matches!(
            error,
            sqlx::Error::RowNotFound
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::TypeNotFound { .. }
        ),
    }
}

/// What readers know of a stream's life, as it is kept.
pub(crate) fn stream_life(
    phase: &str,
    since: Timestamp,
    sunset: Option<&str>,
) -> Result<StreamLife> {
    let broken = || {
        Error::database(
            "reading a stream's life",
            format!("`{phase}` until {sunset:?}"),
        )
    };
    let sunset = sunset.map(|sunset| sunset.parse().map_err(|_| broken()));
    Ok(StreamLife {
        phase: Phase::parse(phase).ok_or_else(broken)?,
        since,
        sunset: sunset.transpose()?,
    })
}

/// The statement that moves the cursor of a part of an inbox: consumer, stream, version and the first
/// slice come first, then where it goes, where it must stand, and by how much its epoch is raised.
pub(crate) fn move_inbox(table: &str) -> String {
    let always = without(InboxMove::FENCE);
    format!(
        "UPDATE {table} SET position = $5, hash = $6, epoch = epoch + $10,
                origin = CASE WHEN position = $5 THEN origin ELSE 0 END
         WHERE consumer = $1 AND stream = $2 AND version = $3 AND slice_from = $4
           AND (position = $7 AND hash = $8 AND epoch = $9 OR {always})"
    )
}

/// The name under which those are kept who would work on an inbox. No stream's name has a `/`.
pub(crate) fn inbox_worker(inbox: &InboxId) -> String {
    format!("{}/{}", inbox.stream.stream, inbox.consumer)
}
