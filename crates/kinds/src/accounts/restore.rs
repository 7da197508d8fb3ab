//! `action = "restore"`: accounts come back from the archive table, with everything that was archived with them.
//!
//! Rows that are gone are inserted, rows that were changed get their archived values back, the entry leaves the archive; all of
//! one account in one transaction, with undo. An account that somebody has changed since is left alone and reported.

use super::document::{rows, value};
use super::hanging::{self, Hanging};
use super::options::{ArchiveTable, Options, Policy, Relation};
use crate::sweep::Setting;
use engine::{Batch, Counts, Cursor, Error, Finding, Planned, Planning, Result, Rows, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use targets::db::{Column, EpochUnit, Facts, Sql, Table, Value};

/// What the step needs to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    table: Table,
    key: String,
    tree: Vec<Hanging>,
    /// What anonymising has written, without what depends on the moment.
    written: Vec<(String, Sql)>,
    /// All columns that it has overwritten.
    overwritten: Vec<String>,
    archive: Table,
    said: ArchiveTable,
    accounts: Vec<String>,
    also: Vec<(String, Sql)>,
}

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let table = schema.find(&options.table)?.clone();
    let Some(said) = options.archive_table.clone() else {
        return Err(Error::usage("accounts are brought back from an archive table"));
    };
    let archive = schema.find(&said.table)?.clone();
    let Some(key) = table.key.clone().filter(|key| key.columns.len() == 1) else {
        return Err(Error::usage(format!("what tells the accounts of `{}` apart?", table.name))
            .help("the table needs a primary key of one column"));
    };
    let zone = engine::age::zone(options.zone.as_deref().unwrap_or("UTC"))?;
    let dialect = facts.dialect();
    let values = |table: &Table, map: &std::collections::BTreeMap<String, Json>| {
        Setting { table, now: planning.now, unit: EpochUnit::default(), zone: &zone, dialect }.all(map)
    };
    let mut planned = Planned::default();
    let of_relation = |table: &Table, relation: &Relation| values(table, &relation.anonymise);
    let tree = hanging::tree(options, &schema, &table, &of_relation, &mut planned.findings)?;
    // What is forbidden when accounts go does not matter when they come.
    planned.findings.clear();
    let mut lasting = options.anonymise.clone();
    lasting.retain(|_, value| value != "now");
    let task = Task {
        written: values(&table, &lasting)?,
        overwritten: options.anonymise.keys().cloned().collect(),
        also: values(&table, &options.on_restore)?,
        key: key.columns[0].clone(),
        accounts: options.accounts.clone(),
        tree,
        archive,
        said,
        table,
    };
    let mut matched = 0;
    for account in &task.accounts {
        let entry = task.entry(account, facts.dialect())?;
        let found = facts.count(
            &Sql::new("select count(*) from ").table(&task.archive.name).text(" as t where ").add(&entry),
        )?;
        if found == 0 {
            planned.findings.push(Finding::warning(
                "not_archived",
                &task.archive.name,
                format!("account `{account}` has no entry"),
                "see which accounts are there; entries that are over their time are gone",
            ));
        }
        matched += found;
    }
    planned.steps.push(Step {
        id: task.table.name.to_string(),
        label: task.table.name.to_string(),
        action: "restore".to_owned(),
        object: task.table.name.to_string(),
        matched,
        // How many rows an entry holds is known when it is read.
        exact: false,
        total: None,
        total_exact: false,
        dependants: Vec::new(),
        unreadable: 0,
        exempt: 0,
        batches: matched.max(1),
        way: format!("from `{}`, account by account", task.archive.name),
        statements: Vec::new(),
        facts: Vec::new(),
        task: serde_json::to_value(&task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
    });
    planned.undo = Some(options.undo(planning)?);
    Ok(planned)
}

impl Task {
    /// The condition, over `t`, for the archive's entry of an account.
    fn entry(&self, account: &str, dialect: &dyn targets::db::Dialect) -> Result<Sql> {
        let column = self.archive.expect_column(&self.said.key)?;
        let text = Sql::new("cast(t.").name(&column.name).text(" as text) = cast(");
        let _ = dialect;
        Ok(text.bind(account).text(" as text)"))
    }
}

