// #[aggregate(name = "door", event = DoorEvent, command = DoorCommand, error = Stuck, snapshot = 3)]
// #[serde(rename_all = "kebab-case")]
// /// What a door is like.
// pub enum Door { #[default] Shut, #[serde(rename = "ajar")] Open(#[serde(default)] Angle, Vec<u8>), Locked { /** Who. */ by: Option<Key> } }

#[doc(hidden)]
#[allow(
    dead_code,
    deprecated,
    non_camel_case_types,
    non_snake_case,
    unused_imports,
    unused_qualifications
)]
const _: () = {
    use ::es_runtime::__private as __es;
    #[automatically_derived]
    impl __es::Aggregate for Door {
        const NAME: &'static str = "door";
        const SHAPE: &'static str = "3: #[serde(rename_all=\"kebab-case\")]Shut, #[serde(rename=\"ajar\")]Open(#[serde(default)]Angle, Vec<u8>), Locked{by:Option<Key>}";
        type Id = __es::String;
        type Event = DoorEvent;
        type Command = DoorCommand;
        type Error = Stuck;
    }
};
