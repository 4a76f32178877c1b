use std::fmt;
#[cfg(feature = "runtime")]
use std::future::Future;
use std::ops::Add;
#[cfg(feature = "runtime")]
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in UTC, to the microsecond: what every supported database keeps without loss.
///
/// ```
/// use es_runtime::event::Timestamp;
/// let t = Timestamp::from_micros(1_700_000_000_123_456);
/// assert_eq!(t.to_string(), "2023-11-14T22:13:20.123456Z");
/// assert_eq!("2023-11-14T22:13:20.123456Z".parse(), Ok(t));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after 1970-01-01T00:00:00Z (before it, if negative).
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// So much later; the last moment that there is, if that is beyond it.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Tells the time. A parameter of everything that needs it, so that tests turn it by hand.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Returns when it is `moment`, or a little later. A clock that is turned by hand says so at
    /// once; any other is looked at from time to time.
    #[cfg(feature = "runtime")]
    fn until(&self, moment: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        const LOOK: Duration = Duration::from_millis(200);
        Box::pin(async move {
            loop {
                let left = moment.as_micros().saturating_sub(self.now().as_micros());
                match u64::try_from(left) {
                    Ok(left) if left > 0 => {
                        tokio::time::sleep(Duration::from_micros(left).min(LOOK)).await;
                    }
                    _ => return,
                }
            }
        })
    }
}

/// The machine's clock.
#[cfg(feature = "runtime")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(feature = "runtime")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Units of time in seconds, the longest first.
#[cfg(feature = "runtime")]
pub(crate) const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// The two largest units of a time: `3 d 4 h`, `12 s`.
#[cfg(feature = "runtime")]
pub(crate) fn span(time: Duration) -> String {
    let mut left = time.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in TIME_UNITS {
        let whole = left / seconds;
        left %= seconds;
        if whole > 0 {
            parts.push(format!("{whole} {unit}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    parts.truncate(2);
    match parts.is_empty() {
        true => "0 s".to_owned(),
        false => parts.join(" "),
    }
}

const DAY: i64 = 86_400_000_000;

/// The beginning of a day. The derives check that there is such a day.
#[doc(hidden)]
pub const fn day(year: i64, month: i64, day: i64) -> Timestamp {
    Timestamp(days_from_civil(year, month, day) * DAY)
}

#[cfg(feature = "feed")]
impl Timestamp {
    /// As HTTP writes a moment: `Wed, 30 Jun 2027 00:00:00 GMT`.
    pub(crate) fn http_date(self) -> String {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let days = self.0.div_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        let name = |names: &[&'static str], at: i64| names[usize::try_from(at).unwrap_or_default()];
        let (weekday, month) = (
            name(&WEEKDAYS, days.rem_euclid(7)),
            name(&MONTHS, month - 1),
        );
        let seconds = self.0.rem_euclid(DAY) / 1_000_000;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// RFC 3339, in UTC, always with six digits of a second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        let micros = self.0.rem_euclid(DAY);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        // Written at once: a page of a feed has thousands.
        let mut text = *b"yyyy-mm-ddThh:mm:ss.uuuuuuZ";
        for (place, number) in [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, hour),
            (14..16, minute),
            (17..19, second),
            (20..26, micros),
        ] {
            decimal(&mut text[place], number);
        }
        let text = std::str::from_utf8(&text).map_err(|_| fmt::Error)?;
        match year {
            0..10_000 => f.write_str(text),
            _ => write!(f, "{year:04}{}", &text[4..]),
        }
    }
}

/// Fills `place` with the last digits of a number.
fn decimal(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// A text that is no RFC 3339 time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write the time as RFC 3339 in UTC, `2023-11-14T22:13:20.123456Z`")
    }
}

impl std::error::Error for InvalidTimestamp {}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        parse(text).ok_or(InvalidTimestamp)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let micros = digits(&format!("{fraction:0<6}")[..6])?;
    digits(fraction)?;
    let days = days_from_civil(year, month, day);
    let real = civil_from_days(days) == (year, month, day);
    (real && hour < 24 && minute < 60 && second < 60)
        .then(|| Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros))
}

fn digits(text: &str) -> Option<i64> {
    let short = !text.is_empty() && text.len() <= 18;
    (short && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

// Days since 1970-01-01 ↔ proleptic Gregorian date, after Howard Hinnant's "chrono-Compatible
// Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - if month <= 2 { 1 } else { 0 };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + (yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719_468
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_survives_its_text() {
        for micros in [
            0,
            -1,
            1,
            951_782_400_000_000,
            -62_135_596_800_000_000,
            253_402_300_799_999_999,
        ] {
            let t = Timestamp::from_micros(micros);
            assert_eq!(t.to_string().parse(), Ok(t), "{t}");
        }
        let text = |micros| Timestamp::from_micros(micros).to_string();
        assert_eq!(
            text(253_402_300_800_000_000),
            "10000-01-01T00:00:00.000000Z"
        );
        assert_eq!(text(-62_167_219_200_000_001), "-001-12-31T23:59:59.999999Z");
    }

    #[test]
    #[cfg(feature = "feed")]
    fn http_writes_days_of_the_week() {
        assert_eq!(
            day(2027, 6, 30).http_date(),
            "Wed, 30 Jun 2027 00:00:00 GMT"
        );
        let t: Timestamp = "1994-11-06T08:49:37.5Z".parse().unwrap();
        assert_eq!(t.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            day(1969, 12, 31).http_date(),
            "Wed, 31 Dec 1969 00:00:00 GMT"
        );
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2023-02-29T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01",
            "é",
            "2023-01-01T00:00:00.Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }
}
