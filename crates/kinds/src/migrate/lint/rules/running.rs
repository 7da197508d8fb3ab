//! What the application that runs meanwhile is used to: names, columns, values, rows. Dropping is here too.

use super::super::Engine;
use super::super::point::{Point, Raised, demanded};
use super::super::stated::{Demand, Does, RowDeed, Thing};
use targets::db::TableName;

const TWO_STEPS: &str = "first let the application do without it, then drop it in a later migration";

/// Looks at what breaks for others.
pub fn judge(point: &Point, found: &mut Vec<Raised>) {
    let new = |table: &TableName| point.course.is_new(table);
    match &point.stated.does {
        Does::DropTable { tables, cascade, .. } => {
            for table in tables.iter().filter(|table| !new(table) && !is_rebuilt(point, table)) {
                found.push(point.raise(
                    "drop-table",
                    format!("`{table}` is gone with its rows, and who still uses it fails"),
                    TWO_STEPS,
                ));
            }
            cascades(point, *cascade, found);
        }
        Does::DropColumn { table, column, cascade, .. } if !new(table) => {
            found.push(point.raise(
                "drop-column",
                format!(
                    "`{table}`.`{column}` is gone with its values, and who still selects or writes it fails"
                ),
                TWO_STEPS,
            ));
            cascades(point, *cascade, found);
        }
        Does::DropThing { thing, names, cascade, .. } => {
            let name = names.first().map_or_else(String::new, ToString::to_string);
            found.push(point.raise(
                "drop-object",
                format!("who still uses the {} `{name}` fails", thing.word()),
                if *thing == Thing::Database { "a migration is no place for this" } else { TWO_STEPS },
            ));
            cascades(point, *cascade, found);
        }
        Does::DropConstraint { table, name, .. } if !new(table) => found.push(point.raise(
            "drop-constraint",
            format!("nothing keeps rows out of `{table}` any more that `{name}` refused"),
            "",
        )),
        Does::Truncate { tables, cascade } => {
            for table in tables.iter().filter(|table| !new(table)) {
                found.push(point.raise(
                    "truncate",
                    format!("every row of `{table}` is gone, and everybody waits for it"),
                    "`sexton run` with a purge keeps what it removes, so that it can be put back",
                ));
            }
            cascades(point, *cascade, found);
        }
        Does::RenameTable { table, to } if !new(table) && !is_rebuilt_into(point, to) => {
            found.push(point.raise(
                "rename-table",
                format!("who still says `{table}` fails from one moment to the next"),
                format!(
                    "keep a view of the old name for a while: `create view {table} as select * from {to}`"
                ),
            ))
        }
        Does::RenameColumn { table, column, to } if !new(table) => found.push(point.raise(
            "rename-column",
            format!("who still says `{column}` fails from one moment to the next"),
            format!("add `{to}`, write both, change over, then drop `{column}`"),
        )),
        Does::SetSchema { table, to } if !new(table) => found.push(point.raise(
            "rename-object",
            format!("who does not look for `{table}` in schema `{to}` fails from one moment to the next"),
            format!("keep a view in the old schema for a while, or put `{to}` into the search path first"),
        )),
        Does::RenameThing { thing, name } => found.push(point.raise(
            "rename-object",
            format!(
                "who still uses the {} `{name}` by this name fails from one moment to the next",
                thing.word()
            ),
            "",
        )),
        Does::AddColumn { table, column, .. }
            if !new(table)
                && column.not_null
                && column.default.is_none()
                && !column.identity
                && column.generated.is_none() =>
        {
            found.push(point.raise(
                "required-column",
                format!(
                    "`{}` is NOT NULL without a default: this fails where `{table}` has rows, and then inserts that do \
                     not know the column fail",
                    column.name
                ),
                "give it a default, or add it without NOT NULL, fill it, and set NOT NULL in a later migration",
            ));
        }
        Does::SetNotNull { table, column } if !new(table) && point.course.engine == Engine::Postgres => {
            found.push(point.raise(
                "not-null-breaks-writers",
                format!("an application that still writes NULL into `{column}` fails from this moment on"),
                "",
            ));
        }
        Does::DropNotNull { table, column } if !new(table) => {
            found.push(point.raise("drop-not-null", format!("who reads `{column}` may not expect NULL"), ""))
        }
        Does::DropDefault { table, column } if !new(table) => found.push(point.raise(
            "drop-default",
            format!("inserts that do not name `{column}` write NULL from this moment on, or fail"),
            "",
        )),
        Does::Rows { table, deed, condition: None, .. } if *deed != RowDeed::Insert && !new(table) => {
            let word = if *deed == RowDeed::Update { "changes" } else { "deletes" };
            found.push(point.raise(
                "all-rows",
                format!("this {word} every row of `{table}`"),
                "add `where`; rows that are right already need no change (`where x is distinct from …`)",
            ));
        }
        Does::Revoke => found.push(point.raise("revoke", "who used the right fails from this moment on", "")),
        Does::CreateView { name, replaces: true } if point.course.there(name) != Some(false) => {
            found.push(point.raise("replaced", format!("`{name}` is another one for everybody at once"), ""));
        }
        Does::CreateThing { thing, name, replaces: true } => found.push(point.raise(
            "replaced",
            format!("the {} `{name}` is another one for everybody at once", thing.word()),
            "",
        )),
        Does::AddConstraint { table, constraint } if !new(table) => {
            let known = match &constraint.demands {
                Demand::Unique { index: Some(_), .. } | Demand::Primary { index: Some(_), .. } => true,
                Demand::NotNull(column) => point.course.is_not_null(table, column),
                _ => constraint.not_enforced,
            };
            if !known {
                let since = if constraint.not_valid { "from this moment on " } else { "" };
                found.push(
                    point.raise(
                        "rows-may-offend",
                        match constraint.not_valid {
                            true => format!(
                                "writes that break the {} fail {since}",
                                demanded(&constraint.demands)
                            )
                            .trim()
                            .to_owned(),
                            false => format!(
                                "this fails when rows of `{table}` break the {}",
                                demanded(&constraint.demands)
                            ),
                        },
                        "",
                    ),
                );
            }
        }
        Does::CreateIndex { table, index } if index.unique && !new(table) => found.push(point.raise(
            "rows-may-offend",
            format!("this fails when two rows of `{table}` are alike in {}", listed(&index.columns)),
            "",
        )),
        _ => {}
    }
}

fn cascades(point: &Point, cascade: bool, found: &mut Vec<Raised>) {
    if cascade {
        found.push(point.raise(
            "drop-cascade",
            "`cascade` takes along views, keys and tables that are not named here",
            "name what shall go, or leave `cascade` away and see what hangs on it",
        ));
    }
}

/// Columns in words.
fn listed(columns: &[Option<String>]) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| column.as_ref().map_or_else(|| "an expression".to_owned(), |name| format!("`{name}`")))
        .collect();
    names.join(", ")
}

/// SQLite: the table goes because another one was filled that will take its place.
fn is_rebuilt(point: &Point, table: &TableName) -> bool {
    point.course.engine == Engine::Sqlite && super::sqlite::successor(point, table).is_some()
}

fn is_rebuilt_into(point: &Point, to: &str) -> bool {
    point.course.engine == Engine::Sqlite
        && point.before.dropped.iter().any(|dropped| dropped.name.eq_ignore_ascii_case(to))
}
