//! Rows in bulk, on their way from one database into another: looked at where they lie, written as they come.
//!
//! [`Seen`] borrows from the database's own buffer, so that reading a row allocates nothing. A [`Cell`] says what a value
//! means for the column that takes it; how that is spelled is the back end's business. Neither knows of mappings, checks or
//! batches.

use super::{Result, TableName, Value};

/// A value where the database has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen<'a> {
    /// SQL NULL.
    Null,
    /// A boolean (PostgreSQL only).
    Bool(bool),
    /// Any integer up to 64 bits.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text that is valid UTF-8.
    Text(&'a str),
    /// Text that is not.
    BrokenText(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
    /// The binary form of a value of the type with this number.
    Raw {
        /// PostgreSQL's type oid.
        type_id: u32,
        /// What the server sent.
        bytes: &'a [u8],
    },
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Seen::Null,
            Value::Bool(flag) => Seen::Bool(*flag),
            Value::Int(number) => Seen::Int(*number),
            Value::Real(number) => Seen::Real(*number),
            Value::Text(text) => Seen::Text(text),
            Value::BrokenText(bytes) => Seen::BrokenText(bytes),
            Value::Blob(bytes) => Seen::Blob(bytes),
            Value::Raw { type_id, bytes } => Seen::Raw { type_id: *type_id, bytes },
        }
    }
}

impl Seen<'_> {
    /// The same, kept.
    pub fn to_value(self) -> Value {
        match self {
            Seen::Null => Value::Null,
            Seen::Bool(flag) => Value::Bool(flag),
            Seen::Int(number) => Value::Int(number),
            Seen::Real(number) => Value::Real(number),
            Seen::Text(text) => Value::Text(text.to_owned()),
            Seen::BrokenText(bytes) => Value::BrokenText(bytes.to_vec()),
            Seen::Blob(bytes) => Value::Blob(bytes.to_vec()),
            Seen::Raw { type_id, bytes } => Value::Raw { type_id, bytes: bytes.to_vec() },
        }
    }
}

/// A value for the column that takes it. What does not fit the column's type is an error of class data that names the
/// column; nothing is rounded, cut or guessed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// For boolean columns.
    Bool(bool),
    /// For integer, float and numeric columns.
    Int(i64),
    /// For float columns.
    Real(f64),
    /// For text columns of any kind, and for every other type in its text form, as a literal of that type is written.
    Text(&'a str),
    /// For columns of bytes.
    Bytes(&'a [u8]),
    /// For uuid columns.
    Uuid([u8; 16]),
    /// For times with and without a zone: microseconds since 1970 in UTC.
    Moment(i64),
    /// For dates: days since 1970.
    Day(i32),
}

/// Rows on their way into one table. Dropped before [`Loader::finish`], the transaction has failed.
pub trait Loader {
    /// The next row, one cell for each column that was named.
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()>;
    /// Everything is there; the number of rows that went in.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// Where rows go.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// The table.
    pub table: &'a TableName,
    /// The columns that get values, in the order of the cells; the others get their defaults.
    pub columns: &'a [String],
}
