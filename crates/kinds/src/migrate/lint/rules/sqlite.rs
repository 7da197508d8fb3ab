//! What SQLite cannot do, does otherwise than people expect, and how a table is rebuilt without a loss.

use super::super::effect::Work;
use super::super::point::{Point, Raised};
use super::super::stated::{Demand, Does, NewColumn, Steady};
use targets::db::TableName;

/// Looks at a part of a statement for SQLite.
pub fn judge(point: &Point, found: &mut Vec<Raised>) {
    let course = point.course;
    match &point.stated.does {
        Does::CreateTable { new, .. } => {
            for column in &new.columns {
                types(point, column, new.strict, found);
            }
        }
        Does::Rebuild { new, .. } => {
            for column in &new.columns {
                types(point, column, new.strict, found);
            }
        }
        Does::AddColumn { table, column, .. } => {
            types(point, column, false, found);
            if !course.is_new(table) {
                add_column(point, column, found);
            }
        }
        Does::DropColumn { table, column, .. } => drop_column(point, table, column, found),
        Does::RenameColumn { .. } => newer(point, 3_025_000, "`rename column`", found),
        Does::SetNotNull { .. } | Does::DropNotNull { .. } => {
            newer(point, 3_053_000, "`alter column`", found)
        }
        Does::AddConstraint { constraint, .. } => {
            if matches!(constraint.demands, Demand::Check(_)) {
                newer(point, 3_053_000, "`add constraint`", found);
            } else {
                found.push(point.raise(
                    "needs-newer-sqlite",
                    "SQLite can add no other constraint than a check",
                    "make a new table with it, copy, drop the old one, rename",
                ));
            }
        }
        Does::DropConstraint { .. } => newer(point, 3_053_000, "`drop constraint`", found),
        Does::CreateTrigger { table, name, again: true } => found.push(point.raise(
            "trigger-recursion",
            format!(
                "`{name}` changes rows of `{table}`, which fires it again where `recursive_triggers` is on"
            ),
            "add `when new.x is old.x`, or fire it only `of` columns that it does not change",
        )),
        Does::DropTable { tables, .. } => tables.iter().for_each(|table| dropped(point, table, found)),
        Does::RenameTable { table, to } => renamed(point, table, to, found),
        _ => {}
    }
    let slow = point.effect.work.iter().find(|(table, work, _)| {
        !course.is_new(table) && matches!(work, Work::Rewrite | Work::Build | Work::Scan)
    });
    if let Some((table, work, _)) = slow {
        let doing = match work {
            Work::Rewrite => "is written anew",
            Work::Build => "gets an index",
            Work::Scan | Work::Match | Work::Rows => "is read",
        };
        found.push(point.raise(
            "long-write",
            format!("nobody else can write to the file while all of `{table}` {doing}"),
            "give the application a `busy_timeout` that is longer, or do it in a time without writers",
        ));
    }
}

fn newer(point: &Point, since: u32, what: &str, found: &mut Vec<Raised>) {
    if point.course.version < since {
        let (major, minor) = (since / 1_000_000, since / 1_000 % 1_000);
        found.push(point.raise(
            "needs-newer-sqlite",
            format!("{what} needs SQLite {major}.{minor}"),
            "make a new table, copy, drop the old one, rename",
        ));
    }
}

/// Types whose name gives a column an affinity that turns text into numbers (W-012).
const NUMBERED: [&str; 8] = ["json", "jsonb", "timestamp", "datetime", "date", "time", "string", "uuid"];

fn types(point: &Point, column: &NewColumn, strict: bool, found: &mut Vec<Raised>) {
    let NewColumn { name, declared, default, .. } = column;
    let bare = declared.split('(').next().unwrap_or_default().trim();
    if strict {
        if !["int", "integer", "real", "text", "blob", "any"].contains(&declared.as_str()) {
            found.push(point.raise(
                "unknown-strict-type",
                format!("a strict table has no type `{declared}`: `{name}`"),
                "use INTEGER, REAL, TEXT, BLOB or ANY",
            ));
        }
    } else if NUMBERED.contains(&bare) {
        found.push(point.raise(
            "numeric-affinity",
            format!("`{name}` of type {bare} turns text that looks like a number into one: '1.0' becomes 1"),
            if bare.starts_with("json") {
                "use TEXT with `check (json_valid(…))`"
            } else {
                "use TEXT, or make the table strict"
            },
        ));
    }
    if default.as_ref().is_some_and(|default| default.text.starts_with('"')) {
        found.push(point.raise(
            "text-in-double-quotes",
            format!("the default of `{name}` is in double quotes, which are for names"),
            "use single quotes",
        ));
    }
}

