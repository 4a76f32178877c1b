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
    /// What older versions were: the options that stand together in an attribute of their own.
    pub(crate) history: History,
}

/// The options of one change each: an attribute that has one of these is a change.
pub(crate) struct History {
    /// An event whose name no variant has any more, said on the enum.
    pub(crate) gone: &'static [Spec],
    /// What happened to a variant.
    pub(crate) variant: &'static [Spec],
    /// What happened to a field.
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
    /// `lock = "../es.lock"`: the path of a file, from the one in which it stands.
    File,
    /// `version = 2`: counts from 1.
    Version,
    /// `slices = 8`: of 1,024 at most.
    Parts,
    /// `aggregate = Account`: a path, for everything that is Rust.
    Type,
    /// `dispatch = manual`: this one word.
    Word(&'static str),
    /// `index`: no value.
    Flag,
    /// `history = accounts_versions`: a name of the user's.
    Name,
    /// `retired(1)`: the number of a version.
    Number,
    /// `deprecated(1, from = "2027-01-01", sunset = "2027-06-30")`: a version with days.
    Deprecated,
    /// `default`, or `default = Currency::Dkk`: an expression.
    Default,
    /// `with = parse`: a path to a function.
    Function,
    /// `index(owner, currency)`: names of fields.
    Columns,
    /// `removed(note: String)`: fields as they were, with their own history.
    Fields,
    /// `split(name: String => first, last)`: fields as they were, and what became of them.
    Moves,
}

impl Kind {
    /// Whether an option of this kind is shown to whoever asks what may be said.
    pub(crate) fn is_usual(self) -> bool {
        matches!(self, Self::Text | Self::Version | Self::Type)
    }
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Item,
    Variant,
    Field,
    /// An attribute about an event that no variant is any more.
    Gone,
    /// An attribute about a change of a variant.
    VariantChange,
    /// An attribute about a change of a field.
    FieldChange,
}

impl Place {
    /// Where the changes of what stands here are said.
    pub(crate) fn changes(self) -> Self {
        match self {
            Self::Item | Self::Gone => Self::Gone,
            Self::Variant | Self::VariantChange => Self::VariantChange,
            Self::Field | Self::FieldChange => Self::FieldChange,
        }
    }

    /// Where all else is said of what stands here.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Item | Self::Gone => Self::Item,
            Self::Variant | Self::VariantChange => Self::Variant,
            Self::Field | Self::FieldChange => Self::Field,
        }
    }
}

