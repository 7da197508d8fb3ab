//! Which rows are too old, by every kind of column that can hold a time.
//!
//! Times and numbers are compared as they are, so that an index helps; text is read by `age_text`. What cannot be read is
//! not older. A time without a zone is compared with what clocks showed at the cut-off. The answers are those of the
//! SQLite back end, as a test holds both to.

use super::{age_text, moment};
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
        Family::Integer => {
            let guard = (unit == EpochUnit::Auto).then(|| spells_a_day(&name));
            Ok(Age {
                older: guarded(numbers(&name, unit, cutoff.instant_us, &whole), guard.as_ref()),
                instant: unless(guard.as_ref(), number_as_instant(&name, unit)),
                unreadable: guard,
            })
        }
        Family::Numeric | Family::Real => {
            let exact: &dyn Fn(i128, u32) -> Sql =
                if column.family == Family::Real { &float } else { &decimal };
            // An infinity, or not a number; servers before 14 do not know the word for the first.
            let mut strange = vec![Sql::default().add(&name).text(" - ").add(&name).text(" <> 0")];
            if unit == EpochUnit::Auto {
                strange.push(is_a_julian_day(&name));
                strange.push(spells_a_day(&name));
            }
            let guard = Sql::new("(").add(&Sql::join(&strange, " or ")).text(")");
            Ok(Age {
                older: guarded(numbers(&name, unit, cutoff.instant_us, exact), Some(&guard)),
                instant: unless(Some(&guard), number_as_instant(&name, unit)),
                unreadable: Some(guard),
            })
        }
        Family::Text => Ok(age_text::conditions(&name, unit, cutoff, &instant(), &civil())),
        _ => Err(Error::usage(format!(
            "column `{}` of type `{}` does not say how old a row is",
            column.name, column.declared
        ))
        .help("name a column that holds a date, a time, a number of seconds or text with a time")),
    }
}

fn guarded(older: Sql, unreadable: Option<&Sql>) -> Sql {
    match unreadable {
        Some(unreadable) => Sql::new("(").add(&older).text(" and not ").add(unreadable).text(")"),
        None => older,
    }
}

fn unless(unreadable: Option<&Sql>, instant: Sql) -> Sql {
    match unreadable {
        Some(unreadable) => {
            Sql::new("case when not ").add(unreadable).text(" then ").add(&instant).text(" end")
        }
        None => instant,
    }
}

/// 20250101 as seconds would be a day of 1970, and the row would go.
fn spells_a_day(number: &Sql) -> Sql {
    Sql::default()
        .text("(")
        .add(number)
        .text(
            " between 19000101 and 29991231 and (select
               case
                 when v not between 19000101 and 29991231 or v <> trunc(v) then false
                 when mod(div(v, 100), 100) not between 1 and 12 then false
                 else mod(v, 100) between 1 and extract(day from
                   make_date(div(v, 10000)::int, mod(div(v, 100), 100)::int, 1)
                   + interval '1 month' - interval '1 day')
               end
             from (select cast(",
        )
        .add(number)
        .text(" as numeric) as v) as given))")
}

/// Days since 4714 BC, as SQLite and astronomers count them, for the years 1600 to 3000.
fn is_a_julian_day(number: &Sql) -> Sql {
    Sql::new("(").add(number).text(" >= 2305447 and ").add(number).text(" < 2816788)")
}

/// A bound for integers: the first one that is not older.
fn whole(microseconds: i128, scale: u32) -> Sql {
    let scale = i128::from(scale);
    let bound = microseconds.div_euclid(scale) + i128::from(microseconds.rem_euclid(scale) != 0);
    Sql::new(&format!("{bound}::bigint"))
}

/// A bound for exact decimals.
pub(super) fn decimal(microseconds: i128, scale: u32) -> Sql {
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
pub(super) fn numbers(name: &Sql, unit: EpochUnit, cutoff_us: i64, bound: &dyn Fn(i128, u32) -> Sql) -> Sql {
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
pub(super) fn number_as_instant(number: &Sql, unit: EpochUnit) -> Sql {
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
    Sql::default()
        .text(
            "(select
               case
                 when us = 'NaN' then null
                 when us >= 9e18 then 'infinity'::timestamptz
                 when us <= -2e17 then '-infinity'
                 else '1970-01-01 00:00:00+00'::timestamptz + make_interval(
                   days => div(us, 86400000000)::int,
                   secs => (mod(us, 86400000000) / 1000000)::double precision)
               end
             from (select ",
        )
        .add(&microseconds)
        .text(" as us from (select cast(")
        .add(number)
        .text(" as numeric) as n) as given) as scaled)")
}
