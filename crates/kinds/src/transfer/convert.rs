//! One value on its way into its column: read exactly as the column's rule says, or the reason why it cannot be.
//!
//! The check before the copy and the copy itself both ask here, so what was checked is what is copied. Nothing is rounded, cut
//! or guessed; what happens to a misfit is for a policy to say.

use super::choose::Type;
use super::documents::{is_json, odd};
use super::spans::{self, Span};
use super::{numerals, profile, times};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use targets::db::{Cell, Seen, civil};

/// How the values of a column are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// As a truth value: 0 and 1, or words for it.
    Boolean,
    /// As a whole number within these bounds.
    Whole(i64, i64),
    /// As a float.
    Double,
    /// As a float of half the size.
    Single,
    /// As a decimal number, with at most so many digits, and so many of them after the point: less than none where it counts in tens,
    /// hundreds and so on, and more than all of them where it is a small fraction.
    Number(Option<(u32, i32)>),
    /// As a text, of at most so many characters.
    Text(Option<u32>),
    /// The same, but blanks at the end count for nothing.
    Padded(Option<u32>),
    /// As bytes.
    Bytes,
    /// As a uuid.
    Uuid,
    /// As the id of a row of this table, made a uuid where it is none.
    Id(String),
    /// As a moment: numbers count so many microseconds since 1970, texts without a zone are what clocks here showed, and there are so
    /// many digits of a second.
    Moment(Option<i64>, Zone, u32),
    /// As a day.
    Day,
    /// As a time of the day, with so many digits of a second.
    Clock(u32),
    /// As a JSON document; kept as it is written, with escapes that are no characters, too.
    Json(bool),
    /// As a length of time: numbers count so many microseconds, and there are so many digits of a second.
    Span(Option<i64>, u32),
    /// As one of these words.
    Label(Vec<String>),
    /// As the server reads the text form of this type.
    Written(String),
}

impl Rule {
    /// For a column of this type. `epoch`: what its numbers count, in microseconds.
    pub fn of(typ: Type, epoch: Option<i64>, zone: &Zone) -> Self {
        match typ {
            Type::Boolean => Rule::Boolean,
            Type::Smallint => Rule::Whole(i64::from(i16::MIN), i64::from(i16::MAX)),
            Type::Integer => Rule::Whole(i64::from(i32::MIN), i64::from(i32::MAX)),
            Type::Bigint => Rule::Whole(i64::MIN, i64::MAX),
            Type::Double => Rule::Double,
            Type::Numeric(size) => Rule::Number(size.map(|(precision, scale)| (precision, scale as i32))),
            Type::Text => Rule::Text(None),
            Type::Varchar(most) => Rule::Text(Some(most)),
            Type::Bytea => Rule::Bytes,
            Type::Uuid => Rule::Uuid,
            Type::Timestamptz => Rule::Moment(epoch, zone.clone(), MICROSECOND),
            Type::Date => Rule::Day,
            Type::Time => Rule::Clock(MICROSECOND),
            Type::Json => Rule::Json(true),
            Type::Jsonb => Rule::Json(false),
        }
    }
}

/// The digits of a second down to a microsecond.
pub const MICROSECOND: u32 = 6;
/// The moments that PostgreSQL knows, from 4714 BC on: it knows later ones than can be counted here, and the last one that can be
/// stands for its `infinity`.
const MOMENTS: std::ops::Range<i64> = -210_866_803_200_000_000..i64::MAX;

/// Where clocks showed the times that have no zone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Zone {
    /// In no need of rules.
    #[default]
    Utc,
    /// By the rules of a zone.
    Named(TimeZone),
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Zone::Utc);
        }
        TimeZone::get(&name).map(Zone::Named).map_err(|error| error.to_string())
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        match zone {
            Zone::Utc => "UTC".to_owned(),
            Zone::Named(zone) => zone.iana_name().unwrap_or("UTC").to_owned(),
        }
    }
}

