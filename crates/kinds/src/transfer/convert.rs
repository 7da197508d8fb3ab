//! One value on its way into its column: read exactly as the column's rule says, or the reason why it cannot be.
//!
//! The check before the copy and the copy itself both ask here, so what was checked is what is copied. Nothing is rounded, cut
//! or guessed; what happens to a misfit is for a policy to say.

use super::choose::Type;
use super::profile::{self, is_json};
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
    /// As a float of half the size, which rounds.
    Single,
    /// As a decimal number, with at most so many digits before and after the point.
    Number(Option<(u32, u32)>),
    /// As a text, of at most so many characters.
    Text(Option<u32>),
    /// As bytes.
    Bytes,
    /// As a uuid.
    Uuid,
    /// As the id of a row of this table, made a uuid where it is none.
    Id(String),
    /// As a moment: numbers count so many microseconds since 1970, texts without a zone are what clocks here showed.
    Moment(Option<i64>, Zone),
    /// As a day.
    Day,
    /// As a time of the day.
    Clock,
    /// As a JSON document; kept as it is written, with escaped zero characters too.
    Json(bool),
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
            Type::Numeric(size) => Rule::Number(size),
            Type::Text => Rule::Text(None),
            Type::Varchar(most) => Rule::Text(Some(most)),
            Type::Bytea => Rule::Bytes,
            Type::Uuid => Rule::Uuid,
            Type::Timestamptz => Rule::Moment(epoch, zone.clone()),
            Type::Date => Rule::Day,
            Type::Time => Rule::Clock,
            Type::Json => Rule::Json(true),
            Type::Jsonb => Rule::Json(false),
        }
    }
}

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
        (_, Seen::Blob(_) | Seen::Raw { .. }) => Err(Misfit::Unreadable),
        (Rule::Text(most), Seen::Text(text)) => limited(text, *most),
        (Rule::Text(most), value) => {
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
        (Rule::Clock, Seen::Text(text)) => {
            let micros = clock(text).ok_or(Misfit::Unreadable)?;
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let _ = write!(
                renewed(scratch),
                "{:02}:{:02}:{:02}.{rest:06}",
                seconds / 3_600,
                seconds / 60 % 60,
                seconds % 60
            );
            Ok(Cell::Text(scratch))
        }
        (Rule::Single, Seen::Real(number)) => single(number),
        (Rule::Single, Seen::Int(number)) if number.unsigned_abs() <= 1 << 24 => {
            Ok(Cell::Real(number as f64))
        }
        (Rule::Single, Seen::Int(_)) => Err(Misfit::OutOfRange),
        (Rule::Single, Seen::Text(text)) if profile::is_decimal(text) => {
            single(text.parse().map_err(|_| Misfit::Unreadable)?)
        }
        (Rule::Double, Seen::Real(number)) => Ok(Cell::Real(number)),
        (Rule::Double, Seen::Int(number)) if number.unsigned_abs() <= 1 << 53 => {
            Ok(Cell::Real(number as f64))
        }
        (Rule::Double, Seen::Int(_)) => Err(Misfit::OutOfRange),
        (Rule::Double, Seen::Text(text)) if profile::is_decimal(text) => {
            text.parse().map(Cell::Real).map_err(|_| Misfit::Unreadable)
        }
        (Rule::Number(size), Seen::Int(number)) => {
            within(*size, number.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1), 0)?;
            Ok(Cell::Int(number))
        }
        (Rule::Number(size), Seen::Real(number)) if number.is_finite() => {
            let _ = write!(renewed(scratch), "{number}");
            sized(*size, scratch)?;
            Ok(Cell::Text(scratch))
        }
        (Rule::Number(size), Seen::Text(text)) if profile::is_decimal(text) => {
            sized(*size, text)?;
            Ok(Cell::Text(text))
        }
        (Rule::Id(table), Seen::Text(text)) => Ok(Cell::Uuid(super::ids::uuid(table, text))),
        (Rule::Id(table), value @ Seen::Int(_)) => {
            write_number(value, scratch);
            Ok(Cell::Uuid(super::ids::uuid(table, scratch)))
        }
        (Rule::Uuid, Seen::Text(text)) => profile::uuid(text).map(Cell::Uuid).ok_or(Misfit::Unreadable),
        (Rule::Day, Seen::Text(text)) => match civil::read(text.as_bytes()) {
            Some(told) if told.day => {
                let days = told.micros.div_euclid(86_400_000_000);
                i32::try_from(days).map(Cell::Day).map_err(|_| Misfit::OutOfRange)
            }
            Some(_) => Err(Misfit::TooFine),
            None => Err(Misfit::Unreadable),
        },
        (Rule::Moment(_, zone), Seen::Text(text)) => match civil::read(text.as_bytes()) {
            Some(told) if told.cut => Err(Misfit::TooFine),
            Some(told) if told.zoned => Ok(Cell::Moment(told.micros)),
            Some(told) => at(zone, told.micros).map(Cell::Moment),
            None => Err(Misfit::Unreadable),
        },
        (Rule::Moment(Some(unit), _), Seen::Int(number)) => {
            number.checked_mul(*unit).map(Cell::Moment).ok_or(Misfit::OutOfRange)
        }
        (Rule::Json(_), value @ Seen::Int(_)) => {
            write_number(value, scratch);
            Ok(Cell::Text(scratch))
        }
        (Rule::Json(_), Seen::Real(number)) if number.is_finite() => {
            write_number(value, scratch);
            Ok(Cell::Text(scratch))
        }
        (Rule::Json(escaped_zeros), Seen::Text(text)) => match is_json(text) {
            true if !escaped_zeros && text.contains("\\u0000") => Err(Misfit::ZeroCharacter),
            true => Ok(Cell::Text(text)),
            false => Err(Misfit::Unreadable),
        },
        _ => Err(Misfit::Unreadable),
    }
}

