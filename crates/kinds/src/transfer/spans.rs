//! Lengths of time, as programs write them into a database that has no type for them: in words or ISO 8601, as Python shows them, as a
//! moment so long after 1970 began (SQLAlchemy), or as a number, of which only a person can say what it counts.

use super::times;
use std::fmt::Write;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// As PostgreSQL counts where it compares.
const DAYS_OF_A_MONTH: i64 = 30;

/// A length of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    months: i64,
    days: i64,
    micros: i64,
}

impl Span {
    /// Whole days and a rest that is not negative, as drivers send it.
    pub fn of_micros(micros: i64) -> Self {
        Self { months: 0, days: micros.div_euclid(DAY), micros: micros.rem_euclid(DAY) }
    }

    /// From the form of the server.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let half = |from: usize| bytes.get(from..from + 4)?.try_into().ok().map(i32::from_be_bytes);
        let micros = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        Some(Self { months: half(12)?.into(), days: half(8)?.into(), micros })
    }

    /// All of it, as the server compares it.
    pub fn total(self) -> i128 {
        let days = i128::from(self.months * DAYS_OF_A_MONTH + self.days);
        days * i128::from(DAY) + i128::from(self.micros)
    }

    /// All of it in microseconds, where no month is in it: nobody knows how long that is.
    pub fn micros(self) -> Option<i64> {
        (self.months == 0).then(|| i64::try_from(self.total()).ok()).flatten()
    }

    /// What is finer than so many microseconds.
    pub fn finer(&self, unit: i64) -> i64 {
        self.micros.rem_euclid(unit)
    }

    /// Without it.
    pub fn cut(mut self, rest: i64) -> Self {
        self.micros -= rest;
        self
    }

    /// In words that the server reads; false where it has no place for so much.
    pub fn write(self, out: &mut String) -> bool {
        let sign = if self.micros < 0 { "-" } else { "" };
        let (seconds, rest) =
            (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        if self.months != 0 {
            let _ = write!(out, "{} mons ", self.months);
        }
        let _ = write!(out, "{} days {sign}{hours:02}:{minutes:02}:{seconds:02}.{rest:06}", self.days);
        [self.months, self.days].iter().all(|part| i32::try_from(*part).is_ok())
            && i32::try_from(hours).is_ok()
    }

    fn add(&mut self, number: i64, unit: &str) -> Option<()> {
        let (part, each) = match unit {
            "year" | "years" | "y" => (&mut self.months, 12),
            "month" | "months" | "mon" | "mons" => (&mut self.months, 1),
            "week" | "weeks" | "w" => (&mut self.days, 7),
            "day" | "days" | "d" => (&mut self.days, 1),
            "hour" | "hours" | "h" => (&mut self.micros, 3_600 * SECOND),
            "minute" | "minutes" | "min" | "mins" => (&mut self.micros, 60 * SECOND),
            "second" | "seconds" | "sec" | "secs" | "s" => (&mut self.micros, SECOND),
            "millisecond" | "milliseconds" | "ms" => (&mut self.micros, 1_000),
            "microsecond" | "microseconds" | "us" => (&mut self.micros, 1),
            _ => return None,
        };
        *part = part.checked_add(number.checked_mul(each)?)?;
        Some(())
    }

    fn add_seconds(&mut self, text: &str) -> Option<()> {
        self.micros = self.micros.checked_add(seconds(text)?)?;
        Some(())
    }
}

/// The length that a text tells, and whether it tells more.
pub fn read(text: &str) -> Option<(Span, bool)> {
    let text = text.trim_ascii();
    if is_moment(text) {
        let told = times::read(text).filter(|told| !told.zoned)?;
        return Some((Span::of_micros(told.micros), told.cut));
    }
    let span = match text.strip_prefix('P') {
        Some(parts) => designated(parts)?,
        None => in_words(text)?,
    };
    Some((span, false))
}

/// A moment that stands for how long it is after the first one of 1970.
pub fn is_moment(text: &str) -> bool {
    text.len() >= 19
        && text.as_bytes().get(4) == Some(&b'-')
        && text.bytes().take(4).all(|b| b.is_ascii_digit())
}

/// ISO 8601: `P1Y2M3DT4H5M6.7S`.
fn designated(parts: &str) -> Option<Span> {
    let (date, clock) = parts.split_once('T').unwrap_or((parts, ""));
    if date.is_empty() && clock.is_empty() {
        return None;
    }
    let mut span = Span::default();
    for (half, units) in [
        (date, [('Y', "y"), ('M', "mon"), ('W', "w"), ('D', "d")].as_slice()),
        (clock, &[('H', "h"), ('M', "min"), ('S', "s")]),
    ] {
        let mut rest = half;
        while !rest.is_empty() {
            let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
            let (_, unit) = units.iter().find(|(letter, _)| rest[end..].starts_with(*letter))?;
            match *unit {
                "s" => span.add_seconds(&rest[..end])?,
                unit => span.add(rest[..end].parse().ok()?, unit)?,
            }
            rest = &rest[end + 1..];
        }
    }
    Some(span)
}