/// Why a value cannot go into its column.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// It is of another class, or cannot be read so.
    Unreadable,
    /// It is a day whose numbers may be in several orders.
    Ambiguous,
    /// It is an empty text where there must be a value.
    Empty,
    /// A number out of the column's range.
    OutOfRange,
    /// More decimals, or finer than a microsecond.
    TooFine,
    /// A text longer than the column.
    TooLong,
    /// A zero character, which PostgreSQL cannot take in a text.
    ZeroCharacter,
    /// A text that is not UTF-8.
    BrokenText,
    /// A time that clocks there never showed.
    NoSuchTime,
    /// NULL where there must be a value.
    Null,
    /// The row that it refers to is not there.
    Reference,
    /// A value that may be there once is there twice.
    Duplicate,
    /// A condition of the table is not satisfied.
    Check,
}

impl Misfit {
    /// As it is called in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Misfit::Unreadable => "unreadable",
            Misfit::Ambiguous => "ambiguous",
            Misfit::Empty => "empty",
            Misfit::OutOfRange => "out_of_range",
            Misfit::TooFine => "too_fine",
            Misfit::TooLong => "too_long",
            Misfit::ZeroCharacter => "zero_character",
            Misfit::BrokenText => "broken_text",
            Misfit::NoSuchTime => "no_such_time",
            Misfit::Null => "null",
            Misfit::Reference => "reference",
            Misfit::Duplicate => "duplicate",
            Misfit::Check => "check",
        }
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Misfit::Unreadable => "cannot be read as the column's type",
            Misfit::Ambiguous => "does not say which is the day and which the month",
            Misfit::Empty => "is an empty text",
            Misfit::OutOfRange => "is out of the column's range",
            Misfit::TooFine => "is finer than the column can hold",
            Misfit::TooLong => "is longer than the column",
            Misfit::ZeroCharacter => "holds a zero character",
            Misfit::BrokenText => "is a text that is not UTF-8",
            Misfit::NoSuchTime => "is a time that clocks in its zone never showed",
            Misfit::Null => "is NULL where there must be a value",
            Misfit::Reference => "refers to a row that is not there",
            Misfit::Duplicate => "is there more than once",
            Misfit::Check => "does not satisfy a condition of the table",
        })
    }
}

