//! The references of the target while rows are carried into it: what must wait for the end of a transaction, and what would go along
//! silently when a parent goes.

use super::Online;
use engine::{Error, Result, Work};
use targets::db::{Row, Sql, TableName, Value, quote};

/// A reference of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The table that refers.
    pub child: TableName,
    /// The table that it refers to.
    pub parent: TableName,
    /// Its check may wait for the end of a transaction.
    pub deferrable: bool,
    /// Children go along, or are changed, when their parent goes.
    pub takes_along: bool,
    /// The columns that refer.
    pub columns: Vec<String>,
    /// What they refer to.
    pub parent_columns: Vec<String>,
    /// Its definition.
    pub defined: String,
}

fn text(row: &Row, n: usize) -> String {
    row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// Those from or to the tables of a transfer.
pub fn of(online: &Online, work: &mut Work) -> Result<Vec<Key>> {
    let tables: Vec<Sql> = online
        .carries
        .iter()
        .map(|carry| Sql::default().bind(carry.name.quoted()).text("::text::regclass"))
        .collect();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let list = Sql::join(&tables, ", ");
    let columns = |numbers: &str, table: &str| {
        format!(
            "(select string_agg(a.attname::text, chr(31) order by u.place) from unnest({numbers}) with ordinality as u(n, place) \
             join pg_attribute a on a.attrelid = {table} and a.attnum = u.n)"
        )
    };
    let sql = Sql::new(&format!(
        "select c.conname::text, cn.nspname::text, cr.relname::text, pn.nspname::text, pr.relname::text, c.condeferrable, \
         c.confdeltype in ('c', 'n', 'd'), {}, {}, pg_get_constraintdef(c.oid) \
         from pg_constraint c join pg_class cr on cr.oid = c.conrelid join pg_namespace cn on cn.oid = cr.relnamespace \
         join pg_class pr on pr.oid = c.confrelid join pg_namespace pn on pn.oid = pr.relnamespace \
         where c.contype = 'f' and c.conparentid = 0 and (c.conrelid in (",
        columns("c.conkey", "c.conrelid"),
        columns("c.confkey", "c.confrelid"),
    ))
    .add(&list)
    .text(") or c.confrelid in (")
    .add(&list)
    .text(")) order by 2, 3, 1");
    let list = |row: &Row, n: usize| text(row, n).split('\u{1f}').map(str::to_owned).collect();
    let flag = |row: &Row, n: usize| row.get(n).and_then(Value::as_bool).unwrap_or(false);
    Ok(work
        .rows(&sql)?
        .iter()
        .map(|row| Key {
            name: text(row, 0),
            child: TableName::within(&text(row, 1), &text(row, 2)),
            parent: TableName::within(&text(row, 3), &text(row, 4)),
            deferrable: flag(row, 5),
            takes_along: flag(row, 6),
            columns: list(row, 7),
            parent_columns: list(row, 8),
            defined: text(row, 9),
        })
        .collect())
}

fn alter(key: &Key, how: &str, work: &mut Work) -> Result<()> {
    let (table, name) = (key.child.quoted(), quote(&key.name));
    work.statement(&format!("alter table {table} alter constraint {name} {how}")).map(drop)
}

/// From now on references are checked at the end.
pub fn wait(keys: &[Key], work: &mut Work) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    for key in keys.iter().filter(|key| !key.deferrable) {
        alter(key, "deferrable", work)?;
    }
    work.statement("set constraints all deferred").map(drop)
}

/// They are checked now, and are again as they were.
pub fn check(keys: &[Key], work: &mut Work) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    work.statement("set constraints all immediate").map_err(|error| match error.class {
        engine::Class::Data => error.help(
            "the application deletes rows that others refer to: clean them (`sexton orphans`), then begin the transfer again",
        ),
        _ => error,
    })?;
    for key in keys.iter().filter(|key| !key.deferrable) {
        alter(key, "not deferrable", work)?;
    }
    Ok(())
}

/// Takes references to these tables away; afterwards [`declare`] puts them back.
pub fn release<'k>(keys: &'k [Key], parents: &[&TableName], work: &mut Work) -> Result<Vec<&'k Key>> {
    let doomed: Vec<&Key> = keys.iter().filter(|key| parents.contains(&&key.parent)).collect();
    for key in &doomed {
        let (table, name) = (key.child.quoted(), quote(&key.name));
        work.statement(&format!("alter table {table} drop constraint {name}"))?;
    }
    Ok(doomed)
}

/// Declares references again, with a look at all rows.
pub fn declare(keys: &[&Key], work: &mut Work) -> Result<()> {
    for key in keys {
        let (table, name) = (key.child.quoted(), quote(&key.name));
        work.statement(&format!("alter table {table} add constraint {name} {}", key.defined))?;
    }
    Ok(())
}

/// The error for rows that would go along although the source has them.
pub fn orphaned(key: &Key, rows: u64) -> Error {
    Error::data(format!(
        "{} of `{}` refer to rows of `{}` that the application has deleted meanwhile",
        engine::words::rows(rows),
        key.child.name,
        key.parent.name
    ))
    .code(super::CHECK)
    .help("clean them (`sexton orphans`), then begin the transfer again")
}
