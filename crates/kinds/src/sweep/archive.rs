//! Rows that leave the database go to a file first: written, synced, read back and compared, all before the commit.

use super::policy::ArchiveFormat;
use super::task::Archive;
use engine::archive::{ArchivedColumn, Format, Header, Writer, file_name, verify};
use engine::{Error, Result, Rows, Work};
use targets::db::Sql;

/// Writes the rows to a file of their own, named by run, table and batch, so that a repeated batch overwrites it. How
/// many were written.
pub fn write_archive(archive: &Archive, rows: &Rows, work: &mut Work) -> Result<u64> {
    let store = work.store(&archive.store)?;
    let table = rows.table;
    let columns: Vec<_> = table.stored().collect();
    let dialect = work.dialect();
    let select: Vec<String> = columns.iter().map(|column| dialect.outward(column)).collect();
    let select = Sql::new(&format!("select {} from ", select.join(", ")))
        .table(&table.name)
        .text(" as t where ")
        .add(&rows.condition);
    let format = match archive.format {
        ArchiveFormat::Jsonl => Format::JsonLines,
        ArchiveFormat::Parquet => Format::Parquet,
    };
    let number = work.next_file();
    let name = file_name(format, &archive.operation, &table.name, work.point(), number);
    let header = Header {
        schema_version: engine::archive::SCHEMA_VERSION,
        run: work.point().to_owned(),
        operation: archive.operation.clone(),
        database: archive.database.clone(),
        engine: dialect.name().to_owned(),
        table: table.name.clone(),
        columns: columns
            .iter()
            .map(|column| ArchivedColumn {
                name: column.name.clone(),
                declared: column.declared.clone(),
                family: column.family,
            })
            .collect(),
        batch: work.batch() as u64,
        created_at: work.now().to_string(),
    };
    let mut writer = Writer::begin(store.as_ref(), &name, format, header)?;
    let read = work.query(&select, &mut |row| writer.row(row))?;
    let written = writer.finish()?;
    if written.rows != read {
        return Err(Error::data(format!(
            "{read} rows of `{}` were read but {} archived",
            table.name, written.rows
        )));
    }
    verify(store.as_ref(), &name, &written)?;
    work.archived(&archive.store, &table.name, written)?;
    Ok(read)
}
