//! Times in text: a day, a time with `T` or a blank, a fraction, `Z`, `UTC` or an offset; or a number.
//!
//! Read inside CASE, in an order that can never raise: first the shape, then the calendar, only then the cast. `v` is the
//! text. The forms are the same as on SQLite; anything else is unreadable and left alone.

use super::age::{decimal, number_as_instant, numbers};
use targets::db::{Age, Cutoff, EpochUnit, Sql};

const DAY: &str =
    "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
/// 60 is a leap second.
const CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?";
const ZONE: &str = " ?([Zz]|UTC|GMT|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?( UTC)?)";

/// The conditions for text in `name`.
pub(super) fn conditions(name: &Sql, unit: EpochUnit, cutoff: &Cutoff, instant: &Sql, civil: &Sql) -> Age {
    let naive = naive();
    let zoned =
        Sql::new(&format!("(({naive} - make_interval(mins => {})) at time zone 'UTC')", offset_minutes()));
    let naive = Sql::new(&naive);
    let number = Sql::new("cast(replace(v, ',', '.') as numeric)");
    let older = Cases {
        zoned: Sql::default().add(&zoned).text(" < ").add(instant),
        naive: Sql::default().add(&naive).text(" < ").add(civil),
        number: numbers(&number, unit, cutoff.instant_us, &decimal),
        neither: "false",
    };
    let yes = || Sql::new("true");
    let readable = Cases { zoned: yes(), naive: yes(), number: yes(), neither: "false" };
    let when = Cases {
        // The zone of naive values is known only at the cut-off; for an order that is near enough.
        naive: Sql::new("(").add(&naive).text(" - ").add(civil).text(") + ").add(instant),
        zoned,
        number: number_as_instant(&number, unit),
        neither: "null",
    };
    Age {
        older: older.over(name, unit),
        // The cases fall through to `false` for NULL, so rows without a value are neither older nor unreadable.
        unreadable: Some(
            Sql::new("(").add(name).text(" is not null and not ").add(&readable.over(name, unit)).text(")"),
        ),
        instant: when.over(name, unit),
    }
}

/// What to say of each form.
struct Cases {
    zoned: Sql,
    naive: Sql,
    number: Sql,
    neither: &'static str,
}

impl Cases {
    fn over(&self, name: &Sql, unit: EpochUnit) -> Sql {
        let neither = self.neither;
        Sql::new(&format!(
            "(select
               case
                 when v ~ '^{DAY}([Tt ]{CLOCK}({ZONE})?)?$' then
                   case
                     when {DAY_EXISTS} then
                       case when v ~ '{CLOCK}{ZONE}$' then "
        ))
        .add(&self.zoned)
        .text(" else ")
        .add(&self.naive)
        .text(&format!(" end else {neither} end when v ~ '{}' then ", epoch_digits(unit)))
        .add(&self.number)
        .text(&format!(" else {neither} end from (select cast("))
        .add(name)
        .text(" as text) as v) as given)")
    }
}

/// Whether the month has that day, without a cast that could fail on it.
const DAY_EXISTS: &str = "substr(v, 9, 2)::int <=
    case
      when substr(v, 6, 2) in ('04', '06', '09', '11') then 30
      when substr(v, 6, 2) <> '02' then 31
      when substr(v, 1, 4)::int % 4 = 0
           and (substr(v, 1, 4)::int % 100 <> 0 or substr(v, 1, 4)::int % 400 = 0) then 29
      else 28
    end";

/// What the clock showed. Digits beyond microseconds are cut, because the server would round them up and a row would
/// look younger; the cut-off has whole microseconds, so cutting decides the same as all digits would. A leap second is
/// the second after 59, because the server refuses its fractions.
fn naive() -> String {
    let without_zone = format!("regexp_replace(v, '(:[0-9:.,]*){ZONE}$', '\\1')");
    let whole = format!("regexp_replace(replace({without_zone}, ',', '.'), '([.][0-9]{{6}})[0-9]+', '\\1')");
    let seconds = "case when substr(v, 17, 3) = ':60' then interval '1 second' else interval '0' end";
    format!("(cast(regexp_replace({whole}, ':60([.]|$)', ':59\\1') as timestamp) + {seconds})")
}

/// The offset from UTC, added up here because the server knows none beyond 15 hours.
fn offset_minutes() -> String {
    let offset = "substring(v from '([+-][0-9]{2}:?([0-9]{2})?)( UTC)?$')";
    format!(
        "coalesce((select case when z like '-%' then -1 else 1 end
           * (substr(z, 2, 2)::int * 60 + case when length(z) > 3 then right(z, 2)::int else 0 end)
           from (select {offset} as z) as written), 0)"
    )
}

/// Numbers in text are believed when they have as many digits as the present has in that unit.
fn epoch_digits(unit: EpochUnit) -> String {
    let digits = match unit {
        EpochUnit::Auto => "9}|[0-9]{12}|[0-9]{15}",
        EpochUnit::Seconds => "9}",
        EpochUnit::Milliseconds => "12}",
        EpochUnit::Microseconds => "15}",
    };
    format!("^[1-9]([0-9]{{{digits})([.,][0-9]+)?$")
}
