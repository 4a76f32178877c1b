//! What the derives make, at run time: tables, dispatch, decisions, rows.

use std::fmt;

use es_runtime::prelude::*;
use es_runtime::projection::{Column, OutOfRange};
use es_runtime::store::IndexDef;

/// One variant of every shape, and a state that writes down what it was told.
mod shapes {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "shape", aggregate = Shape)]
    pub(super) enum ShapeEvent {
        Unit,
        Newtype(u8),
        Tuple(u8, String),
        EmptyTuple(),
        Struct {
            a: u8,
            b: String,
        },
        EmptyStruct {},
        #[event(name = "shape.renamed", was = "shape.old", was = "Shape/Older")]
        NowCalledSo,
        HTTPCallV2Made,
    }

    #[derive(Clone, Command)]
    #[command(aggregate = Shape)]
    pub(super) enum ShapeCommand {
        Unit,
        Newtype(u8),
        Tuple(u8, String),
        Struct {
            a: u8,
            b: String,
        },
        #[command(name = "many")]
        SeveralAtOnce,
        Nothing,
        Refuse,
    }

    #[derive(Clone, Debug, Default, PartialEq, Aggregate)]
    #[aggregate(name = "shape", event = ShapeEvent, command = ShapeCommand, error = fmt::Error, id = u64)]
    pub(super) struct Shape {
        pub(super) told: Vec<String>,
    }

    impl Shape {
        fn unit(&self) -> Result<ShapeEvent, fmt::Error> {
            Ok(ShapeEvent::Unit)
        }

        fn newtype(&self, n: u8) -> Result<Option<ShapeEvent>, fmt::Error> {
            Ok(Some(ShapeEvent::Newtype(n)))
        }

        fn tuple(&self, n: u8, text: String) -> Result<[ShapeEvent; 1], fmt::Error> {
            Ok([ShapeEvent::Tuple(n, text)])
        }

        fn r#struct(
            &self,
            a: u8,
            b: String,
        ) -> Result<impl IntoEvents<ShapeEvent> + use<>, fmt::Error> {
            Ok(ShapeEvent::Struct { a, b })
        }

        fn several_at_once(&self) -> Result<Vec<ShapeEvent>, fmt::Error> {
            Ok(vec![ShapeEvent::EmptyTuple(), ShapeEvent::EmptyStruct {}])
        }

        fn nothing(&self) -> Result<Option<ShapeEvent>, fmt::Error> {
            Ok(None)
        }

        fn refuse(&self) -> Result<ShapeEvent, fmt::Error> {
            Err(fmt::Error)
        }

        fn note(&mut self, what: impl Into<String>) {
            self.told.push(what.into());
        }

        fn on_unit(&mut self) {
            self.note("unit");
        }

        fn on_newtype(&mut self, n: &u8) {
            self.note(format!("newtype {n}"));
        }

        fn on_tuple(&mut self, n: &u8, text: &str) {
            self.note(format!("tuple {n} {text}"));
        }

        fn on_empty_tuple(&mut self) {
            self.note("empty tuple");
        }

        fn on_struct(&mut self, a: &u8, b: &str) {
            self.note(format!("struct {a} {b}"));
        }

        fn on_empty_struct(&mut self) {
            self.note("empty struct");
        }

        fn on_now_called_so(&mut self) {
            self.note("renamed");
        }

        fn on_http_call_v2_made(&mut self) {
            self.note("called");
        }
    }
}

use shapes::{Shape, ShapeCommand, ShapeEvent};

