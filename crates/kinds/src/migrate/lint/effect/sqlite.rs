//! What SQLite does for a statement. There is one lock: whoever writes keeps every other writer out until the commit.

use super::super::course::Course;
use super::super::stated::{Does, RowDeed};
use super::{Effect, Lock, Sure, Work};
use targets::db::TableName;

/// What a part of a statement costs.
pub fn effect(does: &Does, course: &Course) -> Effect {
    let writes = |table: &TableName| Effect::lock(table, Lock::Writer);
    match does {
        Does::CreateTable { table, .. } | Does::RenameTable { table, .. } => writes(table),
        Does::AddColumn { table, column, .. } => {
            // Whether the rows that are there satisfy it is looked at; nothing else has to be.
            let looks = column.not_null || column.generated.is_some() || !column.constraints.is_empty();
            if looks { writes(table).certainly(table, Work::Scan) } else { writes(table) }
        }
        Does::Rebuild { table, .. } | Does::DropColumn { table, .. } => {
            writes(table).certainly(table, Work::Rewrite)
        }
        Does::SetNotNull { table, .. } | Does::AddConstraint { table, .. } => {
            writes(table).certainly(table, Work::Scan)
        }
        Does::RenameColumn { table, .. }
        | Does::DropNotNull { table, .. }
        | Does::DropConstraint { table, .. }
        | Does::CreateTrigger { table, .. } => writes(table),
        Does::CreateIndex { table, .. } => writes(table).certainly(table, Work::Build),
        Does::DropIndex { names, .. } => match names.first().and_then(|name| course.table_of_index(name)) {
            Some(table) => writes(&table),
            None => Effect::default(),
        },
        Does::DropTable { tables, .. } => {
            let mut effect = Effect::default();
            for table in tables {
                effect = effect.also(table, Lock::Writer);
                // Each page goes to the list of free ones.
                effect = effect.certainly(table, Work::Scan);
            }
            effect
        }
        Does::Reindex { name, .. } => match name.as_ref().and_then(|name| course.table_of_index(name)) {
            Some(table) => writes(&table).certainly(&table, Work::Build),
            None => Effect::default(),
        },
        Does::Vacuum { .. } => Effect::default().outside("vacuum"),
        Does::Rows { table, deed, .. } => {
            let effect = writes(table);
            if *deed == RowDeed::Insert { effect } else { effect.work(table, Work::Rows, Sure::Perhaps) }
        }
        _ => Effect::default(),
    }
}
