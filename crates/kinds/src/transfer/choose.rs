//! The PostgreSQL type of a SQLite column: by what is really in it, and by what its declaration says it means.
//!
//! SQLite checks no declaration, so a type is chosen only when every value fits it exactly; else a wider one, and the reason is
//! told. Never chosen: a type that would round, cut or drop a value. Policies for single values are made elsewhere.

use super::profile::{Profile, Readings};
use engine::words::count;
use serde::{Deserialize, Serialize};

/// A type of PostgreSQL that columns are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// `boolean`
    Boolean,
    /// `smallint`
    Smallint,
    /// `integer`
    Integer,
    /// `bigint`
    Bigint,
    /// `double precision`
    Double,
    /// `numeric`, with precision and scale where they are declared.
    Numeric(Option<(u32, u32)>),
    /// `text`
    Text,
    /// `character varying`
    Varchar(u32),
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `timestamp with time zone`
    Timestamptz,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `json`: as it is written.
    Json,
    /// `jsonb`
    Jsonb,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Boolean => f.write_str("boolean"),
            Type::Smallint => f.write_str("smallint"),
            Type::Integer => f.write_str("integer"),
            Type::Bigint => f.write_str("bigint"),
            Type::Double => f.write_str("double precision"),
            Type::Numeric(None) => f.write_str("numeric"),
            Type::Numeric(Some((precision, scale))) => write!(f, "numeric({precision}, {scale})"),
            Type::Text => f.write_str("text"),
            Type::Varchar(length) => write!(f, "varchar({length})"),
            Type::Bytea => f.write_str("bytea"),
            Type::Uuid => f.write_str("uuid"),
            Type::Timestamptz => f.write_str("timestamptz"),
            Type::Date => f.write_str("date"),
            Type::Time => f.write_str("time"),
            Type::Json => f.write_str("json"),
            Type::Jsonb => f.write_str("jsonb"),
        }
    }
}

/// A type with the reason for it, where the declaration alone would have said something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The type.
    pub typ: Type,
    /// Why not what was declared.
    pub reason: Option<String>,
    /// What its numbers count, where they are times: in microseconds.
    pub epoch: Option<i64>,
}

/// What a declaration means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Truth values.
    Bool,
    /// Whole numbers; the bytes that the name promises.
    Integer(u8),
    /// Floats.
    Real,
    /// Decimals, with precision and scale.
    Decimal(Option<(u32, u32)>),
    /// Texts, of at most so many characters.
    Text(Option<u32>),
    /// Bytes.
    Blob,
    /// Days.
    Day,
    /// Times of a day.
    Time,
    /// Moments.
    Moment,
    /// JSON.
    Json,
    /// Uuids.
    Uuid,
    /// Nothing.
    Open,
}

/// What a declared type means: by its name, and where the name is unknown, by the affinity that SQLite gives it.
pub fn meaning(declared: &str) -> Meaning {
    let upper = declared.to_ascii_uppercase();
    let (name, sizes) = upper.split_once('(').unwrap_or((&upper, ""));
    let sizes: Vec<u32> =
        sizes.trim_end_matches(')').split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let name = name.trim();
    let has = |part: &str| name.contains(part);
    let length = sizes.first().copied().filter(|length| (1..=10_485_760).contains(length));
    match name {
        "" | "ANY" => Meaning::Open,
        "BOOL" | "BOOLEAN" => Meaning::Bool,
        "SMALLINT" | "INT2" | "TINYINT" => Meaning::Integer(2),
        "MEDIUMINT" | "INT" | "INTEGER" | "INT4" => Meaning::Integer(4),
        "DATE" => Meaning::Day,
        "TIME" => Meaning::Time,
        "UUID" | "GUID" | "UNIQUEIDENTIFIER" => Meaning::Uuid,
        "JSON" | "JSONB" => Meaning::Json,
        _ if has("DATETIME") || has("TIMESTAMP") => Meaning::Moment,
        _ if has("INT") && !has("POINT") && !has("INTERVAL") => Meaning::Integer(8),
        _ if has("CHAR") => Meaning::Text(length),
        _ if has("CLOB") || has("TEXT") || name == "STRING" => Meaning::Text(None),
        _ if has("BLOB") || name == "BYTEA" || has("BINARY") => Meaning::Blob,
        _ if has("REAL") || has("FLOA") || has("DOUB") => Meaning::Real,
        _ if has("DECIMAL") || has("NUMERIC") || name == "NUMBER" => {
            Meaning::Decimal(match sizes.as_slice() {
                [precision @ 1..=1000] => Some((*precision, 0)),
                [precision @ 1..=1000, scale] if scale <= precision => Some((*precision, *scale)),
                _ => None,
            })
        }
        "MONEY" => Meaning::Decimal(None),
        _ => Meaning::Open,
    }
}