#[test]
fn the_table_has_a_row_per_variant_in_their_order() {
    let names: Vec<_> = ShapeEvent::TYPES
        .iter()
        .map(|row| (row.variant, row.name))
        .collect();
    assert_eq!(
        names,
        [
            ("Unit", "shape.unit"),
            ("Newtype", "shape.newtype"),
            ("Tuple", "shape.tuple"),
            ("EmptyTuple", "shape.empty-tuple"),
            ("Struct", "shape.struct"),
            ("EmptyStruct", "shape.empty-struct"),
            ("NowCalledSo", "shape.renamed"),
            ("HTTPCallV2Made", "shape.http-call-v2-made"),
        ]
    );
    assert_eq!(ShapeEvent::NAME, Shape::NAME);
    assert_eq!(ShapeEvent::TYPES[6].was, ["shape.old", "Shape/Older"]);
    assert!(
        ShapeEvent::TYPES
            .iter()
            .all(|row| (row.version, row.min_reader) == (1, 1))
    );
}

#[test]
fn every_event_reaches_its_handler_with_its_fields_in_order() {
    let state = given::<Shape>([
        ShapeEvent::Unit,
        ShapeEvent::Newtype(1),
        ShapeEvent::Tuple(2, "two".to_owned()),
        ShapeEvent::EmptyTuple(),
        ShapeEvent::Struct {
            b: "three".to_owned(),
            a: 3,
        },
        ShapeEvent::EmptyStruct {},
        ShapeEvent::NowCalledSo,
        ShapeEvent::HTTPCallV2Made,
    ]);
    assert_eq!(
        state.state().told,
        [
            "unit",
            "newtype 1",
            "tuple 2 two",
            "empty tuple",
            "struct 3 three",
            "empty struct",
            "renamed",
            "called"
        ]
    );
}

#[test]
fn every_command_reaches_its_handler_and_every_kind_of_answer_is_taken() {
    let when = |command| given::<Shape>([]).when(command);
    when(ShapeCommand::Unit).then([ShapeEvent::Unit]);
    when(ShapeCommand::Newtype(1)).then([ShapeEvent::Newtype(1)]);
    when(ShapeCommand::Tuple(2, "b".to_owned())).then([ShapeEvent::Tuple(2, "b".to_owned())]);
    when(ShapeCommand::Struct {
        a: 3,
        b: "c".to_owned(),
    })
    .then([ShapeEvent::Struct {
        a: 3,
        b: "c".to_owned(),
    }]);
    when(ShapeCommand::SeveralAtOnce).then([ShapeEvent::EmptyTuple(), ShapeEvent::EmptyStruct {}]);
    when(ShapeCommand::Nothing).then_nothing();
    when(ShapeCommand::Refuse).then_error(fmt::Error);
}

#[test]
fn a_command_has_a_name_for_the_audit_trail() {
    let names = [
        ShapeCommand::Unit.name(),
        ShapeCommand::Newtype(1).name(),
        ShapeCommand::Struct {
            a: 1,
            b: String::new(),
        }
        .name(),
        ShapeCommand::SeveralAtOnce.name(),
    ];
    assert_eq!(names, ["unit", "newtype", "struct", "many"]);
}

#[test]
fn an_aggregate_has_the_id_that_it_says_or_a_text() {
    fn id<A: Aggregate>(text: &str) -> Option<A::Id> {
        text.parse().ok()
    }
    assert_eq!(id::<Shape>("7"), Some(7));
    assert_eq!(id::<Shape>("seven"), None);
    assert_eq!(id::<Account>("seven"), Some("seven".to_owned()));
}

// ── A bank account ──────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: i64 },
    Withdrawn { amount: i64 },
    Closed,
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Open { owner: String },
    Deposit { amount: i64 },
    Withdraw { amount: i64 },
    Close,
}

#[derive(Clone, Debug, Default, PartialEq, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = Refused)]
struct Account {
    open: bool,
    balance: i64,
}

#[derive(Debug, PartialEq)]
enum Refused {
    Closed,
    Insufficient { short: i64 },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refused {}

impl Account {
    fn open(&self, owner: String) -> Result<Option<AccountEvent>, Refused> {
        Ok((!self.open).then_some(AccountEvent::Opened { owner }))
    }

    fn deposit(&self, amount: i64) -> Result<AccountEvent, Refused> {
        if self.open {
            Ok(AccountEvent::Deposited { amount })
        } else {
            Err(Refused::Closed)
        }
    }

