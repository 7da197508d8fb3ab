//! `export`: tables as files, one for each, that any program can read and `import` brings back to the bit.
//!
//! It only reads: all tables at one moment, row by row, whatever their size. Files appear whole or not at all, and the manifest
//! comes last: what has none is no export. It knows nothing of what the rows are for; a copy of the whole database is `backup`.

mod manifest;
mod options;

pub use manifest::{Exported, MANIFEST, Manifest, inside};

use engine::archive::{TableReader, TableWriter, Written, table_file};
use engine::words::{of, rows};
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, RowSum,
    Severity, Step, Stores, Undo, Work,
};
use manifest::Described;
use options::Options;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use targets::db::{Facts, Schema, Sql, Table, TableKind};

/// So many rows are told of at a time.
const PART: u64 = 20_000;

/// The catalogue entry.
pub struct Export;

impl Kind for Export {
    fn name(&self) -> &'static str {
        "export"
    }

    fn title(&self) -> &'static str {
        "Write tables to files, as JSON"
    }

    fn about(&self) -> &'static str {
        "One file for each table: a JSON object for each row, with the names of its columns. All tables are read at one moment, row \
         by row, while others go on working. Nothing is lost: what JSON cannot say is spelled so that `sexton import` brings back \
         every value to the bit. A manifest has rows, bytes and checksums."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Backup
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Exporting { options: Options::read(options)?, done: RefCell::default() }))
    }
}

struct Exporting {
    options: Options,
    done: RefCell<Vec<Exported>>,
}

/// What a step needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    /// The rows of a table into its file.
    Rows {
        /// The table.
        table: Box<Table>,
        /// The file.
        file: String,
        /// Only rows of its own: those that inherit from it have columns of their own.
        only: bool,
    },
    /// The manifest.
    Manifest(Described),
}

