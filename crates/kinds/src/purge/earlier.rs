//! What earlier targets of the same operation will have done when a target's turn comes, so that the plan counts what
//! the run will find.
//!
//! It does not look into other operations of the same run: those are counted as the tables are now.

use super::mark::after_image;
use super::options::{Action, Target};
use crate::sweep::Child;
use engine::Finding;
use targets::db::{Dialect, Sql, Table, TableName, Value};

/// What earlier targets will have done.
#[derive(Default)]
pub struct Earlier {
    deleted: Vec<(TableName, Sql)>,
    marked: Vec<Marked>,
    taken_along: Vec<TableName>,
}

/// Rows of which columns are set.
struct Marked {
    table: TableName,
    columns: Vec<String>,
    /// Those of them that are set to the moment of the run.
    times: Vec<String>,
    before: Sql,
    after: Option<Sql>,
}

impl Earlier {
    /// The condition without what is gone by then (W-112), and without what was only marked in this run (W-113).
    pub fn narrow(&self, target: &Target, table: &Table, condition: Sql, findings: &mut Vec<Finding>) -> Sql {
        let mut narrowed = condition;
        for (_, gone) in self.deleted.iter().filter(|(name, _)| *name == table.name) {
            narrowed = narrowed.text(" and (").add(gone).text(") is not true");
        }
        for marked in self.marked.iter().filter(|marked| marked.table == table.name) {
            if target.action == Action::Mark || !marked.decides(target) {
                continue;
            }
            let Some(after) = &marked.after else {
                findings.push(Finding::warning(
                    "marked_in_this_run",
                    &table.name,
                    "rows that an earlier target marks may be deleted in the same run",
                    "give the mark a time, such as `archived_at = \"now\"`: then they wait for the next run",
                ));
                continue;
            };
            // In the plan they are recognised as they are before, in the run as they are after.
            narrowed = narrowed
                .text(" and (")
                .add(&marked.before)
                .text(") is not true and (")
                .add(after)
                .text(") is not true");
        }
        narrowed
    }

    /// Whether rows of the table go along with rows that an earlier target deletes: how many are left is not known.
    pub fn takes_along(&self, table: &TableName) -> bool {
        self.taken_along.contains(table)
    }

    /// Notes what a target will do.
    pub fn note(
        &mut self,
        target: &Target,
        table: &Table,
        condition: &Sql,
        marks: &[(String, Value)],
        dialect: &dyn Dialect,
    ) {
        match target.action {
            Action::Delete => self.deleted.push((table.name.clone(), condition.clone())),
            Action::Mark => self.marked.push(Marked {
                table: table.name.clone(),
                columns: marks.iter().map(|(column, _)| column.clone()).collect(),
                times: marks
                    .iter()
                    .map(|(name, _)| name)
                    .filter(|name| target.is_now(name))
                    .cloned()
                    .collect(),
                before: condition.clone(),
                after: after_image(target, table, marks, dialect),
            }),
        }
    }

    /// Notes the tables of which rows go along with their parents, at every depth.
    pub fn note_children(&mut self, children: &[Child]) {
        for child in children.iter().filter(|child| child.policy.removes()) {
            self.taken_along.push(child.table.name.clone());
            self.note_children(&child.children);
        }
    }
}

impl Marked {
    /// Whether these marks can make a row match the later target. An age of the mark itself keeps it for another run.
    fn decides(&self, target: &Target) -> bool {
        if target.and_older.iter().any(|more| self.times.contains(&more.column)) {
            return false;
        }
        let condition = target.condition.as_deref().unwrap_or_default().to_lowercase();
        self.columns.iter().any(|column| {
            condition.contains(&column.to_lowercase())
                || target.age_column.as_ref() == Some(column)
                || target.expires.as_ref() == Some(column)
        })
    }
}