/// How a column of this meaning is looked at.
pub fn profile(meaning: Meaning) -> Profile {
    match meaning {
        Meaning::Text(_) | Meaning::Open => Profile::guessing(),
        meaning => Profile::trying(worth_trying(meaning)),
    }
}

/// The readings of texts that are worth trying for a meaning.
fn worth_trying(meaning: Meaning) -> &'static [Readings] {
    match meaning {
        Meaning::Bool => &[Readings::BOOL, Readings::INTEGER],
        Meaning::Integer(_) => &[Readings::INTEGER, Readings::DECIMAL],
        Meaning::Real | Meaning::Decimal(_) => &[Readings::DECIMAL],
        Meaning::Day | Meaning::Moment => &[Readings::MOMENT, Readings::DAY],
        Meaning::Json => &[Readings::JSON],
        Meaning::Uuid => &[Readings::UUID],
        Meaning::Time => &[Readings::CLOCK],
        Meaning::Text(_) | Meaning::Blob | Meaning::Open => &[],
    }
}

/// The type for a column.
pub fn choose(declared: &str, profile: &Profile) -> Choice {
    let meaning = meaning(declared);
    let meant = match meaning {
        Meaning::Bool => boolean(profile),
        Meaning::Integer(bytes) => whole(profile, bytes),
        Meaning::Real => real(profile),
        Meaning::Decimal(size) => decimal(profile, size),
        Meaning::Text(length) => text(profile, length),
        Meaning::Blob => blob(profile),
        Meaning::Day => day(profile),
        Meaning::Moment => moment(profile),
        Meaning::Time => time(profile),
        Meaning::Json => json(profile),
        Meaning::Uuid => uuid(profile),
        Meaning::Open => {
            let typ = by_values(profile);
            return Choice { typ, reason: hint(typ, profile), epoch: None };
        }
    };
    match meant {
        Ok(typ) => Choice {
            typ,
            reason: hint(typ, profile),
            epoch: epoch(profile).filter(|_| typ == Type::Timestamptz),
        },
        Err((typ, why)) => {
            Choice { typ, reason: Some(format!("declared `{declared}`, but {why}")), epoch: None }
        }
    }
}

/// What a text column might be as well, by all that was seen of it.
fn hint(typ: Type, profile: &Profile) -> Option<String> {
    if !matches!(typ, Type::Text | Type::Varchar(_)) {
        return None;
    }
    let (what, cast, read) = [
        (Readings::UUID, "a uuid", "uuid"),
        (Readings::DAY, "a day", "date"),
        (Readings::MOMENT, "a time", "timestamptz"),
        (Readings::DOCUMENT, "a JSON document", "jsonb"),
    ]
    .into_iter()
    .find_map(|(reading, what, cast)| Some((what, cast, profile.guess(reading)?)))?;
    let seen = match read < profile.texts {
        true => format!("each of the first {} values", count(read)),
        false => "every value".to_owned(),
    };
    Some(format!("{seen} is {what}: `cast = \"{cast}\"` would make it one"))
}

type Meant = Result<Type, (Type, String)>;

/// What holds every value of a column that means something else than it says.
fn instead(profile: &Profile, why: String) -> Meant {
    Err((by_values(profile), why))
}

