//! A payload between two versions of it: JSON that is taken apart as far as a step needs it.
//! What no step touches stays the text that was stored.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

/// The text of a field's value.
pub type Raw = Box<RawValue>;

/// The fields of a payload, by their names.
pub(crate) type Fields = BTreeMap<String, Raw>;

/// A payload on its way from one version to another.
#[derive(Clone, Debug)]
pub struct Payload(Form);

#[derive(Clone, Debug)]
enum Form {
    Whole(Raw),
    Fields(Fields),
}

impl Payload {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Form::Whole).map(Self)
    }

    pub(crate) fn from_raw(raw: Raw) -> Self {
        Self(Form::Whole(raw))
    }

    pub(crate) fn into_text(self) -> Result<String, serde_json::Error> {
        match self.0 {
            Form::Whole(raw) => Ok(String::from(Box::<str>::from(raw))),
            Form::Fields(fields) => serde_json::to_string(&fields),
        }
    }

    /// All of it as a value.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        let read = match &self.0 {
            Form::Whole(raw) => serde_json::from_str(raw.get()),
            Form::Fields(fields) => {
                serde_json::to_string(fields).and_then(|text| serde_json::from_str(&text))
            }
        };
        read.map_err(|error| format!("the payload does not fit: {error}"))
    }

    /// Its fields.
    pub(crate) fn fields(&mut self) -> Result<&mut Fields, String> {
        if let Form::Whole(raw) = &self.0 {
            let fields = serde_json::from_str(raw.get())
                .map_err(|error| format!("the payload is no object: {error}"))?;
            self.0 = Form::Fields(fields);
        }
        match &mut self.0 {
            Form::Fields(fields) => Ok(fields),
            Form::Whole(_) => Err("the payload is no object".to_owned()),
        }
    }
}

/// A value as text.
pub(crate) fn raw<T: ?Sized + Serialize>(value: &T) -> Result<Raw, String> {
    to_raw_value(value).map_err(|error| format!("it cannot be written as JSON: {error}"))
}
