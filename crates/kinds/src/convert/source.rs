//! Rows as a program gets them: one JSON text each.
//!
//! Numbers keep their digits. What is no text, where text is asked for, and what no JSON can hold leaves the row as it is, or
//! fails it; neither is guessed at.

use super::task::Task;
use engine::Result;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use targets::db::{Dialect, Facts, Family, Row, Sql, Value};

/// One field of the row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name in the row.
    pub name: String,
    /// The column, where it is one.
    pub column: Option<String>,
    /// What is selected, where it is none.
    pub expression: Option<Sql>,
    /// How its value is read.
    pub form: Form,
}

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As it is.
    Plain,
    /// A text with a number in it is a number.
    Number,
    /// JSON.
    Json,
    /// A text and nothing else; a JSON column may hold one too.
    Text {
        /// It is a JSON column.
        in_json: bool,
    },
}

/// Why a row is not given to the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is left as it is.
    Skipped(&'static str),
    /// It cannot be converted.
    Failed(String),
}

/// One row.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its key.
    pub key: Row,
    /// The values of the columns that the program gets, as they left the database.
    pub given: Row,
    /// The values in the name of its file.
    pub named: Vec<Option<String>>,
    /// What the program gets.
    pub json: std::result::Result<String, Why>,
}

/// The next rows after a key.
pub fn read(
    task: &Task,
    inputs: &[Input],
    named: &[&str],
    from: Option<&Row>,
    rows: u64,
    facts: &mut dyn Facts,
) -> Result<Vec<Source>> {
    let dialect = facts.dialect();
    let mut list = Sql::new(&task.key_list(dialect));
    for input in inputs {
        list = list.text(", ").add(&input.selected(task, dialect)?);
    }
    for name in named {
        list = list.text(", cast(t.").name(name).text(" as text)");
    }
    let select = Sql::new("select ")
        .add(&list)
        .text(" from ")
        .table(&task.table.name)
        .text(" as t where ")
        .add(&task.between(from, None, dialect)?)
        .add(&task.key_order())
        .text(&format!(" limit {rows}"));
    let mut all = Vec::new();
    facts.query(&select, &mut |row| {
        all.push(source(task, inputs, row));
        Ok(())
    })?;
    Ok(all)
}

fn source(task: &Task, inputs: &[Input], mut row: Row) -> Source {
    let mut rest = row.split_off(task.key.len());
    let named = rest.split_off(inputs.len());
    let named = named.iter().map(|value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    });
    let json = document(inputs, &rest);
    let given = inputs.iter().zip(rest).filter(|(input, _)| input.column.is_some()).map(|(_, value)| value);
    Source { key: row, given: given.collect(), named: named.collect(), json }
}

impl Input {
    fn selected(&self, task: &Task, dialect: &dyn Dialect) -> Result<Sql> {
        match (&self.column, &self.expression) {
            (Some(column), _) => Ok(Sql::new(&dialect.outward(task.table.expect_column(column)?))),
            (None, Some(expression)) => Ok(expression.clone()),
            (None, None) => Ok(Sql::new("null")),
        }
    }
}

/// How values of a column are read, unless something else is said.
pub fn usual_form(family: Family) -> Form {
    match family {
        Family::Json => Form::Json,
        Family::Numeric => Form::Number,
        _ => Form::Plain,
    }
}

/// The row as an object.
fn document(inputs: &[Input], values: &[Value]) -> std::result::Result<String, Why> {
    let mut text = String::from("{");
    for (input, value) in inputs.iter().zip(values) {
        if text.len() > 1 {
            text.push(',');
        }
        put_text(&input.name, &mut text);
        text.push(':');
        put(input, value, &mut text)?;
    }
    text.push('}');
    Ok(text)
}

fn put(input: &Input, value: &Value, into: &mut String) -> std::result::Result<(), Why> {
    let failed = |what: &str| Err(Why::Failed(format!("`{}` {what}", input.name)));
    if let Form::Text { in_json } = input.form {
        return put_only_text(value, in_json, into);
    }
    match value {
        Value::Null => into.push_str("null"),
        Value::Bool(flag) => into.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(into, "{number}");
        }
        Value::Real(number) if number.is_finite() => {
            let _ = write!(into, "{number:?}");
        }
        Value::Real(_) => return failed("holds a number that JSON has no word for"),
        Value::Text(text) => match input.form {
            Form::Json if is_json(text) => into.push_str(text),
            Form::Json => return failed("holds no JSON"),
            Form::Number if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && is_json(text) => {
                into.push_str(text);
            }
            _ => put_text(text, into),
        },
        Value::Blob(_) | Value::BrokenText(_) | Value::Raw { .. } => {
            return Err(Why::Skipped("bytes, not text"));
        }
    }
    Ok(())
}

fn put_only_text(value: &Value, in_json: bool, into: &mut String) -> std::result::Result<(), Why> {
    match value {
        Value::Text(text) if in_json && text.trim_start().starts_with('"') && is_json(text) => {
            into.push_str(text)
        }
        Value::Text(text) if is_structured(text) => return Err(Why::Skipped("structured already")),
        Value::Text(text) if !in_json || !is_json(text) => put_text(text, into),
        Value::Null => return Err(Why::Skipped("no text")),
        _ => return Err(Why::Skipped("bytes or numbers, not text")),
    }
    Ok(())
}

/// A JSON object or list.
fn is_structured(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && is_json(text)
}

/// Whether a text is one JSON value, strictly: jaq's own parser takes more.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn put_text(text: &str, into: &mut String) {
    into.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
        if plain {
            continue;
        }
        into.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => into.push_str("\\\""),
            b'\\' => into.push_str("\\\\"),
            b'\n' => into.push_str("\\n"),
            b'\r' => into.push_str("\\r"),
            b'\t' => into.push_str("\\t"),
            _ => {
                let _ = write!(into, "\\u{byte:04x}");
            }
        }
    }
    into.push_str(&text[from..]);
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(form: Form) -> Input {
        Input { name: "a".into(), column: Some("a".into()), expression: None, form }
    }

    fn given(form: Form, value: Value) -> std::result::Result<String, Why> {
        document(&[input(form)], &[value])
    }

    #[test]
    fn a_text_stays_what_it_is_whatever_is_in_it() {
        let text = "a\"b\\c\n\u{1}\u{7f} ü 𝄞";
        let json = given(Form::Plain, text.into()).unwrap();
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["a"], text);
    }

    #[test]
    fn json_in_a_text_cannot_reach_beyond_its_field() {
        assert!(given(Form::Json, "1, \"b\": 2".into()).is_err());
        assert!(given(Form::Json, "1 # comment".into()).is_err());
        assert_eq!(given(Form::Json, "[1e400]".into()).unwrap(), "{\"a\":[1e400]}");
    }

    #[test]
    fn only_plain_text_is_text() {
        // S0-033
        let text = Form::Text { in_json: false };
        assert_eq!(given(text, "- a".into()).unwrap(), "{\"a\":\"- a\"}");
        assert_eq!(given(text, "12".into()).unwrap(), "{\"a\":\"12\"}");
        for value in ["{\"tasks\": []}", " [1]"] {
            assert_eq!(given(text, value.into()), Err(Why::Skipped("structured already")));
        }
        assert!(matches!(given(text, Value::Null), Err(Why::Skipped(_))));
        let json = Form::Text { in_json: true };
        assert_eq!(given(json, "\"- a\"".into()).unwrap(), "{\"a\":\"- a\"}");
        assert!(matches!(given(json, "12".into()), Err(Why::Skipped(_))));
    }
}
