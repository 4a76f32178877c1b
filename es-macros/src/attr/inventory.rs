//! Every option of every derive, as data: what it is called, where it stands, what its value is.

/// The options of one derive.
pub(crate) struct Inventory {
    /// The derive's name, `Event`.
    pub(crate) derive: &'static str,
    /// The helper attribute's name, `event`.
    pub(crate) attribute: &'static str,
    /// What the enum or the struct may say.
    pub(crate) item: &'static [Spec],
    /// What a variant may say.
    pub(crate) variant: &'static [Spec],
    /// What a field may say.
    pub(crate) field: &'static [Spec],
}

/// One option.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The option as somebody would write it, to paste.
    pub(crate) example: &'static str,
    /// Whether it may be said more than once.
    pub(crate) repeats: bool,
}

/// What the value of an option is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// `name = "account"`: a string, for stored names alone.
    Text,
    /// `version = 2`: counts from 1.
    Version,
    /// `aggregate = Account`: a path, for everything that is Rust.
    Type,
    /// `dispatch = manual`: this one word.
    Word(&'static str),
    /// `index`: no value.
    Flag,
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Item,
    Variant,
    Field,
}

impl Inventory {
    pub(crate) fn at(&self, place: Place) -> &'static [Spec] {
        match place {
            Place::Item => self.item,
            Place::Variant => self.variant,
            Place::Field => self.field,
        }
    }

    /// Where else an option of this name stands.
    pub(crate) fn place_of(&self, name: &str) -> Option<Place> {
        let has = |place: &Place| self.at(*place).iter().any(|spec| spec.name == name);
        [Place::Item, Place::Variant, Place::Field]
            .into_iter()
            .find(has)
    }
}

const fn one(name: &'static str, kind: Kind, example: &'static str) -> Spec {
    Spec {
        name,
        kind,
        example,
        repeats: false,
    }
}

const fn many(name: &'static str, kind: Kind, example: &'static str) -> Spec {
    Spec {
        name,
        kind,
        example,
        repeats: true,
    }
}

const AGGREGATE: Spec = one("aggregate", Kind::Type, "aggregate = Account");
const DISPATCH: Spec = one("dispatch", Kind::Word("manual"), "dispatch = manual");

pub(crate) const EVENT: Inventory = Inventory {
    derive: "Event",
    attribute: "event",
    item: &[
        one("name", Kind::Text, r#"name = "account""#),
        AGGREGATE,
        DISPATCH,
    ],
    variant: &[
        one("name", Kind::Text, r#"name = "account.opened""#),
        many("was", Kind::Text, r#"was = "account.created""#),
    ],
    field: &[],
};

pub(crate) const COMMAND: Inventory = Inventory {
    derive: "Command",
    attribute: "command",
    item: &[AGGREGATE, DISPATCH],
    variant: &[one("name", Kind::Text, r#"name = "withdraw""#)],
    field: &[],
};

pub(crate) const AGGREGATE_STATE: Inventory = Inventory {
    derive: "Aggregate",
    attribute: "aggregate",
    item: &[
        one("name", Kind::Text, r#"name = "account""#),
        one("event", Kind::Type, "event = AccountEvent"),
        one("command", Kind::Type, "command = AccountCommand"),
        one("error", Kind::Type, "error = AccountError"),
        one("id", Kind::Type, "id = AccountId"),
        one("snapshot", Kind::Version, "snapshot = 2"),
    ],
    variant: &[],
    field: &[],
};

pub(crate) const PROJECTION: Inventory = Inventory {
    derive: "Projection",
    attribute: "projection",
    item: &[
        one("name", Kind::Text, r#"name = "balances""#),
        one("version", Kind::Version, "version = 1"),
    ],
    variant: &[],
    field: &[one("index", Kind::Flag, "index")],
};

pub(crate) const INTEGRATION_EVENT: Inventory = Inventory {
    derive: "IntegrationEvent",
    attribute: "integration",
    item: &[
        one("stream", Kind::Text, r#"stream = "accounts""#),
        one("version", Kind::Version, "version = 1"),
    ],
    variant: &[one("name", Kind::Text, r#"name = "account-opened""#)],
    field: &[],
};
