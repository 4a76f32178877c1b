//! The schemas of the crate's own types, which events may hold.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::event::{CommandId, EventId, Position, Timestamp};

macro_rules! schemas {
    ($($ty:ident: $schema:tt),* $(,)?) => {$(
        impl JsonSchema for $ty {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($ty).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    CommandId: { "type": "string", "format": "uuid" },
    EventId: { "type": "string", "format": "uuid" },
    Position: { "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 },
    Timestamp: { "type": "string", "format": "date-time" },
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;

    fn agrees<T: JsonSchema + Serialize + DeserializeOwned>(value: &T) {
        let schema = schemars::schema_for!(T).to_value();
        let json = serde_json::to_value(value).unwrap();
        let judge = jsonschema::draft7::options().should_validate_formats(true);
        judge.build(&schema).unwrap().validate(&json).unwrap();
        let sample = super::super::Sampler::new(&schema, 1).sample().unwrap();
        serde_json::from_value::<T>(sample).unwrap();
    }

    #[test]
    fn the_schemas_say_what_serde_does() {
        agrees(&CommandId::of("a"));
        agrees(&Position::new(7));
        agrees(&Timestamp::from_micros(1));
    }
}
