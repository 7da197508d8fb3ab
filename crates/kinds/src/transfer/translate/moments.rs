//! SQLite's functions of dates and times. They make texts in UTC; what is made here is the same text, and known as the time that it
//! says, so that it can stand beside real times.

use super::expression::{Outcome, Said, Scope, Sort, no, number, said, string};
use super::grammar::unquoted;
use super::sides::read_as;
use sqlite3_parser::ast::{Expr, Literal};

/// The present moment, as clocks in UTC show it.
const NOW: &str = "(now() at time zone 'utc')";

/// A time as clocks show it.
struct At {
    sql: String,
    /// Where, as a literal; none in UTC.
    zone: Option<String>,
}

impl At {
    fn now() -> Self {
        Self { sql: NOW.to_owned(), zone: None }
    }

    /// The moment at which they show the time that these words tell.
    fn moment(&self, sql: &str) -> String {
        format!("({sql} at time zone {})", self.zone.as_deref().unwrap_or("'utc'"))
    }
}

/// A call; none where it is no such function.
pub(super) fn call(expr: &Expr, name: &str, args: &[Expr], scope: Scope) -> Option<Outcome> {
    let at = |args: &[Expr]| at(expr, args, scope);
    Some(match (name, args) {
        ("date", args) => at(args).map(|at| day(&at)),
        ("time", args) => at(args).map(|at| clock(&at)),
        ("datetime", args) => at(args).map(|at| full(&at)),
        ("unixepoch", args) => at(args).map(|at| Said::new(seconds(&at.sql), Sort::Whole)),
        ("julianday", args) => at(args).map(|at| {
            let sql = format!("(extract(epoch from {}) / 86400.0 + 2440587.5)::double precision", at.sql);
            Said { real: true, ..Said::new(sql, Sort::Number) }
        }),
        ("strftime", [format, args @ ..]) => match written(format) {
            Some(format) => at(args).and_then(|at| formatted(&format, &at).ok_or_else(|| no(expr))),
            None => Err(no(expr)),
        },
        _ => return None,
    })
}

/// `current_timestamp` and its like.
pub(super) fn current(literal: &Literal) -> Option<Said> {
    match literal {
        Literal::CurrentTimestamp => Some(full(&At::now())),
        Literal::CurrentDate => Some(day(&At::now())),
        Literal::CurrentTime => Some(clock(&At::now())),
        _ => None,
    }
}

fn text(at: &At, format: &str, also: Vec<(Sort, String)>) -> Said {
    let sql = format!("to_char({}, {})", at.sql, string(format));
    Said { also, local: at.zone.is_some(), ..Said::new(sql, Sort::Text) }
}

fn day(at: &At) -> Said {
    let begin = at.moment(&format!("date_trunc('day', {})", at.sql));
    text(at, "YYYY-MM-DD", vec![(Sort::Day, format!("({})::date", at.sql)), (Sort::Moment, begin)])
}

fn clock(at: &At) -> Said {
    text(at, "HH24:MI:SS", vec![(Sort::Clock, format!("date_trunc('second', {})::time", at.sql))])
}

fn full(at: &At) -> Said {
    let moment = at.moment(&format!("date_trunc('second', {})", at.sql));
    text(at, "YYYY-MM-DD HH24:MI:SS", vec![(Sort::Moment, moment)])
}

fn seconds(at: &str) -> String {
    format!("floor(extract(epoch from {at}))::bigint")
}

fn formatted(format: &str, at: &At) -> Option<Said> {
    // milliseconds are rounded there, and cut here
    let rounded = At { sql: format!("({} + interval '0.0005 seconds')", at.sql), zone: at.zone.clone() };
    let at = if format.contains("%f") { &rounded } else { at };
    if format == "%s" {
        let whole = seconds(&at.sql);
        return Some(Said {
            also: vec![(Sort::Whole, whole.clone())],
            ..Said::new(format!("({whole})::text"), Sort::Text)
        });
    }
    let field = match format {
        "%Y" => Some("year"),
        "%m" => Some("month"),
        "%d" => Some("day"),
        "%H" => Some("hour"),
        "%M" => Some("minute"),
        "%j" => Some("doy"),
        "%w" => Some("dow"),
        _ => None,
    };
    let whole = field.map(|field| format!("extract({field} from {})::bigint", at.sql));
    if let (Some(whole), "%w") = (&whole, format) {
        let sql = format!("({whole})::text");
        return Some(Said { also: vec![(Sort::Whole, whole.clone())], ..Said::new(sql, Sort::Text) });
    }
    let mut also: Vec<(Sort, String)> = whole.map(|whole| (Sort::Whole, whole)).into_iter().collect();
    let least = match format {
        "%Y-%m-%d %H:%M:%S" | "%Y-%m-%dT%H:%M:%S" | "%Y-%m-%dT%H:%M:%SZ" | "%F %T" | "%FT%T" | "%FT%TZ" => {
            Some("second")
        }
        "%Y-%m-%d %H:%M:%f" | "%Y-%m-%dT%H:%M:%f" | "%Y-%m-%dT%H:%M:%fZ" => Some("milliseconds"),
        "%Y-%m-%d" | "%F" => return Some(day(at)),
        _ => None,
    };
    also.extend(least.map(|least| (Sort::Moment, at.moment(&format!("date_trunc('{least}', {})", at.sql)))));
    Some(text(at, &formed(format)?, also))
}

