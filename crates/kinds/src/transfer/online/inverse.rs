//! A value of the target as the source would have written it. Whether it means the same is not believed but looked at: what was
//! written is read by the rules of the way there and compared.

use super::super::canon::{Mix, found, sent};
use super::super::convert::{Rule, Zone, cell};
use super::super::spans::{self, Span};
use super::super::task::Carried;
use super::super::times;
use targets::db::{Seen, Value, civil};

/// Between 1970 and 2000, where the server begins to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// The hash of a value of the target.
pub fn hash(column: &Carried, value: &Value) -> u128 {
    let mut mix = Mix::default();
    found(&column.rule, &Seen::from(value), &mut mix);
    mix.sum()
}

/// The value for the source; `text` is how the server writes it, `like` another value of the column in the source. None where there
/// is none.
pub fn of(column: &Carried, value: &Value, text: Option<&str>, like: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    if column.jq.is_some() {
        return None;
    }
    let wanted = hash(column, value);
    let named = column.values.iter().find(|(_, to)| {
        let Some(to) = to else { return false };
        let mut scratch = String::new();
        cell(&column.rule, Seen::Text(to), &mut scratch).is_ok_and(|cell| {
            let mut mix = Mix::default();
            sent(&column.rule, &cell, &mut mix);
            mix.sum() == wanted
        })
    });
    if let Some((from, _)) = named {
        return Some(Value::Text(from.clone()));
    }
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).ok();
    let written = match (&column.rule, value) {
        (Rule::Boolean, Value::Bool(flag)) => match like {
            Value::Text(like) if like.len() == 1 => Value::from(if *flag { "t" } else { "f" }),
            Value::Text(_) => Value::from(if *flag { "true" } else { "false" }),
            _ => Value::Int(i64::from(*flag)),
        },
        (Rule::Uuid, Value::Raw { bytes, .. }) => uuid(&bytes.as_slice().try_into().ok()?, like),
        (Rule::Id(_), Value::Raw { bytes, .. }) => match text {
            Some(old) => Value::from(old),
            None => Value::Text(civil::uuid(&bytes.as_slice().try_into().ok()?)),
        },
        (Rule::Moment(unit, zone, _), Value::Raw { bytes, .. }) => {
            moment(number(bytes)?.checked_add(EPOCH_MICROS)?, *unit, zone, like)?
        }
        (Rule::Day, Value::Raw { bytes, .. }) => {
            let days = i64::from(i32::from_be_bytes(bytes.as_slice().try_into().ok()?));
            Value::Text(times::day_like(civil::date(days + EPOCH_DAYS), like.as_text().unwrap_or_default()))
        }
        (Rule::Clock(_), Value::Raw { bytes, .. }) => {
            Value::Text(clock(number(bytes)?, like.as_text().unwrap_or_default()))
        }
        (Rule::Span(unit, _), Value::Raw { bytes, .. }) => span(Span::of_bytes(bytes)?, *unit, text?, like)?,
        (Rule::Json(false), Value::Raw { bytes, .. }) => {
            Value::Text(String::from_utf8(bytes.get(1..)?.to_vec()).ok()?)
        }
        (Rule::Number(_) | Rule::Written(_), _) => Value::from(text?),
        (Rule::Padded(_), Value::Text(text)) => Value::from(text.trim_end_matches(' ')),
        (_, Value::Raw { .. } | Value::BrokenText(_)) => Value::from(text?),
        (Rule::Double | Rule::Single, Value::Int(number)) => Value::Real(*number as f64),
        (_, Value::Bool(flag)) => Value::Int(i64::from(*flag)),
        (_, value) => value.clone(),
    };
    Some(match (&column.rule, like, written) {
        (Rule::Whole(..) | Rule::Number(_) | Rule::Json(_), Value::Blob(_), Value::Int(number)) => {
            Value::Blob(number.to_string().into_bytes())
        }
        (Rule::Whole(..) | Rule::Number(_) | Rule::Json(_), Value::Blob(_), Value::Text(text)) => {
            Value::Blob(text.into_bytes())
        }
        (_, _, written) => written,
    })
}

/// Whether the server must be asked for the text of such a value.
pub fn wants_text(column: &Carried) -> bool {
    matches!(column.rule, Rule::Number(_) | Rule::Written(_) | Rule::Label(_) | Rule::Span(..))
}

