//! Names that are there already, or not at all (S2-038). Only what is certain is said: without a database that is little.

use super::super::point::{Point, Raised};
use super::super::stated::{Demand, Does, Thing};
use targets::db::TableName;

/// Looks whether everything is there that a statement needs, and nothing that is in its way.
pub fn judge(point: &Point, found: &mut Vec<Raised>) {
    let course = point.course;
    let mut taken = |what: &str, name: &dyn std::fmt::Display, unless: bool| {
        if !unless {
            found.push(point.raise(
                "already-there",
                format!("there is {what} `{name}` already"),
                "compare it with what the migration makes; `sexton migrate baseline` records a migration that was done by hand",
            ));
        }
    };
    match &point.stated.does {
        Does::CreateTable { table, new } if !new.temporary && course.is_there(table) => {
            taken("a table or view", table, new.if_not_exists);
        }
        Does::CreateView { name, replaces } if course.is_there(name) => {
            taken("a table or view", name, *replaces)
        }
        Does::CreateMaterializedView { name, .. } if course.is_there(name) => {
            taken("a table or view", name, false)
        }
        Does::AddColumn { table, column, if_not_exists }
            if course.column_there(table, &column.name) == Some(true) =>
        {
            taken(&format!("in `{table}` a column"), &column.name, *if_not_exists);
        }
        Does::RenameColumn { table, to, .. } if course.column_there(table, to) == Some(true) => {
            taken(&format!("in `{table}` a column"), to, false);
        }
        Does::RenameTable { table, to } => {
            let to = TableName { schema: table.schema.clone(), name: to.clone() };
            if course.is_there(&to) {
                taken("a table or view", &to, false);
            }
        }
        Does::CreateIndex { index, .. } => {
            if let Some(name) = &index.name
                && course.index_there(&TableName::bare(name)) == Some(true)
            {
                taken("an index", name, index.if_not_exists);
            }
        }
        Does::AddConstraint { table, constraint } => {
            let using = matches!(
                &constraint.demands,
                Demand::Unique { index: Some(_), .. } | Demand::Primary { index: Some(_), .. }
            );
            if let Some(name) = &constraint.name
                && !using
                && course.constraint_there(table, name) == Some(true)
            {
                taken(&format!("in `{table}` a constraint"), name, false);
            }
        }
        _ => {}
    }
    missing(point, found);
}

fn missing(point: &Point, found: &mut Vec<Raised>) {
    let course = point.course;
    let mut absent = |what: &str, name: &dyn std::fmt::Display, help: &str| {
        found.push(point.raise("not-there", format!("there is no {what} `{name}`"), help));
    };
    let (tables, unless) = tables_of(&point.stated.does);
    let gone: Vec<&TableName> =
        tables.into_iter().filter(|table| course.there(table) == Some(false)).collect();
    if !gone.is_empty() {
        if !unless {
            gone.iter().for_each(|table| absent("table", table, ""));
        }
        return;
    }
    match &point.stated.does {
        Does::DropColumn { table, column, if_exists: false, .. }
        | Does::RenameColumn { table, column, .. }
        | Does::AlterType { table, column, .. }
        | Does::SetNotNull { table, column }
        | Does::DropNotNull { table, column }
        | Does::SetDefault { table, column, .. }
        | Does::DropDefault { table, column }
            if course.column_there(table, column) == Some(false) =>
        {
            let columns = course.columns(table).unwrap_or_default().join(", ");
            absent(&format!("column in `{table}` called"), column, &format!("its columns are {columns}"));
        }
        Does::CreateIndex { table, index } => {
            for column in index.columns.iter().flatten() {
                // SQLite has hidden ones.
                let hidden = ["rowid", "oid", "_rowid_"].contains(&column.as_str());
                if !hidden && course.column_there(table, column) == Some(false) {
                    absent(&format!("column in `{table}` called"), column, "");
                }
            }
        }
        Does::DropIndex { names, if_exists: false, .. } => {
            for name in names.iter().filter(|name| course.index_there(name) == Some(false)) {
                absent("index", name, "write `if exists` if it may be missing");
            }
        }
        Does::AddConstraint { table, constraint } => {
            let columns = match &constraint.demands {
                Demand::ForeignKey { columns, parent, parent_columns } => {
                    if course.there(parent) == Some(false) {
                        absent("table", parent, "");
                    }
                    for column in
                        parent_columns.iter().filter(|c| course.column_there(parent, c) == Some(false))
                    {
                        absent(&format!("column in `{parent}` called"), column, "");
                    }
                    columns
                }
                Demand::Unique { columns, .. } | Demand::Primary { columns, .. } => columns,
                _ => return,
            };
            for column in columns.iter().filter(|column| course.column_there(table, column) == Some(false)) {
                absent(&format!("column in `{table}` called"), column, "");
            }
        }
        _ => {}
    }
}

/// The tables without which a statement fails, and whether it says that they may be missing.
fn tables_of(does: &Does) -> (Vec<&TableName>, bool) {
    match does {
        Does::AddColumn { table, .. }
        | Does::Rebuild { table, .. }
        | Does::DropColumn { table, .. }
        | Does::RenameColumn { table, .. }
        | Does::RenameTable { table, .. }
        | Does::AlterType { table, .. }
        | Does::SetNotNull { table, .. }
        | Does::DropNotNull { table, .. }
        | Does::SetDefault { table, .. }
        | Does::DropDefault { table, .. }
        | Does::AddConstraint { table, .. }
        | Does::ValidateConstraint { table, .. }
        | Does::DropConstraint { table, .. }
        | Does::CreateIndex { table, .. }
        | Does::CreateTrigger { table, .. }
        | Does::CreateOn { table, .. }
        | Does::MoveTable { table, .. }
        | Does::Rows { table, .. } => (vec![table], false),
        Does::Truncate { tables, .. } => (tables.iter().collect(), false),
        Does::DropTable { tables, if_exists, .. } => (tables.iter().collect(), *if_exists),
        Does::DropThing { thing: Thing::View | Thing::MaterializedView, names, if_exists, .. } => {
            (names.iter().collect(), *if_exists)
        }
        Does::Refresh { view, .. } => (vec![view], false),
        _ => (Vec::new(), false),
    }
}
