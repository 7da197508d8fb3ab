//! What a column gets that is given no value, in PostgreSQL's words.
//!
//! SQLite's clock tells UTC, and its times are texts; a column that became a real time gets a real time.

use super::super::choose::Type;
use super::super::convert::{Misfit, Rule, Zone, cell, whole};
use super::super::types::dated;
use super::expression::{Outcome, Scope, Sort, Within, no, on, said, string};
use super::grammar::unquoted;
use super::moments;
use sqlite3_parser::ast::{Expr, Literal};
use targets::db::{Cell, Seen, civil};

/// The default of a column of this type; none where it is NULL.
pub fn default(text: &str, typ: Type, rule: &Rule, zone: Option<&str>) -> Result<Option<String>, String> {
    on(text, |expr| of(expr, typ, rule, zone))
}

/// Where a row is made: what the clock shows may be said there.
struct Present<'z>(Option<&'z str>);

impl Within for Present<'_> {
    fn own(&self, expr: &Expr) -> Option<Outcome> {
        match expr {
            Expr::Literal(literal) => moments::current(literal).map(Ok),
            Expr::FunctionCall { name, args, .. } => {
                let name = name.0.to_ascii_lowercase();
                moments::call(expr, &name, args.unwrap_or_default(), Scope::within(self))
            }
            _ => None,
        }
    }

    fn zone(&self) -> Option<&str> {
        self.0
    }
}

fn of(expr: &Expr, typ: Type, rule: &Rule, zone: Option<&str>) -> Result<Option<String>, String> {
    match expr {
        Expr::Parenthesized(inner) if inner.len() == 1 => return of(&inner[0], typ, rule, zone),
        Expr::Literal(Literal::Null) => return Ok(None),
        Expr::Literal(Literal::CurrentTimestamp) => return now(expr, Clock::Full, typ).map(Some),
        Expr::Literal(Literal::CurrentDate) => return now(expr, Clock::Day, typ).map(Some),
        Expr::Literal(Literal::CurrentTime) => return now(expr, Clock::Time, typ).map(Some),
        Expr::FunctionCall { name, args, .. } => {
            if let Some(clock) = clock(&name.0.to_ascii_lowercase(), args.unwrap_or_default()) {
                return now(expr, clock, typ).map(Some);
            }
            // sixteen bytes of chance in hexadecimal digits, the usual way to make an id
            let written: String = expr.to_string().to_ascii_lowercase().split_whitespace().collect();
            if written == "lower(hex(randomblob(16)))" && matches!(typ, Type::Text | Type::Varchar(_)) {
                return Ok(Some("replace(gen_random_uuid()::text, '-', '')".to_owned()));
            }
        }
        _ => {}
    }
    let present = Present(zone);
    let part = said(expr, Scope::within(&present))?;
    if let Some(value) = &part.literal {
        let seen = match part.sort {
            Sort::Whole => value.parse().map_or(Seen::Text(value), Seen::Int),
            Sort::Number => value.parse().map_or(Seen::Text(value), Seen::Real),
            _ => Seen::Text(value),
        };
        return literal(seen, rule).map(Some).map_err(|misfit| format!("its default `{expr}` {misfit}"));
    }
    let fits = match (part.sort, Sort::from(typ)) {
        (a, b) if a == b => true,
        (Sort::Whole, Sort::Number) => true,
        _ => false,
    };
    match (fits, part.sort, typ) {
        (true, ..) => Ok(Some(part.sql)),
        (_, Sort::Text, Type::Timestamptz | Type::Date) => {
            let is_elsewhere = matches!(rule, Rule::Moment(_, zone, _) if *zone != Zone::Utc);
            let read =
                part.meaning(Sort::from(typ)).filter(|_| typ == Type::Date || part.local == is_elsewhere);
            read.map(|read| Some(read.sql)).ok_or_else(|| no(expr))
        }
        (_, Sort::Bool, Type::Smallint | Type::Integer | Type::Bigint) => {
            Ok(Some(if part.sql == "true" { "1".to_owned() } else { "0".to_owned() }))
        }
        _ => Err(no(expr)),
    }
}

/// A value as a literal of its column.
pub fn literal(seen: Seen, rule: &Rule) -> Result<String, Misfit> {
    let (mut scratch, mut rounded) = (String::new(), String::new());
    let value = match (cell(rule, seen, &mut scratch), rule) {
        // nobody wrote it into a row: it is what the column holds of it
        (Err(Misfit::TooFine), Rule::Single | Rule::Double) => whole(rule, seen, &mut rounded)?.0,
        (value, _) => value?,
    };
    Ok(match value {
        Cell::Null => "null".to_owned(),
        Cell::Bool(flag) => flag.to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::Real(number) if number.is_finite() && *rule == Rule::Single => format!("{:?}", number as f32),
        Cell::Real(number) if number.is_finite() => format!("{number:?}"),
        Cell::Real(number) => format!("'{number}'::double precision"),
        Cell::Text(text) if matches!(rule, Rule::Number(_)) => text.to_owned(),
        Cell::Text(text) => string(text),
        Cell::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{hex}'")
        }
        Cell::Uuid(bytes) => format!("'{}'", civil::uuid(&bytes)),
        Cell::Moment(micros) => format!("'{}'", dated(civil::moment(micros))),
        Cell::Day(days) => format!("'{}'", dated(civil::day(days))),
    })
}

