//! Ages: which values of a column are times, and which of them lie before the cut-off.
//!
//! SQLite has no type for times, and one column may mix text of every form with epoch numbers (W-013). Its own
//! functions know milliseconds at best, so two functions of ours do the exact test, to the microsecond: they are
//! registered on each connection. In front of them stands a coarse range on the bare column, a superset, so that an
//! index on the column narrows the search.
//!
//! Read as a time: `2026-08-22`, `2026-08-22 14:00`, with `T`, seconds, a fraction of any length, and at the end `Z`,
//! `UTC` or an offset; epoch numbers; text of exactly 10, 13 or 16 digits (seconds, milli-, microseconds, from 2001
//! on). Text without a zone is compared with the cut-off as clocks showed it. Everything else is unreadable and left
//! alone. With `Auto` that includes numbers that are more likely something else: days written as `20250101`, and
//! Julian days.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use targets::db::{Age, Column, Cutoff, EpochUnit, Error, Family, Result, Sql, Value, civil};

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;
/// From here on a number counts milliseconds.
const MILLISECONDS: i128 = 100_000_000_000;
/// From here on a number counts microseconds.
const MICROSECONDS: i128 = 100_000_000_000_000;
/// 18 May 2033: until then epoch text sorts before ISO text of the cut-off.
const LAST_ONE: i64 = 2_000_000_000_000_000;

/// A time in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A point in time.
    Instant(i128),
    /// What a clock showed somewhere.
    Civil(i128),
}

/// The conditions of the contract.
pub(super) fn conditions(column: &Column, unit: EpochUnit, cutoff: &Cutoff) -> Result<Age> {
    let Some(Moment::Civil(civil)) = read_text(cutoff.civil.as_bytes(), unit) else {
        return Err(Error::usage(format!(
            "`{}` is not a time of the form 2026-08-22 14:00:00",
            cutoff.civil
        )));
    };
    let column_name = || Sql::new("t.").name(&column.name);
    let call =
        |name: &str| Sql::new(name).text("(").add(&column_name()).text(", '").text(word(unit)).text("'");
    let exact = call("sexton_older")
        .text(", ")
        .bind(cutoff.instant_us)
        .text(", ")
        .bind(i64::try_from(civil).unwrap_or(i64::MAX))
        .text(")");
    let older = match coarse(column, unit, cutoff.instant_us, civil) {
        Some(coarse) => Sql::new("(").add(&coarse).text(" and ").add(&exact).text(")"),
        None => exact,
    };
    // clocks of another season may differ by an hour; good enough for an order, never used for a decision
    let shift = i64::try_from(i128::from(cutoff.instant_us) - civil).unwrap_or(0);
    let instant = call("sexton_instant").text(", ").bind(shift).text(")");
    let unreadable =
        Sql::new("(").add(&column_name()).text(" is not null and ").add(&instant).text(" is null)");
    Ok(Age { older, unreadable: Some(unreadable), instant })
}

/// Adds `sexton_older(value, unit, instant, civil)` and `sexton_instant(value, unit, shift of naive values)`.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function("sexton_older", 4, flags, |call| {
        let (instant, civil): (i64, i64) = (call.get(2)?, call.get(3)?);
        Ok(match read_argument(call)? {
            Some(Moment::Instant(at)) => at < i128::from(instant),
            Some(Moment::Civil(at)) => at < i128::from(civil),
            None => false,
        })
    })?;
    conn.create_scalar_function("sexton_instant", 3, flags, |call| {
        let shift: i64 = call.get(2)?;
        Ok(match read_argument(call)? {
            Some(Moment::Instant(at)) => Some(shown_or_beyond(at)),
            Some(Moment::Civil(at)) => Some(shown_or_beyond(at + i128::from(shift))),
            None => None,
        })
    })
}

/// A number may lie outside the calendar and still be readable: it is before everything or after everything.
fn shown_or_beyond(at: i128) -> String {
    let beyond = if at < 0 { "0000-01-01T00:00:00.000000Z" } else { "9999-12-31T23:59:59.999999Z" };
    show(at).unwrap_or_else(|| beyond.to_owned())
}

