//! Which rows are too old, by every kind of column that can hold a time.
//!
//! Times and numbers are compared as they are, so that an index helps. Text is read inside CASE, in an order that can
//! never raise: first the shape, then the calendar, only then the cast. What cannot be read is not older. A time that
//! is written without a zone is compared with what clocks showed at the cut-off.

use super::moment;
use targets::db::{Age, Column, Cutoff, EpochUnit, Error, Family, Result, Sql};

/// From here on a number counts milliseconds, and then microseconds (`EpochUnit::Auto`).
const MILLISECONDS_FROM: &str = "100000000000";
const MICROSECONDS_FROM: &str = "100000000000000";

/// The conditions of the contract.
pub(super) fn conditions(column: &Column, unit: EpochUnit, cutoff: &Cutoff) -> Result<Age> {
    let name = Sql::new("t.").name(&column.name);
    let instant = || Sql::new("cast(").bind(moment::instant(cutoff.instant_us)).text(" as timestamptz)");
    let civil = || Sql::new("cast(").bind(cutoff.civil.as_str()).text(" as timestamp)");
    let below = |bound: Sql| Sql::default().add(&name).text(" < ").add(&bound);
    // The zone of naive values is known only at the cut-off; for an order that is near enough.
    let shifted = |naive: &Sql| {
        // An infinity cannot be subtracted from.
        Sql::new("case when isfinite(")
            .add(naive)
            .text(") then (")
            .add(naive)
            .text(" - ")
            .add(&civil())
            .text(") + ")
            .add(&instant())
            .text(" else cast(")
            .add(naive)
            .text(" as timestamptz) end")
    };
    match column.family {
        Family::TimestampTz => Ok(Age { older: below(instant()), unreadable: None, instant: name.clone() }),
        Family::Timestamp => Ok(Age { older: below(civil()), unreadable: None, instant: shifted(&name) }),
        Family::Date => Ok(Age {
            older: below(Sql::new("cast(").add(&civil()).text(" as date)")),
            unreadable: None,
            instant: shifted(&Sql::new("cast(").add(&name).text(" as timestamp)")),
        }),
        Family::Integer => Ok(Age {
            older: numbers(&name, unit, cutoff.instant_us, &whole),
            unreadable: None,
            instant: number_as_instant(&name, unit),
        }),
        Family::Numeric | Family::Real => {
            let exact: &dyn Fn(i128, u32) -> Sql =
                if column.family == Family::Real { &float } else { &decimal };
            Ok(Age {
                older: numbers(&name, unit, cutoff.instant_us, exact),
                unreadable: Some(Sql::default().add(&name).text(" = 'NaN'")),
                instant: number_as_instant(&name, unit),
            })
        }
        Family::Text => Ok(text(&name, unit, cutoff, &instant(), &civil())),
        _ => Err(Error::usage(format!(
            "column `{}` of type `{}` does not say how old a row is",
            column.name, column.declared
        ))
        .help("name a column that holds a date, a time, a number of seconds or text with a time")),
    }
}

/// A bound for integers: the first one that is not older.
fn whole(microseconds: i128, scale: u32) -> Sql {
    let scale = i128::from(scale);
    let bound = microseconds.div_euclid(scale) + i128::from(microseconds.rem_euclid(scale) != 0);
    Sql::new(&format!("{bound}::bigint"))
}

/// A bound for exact decimals.
fn decimal(microseconds: i128, scale: u32) -> Sql {
    let scale = i128::from(scale);
    let sign = if microseconds < 0 { "-" } else { "" };
    let (whole, rest) = (microseconds.abs() / scale, microseconds.abs() % scale);
    let digits = scale.ilog10() as usize;
    match digits {
        0 => Sql::new(&format!("{sign}{whole}::numeric")),
        _ => Sql::new(&format!("'{sign}{whole}.{rest:0digits$}'::numeric")),
    }
}

/// A bound for floats.
fn float(microseconds: i128, scale: u32) -> Sql {
    decimal(microseconds, scale).text("::double precision")
}

/// Numbers below the cut-off; with `Auto` in ranges, each of which an index can narrow.
fn numbers(name: &Sql, unit: EpochUnit, cutoff_us: i64, bound: &dyn Fn(i128, u32) -> Sql) -> Sql {
    let cutoff = i128::from(cutoff_us);
    let below = |scale| Sql::default().add(name).text(" < ").add(&bound(cutoff, scale));
    let in_range = |low: &str, high: &str, scale| {
        let low = Sql::default().add(name).text(low);
        let high = if high.is_empty() { Sql::default() } else { Sql::new(" and ").add(name).text(high) };
        Sql::new("(").add(&low).add(&high).text(" and ").add(&below(scale)).text(")")
    };
    match unit {
        EpochUnit::Seconds => below(1_000_000),
        EpochUnit::Milliseconds => below(1_000),
        EpochUnit::Microseconds => below(1),
        EpochUnit::Auto => {
            let (ms, us) = (MILLISECONDS_FROM, MICROSECONDS_FROM);
            let ranges = [
                in_range(&format!(" > -{ms}"), &format!(" < {ms}"), 1_000_000),
                in_range(&format!(" >= {ms}"), &format!(" < {us}"), 1_000),
                in_range(&format!(" >= {us}"), "", 1),
                in_range(&format!(" <= -{ms}"), &format!(" > -{us}"), 1_000),
                in_range(&format!(" <= -{us}"), "", 1),
            ];
            Sql::new("(").add(&Sql::join(&ranges, " or ")).text(")")
        }
    }
}