/// `1 year 2 mons`, `3 days, 4:05:06`, `3 04:05:06`, `-00:00:01.5`.
fn in_words(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            span.micros = span.micros.checked_add(clock(word)?)?;
            continue;
        }
        match words.peek().copied() {
            Some(next) if next.contains(':') => span.add(word.parse().ok()?, "day")?,
            Some(unit) => {
                let unit = unit.to_ascii_lowercase();
                match word.parse() {
                    Ok(number) => span.add(number, &unit)?,
                    Err(_) if unit.starts_with("sec") || unit == "s" => span.add_seconds(word)?,
                    Err(_) => return None,
                }
                words.next();
            }
            None => return None,
        }
    }
    Some(span)
}

/// Hours and minutes, and seconds perhaps.
fn clock(word: &str) -> Option<i64> {
    let (is_negative, word) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = word.split(':');
    let number = |part: &str| -> Option<i64> {
        (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse().ok())
            .flatten()
    };
    let hours = number(parts.next()?)?;
    let minutes = number(parts.next()?).filter(|minutes| *minutes < 60)?;
    let rest = parts.next().map_or(Some(0), seconds).filter(|rest| (0..60 * SECOND).contains(rest))?;
    if parts.next().is_some() {
        return None;
    }
    let all = hours.checked_mul(3_600 * SECOND)?.checked_add(minutes * 60 * SECOND + rest)?;
    Some(if is_negative { -all } else { all })
}

/// Seconds with at most six decimals.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let size = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if size.len() + fraction.len() == 0 || !digits(size) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole: i64 = if size.is_empty() { 0 } else { size.parse().ok()? };
    let rest: i64 = format!("{fraction:0<6}").parse().ok()?;
    let all = whole.checked_mul(SECOND)?.checked_add(rest)?;
    Some(if text.starts_with('-') { -all } else { all })
}

#[cfg(test)]
mod tests {
    use super::{Span, read};

    fn told(text: &str) -> Option<String> {
        let mut out = String::new();
        read(text).filter(|(span, _)| span.write(&mut out)).map(|_| out)
    }

    #[test]
    fn lengths_are_read_in_every_form_that_programs_write() {
        for (text, means) in [
            ("1974-06-13 20:03:12.000000", "1624 days 20:03:12.000000"),
            ("1969-12-31 23:59:59.5", "-1 days 23:59:59.500000"),
            ("1 day, 2:03:04", "1 days 02:03:04.000000"),
            ("-1 day, 23:00:00", "-1 days 23:00:00.000000"),
            ("3 04:05:06.7", "3 days 04:05:06.700000"),
            ("-00:00:01.5", "0 days -00:00:01.500000"),
            ("100:00", "0 days 100:00:00.000000"),
            ("1 year 2 mons 3 days", "14 mons 3 days 00:00:00.000000"),
            ("90 minutes", "0 days 01:30:00.000000"),
            ("1.5 seconds", "0 days 00:00:01.500000"),
            ("P1Y2M3DT4H5M6.7S", "14 mons 3 days 04:05:06.700000"),
            ("P2W", "14 days 00:00:00.000000"),
            ("PT-0.25S", "0 days -00:00:00.250000"),
        ] {
            assert_eq!(told(text).as_deref(), Some(means), "{text}");
        }
        for text in
            ["", "90", "P", "PT", "P3", "1:60", "1:2:3:4", "soon", "3 apples", "1.5 days", "1:00:00.1234567"]
        {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn a_length_is_the_same_however_it_is_made_up() {
        let total = |text| read(text).unwrap().0.total();
        assert_eq!(total("1 day"), total("24:00:00"));
        assert_eq!(total("1 mon"), total("P30D"));
        assert_eq!(total("-1 day, 23:00:00"), total("-01:00:00"));
        assert_eq!(Span::of_micros(-1).total(), -1);
        assert_eq!(Span::of_micros(-1).micros(), Some(-1));
        let mut bytes = 5_i64.to_be_bytes().to_vec();
        bytes.extend(2_i32.to_be_bytes());
        bytes.extend(1_i32.to_be_bytes());
        assert_eq!(Span::of_bytes(&bytes).unwrap().total(), total("P1M2DT0.000005S"));
        assert_eq!(Span::of_bytes(&bytes).unwrap().micros(), None);
    }
}
