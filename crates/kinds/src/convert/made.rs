//! What a program gave for a row becomes values of columns, or files; or the reason why it cannot.
//!
//! Values are judged by the columns they are for: a text is no number here, whatever the database would make of it.

use super::source::{Source, Why, is_json};
use super::task::Target;
use engine::Wish;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::{Column, Family, Row, Table, Value};
use targets::programs::Outcome;

/// An object with this key alone is counted, not written.
pub const COUNTS: &str = "$counts";

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// Values for columns, one list for each value of the program.
    Values(Vec<Row>),
    /// Files.
    Files(Vec<Wish>),
    /// Nothing: the row is left as it is, and why.
    Skipped(String),
    /// It cannot be converted, and why.
    Failed(String),
}

/// Reads what a program gave for a row.
pub fn made(
    source: &Source,
    outcome: Outcome,
    target: &Target,
    table: &Table,
    per_value: bool,
    counts: &mut BTreeMap<String, i64>,
) -> Made {
    let values = match (&source.json, outcome) {
        (Err(Why::Skipped(why)), _) => return Made::Skipped((*why).to_owned()),
        (Err(Why::Failed(why)), _) => return Made::Failed(why.clone()),
        (Ok(_), Outcome::Failed(why)) => return Made::Failed(why),
        (Ok(_), Outcome::Given(values)) => values,
    };
    if let Some(bad) = values.iter().find(|value| !is_json(value)) {
        return Made::Failed(format!("it gives `{}`, which is no JSON", shortened(bad)));
    }
    let mut results: Vec<&[String]> = Vec::new();
    let mut counted: Vec<(String, i64)> = Vec::new();
    for result in values.chunks(target.width()) {
        match counts_of(&result[0]) {
            Some(more) => counted.extend(more),
            None => results.push(result),
        }
    }
    let made = match results.len() {
        0 => Made::Skipped("nothing is given for it".to_owned()),
        1 => results_for(source, &results, target, table),
        _ if per_value => results_for(source, &results, target, table),
        several => Made::Failed(format!("it gives {several} values; with `per_value = true` each counts")),
    };
    if matches!(made, Made::Values(_) | Made::Files(_)) {
        for (name, more) in counted {
            *counts.entry(name).or_default() += more;
        }
    }
    made
}

fn results_for(source: &Source, results: &[&[String]], target: &Target, table: &Table) -> Made {
    let made = match target {
        Target::Columns(columns) => rows(results, columns, table).map(Made::Values),
        Target::Table { table, columns, .. } => rows(results, columns, table).map(Made::Values),
        Target::File { path, text, .. } => {
            let named: Vec<Option<&str>> = source.named.iter().map(Option::as_deref).collect();
            let each = results.iter().enumerate().map(|(n, result)| {
                Ok(Wish { name: path.fill(&named, n + 1)?, bytes: content(&result[0], *text)? })
            });
            each.collect::<Result<Vec<_>, String>>().map(Made::Files)
        }
    };
    made.unwrap_or_else(Made::Failed)
}

fn content(value: &str, text: bool) -> Result<Vec<u8>, String> {
    if !text {
        return match value {
            "null" => Err("it gives null".to_owned()),
            value => Ok(format!("{value}\n").into_bytes()),
        };
    }
    match serde_json::from_str::<String>(value) {
        Ok(text) => Ok(text.into_bytes()),
        Err(_) => Err(format!("it gives `{}`, which is no text", shortened(value))),
    }
}

fn rows(results: &[&[String]], columns: &[String], table: &Table) -> Result<Vec<Row>, String> {
    let row = |result: &[String]| {
        columns
            .iter()
            .zip(result)
            .map(|(name, json)| {
                let column = table.expect_column(name).map_err(|error| error.what)?;
                value(json, column).map_err(|why| format!("`{name}`: {why}"))
            })
            .collect::<Result<Row, String>>()
    };
    results.iter().map(|result| row(result)).collect()
}

/// What a program wants to be counted.
fn counts_of(value: &str) -> Option<Vec<(String, i64)>> {
    if !value.contains(COUNTS) {
        return None;
    }
    let Json::Object(object) = serde_json::from_str(value).ok()? else { return None };
    let Json::Object(counts) = object.get(COUNTS).filter(|_| object.len() == 1)? else { return None };
    Some(counts.iter().map(|(name, more)| (name.clone(), more.as_i64().unwrap_or(0))).collect())
}

/// A JSON value as one of a column.
fn value(json: &str, column: &Column) -> Result<Value, String> {
    use Family::{Any, Bool, Integer, Json, Numeric, Other, Real, Text};
    let wrong = |what: &str| Err(format!("{what} cannot be a value of type `{}`", said(&column.declared)));
    let family = column.family;
    if family == Family::Blob {
        return wrong("JSON");
    }
    match json.as_bytes().first() {
        Some(b'n') => Ok(Value::Null),
        // Elsewhere than in PostgreSQL a JSON column is a text.
        _ if family == Json => Ok(Value::Text(json.to_owned())),
        Some(b't' | b'f') => match family {
            // SQLite has 1 and 0 for them.
            Bool | Integer | Any | Other => Ok(Value::Bool(json == "true")),
            Numeric if column.declared.to_ascii_lowercase().contains("bool") => {
                Ok(Value::Bool(json == "true"))
            }
            _ => wrong("true or false"),
        },
        Some(b'"') => match (family, serde_json::from_str::<String>(json)) {
            (Integer | Real | Numeric | Bool, _) => wrong("a text"),
            (_, Ok(text)) if text.contains('\0') => wrong("a text with a zero byte"),
            (_, Ok(text)) => Ok(Value::Text(text)),
            (_, Err(error)) => Err(error.to_string()),
        },
        Some(b'[' | b'{') => match family {
            Text | Any | Other => Ok(Value::Text(json.to_owned())),
            _ => wrong("a list or an object"),
        },
        _ => match (family, json.parse::<i64>(), json.parse::<f64>()) {
            (Bool, Ok(number @ (0 | 1)), _) => Ok(Value::Bool(number == 1)),
            (Text | Bool | Family::Uuid, _, _) => wrong("a number"),
            (_, Ok(number), _) => Ok(Value::Int(number)),
            (Integer, _, _) => wrong(&format!("{json}, which is no whole number of 64 bits,")),
            (Real | Any, _, Ok(number)) => Ok(Value::Real(number)),
            // With all its digits.
            _ => Ok(Value::Text(json.to_owned())),
        },
    }
}

fn said(declared: &str) -> &str {
    if declared.is_empty() { "any" } else { declared }
}

/// A value for people.
pub fn shortened(text: &str) -> String {
    const SHOWN: usize = 120;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
