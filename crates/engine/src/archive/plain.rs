//! Tables as files for people and other programs: JSON lines, or one JSON array; each row is an object with the names of its columns.
//!
//! The values are spelled as in archives, see [`AsJson`](super::AsJson), so that what is read back is what was written, to the bit. Streams both ways. What
//! others have written is read too, as far as it means one thing only. It knows no database; what a file is worth says a manifest.

use super::Written;
use super::names::escape;
use super::seal::{Tally, hex};
use super::value_json::{AsJson, from_json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use targets::db::{Error, Result, Row, TableName, Value};
use targets::files::{Files, NewFile, failed};

const LEVEL: i32 = 3;
const BUFFER: usize = 128 << 10;
const MEND: &str = "mend the file, or export the table again";

/// What a file of rows is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One object a line.
    #[default]
    Lines,
    /// One array of objects.
    Json,
}

/// The name of the file of a table: `agents_export.jsonl`.
pub fn table_file(table: &TableName, form: Form, packed: bool) -> String {
    let schema = table.schema.as_deref().filter(|schema| *schema != "public");
    let schema = schema.map(|schema| format!("{}.", escape(schema))).unwrap_or_default();
    let ending = match form {
        Form::Lines => "jsonl",
        Form::Json => "json",
    };
    format!("{schema}{}_export.{ending}{}", escape(&table.name), if packed { ".zst" } else { "" })
}

/// A file of rows being written.
pub struct TableWriter {
    name: String,
    doing: String,
    form: Form,
    /// `"column":` for each, as it stands in the file.
    keys: Vec<Vec<u8>>,
    rows: u64,
    sink: Sink,
    line: Vec<u8>,
}

type Out = Tally<Box<dyn NewFile>>;

enum Sink {
    Plain(Out),
    Packed(Box<zstd::Encoder<'static, Out>>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Packed(out) => out.write_all(bytes),
        }
    }
}

impl TableWriter {
    /// Begins the file `name`; a finished file of that name will be replaced.
    pub fn begin(
        store: &dyn Files,
        name: &str,
        form: Form,
        packed: bool,
        columns: &[String],
    ) -> Result<Self> {
        let doing = format!("cannot write `{name}` in `{}`", store.label());
        let file = Tally::new(store.create(name)?);
        let sink = match packed {
            false => Sink::Plain(file),
            true => {
                let packed = zstd::Encoder::new(file, LEVEL).and_then(|mut encoder| {
                    encoder.include_checksum(true)?;
                    Ok(encoder)
                });
                Sink::Packed(Box::new(packed.map_err(|error| failed(&doing, error))?))
            }
        };
        let keys = columns.iter().map(|column| format!("{}:", Json::from(column.as_str())).into_bytes());
        let keys = keys.collect();
        let mut writer =
            Self { name: name.to_owned(), doing, form, keys, rows: 0, sink, line: Vec::with_capacity(1024) };
        if form == Form::Json {
            writer.line.push(b'[');
        }
        Ok(writer)
    }

    /// Appends a row, in the order of the columns.
    pub fn row(&mut self, row: &Row) -> Result<()> {
        let separator: &[u8] = match (self.form, self.rows) {
            (Form::Lines, _) => b"",
            (Form::Json, 0) => b"\n",
            (Form::Json, _) => b",\n",
        };
        self.line.extend_from_slice(separator);
        for (n, (key, value)) in self.keys.iter().zip(row).enumerate() {
            self.line.push(if n == 0 { b'{' } else { b',' });
            self.line.extend_from_slice(key);
            serde_json::to_writer(&mut self.line, &AsJson(value))
                .map_err(|error| failed(&self.doing, error.into()))?;
        }
        self.line.push(b'}');
        if self.form == Form::Lines {
            self.line.push(b'\n');
        }
        self.rows += 1;
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        self.sink.write(&self.line).map_err(|error| failed(&self.doing, error))?;
        self.line.clear();
        Ok(())
    }

    /// Makes the file durable and visible.
    pub fn finish(mut self) -> Result<Written> {
        if self.form == Form::Json {
            self.line.extend_from_slice(b"\n]\n");
        }
        self.send()?;
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Packed(encoder) => encoder.finish().map_err(|error| failed(&self.doing, error))?,
        };
        let (file, bytes, sha256) = file.into_parts();
        file.finish()?;
        Ok(Written { name: self.name, rows: self.rows, bytes, sha256 })
    }
}

/// A file of rows being read, whatever its form.
pub struct TableReader {
    about: String,
    input: Box<dyn BufRead + Send>,
    seen: Arc<Mutex<Seen>>,
    form: Form,
    line: u64,
    rows: u64,
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    bytes: u64,
    hasher: Sha256,
}