/// The cell for a value. `scratch` holds what has to be written for it.
pub fn cell<'a>(rule: &Rule, value: Seen<'a>, scratch: &'a mut String) -> Result<Cell<'a>, Misfit> {
    match (rule, value) {
        (_, Seen::Null) => Ok(Cell::Null),
        (Rule::Bytes, Seen::Blob(bytes) | Seen::BrokenText(bytes)) => Ok(Cell::Bytes(bytes)),
        (Rule::Bytes, Seen::Text(text)) => Ok(Cell::Bytes(text.as_bytes())),
        (_, Seen::BrokenText(_)) => Err(Misfit::BrokenText),
        (Rule::Uuid, Seen::Blob(bytes)) => bytes.try_into().map(Cell::Uuid).map_err(|_| Misfit::Unreadable),
        // numbers of any length and documents, kept as the bytes of their text
        (Rule::Whole(..) | Rule::Number(_) | Rule::Json(_), Seen::Blob(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Misfit::Unreadable)?;
            cell(rule, Seen::Text(text), scratch)
        }
        (_, Seen::Blob(_) | Seen::Raw { .. }) => Err(Misfit::Unreadable),
        (Rule::Text(most), Seen::Text(text)) => limited(text, *most),
        (Rule::Padded(most), Seen::Text(text)) => limited(text.trim_end_matches(' '), *most),
        (Rule::Text(most) | Rule::Padded(most), value) => {
            write_number(value, scratch);
            limited(scratch, *most)
        }
        (_, Seen::Text("")) => Err(Misfit::Empty),
        (Rule::Boolean, Seen::Bool(flag)) => Ok(Cell::Bool(flag)),
        (Rule::Boolean, Seen::Int(number @ 0..=1)) => Ok(Cell::Bool(number == 1)),
        (Rule::Boolean, Seen::Text(text)) => profile::truth(text).map(Cell::Bool).ok_or(Misfit::Unreadable),
        (Rule::Whole(least, most), value) => {
            let number = match value {
                Seen::Int(number) => number,
                Seen::Bool(flag) => i64::from(flag),
                Seen::Text(text) => text.parse().map_err(|_| Misfit::Unreadable)?,
                Seen::Real(real) if real.fract() == 0.0 && real.abs() < 9e15 => real as i64,
                _ => return Err(Misfit::Unreadable),
            };
            if (*least..=*most).contains(&number) { Ok(Cell::Int(number)) } else { Err(Misfit::OutOfRange) }
        }
        (Rule::Label(words), Seen::Text(text)) => match words.iter().any(|word| word == text) {
            true => Ok(Cell::Text(text)),
            false => Err(Misfit::Unreadable),
        },
        (Rule::Written(_), Seen::Text(text)) => limited(text, None),
        (Rule::Written(_), value) => {
            write_number(value, scratch);
            Ok(Cell::Text(scratch))
        }
        (Rule::Clock(_) | Rule::Moment(..) | Rule::Span(..) | Rule::Single, value)
        | (Rule::Double, value @ Seen::Text(_)) => match whole(rule, value, scratch)? {
            (cell, false) => Ok(cell),
            (_, true) => Err(Misfit::TooFine),
        },
        (Rule::Double, Seen::Real(number)) => Ok(Cell::Real(number)),
        (Rule::Double, Seen::Int(number)) if number.unsigned_abs() <= 1 << 53 => {
            Ok(Cell::Real(number as f64))
        }
        (Rule::Double, Seen::Int(_)) => Err(Misfit::OutOfRange),
        (Rule::Number(None), Seen::Int(number)) => Ok(Cell::Int(number)),
        (Rule::Number(size), Seen::Int(number)) => {
            write_number(value, scratch);
            sized(*size, scratch)?;
            Ok(Cell::Int(number))
        }
        (Rule::Number(size), Seen::Real(number)) if number.is_finite() => {
            let _ = write!(renewed(scratch), "{number}");
            sized(*size, scratch)?;
            Ok(Cell::Text(scratch))
        }
        (Rule::Number(size), Seen::Text(text)) if profile::is_decimal(text) => {
            sized(*size, text)?;
            if !numerals::is_numeric(text) {
                return Err(Misfit::OutOfRange);
            }
            Ok(Cell::Text(text))
        }
        (Rule::Id(table), Seen::Text(text)) => Ok(Cell::Uuid(super::ids::uuid(table, text))),
        (Rule::Id(table), value @ Seen::Int(_)) => {
            write_number(value, scratch);
            Ok(Cell::Uuid(super::ids::uuid(table, scratch)))
        }
        (Rule::Uuid, Seen::Text(text)) => profile::uuid(text).map(Cell::Uuid).ok_or(Misfit::Unreadable),
        (Rule::Day, Seen::Text(text)) => match times::read(text) {
            Some(told) if told.day => {
                let days = told.micros.div_euclid(86_400_000_000);
                i32::try_from(days).map(Cell::Day).map_err(|_| Misfit::OutOfRange)
            }
            Some(_) => Err(Misfit::TooFine),
            None => Err(times::refusal(text)),
        },
        (Rule::Json(_), value @ Seen::Int(_)) => {
            write_number(value, scratch);
            Ok(Cell::Text(scratch))
        }
        (Rule::Json(_), Seen::Real(number)) if number.is_finite() => {
            write_number(value, scratch);
            Ok(Cell::Text(scratch))
        }
        (Rule::Json(as_it_is), Seen::Text(text)) => match (is_json(text), odd(text)) {
            (true, Some(odd)) if !as_it_is => Err(odd),
            (true, _) => Ok(Cell::Text(text)),
            (false, _) => Err(Misfit::Unreadable),
        },
        _ => Err(Misfit::Unreadable),
    }
}

