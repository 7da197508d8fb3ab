//! Bringing archived rows back into their tables: the way back of `undo = "archive"`, and of any archive at all.
//!
//! Every file is checked before its rows are used. One file is one transaction: its rows go into a temporary table
//! and from there into their own, exactly as undo rows do, with the same conflicts and exemptions.

use super::{Manifest, Written, read, verify};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Operation, Planned, Planning};
use crate::plan::{Step, Undo};
use crate::undo::from_archive::{self, Back};
use crate::undo::{Change, Remembered, installed, parents_first, put_back_all, reported_conflicts};
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
    /// It is done once more, from the first file on: an earlier way back has come to its end.
    #[serde(default)]
    again: bool,
    /// The name under which the progress of all such runs is kept.
    #[serde(default)]
    progress: String,
    /// What must be back before the undo point of the run counts as put back.
    #[serde(default)]
    closes: Option<Vec<String>>,
    /// The rows can be taken away again, so that they may come back as often as they are.
    #[serde(default)]
    undoable: bool,
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
        let archived: Vec<TableName> = manifests.iter().map(|manifest| manifest.table().clone()).collect();
        let closes = from_archive::closes(facts, &self.run, &archived)?;
        let back = self.what_is_back(&mut tasks, facts, &mut planned.findings)?;
        let names: Vec<TableName> = tasks.iter().map(|task| task.table.name.clone()).collect();
        for n in parents_first(&names, &schema) {
            tasks[n].closes = closes.clone();
            planned.steps.push(step(&tasks[n])?);
        }
        if planned.steps.is_empty() && !back.is_empty() {
            planned.skipped = Some(format!(
                "everything of `{}` was put back already, and without a key what is missing of {} cannot be told",
                self.run,
                back.join(", ")
            ));
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
        if at == 0 {
            self.begin(&task, work)?;
        }
        let scratch = work.scratch_for(&task.table, &task.columns)?;
        fill(&task, &file.name, store.as_ref(), &scratch, work)?;
        let remembered = Remembered {
            made: false,
            seq: task.seq * FILES + at as i64,
            change: Change::Delete,
            source: task.table.name.clone(),
            undo: scratch,
            key: Vec::new(),
        };
        counts.skipped += already_there(&task, &remembered.undo, work)?;
        put_back_all(&task.table, &task.columns, &remembered, work, &mut counts, &name_of(&task.run))?;
        let next = (at + 1 < task.files.len()).then(|| Cursor((at + 1).into()));
        if next.is_none() {
            self.end(&task, work)?;
        }
        Ok(Batch { counts, next })
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        reported_conflicts(facts, &name_of(&self.run))
    }

    fn checkpoint(&self, point: &str, steps: &[Step]) -> String {
        let text = |key: &str| Some(steps.first()?.task.get(key)?.as_str()?.to_owned());
        let again = steps.first().is_some_and(|step| step.task.get("again") == Some(&true.into()));
        match text("progress").filter(|name| !again && !name.is_empty()) {
            Some(name) => name,
            None => point.to_owned(),
        }
    }
}

fn name_of(run: &str) -> String {
    format!("archive:{run}")
}