/// The narrowest type that holds every value as it is.
fn by_values(profile: &Profile) -> Type {
    let numbers = profile.integers + profile.reals;
    match profile.values() {
        // Nothing says what it is for: text takes anything.
        0 => Type::Text,
        all if all == profile.integers => Type::Bigint,
        all if all == numbers => whole_or_float(profile),
        all if all == profile.blobs => Type::Bytea,
        all if profile.blobs + profile.broken > 0 && all == profile.blobs + profile.broken => Type::Bytea,
        _ => Type::Text,
    }
}

/// Numbers of both classes: a float where it holds the integers exactly, else a decimal; where some of them are infinite, which no
/// decimal is before PostgreSQL 14, a text.
fn whole_or_float(profile: &Profile) -> Type {
    const EXACT: i64 = 1 << 53;
    match profile.range {
        Some((least, most)) if least < -EXACT || most > EXACT => match profile.infinite {
            0 => Type::Numeric(None),
            _ => Type::Text,
        },
        _ => Type::Double,
    }
}

fn boolean(profile: &Profile) -> Meant {
    let within = profile.range.is_none_or(|(least, most)| least >= 0 && most <= 1);
    let words = profile.texts == 0 || profile.reads_as(Readings::BOOL) && profile.empty == 0;
    if within && words && profile.reals + profile.blobs + profile.broken == 0 {
        return Ok(Type::Boolean);
    }
    let why = match (within, profile.range) {
        (false, Some((least, most))) => format!("its numbers go from {least} to {most}"),
        _ => odd(profile, "truth values", profile.integers),
    };
    instead(profile, why)
}

fn whole(profile: &Profile, bytes: u8) -> Meant {
    let fits = profile.values() == profile.integers + profile.texts
        && (profile.texts == 0 || profile.reads_as(Readings::INTEGER) && profile.empty == 0);
    if !fits {
        return instead(profile, odd(profile, "whole numbers", profile.integers));
    }
    let (least, most) = profile.range.unwrap_or((0, 0));
    let narrow = |bits: u32| least >= -(1_i64 << (bits - 1)) && most < (1_i64 << (bits - 1));
    // Whole numbers in texts were not measured: the widest type holds them.
    let measured = profile.texts == 0;
    match bytes {
        2 if measured && narrow(16) => Ok(Type::Smallint),
        4 if measured && narrow(32) => Ok(Type::Integer),
        2 if measured && narrow(32) => Err((Type::Integer, range_told(least, most))),
        2 | 4 => Err((
            Type::Bigint,
            if measured { range_told(least, most) } else { "some of its numbers are texts".to_owned() },
        )),
        _ => Ok(Type::Bigint),
    }
}

fn range_told(least: i64, most: i64) -> String {
    format!("its numbers go from {least} to {most}")
}

fn real(profile: &Profile) -> Meant {
    let numbers = profile.integers + profile.reals;
    if profile.values() == numbers {
        return match whole_or_float(profile) {
            Type::Double => Ok(Type::Double),
            wider => Err((wider, "some of its whole numbers are too long for a float".to_owned())),
        };
    }
    instead(profile, odd(profile, "numbers", numbers))
}

fn decimal(profile: &Profile, size: Option<(u32, u32)>) -> Meant {
    let numbers = profile.integers + profile.reals;
    let texts = profile.texts == 0 || profile.reads_as(Readings::DECIMAL) && profile.empty == 0;
    if profile.values() != numbers + profile.texts || !texts {
        return instead(profile, odd(profile, "decimal numbers", numbers));
    }
    if profile.infinite > 0 {
        let typ = if profile.texts > 0 { Type::Text } else { whole_or_float(profile) };
        return Err((typ, format!("{} of its numbers are infinite", profile.infinite)));
    }
    let Some((precision, scale)) = size else { return Ok(Type::Numeric(None)) };
    let (least, most) = profile.range.unwrap_or((0, 0));
    let whole = [least, most].map(|number| number.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1));
    let whole = whole[0].max(whole[1]).max(profile.whole_digits);
    if profile.texts > 0 {
        return Err((Type::Numeric(None), "some of its numbers are texts of any length".to_owned()));
    }
    match profile.decimals <= scale && whole + scale <= precision {
        true => Ok(Type::Numeric(size)),
        false => {
            let why = format!(
                "its numbers have up to {whole} digits before and {} after the point",
                profile.decimals
            );
            Err((Type::Numeric(None), why))
        }
    }
}

