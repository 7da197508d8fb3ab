//! The calendar, and times and identifiers as text: the forms that are read, and the one that Sexton writes where a database
//! has no type for them.
//!
//! Written is `2025-01-02T03:04:05.000006Z`, without the fraction where it is zero: ISO 8601 in UTC. Nothing here knows
//! zones: a text without one is what a clock showed somewhere.

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The calendar date of a day since 1970 in the proleptic Gregorian calendar: year (0 is 1 BC), month, day.
pub fn date(days: i64) -> (i64, i64, i64) {
    // years begin in March, so that the leap day is the last one, in cycles of 400 years
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The day since 1970 of a calendar date; none when there is no such day.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468)
}

/// A time as a text tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Microseconds since 1970: of a point in time where the text has a zone, else of what a clock showed somewhere.
    pub micros: i64,
    /// The text has a zone: `Z`, `UTC`, `GMT`, or an offset.
    pub zoned: bool,
    /// The text is a day without a time.
    pub day: bool,
    /// Digits beyond the microsecond, not all of them zero, were cut off.
    pub cut: bool,
}

/// Reads `2026-08-22`, `2026-08-22 14:00`, with `T`, seconds, a fraction of any length, and at the end `Z`, `UTC` or an
/// offset; none where it is anything else, or a day that does not exist.
pub fn read(text: &[u8]) -> Option<Told> {
    let pair = |at: usize| number(text.get(at..at + 2)?);
    let mark = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|byte| allowed.contains(byte));
    if !mark(4, b"-") || !mark(7, b"-") {
        return None;
    }
    let midnight = days(number(&text[..4])?, pair(5)?, pair(8)?)? * DAY;
    if text.len() == 10 {
        return Some(Told { micros: midnight, zoned: false, day: true, cut: false });
    }
    if !mark(10, b" Tt") || !mark(13, b":") {
        return None;
    }
    let (hour, minute) = (pair(11)?, pair(14)?);
    let (second, end) = if mark(16, b":") { (pair(17)?, 19) } else { (0, 16) };
    // 60 is a leap second
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (part, cut, rest) = if end == 19 { fraction(&text[19..])? } else { (0, false, &text[end..]) };
    let at = midnight + (hour * 3_600 + minute * 60 + second) * SECOND + part;
    let offset = zone(rest)?;
    Some(Told { micros: at - offset.unwrap_or(0), zoned: offset.is_some(), day: false, cut })
}

/// What follows the time: nothing, a name of UTC, an offset, or an offset and the name.
fn zone(rest: &[u8]) -> Option<Option<i64>> {
    let rest = rest.strip_prefix(b" ").filter(|rest| !rest.is_empty()).unwrap_or(rest);
    if rest.is_empty() {
        return Some(None);
    }
    if [&b"Z"[..], b"z", b"UTC", b"GMT"].contains(&rest) {
        return Some(Some(0));
    }
    let sign = match rest[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let rest = &rest[1..];
    let rest = rest.strip_suffix(b" UTC").unwrap_or(rest);
    let (hours, minutes) = match rest.len() {
        2 => (number(rest)?, 0),
        4 => (number(&rest[..2])?, number(&rest[2..])?),
        5 if rest[2] == b':' => (number(&rest[..2])?, number(&rest[3..])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(Some(sign * (hours * 3_600 + minutes * 60) * SECOND))
}

/// A fraction of a second in microseconds, whether more was cut off, and what follows.
pub fn fraction(text: &[u8]) -> Option<(i64, bool, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else {
        return Some((0, false, text));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digit = |n: usize| if n < digits { i64::from(rest[n] - b'0') } else { 0 };
    let micros = (0..6).fold(0, |sum, n| sum * 10 + digit(n));
    let cut = (6..digits).any(|n| rest[n] != b'0');
    (digits > 0).then_some((micros, cut, &rest[digits..]))
}

/// A number of at most eighteen digits.
pub fn number(digits: &[u8]) -> Option<i64> {
    if digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// A day since 1970.
pub fn day(days: i32) -> String {
    let (year, month, day) = date(i64::from(days));
    format!("{}-{month:02}-{day:02}", year_text(year))
}

/// Microseconds since 1970.
pub fn moment(micros: i64) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, micros) = (rest / SECOND, rest % SECOND);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let date = day(i32::try_from(days).unwrap_or_default());
    format!("{date}T{:02}:{:02}:{:02}{fraction}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A uuid in its usual form.
pub fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&n) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
    }
    text
}

fn year_text(year: i64) -> String {
    match year {
        0..=9_999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Told, date, day, days, moment, read, uuid};

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for day in (-3_000_000..3_000_000).step_by(97) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), Some(day), "{year}-{month}-{of_month}");
        }
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
    }

    #[test]
    fn times_are_written_in_one_form() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(moment(1_735_787_045_000_006), "2025-01-02T03:04:05.000006Z");
        assert_eq!(moment(i64::MAX), "infinity");
        assert_eq!(day(-719_529), "-000001-12-31");
        assert_eq!(uuid(&[0xab; 16]), "abababab-abab-abab-abab-abababababab");
    }

    #[test]
    fn texts_are_read_or_refused_never_in_part() {
        let told = |micros, zoned, day, cut| Some(Told { micros, zoned, day, cut });
        assert_eq!(read(b"1970-01-02"), told(86_400_000_000, false, true, false));
        assert_eq!(read(b"1970-01-01T00:00"), told(0, false, false, false));
        assert_eq!(read(b"1970-01-01 00:00:01.5+01:00"), told(-3_598_500_000, true, false, false));
        assert_eq!(read(b"1970-01-01T00:00:00.1234567Z"), told(123_456, true, false, true));
        assert_eq!(read(b"1970-01-01T00:00:00.1234560 UTC"), told(123_456, true, false, false));
        for text in [
            "",
            "0000-00-00",
            "2023-02-29",
            "2023-13-01",
            "1970-01-01T24:00",
            "1970-01-01T00:00:00.",
            "1970-1-1",
            "1970-01-01T00:00:00Q",
            "02/01/2024",
            "1970-01-01T00:00:00+1",
            "now",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
