//! Rows that are back and refer to rows that are not there. SQLite does not refuse them, so they are told.
//!
//! Where the parent is one that this undo could not put back, that is a warning: the row was no orphan before.

use super::point::Change;
use super::rows_back::Task;
use crate::error::Result;
use crate::finding::Finding;
use targets::db::{Facts, Sql, Value};

/// Tells of them, for one table; `all` are all steps of the undo.
pub(super) fn parents_missing(
    task: &Task,
    all: &[Task],
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let undo = &task.remembered.undo;
    if task.remembered.change == Change::Insert || task.table.name.schema.is_some() {
        return Ok(());
    }
    for key in &task.table.references {
        let gone = |column: &String| !task.columns.contains(column);
        if key.columns.iter().any(gone) || key.parent_columns.len() != key.columns.len() {
            continue;
        }
        let changed = |column: &String| undo.after.contains(column);
        if task.remembered.change == Change::Update && !key.columns.iter().any(changed) {
            continue;
        }
        let given: Vec<Sql> =
            key.columns.iter().map(|column| Sql::new("u.").name(column).text(" is not null")).collect();
        let parent: Vec<Sql> = key
            .columns
            .iter()
            .zip(&key.parent_columns)
            .map(|(column, parent)| Sql::new("p.").name(parent).text(" = u.").name(column))
            .collect();
        let there: Vec<Sql> = task
            .remembered
            .key
            .iter()
            .chain(&key.columns)
            .map(|column| Sql::new("t.").name(column).text(" = u.").name(column))
            .collect();
        let found = |from: Sql, condition: &[Sql]| {
            Sql::new("exists (select 1 from ")
                .add(&from)
                .text(" where ")
                .add(&Sql::join(condition, " and "))
                .text(")")
        };
        // What stood in the way of the parent stands in the way of its being there.
        let remembered = all.iter().filter(|other| {
            other.remembered.change == Change::Delete
                && other.table.name == key.parent
                && key.parent_columns.iter().all(|column| other.remembered.undo.columns.contains(column))
        });
        let keys: Vec<Sql> = remembered
            .map(|other| {
                Sql::new("select ")
                    .names("", key.parent_columns.iter().map(String::as_str))
                    .text(" from ")
                    .table(&other.remembered.undo.name)
            })
            .collect();
        let ours = match keys.is_empty() {
            false => Sql::default()
                .names("u.", key.columns.iter().map(String::as_str))
                .text(") in (")
                .add(&Sql::join(&keys, " union all ")),
            true => Sql::new("1) in (select 0"),
        };
        let select = Sql::new("select count(*), count(case when (")
            .add(&ours)
            .text(") then 1 end) from ")
            .table(&undo.name)
            .text(" as u where ")
            .add(&Sql::join(&given, " and "))
            .text(" and not ")
            .add(&found(Sql::default().table(&key.parent).text(" as p"), &parent))
            .text(" and ")
            .add(&found(Sql::default().table(&task.table.name).text(" as t"), &there));
        let counted = facts.rows(&select)?;
        let number =
            |n: usize| counted.first().and_then(|row| row.get(n)).and_then(Value::as_int).unwrap_or(0);
        let (orphans, left_alone) = (number(0), number(1));
        if left_alone > 0 {
            findings.push(Finding::warning(
                "parent_not_back",
                &task.table.name,
                format!(
                    "{left_alone} rows are back and refer to rows of `{}` that could not be put back",
                    key.parent
                ),
                "make room for those, then apply the undo again",
            ));
        }
        if orphans > left_alone {
            findings.push(Finding::note(
                "parent_missing",
                &task.table.name,
                format!(
                    "{} restored rows refer to rows of `{}` that do not exist",
                    orphans - left_alone,
                    key.parent
                ),
                "they were orphans before, or their parents were removed since: put those back first (`sexton undo list`)",
            ));
        }
    }
    Ok(())
}
