//! The types of PostgreSQL by their names, as a person or the catalogue writes them.

use super::choose::Type;
use super::convert::{MICROSECOND, Rule, Zone};
use super::translate::expression::Sort;
use serde_json::Value as Json;

/// How values become this type; none where the name is not known.
pub fn rule(spelled: &str, epoch: Option<i64>, zone: &Zone) -> Option<Rule> {
    let lower = spelled.trim().to_lowercase();
    let (name, sizes) = match lower.split_once('(') {
        Some((name, rest)) => {
            let (sizes, tail) = rest.split_once(')')?;
            (format!("{}{}", name.trim_end(), tail), sizes.to_owned())
        }
        None => (lower.clone(), String::new()),
    };
    let sizes: Option<Vec<i32>> = match sizes.as_str() {
        "" => Some(Vec::new()),
        sizes => sizes.split(',').map(|size| size.trim().parse().ok()).collect(),
    };
    let sizes = sizes?;
    let first = sizes.first().and_then(|size| u32::try_from(*size).ok());
    let digits = first.unwrap_or(MICROSECOND).min(MICROSECOND);
    Some(match name.as_str() {
        "boolean" | "bool" => Rule::Boolean,
        "smallint" | "int2" | "smallserial" => Rule::of(Type::Smallint, None, zone),
        "integer" | "int" | "int4" | "serial" => Rule::of(Type::Integer, None, zone),
        "bigint" | "int8" | "bigserial" => Rule::of(Type::Bigint, None, zone),
        "double precision" | "float8" | "float" => Rule::Double,
        "real" | "float4" => Rule::Single,
        "numeric" | "decimal" => Rule::Number(match sizes.as_slice() {
            [] => None,
            [_] => Some((first?, 0)),
            [_, scale, ..] => Some((first?, *scale)),
        }),
        "text" | "citext" | "name" => Rule::Text(None),
        "character varying" | "varchar" => Rule::Text(first),
        "character" | "char" => Rule::Padded(Some(first.unwrap_or(1))),
        "bpchar" => Rule::Padded(first),
        "bytea" => Rule::Bytes,
        "uuid" => Rule::Uuid,
        "timestamptz" | "timestamp with time zone" => Rule::Moment(epoch, zone.clone(), digits),
        "timestamp" | "timestamp without time zone" => Rule::Moment(epoch, Zone::Utc, digits),
        "date" => Rule::Day,
        "time" | "time without time zone" => Rule::Clock(digits),
        "interval" => Rule::Span(epoch, digits),
        "json" => Rule::Json(true),
        "jsonb" => Rule::Json(false),
        _ => return None,
    })
}

/// What such values are in expressions.
pub fn sort(rule: &Rule) -> Sort {
    match rule {
        Rule::Boolean => Sort::Bool,
        Rule::Whole(..) => Sort::Whole,
        Rule::Double | Rule::Single | Rule::Number(_) => Sort::Number,
        Rule::Text(_) | Rule::Padded(_) | Rule::Label(_) | Rule::Span(..) | Rule::Written(_) => Sort::Text,
        Rule::Clock(_) => Sort::Clock,
        Rule::Bytes => Sort::Bytes,
        Rule::Uuid | Rule::Id(_) => Sort::Uuid,
        Rule::Moment(..) => Sort::Moment,
        Rule::Day => Sort::Day,
        Rule::Json(_) => Sort::Json,
    }
}

/// The type that is made for such values, as far as a default must know.
pub fn kind(rule: &Rule) -> Option<Type> {
    Some(match rule {
        Rule::Boolean => Type::Boolean,
        Rule::Whole(..) => Type::Bigint,
        Rule::Double | Rule::Single => Type::Double,
        Rule::Number(size) => {
            Type::Numeric(size.and_then(|(precision, scale)| Some((precision, u32::try_from(scale).ok()?))))
        }
        Rule::Text(None) | Rule::Padded(None) => Type::Text,
        Rule::Text(Some(most)) | Rule::Padded(Some(most)) => Type::Varchar(*most),
        Rule::Bytes => Type::Bytea,
        Rule::Uuid | Rule::Id(_) => Type::Uuid,
        Rule::Moment(..) => Type::Timestamptz,
        Rule::Day => Type::Date,
        Rule::Clock(_) => Type::Time,
        Rule::Json(true) => Type::Json,
        Rule::Json(false) => Type::Jsonb,
        Rule::Label(_) | Rule::Span(..) | Rule::Written(_) => return None,
    })
}

/// A value of the configuration as SQLite would hold it.
pub fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(flag) => flag.to_string(),
        other => other.to_string(),
    }
}

/// A moment or a day as PostgreSQL reads it, which calls the year 0 the first one before Christ.
pub fn dated(text: String) -> String {
    match text.strip_prefix("0000-") {
        Some(rest) => format!("0001-{rest} BC"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::rule;
    use crate::transfer::convert::{Rule, Zone};

    #[test]
    fn types_are_known_by_every_usual_name() {
        let read = |spelled| rule(spelled, None, &Zone::Utc);
        assert_eq!(read("character varying(20)"), Some(Rule::Text(Some(20))));
        assert_eq!(read("NUMERIC(10, 2)"), Some(Rule::Number(Some((10, 2)))));
        assert_eq!(read("NUMERIC(5,-2)"), Some(Rule::Number(Some((5, -2)))));
        assert_eq!(read("timestamp(3) without time zone"), Some(Rule::Moment(None, Zone::Utc, 3)));
        assert_eq!(read("timestamptz"), Some(Rule::Moment(None, Zone::Utc, 6)));
        assert_eq!(read("time(0)"), Some(Rule::Clock(0)));
        assert_eq!(read("character(3)"), Some(Rule::Padded(Some(3))));
        assert_eq!(read("bpchar"), Some(Rule::Padded(None)));
        assert_eq!(read("int4"), Some(Rule::Whole(i32::MIN.into(), i32::MAX.into())));
        assert_eq!(read("text[]"), None);
    }
}
