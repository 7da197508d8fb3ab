//! The configuration file as a tree that knows where everything stands.
//!
//! Every value keeps its byte range and its full key, so that whatever is found wrong later can be shown under a caret.
//! It knows no schema and no meaning.

use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One value of the file with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// The full key, such as `operation.logs.older_than`.
    pub path: String,
    /// Where the name stands.
    pub name_span: Range<usize>,
    /// Where the value stands.
    pub span: Range<usize>,
    /// The value.
    pub value: Value,
}

/// What a value can be.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a point.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A date or time, as written.
    Time(String),
    /// Values in order.
    List(Vec<Node>),
    /// Named values, in the order of the file.
    Table(Vec<(String, Node)>),
}

/// A mistake of TOML itself.
pub struct SyntaxError {
    /// What is wrong.
    pub what: String,
    /// Where.
    pub span: Range<usize>,
}

impl Node {
    /// Reads a file. All mistakes of TOML are given, not only the first.
    pub fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors
                .iter()
                .map(|error| SyntaxError {
                    what: error.message().trim().replace('\n', ", "),
                    span: error.span().unwrap_or(0..0),
                })
                .collect());
        }
        let span = table.span();
        Ok(Node { path: String::new(), name_span: 0..0, span, value: table_value("", table.get_ref()) })
    }

    /// Reads one value, as in `--set key=value`; what is no TOML value is text.
    pub fn parse_value(path: &str, text: &str) -> Node {
        let value = match DeValue::parse(text) {
            Ok(parsed) => value_of(path, parsed.get_ref()),
            Err(_) => Value::Text(text.to_owned()),
        };
        Node { path: path.to_owned(), name_span: 0..0, span: 0..0, value }
    }

    /// A value from elsewhere than a file.
    pub fn of_json(path: &str, json: &serde_json::Value) -> Node {
        use serde_json::Value as Json;
        let inside = |name: &str, value: &Json| Node::of_json(&format!("{path}.{name}"), value);
        let value = match json {
            Json::Null => Value::Text(String::new()),
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None => Value::Float(number.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().enumerate().map(|(n, item)| inside(&n.to_string(), item)).collect())
            }
            Json::Object(entries) => Value::Table(
                entries.iter().map(|(name, value)| (name.clone(), inside(name, value))).collect(),
            ),
        };
        Node { path: path.to_owned(), name_span: 0..0, span: 0..0, value }
    }

    /// The named value of a table.
    pub fn entry(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// The named values of a table; nothing when it is none.
    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The text, when it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list; nothing when it is none.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The last part of the key.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The same without places.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Time(text) => text.clone().into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Bool(flag) => (*flag).into(),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Table(entries) => serde_json::Value::Object(
                entries.iter().map(|(name, node)| (name.clone(), node.json())).collect(),
            ),
        }
    }

    /// What a person calls this sort of value.
    pub fn sort(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a string",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Time(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// Lays another tree over this one: tables are merged, everything else is replaced.
    pub fn overlay(&mut self, over: &Node) {
        match (&mut self.value, &over.value) {
            (Value::Table(own), Value::Table(new)) => {
                for (name, node) in new {
                    match own.iter_mut().find(|(known, _)| known == name) {
                        Some((_, known)) => known.overlay(node),
                        None => own.push((name.clone(), node.clone())),
                    }
                }
            }
            _ => *self = over.clone(),
        }
    }
}

fn value_of(path: &str, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            // What does not fit into 64 bits is no sensible setting; the schema then reports the sort of value.
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Text(number.to_string()), Value::Int)
        }
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Value::Text(number.to_string()), Value::Float)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::Time(time.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .enumerate()
                .map(|(n, item)| {
                    let path = format!("{path}[{n}]");
                    let value = value_of(&path, item.get_ref());
                    Node { path, name_span: item.span(), span: item.span(), value }
                })
                .collect(),
        ),
        DeValue::Table(table) => table_value(path, table),
    }
}

fn table_value(path: &str, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<(String, Node)> = table
        .iter()
        .map(|(name, value)| {
            let path = if path.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{path}.{}", name.get_ref())
            };
            let node = Node {
                name_span: name.span(),
                span: value.span(),
                value: value_of(&path, value.get_ref()),
                path,
            };
            (name.get_ref().to_string(), node)
        })
        .collect();
    // The parser sorts by name; `--all` with `order = "as_listed"` needs the order of the file.
    entries.sort_by_key(|(_, node)| node.name_span.start);
    Value::Table(entries)
}
