//! Who waits for a statement, and how to write it so that nobody does. PostgreSQL.
//!
//! Tables that the migration itself made are exempt: nobody else has them yet.

use super::super::effect::{Sure, Work};
use super::super::point::{Point, Raised};
use super::super::stated::{Demand, Does, NewColumn, NewConstraint, SERIAL, Steady};
use targets::db::TableName;

/// Looks at what is locked and how long.
pub fn judge(point: &Point, found: &mut Vec<Raised>) {
    let about = point.effect.locks.first().map(|(table, _)| table);
    if about.is_some_and(|table| point.course.is_new(table)) {
        return;
    }
    let certain = |work: Work| {
        point.effect.work.iter().find(|(_, done, _)| *done == work).map(|(.., sure)| *sure == Sure::Certain)
    };
    match &point.stated.does {
        Does::CreateIndex { table, index } if !index.concurrently && !index.only => found.push(point.raise(
            "index-not-concurrent",
            format!("writers of `{table}` wait until the index is built"),
            "write `create index concurrently`, in a migration without a transaction",
        )),
        Does::DropIndex { names, concurrently: false, .. } => found.push(point.raise(
            "index-drop-not-concurrent",
            format!(
                "dropping `{}` waits for every transaction that uses its table, and everybody else waits behind it",
                names.first().map_or_else(String::new, ToString::to_string)
            ),
            "write `drop index concurrently`, in a migration without a transaction",
        )),
        Does::Reindex { concurrently: false, .. } => found.push(point.raise(
            "reindex-not-concurrent",
            "writers wait until the index is built anew, and readers that would use it as well",
            "write `reindex … concurrently`, in a migration without a transaction",
        )),
        Does::AddColumn { table, column, .. } => add_column(point, table, column, found),
        Does::AddConstraint { table, constraint } => add_constraint(point, table, constraint, found),
        Does::SetNotNull { table, column } if certain(Work::Scan).is_some() => {
            let waiting = point.course.waiting_check(table, column);
            let help = match waiting {
                Some(check) => format!("validate `{check}` first: `alter table {table} validate constraint {check}`"),
                None => format!(
                    "add `check ({column} is not null) not valid`, validate it in the next migration, then set NOT NULL \
                     without a look at the rows"
                ),
            };
            found.push(point.raise(
                "set-not-null-scan",
                format!("everybody waits while every row of `{table}` is looked at for NULL in `{column}`"),
                help,
            ));
        }
        Does::AlterType { table, column, to, .. } => match certain(Work::Rewrite) {
            Some(certain) => found.push(point.raise(
                "column-type-rewrite",
                match certain {
                    true => format!("`{table}` is written anew with its indexes, because `{column}` becomes {to}"),
                    false => format!(
                        "`{table}` is written anew with its indexes, unless what `{column}` is now is stored as {to} is"
                    ),
                },
                "add a new column, fill it in batches, let a trigger keep both the same meanwhile, then change over",
            )),
            None => found.push(point.raise(
                "column-type-change",
                format!("who uses `{table}`.`{column}` is given {to} from this moment on; the rows stay as they are"),
                "",
            )),
        },
        Does::SetExpression { table, column } => found.push(point.raise(
            "generated-rewrite",
            format!("`{table}` is written anew to compute `{column}` in every row"),
            "add another column with the new expression filled by a trigger, and change over",
        )),
        Does::MoveTable { table, how } => found.push(point.raise(
            "table-rewrite",
            format!("`{how}` copies all of `{table}` while everybody waits"),
            "do it in a time without users, or copy into a new table and change over",
        )),
        Does::Vacuum { full: true, table } => found.push(point.raise(
            "table-rewrite",
            format!("`vacuum full` copies all of {} while everybody waits", shown(table)),
            "use pg_repack, or `repack (concurrently)` from PostgreSQL 19 on; a plain `vacuum` keeps nobody out",
        )),
        Does::Cluster { table } => found.push(point.raise(
            "table-rewrite",
            format!("`cluster` copies all of {} while everybody waits", shown(table)),
            "use pg_repack, or `repack (concurrently)` from PostgreSQL 19 on",
        )),
        Does::Refresh { view, concurrently: false, with_data: true } => found.push(point.raise(
            "refresh-not-concurrent",
            format!("readers of `{view}` wait until it is computed"),
            "write `refresh materialized view concurrently`; it needs a unique index over plain columns",
        )),
        Does::DetachPartition { table, partition, concurrently: false } => found.push(point.raise(
            "detach-not-concurrent",
            format!("detaching `{partition}` waits for everybody who uses `{table}`, and everybody else waits behind it"),
            "write `detach partition … concurrently`, in a migration without a transaction",
        )),
        Does::AttachPartition { partition, .. } if certain(Work::Scan).is_some() => found.push(point.raise(
            "attach-scan",
            format!("every row of `{partition}` is looked at, unless a check that is validated proves its bounds"),
            format!(
                "add a check with the bounds to `{partition}` as `not valid`, validate it, attach, then drop it"
            ),
        )),
        Does::CreateTable { table, new } if new.partition_of.is_some() => {
            let parent = new.partition_of.as_ref().map_or_else(String::new, ToString::to_string);
            found.push(point.raise(
                "partition-of-lock",
                format!("everybody who uses `{parent}` waits for this"),
                format!("create `{table}` (like {parent} including all), then `alter table {parent} attach partition`"),
            ));
        }
        Does::DomainConstraint { domain } => found.push(point.raise(
            "domain-constraint",
            format!("every row of every table that uses `{domain}` is looked at while its writers wait"),
            format!("add it as `not valid`, then `alter domain {domain} validate constraint` in the next migration"),
        )),
        Does::Lock { tables, mode } => found.push(point.raise(
            "lock-table",
            format!(
                "`{}` is kept in {} mode until the transaction ends",
                tables.first().map_or_else(String::new, ToString::to_string),
                mode.to_uppercase()
            ),
            "keep what follows short, or leave the lock to the statements that need it",
        )),
        Does::Trigger { table, enabled: false } => found.push(point.raise(
            "trigger-off",
            format!("what happens to `{table}` meanwhile passes its triggers by, foreign keys among them if `all` is meant"),
            "set `session_replication_role` for your own session, or let the trigger ask a setting",
        )),
        _ => {}
    }
}