fn text(profile: &Profile, length: Option<u32>) -> Meant {
    if profile.blobs > 0 && profile.texts + profile.integers + profile.reals == 0 {
        return Err((Type::Bytea, "its values are bytes".to_owned()));
    }
    match length {
        Some(length) if profile.longest <= u64::from(length) && profile.reals == 0 => {
            Ok(Type::Varchar(length))
        }
        Some(_) if profile.reals > 0 => {
            Err((Type::Text, format!("{} of its values are floats", profile.reals)))
        }
        Some(_) => Err((Type::Text, format!("its longest value has {} characters", profile.longest))),
        None => Ok(Type::Text),
    }
}

fn blob(profile: &Profile) -> Meant {
    match profile.integers + profile.reals {
        0 => Ok(Type::Bytea),
        _ => instead(profile, odd(profile, "bytes or texts", profile.blobs + profile.texts)),
    }
}

fn day(profile: &Profile) -> Meant {
    let only_texts = profile.values() == profile.texts && profile.empty == 0;
    if profile.values() == 0 || only_texts && profile.reads_as(Readings::DAY) {
        return Ok(Type::Date);
    }
    if only_texts && profile.reads_as(Readings::MOMENT) && profile.finer == 0 {
        return Err((Type::Timestamptz, "some of its values have a time".to_owned()));
    }
    instead(profile, odd_times(profile, "days"))
}

fn moment(profile: &Profile) -> Meant {
    if profile.finer > 0 {
        return instead(profile, format!("{} of its times are finer than a microsecond", profile.finer));
    }
    let texts = profile.texts == 0 || profile.empty == 0 && profile.reads_as(Readings::MOMENT);
    let all_texts = profile.values() == profile.texts;
    // Numbers count seconds or milliseconds since 1970, but only one of them at once, and not beside texts.
    if texts && (all_texts || profile.values() == profile.integers && epoch(profile).is_some()) {
        return Ok(Type::Timestamptz);
    }
    if profile.values() == profile.integers && profile.range.is_some_and(is_since_2001) {
        let why = "its numbers may count seconds since 2001, as Core Data does: `epoch = \"seconds\"` says since 1970";
        return instead(profile, why.to_owned());
    }
    instead(profile, odd_times(profile, "times"))
}

/// Seconds that are before 1998 where they count since 1970, and until 2029 where they count since 2001, as Apple's programs do.
fn is_since_2001((least, most): (i64, i64)) -> bool {
    least >= SINCE_1980 && most < 883_612_800
}

/// The seconds from 1970 until 1980,
const SINCE_1980: i64 = 315_532_800;
/// and until 2100.
const UNTIL_2100: i64 = 4_102_444_800;

/// Microseconds in one of the units that a column of numbers counts, where its range leaves only one.
pub fn epoch(profile: &Profile) -> Option<i64> {
    let (from, to) = (SINCE_1980, UNTIL_2100);
    let (least, most) = profile.range.filter(|range| !is_since_2001(*range))?;
    [(1_000_000, 1), (1_000, 1_000), (1, 1_000_000)]
        .into_iter()
        .find(|(_, per_second)| least >= from * per_second && most <= to * per_second)
        .map(|(micros, _)| micros)
}

fn time(profile: &Profile) -> Meant {
    let only_texts = profile.values() == profile.texts && profile.empty == 0;
    match profile.values() == 0 || only_texts && profile.reads_as(Readings::CLOCK) {
        true => Ok(Type::Time),
        false => instead(profile, "not all of its values are times of the day".to_owned()),
    }
}

fn json(profile: &Profile) -> Meant {
    let texts = profile.empty == 0 && (profile.texts == 0 || profile.reads_as(Readings::JSON));
    // a column of this name turns texts of digits into numbers, which are documents too
    let numbers = profile.integers + profile.reals - profile.infinite;
    if profile.values() != profile.texts + numbers || !texts {
        return instead(profile, odd(profile, "JSON", 0));
    }
    match profile.odd {
        0 => Ok(Type::Jsonb),
        count => {
            let why = "escapes that are no characters, or numbers beyond those of `jsonb`";
            Err((Type::Json, format!("{count} of its documents have {why}")))
        }
    }
}

