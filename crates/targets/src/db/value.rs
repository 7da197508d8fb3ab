//! A value as it travels between Sexton and a database, without loss.
//!
//! `Raw` carries a value of a type that has no counterpart here in the server's own binary form, so that
//! select → bind gives back the same bits. It deliberately knows nothing of dates: times travel as text.

use serde::{Deserialize, Serialize};

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A boolean (PostgreSQL only).
    Bool(bool),
    /// Any integer up to 64 bits.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text that is valid UTF-8.
    Text(String),
    /// Bytes; also SQLite text that is not UTF-8, see `text_bytes`.
    Blob(Vec<u8>),
    /// SQLite text that is not valid UTF-8, byte for byte.
    BrokenText(Vec<u8>),
    /// The binary form of a value of the type with this number.
    Raw {
        /// PostgreSQL's type oid.
        type_id: u32,
        /// What the server sent.
        bytes: Vec<u8>,
    },
}

impl Value {
    /// The integer, if it is one (or a boolean).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value: a boolean, or an integer other than 0.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_int().map(|number| number != 0)
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// For messages and printed statements: text quoted, bytes as hex, long values cut.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 200;
        let hex = |f: &mut std::fmt::Formatter<'_>, bytes: &[u8]| {
            write!(f, "x'")?;
            for byte in bytes.iter().take(SHOWN / 2) {
                write!(f, "{byte:02x}")?;
            }
            write!(f, "{}'", if bytes.len() > SHOWN / 2 { "…" } else { "" })
        };
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Real(number) => write!(f, "{number:?}"),
            Value::Text(text) if text.chars().count() > SHOWN => {
                write!(f, "'{}…'", text.chars().take(SHOWN).collect::<String>().replace('\'', "''"))
            }
            Value::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Value::Blob(bytes) | Value::BrokenText(bytes) | Value::Raw { bytes, .. } => hex(f, bytes),
        }
    }
}
