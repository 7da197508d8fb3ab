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
use targets::db::{Age, Column, Cutoff, EpochUnit, Error, Family, Result, Sql, Value};

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
    (1900..=2999).contains(&year) && days_before(year, month, day).is_some()
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
    let whole = number(&text[..digits])? * scale(written);
    let (part, rest) = fraction(&text[digits..])?;
    rest.is_empty().then(|| Moment::Instant(whole + part * scale(written) / SECOND))
}

fn read_iso(text: &[u8]) -> Option<Moment> {
    let pair = |at: usize| number(text.get(at..at + 2)?);
    let mark = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|byte| allowed.contains(byte));
    if !mark(4, b"-") || !mark(7, b"-") {
        return None;
    }
    let day = days_before(number(&text[..4])?, pair(5)?, pair(8)?)? * DAY;
    if text.len() == 10 {
        return Some(Moment::Civil(day));
    }
    if !mark(10, b" Tt") || !mark(13, b":") {
        return None;
    }
    let (hour, minute) = (pair(11)?, pair(14)?);
    let (second, rest) = if mark(16, b":") { (pair(17)?, 19) } else { (0, 16) };
    // 60 is a leap second
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (part, rest) = if rest == 19 { fraction(&text[19..])? } else { (0, &text[rest..]) };
    let at = day + (hour * 3_600 + minute * 60 + second) * SECOND + part;
    zone(rest).map(|offset| offset.map_or(Moment::Civil(at), |offset| Moment::Instant(at - offset)))
}

/// What follows the time: nothing, a name of UTC, an offset, or an offset and the name.
fn zone(rest: &[u8]) -> Option<Option<i128>> {
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

/// A fraction of a second in microseconds, and what follows. Further digits are cut off, which keeps "before" exact
/// for a cut-off in whole microseconds.
fn fraction(text: &[u8]) -> Option<(i128, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else {
        return Some((0, text));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |sum, n| {
        sum * 10 + rest.get(n).filter(|_| n < digits).map_or(0, |byte| i128::from(byte - b'0'))
    });
    (digits > 0).then_some((micros, &rest[digits..]))
}

fn number(digits: &[u8]) -> Option<i128> {
    digits
        .iter()
        .try_fold(0_i128, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i128::from(byte - b'0')))
}

/// Days between 1970 and a day of the Gregorian calendar; none when there is no such day.
fn days_before(year: i128, month: i128, day: i128) -> Option<i128> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i128::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // years begin in March, so that the leap day is the last one
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468)
}

/// `2026-08-22T14:00:00.123456Z`: sorts as the time does. None outside the years 0 to 9999.
fn show(at: i128) -> Option<String> {
    let (days, within) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = day_after(days);
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

/// The way back of `days_before`, again with years that begin in March, in cycles of 400 years.
fn day_after(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let (cycle, of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let next = i128::from(month >= 10);
    (cycle * 400 + year + next, if next == 1 { month - 9 } else { month + 3 }, day)
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