fn add_column(point: &Point, column: &NewColumn, found: &mut Vec<Raised>) {
    let name = &column.name;
    let given = column.default.as_ref().is_some_and(|default| default.steady != Steady::Null);
    let mut cannot = |text: String, help: &str| found.push(point.raise("cannot-add-column", text, help));
    if column.default.as_ref().is_some_and(|default| default.steady == Steady::Volatile) {
        cannot(
            format!(
                "the default of `{name}` is no constant, which SQLite takes only in a table without rows"
            ),
            "add the column without a default, fill it, and let the application or a trigger give the value",
        );
    }
    if column.generated == Some(true) {
        cannot(
            format!("`{name}` is stored: SQLite can only add a generated column that is virtual"),
            "leave `stored` away",
        );
    }
    for constraint in &column.constraints {
        match constraint.demands {
            Demand::Primary { .. } => cannot(
                format!("`{name}` cannot become a primary key"),
                "make a new table with it, copy, drop the old one, rename",
            ),
            Demand::Unique { .. } => cannot(
                format!("`{name}` cannot be added as unique"),
                "add it without, then create a unique index",
            ),
            Demand::ForeignKey { .. } if given => cannot(
                format!(
                    "`{name}` refers to a table and has a default, which SQLite refuses while foreign keys are on"
                ),
                "add it without a default, then fill it",
            ),
            _ => {}
        }
    }
}

fn drop_column(point: &Point, table: &TableName, column: &str, found: &mut Vec<Raised>) {
    newer(point, 3_035_000, "`drop column`", found);
    let used = point
        .course
        .indexes(table)
        .iter()
        .find(|index| index.columns.iter().flatten().any(|known| known.eq_ignore_ascii_case(column)));
    if used.is_none() && point.course.holds_together(table, column) {
        found.push(point.raise(
            "cannot-drop-column",
            format!("`{column}` is part of a key of `{table}`"),
            "make a new table without it, copy, drop the old one, rename",
        ));
    }
    if let Some(index) = used {
        let own = index.name.starts_with("sqlite_autoindex")
            || index.name.ends_with("_key")
            || index.name.ends_with("_pkey");
        found.push(point.raise(
            "cannot-drop-column",
            match own {
                true => format!("`{column}` is part of a key of `{table}`"),
                false => format!("`{column}` is in index `{}`", index.name),
            },
            &match own {
                true => "make a new table without it, copy, drop the old one, rename".to_owned(),
                false => format!("drop index {}", index.name),
            },
        ));
    }
}

/// The new table that was filled in this migration and will take the place of `table`, by a later rename.
pub fn successor(point: &Point, table: &TableName) -> Option<TableName> {
    point.later.iter().find_map(|later| match later {
        Does::RenameTable { table: new, to } if to.eq_ignore_ascii_case(&table.name) => Some(new.clone()),
        _ => None,
    })
}

/// A table goes: with a successor this is the middle of a rebuild.
fn dropped(point: &Point, table: &TableName, found: &mut Vec<Raised>) {
    if point.course.is_new(table) {
        return;
    }
    let children = point.course.referring(table);
    let rebuilt = successor(point, table).is_some();
    if (rebuilt || !children.is_empty()) && !point.before.keys_off {
        let hurt = match children.first() {
            Some(child) => format!(
                "where foreign keys are enforced this deletes the rows of `{table}` first, and what `{child}` does then happens"
            ),
            None => format!(
                "where foreign keys are enforced this deletes the rows of `{table}` first, with what hangs on them"
            ),
        };
        found.push(point.raise(
            "rebuild-enforced",
            hurt,
            "`pragma foreign_keys = off` before the transaction; `sexton migrate up` never enforces them itself",
        ));
    }
    if !rebuilt {
        return;
    }
    let made_again = |name: &str| {
        point.later.iter().any(|later| match later {
            Does::CreateIndex { index, .. } => {
                index.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
            }
            Does::CreateTrigger { name: own, .. } => own.eq_ignore_ascii_case(name),
            _ => false,
        })
    };
    let indexes = point.course.indexes(table).iter().map(|index| &index.name);
    let lost: Vec<&str> = indexes
        .filter(|name| {
            !name.starts_with("sqlite_autoindex") && !name.ends_with("_key") && !name.ends_with("_pkey")
        })
        .chain(point.course.triggers(table))
        .filter(|name| !made_again(name))
        .map(String::as_str)
        .collect();
    if !lost.is_empty() {
        found.push(point.raise(
            "rebuild-loses",
            format!("with the old `{table}` go {}, and nothing makes them again", lost.join(", ")),
            "create them again after the rename",
        ));
    }
    let checked = point
        .later
        .iter()
        .any(|later| matches!(later, Does::Pragma { name, .. } if name == "foreign_key_check"));
    if !checked && !point.before.keys_checked {
        found.push(point.raise(
            "rebuild-unchecked",
            format!("nothing looks whether all references to `{table}` still hold"),
            "`pragma foreign_key_check` at the end",
        ));
    }
}

fn renamed(point: &Point, table: &TableName, to: &str, found: &mut Vec<Raised>) {
    // The old table is renamed away and another one takes its name: references, views and triggers follow the old one.
    let replaced = point.later.iter().any(|later| match later {
        Does::CreateTable { table: made, .. } => made.name.eq_ignore_ascii_case(&table.name),
        Does::RenameTable { to, .. } => to.eq_ignore_ascii_case(&table.name),
        _ => false,
    });
    let goes = point.later.iter().any(|later| match later {
        Does::DropTable { tables, .. } => tables.iter().any(|gone| gone.name.eq_ignore_ascii_case(to)),
        _ => false,
    });
    if replaced && goes && !point.course.is_new(table) {
        found.push(point.raise(
            "rebuild-order",
            format!("references to `{table}` follow it to `{to}`, and end nowhere when that is dropped"),
            format!("create the new table under another name, copy, drop `{table}`, then rename the new one to `{table}`"),
        ));
    }
}