impl RestoreArchive {
    /// Finds out what came back before, and how the tasks go on: where an interrupted way back stopped, or once more from the
    /// first file on, passing over what is there. Tables of which that cannot be told are left out; they are returned.
    fn what_is_back(
        &self,
        tasks: &mut Vec<Task>,
        facts: &mut dyn Facts,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<String>> {
        if self.undoable {
            return Ok(Vec::new());
        }
        let of_undo = from_archive::by_undo(facts, &self.run)?;
        let mut of_table = Vec::new();
        for task in tasks.iter() {
            of_table.push(from_archive::by_archive(facts, &self.run, &task.table.name)?);
        }
        let progress = match &self.table {
            None => name_of(&self.run),
            Some(table) => format!("{}:{table}", name_of(&self.run)),
        };
        let known = match installed(facts)? {
            true => Checkpoint::read(facts, &progress)?,
            false => None,
        };
        let any = of_undo != Back::Nothing || of_table.iter().any(|back| *back != Back::Nothing);
        let again = match &known {
            Some(known) => known.step >= tasks.len() || of_undo != Back::Nothing,
            None => any,
        };
        for task in tasks.iter_mut() {
            (task.again, task.progress) = (again, progress.clone());
        }
        if !again {
            return Ok(Vec::new());
        }
        let mut left_out = Vec::new();
        let mut tables = of_table.into_iter();
        tasks.retain(|task| {
            let own = tables.next().unwrap_or_default();
            if has_key(task) {
                return true;
            }
            let name = &task.table.name;
            let all = own == Back::All || of_undo == Back::All;
            if all {
                left_out.push(name.to_string());
            } else if own == Back::Some || of_undo == Back::Some {
                findings.push(Finding::refuse(
                    "already_back",
                    name,
                    "some of its rows were put back already, and without a key nobody can tell which",
                    "finish what was interrupted (`sexton resume`, or the undo); with `--force` rows may be there twice",
                ));
            }
            !all
        });
        Ok(left_out)
    }

    /// From now on an undo knows that this table comes back from here.
    fn begin(&self, task: &Task, work: &mut Work) -> Result<()> {
        if task.undoable {
            return Ok(());
        }
        if task.again {
            let forget = Sql::new("delete from ")
                .table(&work.dialect().own("undo_conflicts"))
                .add(&conflicts_of(task));
            work.tx().execute(&forget)?;
        }
        let now = work.now();
        from_archive::mark(work, &task.run, &task.table.name, Back::Some, now)
    }

    /// The table is back, but for rows in conflict; with the last one the undo point has nothing left to put back.
    fn end(&self, task: &Task, work: &mut Work) -> Result<()> {
        if task.undoable {
            return Ok(());
        }
        let open = Sql::new("select count(*) from ")
            .table(&work.dialect().own("undo_conflicts"))
            .add(&conflicts_of(task));
        if work.count(&open)? > 0 {
            return Ok(());
        }
        let now = work.now();
        from_archive::mark(work, &task.run, &task.table.name, Back::All, now)?;
        match &task.closes {
            Some(marks) => from_archive::close(work, &task.run, marks),
            None => Ok(()),
        }
    }

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
            again: false,
            progress: String::new(),
            closes: None,
            undoable: self.undoable,
        })
    }
}

/// Conflicts are told apart by table and file.
const FILES: i64 = 1_000_000;

fn conflicts_of(task: &Task) -> Sql {
    Sql::new(" where point = ")
        .bind(name_of(&task.run))
        .text(" and seq >= ")
        .bind(task.seq * FILES)
        .text(" and seq < ")
        .bind((task.seq + 1) * FILES)
}

fn has_key(task: &Task) -> bool {
    let key = task.table.key.as_ref();
    key.is_some_and(|key| key.columns.iter().all(|column| task.columns.contains(column)))
}

/// Takes rows out of the temporary table that are in their own just as they were; how many.
fn already_there(task: &Task, scratch: &UndoTable, work: &mut Work) -> Result<u64> {
    let Some(key) = task.table.key.as_ref().filter(|_| has_key(task)) else { return Ok(0) };
    let dialect = work.dialect();
    let pair = |column: &str| (Sql::new("t.").name(column), Sql::new("u.").name(column));
    let mut conditions = Vec::new();
    for column in &key.columns {
        let (is, was) = pair(column);
        conditions.push(is.text(" = ").add(&was));
    }
    for column in task.columns.iter().filter(|column| !key.columns.contains(column)) {
        let (is, was) = pair(column);
        conditions.push(dialect.same_of(task.table.expect_column(column)?, &is, &was));
    }
    let there = Sql::new("delete from ")
        .table(&scratch.name)
        .text(" as u where exists (select 1 from ")
        .table(&task.table.name)
        .text(" as t where ")
        .add(&Sql::join(&conditions, " and "))
        .text(")");
    work.tx().execute(&there)
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
        batches: task.files.len() as u64,
        way: format!("from {} archive files in `{}`", task.files.len(), task.store),
        task: serde_json::to_value(task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
        ..Step::default()
    })
}