fn shown(table: &Option<TableName>) -> String {
    table.as_ref().map_or_else(|| "every table".to_owned(), |table| format!("`{table}`"))
}

fn add_column(point: &Point, table: &TableName, column: &NewColumn, found: &mut Vec<Raised>) {
    let name = &column.name;
    let rewritten = point.effect.rewrites();
    if column.generated == Some(true) {
        found.push(point.raise(
            "generated-rewrite",
            format!("`{table}` is written anew to compute `{name}` in every row"),
            "add an ordinary column, let a trigger fill it for new rows, and fill the old ones in batches; from PostgreSQL 18 \
             on a `virtual` column costs nothing",
        ));
    } else if column.identity || SERIAL.contains(&column.declared.as_str()) {
        found.push(point.raise(
            "identity-rewrite",
            format!("`{table}` is written anew to number its rows in `{name}`"),
            "add the column without a default, set the default to a sequence, and number the old rows in batches",
        ));
    } else if rewritten {
        let steady = column.default.as_ref().map(|default| default.steady);
        let (text, help) = match steady {
            Some(Steady::Constant) => (
                format!("before PostgreSQL 11 a default writes all of `{table}` anew"),
                "add the column without a default, set the default, then fill the old rows in batches",
            ),
            Some(Steady::Unknown) => (
                format!(
                    "`{table}` is written anew, unless the default of `{name}` is the same for every row"
                ),
                "if it differs by row: add the column without a default, set the default, then fill the old rows in batches",
            ),
            _ => (
                format!("the default of `{name}` differs by row, so `{table}` is written anew"),
                "add the column without a default, set the default, then fill the old rows in batches",
            ),
        };
        found.push(point.raise("default-rewrite", text, help));
    }
    for constraint in &column.constraints {
        let free = column.default.is_none() && matches!(constraint.demands, Demand::ForeignKey { .. });
        if !free {
            add_constraint(point, table, constraint, found);
        }
    }
}

fn add_constraint(point: &Point, table: &TableName, constraint: &NewConstraint, found: &mut Vec<Raised>) {
    if constraint.not_valid || constraint.not_enforced {
        return;
    }
    match &constraint.demands {
        Demand::ForeignKey { parent, .. } => found.push(point.raise(
            "foreign-key-not-valid",
            format!("writers of `{table}` and `{parent}` wait while every row is looked at"),
            "add it as `not valid`, then `validate constraint` in the next migration",
        )),
        Demand::Check(_) | Demand::NotNull(_) => found.push(point.raise(
            "check-not-valid",
            format!("everybody waits while every row of `{table}` is looked at"),
            match (&constraint.demands, point.course.version >= 180_000) {
                (Demand::NotNull(_), false) => "use a check that is `not valid` before PostgreSQL 18",
                _ => "add it as `not valid`, then `validate constraint` in the next migration",
            },
        )),
        Demand::Unique { index: None, .. } => found.push(point.raise(
            "unique-not-using-index",
            format!("everybody waits while an index of `{table}` is built"),
            "`create unique index concurrently`, then `add constraint … unique using index` in the next migration",
        )),
        Demand::Primary { index: None, .. } => found.push(point.raise(
            "primary-key-not-using-index",
            format!("everybody waits while an index of `{table}` is built"),
            "`create unique index concurrently`, then `add constraint … primary key using index` in the next migration",
        )),
        Demand::Exclude => found.push(point.raise(
            "exclusion-constraint",
            format!("everybody waits while an index of `{table}` is built, and PostgreSQL knows no other way"),
            "do it in a time without users, or while the table is small",
        )),
        Demand::Unique { .. } | Demand::Primary { .. } => {}
    }
}
