//! After the last batch: what is left, and why.

use super::task::{Task, Walk};
use engine::words::{either, rows};
use engine::{Counts, Finding, Result, Step};
use targets::db::{Facts, Sql};

/// Counts what matches still.
pub fn verify(steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (step, done) in steps.iter().zip(counts) {
        let task = Task::read(step)?;
        let count = |condition: &Sql, facts: &mut dyn Facts| {
            let count = match task.walk {
                Walk::Physical if !task.joins => facts.dialect().count_left(&task.table.name, condition),
                _ => Sql::new("select count(*) from ")
                    .table(&task.table.name)
                    .text(" as t where ")
                    .add(condition),
            };
            facts.count(&count)
        };
        let left = match &task.joined {
            Some(joined) if !task.restricts() => facts.count(
                &Sql::new("select count(case when ")
                    .add(&joined.condition)
                    .text(" then 1 end) from ")
                    .table(&task.table.name)
                    .text(" as t")
                    .add(&joined.from),
            )?,
            _ => count(&task.condition, facts)?,
        };
        let held = if task.restricts() { count(&task.rule, facts)?.saturating_sub(left) } else { 0 };
        let kept = left > 0 && done.rows() + done.skipped == 0;
        if kept {
            // Such as a trigger that refuses in silence: "done" would be a lie.
            findings.push(Finding::warning(
                "rows_kept",
                &task.table.name,
                format!("{} the rule still, and none was changed", matching(left)),
                "see whether a trigger or a policy of the table keeps them, or a lock of others",
            ));
        } else if left > 0 {
            findings.push(Finding::note(
                "rows_left",
                &task.table.name,
                format!("{} the rule still: locked, or come during the run", matching(left)),
                "run it again",
            ));
        }
        if held > 0 {
            findings.push(Finding::note(
                "rows_held",
                &task.table.name,
                format!("{} the rule, but other rows refer to them", matching(held)),
                "say what happens to those: `dependants = \"cascade\"`, `\"set_null\"` or `\"archive\"`",
            ));
        }
        let known = done.rows() + left + held;
        if known < step.matched {
            findings.push(Finding::note(
                "rows_gone",
                &task.table.name,
                format!(
                    "removed or changed by others meanwhile: {} of the planned {}",
                    engine::words::count(step.matched - known),
                    rows(step.matched)
                ),
                "",
            ));
        }
    }
    Ok(findings)
}

/// `1 row matches`, `2 rows match`.
fn matching(number: u64) -> String {
    format!("{} {}", rows(number), either(number, "matches", "match"))
}