fn single(number: f64) -> Result<Cell<'static>, Misfit> {
    match number.is_finite() && (number as f32).is_infinite() {
        true => Err(Misfit::OutOfRange),
        false => Ok(Cell::Real(number)),
    }
}

/// A time of the day in microseconds: `23:59`, `23:59:59`, `23:59:59.123456`.
pub fn clock(text: &str) -> Option<i64> {
    let whole = format!("1970-01-01T{text}");
    civil::read(whole.as_bytes()).filter(|told| !told.zoned && !told.cut && !told.day).map(|told| told.micros)
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
fn sized(size: Option<(u32, u32)>, text: &str) -> Result<(), Misfit> {
    if size.is_none() {
        return Ok(());
    }
    let digits = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| Misfit::Unreadable)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0').len() as i64 + exponent;
    let fraction = fraction.trim_end_matches('0').len() as i64 - exponent;
    within(size, whole.max(0) as u32, fraction.max(0) as u32)
}

fn within(size: Option<(u32, u32)>, whole: u32, fraction: u32) -> Result<(), Misfit> {
    match size {
        Some((_, scale)) if fraction > scale => Err(Misfit::TooFine),
        Some((precision, scale)) if whole > precision - scale => Err(Misfit::OutOfRange),
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
        let seconds = Rule::Moment(Some(1_000_000), Zone::Utc);
        assert_eq!(read(&seconds, Seen::Int(2)), shown(Cell::Moment(2_000_000)));
        assert_eq!(
            read(&seconds, Seen::Text("1970-01-01T00:00:01+01:00")),
            shown(Cell::Moment(-3_599_000_000))
        );
        assert_eq!(read(&Rule::Json(true), Seen::Text("\"\\u0000\"")), shown(Cell::Text("\"\\u0000\"")));
        assert_eq!(read(&Rule::Double, Seen::Null), shown(Cell::Null));
    }

    #[test]
    fn what_does_not_fit_has_its_reason() {
        let moment = Rule::Moment(None, Zone::Utc);
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
        ] {
            assert_eq!(read(&rule, value), Err(misfit), "{rule:?} {value:?}");
        }
    }

    #[test]
    fn times_without_a_zone_are_what_clocks_there_showed() {
        // W-095
        let new_york = jiff::tz::TimeZone::get("America/New_York").unwrap();
        let rule = Rule::Moment(None, Zone::Named(new_york));
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
