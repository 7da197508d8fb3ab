//! One value of a COPY, in the binary or in the text form.
//!
//! What does not fit is refused with a reason; floats take the precision of their column, everything else is exact.

use super::{moment, numeric};
use targets::db::{Cell, civil};

/// Microseconds and days between 1970 and 2000, where PostgreSQL begins to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// The binary forms that are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// The bytes of the text, as also of an enum's label.
    Text,
    Jsonb,
    Bytea,
    Uuid,
    Moment,
    Day,
    /// None: only its text form is known.
    Written,
}

/// The form of a type.
pub(super) fn form(type_id: i64, is_enum: bool) -> Form {
    match type_id {
        _ if is_enum => Form::Text,
        16 => Form::Bool,
        17 => Form::Bytea,
        20 => Form::Int8,
        21 => Form::Int2,
        23 => Form::Int4,
        // text, json, name, xml, char(n), varchar
        25 | 114 | 19 | 142 | 1042 | 1043 => Form::Text,
        700 => Form::Float4,
        701 => Form::Float8,
        1082 => Form::Day,
        1114 | 1184 => Form::Moment,
        1700 => Form::Numeric,
        2950 => Form::Uuid,
        3802 => Form::Jsonb,
        _ => Form::Written,
    }
}

/// Appends a field: its length and its bytes.
pub(super) fn write_binary(form: Form, cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let field = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    let too_long = |bytes: &[u8]| i32::try_from(bytes.len()).is_err();
    match (form, *cell) {
        (_, Cell::Null) => out.extend((-1_i32).to_be_bytes()),
        (_, Cell::Text(text)) if too_long(text.as_bytes()) => return Err("it is longer than 2 GB".to_owned()),
        (_, Cell::Bytes(bytes)) if too_long(bytes) => return Err("it is longer than 2 GB".to_owned()),
        (Form::Text, Cell::Text(text)) => field(out, text.as_bytes()),
        (Form::Int8, Cell::Int(number)) => field(out, &number.to_be_bytes()),
        (Form::Int4, Cell::Int(number)) => {
            field(out, &i32::try_from(number).map_err(|_| outside(number, "integer"))?.to_be_bytes());
        }
        (Form::Int2, Cell::Int(number)) => {
            field(out, &i16::try_from(number).map_err(|_| outside(number, "smallint"))?.to_be_bytes());
        }
        (Form::Float8, Cell::Real(number)) => field(out, &number.to_be_bytes()),
        (Form::Float8, Cell::Int(number)) => field(out, &exact(number)?.to_be_bytes()),
        (Form::Float4, Cell::Real(number)) => field(out, &narrow(number)?.to_be_bytes()),
        (Form::Float4, Cell::Int(number)) => field(out, &narrow(exact(number)?)?.to_be_bytes()),
        (Form::Bool, Cell::Bool(flag)) => field(out, &[u8::from(flag)]),
        (Form::Bytea, Cell::Bytes(bytes)) => field(out, bytes),
        (Form::Uuid, Cell::Uuid(bytes)) => field(out, &bytes),
        (Form::Moment, Cell::Moment(micros)) => field(out, &since_2000(micros)?.to_be_bytes()),
        (Form::Day, Cell::Day(days)) => {
            let days = days.checked_sub(EPOCH_DAYS).ok_or("the day is out of range")?;
            field(out, &days.to_be_bytes());
        }
        (Form::Jsonb, Cell::Text(text)) => {
            out.extend((text.len() as u32 + 1).to_be_bytes());
            out.push(1);
            out.extend_from_slice(text.as_bytes());
        }
        (Form::Numeric, Cell::Text(text)) => return number(text, out),
        (Form::Numeric, Cell::Int(whole)) => return number(&whole.to_string(), out),
        (form, cell) => return Err(format!("{} is no {}", said(&cell), wanted(form))),
    }
    Ok(())
}

fn number(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let at = out.len();
    out.extend([0; 4]);
    if !numeric::write(text, out) {
        return Err(format!("`{text}` is no decimal number"));
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn outside(number: i64, what: &str) -> String {
    format!("{number} is out of the range of {what}")
}

/// A float holds every integer up to 2^53.
fn exact(number: i64) -> Result<f64, String> {
    let real = number as f64;
    if real as i128 == i128::from(number) {
        Ok(real)
    } else {
        Err(format!("{number} cannot be a float exactly"))
    }
}

fn narrow(number: f64) -> Result<f32, String> {
    let narrow = number as f32;
    match narrow.is_infinite() && number.is_finite() {
        true => Err(format!("{number:e} is out of the range of real")),
        false => Ok(narrow),
    }
}

/// The ends of the range stand for the infinities.
fn since_2000(micros: i64) -> Result<i64, String> {
    match micros {
        i64::MAX | i64::MIN => Ok(micros),
        _ => micros.checked_sub(EPOCH_MICROS).ok_or_else(|| "the time is out of range".to_owned()),
    }
}

fn said(cell: &Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "NULL",
        Cell::Bool(_) => "a boolean",
        Cell::Int(_) => "an integer",
        Cell::Real(_) => "a float",
        Cell::Text(_) => "a text",
        Cell::Bytes(_) => "bytes",
        Cell::Uuid(_) => "a uuid",
        Cell::Moment(_) => "a time",
        Cell::Day(_) => "a date",
    }
}

fn wanted(form: Form) -> &'static str {
    match form {
        Form::Bool => "boolean",
        Form::Int2 | Form::Int4 | Form::Int8 => "integer",
        Form::Float4 | Form::Float8 => "float",
        Form::Numeric => "decimal number",
        Form::Text | Form::Written => "text",
        Form::Jsonb => "JSON",
        Form::Bytea => "value of bytes",
        Form::Uuid => "uuid",
        Form::Moment => "time",
        Form::Day => "date",
    }
}

/// Appends a field of a line.
pub(super) fn write_text(cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match *cell {
        Cell::Null => out.extend(b"\\N"),
        Cell::Bool(flag) => out.push(if flag { b't' } else { b'f' }),
        Cell::Int(number) => out.extend(number.to_string().as_bytes()),
        Cell::Real(number) if number.is_nan() => out.extend(b"NaN"),
        Cell::Real(number) if number.is_infinite() => {
            out.extend(if number > 0.0 { &b"Infinity"[..] } else { &b"-Infinity"[..] });
        }
        Cell::Real(number) => out.extend(format!("{number:e}").as_bytes()),
        Cell::Text(text) => escaped(text.as_bytes(), out),
        Cell::Bytes(bytes) => {
            out.extend(b"\\\\x");
            bytes.iter().for_each(|byte| out.extend(format!("{byte:02x}").as_bytes()));
        }
        Cell::Uuid(bytes) => bytes.iter().for_each(|byte| out.extend(format!("{byte:02x}").as_bytes())),
        Cell::Moment(i64::MAX) => out.extend(b"infinity"),
        Cell::Moment(i64::MIN) => out.extend(b"-infinity"),
        Cell::Moment(micros) => out.extend(moment::instant(micros).as_bytes()),
        Cell::Day(days) => {
            let (date, era) = date(days);
            out.extend(format!("{date}{era}").as_bytes());
        }
    }
    Ok(())
}

fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            _ => out.push(*byte),
        }
    }
}

/// The date of a day since 1970, and what follows it before the year 1.
fn date(days: i32) -> (String, &'static str) {
    match civil::date(i64::from(days)) {
        (year @ 1.., month, day) => (format!("{year:04}-{month:02}-{day:02}"), ""),
        (year, month, day) => (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC"),
    }
}
