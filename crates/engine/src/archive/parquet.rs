//! Parquet: one row group, zstd, typed by the values that are really there.
//!
//! A column of one sort of value is stored as that type; a column of mixed values (SQLite allows them) as text that holds
//! each value as JSON. Which is which stands in the metadata, so that reading gives the same values. One batch is
//! held in memory, both ways. The file is checked against its [seal](super::seal) before the Parquet library
//! sees it, because a damaged file can make that library panic or ask for all memory.

use super::seal::{LENGTH, Seal, Tail, Tally};
use super::value_json::{AsJson, from_json};
use super::{ArchivedColumn, Header, Place};
use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::sync::Arc;
use targets::db::{Error, Family, Result, Row, Value};
use targets::files::{NewFile, failed};

/// How every Parquet file begins and ends.
pub const MAGIC: &[u8] = b"PAR1";
const HEADER: &str = "sexton.header";
const COLUMNS: &str = "sexton.columns";

/// How the values of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Int,
    Real,
    Bool,
    Text,
    Blob,
    Json,
}

pub struct Writer {
    file: Tally<Box<dyn NewFile>>,
    header: Header,
    rows: Vec<Row>,
}

impl Writer {
    pub fn new(file: Tally<Box<dyn NewFile>>, header: Header) -> Self {
        Self { file, header, rows: Vec::new() }
    }

    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn finish(mut self, doing: &str) -> Result<Tally<Box<dyn NewFile>>> {
        let whole = encode(&self.header, &self.rows).map_err(|error| Error::system(doing).because(error))?;
        let footer = footer_start(&whole).ok_or_else(|| Error::system(format!("{doing}: no footer")))?;
        let (body, footer) = whole.split_at(footer);
        let seal = seal_of(body, footer, self.rows.len() as u64);
        let write = seal.and_then(|seal| {
            self.file.write_all(body)?;
            self.file.write_all(&seal.to_bytes())?;
            self.file.write_all(footer)
        });
        write.map_err(|error| failed(doing, error))?;
        Ok(self.file)
    }
}

/// Header, rows, bytes, checksum.
pub fn read(
    file: impl Read,
    place: &Place<'_>,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<(Header, u64, u64, String)> {
    let mut tail = Tail::new(file);
    let mut whole = Vec::new();
    tail.read_to_end(&mut whole).map_err(|error| failed(&place.doing(), error))?;
    let (_, bytes, sha256) = tail.into_parts();

    let seal = sealed(&whole).ok_or_else(|| {
        place.damaged("its bytes do not fit the checksum in it: they were changed, or the file is cut off")
    })?;
    let spoilt =
        |error: ParquetError| place.damaged("it is sealed, but not as Sexton writes it").because(error);
    let reader = SerializedFileReader::new(Bytes::from(whole)).map_err(spoilt)?;
    let header: Header = metadata(&reader, HEADER, place)?;
    place.check_version(&header)?;
    let stored: Vec<Stored> = metadata(&reader, COLUMNS, place)?;

    let rows = seal.rows;
    let fits = stored.len() == header.columns.len()
        && stored.len() == reader.metadata().file_metadata().schema().get_fields().len();
    if !fits {
        return Err(place.damaged("its header lists other columns than it has"));
    }
    // Without columns the library counts no rows.
    let counted = reader.metadata().file_metadata().num_rows();
    if !stored.is_empty() && u64::try_from(counted) != Ok(rows) {
        return Err(place.damaged(format!("rows in it: {counted}, written: {rows}")));
    }
    let count = usize::try_from(rows).map_err(|error| place.damaged(error))?;
    let mut columns = Vec::with_capacity(stored.len());
    for (n, stored) in stored.into_iter().enumerate() {
        let values = decode(&reader, n, stored, count).map_err(spoilt)?;
        if values.len() != count {
            let name = &header.columns[n].name;
            return Err(place.damaged(format!("column `{name}` has {} of {count} values", values.len())));
        }
        columns.push(values.into_iter());
    }
    for _ in 0..rows {
        each(columns.iter_mut().filter_map(Iterator::next).collect())?;
    }
    Ok((header, rows, bytes, sha256))
}

