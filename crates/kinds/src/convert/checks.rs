//! What stands in the way of a conversion: triggers, rules, rights, expressions that cannot be read, a condition that does not
//! tell. Read-only.

use super::options::Options;
use super::task::{Target, Task, Way};
use engine::words::rows;
use engine::{Class, Finding, Result};
use targets::db::{Facts, Sql, Table, Trigger, quote};

/// As many rows are looked at to see whether the condition tells.
const LOOKED_AT: u64 = 200;

/// Triggers, rules and rights of every table that is written to.
pub fn all(options: &Options, task: &Task, findings: &mut Vec<Finding>) {
    let (into, inserts): (Vec<&Table>, bool) = match &task.way {
        Way::Program { target: Target::Table { table, .. }, .. } => (vec![table], true),
        Way::Program { target: Target::File { .. }, .. } => (Vec::new(), false),
        _ => (task.leaves.iter().collect(), false),
    };
    for table in into {
        let fires = |trigger: &&Trigger| {
            trigger.enabled && if inserts { trigger.on_insert } else { trigger.on_update }
        };
        findings.extend(
            table.triggers.iter().filter(fires).map(|trigger| options.triggers.finding(table, trigger)),
        );
        findings.extend(table.rules.iter().filter(fires).map(|rule| {
            Finding::forbid(
                "rule",
                &table.name,
                format!("rule `{}` rewrites what would be done to its rows", rule.name),
                format!("alter table {} disable rule {}", table.name.quoted(), quote(&rule.name)),
            )
        }));
        let (may, right) =
            if inserts { (table.rights.insert, "insert") } else { (table.rights.update, "update") };
        if !may || !table.rights.select {
            findings.push(Finding::forbid(
                "permission",
                &table.name,
                format!("this user lacks the right to {right} its rows"),
                format!("grant select, {right} on {} to ROLE, as its owner", table.name.quoted()),
            ));
        }
    }
}

/// Lets the database read the expressions, and looks whether the condition still holds for rows that have their values: then
/// they would be converted again and again.
pub fn expressions(
    task: &Task,
    changes: &[(String, Sql)],
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for (name, value) in changes {
        let select = Sql::new("select ").add(value).text(" from ").table(&task.table.name).text(" as t");
        facts.access(&select).map_err(|error| {
            let help = error.help.clone();
            let error = error.while_doing(&format!("`set.{name}`"));
            match help {
                Some(_) => error,
                None => error.help("write it as SQL over the table, such as `lower(t.title)`"),
            }
        })?;
    }
    if task.remember {
        return Ok(());
    }
    let columns = task.table.columns.iter().map(|column| {
        let new = changes.iter().find(|(name, _)| *name == column.name);
        match new {
            Some((_, value)) => value.clone().text(" as ").name(&column.name),
            None => Sql::new("t.").name(&column.name),
        }
    });
    let changed = Sql::new("select count(*) from (select ")
        .add(&Sql::join(&columns.collect::<Vec<_>>(), ", "))
        .text(" from ")
        .table(&task.table.name)
        .text(" as t where ")
        .add(&task.condition)
        .text(&format!(" limit {LOOKED_AT}) as t where "))
        .add(&task.condition);
    let still = match facts.count(&changed) {
        Ok(still) => still,
        // Rows that cannot be converted are told one by one in the run.
        Err(error) if matches!(error.class, Class::Data | Class::Usage) => return Ok(()),
        Err(error) => return Err(error),
    };
    if still > 0 {
        findings.push(Finding::refuse(
            "still_matches",
            &task.table.name,
            format!("of the first {LOOKED_AT} rows {still} would satisfy `where` still, so they would be converted again"),
            "write a `where` that tells what is left, such as `slug is null`, or say `remember = true`",
        ));
    }
    Ok(())
}

/// What is told of rows that failed.
pub fn failed(table: &Table, count: u64, first: Option<&str>) -> Finding {
    let such = first.map(|first| format!(", such as {first}")).unwrap_or_default();
    Finding::warning(
        "rows_failed",
        &table.name,
        format!("{} could not be converted and stayed as they are{such}", rows(count)),
        "correct them, or the conversion, and run it again: it converts only what is left",
    )
}
