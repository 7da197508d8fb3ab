//! Rows that refer to doomed ones, where the database itself enforces the references: nothing is chosen and locked first.
//!
//! With `undo = "none"`, a key that does just what the configuration asks for is left to do it. Where children
//! are remembered, they go in the statement that deletes their parents, and afterwards the database is asked how many rows
//! went in all: what came meanwhile and was taken silently shows in the difference, and the batch is rolled back. A batch
//! that is repeated goes the careful way, and so does everything that is not as plain as this.

use super::batch::came_late;
use super::policy::Policy;
use super::relations::Child;
use super::task::Task;
use engine::{Counts, Error, Result, Rows, Work};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use targets::db::{Action, Dialect, Link, Sql, Table, TableKind, TableName, gone};

/// More rows than this that hang on one doomed row would make a batch too long.
pub const MOST_EACH: u64 = 1_000;

/// Who handles the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hands {
    /// The database, by the actions that their keys declare.
    Database,
    /// We do, and the database's count shows whether it did anything itself.
    Watched,
}

/// Whether the relations are plain enough, and for what.
pub fn hands(table: &Table, children: &[Child], forgets: bool, dialect: &dyn Dialect) -> Option<Hands> {
    let deletes = table.triggers.iter().any(|trigger| trigger.enabled && trigger.on_delete);
    let mut met = HashSet::from([&table.name]);
    let plain = !children.is_empty()
        && stands_alone(table)
        && !deletes
        && are_plain(table, children, forgets, &mut met);
    dialect.taken_along(&[]).filter(|_| plain)?;
    Some(if forgets { Hands::Database } else { Hands::Watched })
}

fn are_plain<'a>(
    parent: &Table,
    children: &'a [Child],
    forgets: bool,
    met: &mut HashSet<&'a TableName>,
) -> bool {
    children.iter().all(|child| {
        let fires = child.table.triggers.iter().any(|trigger| {
            trigger.enabled
                && if child.policy == Policy::SetNull { trigger.on_update } else { trigger.on_delete }
        });
        let asked = match child.policy {
            Policy::Cascade => Action::Cascade,
            Policy::SetNull if forgets => Action::SetNull,
            Policy::SetNull | Policy::Restrict | Policy::Archive => return false,
        };
        let kept = child.key.as_ref().is_some_and(|key| {
            // Of several columns the key may set some to NULL only.
            let whole = asked == Action::Cascade || key.columns.len() == 1;
            let refuses = matches!(key.on_delete, Action::NoAction | Action::Restrict);
            key.acts_on_all && whole && (key.on_delete == asked || (refuses && !forgets))
        });
        // A table met twice would be counted twice.
        kept && !fires
            && child.has_index()
            && stands_alone(&child.table)
            && child.parent_columns.iter().all(|name| parent.stored().any(|column| column.name == *name))
            && met.insert(&child.table.name)
            && are_plain(&child.table, &child.children, forgets, met)
    })
}

/// All rows of the table lie in it, and it is no part of another.
fn stands_alone(table: &Table) -> bool {
    table.kind == TableKind::Ordinary && table.parents.is_empty() && table.children.is_empty()
}

/// Deletes the doomed rows and handles what refers to them; false when nothing was done, because it must be done the
/// careful way.
pub fn delete(task: &Task, doomed: &Rows, work: &mut Work, counts: &mut Counts) -> Result<bool> {
    // What was rolled back to a savepoint would be counted too, and retries use those.
    let Some(hands) = task.hands.filter(|_| !work.is_retry()) else { return Ok(false) };
    if (hands == Hands::Database) != work.forgets() {
        return Ok(false);
    }
    let links = links(&task.children);
    let Some(before) = work.taken_along(&links)? else { return Ok(false) };
    let mut below = Vec::new();
    if hands == Hands::Watched {
        all_below(&task.children, &task.table, 0, work.dialect(), &mut below);
    }
    let (deleted, ours) = work.delete_with(doomed, &below).map_err(came_late)?;
    let along = work.taken_along(&links)?.and_then(|after| after.checked_sub(before));
    match along {
        Some(along) if hands == Hands::Database || along == ours => {
            counts.deleted = deleted;
            counts.dependants = along;
            Ok(true)
        }
        _ => Err(Error::transient(format!(
            "rows that refer to doomed rows of `{}` came or changed while these were deleted",
            task.table.name
        ))
        .help("nothing was changed: try again")),
    }
}

/// The tables below, each after the one it refers to; `n` is the place of that one (see `targets::db::gone`).
fn all_below<'a>(
    children: &'a [Child],
    parent: &Table,
    n: usize,
    dialect: &dyn Dialect,
    below: &mut Vec<(&'a Table, Sql)>,
) {
    for child in children {
        let parents = Sql::new("select ")
            .names("", child.parent_columns.iter().map(String::as_str))
            .text(" from ")
            .table(&gone(n));
        below.push((&child.table, child.refers_from(&child.table, parent, &parents, dialect)));
        let place = below.len();
        all_below(&child.children, &child.table, place, dialect, below);
    }
}

fn links(children: &[Child]) -> Vec<Link<'_>> {
    let own = |child| link(child).into_iter();
    children.iter().flat_map(|child| own(child).chain(links(&child.children))).collect()
}

fn link(child: &Child) -> Option<Link<'_>> {
    let key = child.key.as_ref()?;
    Some(Link { child: &child.table.name, key, goes: child.policy != Policy::SetNull })
}