/// Sums what is read through it.
struct Summed<R> {
    inner: R,
    seen: Arc<Mutex<Seen>>,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes += read as u64;
        seen.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

impl TableReader {
    /// Opens a file. Its first bytes decide what it is, not its name.
    pub fn open(store: &dyn Files, name: &str) -> Result<Self> {
        let about = format!("`{name}` in `{}`", store.label());
        let broken = |error| failed(&format!("cannot read {about}"), error);
        let seen = Arc::default();
        let file = Summed { inner: store.open(name)?, seen: Arc::clone(&seen) };
        let mut file = BufReader::with_capacity(BUFFER, file);
        let packed = file.fill_buf().map_err(broken)?.starts_with(super::jsonl::MAGIC);
        let mut input: Box<dyn BufRead + Send> = match packed {
            true => {
                let decoder = zstd::Decoder::with_buffer(file).map_err(broken)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            false => Box::new(file),
        };
        let first = input.fill_buf().map_err(broken)?.iter().find(|byte| !byte.is_ascii_whitespace());
        let form = if first == Some(&b'[') { Form::Json } else { Form::Lines };
        Ok(Self { about, input, seen, form, line: 0, rows: 0, buffer: Vec::new() })
    }

    /// How many rows came so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What the file is called in messages.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The next row and the line that it begins in; none after the last one.
    pub fn next_row(&mut self) -> Result<Option<(u64, Map<String, Json>)>> {
        let (there, line) = match self.form {
            Form::Lines => self.next_line(),
            Form::Json => self.next_object(),
        }?;
        if !there {
            return Ok(None);
        }
        let object = serde_json::from_slice(&self.buffer).map_err(|error| {
            self.wrong(line, &format!("is no JSON object: {}", without_place(&error.to_string())))
        })?;
        self.rows += 1;
        Ok(Some((line, object)))
    }

    /// The next line that is not empty, into the buffer.
    fn next_line(&mut self) -> Result<(bool, u64)> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let read = self.input.read_until(b'\n', &mut self.buffer);
            if read.map_err(|error| self.unreadable(error))? == 0 {
                return Ok((false, self.line));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok((true, self.line));
            }
        }
    }

    /// The next object of an array, into the buffer. What is in it is judged by whoever parses it.
    fn next_object(&mut self) -> Result<(bool, u64)> {
        self.buffer.clear();
        self.line = self.line.max(1);
        let (mut depth, mut in_text, mut escaped, mut began) = (0_u32, false, false, self.line);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) => return Err(self.unreadable(error)),
            };
            if chunk.is_empty() {
                return match depth {
                    0 if self.form == Form::Lines => Ok((false, self.line)),
                    _ => Err(self.wrong(self.line, "is cut off: the array has no end")),
                };
            }
            let mut used = 0;
            for byte in chunk {
                used += 1;
                self.line += u64::from(*byte == b'\n');
                match byte {
                    _ if depth == 0 => match byte {
                        b'{' => {
                            (depth, began) = (1, self.line);
                            self.buffer.push(b'{');
                        }
                        b']' => {
                            self.input.consume(used);
                            return self.rest_is_empty();
                        }
                        b'[' | b',' => {}
                        byte if byte.is_ascii_whitespace() => {}
                        _ => {
                            let line = self.line;
                            return Err(self.wrong(line, "is no JSON object"));
                        }
                    },
                    byte => {
                        self.buffer.push(*byte);
                        match byte {
                            _ if escaped => escaped = false,
                            b'\\' if in_text => escaped = true,
                            b'"' => in_text = !in_text,
                            b'{' if !in_text => depth += 1,
                            b'}' if !in_text => depth -= 1,
                            _ => {}
                        }
                        if depth == 0 {
                            self.input.consume(used);
                            return Ok((true, began));
                        }
                    }
                }
            }
            self.input.consume(used);
        }
    }

    /// Nothing but white space may follow the array. Reads to the end, so that the checksum is of the whole file.
    fn rest_is_empty(&mut self) -> Result<(bool, u64)> {
        self.form = Form::Lines;
        match self.next_line()? {
            (false, line) => Ok((false, line)),
            (true, line) => Err(self.wrong(line, "follows the end of the array")),
        }
    }

    /// Bytes and checksum of the file, once the last row was read.
    pub fn sum(&self) -> (u64, String) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.bytes, hex(&seen.hasher.clone().finalize()))
    }

    /// An error of a line.
    pub fn wrong(&self, line: u64, why: &str) -> Error {
        Error::data(format!("line {line} of {} {why}", self.about)).help(MEND)
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let doing = format!("cannot read {} after line {}", self.about, self.line);
        match error.raw_os_error().is_some() || error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
            true => failed(&doing, error),
            false => Error::data(format!("{doing}: it is damaged or cut off")).because(error).help(MEND),
        }
    }
}

/// The value that JSON stands for in a column. What other programs write is taken where it means one thing only: a list or an
/// object is a document, as text.
pub fn value_of(json: Json) -> std::result::Result<Value, String> {
    let ours =
        |object: &Map<String, Json>| object.len() == 1 && object.keys().all(|key| key.starts_with('$'));
    match json {
        Json::Object(object) if ours(&object) => from_json(Json::Object(object)),
        Json::Object(_) | Json::Array(_) => Ok(Value::Text(json.to_string())),
        Json::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Ok(Value::Text(number.to_string()))
        }
        json => from_json(json),
    }
}

/// The message of the parser without its own count of lines, which is of one row.
fn without_place(text: &str) -> String {
    match text.split_once(" at line ") {
        Some((what, place)) => match place.split_once("column ") {
            Some((_, column)) => format!("{what} at column {column}"),
            None => what.to_owned(),
        },
        None => text.to_owned(),
    }
}
