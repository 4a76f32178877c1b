use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use es_runtime::prelude::*;
use es_runtime::projection::{Column, OutOfRange};

/// An amount of money in minor units, written `123.45`: at most 2^53 − 1 of them on either side of
/// zero, so that every reader of JSON gets the same number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
#[cfg_attr(
    feature = "schema",
    derive(JsonSchema),
    schemars(extend("minimum" = -Money::MAX.0, "maximum" = Money::MAX.0))
)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// So many whole units, so a hundred times as many minor ones.
    pub const fn units(units: i32) -> Self {
        Self(units as i64 * 100)
    }

    /// So many minor units, if that is not too much.
    pub const fn from_minor(minor: i64) -> Option<Self> {
        if minor.unsigned_abs() <= Self::MAX.0.unsigned_abs() {
            Some(Self(minor))
        } else {
            None
        }
    }

    /// The minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Whether there is something.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The sum, if it is not too much.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Neither comes near the bounds of an `i64`.
        Self::from_minor(self.0 + other.0)
    }
}

/// Panics where the sum is too much, as integers do. Decisions prevent it with
/// [`checked_add`](Money::checked_add).
impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Some(sum) = self.checked_add(other) else {
            panic!("{self} and {other} is more money than can be counted");
        };
        sum
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minor = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{:02}", minor / 100, minor % 100))
    }
}

/// A text that is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMoney;

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write an amount as `123.45`, at most {}", Money::MAX)
    }
}

impl std::error::Error for NotMoney {}

impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        parse(text).and_then(Self::from_minor).ok_or(NotMoney)
    }
}

fn parse(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, "00"));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok())?
    };
    let cents = match cents.len() {
        1 => number(cents)? * 10,
        2 => number(cents)?,
        _ => return None,
    };
    number(whole)?
        .checked_mul(100)?
        .checked_add(cents)?
        .checked_mul(sign)
}

impl TryFrom<i64> for Money {
    type Error = NotMoney;

    fn try_from(minor: i64) -> Result<Self, NotMoney> {
        Self::from_minor(minor).ok_or(NotMoney)
    }
}

impl From<Money> for i64 {
    fn from(money: Money) -> Self {
        money.0
    }
}

impl Column for Money {
    type Stored = i64;

    fn to_stored(&self) -> Result<i64, OutOfRange> {
        Ok(self.0)
    }

    fn from_stored(minor: i64) -> Result<Self, OutOfRange> {
        let beyond = || OutOfRange::new(format!("{minor} minor units are too much money"));
        Self::from_minor(minor).ok_or_else(beyond)
    }
}

/// What money is counted in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub enum Currency {
    /// Danish kroner.
    #[default]
    Dkk,
    /// Euro.
    Eur,
    /// Swedish kronor.
    Sek,
}

impl Currency {
    /// Every currency of the bank.
    pub const ALL: [Self; 3] = [Self::Dkk, Self::Eur, Self::Sek];

    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Dkk => "DKK",
            Self::Eur => "EUR",
            Self::Sek => "SEK",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is no currency of the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACurrency;

impl fmt::Display for NotACurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third] = Currency::ALL;
        write!(f, "the currencies are {first}, {second} and {third}")
    }
}

impl std::error::Error for NotACurrency {}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        let mut all = Self::ALL.into_iter();
        all.find(|currency| currency.code() == code)
            .ok_or(NotACurrency)
    }
}

impl Column for Currency {
    type Stored = String;

    fn to_stored(&self) -> Result<String, OutOfRange> {
        Ok(self.code().to_owned())
    }

    fn from_stored(code: String) -> Result<Self, OutOfRange> {
        code.parse()
            .map_err(|_| OutOfRange::new(format!("`{code}` is no currency")))
    }
}