fn encode(header: &Header, rows: &[Row]) -> ParquetResult<Vec<u8>> {
    let stored: Vec<Stored> =
        header.columns.iter().enumerate().map(|(n, column)| sort(column, n, rows)).collect();
    let fields = header.columns.iter().zip(&stored).map(|(column, stored)| field(&column.name, *stored));
    let fields = fields.collect::<ParquetResult<Vec<_>>>()?;
    let schema = Type::group_type_builder("row").with_fields(fields).build()?;
    let json = |key: &str, json: serde_json::Result<String>| {
        json.map(|json| KeyValue::new(key.to_owned(), json)).map_err(|e| ParquetError::External(e.into()))
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(concat!("sexton ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![
            json(HEADER, serde_json::to_string(header))?,
            json(COLUMNS, serde_json::to_string(&stored))?,
        ]))
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    if !rows.is_empty() && !stored.is_empty() {
        let mut group = file.next_row_group()?;
        for (n, stored) in stored.into_iter().enumerate() {
            let mut column = group
                .next_column()?
                .ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))?;
            write_column(&mut column, stored, rows, n)?;
            column.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}

/// What column `n` must be stored as to keep every value.
fn sort(column: &ArchivedColumn, n: usize, rows: &[Row]) -> Stored {
    let mut sorts = rows.iter().filter_map(|row| match &row[n] {
        Value::Null => None,
        Value::Bool(_) => Some(Stored::Bool),
        Value::Int(_) => Some(Stored::Int),
        Value::Real(_) => Some(Stored::Real),
        Value::Text(_) => Some(Stored::Text),
        Value::Blob(_) => Some(Stored::Blob),
        Value::BrokenText(_) | Value::Raw { .. } => Some(Stored::Json),
    });
    match sorts.next() {
        Some(first) if sorts.all(|other| other == first) => first,
        Some(_) => Stored::Json,
        // Nothing but NULL: the declared type, so that the files of one table fit together.
        None => match column.family {
            Family::Integer => Stored::Int,
            Family::Real => Stored::Real,
            Family::Bool => Stored::Bool,
            Family::Blob => Stored::Blob,
            _ => Stored::Text,
        },
    }
}

fn field(name: &str, stored: Stored) -> ParquetResult<Arc<Type>> {
    let (physical, logical) = match stored {
        Stored::Int => (Physical::INT64, None),
        Stored::Real => (Physical::DOUBLE, None),
        Stored::Bool => (Physical::BOOLEAN, None),
        Stored::Blob => (Physical::BYTE_ARRAY, None),
        Stored::Text | Stored::Json => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(name, physical);
    Ok(Arc::new(builder.with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build()?))
}

fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    stored: Stored,
    rows: &[Row],
    n: usize,
) -> ParquetResult<()> {
    let values = || rows.iter().map(|row| &row[n]);
    let bytes = |value: &Value| match value {
        Value::Text(text) => Some(ByteArray::from(text.as_str())),
        Value::Blob(bytes) => Some(ByteArray::from(bytes.clone())),
        _ => None,
    };
    match stored {
        Stored::Int => write_values::<Int64Type>(
            column,
            values().map(|value| match value {
                Value::Int(number) => Some(*number),
                _ => None,
            }),
        ),
        Stored::Real => write_values::<DoubleType>(
            column,
            values().map(|value| match value {
                Value::Real(number) => Some(*number),
                _ => None,
            }),
        ),
        Stored::Bool => write_values::<BoolType>(
            column,
            values().map(|value| match value {
                Value::Bool(flag) => Some(*flag),
                _ => None,
            }),
        ),
        Stored::Text | Stored::Blob => write_values::<ByteArrayType>(column, values().map(bytes)),
        Stored::Json => {
            let json = values().map(|value| match value {
                Value::Null => Ok(None),
                value => serde_json::to_vec(&AsJson(value)).map(|json| Some(ByteArray::from(json))),
            });
            let json: Vec<Option<ByteArray>> = json
                .collect::<serde_json::Result<_>>()
                .map_err(|error| ParquetError::External(error.into()))?;
            write_values::<ByteArrayType>(column, json.into_iter())
        }
    }
}