/// One account in each batch.
pub fn act(step: &Step, aim: &Cursor, _rows: u64, work: &mut Work) -> Result<Batch> {
    let task: Task = serde_json::from_value(step.task.clone())
        .map_err(|error| Error::system("a stored plan cannot be read").because(error))?;
    let n = aim.0.as_u64().unwrap_or(0) as usize;
    let Some(account) = task.accounts.get(n) else {
        return Ok(Batch { counts: Counts::default(), next: None });
    };
    let mut counts = Counts::default();
    let entry = Rows::all(&task.archive, task.entry(account, work.dialect())?);
    let data = task.archive.expect_column(&task.said.data)?;
    let select = Sql::new("select cast(t.")
        .name(&data.name)
        .text(" as text) from ")
        .table(&task.archive.name)
        .text(" as t where ")
        .add(&entry.condition);
    let mut found: Option<String> = None;
    work.query(&select, &mut |row| {
        found = row.first().and_then(Value::as_text).map(str::to_owned);
        Ok(())
    })?;
    if let Some(text) = found {
        let document: Map<String, Json> = serde_json::from_str(&text).map_err(|error| {
            Error::data(format!("the entry of `{account}` cannot be read")).because(error)
        })?;
        if bring_back(&task, &document, work, &mut counts)? {
            for hanging in &task.tree {
                below(hanging, &document, work, &mut counts)?;
            }
            counts.deleted += work.delete(&entry)?;
        } else {
            counts.failed += 1;
        }
    }
    let next = (n + 1 < task.accounts.len()).then(|| Cursor((n + 1).into()));
    Ok(Batch { counts, next })
}

/// The account itself; false when somebody has changed it since.
fn bring_back(
    task: &Task,
    document: &Map<String, Json>,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<bool> {
    let Some(row) = rows(document, &task.table).first().copied() else {
        return Err(Error::data("the entry does not hold the account itself"));
    };
    let key = with_key(&task.table, row, work)?;
    let there = Sql::new("select count(*) from ").table(&task.table.name).text(" as t where ").add(&key);
    if work.count(&there)? == 0 {
        counts.restored += insert(&task.table, row, work)?;
        if !task.also.is_empty() {
            counts.changed += work.change(&Rows::all(&task.table, key), &task.also)?;
        }
        return Ok(true);
    }
    let dialect = work.dialect();
    let same: Vec<Sql> =
        task.written.iter().map(|(name, value)| dialect.same(&Sql::new("t.").name(name), value)).collect();
    let mut condition = key;
    for same in &same {
        condition = condition.text(" and (").add(same).text(")");
    }
    let mut changes = Vec::new();
    for name in &task.overwritten {
        let column = task.table.expect_column(name)?;
        changes.push((name.clone(), dialect.inward(column, value(row, name)?)));
    }
    for (name, value) in &task.also {
        changes.retain(|(known, _)| known != name);
        changes.push((name.clone(), value.clone()));
    }
    let changed = work.change(&Rows::all(&task.table, condition), &changes)?;
    counts.changed += changed;
    Ok(changed == 1)
}

/// The rows of a relation and of those below it, parents first.
fn below(
    hanging: &Hanging,
    document: &Map<String, Json>,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<()> {
    for row in rows(document, &hanging.table) {
        let key = with_key(&hanging.table, row, work)?;
        let there =
            Sql::new("select count(*) from ").table(&hanging.table.name).text(" as t where ").add(&key);
        if work.count(&there)? == 0 {
            counts.restored += insert(&hanging.table, row, work)?;
        } else if matches!(hanging.policy, Policy::SetNull | Policy::Anonymise) {
            let mut changes = Vec::new();
            for (name, _) in &hanging.values {
                let column = hanging.table.expect_column(name)?;
                changes.push((name.clone(), work.dialect().inward(column, value(row, name)?)));
            }
            for leaf in &hanging.leaves {
                counts.dependants += work.change(&Rows::all(leaf, key.clone()), &changes)?;
            }
        }
    }
    hanging.below.iter().try_for_each(|deeper| below(deeper, document, work, counts))
}

fn with_key(table: &Table, row: &Map<String, Json>, work: &Work) -> Result<Sql> {
    let columns = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
    let mut parts = Vec::new();
    for name in &columns {
        let column = table.expect_column(name)?;
        let value = work.dialect().inward(column, value(row, name)?);
        parts.push(Sql::new("t.").name(name).text(" = ").add(&value));
    }
    Ok(Sql::join(&parts, " and "))
}

/// Inserts an archived row, as far as its columns are still there.
fn insert(table: &Table, row: &Map<String, Json>, work: &mut Work) -> Result<u64> {
    let columns: Vec<&Column> = table.stored().filter(|column| row.contains_key(&column.name)).collect();
    let mut values = Vec::new();
    for column in &columns {
        values.push(work.dialect().inward(column, value(row, &column.name)?));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    work.insert(table, &names, &Sql::new("select ").add(&Sql::join(&values, ", ")))
}

/// Says which accounts could not come back.
pub fn verify(step: &Step, counts: &Counts) -> Vec<Finding> {
    match counts.failed {
        0 => Vec::new(),
        failed => vec![Finding::warning(
            "changed_since",
            &step.object,
            format!("{failed} accounts were changed since they were archived: they were left alone"),
            "look at them; an entry stays in the archive until its account is brought back",
        )],
    }
}
