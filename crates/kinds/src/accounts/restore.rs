//! `action = "restore"`: accounts come back from the archive table, with everything that was archived with them.
//!
//! Rows that are gone are inserted, rows that were changed get their archived values back, the entries leave the archive; all in
//! one transaction, with undo. An account that somebody has changed since is left alone and reported; one that refers to what only
//! another entry of the archive holds is refused by name.

use super::back;
use super::belongs::{self, Refers, Verdict, entries};
use super::hanging::{self, Hanging};
use super::options::{ArchiveTable, Options, Policy, Relation};
use crate::sweep::Setting;
use engine::words::of;
use engine::{Batch, Counts, Cursor, Error, Finding, Planned, Planning, Result, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use targets::db::{Dialect, EpochUnit, Facts, Schema, Sql, Table, TableName};

/// What the step needs to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The table of accounts.
    pub table: Table,
    leaves: Vec<Table>,
    /// What hangs on them.
    pub tree: Vec<Hanging>,
    /// What anonymising has written, without what depends on the moment.
    written: Vec<(String, Sql)>,
    /// All columns that it has overwritten.
    pub overwritten: Vec<String>,
    /// The archive.
    pub archive: Table,
    /// Its columns.
    pub said: ArchiveTable,
    /// Which accounts.
    pub accounts: Vec<String>,
    /// What `on_restore` sets.
    pub also: Vec<(String, Sql)>,
    /// Tables from which rows went, parents first.
    pub order: Vec<Table>,
    /// What their rows refer to.
    pub refers: Vec<Refers>,
}

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let table = schema.find(&options.table)?.clone();
    let Some(said) = options.archive_table.clone() else {
        return Err(Error::usage("accounts are brought back from an archive table"));
    };
    let archive = schema.find(&said.table)?.clone();
    if table.key.as_ref().is_none_or(|key| key.columns.len() != 1) {
        return Err(Error::usage(format!("what tells the accounts of `{}` apart?", table.name))
            .help("the table needs a primary key of one column"));
    }
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
    let refers = refers(&schema, &table, &tree);
    let task = Task {
        written: values(&table, &lasting)?,
        overwritten: options.anonymise.keys().cloned().collect(),
        also: values(&table, &options.on_restore)?,
        accounts: options.accounts.clone(),
        order: in_order(removed(&table, &tree), &refers),
        leaves: schema.leaves(&table).into_iter().cloned().collect(),
        refers,
        tree,
        archive,
        said,
        table,
    };
    let mut matched = 0;
    for account in &task.accounts {
        let entry = task.entry(account)?;
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
    for entry in entries(&task, &mut belongs::Planning(facts))? {
        if let Verdict::Needs(other) = &entry.verdict {
            planned.findings.push(Finding::forbid(
                "needs_account",
                &entry.account,
                format!(
                    "account `{}` refers to rows of account `{other}`, which is in the archive too",
                    entry.account
                ),
                format!("bring both back in one run: `accounts = [\"{}\", \"{other}\"]`", entry.account),
            ));
        }
    }
    planned.steps.push(Step {
        id: task.table.name.to_string(),
        label: task.table.name.to_string(),
        action: "restore".to_owned(),
        object: task.table.name.to_string(),
        matched,
        // How many rows an entry holds is known when it is read.
        exact: false,
        batches: 1,
        way: format!("from `{}`, all in one transaction", task.archive.name),
        task: serde_json::to_value(&task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
        ..Step::default()
    });
    planned.undo = Some(options.undo(planning)?);
    Ok(planned)
}

impl Task {
    /// The condition, over `t`, for the archive's entry of an account.
    pub fn entry(&self, account: &str) -> Result<Sql> {
        let column = self.archive.expect_column(&self.said.key)?;
        let text = Sql::new("cast(t.").name(&column.name).text(" as text) = cast(");
        Ok(text.bind(account).text(" as text)"))
    }

    /// The condition, with a key, that an account is as anonymising has left it.
    pub fn as_written(&self, key: Sql, dialect: &dyn Dialect) -> Sql {
        self.written.iter().fold(key, |condition, (name, value)| {
            let same = dialect.same(&Sql::new("t.").name(name), value);
            condition.text(" and (").add(&same).text(")")
        })
    }

    /// Where the rows of a table lie.
    pub fn leaves(&self, name: &TableName) -> &[Table] {
        if *name == self.table.name {
            return &self.leaves;
        }
        let hanging = all(&self.tree).into_iter().find(|hanging| hanging.table.name == *name);
        hanging.map(|hanging| hanging.leaves.as_slice()).unwrap_or_default()
    }

    /// A table of the accounts or of what hangs on them.
    pub fn known(&self, name: &str) -> Option<&Table> {
        let hanging = all(&self.tree).into_iter().map(|hanging| &hanging.table);
        std::iter::once(&self.table).chain(hanging).find(|table| table.name.to_string() == name)
    }

    /// The columns of the n-th table by which it refers to tables that come after it.
    pub fn late(&self, n: usize) -> Vec<String> {
        let Some(table) = self.order.get(n) else { return Vec::new() };
        let after = &self.order[n + 1..];
        self.refers
            .iter()
            .filter(|refers| refers.child == table.name)
            .filter(|refers| after.iter().any(|later| later.name == refers.parent.name))
            .flat_map(|refers| refers.columns.clone())
            .filter(|name| table.column(name).is_some_and(|column| !column.not_null))
            .collect()
    }
}

/// All relations, at every depth.
fn all(tree: &[Hanging]) -> Vec<&Hanging> {
    tree.iter().flat_map(|hanging| std::iter::once(hanging).chain(all(&hanging.below))).collect()
}

/// The tables from which rows go to the archive.
fn removed(table: &Table, tree: &[Hanging]) -> Vec<Table> {
    let mut tables = vec![table.clone()];
    for hanging in all(tree).into_iter().filter(|hanging| hanging.policy == Policy::Archive) {
        if tables.iter().all(|known| known.name != hanging.table.name) {
            tables.push(hanging.table.clone());
        }
    }
    tables
}

/// What these tables refer to: declared, and as the configuration says.
fn refers(schema: &Schema, table: &Table, tree: &[Hanging]) -> Vec<Refers> {
    let mut found: Vec<Refers> = Vec::new();
    let mut add = |one: Refers| {
        if one.columns.len() == one.parent_columns.len() && !found.contains(&one) {
            found.push(one);
        }
    };
    for child in removed(table, tree) {
        for key in &child.references {
            if let Some(parent) = schema.table(&key.parent) {
                add(Refers {
                    child: child.name.clone(),
                    columns: key.columns.clone(),
                    parent: parent.clone(),
                    parent_columns: key.parent_columns.clone(),
                });
            }
        }
    }
    let mut open: Vec<(&Table, &Hanging)> = tree.iter().map(|hanging| (table, hanging)).collect();
    while let Some((parent, hanging)) = open.pop() {
        open.extend(hanging.below.iter().map(|below| (&hanging.table, below)));
        add(Refers {
            child: hanging.table.name.clone(),
            columns: hanging.columns.clone(),
            parent: parent.clone(),
            parent_columns: hanging.parent_columns.clone(),
        });
    }
    found
}

/// Parents before children, as far as that is possible.
fn in_order(mut left: Vec<Table>, refers: &[Refers]) -> Vec<Table> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits = |table: &Table| {
            let own =
                refers.iter().filter(|refers| refers.child == table.name && refers.parent.name != table.name);
            own.into_iter().any(|refers| left.iter().any(|other| other.name == refers.parent.name))
        };
        let next = left.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

/// All accounts in one batch: they may refer to each other.
pub fn act(step: &Step, _aim: &Cursor, _rows: u64, work: &mut Work) -> Result<Batch> {
    let task: Task = serde_json::from_value(step.task.clone())
        .map_err(|error| Error::system("a stored plan cannot be read").because(error))?;
    let found = entries(&task, work)?;
    let mut counts =
        Counts { failed: found.iter().filter(|entry| !entry.comes()).count() as u64, ..Counts::default() };
    for entry in &found {
        match &entry.verdict {
            Verdict::Changed => {
                work.note(format!("account `{}` was changed since it was archived", entry.account))
            }
            Verdict::Needs(other) => {
                work.note(format!("account `{}` needs account `{other}`", entry.account))
            }
            Verdict::Insert | Verdict::Change => {}
        }
    }
    back::bring_back(&task, &found, work, &mut counts)?;
    Ok(Batch { counts, next: None })
}

/// Says which accounts could not come back.
pub fn verify(step: &Step, counts: &Counts) -> Vec<Finding> {
    match counts.failed {
        0 => Vec::new(),
        failed => vec![Finding::warning(
            "changed_since",
            &step.object,
            format!(
                "left alone: {} changed since it was archived, or in need of others",
                of(failed, "account", "accounts")
            ),
            "look at them; an entry stays in the archive until its account is brought back",
        )],
    }
}