/// What of the present moment is meant.
enum Clock {
    Full,
    Day,
    Time,
    Seconds,
    /// By a format of `to_char`; whether it has both day and time.
    Formed(String, bool),
}

fn clock(name: &str, args: &[Expr]) -> Option<Clock> {
    let written = |arg: &Expr| match arg {
        Expr::Literal(Literal::String(text)) => Some(unquoted(text)),
        _ => None,
    };
    let now = |args: &[Expr]| match args {
        [] => true,
        [one] => written(one).is_some_and(|text| text.eq_ignore_ascii_case("now")),
        _ => false,
    };
    match (name, args) {
        ("datetime", args) if now(args) => Some(Clock::Full),
        ("date", args) if now(args) => Some(Clock::Day),
        ("time", args) if now(args) => Some(Clock::Time),
        ("unixepoch", args) if now(args) => Some(Clock::Seconds),
        ("strftime", [format, rest @ ..]) if now(rest) => {
            let format = written(format)?;
            if format == "%s" {
                return Some(Clock::Seconds);
            }
            let out = moments::formed(&format)?;
            let full = ["YYYY", "MM", "DD", "HH24", "MI"].iter().all(|part| out.contains(part));
            Some(Clock::Formed(out, full))
        }
        _ => None,
    }
}

fn now(expr: &Expr, clock: Clock, typ: Type) -> Result<String, String> {
    const UTC: &str = "now() at time zone 'utc'";
    let formed = |format: &str| format!("to_char({UTC}, {})", string(format));
    match (typ, clock) {
        (Type::Timestamptz, Clock::Full | Clock::Formed(_, true)) => Ok("now()".to_owned()),
        (Type::Timestamptz, Clock::Day) => Ok(format!("date_trunc('day', {UTC}) at time zone 'utc'")),
        (Type::Date, Clock::Day | Clock::Full | Clock::Formed(_, true)) => Ok(format!("({UTC})::date")),
        (Type::Bigint | Type::Integer | Type::Numeric(None) | Type::Double, Clock::Seconds) => {
            Ok("floor(extract(epoch from now()))::bigint".to_owned())
        }
        (Type::Text | Type::Varchar(_), clock) => match clock {
            Clock::Full => Ok(formed("YYYY-MM-DD HH24:MI:SS")),
            Clock::Day => Ok(formed("YYYY-MM-DD")),
            Clock::Time => Ok(formed("HH24:MI:SS")),
            Clock::Seconds => Ok("floor(extract(epoch from now()))::bigint::text".to_owned()),
            Clock::Formed(format, _) => Ok(formed(&format)),
        },
        (Type::Time, Clock::Time) => Ok(format!("({UTC})::time")),
        _ => Err(no(expr)),
    }
}

#[cfg(test)]
mod tests {
    use super::default;
    use crate::transfer::choose::Type;
    use crate::transfer::convert::Rule;

    #[test]
    fn defaults_keep_their_meaning() {
        let text = Rule::Text(None);
        let time = "to_char(now() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')";
        let whole = Rule::Whole(i64::MIN, i64::MAX);
        let moment = || Rule::of(Type::Timestamptz, None, &Default::default());
        for (sqlite, typ, rule, postgres) in [
            ("CURRENT_TIMESTAMP", Type::Timestamptz, moment(), Some("now()")),
            ("(datetime('now'))", Type::Text, text.clone(), Some(time)),
            ("(1+2)", Type::Bigint, whole.clone(), Some("(1::bigint + 2)")),
            ("'it''s'", Type::Text, text.clone(), Some("'it''s'")),
            ("\"dq\"", Type::Text, text.clone(), Some("'dq'")),
            ("NULL", Type::Text, text.clone(), None),
            ("TRUE", Type::Boolean, Rule::Boolean, Some("true")),
            ("1", Type::Boolean, Rule::Boolean, Some("true")),
            ("x'00ff'", Type::Bytea, Rule::Bytes, Some("'\\x00ff'::bytea")),
            ("5", Type::Text, text.clone(), Some("'5'")),
            ("-1.5", Type::Double, Rule::Double, Some("-1.5")),
            ("0.1", Type::Double, Rule::Single, Some("0.1")),
            ("'3.14159265358979323846'", Type::Double, Rule::Double, Some("3.141592653589793")),
            (
                "(strftime('%Y-%m-%dT%H:%M:%fZ','now'))",
                Type::Text,
                text.clone(),
                Some("to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"),
            ),
            ("'2024-01-02'", Type::Timestamptz, moment(), Some("'2024-01-02T00:00:00Z'")),
            ("'0000-01-01T00:00:00.000Z'", Type::Timestamptz, moment(), Some("'0001-01-01T00:00:00Z BC'")),
        ] {
            assert_eq!(
                default(sqlite, typ, &rule, None).as_ref().map(Option::as_deref),
                Ok(postgres),
                "{sqlite}"
            );
        }
        assert!(default("(hex(randomblob(4)))", Type::Text, &text, None).is_err());
        assert!(default("'abc'", Type::Bigint, &whole, None).is_err());
    }
}
