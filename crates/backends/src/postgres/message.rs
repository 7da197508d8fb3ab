//! The protocol's messages as bytes: those that are sent are written here, those that come are taken apart.
//!
//! Nothing that comes is trusted: what is shorter than it says is an error, never a panic.

use super::errors::protocol;
use super::values;
use targets::db::{Error, Result, Value};

/// One statement of a round trip.
pub(super) struct Statement<'a> {
    pub text: &'a str,
    pub params: Vec<&'a Value>,
    /// Whether its rows are handed on and its count is returned.
    pub wanted: bool,
}

impl<'a> Statement<'a> {
    /// A statement around the one that matters.
    pub fn aside(text: &'a str) -> Self {
        Self { text, params: Vec::new(), wanted: false }
    }
}

/// A message in the making.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Begins a message of this kind; 0 for the ones before the log-in, which have no letter.
    pub fn new(tag: u8) -> Self {
        Self(vec![tag, 0, 0, 0, 0])
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn int(&mut self, number: i32) {
        self.bytes(&number.to_be_bytes());
    }

    fn count(&mut self, count: usize) -> Result<()> {
        let count = u16::try_from(count)
            .map_err(|_| Error::usage(format!("the statement has {count} parameters, more than 65535")))?;
        self.bytes(&count.to_be_bytes());
        Ok(())
    }

    pub fn text(&mut self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(
                Error::usage("the statement holds a zero byte").help("remove it: PostgreSQL cannot take it")
            );
        }
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<u8>> {
        let length = i32::try_from(self.0.len() - 1)
            .map_err(|_| Error::data("a statement with its values is larger than 2 GB"))?;
        self.0[1..5].copy_from_slice(&length.to_be_bytes());
        if self.0[0] == 0 {
            self.0.remove(0);
        }
        Ok(self.0)
    }
}

/// Parse, bind, describe, execute: always the unnamed statement.
pub(super) fn write_statement(out: &mut Vec<u8>, statement: &Statement<'_>) -> Result<()> {
    let params: Vec<_> = statement.params.iter().map(|value| values::bound(value)).collect();
    let mut parse = Message::new(b'P');
    parse.text("")?;
    parse.text(statement.text)?;
    parse.count(params.len())?;
    params.iter().for_each(|param| parse.bytes(&param.type_id.to_be_bytes()));
    out.extend(parse.finish()?);

    let mut bind = Message::new(b'B');
    bind.text("")?;
    bind.text("")?;
    bind.count(params.len())?;
    params.iter().for_each(|param| bind.bytes(&u16::from(param.binary).to_be_bytes()));
    bind.count(params.len())?;
    for param in &params {
        match &param.bytes {
            None => bind.int(-1),
            Some(bytes) => {
                let length =
                    i32::try_from(bytes.len()).map_err(|_| Error::data("a value is larger than 2 GB"))?;
                bind.int(length);
                bind.bytes(bytes);
            }
        }
    }
    bind.bytes(&[0, 1, 0, 1]);
    out.extend(bind.finish()?);

    let mut describe = Message::new(b'D');
    describe.bytes(b"P");
    describe.text("")?;
    out.extend(describe.finish()?);

    let mut execute = Message::new(b'E');
    execute.text("")?;
    execute.int(0);
    out.extend(execute.finish()?);
    Ok(())
}

/// The type numbers of a row description.
pub(super) fn column_types(body: &[u8]) -> Result<Vec<u32>> {
    let short = || protocol("a row description is too short");
    let mut rest = body.get(2..).ok_or_else(short)?;
    let mut types = Vec::new();
    while !rest.is_empty() {
        let name_end = rest.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let field = rest.get(name_end + 1..name_end + 19).ok_or_else(short)?;
        types.push(u32::from_be_bytes([field[6], field[7], field[8], field[9]]));
        rest = &rest[name_end + 19..];
    }
    Ok(types)
}

/// The fields of a data row.
pub(super) fn fields<'a, T>(
    body: &'a [u8],
    mut read: impl FnMut(usize, Option<&'a [u8]>) -> Result<T>,
) -> Result<Vec<T>> {
    let short = || protocol("a row is too short");
    let mut rest = body.get(2..).ok_or_else(short)?;
    let mut row = Vec::with_capacity(usize::from(u16::from_be_bytes([body[0], body[1]])));
    while !rest.is_empty() {
        let (length, tail) = rest.split_at_checked(4).ok_or_else(short)?;
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        rest = tail;
        let field = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (field, tail) = rest.split_at_checked(length).ok_or_else(short)?;
                rest = tail;
                Some(field)
            }
        };
        row.push(read(row.len(), field)?);
    }
    Ok(row)
}

/// `DELETE 12` → 12.
pub(super) fn rows_in_tag(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    text.trim_end_matches('\0').rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Whether the session ends with this error (`S` and `V` hold the severity, `V` untranslated).
pub(super) fn is_fatal(body: &[u8]) -> bool {
    body.split(|byte| *byte == 0).any(|field| field == b"VFATAL" || field == b"VPANIC")
}