fn write_values<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> ParquetResult<()> {
    let mut there = Vec::new();
    let mut levels = Vec::new();
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    Ok(())
}

fn decode(
    reader: &SerializedFileReader<Bytes>,
    n: usize,
    stored: Stored,
    rows: usize,
) -> ParquetResult<Vec<Value>> {
    let wrong = |why: String| ParquetError::General(why);
    if rows == 0 {
        return Ok(Vec::new());
    }
    let text = |bytes: ByteArray| bytes.as_utf8().map(str::to_owned);
    match (stored, reader.get_row_group(0)?.get_column_reader(n)?) {
        (Stored::Int, ColumnReader::Int64ColumnReader(column)) => {
            read_values(column, rows, |number| Ok(Value::Int(number)))
        }
        (Stored::Real, ColumnReader::DoubleColumnReader(column)) => {
            read_values(column, rows, |number| Ok(Value::Real(number)))
        }
        (Stored::Bool, ColumnReader::BoolColumnReader(column)) => {
            read_values(column, rows, |flag| Ok(Value::Bool(flag)))
        }
        (Stored::Blob, ColumnReader::ByteArrayColumnReader(column)) => {
            read_values(column, rows, |bytes| Ok(Value::Blob(bytes.data().to_vec())))
        }
        (Stored::Text, ColumnReader::ByteArrayColumnReader(column)) => {
            read_values(column, rows, |bytes| text(bytes).map(Value::Text))
        }
        (Stored::Json, ColumnReader::ByteArrayColumnReader(column)) => read_values(column, rows, |bytes| {
            let json = serde_json::from_slice(bytes.data()).map_err(|error| wrong(error.to_string()))?;
            from_json(json).map_err(wrong)
        }),
        (stored, _) => Err(wrong(format!("column {n} is not stored as {stored:?}"))),
    }
}

fn read_values<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    rows: usize,
    value: impl Fn(T::T) -> ParquetResult<Value>,
) -> ParquetResult<Vec<Value>> {
    let mut levels = Vec::with_capacity(rows);
    let mut there = Vec::new();
    while levels.len() < rows {
        let (read, _, _) = column.read_records(rows - levels.len(), Some(&mut levels), None, &mut there)?;
        if read == 0 {
            break;
        }
    }
    let mut there = there.into_iter();
    levels
        .into_iter()
        .map(|level| match level {
            0 => Ok(Value::Null),
            _ => there.next().map_or_else(|| Err(ParquetError::EOF("a value is missing".to_owned())), &value),
        })
        .collect()
}

fn metadata<T: serde::de::DeserializeOwned>(
    reader: &SerializedFileReader<Bytes>,
    key: &str,
    place: &Place<'_>,
) -> Result<T> {
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let pair = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key));
    let json = pair.and_then(|pair| pair.value.as_deref());
    let json = json.ok_or_else(|| place.damaged(format!("its metadata lack `{key}`")))?;
    serde_json::from_str(json).map_err(|error| place.damaged(format!("`{key}` in its metadata: {error}")))
}

/// Where the footer begins: footer, its length, magic end the file.
fn footer_start(whole: &[u8]) -> Option<usize> {
    let (rest, end) = whole.split_last_chunk::<8>()?;
    let (length, magic) = end.split_first_chunk::<4>()?;
    if magic != MAGIC {
        return None;
    }
    rest.len().checked_sub(u32::from_le_bytes(*length) as usize)
}

/// The seal before the footer, if it fits all other bytes.
fn sealed(whole: &[u8]) -> Option<Seal> {
    let footer = footer_start(whole)?;
    let at = footer.checked_sub(LENGTH)?;
    let seal = Seal::from_bytes(&whole[at..footer])?;
    let fitting = seal_of(&whole[..at], &whole[footer..], seal.rows).ok()?;
    (seal == fitting).then_some(seal)
}

fn seal_of(body: &[u8], footer: &[u8], rows: u64) -> std::io::Result<Seal> {
    let mut sum = Tally::new(std::io::sink());
    sum.write_all(body)?;
    sum.write_all(footer)?;
    Ok(sum.seal(rows))
}