/// A format of `strftime` as one of `to_char`.
pub(super) fn formed(format: &str) -> Option<String> {
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => out.push_str(match letters.next()? {
                'Y' => "YYYY",
                'm' => "MM",
                'd' => "DD",
                'H' => "HH24",
                'M' => "MI",
                'S' => "SS",
                'f' => "SS.MS",
                'F' => "YYYY-MM-DD",
                'T' => "HH24:MI:SS",
                _ => return None,
            }),
            plain if plain.is_ascii_alphabetic() => {
                out.push('"');
                out.push(plain);
                out.push('"');
            }
            '"' | '\\' => return None,
            plain => out.push(plain),
        }
    }
    Some(out)
}

/// A text as the time that it is; NULL where it is none as SQLite reads them. The 30th of February is the second day of March there.
pub(super) fn of_text(sql: &str) -> String {
    const CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9]";
    let zone = format!("( *[Zz]| *[+-]{CLOCK})");
    let time = format!("[ T]{CLOCK}(:[0-5][0-9](\\.[0-9]+)?)?{zone}?");
    let form = format!("^(?!0000)[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])({time})?$");
    let first = format!("(substr({sql}, 1, 8) || '01' || substr({sql}, 11))");
    let days = format!("(substr({sql}, 9, 2)::int - 1) * interval '24 hours'");
    format!(
        "(case when {sql} !~ '{form}' then null when {sql} ~ '{zone}$' then {first}::timestamptz + {days} \
         else {first}::timestamp at time zone 'utc' + {days} end)"
    )
}

fn written(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => Some(unquoted(text)),
        _ => None,
    }
}

/// The time that the arguments mean, as clocks in UTC show it.
fn at(expr: &Expr, args: &[Expr], scope: Scope) -> Result<At, String> {
    let Some((first, mut modifiers)) = args.split_first() else { return Ok(At::now()) };
    let is_now = written(first).is_some_and(|text| text.eq_ignore_ascii_case("now"));
    let counted =
        modifiers.first().and_then(written).is_some_and(|word| word.eq_ignore_ascii_case("unixepoch"));
    let mut at = if is_now {
        NOW.to_owned()
    } else if counted {
        modifiers = &modifiers[1..];
        // beyond the year 9999 there is no time
        let n = number(first, scope)?.sql;
        format!(
            "(case when {n} between -62167219200 and 253402300799 then to_timestamp({n}) at time zone 'utc' end)"
        )
    } else {
        let part = said(first, scope)?;
        // a number would be a day of the Julian calendar
        let is_counted = part.meaning(Sort::Whole).is_some();
        match part.sort {
            Sort::Moment if !is_counted && !part.local => format!("({} at time zone 'utc')", part.sql),
            Sort::Day => format!("({})::timestamp", part.sql),
            // what a clock elsewhere showed is read as one of UTC
            Sort::Text if part.local => return Err(no(expr)),
            Sort::Text => match read_as(&part, Sort::Moment) {
                Some(moment) => format!("({} at time zone 'utc')", moment.sql),
                None => return Err(no(expr)),
            },
            _ => return Err(no(expr)),
        }
    };
    let mut zone = None;
    for modifier in modifiers {
        let word = written(modifier).ok_or_else(|| no(expr))?.trim().to_ascii_lowercase();
        if word == "localtime" && zone.is_none() {
            let known = scope
                .within
                .and_then(|query| query.zone())
                .ok_or("`localtime` is the clock of the application's machine: say its zone with `zone`")?;
            if !known.eq_ignore_ascii_case("utc") {
                let known = string(known);
                at = format!("({at} at time zone 'utc' at time zone {known})");
                zone = Some(known);
            }
            continue;
        }
        at = modified(&word, &at).ok_or_else(|| no(expr))?;
    }
    Ok(At { sql: at, zone })
}

/// `start of day`, `-7 days` and their like; none where the server has no counterpart.
fn modified(word: &str, at: &str) -> Option<String> {
    if let Some(unit) = word.strip_prefix("start of ") {
        return matches!(unit, "day" | "month" | "year").then(|| format!("date_trunc('{unit}', {at})"));
    }
    let (count, unit) = word.split_once(char::is_whitespace)?;
    let unit = unit.trim().trim_end_matches('s');
    let digits = count.trim_start_matches(['+', '-']);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_plain || digits.parse::<f64>().is_err() || count.len() > digits.len() + 1 {
        return None;
    }
    match unit {
        "day" | "hour" | "minute" | "second" => Some(format!("({at} + interval '{count} {unit}')")),
        // the 31st of a month with thirty days is the first of the next one
        "month" | "year" if !digits.contains('.') => {
            let month = format!("date_trunc('month', {at})");
            Some(format!("({month} + interval '{count} {unit}' + ({at} - {month}))"))
        }
        _ => None,
    }
}
