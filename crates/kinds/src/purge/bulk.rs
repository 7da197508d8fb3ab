//! The cheaper ways when most of a table goes: partitions dropped, or what stays put aside and the table refilled.

use super::options::{Action, Bulk, Options, Target};
use crate::sweep::{Child, Policy, Task, Undo};
use engine::{Error, Result, Step};
use targets::db::{Facts, Sql, Table, TableKind};

/// Fewer doomed rows than this are gone before anybody could think of a cheaper way.
const WORTH_A_WORD: u64 = 10_000;
/// Above this share, copying what stays would be cheaper.
const MOST_PERCENT: f64 = 50.0;

/// Adds the cheaper way to the task where it was asked for, else a hint that there is one.
pub fn choose(
    options: &Options,
    target: &Target,
    step: &mut Step,
    task: &mut Task,
    facts: &mut dyn Facts,
) -> Result<()> {
    task.refill = refills(target, &task.table, &task.leaves, &task.children)?;
    if task.refill {
        step.way =
            "all at once: what stays is put aside, the table emptied and refilled; others wait".to_owned();
    } else if let Some(hint) = cheaper(&task.leaves, target, step) {
        step.way = format!("{}; {hint}", step.way);
    }
    task.drop =
        whole_partitions(options, target, &task.table, &task.leaves, &task.children, &task.rule, facts)?;
    Ok(())
}

/// What would be cheaper when most of the table goes.
fn cheaper(leaves: &[Table], target: &Target, step: &Step) -> Option<String> {
    let most = step
        .total
        .is_some_and(|total| total > 0 && 100.0 * step.matched as f64 / total as f64 > MOST_PERCENT);
    if !most || target.bulk != Bulk::Batches {
        return None;
    }
    if leaves.len() == 1 && step.matched < WORTH_A_WORD {
        return None;
    }
    Some(if leaves.len() > 1 {
        "most of the table goes: `bulk = \"drop_partitions\"` would drop whole partitions at once".to_owned()
    } else {
        "most of the table goes: `bulk = \"refill\"` would copy what stays and empty the table, which is cheaper \
         if others can wait"
            .to_owned()
    })
}

/// Whether what stays is put aside and the table emptied.
fn refills(target: &Target, table: &Table, leaves: &[Table], children: &[Child]) -> Result<bool> {
    if target.bulk != Bulk::Refill {
        return Ok(false);
    }
    let refuse = |what: &str, help: &str| Err(Error::usage(format!("`bulk = \"refill\"` {what}")).help(help));
    if target.action == Action::Mark || target.archive.is_some() {
        return refuse("only deletes", "leave `bulk` at `batches` to mark or archive rows");
    }
    if leaves.len() != 1 || !table.children.is_empty() || !table.parents.is_empty() {
        return refuse("needs a table of its own", "use `bulk = \"drop_partitions\"` for partitioned tables");
    }
    if !children.is_empty() {
        return refuse(
            &format!("empties the table, but `{}` refers to it", children[0].table.name),
            "leave `bulk` at `batches` for tables that others refer to",
        );
    }
    if let Some(trigger) = table.triggers.iter().find(|trigger| trigger.enabled) {
        return refuse(
            &format!("would fire trigger `{}` for every row that stays", trigger.name),
            "leave `bulk` at `batches`, or disable the trigger meanwhile",
        );
    }
    Ok(true)
}

/// Partitions that hold only doomed rows, where dropping them was asked for.
fn whole_partitions(
    options: &Options,
    target: &Target,
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    condition: &Sql,
    facts: &mut dyn Facts,
) -> Result<Vec<usize>> {
    if target.bulk != Bulk::DropPartitions {
        return Ok(Vec::new());
    }
    if options.undo != Undo::None || target.archive.is_some() || table.kind != TableKind::Partitioned {
        return Err(Error::usage(
            "`bulk = \"drop_partitions\"` needs a partitioned table, `undo = \"none\"` and no archive",
        )
        .help("a dropped partition cannot be put back: say so with `undo = \"none\"`"));
    }
    if target.action == Action::Mark || children.iter().any(|child| child.policy != Policy::Restrict) {
        return Err(Error::usage(
            "`bulk = \"drop_partitions\"` only deletes, and nothing beside the partitions",
        )
        .help("leave `dependants` at `restrict`, or `bulk` at `batches`"));
    }
    let mut whole = Vec::new();
    for (n, leaf) in leaves.iter().enumerate() {
        let staying = Sql::new("select count(*) from (select 1 as one from ")
            .table(&leaf.name)
            .text(" as t where (")
            .add(condition)
            .text(") is not true limit 1) as sample");
        let any = Sql::new("select count(*) from (select 1 as one from ")
            .table(&leaf.name)
            .text(" limit 1) as sample");
        if facts.count(&staying)? == 0 && facts.count(&any)? == 1 {
            whole.push(n);
        }
    }
    Ok(whole)
}