/// A number as a time; beyond what the server's calendar holds it is an infinity.
fn number_as_instant(number: &Sql, unit: EpochUnit) -> Sql {
    let scaled = |scale: &str| Sql::new("n * ").text(scale);
    let microseconds = match unit {
        EpochUnit::Seconds => scaled("1000000"),
        EpochUnit::Milliseconds => scaled("1000"),
        EpochUnit::Microseconds => scaled("1"),
        EpochUnit::Auto => Sql::new(&format!(
            "case when n >= {MICROSECONDS_FROM} or n <= -{MICROSECONDS_FROM} then n \
             when n >= {MILLISECONDS_FROM} or n <= -{MILLISECONDS_FROM} then n * 1000 else n * 1000000 end"
        )),
    };
    Sql::new("(select case when us = 'NaN' then null when us >= 9e18 then 'infinity'::timestamptz when us <= -2e17 then '-infinity' else '1970-01-01 00:00:00+00'::timestamptz + make_interval(days => div(us, 86400000000)::int, secs => (mod(us, 86400000000) / 1000000)::double precision) end from (select ")
        .add(&microseconds)
        .text(" as us from (select cast(")
        .add(number)
        .text(" as numeric) as n) as given) as scaled)")
}

const DAY: &str =
    "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
const CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]+)?)?";
const ZONE: &str = "[Zz]|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?";
const NUMBER: &str = "^[+-]?[0-9]{1,18}([.][0-9]{1,12})?$";

/// Text in the usual forms: a day, a time with `T` or a blank, a fraction, `Z` or an offset; or a number.
fn text(name: &Sql, unit: EpochUnit, cutoff: &Cutoff, instant: &Sql, civil: &Sql) -> Age {
    // The last day of the month of the text, without a cast that could fail on the day itself.
    let is_a_day = "substr(v, 9, 2)::int <= case
        when substr(v, 6, 2) in ('04', '06', '09', '11') then 30
        when substr(v, 6, 2) <> '02' then 31
        when substr(v, 1, 4)::int % 4 = 0
             and (substr(v, 1, 4)::int % 100 <> 0 or substr(v, 1, 4)::int % 400 = 0) then 29
        else 28 end";
    // Digits beyond microseconds are cut, because the server would round them up and a row would look younger; the
    // cut-off has whole microseconds, so cutting decides the same as the whole number would.
    let clean = "regexp_replace(replace(upper(v), ',', '.'), '([.][0-9]{6})[0-9]+', '\\1')";
    let sorted = |zoned: &Sql, naive: &Sql, number: &Sql, neither: &str| {
        Sql::new(&format!(
            "case
               when v ~ '^{DAY}(([Tt]| +){CLOCK} ?({ZONE})?)?$' then
                 case
                   when {is_a_day} then
                     case when v ~ '{CLOCK} ?({ZONE})$' then "
        ))
        .add(zoned)
        .text(" else ")
        .add(naive)
        .text(&format!(" end else {neither} end when v ~ '{NUMBER}' then "))
        .add(number)
        .text(&format!(" else {neither} end"))
    };
    let read = |case: Sql| {
        Sql::new("(select ")
            .add(&case)
            .text(" from (select btrim(cast(")
            .add(name)
            .text(" as text), E' \\t\\r\\n') as v) as given)")
    };
    let as_instant = Sql::new(&format!("cast({clean} as timestamptz)"));
    let as_civil = Sql::new(&format!("cast({clean} as timestamp)"));
    let as_number = Sql::new("cast(v as numeric)");
    let older = read(sorted(
        &Sql::default().add(&as_instant).text(" < ").add(instant),
        &Sql::default().add(&as_civil).text(" < ").add(civil),
        &numbers(&as_number, unit, cutoff.instant_us, &decimal),
        "false",
    ));
    let readable = read(sorted(&Sql::new("true"), &Sql::new("true"), &Sql::new("true"), "false"));
    let shifted = Sql::new("(").add(&as_civil).text(" - ").add(civil).text(") + ").add(instant);
    let when = read(sorted(&as_instant, &shifted, &number_as_instant(&as_number, unit), "null"));
    // A CASE over NULL falls through to `false`, so rows without a value are neither older nor unreadable.
    let unreadable = Sql::new("(").add(name).text(" is not null and not ").add(&readable).text(")");
    Age { older, unreadable: Some(unreadable), instant: when }
}