/// The cell for a value in a column that holds less than there is to many values: what it holds, and whether that is another value.
/// Times are cut, floats are rounded.
pub fn whole<'a>(rule: &Rule, value: Seen<'_>, scratch: &'a mut String) -> Result<(Cell<'a>, bool), Misfit> {
    let coarse = |micros: i64, digits: u32| {
        let rest = micros.rem_euclid(10_i64.pow(MICROSECOND.saturating_sub(digits)));
        (micros - rest, rest != 0)
    };
    match rule {
        Rule::Moment(unit, zone, digits) => {
            let (micros, cut) = moment(*unit, zone, value)?;
            if !MOMENTS.contains(&micros) {
                return Err(Misfit::OutOfRange);
            }
            let (micros, is_finer) = coarse(micros, *digits);
            Ok((Cell::Moment(micros), cut || is_finer))
        }
        Rule::Clock(digits) => {
            let Seen::Text(text) = value else { return Err(Misfit::Unreadable) };
            let (micros, cut) = clock(text).ok_or(Misfit::Unreadable)?;
            let (micros, is_finer) = coarse(micros, *digits);
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let _ = write!(renewed(scratch), "{hour:02}:{minute:02}:{second:02}.{rest:06}");
            Ok((Cell::Text(scratch), cut || is_finer))
        }
        Rule::Span(unit, digits) => {
            let (span, cut) = span(*unit, value)?;
            let rest = span.finer(10_i64.pow(MICROSECOND.saturating_sub(*digits)));
            match span.cut(rest).write(renewed(scratch)) {
                true => Ok((Cell::Text(scratch), cut || rest != 0)),
                false => Err(Misfit::OutOfRange),
            }
        }
        Rule::Double => {
            let Seen::Text(text) = value else { return Err(Misfit::Unreadable) };
            if !profile::is_decimal(text) {
                return Err(Misfit::Unreadable);
            }
            let number = finite(text)?;
            Ok((Cell::Real(number), !numerals::is_held(text, number)))
        }
        Rule::Single => {
            let (number, exact) = match value {
                Seen::Real(number) => (number, true),
                Seen::Int(number) => (number as f64, number as f64 as i128 == i128::from(number)),
                Seen::Text(text) if profile::is_decimal(text) => {
                    let number = finite(text)?;
                    (number, numerals::is_held(text, number))
                }
                _ => return Err(Misfit::Unreadable),
            };
            let single = number as f32;
            if number.is_finite() && single.is_infinite() {
                return Err(Misfit::OutOfRange);
            }
            let single = f64::from(single);
            Ok((Cell::Real(single), !exact || single.to_bits() != number.to_bits()))
        }
        _ => Err(Misfit::Unreadable),
    }
}

/// A decimal number as a float.
fn finite(text: &str) -> Result<f64, Misfit> {
    let number: f64 = text.parse().map_err(|_| Misfit::Unreadable)?;
    if number.is_finite() { Ok(number) } else { Err(Misfit::OutOfRange) }
}

/// The moment that a value tells in microseconds, and whether it tells more.
fn moment(unit: Option<i64>, zone: &Zone, value: Seen<'_>) -> Result<(i64, bool), Misfit> {
    match (value, unit) {
        (Seen::Text(text), _) => {
            let told = times::read(text).ok_or_else(|| times::refusal(text))?;
            let micros = if told.zoned { told.micros } else { at(zone, told.micros)? };
            Ok((micros, told.cut))
        }
        (value, Some(unit)) => counted(unit, value),
        _ => Err(Misfit::Unreadable),
    }
}

/// The length of time that a value tells, and whether it tells more.
fn span(unit: Option<i64>, value: Seen<'_>) -> Result<(Span, bool), Misfit> {
    match (value, unit) {
        (Seen::Text(text), _) => spans::read(text).ok_or(Misfit::Unreadable),
        (value, Some(unit)) => counted(unit, value).map(|(micros, cut)| (Span::of_micros(micros), cut)),
        _ => Err(Misfit::Unreadable),
    }
}

/// The microseconds that a number counts, and whether it counts more.
fn counted(unit: i64, value: Seen<'_>) -> Result<(i64, bool), Misfit> {
    match value {
        Seen::Int(number) => number.checked_mul(unit).map(|micros| (micros, false)).ok_or(Misfit::OutOfRange),
        Seen::Real(number) => {
            // the float nearest to so many microseconds means them
            let micros = (number * unit as f64).round();
            match micros.abs() < 9e18 {
                true if micros / unit as f64 == number => Ok((micros as i64, false)),
                true => Ok(((number * unit as f64).floor() as i64, true)),
                false => Err(Misfit::OutOfRange),
            }
        }
        _ => Err(Misfit::Unreadable),
    }
}

/// A time of the day in microseconds, and whether it tells more: `23:59`, `23:59:59.123456`, `235959`, `11:59 PM`.
pub fn clock(text: &str) -> Option<(i64, bool)> {
    let whole = format!("1970-01-01T{text}");
    let told = times::read(&whole).filter(|told| !told.zoned && !told.day)?;
    Some((told.micros, told.cut))
}

