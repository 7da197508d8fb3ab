//! Single rows of a backup brought back into a live table: those that are missing there, and only those.
//!
//! They go through an archive file, and from there the way of every archive: checked, in batches, with conflicts reported
//! and never overwritten.

use super::manifest::Backup;
use super::newer::{hashes, selected, stored};
use super::restore::Revived;
use crate::archive::{ArchivedColumn, Format, Header, Manifest, SCHEMA_VERSION, Writer, file_name};
use crate::digest::row_hash;
use crate::engine::Engine;
use crate::error::{Error, Failure};
use crate::request::Request;
use targets::db::{Row, Table};

/// The name under which the archive files lie.
const OPERATION: &str = "backup-rows";
/// Rows of one file, and so of one transaction.
const ROWS: u64 = 10_000;

/// What is to be brought back.
pub struct MissingRows {
    /// Rows of the backup that were looked at.
    pub looked_at: u64,
    /// Those whose key is not in the live table.
    pub missing: u64,
    /// The request that brings them back; none when there are none.
    pub request: Option<Request>,
}

impl Engine {
    /// Finds the rows of one table of a backup that are missing in the live database, all or those that satisfy a
    /// condition (over `t`), and prepares their return.
    pub fn missing_rows(
        &self,
        revived: &Revived<'_>,
        table: &str,
        condition: Option<&str>,
        actor: &str,
    ) -> Result<MissingRows, Failure> {
        let backup = revived.backup();
        let mut live = revived.live().read()?;
        let mut old = revived.database()?.read()?;
        let (now, then) = (live.schema()?, old.schema()?);
        let (here, there) = (now.find(table)?, then.find(table)?);
        let columns = stored(there);
        for column in &columns {
            if here.column(column).is_none() {
                return Err(Error::usage(format!("`{}` has no column `{column}` any more", here.name))
                    .help("add the column again, then restore")
                    .into());
            }
        }
        let key = here.key.as_ref().map_or_else(|| columns.clone(), |key| key.columns.clone());
        let present = hashes(live.as_mut(), here, &key)?;
        let mut select = selected(old.as_ref(), there, &columns)?;
        if let Some(condition) = condition {
            select = select.text(" where ").text(condition);
        }
        let run = crate::engine::new_id();
        let store_name = self.backup_policy()?.store.clone();
        let store = self.stores().store(&store_name)?;
        let mut files = Files {
            backup,
            table: there,
            columns: &columns,
            run: &run,
            now: self.clock().now().to_string(),
            store: store.as_ref(),
            manifest: Manifest::new(OPERATION, &here.name, &run),
            writer: None,
            rows: 0,
        };
        let places: Vec<usize> =
            key.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect();
        if places.len() != key.len() {
            return Err(Error::usage(format!(
                "the key of `{}` is another one than in the backup",
                here.name
            ))
            .help("restore the whole backup beside it: `sexton backup restore ID --into NAME`")
            .into());
        }
        let (mut looked_at, mut missing) = (0, 0);
        old.query(&select, &mut |row| {
            looked_at += 1;
            let key: Row = places.iter().map(|place| row[*place].clone()).collect();
            if present.binary_search(&row_hash(&key)).is_err() {
                missing += 1;
                files.add(row)?;
            }
            Ok(())
        })
        .map_err(|error| match condition {
            Some(condition) => error.while_doing(&format!("looking for `{condition}` in the backup")),
            None => error,
        })?;
        files.finish()?;
        let request = (missing > 0).then(|| self.rows_request(&store_name, &run, backup, actor));
        Ok(MissingRows { looked_at, missing, request })
    }
}

/// The archive files being written.
struct Files<'a> {
    backup: &'a Backup,
    table: &'a Table,
    columns: &'a [String],
    run: &'a str,
    now: String,
    store: &'a dyn targets::files::Files,
    manifest: Manifest,
    writer: Option<Writer>,
    rows: u64,
}

impl Files<'_> {
    fn add(&mut self, row: Row) -> crate::error::Result<()> {
        if self.rows.is_multiple_of(ROWS) {
            self.close()?;
            self.writer = Some(self.begin()?);
        }
        self.rows += 1;
        match &mut self.writer {
            Some(writer) => writer.row(row),
            None => Ok(()),
        }
    }

    fn begin(&self) -> crate::error::Result<Writer> {
        let batch = self.rows / ROWS + 1;
        let mut columns = Vec::new();
        for name in self.columns {
            let column = self.table.expect_column(name)?;
            columns.push(ArchivedColumn {
                name: column.name.clone(),
                declared: column.declared.clone(),
                family: column.family,
            });
        }
        let header = Header {
            schema_version: SCHEMA_VERSION,
            run: self.run.to_owned(),
            operation: OPERATION.to_owned(),
            database: self.backup.database.clone(),
            engine: self.backup.engine.clone(),
            table: self.table.name.clone(),
            columns,
            batch,
            created_at: self.now.clone(),
        };
        let name = file_name(Format::JsonLines, OPERATION, &self.table.name, self.run, batch);
        Writer::begin(self.store, &name, Format::JsonLines, header)
    }

    fn close(&mut self) -> crate::error::Result<()> {
        if let Some(writer) = self.writer.take() {
            self.manifest.add(writer.finish()?);
        }
        Ok(())
    }

    fn finish(mut self) -> crate::error::Result<()> {
        self.close()?;
        match self.rows {
            0 => Ok(()),
            _ => self.manifest.write(self.store),
        }
    }
}