fn uuid(profile: &Profile) -> Meant {
    let texts = profile.empty == 0 && (profile.texts == 0 || profile.reads_as(Readings::UUID));
    match profile.values() == profile.texts && texts {
        true => Ok(Type::Uuid),
        false => instead(profile, odd(profile, "uuids", 0)),
    }
}

/// What is in the way of times.
fn odd_times(profile: &Profile, wanted: &str) -> String {
    let order = "; some do not say which is the day and which the month";
    format!("{}{}", odd(profile, wanted, 0), if profile.ambiguous { order } else { "" })
}

/// What is in the way.
fn odd(profile: &Profile, wanted: &str, fitting: u64) -> String {
    let counts = [
        (profile.integers, "integers"),
        (profile.reals, "floats"),
        (profile.texts - profile.empty, "texts"),
        (profile.empty, "empty texts"),
        (profile.blobs, "blobs"),
        (profile.broken, "texts that are not UTF-8"),
    ];
    let there = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let list = there.collect::<Vec<_>>().join(", ");
    match fitting {
        0 => format!("not all of its values are {wanted}: {list}"),
        _ => format!("not all of its values are {wanted}: among {} there are {list}", profile.values()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, Type, choose, epoch, meaning, profile};
    use crate::transfer::profile::Profile;
    use targets::db::Seen;

    fn chosen(declared: &str, values: &[Seen<'_>]) -> Type {
        let mut profile = profile(meaning(declared));
        values.iter().for_each(|value| profile.see(value));
        choose(declared, &profile).typ
    }

    #[test]
    fn declarations_mean_what_people_mean_by_them() {
        for (declared, means) in [
            ("", Meaning::Open),
            ("VARCHAR(20)", Meaning::Text(Some(20))),
            ("unsigned big int", Meaning::Integer(8)),
            ("INT8", Meaning::Integer(8)),
            ("INTERGER", Meaning::Integer(8)),
            ("DECIMAL(10,2)", Meaning::Decimal(Some((10, 2)))),
            ("NUMERIC", Meaning::Decimal(None)),
            ("timestamp without time zone", Meaning::Moment),
            ("STRING", Meaning::Text(None)),
            ("LONGVARCHAR", Meaning::Text(None)),
            ("FLOATING POINT", Meaning::Real),
            ("ENUM", Meaning::Open),
            ("ANY", Meaning::Open),
        ] {
            assert_eq!(meaning(declared), means, "{declared}");
        }
    }

    #[test]
    fn a_type_is_chosen_only_where_every_value_fits() {
        let cases: &[(&str, &[Seen<'_>], Type)] = &[
            ("BOOLEAN", &[Seen::Int(0), Seen::Int(1), Seen::Null], Type::Boolean),
            ("BOOLEAN", &[Seen::Int(2)], Type::Bigint),
            ("BOOLEAN", &[Seen::Int(1), Seen::Text("maybe")], Type::Text),
            ("INT", &[Seen::Int(3_000_000_000)], Type::Bigint),
            ("INT", &[Seen::Int(5)], Type::Integer),
            ("SMALLINT", &[Seen::Int(40_000)], Type::Integer),
            ("INTEGER", &[Seen::Int(1), Seen::Text("N/A")], Type::Text),
            ("INTEGER", &[Seen::Int(1), Seen::Real(3.7)], Type::Double),
            ("BIGINT", &[Seen::Int(i64::MIN)], Type::Bigint),
            ("REAL", &[Seen::Real(0.1), Seen::Int(3)], Type::Double),
            ("REAL", &[Seen::Real(0.5), Seen::Int(i64::MAX)], Type::Numeric(None)),
            ("DECIMAL(10,2)", &[Seen::Real(19.99), Seen::Int(5)], Type::Numeric(Some((10, 2)))),
            ("DECIMAL(10,2)", &[Seen::Real(1.005)], Type::Numeric(None)),
            ("DECIMAL(4,2)", &[Seen::Int(100)], Type::Numeric(None)),
            ("DECIMAL(10,2)", &[Seen::Real(f64::INFINITY)], Type::Double),
            ("VARCHAR(5)", &[Seen::Text("größe")], Type::Varchar(5)),
            ("VARCHAR(5)", &[Seen::Text("größer")], Type::Text),
            ("BLOB", &[Seen::Blob(&[1]), Seen::Text("x")], Type::Bytea),
            ("DATE", &[Seen::Text("2024-02-29")], Type::Date),
            ("DATE", &[Seen::Text("02/01/2024")], Type::Text),
            ("DATE", &[Seen::Text("20240102"), Seen::Text("2024/1/3")], Type::Date),
            ("DATE", &[Seen::Int(20_240_102)], Type::Bigint),
            (
                "DATETIME",
                &[Seen::Text("2024/01/02 03:04"), Seen::Text("20240102T030405Z")],
                Type::Timestamptz,
            ),
            ("DATETIME", &[Seen::Text("2024-02-29 01:02:03")], Type::Timestamptz),
            ("DATETIME", &[Seen::Text("2024-02-29 01:02:03.1234567")], Type::Text),
            ("DATETIME", &[Seen::Text("")], Type::Text),
            ("DATETIME", &[Seen::Int(1_700_000_000)], Type::Timestamptz),
            ("DATETIME", &[Seen::Int(1_700_000_000), Seen::Int(1_700_000_000_123)], Type::Bigint),
            ("TIME", &[Seen::Text("10:30"), Seen::Text("23:59:59.123456")], Type::Time),
            ("TIME", &[Seen::Text("10:30"), Seen::Text("25:00")], Type::Text),
            ("TIME", &[Seen::Text("10:30:00.1234567")], Type::Text),
            ("TIME", &[Seen::Int(1_030)], Type::Bigint),
            // 1986 to 1988, or 2017 to 2019
            ("TIMESTAMP", &[Seen::Int(510_000_000), Seen::Int(571_510_798)], Type::Bigint),
            ("TIMESTAMP", &[Seen::Int(510_000_000), Seen::Int(1_571_510_798)], Type::Timestamptz),
            ("JSON", &[Seen::Text("{\"a\":1}")], Type::Jsonb),
            ("JSON", &[Seen::Text("\"\\u0000\"")], Type::Json),
            ("JSON", &[Seen::Text("{a:1}")], Type::Text),
            ("UUID", &[Seen::Text("6f1e1c1c-0000-4000-8000-000000000000")], Type::Uuid),
            ("", &[Seen::Int(1), Seen::Real(2.5)], Type::Double),
            ("", &[Seen::Int(1), Seen::Text("a")], Type::Text),
            ("", &[], Type::Text),
        ];
        for (declared, values, typ) in cases {
            assert_eq!(chosen(declared, values), *typ, "{declared} {values:?}");
        }
    }

    #[test]
    fn numbers_are_times_only_in_one_unit() {
        let of = |numbers: &[i64]| {
            let mut profile = Profile::default();
            numbers.iter().for_each(|number| profile.see(&Seen::Int(*number)));
            epoch(&profile)
        };
        assert_eq!(of(&[1_700_000_000]), Some(1_000_000));
        assert_eq!(of(&[1_700_000_000_123, 1_600_000_000_000]), Some(1_000));
        assert_eq!(of(&[1_700_000_000_123_456]), Some(1));
        assert_eq!(of(&[1_700_000_000, 1_700_000_000_123]), None);
        assert_eq!(of(&[0]), None);
        assert_eq!(of(&[500_000_000, 600_000_000]), None);
    }

    #[test]
    fn another_type_than_the_declared_one_has_its_reason() {
        let mut profile = Profile::default();
        profile.see(&Seen::Int(1));
        profile.see(&Seen::Text("N/A"));
        let choice = choose("INTEGER", &profile);
        let reason = choice.reason.unwrap_or_default();
        assert!(reason.contains("declared `INTEGER`") && reason.contains("1 integers, 1 texts"), "{reason}");
    }
}