fn limited(text: &str, most: Option<u32>) -> Result<Cell<'_>, Misfit> {
    if text.as_bytes().contains(&0) {
        return Err(Misfit::ZeroCharacter);
    }
    match most {
        // counting is for those that might be too long: a character takes up to four bytes
        Some(most) if text.len() > most as usize && text.chars().count() > most as usize => {
            Err(Misfit::TooLong)
        }
        _ => Ok(Cell::Text(text)),
    }
}

fn renewed(scratch: &mut String) -> &mut String {
    scratch.clear();
    scratch
}

/// A number as a text: as short as it can be without becoming another one.
fn write_number(value: Seen<'_>, scratch: &mut String) {
    let out = renewed(scratch);
    let _ = match value {
        Seen::Int(number) => write!(out, "{number}"),
        Seen::Real(number) => write!(out, "{number:?}"),
        Seen::Bool(flag) => write!(out, "{flag}"),
        _ => Ok(()),
    };
}

/// A decimal against the digits of its column.
fn sized(size: Option<(u32, i32)>, text: &str) -> Result<(), Misfit> {
    let Some((precision, scale)) = size else { return Ok(()) };
    let digits = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| Misfit::Unreadable)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = || whole.bytes().chain(fraction.bytes());
    let (Some(first), Some(last)) =
        (written().position(|digit| digit != b'0'), written().rev().position(|digit| digit != b'0'))
    else {
        return Ok(());
    };
    // how many digits are before the point, and how many after it: less than none where the others are zeros
    let before = whole.len() as i64 + exponent - first as i64;
    let after = fraction.len() as i64 - exponent - last as i64;
    match (i64::from(precision), i64::from(scale)) {
        (precision, scale) if before + scale > precision => Err(Misfit::OutOfRange),
        (_, scale) if after > scale => Err(Misfit::TooFine),
        _ => Ok(()),
    }
}