/// A range on the bare column that holds every older value, and the fewest others. Numbers sort before text. None
/// for cut-offs before 1970, where numbers turn negative.
fn coarse(column: &Column, unit: EpochUnit, instant: i64, civil: i128) -> Option<Sql> {
    if instant < 0 {
        return None;
    }
    let name = || Sql::new("t.").name(&column.name);
    let below = |bound: Value| name().text(" < ").bind(bound);
    let from = |bound: Value| name().text(" >= ").bind(bound);
    let between = |low: i128, high: i64| {
        name().text(" >= ").bind(low as i64).text(" and ").add(&below((high + 1).into()))
    };
    // an offset can move a written day by one, in either direction
    let text = (instant < LAST_ONE)
        .then(|| show(i128::from(instant).max(civil) + 2 * DAY).map(|text| text[..10].to_owned()))
        .flatten();
    let numbers = match unit {
        EpochUnit::Auto => vec![
            below((instant / 1_000_000 + 1).into()),
            between(MILLISECONDS, instant / 1_000),
            between(MICROSECONDS, instant),
        ],
        _ => vec![below((instant / scale(unit) as i64 + 1).into())],
    };
    // the least blob ends all text
    let texts =
        from("".into()).text(" and ").add(&below(text.clone().map_or(Value::Blob(Vec::new()), Value::from)));
    Some(match column.family {
        // a column of this affinity turns numbers into text
        Family::Text => below(text?.into()),
        // all ranges have two ends but the first: with fewer, SQLite prefers to read the whole table
        _ => Sql::new("(").add(&Sql::join(&[numbers, vec![texts]].concat(), " or ")).text(")"),
    })
}

fn word(unit: EpochUnit) -> &'static str {
    match unit {
        EpochUnit::Auto => "auto",
        EpochUnit::Seconds => "s",
        EpochUnit::Milliseconds => "ms",
        EpochUnit::Microseconds => "us",
    }
}

/// Microseconds in one unit.
fn scale(unit: EpochUnit) -> i128 {
    match unit {
        EpochUnit::Auto | EpochUnit::Seconds => SECOND,
        EpochUnit::Milliseconds => 1_000,
        EpochUnit::Microseconds => 1,
    }
}

fn read_argument(call: &Context<'_>) -> rusqlite::Result<Option<Moment>> {
    let unit = match call.get_raw(1) {
        ValueRef::Text(b"s") => EpochUnit::Seconds,
        ValueRef::Text(b"ms") => EpochUnit::Milliseconds,
        ValueRef::Text(b"us") => EpochUnit::Microseconds,
        _ => EpochUnit::Auto,
    };
    Ok(read(call.get_raw(0), unit))
}

