//! Bringing archived rows back into their tables: the way back of `undo = "archive"`, and of any archive at all.
//!
//! Every file is checked before its rows are used. One file is one transaction: its rows go into a temporary table
//! and from there into their own, exactly as undo rows do, with the same conflicts and exemptions.

use super::{Manifest, Written, read, verify};
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Operation, Planned, Planning};
use crate::plan::{Step, Undo};
use crate::undo::{Change, Remembered, parents_first, put_back_all, reported_conflicts};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Row, Sql, Table, TableName, UndoTable};

/// Rows of one statement into the temporary table; with this many columns at most, so that parameters stay within
/// what both databases take.
const MOST_PARAMETERS: usize = 30_000;

/// Brings back what one operation of one run archived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreArchive {
    /// The file store.
    pub store: String,
    /// The id under which the run archived: that of its undo point.
    pub run: String,
    /// Only this table; all when none.
    #[serde(default)]
    pub table: Option<String>,
    /// Whether the rows are remembered, so that they can be taken away again.
    #[serde(default)]
    pub undoable: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    store: String,
    run: String,
    files: Vec<Written>,
    table: Table,
    columns: Vec<String>,
    seq: i64,
}

impl Operation for RestoreArchive {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let store = planning.stores.store(&self.store)?;
        let manifests = manifests(store.as_ref(), &self.run)?;
        if manifests.is_empty() {
            return Err(Error::usage(format!(
                "there is no archive of run `{}` in `{}`",
                self.run, self.store
            ))
            .help("`sexton runs list` shows the runs; the store is named in the run's report"));
        }
        let schema = facts.schema()?;
        let undo = match self.undoable {
            true => Undo::Rows { until: planning.kept_until()?, bytes: None },
            false => Undo::NotNeeded,
        };
        let mut planned = Planned { undo: Some(undo), ..Planned::default() };
        let mut tasks = Vec::new();
        for (n, manifest) in manifests.iter().enumerate() {
            if self.table.as_ref().is_some_and(|wanted| *wanted != manifest.table().to_string()) {
                continue;
            }
            manifest.verify(store.as_ref())?;
            match schema.table(manifest.table()) {
                Some(table) => {
                    tasks.push(self.task(n, manifest, table, store.as_ref(), &mut planned.findings)?)
                }
                None => planned.findings.push(Finding::forbid(
                    "table_gone",
                    manifest.table(),
                    "the table no longer exists",
                    "make the table again, then restore",
                )),
            }
        }
        let names: Vec<TableName> = tasks.iter().map(|task| task.table.name.clone()).collect();
        for n in parents_first(&names, &schema) {
            planned.steps.push(step(&tasks[n])?);
        }
        Ok(planned)
    }

    fn act(&self, step: &Step, aim: &Cursor, _rows: u64, work: &mut Work) -> Result<Batch> {
        let task: Task = serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))?;
        let at = aim.0.as_u64().unwrap_or(0) as usize;
        let mut counts = Counts::default();
        let Some(file) = task.files.get(at) else { return Ok(Batch { counts, next: None }) };
        let store = work.store(&task.store)?;
        verify(store.as_ref(), &file.name, file)?;
        let scratch = work.scratch_for(&task.table, &task.columns)?;
        fill(&task, &file.name, store.as_ref(), &scratch, work)?;
        let remembered = Remembered {
            made: false,
            // Conflicts are told apart by file.
            seq: task.seq * 1_000_000 + at as i64,
            change: Change::Delete,
            source: task.table.name.clone(),
            undo: scratch,
            key: Vec::new(),
        };
        put_back_all(&task.table, &task.columns, &remembered, work, &mut counts, &name_of(&task.run))?;
        let next = (at + 1 < task.files.len()).then(|| Cursor((at + 1).into()));
        Ok(Batch { counts, next })
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        reported_conflicts(facts, &name_of(&self.run))
    }

    fn checkpoint(&self, _point: &str, _steps: &[Step]) -> String {
        name_of(&self.run)
    }
}

fn name_of(run: &str) -> String {
    format!("archive:{run}")
}

impl RestoreArchive {
    fn task(
        &self,
        n: usize,
        manifest: &Manifest,
        table: &Table,
        store: &dyn targets::files::Files,
        findings: &mut Vec<Finding>,
    ) -> Result<Task> {
        let files: Vec<Written> = manifest.files().iter().map(|entry| entry.written.clone()).collect();
        let mut columns = Vec::new();
        if let Some(first) = files.first() {
            let (header, _) = super::inspect(store, &first.name)?;
            columns = header.columns.into_iter().map(|column| column.name).collect();
        }
        for column in &columns {
            if !table.stored().any(|stored| stored.name == *column) {
                findings.push(Finding::forbid(
                    "column_gone",
                    &table.name,
                    format!("column `{column}` no longer exists; its values would be lost"),
                    "add the column again, then restore",
                ));
            }
        }
        Ok(Task {
            store: self.store.clone(),
            run: self.run.clone(),
            files,
            table: table.clone(),
            columns,
            seq: n as i64,
        })
    }
}

/// The manifests of a run, over all operations and tables.
fn manifests(store: &dyn targets::files::Files, run: &str) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    for file in store.list("")? {
        if !file.name.ends_with(".manifest.json") {
            continue;
        }
        let manifest = Manifest::read(store, &file.name)?;
        if manifest.run() == run {
            all.push(manifest);
        }
    }
    Ok(all)
}

/// Fills the temporary table with the rows of one file.
fn fill(
    task: &Task,
    name: &str,
    store: &dyn targets::files::Files,
    scratch: &UndoTable,
    work: &mut Work,
) -> Result<()> {
    work.empty(scratch)?;
    let portion = (MOST_PARAMETERS / task.columns.len().max(1)).clamp(1, 500);
    let mut rows: Vec<Row> = Vec::with_capacity(portion);
    let mut insert = |rows: &mut Vec<Row>| -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut tuples = Vec::with_capacity(rows.len());
        for row in rows.drain(..) {
            let mut values = Vec::with_capacity(row.len());
            for (column, value) in task.columns.iter().zip(row) {
                values.push(work.dialect().inward(task.table.expect_column(column)?, value));
            }
            tuples.push(Sql::new("(").add(&Sql::join(&values, ", ")).text(")"));
        }
        let sql = Sql::new("insert into ")
            .table(&scratch.name)
            .text(" (")
            .names("", task.columns.iter().map(String::as_str))
            .text(") values ")
            .add(&Sql::join(&tuples, ", "));
        work.fill_scratch(&sql)
    };
    read(store, name, &mut |row| {
        rows.push(row);
        if rows.len() == portion { insert(&mut rows) } else { Ok(()) }
    })?;
    insert(&mut rows)
}

fn step(task: &Task) -> Result<Step> {
    let rows = task.files.iter().map(|file| file.rows).sum();
    Ok(Step {
        id: task.table.name.to_string(),
        label: task.table.name.to_string(),
        action: "restore".to_owned(),
        object: task.table.name.to_string(),
        matched: rows,
        exact: true,
        total: None,
        total_exact: false,
        dependants: Vec::new(),
        unreadable: 0,
        exempt: 0,
        batches: task.files.len() as u64,
        way: format!("from {} archive files in `{}`", task.files.len(), task.store),
        statements: Vec::new(),
        facts: Vec::new(),
        task: serde_json::to_value(task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
    })
}
