//! Numbers and times, as people write and read them.

use std::time::Duration;

pub(super) use crate::event::span;
use crate::event::{TIME_UNITS, Timestamp};

/// Reads `90d`, `36h`, `30m` or `5s`.
///
/// # Errors
/// What to say instead.
#[doc(hidden)]
#[cfg_attr(not(feature = "cli"), allow(unreachable_pub))]
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "say a number and d, h, m or s: 90d";
    let units = TIME_UNITS.into_iter();
    let mut fits = units.filter_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = fits.next().ok_or(WRONG)?;
    let number: u64 = number.parse().map_err(|_| WRONG)?;
    let seconds = number.checked_mul(seconds).ok_or(WRONG)?;
    Ok(Duration::from_secs(seconds))
}

/// Reads a day, `2027-01-31`, which begins at midnight in UTC, or a moment.
///
/// # Errors
/// What to say instead.
pub(super) fn day(text: &str) -> Result<Timestamp, &'static str> {
    let midnight = format!("{text}T00:00:00Z");
    let read = midnight.parse().or_else(|_| text.parse());
    read.map_err(|_| "say a day, 2027-01-31, or a moment in UTC, 2027-01-31T12:00:00Z")
}

/// Reads what is kept for people to read later.
///
/// # Errors
/// When it is empty.
pub(super) fn sentence(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("say something: it is kept"),
        text => Ok(text.to_owned()),
    }
}

/// The time from one moment to a later one; none where two clocks disagree.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// How long ago a moment is: `12 s ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(between(at, now)))
}

/// A moment to the second: `2026-11-22 14:01:02Z`.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let (time, _) = time.split_once('.').unwrap_or((time, ""));
    format!("{day} {time}Z")
}

/// The day of a moment, `2027-01-31`, with its time if that is not midnight.
pub(super) fn date(at: Timestamp) -> String {
    let text = moment(at);
    match text.split_once(" 00:00:00Z") {
        Some((day, _)) => day.to_owned(),
        None => text,
    }
}

/// A number in groups: `8,120`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// `1 key`, `2 keys`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    let what = if count == 1 { one } else { many };
    format!("{} {what}", number(count))
}

/// Lines with their columns under each other; those in `right` stand at the right.
pub(super) fn columns(lines: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            match right.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:width$}"),
            }
        });
        let cells: Vec<_> = cells.collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, written) in [
            ("90d", 7_776_000, "90 d"),
            ("36h", 129_600, "1 d 12 h"),
            ("3601s", 3601, "1 h"),
            ("3661s", 3661, "1 h 1 m"),
            ("5s", 5, "5 s"),
            ("0s", 0, "0 s"),
        ] {
            let time = duration(text).unwrap();
            assert_eq!(time.as_secs(), seconds);
            assert_eq!(span(time), written);
        }
        for wrong in ["", "s", "9y", "-1s", "1.5h", "99999999999999999999d", "5 s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        let (early, late) = (
            Timestamp::from_micros(0),
            Timestamp::from_micros(90_000_000),
        );
        assert_eq!(ago(early, late), "1 m 30 s ago");
        assert_eq!(ago(late, early), "0 s ago");
        assert_eq!(moment(late), "1970-01-01 00:01:30Z");
        assert_eq!(date(late), "1970-01-01 00:01:30Z");
        assert_eq!(day("1970-01-01T00:01:30Z"), Ok(late));
        assert_eq!(day("1970-01-01"), Ok(early));
        assert_eq!(date(early), "1970-01-01");
        for wrong in ["", "tomorrow", "2027-02-30", "2027-01-31T12:00"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_and_columns_are_easy_on_the_eye() {
        let shown = [0, 12, 123, 1234, 1_234_567].map(number);
        assert_eq!(shown, ["0", "12", "123", "1,234", "1,234,567"]);
        let lines = [["a", "1", "x"], ["bé", "10", ""]];
        let lines = lines.map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(columns(&lines, &[1]), "a    1  x\nbé  10\n");
    }
}