fn read(value: ValueRef<'_>, unit: EpochUnit) -> Option<Moment> {
    match value {
        ValueRef::Integer(number) => read_integer(i128::from(number), unit),
        ValueRef::Real(number) => read_real(number, unit),
        ValueRef::Text(text) => read_text(text, unit),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn unit_of(size: i128) -> EpochUnit {
    match size {
        size if size >= MICROSECONDS => EpochUnit::Microseconds,
        size if size >= MILLISECONDS => EpochUnit::Milliseconds,
        _ => EpochUnit::Seconds,
    }
}

fn read_integer(number: i128, unit: EpochUnit) -> Option<Moment> {
    let unit = match unit {
        EpochUnit::Auto if spells_a_day(number) => return None,
        EpochUnit::Auto => unit_of(number.abs()),
        unit => unit,
    };
    Some(Moment::Instant(number * scale(unit)))
}

/// 20250101 as seconds would be a day of 1970, and the row would go.
fn spells_a_day(number: i128) -> bool {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    (1900..=2999).contains(&year) && civil::days(year as i64, month as i64, day as i64).is_some()
}

fn read_real(number: f64, unit: EpochUnit) -> Option<Moment> {
    // the Julian days of the years 1600 to 3000
    if !number.is_finite() || (unit == EpochUnit::Auto && (2_305_447.0..2_816_788.0).contains(&number)) {
        return None;
    }
    let unit = if unit == EpochUnit::Auto { unit_of(number.abs() as i128) } else { unit };
    // the nearest microsecond, because a float cannot hold most of them exactly
    Some(Moment::Instant((number * scale(unit) as f64).round() as i128))
}

fn read_text(text: &[u8], unit: EpochUnit) -> Option<Moment> {
    if text.len() >= 10 && text[4] == b'-' {
        return read_iso(text);
    }
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let written = match digits {
        10 => EpochUnit::Seconds,
        13 => EpochUnit::Milliseconds,
        16 => EpochUnit::Microseconds,
        _ => return None,
    };
    if (unit != EpochUnit::Auto && unit != written) || text[0] == b'0' {
        return None;
    }
    let whole = i128::from(civil::number(&text[..digits])?) * scale(written);
    let (part, _, rest) = civil::fraction(&text[digits..])?;
    rest.is_empty().then(|| Moment::Instant(whole + i128::from(part) * scale(written) / SECOND))
}

fn read_iso(text: &[u8]) -> Option<Moment> {
    // Digits beyond the microsecond are cut off, which keeps "before" exact for a cut-off in whole microseconds.
    civil::read(text).map(|told| match told.zoned {
        true => Moment::Instant(told.micros.into()),
        false => Moment::Civil(told.micros.into()),
    })
}

/// `2026-08-22T14:00:00.123456Z`: sorts as the time does. None outside the years 0 to 9999.
fn show(at: i128) -> Option<String> {
    let (days, within) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = civil::date(i64::try_from(days).ok()?);
    let (second, micros) = (within / SECOND, within % SECOND);
    (0..=9999).contains(&year).then(|| {
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_five_centuries_is_read_back_as_it_was_shown() {
        for day in -100_000..100_000_i128 {
            let shown = show(day * DAY + 1).expect("within four digits");
            assert_eq!(
                read_text(shown.as_bytes(), EpochUnit::Auto),
                Some(Moment::Instant(day * DAY + 1)),
                "{shown}"
            );
        }
    }

    #[test]
    fn times_are_read_in_every_usual_form() {
        // W-013, W-036
        let at = 1_787_407_200 * SECOND; // 2026-08-22 14:00:00 UTC
        let instant = |text: &str| read_text(text.as_bytes(), EpochUnit::Auto);
        for text in [
            "2026-08-22T14:00:00Z",
            "2026-08-22 14:00:00.000000000Z",
            "2026-08-22 16:00:00+02:00",
            "2026-08-22 09:30 -0430",
            "2026-08-22 14:00:00 +0000 UTC",
            "2026-08-22 14:00:00 UTC",
            "2026-08-22 14:00:00+00",
            "1787407200",
            "1787407200.0",
            "1787407200000",
            "1787407200000000",
        ] {
            assert_eq!(instant(text), Some(Moment::Instant(at)), "{text}");
        }
        for text in ["2026-08-22 14:00", "2026-08-22T14:00:00", "2026-08-22 14:00:00,0"] {
            assert_eq!(instant(text), Some(Moment::Civil(at)), "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-02-30",
            "2026-8-22",
            "2026-08-22 25:00",
            "2026-08-22T",
            "2026-08-22 14:00:00.",
            "2026-08-22 14:00:00 PDT",
            "20260822",
            "0787407200",
            "17874072000",
            "2026-08-22 14:00:00+2",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_more_likely_something_else_are_no_times() {
        // W-012: a column of numeric affinity turns '20250101' into a number
        assert_eq!(read_integer(20_250_101, EpochUnit::Auto), None);
        assert_eq!(read_integer(20_250_101, EpochUnit::Seconds), Some(Moment::Instant(20_250_101 * SECOND)));
        assert_eq!(read_real(2_460_000.5, EpochUnit::Auto), None);
        assert_eq!(read_integer(0, EpochUnit::Auto), Some(Moment::Instant(0)));
        assert_eq!(read_real(f64::INFINITY, EpochUnit::Auto), None);
        assert_eq!(show(i128::from(i64::MAX) * SECOND), None);
    }
}
