//! JSON lines in zstd: the header, then one object a row, keyed by column name.
//!
//! Streams both ways: never more than one row and zstd's window in memory. The zstd frame carries its own checksum
//! and is followed by the [seal](super::seal), which `zstdcat` skips.

use super::seal::{Tail, Tally};
use super::value_json::{AsJson, from_json};
use super::{Header, Place};
use serde::Deserialize as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use targets::db::{Error, Result, Row};
use targets::files::{NewFile, failed};

/// How every zstd frame begins.
pub const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const LEVEL: i32 = 3;

pub struct Writer {
    encoder: zstd::Encoder<'static, Tally<Box<dyn NewFile>>>,
    header: Header,
    line: Vec<u8>,
}

impl Writer {
    pub fn new(file: Tally<Box<dyn NewFile>>, header: Header) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(file, LEVEL)?;
        encoder.include_checksum(true)?;
        let mut writer = Self { encoder, line: serde_json::to_vec(&header)?, header };
        writer.end_line()?;
        Ok(writer)
    }

    pub fn row(&mut self, row: &Row) -> io::Result<()> {
        use serde::Serializer as _;
        let pairs = self.header.columns.iter().zip(row).map(|(column, value)| (&column.name, AsJson(value)));
        serde_json::Serializer::new(&mut self.line).collect_map(pairs)?;
        self.end_line()
    }

    pub fn finish(self, rows: u64) -> io::Result<Tally<Box<dyn NewFile>>> {
        let mut file = self.encoder.finish()?;
        let seal = file.seal(rows);
        file.write_all(&seal.to_bytes())?;
        Ok(file)
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        self.encoder.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

/// Header, rows, bytes, checksum.
pub fn read(
    file: impl Read,
    place: &Place<'_>,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<(Header, u64, u64, String)> {
    let decoder = zstd::Decoder::new(Tail::new(file)).map_err(|error| failed(&place.doing(), error))?;
    let mut lines =
        Lines { input: BufReader::with_capacity(128 << 10, decoder), number: 0, line: Vec::new() };
    let header = match lines.next(place)? {
        Some(line) => Header::deserialize(&mut serde_json::Deserializer::from_slice(line))
            .map_err(|error| place.damaged(format!("line 1 is no header of an archive: {error}")))?,
        None => return Err(place.damaged("line 1, the header, is missing")),
    };
    place.check_version(&header)?;
    let mut rows = 0;
    while let Some(line) = lines.next(place)? {
        let row = parse(line, &header).map_err(|why| place.damaged(format!("line {}: {why}", rows + 2)))?;
        each(row)?;
        rows += 1;
    }
    let (seal, bytes, sha256) = lines.input.into_inner().finish().into_inner().into_parts();
    let last = rows + 1;
    match seal {
        Some((seal, true)) if seal.rows == rows => Ok((header, rows, bytes, sha256)),
        Some((seal, _)) if seal.rows != rows => {
            let written = seal.rows + 1;
            Err(place.damaged(format!("it ends with line {last}, but {written} lines were written")))
        }
        Some(_) => Err(place.damaged(format!("its {last} lines are not the ones that were written"))),
        None => Err(place.damaged(format!("it lacks the seal that follows the last line, {last} or later"))),
    }
}

struct Lines<R> {
    input: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; none after the last one.
    fn next(&mut self, place: &Place<'_>) -> Result<Option<&[u8]>> {
        self.number += 1;
        self.line.clear();
        self.input.read_until(b'\n', &mut self.line).map_err(|error| self.broken(place, error))?;
        match self.line.split_last() {
            None => Ok(None),
            Some((b'\n', line)) => Ok(Some(line)),
            Some(_) => Err(place.damaged(format!("line {} is cut off", self.number))),
        }
    }

    fn broken(&self, place: &Place<'_>, error: io::Error) -> Error {
        let number = self.number;
        // A store that fails says so with an operating system's number or an error of ours; zstd has neither.
        if error.raw_os_error().is_some() || error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
            return failed(&format!("{}, line {number}", place.doing()), error);
        }
        match error.kind() {
            ErrorKind::UnexpectedEof => place.damaged(format!("it is cut off in line {number}")),
            _ => place.damaged(format!("the bytes of line {number} were changed")),
        }
        .because(error)
    }
}

fn parse(line: &[u8], header: &Header) -> Result<Row, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if object.len() != header.columns.len() {
        return Err(format!("{} values for {} columns", object.len(), header.columns.len()));
    }
    object
        .into_iter()
        .zip(&header.columns)
        .map(|((name, json), column)| {
            if name != column.name {
                return Err(format!("`{name}` where column `{}` is expected", column.name));
            }
            from_json(json).map_err(|why| format!("column `{name}`: {why}"))
        })
        .collect()
}
