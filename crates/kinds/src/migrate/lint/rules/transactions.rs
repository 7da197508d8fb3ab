//! What does not go together in one transaction, and what does not go into one at all.

use super::super::Engine;
use super::super::effect::{Lock, Work};
use super::super::point::{Point, Raised, altered};
use super::super::stated::{Does, RowDeed};

/// Looks at how a part of a statement goes together with what came before.
pub fn judge(point: &Point, found: &mut Vec<Raised>) {
    if point.in_transaction {
        if let Some(what) = point.effect.outside {
            found.push(point.raise(
                "outside-transaction",
                format!("`{what}` cannot run in a transaction"),
                "put it into a migration of its own that has none",
            ));
        }
        together(point, found);
    } else {
        alone(point, found);
    }
    if point.splits && point.first {
        found.push(point.raise(
            "split-transaction",
            "this cannot be in a transaction, so what stands before it stays when it fails",
            "put it into a migration of its own",
        ));
    }
    match &point.stated.does {
        Does::Attach => found.push(point.raise(
            "attach-in-migration",
            "another file would be changed that the history knows nothing of",
            "",
        )),
        Does::Set { name, local: false, .. } if session_wide(point, name) => found.push(point.raise(
            "session-setting",
            format!("`{name}` stays set for what runs after this on the same connection"),
            format!("write `set local {name} = …`"),
        )),
        _ => {}
    }
}

fn session_wide(point: &Point, name: &str) -> bool {
    // A limit is what everybody wants to set, and a migration without a transaction has no other way.
    point.course.engine == Engine::Postgres
        && point.in_transaction
        && !["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"].contains(&name)
}

fn together(point: &Point, found: &mut Vec<Raised>) {
    if point.course.engine == Engine::Sqlite {
        return;
    }
    let Point { before, effect, course, .. } = point;
    let does = &point.stated.does;
    if let Does::ValidateConstraint { table, name } = does
        && before.unvalidated.iter().any(|(known, constraint)| known == table && constraint == name)
        && !course.is_new(table)
    {
        found.push(point.raise(
            "validate-in-transaction",
            format!("`{table}` has been locked since the constraint was added, and stays so while every row is looked at"),
            "validate in the next migration",
        ));
        return;
    }
    let strong = |lock: Lock| lock >= Lock::ShareRowExclusive;
    let own = effect.locks.first().filter(|(table, _)| !course.is_new(table));
    if let Some((held, _)) = before.held.iter().find(|(_, lock)| *lock == Lock::AccessExclusive) {
        let slow = effect.work.iter().find(|(table, ..)| !course.is_new(table));
        // Its own table was locked for this very statement: that is said there.
        if let Some((table, work, _)) =
            slow.filter(|(table, ..)| table != held || point.effect.locks.is_empty())
        {
            let doing = match work {
                Work::Scan | Work::Match => "is read",
                Work::Build => "gets an index",
                Work::Rewrite => "is written anew",
                Work::Rows => "is changed",
            };
            found.push(point.raise(
                "work-under-lock",
                format!("nobody can use `{held}` while `{table}` {doing}: the lock stays until the end"),
                "put the slow statement into a migration of its own, before the one that locks",
            ));
            return;
        }
    }
    let mut others: Vec<_> =
        before.held.iter().filter(|(_, lock)| strong(*lock)).map(|(table, _)| table).collect();
    others.sort();
    others.dedup();
    if let (Some((table, lock)), [other]) = (own, others.as_slice())
        && strong(*lock)
        && table != *other
    {
        found.push(point.raise(
            "several-locks",
            format!("`{other}` is still locked while this waits for `{table}`, and others may wait the other way round"),
            "one table to a migration",
        ));
    }
    match does {
        Does::Rows { table, deed, .. } if *deed != RowDeed::Insert && !course.is_new(table) => {
            if before.altered.contains(table) {
                found.push(point.raise(
                    "data-and-schema",
                    format!("`{table}` stays locked while its rows are changed, because the schema was changed before"),
                    "change rows in a migration of its own",
                ));
            }
        }
        _ => {
            if let Some(table) = altered(does)
                && point.first
                && !course.is_new(table)
                && before.altered.contains(table)
            {
                found.push(point.raise(
                    "several-alters",
                    format!("`{table}` was altered before in the same transaction"),
                    "one `alter table` can have several parts, divided by commas",
                ));
            }
            let uses_new_value = before.enum_values.iter().any(|value| point.sql.contains(value.as_str()));
            if uses_new_value && !matches!(does, Does::AddEnumValue { .. }) && course.version >= 120_000 {
                found.push(point.raise(
                    "enum-value-used",
                    "the new enum value cannot be used in the transaction that adds it",
                    "add the value in a migration of its own",
                ));
            }
        }
    }
    timeout(point, found);
}

fn alone(point: &Point, found: &mut Vec<Raised>) {
    let again = "add `if exists` or `if not exists`, so that a second attempt passes over what is done";
    let repeatable = match &point.stated.does {
        Does::CreateTable { new, .. } => new.if_not_exists,
        Does::AddColumn { if_not_exists, .. } => *if_not_exists,
        Does::CreateIndex { index, .. } if index.concurrently && index.if_not_exists => {
            let name = index.name.clone().unwrap_or_default();
            found.push(point.raise(
                "invalid-index-kept",
                format!("if a build of `{name}` fails, it leaves an invalid index, which a second attempt takes for the real one"),
                format!("write `drop index concurrently if exists {name}` before it"),
            ));
            true
        }
        Does::CreateIndex { index, .. } => index.if_not_exists,
        Does::DropIndex { if_exists, .. }
        | Does::DropTable { if_exists, .. }
        | Does::DropColumn { if_exists, .. }
        | Does::DropThing { if_exists, .. }
        | Does::DropConstraint { if_exists, .. } => *if_exists,
        _ => true,
    };
    if !repeatable && !dropped_before(point) {
        found.push(point.raise(
            "not-repeatable",
            "a second attempt fails here if a later statement failed the first time",
            again,
        ));
    }
    timeout(point, found);
}

/// Whether the thing is dropped `if exists` right before it is made.
fn dropped_before(point: &Point) -> bool {
    match &point.stated.does {
        Does::CreateIndex { index, .. } => {
            let name = targets::db::TableName::bare(index.name.as_deref().unwrap_or_default());
            point.before.dropped.contains(&name)
        }
        Does::CreateTable { table, .. } => point.before.dropped.contains(table),
        _ => false,
    }
}

/// Said once in a migration.
fn timeout(point: &Point, found: &mut Vec<Raised>) {
    let waits = |lock: &Lock| *lock >= Lock::Share;
    let mut locked =
        point.effect.locks.iter().filter(|(table, lock)| waits(lock) && !point.course.is_new(table));
    if let Some((table, _)) = locked.next()
        && point.course.engine == Engine::Postgres
        && point.first
        && !point.before.lock_timeout
        && point.before.held.is_empty()
    {
        found.push(point.raise(
            "lock-timeout",
            format!("while this waits for `{table}`, everybody who comes later waits behind it"),
            "`set local lock_timeout = '2s'` and try again later; `sexton migrate up` does so by itself",
        ));
    }
}