impl Inventory {
    pub(crate) fn at(&self, place: Place) -> &'static [Spec] {
        match place {
            Place::Item => self.item,
            Place::Variant => self.variant,
            Place::Field => self.field,
            Place::Gone => self.history.gone,
            Place::VariantChange => self.history.variant,
            Place::FieldChange => self.history.field,
        }
    }

    /// Where else an option of this name stands, first of all among those beside `place`.
    pub(crate) fn place_of(&self, name: &str, place: Place) -> Option<Place> {
        let has = |place: &Place| self.at(*place).iter().any(|spec| spec.name == name);
        [
            place.plain(),
            place.changes(),
            Place::Item,
            Place::Variant,
            Place::Field,
            Place::FieldChange,
            Place::VariantChange,
            Place::Gone,
        ]
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

const SINCE: Spec = one("since", Kind::Version, "since = 2");
const WITH: Spec = one("with", Kind::Function, "with = upcast");
const DOWN: Spec = one("down", Kind::Function, "down = downcast");
const FIELDS: Spec = one("fields", Kind::Fields, "fields(owner: String)");

/// No older versions.
const NONE: History = History {
    gone: &[],
    variant: &[],
    field: &[],
};

/// What happened to a field.
const ADDED: Spec = one("default", Kind::Default, "since = 2, default");
const COMPUTED: Spec = one("from", Kind::Function, "since = 2, from = compute");
const RENAMED: Spec = one("was", Kind::Text, r#"since = 2, was = "ccy""#);
const RETYPED: Spec = one(
    "was_type",
    Kind::Type,
    "since = 2, was_type = String, with = parse",
);
const FIELD_CHANGES: &[Spec] = &[SINCE, ADDED, COMPUTED, RENAMED, RETYPED, WITH, DOWN];

/// Something is lost on the way up, and down again.
const LOSSY: Spec = one("lossy", Kind::Flag, "lossy");

/// What happened to the fields of a variant that are no more.
const REMOVED: Spec = one("removed", Kind::Fields, "since = 2, removed(note: String)");
const SPLIT: Spec = one(
    "split",
    Kind::Moves,
    "since = 2, split(name: String => first, last), with = split_name",
);
const COMBINED: Spec = one(
    "combined",
    Kind::Moves,
    "since = 2, combined(street: String, city: String => address), with = address",
);
const MOVED: Spec = one(
    "moved",
    Kind::Moves,
    "since = 2, moved(street: String, city: String => address)",
);
const UPCAST: Spec = one(
    "upcast",
    Kind::Fields,
    "since = 2, upcast(owner: String), with = upcast",
);

const AGGREGATE: Spec = one("aggregate", Kind::Type, "aggregate = Account");
const DISPATCH: Spec = one("dispatch", Kind::Word("manual"), "dispatch = manual");

pub(crate) const EVENT: Inventory = Inventory {
    derive: "Event",
    attribute: "event",
    item: &[
        one("name", Kind::Text, r#"name = "account""#),
        AGGREGATE,
        DISPATCH,
        one("lock", Kind::File, r#"lock = "../es.lock""#),
    ],
    variant: &[
        one("name", Kind::Text, r#"name = "account.opened""#),
        many("was", Kind::Text, r#"was = "account.created""#),
        one("retired", Kind::Flag, "retired"),
    ],
    field: &[],
    history: History {
        gone: &[
            one(
                "split",
                Kind::Text,
                r#"split = "account.opened-with-deposit", fields(owner: String, amount: i64), with = split_opening"#,
            ),
            one("dropped", Kind::Text, r#"dropped = "account.viewed""#),
            FIELDS,
            WITH,
        ],
        variant: &[
            SINCE,
            one("was", Kind::Text, r#"since = 2, was = "account.created""#),
            one(
                "merged",
                Kind::Text,
                r#"since = 2, merged = "account.cash-deposited", fields(cash: i64), with = from_cash"#,
            ),
            FIELDS,
            REMOVED,
            SPLIT,
            COMBINED,
            MOVED,
            UPCAST,
            WITH,
            DOWN,
        ],
        field: FIELD_CHANGES,
    },
};

pub(crate) const COMMAND: Inventory = Inventory {
    derive: "Command",
    attribute: "command",
    item: &[AGGREGATE, DISPATCH],
    variant: &[one("name", Kind::Text, r#"name = "withdraw""#)],
    field: &[],
    history: NONE,
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
    history: NONE,
};

pub(crate) const PROCESS: Inventory = Inventory {
    derive: "Process",
    attribute: "process",
    item: &[
        one("name", Kind::Text, r#"name = "transfer""#),
        one("event", Kind::Type, "event = TransferEvent"),
        one("input", Kind::Type, "input = TransferInput"),
        one("error", Kind::Type, "error = TransferError"),
        one("id", Kind::Type, "id = TransferId"),
        many("sends", Kind::Type, "sends = Account"),
        many("listens", Kind::Type, "listens = AccountEvent"),
        one("snapshot", Kind::Version, "snapshot = 2"),
    ],
    variant: &[],
    field: &[],
    history: NONE,
};

pub(crate) const PROJECTION: Inventory = Inventory {
    derive: "Projection",
    attribute: "projection",
    item: &[
        one("name", Kind::Text, r#"name = "balances""#),
        one("version", Kind::Version, "version = 1"),
        one("slices", Kind::Parts, "slices = 8"),
        many("index", Kind::Columns, "index(owner, currency)"),
        many("unique", Kind::Columns, "unique(owner, currency)"),
    ],
    variant: &[],
    field: &[
        one("index", Kind::Flag, "index"),
        one("unique", Kind::Flag, "unique"),
    ],
    history: NONE,
};

pub(crate) const INTEGRATION_EVENT: Inventory = Inventory {
    derive: "IntegrationEvent",
    attribute: "integration",
    item: &[
        one("stream", Kind::Text, r#"stream = "accounts""#),
        one("version", Kind::Version, "version = 1"),
        many(
            "deprecated",
            Kind::Deprecated,
            r#"deprecated(1, from = "2027-01-01", sunset = "2027-06-30")"#,
        ),
        many("retired", Kind::Number, "retired(1)"),
        many("own", Kind::Number, "own(1)"),
        one("history", Kind::Name, "history = accounts_versions"),
    ],
    variant: &[
        one("name", Kind::Text, r#"name = "account-opened""#),
        SINCE,
        DOWN,
    ],
    field: &[],
    history: History {
        gone: &[
            SINCE,
            one(
                "split",
                Kind::Text,
                r#"since = 2, split = "opened-with-deposit", fields(owner: String, amount: i64), with = split_opening"#,
            ),
            one(
                "dropped",
                Kind::Text,
                r#"since = 2, dropped = "account-viewed", fields(by: String), lossy"#,
            ),
            FIELDS,
            WITH,
            LOSSY,
        ],
        variant: &[
            SINCE,
            one("was", Kind::Text, r#"since = 2, was = "account-created""#),
            one(
                "merged",
                Kind::Text,
                r#"since = 2, merged = "cash-deposited", fields(cash: i64), with = from_cash, down = to_cash"#,
            ),
            FIELDS,
            REMOVED,
            SPLIT,
            COMBINED,
            MOVED,
            UPCAST,
            WITH,
            DOWN,
            one(
                "default",
                Kind::Default,
                "since = 2, removed(note: String), default, lossy",
            ),
            LOSSY,
        ],
        field: &[SINCE, ADDED, COMPUTED, RENAMED, RETYPED, WITH, DOWN, LOSSY],
    },
};
