//! Values on their way between SQLite and Sexton, bit by bit.
//!
//! Text that is not UTF-8 travels as its bytes and is bound as text again. Nothing is converted: an integer in a text
//! column is what SQLite made of it, no more.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use targets::db::{Error, Result, Seen, Value};

/// What SQLite returned, kept.
pub(super) fn from_sqlite(value: ValueRef<'_>) -> Value {
    as_seen(value).to_value()
}

/// What SQLite returned.
pub(super) fn as_seen(value: ValueRef<'_>) -> Seen<'_> {
    match value {
        ValueRef::Null => Seen::Null,
        ValueRef::Integer(number) => Seen::Int(number),
        ValueRef::Real(number) => Seen::Real(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Seen::BrokenText(bytes), Seen::Text),
        ValueRef::Blob(bytes) => Seen::Blob(bytes),
    }
}

/// A value as a parameter.
pub(super) struct Parameter<'a>(ValueRef<'a>);

impl<'a> Parameter<'a> {
    /// Refuses what only PostgreSQL has.
    pub(super) fn new(value: &'a Value) -> Result<Self> {
        Ok(Self(match value {
            Value::Null => ValueRef::Null,
            Value::Bool(flag) => ValueRef::Integer(i64::from(*flag)),
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::BrokenText(bytes) => ValueRef::Text(bytes),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Raw { type_id, .. } => {
                return Err(Error::usage(format!(
                    "SQLite cannot take a PostgreSQL value of type `{type_id}`"
                ))
                .help("select it as text on PostgreSQL first"));
            }
        }))
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}
