//! Values to and from the server's binary form, bit by bit.
//!
//! A type that has a counterpart in [`Value`] becomes it; everything else travels as [`Value::Raw`] and is bound back
//! unchanged. Text is bound without a type, so that the server reads it as whatever stands on the other side:
//! declared as `text` it would not equal a padded `char(n)` and could not be stored as `json`.

use super::errors::protocol;
use super::message::fields;
use targets::db::{Result, Row, Seen, Value};

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const NAME: u32 = 19;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const JSON: u32 = 114;
const XML: u32 = 142;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const TSQUERY: u32 = 3615;

/// A row as it came, kept.
pub(super) fn row(types: &[u32], body: &[u8]) -> Result<Row> {
    fields(body, |n, field| Ok(seen(types.get(n).copied().unwrap_or_default(), field)?.to_value()))
}

/// A row as it came.
pub(super) fn seen_row<'a>(types: &[u32], body: &'a [u8]) -> Result<Vec<Seen<'a>>> {
    fields(body, |n, field| seen(types.get(n).copied().unwrap_or_default(), field))
}

/// A value that came in the binary form of the type with this number.
pub(super) fn seen(type_id: u32, bytes: Option<&[u8]>) -> Result<Seen<'_>> {
    let Some(bytes) = bytes else { return Ok(Seen::Null) };
    let wrong = |_| protocol(&format!("a value of type {type_id} has {} bytes", bytes.len()));
    Ok(match type_id {
        BOOL => Seen::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
        INT2 => Seen::Int(i16::from_be_bytes(bytes.try_into().map_err(wrong)?).into()),
        INT4 => Seen::Int(i32::from_be_bytes(bytes.try_into().map_err(wrong)?).into()),
        INT8 => Seen::Int(i64::from_be_bytes(bytes.try_into().map_err(wrong)?)),
        OID => Seen::Int(u32::from_be_bytes(bytes.try_into().map_err(wrong)?).into()),
        FLOAT4 => Seen::Real(f32::from_be_bytes(bytes.try_into().map_err(wrong)?).into()),
        FLOAT8 => Seen::Real(f64::from_be_bytes(bytes.try_into().map_err(wrong)?)),
        BYTEA => Seen::Blob(bytes),
        // Only a database with the encoding SQL_ASCII has text that is not UTF-8.
        TEXT | VARCHAR | BPCHAR | NAME | JSON | XML => {
            std::str::from_utf8(bytes).map_or(Seen::BrokenText(bytes), Seen::Text)
        }
        _ => Seen::Raw { type_id, bytes },
    })
}

/// How a parameter is sent: its type (0: the server decides), whether its form is binary, and the bytes.
pub(super) struct Bound<'a> {
    pub type_id: u32,
    pub binary: bool,
    pub bytes: Option<std::borrow::Cow<'a, [u8]>>,
}

/// The form in which a value is sent.
pub(super) fn bound(value: &Value) -> Bound<'_> {
    let (type_id, binary, bytes) = match value {
        Value::Null => (0, false, None),
        Value::Bool(flag) => (BOOL, true, Some(vec![u8::from(*flag)].into())),
        Value::Int(number) => (INT8, true, Some(number.to_be_bytes().to_vec().into())),
        Value::Real(number) => (FLOAT8, true, Some(number.to_be_bytes().to_vec().into())),
        Value::Text(text) => (0, false, Some(text.as_bytes().into())),
        Value::BrokenText(bytes) => (0, false, Some(bytes.as_slice().into())),
        Value::Blob(bytes) => (BYTEA, true, Some(bytes.as_slice().into())),
        // The server does not read back the binary form that it gives to an empty query.
        Value::Raw { type_id: TSQUERY, bytes } if **bytes == [0; 4] => {
            (TSQUERY, false, Some((&[][..]).into()))
        }
        Value::Raw { type_id, bytes } => (*type_id, true, Some(bytes.as_slice().into())),
    };
    Bound { type_id, binary, bytes }
}
