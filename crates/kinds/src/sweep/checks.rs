//! What stands in the way of a sweep: a table that cannot be changed, a condition that cannot be read, a trigger, a
//! missing key. Read-only.

use super::plan::Sweep;
use super::policy::{Policy, Undo};
use super::relations::Child;
use engine::{Class, Error, Finding, Result};
use targets::db::{Facts, Sql, Table, TableKind, Trigger, quote};

/// Refuses what is no table.
pub fn check_table(table: &Table) -> Result<()> {
    match table.kind {
        TableKind::View => {
            Err(Error::usage(format!("`{}` is a view", table.name)).help("name the table behind it"))
        }
        TableKind::Foreign => Err(Error::usage(format!("`{}` is a foreign or virtual table", table.name))
            .help("its rows cannot be remembered: purge it where they really are")),
        TableKind::Ordinary | TableKind::Partitioned | TableKind::WithoutRowid => Ok(()),
    }
}

/// Lets the database read a condition over the alias `alias` before anything is counted, so that its complaint is about the condition.
pub fn check_condition(table: &Table, alias: &str, condition: &str, facts: &mut dyn Facts) -> Result<()> {
    let start = || Sql::new("select 1 from ").table(&table.name).text(&format!(" as {alias} where "));
    // On its own first: `a) or (b` is no condition, but inside brackets it would step out of them, past the age.
    let alone = start().add(&Sql::raw(condition)).text("\n");
    let enclosed = start().text("(").add(&Sql::raw(condition)).text("\n)");
    let read = facts.access(&alone).and_then(|_| facts.access(&enclosed));
    read.map(|_| ()).map_err(|error| about_condition(table, condition, error))
}

/// A complaint of the database about a condition, with something to compare it with. A lock or a missing right is none.
pub fn about_condition(table: &Table, condition: &str, error: Error) -> Error {
    let help = match error.class {
        Class::Transient | Class::System => return error,
        Class::Data => {
            "leave out the rows for which it cannot be computed: `… and column is not null`".to_owned()
        }
        Class::Usage => match &error.help {
            // PostgreSQL names the column that was probably meant.
            Some(hint) if error.code.as_deref().is_some_and(|code| code.starts_with("42")) => hint.clone(),
            _ => {
                let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
                format!(
                    "write it as SQL over the table, such as `status = 'done'`; its columns are {}",
                    names.join(", ")
                )
            }
        },
    };
    error.while_doing(&format!("the condition `{condition}`")).help(help)
}

/// The tables whose rows are updated (true) or deleted (false).
pub fn touched<'a>(leaves: &'a [Table], children: &'a [Child], updates: bool) -> Vec<(&'a Table, bool)> {
    let mut tables: Vec<(&Table, bool)> = leaves.iter().map(|leaf| (leaf, updates)).collect();
    let mut below: Vec<&Child> = children.iter().collect();
    while let Some(child) = below.pop() {
        below.extend(&child.children);
        match child.policy {
            Policy::Restrict => {}
            Policy::SetNull => tables.extend(child.leaves.iter().map(|leaf| (leaf, true))),
            Policy::Cascade | Policy::Archive => tables.extend(child.leaves.iter().map(|leaf| (leaf, false))),
        }
    }
    tables
}

/// Finds rewrite rules: they take the place of what would be done, or add to it, and cannot be counted.
pub fn check_rules(
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    updates: bool,
    findings: &mut Vec<Finding>,
) {
    let mut tables = touched(leaves, children, updates);
    if !leaves.iter().any(|leaf| leaf.name == table.name) {
        tables.push((table, updates));
    }
    for (table, updates) in tables {
        let meets = |rule: &&Trigger| rule.enabled && if updates { rule.on_update } else { rule.on_delete };
        for rule in table.rules.iter().filter(meets) {
            findings.push(Finding::forbid(
                "rule",
                &table.name,
                format!("rule `{}` rewrites what would be done to its rows", rule.name),
                format!("alter table {} disable rule {}", table.name.quoted(), quote(&rule.name)),
            ));
        }
    }
}

/// Finds triggers that would fire on the rows or on those that hang on them.
pub fn check_triggers(
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    sweep: &Sweep,
    findings: &mut Vec<Finding>,
) {
    let mut tables = touched(leaves, children, sweep.act.updates());
    if !leaves.iter().any(|leaf| leaf.name == table.name) {
        tables.push((table, sweep.act.updates()));
    }
    for (table, updates) in tables {
        for trigger in table.triggers.iter().filter(|trigger| trigger.enabled) {
            let fires = if updates { trigger.on_update } else { trigger.on_delete };
            if !fires {
                continue;
            }
            findings.push(sweep.triggers.finding(table, trigger));
        }
    }
}

/// Finds what could not be undone or archived.
pub fn check_rest(
    sweep: &Sweep,
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    findings: &mut Vec<Finding>,
) {
    let updates = sweep.act.updates() && sweep.undo == Undo::Rows;
    if updates && leaves.iter().any(|leaf| leaf.key.is_none()) {
        findings.push(Finding::forbid(
            "no_key",
            &table.name,
            "its rows cannot be told apart, so a change of them could not be undone",
            "give the table a primary key, or say `undo = \"none\"`",
        ));
    }
    let archives = children.iter().any(|child| child.policy == Policy::Archive);
    if archives && sweep.archive.is_none() {
        findings.push(Finding::forbid(
            "no_archive",
            &table.name,
            "dependants are to be archived, but no archive is named",
            "say `archive = \"STORE\"`, or use `cascade`",
        ));
    }
    if sweep.undo == Undo::Archive && children.iter().any(|child| child.policy == Policy::SetNull) {
        findings.push(Finding::forbid(
            "set_null",
            &table.name,
            "references set to NULL cannot be restored from an archive",
            "use `undo = \"rows\"`",
        ));
    }
}
