//! The place behind a page of rows, as a text that can travel.

use std::fmt;
use std::str::FromStr;

use serde_json::Value as Json;

use crate::error::{Error, Kind, Result};
use crate::store::{ColumnKind, IndexDef, Row, RowPlace, Table, Value};

/// Where a page in the order of an index ended, to ask for the next one. As a text it can stand in a
/// URL; what it says is nobody's business, but every release understands it, and so does the next
/// version of the read model if it has the same index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageToken {
    /// JSON: the columns of the index, the values in them, the key.
    place: String,
}

impl PageToken {
    pub(super) fn new(table: &Table, index: &IndexDef, place: RowPlace) -> Self {
        let values: Vec<_> = place.values.into_iter().map(written).collect();
        let place = serde_json::json!([table.column_names(index), values, place.key]);
        let place = place.to_string();
        Self { place }
    }

    /// The place that it stands for.
    pub(super) fn place(&self, table: &Table, index: &IndexDef) -> Result<RowPlace> {
        let refused = |why: &str| {
            let why = why.to_owned();
            Error::new(Kind::BadPageToken { why })
        };
        let read = serde_json::from_str(&self.place);
        let (columns, values, key): (String, Vec<Json>, String) =
            read.map_err(|_| refused("nothing wrote such a text"))?;
        if columns != table.column_names(index) || values.len() != index.columns.len() {
            return Err(refused("it is of another index"));
        }
        let kinds = index.columns.iter().map(|place| table.columns[*place].kind);
        let values: Option<Row> = kinds.zip(values).map(|(kind, v)| value(kind, v)).collect();
        let values = values.ok_or_else(|| refused("its columns hold other types"))?;
        Ok(RowPlace { values, key })
    }
}

fn written(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        // A number in decimal digits may be another one.
        Value::Real(n) => n.to_bits().into(),
        Value::Boolean(b) => b.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => hex::encode(bytes).into(),
    }
}

fn value(kind: ColumnKind, written: Json) -> Option<Value> {
    match (kind, written) {
        (ColumnKind::Integer, Json::Number(n)) => n.as_i64().map(Value::Integer),
        (ColumnKind::Real, Json::Number(n)) => {
            let number = n.as_u64().map(f64::from_bits);
            number.filter(|n| !n.is_nan()).map(Value::Real)
        }
        (ColumnKind::Boolean, Json::Bool(b)) => Some(Value::Boolean(b)),
        (ColumnKind::Text, Json::String(text)) => Some(Value::Text(text)),
        (ColumnKind::Bytes, Json::String(text)) => hex::decode(text).ok().map(Value::Bytes),
        _ => None,
    }
}

/// Letters and digits alone.
impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.place))
    }
}

impl FromStr for PageToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = hex::decode(text).ok().map(String::from_utf8);
        let Some(Ok(place)) = place else {
            let why = "nothing wrote such a text".to_owned();
            return Err(Error::new(Kind::BadPageToken { why }));
        };
        Ok(Self { place })
    }
}