/// The moment at which clocks in the zone showed this. When they were set back they showed it twice: the first time counts.
pub fn at(zone: &Zone, shown: i64) -> Result<i64, Misfit> {
    let zone = match zone {
        Zone::Utc => return Ok(shown),
        Zone::Named(zone) => zone,
    };
    let (days, rest) = (shown.div_euclid(86_400_000_000), shown.rem_euclid(86_400_000_000));
    let (year, month, day) = civil::date(days);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let parts = [year, month, day, seconds / 3_600, seconds / 60 % 60, seconds % 60];
    let [year, month, day, hour, minute, second] = parts.map(|part| i16::try_from(part).unwrap_or(i16::MAX));
    let small = |part: i16| i8::try_from(part).unwrap_or(i8::MAX);
    let clock = DateTime::new(
        year,
        small(month),
        small(day),
        small(hour),
        small(minute),
        small(second),
        (micros * 1_000) as i32,
    )
    .map_err(|_| Misfit::OutOfRange)?;
    let moment = zone.to_ambiguous_timestamp(clock);
    if moment.is_ambiguous() && matches!(moment.offset(), jiff::tz::AmbiguousOffset::Gap { .. }) {
        return Err(Misfit::NoSuchTime);
    }
    moment.earlier().map(|moment| moment.as_microsecond()).map_err(|_| Misfit::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::{Misfit, Rule, Zone, cell};
    use targets::db::{Cell, Seen};

    fn read(rule: &Rule, value: Seen<'_>) -> Result<String, Misfit> {
        let mut scratch = String::from("left over");
        cell(rule, value, &mut scratch).map(|cell| format!("{cell:?}"))
    }

    fn shown(cell: Cell<'_>) -> Result<String, Misfit> {
        Ok(format!("{cell:?}"))
    }

    #[test]
    fn what_fits_goes_through_as_it_is() {
        let whole = Rule::Whole(-32_768, 32_767);
        assert_eq!(read(&whole, Seen::Text("-7")), shown(Cell::Int(-7)));
        assert_eq!(read(&whole, Seen::Real(3.0)), shown(Cell::Int(3)));
        assert_eq!(read(&Rule::Boolean, Seen::Int(1)), shown(Cell::Bool(true)));
        assert_eq!(read(&Rule::Boolean, Seen::Text("f")), shown(Cell::Bool(false)));
        assert_eq!(read(&Rule::Text(Some(5)), Seen::Text("größe")), shown(Cell::Text("größe")));
        assert_eq!(read(&Rule::Text(None), Seen::Real(2.5)), shown(Cell::Text("2.5")));
        assert_eq!(read(&Rule::Text(None), Seen::Text("")), shown(Cell::Text("")));
        assert_eq!(read(&Rule::Number(Some((4, 2))), Seen::Real(19.99)), shown(Cell::Text("19.99")));
        assert_eq!(read(&Rule::Number(Some((4, 2))), Seen::Text("0012.340")), shown(Cell::Text("0012.340")));
        assert_eq!(read(&Rule::Double, Seen::Int(3)), shown(Cell::Real(3.0)));
        assert_eq!(read(&Rule::Bytes, Seen::Text("x")), shown(Cell::Bytes(b"x")));
        assert_eq!(read(&Rule::Bytes, Seen::BrokenText(&[0xff])), shown(Cell::Bytes(&[0xff])));
        assert_eq!(read(&Rule::Day, Seen::Text("1970-01-02")), shown(Cell::Day(1)));
        let seconds = Rule::Moment(Some(1_000_000), Zone::Utc, 6);
        assert_eq!(read(&seconds, Seen::Int(2)), shown(Cell::Moment(2_000_000)));
        assert_eq!(
            read(&seconds, Seen::Text("1970-01-01T00:00:01+01:00")),
            shown(Cell::Moment(-3_599_000_000))
        );
        assert_eq!(read(&Rule::Json(true), Seen::Text("\"\\u0000\"")), shown(Cell::Text("\"\\u0000\"")));
        assert_eq!(read(&Rule::Double, Seen::Null), shown(Cell::Null));
        assert_eq!(read(&Rule::Json(true), Seen::Text("\"\\ud83d\"")), shown(Cell::Text("\"\\ud83d\"")));
        assert_eq!(read(&Rule::Single, Seen::Text("-0.5")), shown(Cell::Real(-0.5)));
        assert_eq!(read(&Rule::Single, Seen::Int(1 << 40)), shown(Cell::Real((1_i64 << 40) as f64)));
        assert_eq!(read(&Rule::Number(Some((2, 5))), Seen::Text("0.00099")), shown(Cell::Text("0.00099")));
        assert_eq!(read(&Rule::Number(Some((2, 5))), Seen::Int(0)), shown(Cell::Int(0)));
        assert_eq!(read(&Rule::Number(Some((5, -2))), Seen::Int(9_999_900)), shown(Cell::Int(9_999_900)));
        assert_eq!(
            read(&Rule::Moment(None, Zone::Utc, 3), Seen::Text("1970-01-01T00:00:00.001")),
            shown(Cell::Moment(1_000))
        );
        assert_eq!(
            read(&seconds, Seen::Real(1_700_000_000.123_456)),
            shown(Cell::Moment(1_700_000_000_123_456))
        );
        assert_eq!(read(&Rule::Padded(Some(2)), Seen::Text("ab  ")), shown(Cell::Text("ab")));
    }

    #[test]
    fn what_does_not_fit_has_its_reason() {
        let moment = Rule::Moment(None, Zone::Utc, 6);
        for (rule, value, misfit) in [
            (Rule::Whole(0, 10), Seen::Int(11), Misfit::OutOfRange),
            (Rule::Whole(0, 10), Seen::Text("N/A"), Misfit::Unreadable),
            (Rule::Whole(0, 10), Seen::Text(""), Misfit::Empty),
            (Rule::Whole(0, 10), Seen::Real(3.7), Misfit::Unreadable),
            (Rule::Boolean, Seen::Int(2), Misfit::Unreadable),
            (Rule::Text(Some(2)), Seen::Text("abc"), Misfit::TooLong),
            (Rule::Text(None), Seen::Text("a\0"), Misfit::ZeroCharacter),
            (Rule::Text(None), Seen::BrokenText(&[0xff]), Misfit::BrokenText),
            (Rule::Text(None), Seen::Blob(&[1]), Misfit::Unreadable),
            (Rule::Number(Some((4, 2))), Seen::Real(1.005), Misfit::TooFine),
            (Rule::Number(Some((4, 2))), Seen::Int(100), Misfit::OutOfRange),
            (Rule::Number(None), Seen::Text("1,5"), Misfit::Unreadable),
            (Rule::Number(None), Seen::Real(f64::NAN), Misfit::Unreadable),
            (Rule::Double, Seen::Int(i64::MAX), Misfit::OutOfRange),
            (Rule::Uuid, Seen::Text("6f1e1c1c"), Misfit::Unreadable),
            (Rule::Day, Seen::Text("2024-01-01 10:00"), Misfit::TooFine),
            (moment.clone(), Seen::Text("0000-00-00"), Misfit::Unreadable),
            (moment.clone(), Seen::Text("2024-01-01T00:00:00.1234567"), Misfit::TooFine),
            (moment, Seen::Int(5), Misfit::Unreadable),
            (Rule::Json(false), Seen::Text("\"\\u0000\""), Misfit::ZeroCharacter),
            (Rule::Json(true), Seen::Text("{a:1}"), Misfit::Unreadable),
            (Rule::Json(false), Seen::Text("\"\\ud83d\""), Misfit::BrokenText),
            (Rule::Single, Seen::Real(0.1), Misfit::TooFine),
            (Rule::Single, Seen::Real(1e300), Misfit::OutOfRange),
            (Rule::Single, Seen::Real(1e-300), Misfit::TooFine),
            (Rule::Single, Seen::Int(16_777_217), Misfit::TooFine),
            (Rule::Single, Seen::Text("16777217"), Misfit::TooFine),
            (Rule::Single, Seen::Int(i64::MAX), Misfit::TooFine),
            (Rule::Double, Seen::Text("1e400"), Misfit::OutOfRange),
            (Rule::Number(Some((2, 5))), Seen::Real(0.001), Misfit::OutOfRange),
            (Rule::Number(Some((2, 5))), Seen::Int(1), Misfit::OutOfRange),
            (Rule::Number(Some((5, -2))), Seen::Int(150), Misfit::TooFine),
            (Rule::Number(Some((5, -2))), Seen::Text("1e7"), Misfit::OutOfRange),
            (Rule::Number(Some((4, 2))), Seen::Real(12_345.678), Misfit::OutOfRange),
            (Rule::Moment(None, Zone::Utc, 3), Seen::Text("2024-01-01T00:00:00.0001"), Misfit::TooFine),
            (Rule::Moment(Some(1), Zone::Utc, 6), Seen::Int(i64::MAX), Misfit::OutOfRange),
            (Rule::Moment(Some(1), Zone::Utc, 6), Seen::Int(-210_866_803_200_000_001), Misfit::OutOfRange),
            (Rule::Moment(Some(1_000_000), Zone::Utc, 6), Seen::Real(1.234_567_8), Misfit::TooFine),
            (Rule::Moment(Some(1_000_000), Zone::Utc, 6), Seen::Real(1e300), Misfit::OutOfRange),
            (Rule::Clock(0), Seen::Text("12:30:00.5"), Misfit::TooFine),
            (Rule::Clock(6), Seen::Text("12:30:00.1234567"), Misfit::TooFine),
            (Rule::Padded(Some(2)), Seen::Text("abc"), Misfit::TooLong),
        ] {
            assert_eq!(read(&rule, value), Err(misfit), "{rule:?} {value:?}");
        }
    }

    #[test]
    fn times_without_a_zone_are_what_clocks_there_showed() {
        // W-095
        let new_york = jiff::tz::TimeZone::get("America/New_York").unwrap();
        let rule = Rule::Moment(None, Zone::Named(new_york), 6);
        assert_eq!(
            read(&rule, Seen::Text("2024-01-15 12:00:00")),
            shown(Cell::Moment(1_705_338_000_000_000))
        );
        assert_eq!(
            read(&rule, Seen::Text("2024-01-15 12:00:00Z")),
            shown(Cell::Moment(1_705_320_000_000_000))
        );
        assert_eq!(read(&rule, Seen::Text("2024-03-10 02:30:00")), Err(Misfit::NoSuchTime));
        // shown twice, the first time in summer time
        assert_eq!(
            read(&rule, Seen::Text("2024-11-03 01:30:00")),
            shown(Cell::Moment(1_730_611_800_000_000))
        );
    }
}
