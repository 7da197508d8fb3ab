//! One batch of accounts: lock them, archive them with everything that hangs on them, handle the dependants, then the
//! accounts themselves; all in the open transaction.

use super::document;
use super::hanging::Hanging;
use super::options::{ArchiveTable, Policy};
use crate::sweep::{Archive, Setting, write_archive};
use engine::words::of;
use engine::{Batch, Counts, Cursor, Error, Finding, Result, Rows, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use targets::db::{EpochUnit, Facts, Sql, Table, Value};

/// The most accounts of one transaction.
pub const MOST: u64 = 200;

/// What a step needs to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The table of accounts.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// The column that tells accounts apart.
    pub key: String,
    /// Which accounts, over `t`.
    pub condition: Sql,
    /// The new values, expressions over `t`; none when accounts are deleted.
    pub changes: Option<Vec<(String, Sql)>>,
    /// What hangs on them.
    pub tree: Vec<Hanging>,
    /// The table in which they are kept.
    pub archive_table: Option<(Table, ArchiveTable)>,
    /// The files in which they are kept.
    pub archive: Option<Archive>,
    /// The zone of times that have none.
    pub zone: String,
}

impl Task {
    /// From the plan.
    pub fn read(step: &Step) -> Result<Task> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }

    /// Into the plan.
    pub fn write(&self, mut step: Step) -> Result<Step> {
        step.task = serde_json::to_value(self)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?;
        Ok(step)
    }
}

/// Does one batch.
pub fn act(step: &Step, rows: u64, work: &mut Work) -> Result<Batch> {
    let task = Task::read(step)?;
    let most = rows.clamp(1, MOST);
    let mut counts = Counts::default();
    let mut full = false;
    for leaf in &task.leaves {
        let wanted =
            Rows { limit: Some(most), skip_locked: false, ..Rows::all(leaf, task.condition.clone()) };
        let chosen = work.choose(&wanted, &[])?;
        if chosen.rows == 0 {
            continue;
        }
        full |= chosen.rows == most;
        // By their keys: a relation may change accounts themselves, and then they lie elsewhere.
        let accounts = keys(&task, leaf, &work.dialect().chosen(leaf, &chosen.table), work)?;
        let here = among(&task, &accounts, work)?;
        archive(&task, leaf, &here, accounts, work, &mut counts)?;
        clear(&task.tree, leaf, &here, work, &mut counts)?;
        let own = Rows::all(leaf, here);
        match &task.changes {
            Some(changes) => counts.changed += work.change(&own, changes)?,
            None => counts.deleted += work.delete(&own)?,
        }
    }
    Ok(Batch { counts, next: full.then(|| Cursor(Json::Null)) })
}

fn keys(task: &Task, leaf: &Table, here: &Sql, work: &mut Work) -> Result<Vec<Value>> {
    let key = task.table.expect_column(&task.key)?;
    let select = Sql::new(&format!("select {} from ", work.dialect().outward(key)))
        .table(&leaf.name)
        .text(" as t where ")
        .add(here);
    let mut accounts: Vec<Value> = Vec::new();
    work.query(&select, &mut |row| {
        accounts.extend(row.into_iter().next());
        Ok(())
    })?;
    Ok(accounts)
}

/// The condition, over `t`, for these accounts.
fn among(task: &Task, accounts: &[Value], work: &Work) -> Result<Sql> {
    let key = task.table.expect_column(&task.key)?;
    let values: Vec<Sql> =
        accounts.iter().map(|account| work.dialect().inward(key, account.clone())).collect();
    Ok(Sql::new("t.").name(&task.key).text(" in (").add(&Sql::join(&values, ", ")).text(")"))
}

/// Writes the accounts and what hangs on them to the archive, or to both.
fn archive(
    task: &Task,
    leaf: &Table,
    here: &Sql,
    accounts: Vec<Value>,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<()> {
    if let Some((table, said)) = &task.archive_table {
        counts.archived += to_table(task, table, said, accounts, work)?;
    }
    if let Some(archive) = &task.archive {
        let mut written = write_archive(archive, &Rows::all(leaf, here.clone()), work)?;
        written += to_files(archive, &task.tree, leaf, here, work)?;
        if task.archive_table.is_none() {
            counts.archived += written;
        }
    }
    Ok(())
}

fn to_files(
    archive: &Archive,
    tree: &[Hanging],
    parent: &Table,
    condition: &Sql,
    work: &mut Work,
) -> Result<u64> {
    let mut written = 0;
    for hanging in tree {
        let own = hanging.of(parent, condition);
        if hanging.policy.archives() {
            for leaf in &hanging.leaves {
                written += write_archive(archive, &Rows::all(leaf, own.clone()), work)?;
            }
        }
        written += to_files(archive, &hanging.below, &hanging.table, &own, work)?;
    }
    Ok(written)
}

/// One entry for each account.
fn to_table(
    task: &Task,
    archive: &Table,
    said: &ArchiveTable,
    accounts: Vec<Value>,
    work: &mut Work,
) -> Result<u64> {
    let key = task.table.expect_column(&task.key)?;
    let zone = engine::age::zone(&task.zone)?;
    let dialect = work.dialect();
    let setting =
        Setting { table: archive, now: work.now(), unit: EpochUnit::default(), zone: &zone, dialect };
    let at = setting.moment(work.now(), archive.expect_column(&said.at)?);
    let mut rows = 0;
    let mut entries = Vec::new();
    for account in accounts {
        let one = Sql::new("t.").name(&task.key).text(" = ").add(&dialect.inward(key, account.clone()));
        let (document, found) = document::collect(&task.table, &task.tree, &one, work)?;
        rows += found;
        let text = serde_json::to_string(&document)
            .map_err(|error| Error::data("an account cannot be written as JSON").because(error))?;
        let entry = Sql::new("select ")
            .add(&dialect.inward(archive.expect_column(&said.key)?, account))
            .text(", ")
            .add(&at)
            .text(", ")
            .add(&dialect.inward(archive.expect_column(&said.data)?, Value::Text(text)));
        entries.push(entry);
    }
    let columns = [said.key.clone(), said.at.clone(), said.data.clone()];
    work.insert(archive, &columns, &Sql::join(&entries, " union all "))?;
    Ok(rows)
}

/// Handles what hangs on the rows, deepest first.
fn clear(
    tree: &[Hanging],
    parent: &Table,
    condition: &Sql,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<()> {
    for hanging in tree {
        let own = hanging.of(parent, condition);
        clear(&hanging.below, &hanging.table, &own, work, counts)?;
        for leaf in &hanging.leaves {
            let rows = Rows::all(leaf, own.clone());
            counts.dependants += match hanging.policy {
                Policy::Keep => 0,
                Policy::Archive | Policy::Delete => work.delete(&rows)?,
                Policy::SetNull | Policy::Anonymise => work.change(&rows, &hanging.values)?,
            };
        }
    }
    Ok(())
}

/// Counts the accounts that satisfy the rule still.
pub fn verify(step: &Step, facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    let task = Task::read(step)?;
    let left = facts.count(
        &Sql::new("select count(*) from ").table(&task.table.name).text(" as t where ").add(&task.condition),
    )?;
    Ok(match left {
        0 => Vec::new(),
        left => vec![Finding::note(
            "rows_left",
            &task.table.name,
            format!(
                "{} the rule still, because of what came during the run",
                of(left, "account satisfies", "accounts satisfy")
            ),
            "run it again",
        )],
    })
}