    fn withdraw(&self, amount: i64) -> Result<AccountEvent, Refused> {
        match amount - self.balance {
            _ if !self.open => Err(Refused::Closed),
            short if short > 0 => Err(Refused::Insufficient { short }),
            _ => Ok(AccountEvent::Withdrawn { amount }),
        }
    }

    /// What is left is paid out before the account closes.
    fn close(&self) -> Result<Vec<AccountEvent>, Refused> {
        let rest = (self.balance > 0).then_some(AccountEvent::Withdrawn {
            amount: self.balance,
        });
        Ok(rest
            .into_iter()
            .chain(self.open.then_some(AccountEvent::Closed))
            .collect())
    }

    fn on_opened(&mut self, _owner: &str) {
        self.open = true;
    }

    fn on_deposited(&mut self, amount: &i64) {
        self.balance += amount;
    }

    fn on_withdrawn(&mut self, amount: &i64) {
        self.balance -= amount;
    }

    fn on_closed(&mut self) {
        self.open = false;
    }
}

fn opened() -> AccountEvent {
    AccountEvent::Opened {
        owner: "alice".to_owned(),
    }
}

fn deposited(amount: i64) -> AccountEvent {
    AccountEvent::Deposited { amount }
}

fn withdraw(amount: i64) -> AccountCommand {
    AccountCommand::Withdraw { amount }
}

#[test]
fn what_is_covered_may_be_withdrawn() {
    let account = given::<Account>([opened(), deposited(100)])
        .when(withdraw(100))
        .then([AccountEvent::Withdrawn { amount: 100 }]);
    assert_eq!(
        account,
        Account {
            open: true,
            balance: 0
        }
    );
}

#[test]
fn what_is_not_covered_may_not() {
    given::<Account>([opened(), deposited(100)])
        .when(withdraw(150))
        .then_error(Refused::Insufficient { short: 50 });
}

#[test]
fn nothing_is_deposited_before_the_account_is_open() {
    given::<Account>([])
        .when(AccountCommand::Deposit { amount: 1 })
        .then_error(Refused::Closed);
}

#[test]
fn opening_an_open_account_changes_nothing() {
    let open = AccountCommand::Open {
        owner: "bob".to_owned(),
    };
    given::<Account>([opened()]).when(open).then_nothing();
}

#[test]
fn closing_pays_out_the_rest_first() {
    given::<Account>([opened(), deposited(5)])
        .when(AccountCommand::Close)
        .then([AccountEvent::Withdrawn { amount: 5 }, AccountEvent::Closed]);
    given::<Account>([])
        .when(AccountCommand::Close)
        .then_nothing();
}

#[test]
fn the_past_may_be_made_of_commands() {
    given::<Account>([])
        .and(AccountCommand::Open {
            owner: "alice".to_owned(),
        })
        .and(AccountCommand::Deposit { amount: 7 })
        .and(withdraw(3))
        .when(withdraw(5))
        .then_error(Refused::Insufficient { short: 1 });
}

// ── Integration events ──────────────────────────────────────────────────────────────────────────

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "bank-accounts", version = 2)]
enum Accounts {
    AccountOpened {
        owner: String,
    },
    #[integration(name = "balance-changed")]
    Balance(i64),
}

#[test]
fn a_stream_has_its_name_version_and_table() {
    assert_eq!((Accounts::STREAM, Accounts::VERSION), ("bank-accounts", 2));
    let names: Vec<_> = Accounts::TYPES
        .iter()
        .map(|row| (row.variant, row.name))
        .collect();
    assert_eq!(
        names,
        [
            ("AccountOpened", "account-opened"),
            ("Balance", "balance-changed")
        ]
    );
}

// ── Rows ────────────────────────────────────────────────────────────────────────────────────────

/// Kept as a number of cents, never negative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Money(i64);

impl Column for Money {
    type Stored = i64;

