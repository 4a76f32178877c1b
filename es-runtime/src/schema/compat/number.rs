//! Exact numbers: JSON's decimals as fractions, so that 0.3 is three tenths.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A fraction in lowest terms, its denominator above zero. What does not fit is `None`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Exact {
    over: i128,
    under: i128,
}

impl Exact {
    pub(super) const ONE: Self = Self { over: 1, under: 1 };

    pub(super) fn whole(over: i128) -> Self {
        Self { over, under: 1 }
    }

    pub(super) fn new(over: i128, under: i128) -> Option<Self> {
        let shared = gcd(over, under)?;
        let (over, under) = match under.signum() {
            1 => (over, under),
            -1 => (over.checked_neg()?, under.checked_neg()?),
            _ => return None,
        };
        Some(Self {
            over: over / shared,
            under: under / shared,
        })
    }

    /// What the digits say, not the nearest binary number.
    pub(super) fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let over: i128 = format!("{whole}{part}").parse().ok()?;
        let exponent = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
        let ten = 10_i128.checked_pow(exponent.unsigned_abs())?;
        match exponent < 0 {
            true => Self::new(over, ten),
            false => Some(Self::whole(over.checked_mul(ten)?)),
        }
    }

    pub(super) fn is_whole(self) -> bool {
        self.under == 1
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let left = self.over.checked_mul(other.under)?;
        let right = other.over.checked_mul(self.under)?;
        Self::new(
            left.checked_add(right)?,
            self.under.checked_mul(other.under)?,
        )
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        Self::new(
            self.over.checked_mul(other.over)?,
            self.under.checked_mul(other.under)?,
        )
    }

    pub(super) fn over(self, other: Self) -> Option<Self> {
        Self::new(
            self.over.checked_mul(other.under)?,
            self.under.checked_mul(other.over)?,
        )
    }

    pub(super) fn is_multiple_of(self, other: Self) -> Option<bool> {
        Some(self.over(other)?.is_whole())
    }

    /// The denominator: `k` times this is whole exactly for the multiples `k` of it.
    pub(super) fn under(self) -> i128 {
        self.under
    }

    /// The smallest number that is a multiple of both.
    pub(super) fn common_multiple(self, other: Self) -> Option<Self> {
        let over = lcm(self.over, other.over)?;
        Self::new(over, gcd(self.under, other.under)?)
    }

    pub(super) fn floor(self) -> i128 {
        self.over.div_euclid(self.under)
    }

    pub(super) fn ceil(self) -> i128 {
        self.floor() + i128::from(!self.is_whole())
    }

    /// As a JSON number, if there is one that says exactly this.
    pub(super) fn number(self) -> Option<Number> {
        if self.is_whole() {
            if let Ok(small) = i64::try_from(self.over) {
                return Some(small.into());
            }
            if let Ok(large) = u64::try_from(self.over) {
                return Some(large.into());
            }
        }
        // As text, so that it is rounded once.
        let (mut digits, mut exponent, mut under) = (self.over, 0_u32, self.under);
        while under != 1 {
            let factor = match (under % 10, under % 2, under % 5) {
                (0, ..) => 10,
                (_, 0, _) => 2,
                (.., 0) => 5,
                _ => return None,
            };
            digits = digits.checked_mul(10 / factor)?;
            under /= factor;
            exponent += 1;
        }
        let float: f64 = format!("{digits}e-{exponent}").parse().ok()?;
        let number = Number::from_f64(float)?;
        (Self::of(&number)? == self).then_some(number)
    }
}

impl Ord for Exact {
    /// By continued fractions: nothing overflows.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        let mut turned = false;
        loop {
            let whole = left.floor().cmp(&right.floor());
            let rests = (
                left.over.rem_euclid(left.under),
                right.over.rem_euclid(right.under),
            );
            let order = match (whole, rests) {
                (Ordering::Equal, (0, 0)) => Ordering::Equal,
                (Ordering::Equal, (0, _)) => Ordering::Less,
                (Ordering::Equal, (_, 0)) => Ordering::Greater,
                (Ordering::Equal, (above, below)) => {
                    // Equal wholes: compare the rests, which the reciprocals do the other way round.
                    (left.over, right.over) = (left.under, right.under);
                    (left.under, right.under) = (above, below);
                    turned = !turned;
                    continue;
                }
                (order, _) => order,
            };
            return if turned { order.reverse() } else { order };
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

pub(super) fn gcd(left: i128, right: i128) -> Option<i128> {
    let (mut left, mut right) = (left.checked_abs()?, right.checked_abs()?);
    while right != 0 {
        (left, right) = (right, left % right);
    }
    Some(left.max(1))
}

pub(super) fn lcm(left: i128, right: i128) -> Option<i128> {
    (left / gcd(left, right)?).checked_mul(right)?.checked_abs()
}

/// Numbers that are equal look the same: 1.0 is 1.
pub(super) fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => match Exact::of(number).and_then(Exact::number) {
            Some(number) => Value::Number(number),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), normal(value)))
            .collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::of(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(exact("0.3"), Exact::new(3, 10).unwrap());
        assert_eq!(exact("-1.5e1"), Exact::whole(-15));
        assert_eq!(exact("1e2"), exact("100.0"));
        assert_eq!(exact("0.3").number().unwrap().to_string(), "0.3");
        assert_eq!(exact("7.0").number().unwrap().to_string(), "7");
        assert_eq!(Exact::new(1, 3).unwrap().number(), None);
    }

    #[test]
    fn order_and_multiples() {
        let texts = ["-2", "-1.5", "-1", "0", "0.1", "0.30", "0.33", "1", "9e30"];
        for (at, left) in texts.iter().enumerate() {
            for (of, right) in texts.iter().enumerate() {
                assert_eq!(
                    exact(left).cmp(&exact(right)),
                    at.cmp(&of),
                    "{left} {right}"
                );
            }
        }
        assert_eq!(
            exact("1.5").common_multiple(exact("2")).unwrap(),
            exact("6")
        );
        assert_eq!(exact("0.9").is_multiple_of(exact("0.3")), Some(true));
        assert_eq!(exact("1").is_multiple_of(exact("0.3")), Some(false));
        assert_eq!(exact("-1.5").floor(), -2);
        assert_eq!(exact("-1.5").ceil(), -1);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let large = serde_json::from_str("1e300").unwrap();
        assert_eq!(Exact::of(&large), None);
        assert_eq!(normal(&Value::Number(large.clone())), Value::Number(large));
    }
}