/// The kinds of columns whose values are written as others of them are.
pub fn wants_like(column: &Carried) -> bool {
    matches!(
        column.rule,
        Rule::Boolean
            | Rule::Uuid
            | Rule::Moment(..)
            | Rule::Day
            | Rule::Clock(_)
            | Rule::Span(..)
            | Rule::Whole(..)
            | Rule::Number(_)
            | Rule::Json(_)
    )
}

/// A uuid, written as others of its column are.
fn uuid(bytes: &[u8; 16], like: &Value) -> Value {
    let like = match like {
        Value::Blob(_) => return Value::Blob(bytes.to_vec()),
        like => like.as_text().unwrap_or_default(),
    };
    let mut text = civil::uuid(bytes);
    if !like.is_empty() && !like.contains('-') {
        text.retain(|letter| letter != '-');
    }
    if like.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.make_ascii_uppercase();
    }
    Value::Text(if like.starts_with('{') { format!("{{{text}}}") } else { text })
}

/// A length of time, written as others of its column are; else as the server does.
fn span(span: Span, unit: Option<i64>, text: &str, like: &Value) -> Option<Value> {
    match (unit, like) {
        (Some(unit), Value::Int(_)) => {
            span.micros().filter(|micros| micros % unit == 0).map(|micros| Value::Int(micros / unit))
        }
        (Some(unit), Value::Real(_)) => span.micros().map(|micros| Value::Real(micros as f64 / unit as f64)),
        (_, like) if like.as_text().is_some_and(spans::is_moment) => {
            moment(span.micros()?, None, &Zone::Utc, like)
        }
        _ => Some(Value::from(text)),
    }
}

fn clock(micros: i64, like: &str) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    if like.len() <= "hh:mm".len() && !like.is_empty() && micros % 60_000_000 == 0 {
        return format!("{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    }
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    fraction(whole, rest, decimals(like))
}

/// How many decimals the seconds of a time have.
fn decimals(like: &str) -> usize {
    let from_minutes = like.split_once(':').map_or("", |(_, rest)| rest);
    let fraction = from_minutes.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().take_while(u8::is_ascii_digit).count()
}

fn fraction(whole: String, rest: i64, least: usize) -> String {
    let needed = match rest {
        0 => 0,
        rest if rest % 1_000 == 0 => 3,
        _ => 6,
    };
    match needed.max(least.min(6)) {
        0 => whole,
        decimals => format!("{whole}.{}", &format!("{rest:06}")[..decimals]),
    }
}

/// A moment, written as others of its column are.
fn moment(micros: i64, unit: Option<i64>, zone: &Zone, like: &Value) -> Option<Value> {
    if let (Some(unit), Value::Int(_)) = (unit, like) {
        return (micros % unit == 0).then(|| Value::Int(micros / unit));
    }
    if let (Some(unit), Value::Real(_)) = (unit, like) {
        return Some(Value::Real(micros as f64 / unit as f64));
    }
    let like = like.as_text().unwrap_or_default();
    let separator = if like.as_bytes().get(10) == Some(&b'T') { 'T' } else { ' ' };
    let zoned = times::read(like).is_some_and(|told| told.zoned);
    let shown = if zoned { micros } else { shown(zone, micros)? };
    let (days, rest) = (shown.div_euclid(86_400_000_000), shown.rem_euclid(86_400_000_000));
    let date = civil::date(days);
    if !(0..=9999).contains(&date.0) {
        return None;
    }
    let end = match (zoned, like.ends_with(['Z', 'z'])) {
        (false, _) => "",
        (true, true) => "Z",
        (true, false) => "+00:00",
    };
    Some(Value::Text(format!("{}{separator}{}{end}", times::day_like(date, like), clock(rest, like))))
}

/// What clocks of the zone showed at this moment, as microseconds.
fn shown(zone: &Zone, micros: i64) -> Option<i64> {
    match zone {
        Zone::Utc => Some(micros),
        Zone::Named(zone) => {
            let moment = jiff::Timestamp::from_microsecond(micros).ok()?;
            let offset = zone.to_offset(moment).seconds();
            micros.checked_add(i64::from(offset) * 1_000_000)
        }
    }
}