    fn to_stored(&self) -> Result<i64, OutOfRange> {
        Ok(self.0)
    }

    fn from_stored(stored: i64) -> Result<Self, OutOfRange> {
        if stored < 0 {
            Err(OutOfRange::new("money is not negative"))
        } else {
            Ok(Self(stored))
        }
    }
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 2)]
struct Balance {
    owner: String,
    amount: Money,
    #[projection(index)]
    r#type: Option<u8>,
    limit: u64,
}

fn balance() -> Balance {
    Balance {
        owner: "alice".to_owned(),
        amount: Money(5),
        r#type: None,
        limit: 1,
    }
}

#[test]
fn columns_are_the_fields_with_their_kinds() {
    assert_eq!(Balance::TABLE.sql_name(), "balances_v2");
    assert_eq!(
        Balance::TABLE.fingerprint(),
        "owner text, amount integer, type integer?, limit integer"
    );
    let columns: &[usize] = &[2];
    let unique = false;
    assert_eq!(Balance::INDEXES, [IndexDef { columns, unique }]);
}

mod indexed {
    use super::*;

    #[derive(Projection)]
    #[projection(
        name = "accounts",
        version = 1,
        index(owner, r#type),
        unique(owner, iban,)
    )]
    pub(super) struct Row {
        #[projection(index)]
        owner: String,
        #[projection(unique)]
        iban: Option<String>,
        pub(super) r#type: u8,
    }

    #[derive(Projection)]
    #[projection(name = "parts", version = 1, slices = 8)]
    pub(super) struct Parts {}
}

#[test]
fn indexes_stand_in_the_table_and_as_constants() {
    use es_runtime::projection::{Index, Unique};
    use indexed::Row;
    assert_eq!(indexed::Parts::TABLE.slices, 8);
    assert_eq!(Row::TABLE.slices, 1);
    let found = Row::INDEXES
        .iter()
        .map(|index| (index.columns, index.unique));
    let declared: [(&[usize], bool); 4] = [
        (&[0, 2], false),
        (&[0, 1], true),
        (&[0], false),
        (&[1], true),
    ];
    assert_eq!(found.collect::<Vec<_>>(), declared);
    let one: Index<Row, String> = Row::BY_OWNER;
    let two: Index<Row, (String, u8)> = Row::BY_OWNER_AND_TYPE;
    let unique: Unique<Row, (String, Option<String>)> = Row::BY_OWNER_AND_IBAN;
    let nothing: Unique<Row, String> = Row::BY_IBAN.present();
    assert_eq!(
        [one.def(), two.def(), unique.def(), nothing.def()],
        [
            Row::INDEXES[2],
            Row::INDEXES[0],
            Row::INDEXES[1],
            Row::INDEXES[3]
        ]
    );
    assert_eq!(format!("{two:?}"), "Index(owner, type)");
    assert_eq!(
        Row::TABLE.fingerprint(),
        "owner text, iban text?, type integer, unique (owner, iban), unique (iban)"
    );
}

#[test]
fn a_row_is_read_as_it_was_written() {
    for r#type in [None, Some(0), Some(u8::MAX)] {
        let written = Balance {
            r#type,
            ..balance()
        };
        assert_eq!(Balance::from_row(written.to_row().unwrap()), Ok(written));
    }
}

#[test]
fn a_row_that_does_not_fit_is_an_error() {
    let row = balance().to_row().unwrap();
    let short = row[..3].to_vec();
    let long = [row.clone(), short.clone()].concat();
    let turned = row.iter().rev().cloned().collect();
    for wrong in [short, long, turned] {
        assert!(Balance::from_row(wrong).is_err());
    }
    assert!(
        Balance {
            limit: u64::MAX,
            ..balance()
        }
        .to_row()
        .is_err()
    );
    assert!(
        Balance::from_row(
            Balance {
                amount: Money(-1),
                ..balance()
            }
            .to_row()
            .unwrap()
        )
        .is_err()
    );
}