impl Operation for Exporting {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let store = planning.stores.store(&self.options.store)?;
        let schema = facts.schema()?;
        let mut planned = Planned { undo: Some(Undo::NotNeeded), ..Planned::default() };
        let name = self.options.place(MANIFEST);
        if !self.options.replace && store.look(&name)?.is_some() {
            planned.findings.push(Finding::forbid(
                "export_there",
                store.place(&name),
                "there is an export already",
                "name another folder, or write over it with `--replace` (`replace = true`)",
            ));
        }
        for table in self.chosen(&schema, &mut planned.findings)? {
            let file =
                self.options.place(&table_file(&table.name, self.options.format, self.options.compress));
            let (matched, exact) = match table.rows_estimate {
                Some(rows) => (rows, false),
                None => (facts.count(&Sql::new("select count(*) from ").table(&table.name))?, true),
            };
            let only = table.kind != TableKind::Partitioned && !table.children.is_empty();
            planned.steps.push(Step {
                id: table.name.to_string(),
                label: table.name.to_string(),
                action: "export".to_owned(),
                object: table.name.to_string(),
                matched,
                exact,
                batches: matched.div_ceil(PART),
                way: "one read of the whole table".to_owned(),
                facts: vec![("file".to_owned(), store.place(&file))],
                // an empty table has a file too
                task: task(&Task::Rows { table: Box::new(table.clone()), file, only })?,
                ..Step::default()
            });
        }
        let server = facts.server()?;
        let described = Described {
            engine: server.engine,
            server: server.version,
            database: planning.request.database.clone(),
            taken_at: planning.now,
        };
        planned.steps.push(Step {
            id: MANIFEST.to_owned(),
            label: "the manifest".to_owned(),
            action: "export".to_owned(),
            object: store.place(&name),
            way: "rows, bytes and checksums of all files, written last".to_owned(),
            task: task(&Task::Manifest(described))?,
            ..Step::default()
        });
        Ok(planned)
    }

    fn only_reads(&self) -> bool {
        true
    }

    fn read_out(
        &self,
        step: &Step,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
        each: &mut dyn FnMut(Counts) -> Result<bool>,
    ) -> Result<()> {
        let store = stores.store(&self.options.store)?;
        let task = serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))?;
        match task {
            Task::Rows { table, file, only } => {
                let columns: Vec<String> = table.stored().map(|column| column.name.clone()).collect();
                let mut writer = TableWriter::begin(
                    store.as_ref(),
                    &file,
                    self.options.format,
                    self.options.compress,
                    &columns,
                )?;
                let spelled: Vec<String> =
                    table.stored().map(|column| facts.dialect().outward(column)).collect();
                let only = if only { "only " } else { "" };
                let select = Sql::new(&format!("select {} from {only}", spelled.join(", ")))
                    .table(&table.name)
                    .text(" as t");
                let (mut part, mut sum) = (0, RowSum::default());
                let read = facts.query(&select, &mut |row| {
                    sum.add(&row);
                    writer.row(&row)?;
                    part += 1;
                    if part == PART && !each(exported(std::mem::take(&mut part)))? {
                        return Err(Error::system("it was stopped").code(STOPPED));
                    }
                    Ok(())
                });
                match read {
                    Err(error) if error.code.as_deref() == Some(STOPPED) => return Ok(()),
                    read => read?,
                };
                let written = writer.finish()?;
                self.done.borrow_mut().push(Exported::of(&table, written, sum.digest()));
                each(exported(part)).map(drop)
            }
            Task::Manifest(described) => {
                let tables = self.done.borrow().clone();
                Manifest::new(described, tables).write(store.as_ref(), &self.options.place(MANIFEST))
            }
        }
    }

    fn act(&self, _step: &Step, _aim: &Cursor, _rows: u64, _work: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn result(&self, done: &Done, _facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let tables = self.done.borrow();
        let all: u64 = tables.iter().map(|table| table.file.rows).sum();
        let place = done.steps.last().map_or("", |step| step.object.as_str());
        let into = place.strip_suffix(MANIFEST).unwrap_or(place).trim_end_matches('/');
        let message = format!("{} of {} in {into}", rows(all), of(tables.len() as u64, "table", "tables"));
        Ok(Some(json!({ "message": message, "manifest": place, "tables": *tables })))
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// The code of the error that ends the reading of a table, where it was asked to.
const STOPPED: &str = "stopped";

fn exported(rows: u64) -> Counts {
    Counts { archived: rows, ..Counts::default() }
}

fn task(task: &Task) -> Result<serde_json::Value> {
    serde_json::to_value(task).map_err(|error| Error::system("the plan cannot be written").because(error))
}

impl Exporting {
    /// The tables whose rows are written, in the order of their names. What has no rows of its own is left out and told.
    fn chosen<'a>(&self, schema: &'a Schema, findings: &mut Vec<Finding>) -> Result<Vec<&'a Table>> {
        let without: Vec<&Table> =
            self.options.without.iter().map(|name| schema.find(name)).collect::<Result<_>>()?;
        let named: Vec<&Table> = match self.options.tables.is_empty() {
            true => schema.tables.iter().filter(|table| !is_partition(table, schema)).collect(),
            false => self.options.tables.iter().map(|name| schema.find(name)).collect::<Result<_>>()?,
        };
        let mut chosen: Vec<&Table> = Vec::new();
        for table in named {
            let has_rows =
                matches!(table.kind, TableKind::Ordinary | TableKind::WithoutRowid | TableKind::Partitioned);
            if without.iter().chain(&chosen).any(|known| known.name == table.name) {
                continue;
            }
            if !has_rows && !self.options.tables.is_empty() {
                return Err(Error::usage(format!("`{}` has no rows of its own to export", table.name))
                    .help("name the tables that its rows come from"));
            }
            match has_rows && table.stored().next().is_some() {
                true => chosen.push(table),
                false if table.kind == TableKind::View => {}
                false => findings.push(Finding::note(
                    "left_out",
                    &table.name,
                    "it has no rows of its own and is left out",
                    "",
                )),
            }
        }
        if chosen.is_empty() {
            return Err(Error::usage("there is no table to export").help("name tables that are there"));
        }
        Ok(chosen)
    }
}

/// Whether its rows are those of a table above it.
fn is_partition(table: &Table, schema: &Schema) -> bool {
    let above = |name| schema.table(name).is_some_and(|above: &Table| above.kind == TableKind::Partitioned);
    table.parents.iter().any(above)
}

/// Reads a file from its first to its last row, and compares it with what was written.
pub fn reread(
    reader: &mut TableReader,
    expected: Option<&Written>,
    each: &mut dyn FnMut(u64, serde_json::Map<String, serde_json::Value>) -> Result<()>,
) -> Result<u64> {
    while let Some((line, object)) = reader.next_row()? {
        each(line, object)?;
    }
    let (bytes, sha256) = reader.sum();
    match expected {
        Some(expected) if (expected.bytes, &expected.sha256) != (bytes, &sha256) => {
            Err(Error::data(format!("{} is not what was exported", reader.about()))
                .help("bring the right file back; one that was changed on purpose is named in `files`, without its manifest"))
        }
        _ => Ok(reader.rows()),
    }
}
