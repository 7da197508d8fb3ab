//! What Sexton has written down about files that runs set aside, and about those that an undo brought back: one row for each
//! file or whole folder, committed with the batch that moved it.
//!
//! The tables are made at the first need and go when nothing is in them. Really removing files is part of forgetting their undo
//! point.

use crate::error::{Error, Result};
use crate::left_behind::take_back;
use crate::operation::Stores;
use crate::quarantine::QUARANTINE;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use targets::db::{Dialect, Facts, Limits, Row, Session, Sql, Tx, Value};

/// A file, or a whole folder, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFile {
    /// Its place among those of its undo point.
    pub position: i64,
    /// The file store.
    pub store: String,
    /// Its name there.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its size in bytes, with everything in it.
    pub bytes: u64,
    /// How many files it is.
    pub files: u64,
    /// Its last change, microseconds since 1970.
    pub modified_us: i64,
    /// `moved`, `back`, `conflict` (could not be put back) or `failed` (was never moved).
    pub state: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub(super) const MOVED: &str = "moved_files";
pub(super) const RESTORED: &str = "restored_files";
pub(super) const COLUMNS: &str = "position, store, name, folder, bytes, files, modified_us, state, reason";

fn create(tx: &mut dyn Tx, dialect: &dyn Dialect) -> Result<()> {
    let tables = [
        (
            MOVED,
            "point text not null, position bigint not null, store text not null, name text not null, \
             folder bigint not null, bytes bigint not null, files bigint not null, modified_us bigint not null, \
             state text not null, reason text, primary key (point, position)",
        ),
        (RESTORED, "store text not null, name text not null, primary key (store, name)"),
    ];
    for (name, columns) in tables {
        // Asked first: a notice for each batch would fill the server's log.
        if tx.count(&dialect.exists(&dialect.own(name)))? == 0 {
            let create = Sql::new("create table ").table(&dialect.own(name)).text(&format!(" ({columns})"));
            tx.execute(&create)?;
        }
    }
    Ok(())
}

pub(super) fn installed(facts: &mut (impl Facts + ?Sized)) -> Result<bool> {
    let exists = facts.dialect().exists(&facts.dialect().own(MOVED));
    Ok(facts.count(&exists)? == 1)
}

/// Writes down what was set aside. Belongs into the transaction of the batch.
pub(crate) fn record(tx: &mut dyn Tx, dialect: &dyn Dialect, point: &str, files: &[MovedFile]) -> Result<()> {
    create(tx, dialect)?;
    for some in files.chunks(100) {
        let rows: Vec<Sql> = some
            .iter()
            .map(|file| {
                Sql::new("(")
                    .bind(point)
                    .text(", ")
                    .bind(file.position)
                    .text(", ")
                    .bind(file.store.clone())
                    .text(", ")
                    .bind(file.name.clone())
                    .text(&format!(
                        ", {}, {}, {}, {}, ",
                        i64::from(file.folder),
                        file.bytes,
                        file.files,
                        file.modified_us
                    ))
                    .bind(file.state.clone())
                    .text(", ")
                    .bind(file.reason.clone())
                    .text(")")
            })
            .collect();
        tx.execute(
            &Sql::new("insert into ")
                .table(&dialect.own(MOVED))
                .text(&format!(" (point, {COLUMNS}) values "))
                .add(&Sql::join(&rows, ", ")),
        )?;
    }
    Ok(())
}

/// What an undo point set aside, in its order, at most `limit`.
pub fn moved_files(facts: &mut dyn Facts, point: &str, limit: u64) -> Result<Vec<MovedFile>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new(&format!("select {COLUMNS} from "))
        .table(&facts.dialect().own(MOVED))
        .text(" where point = ")
        .bind(point)
        .text(" order by position limit ")
        .bind(limit.min(i64::MAX as u64) as i64);
    Ok(facts.rows(&select)?.iter().map(read).collect())
}

pub(super) fn read(row: &Row) -> MovedFile {
    let text = |n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0);
    MovedFile {
        position: number(0),
        store: text(1).unwrap_or_default(),
        name: text(2).unwrap_or_default(),
        folder: number(3) != 0,
        bytes: number(4).max(0) as u64,
        files: number(5).max(0) as u64,
        modified_us: number(6),
        state: text(7).unwrap_or_default(),
        reason: text(8),
    }
}

/// How many files and folders a point has set aside.
pub(crate) fn count_moved(facts: &mut dyn Facts, point: &str) -> Result<u64> {
    if !installed(facts)? {
        return Ok(0);
    }
    let select = Sql::new("select count(*) from ")
        .table(&facts.dialect().own(MOVED))
        .text(" where state <> 'failed' and point = ")
        .bind(point);
    facts.count(&select)
}

/// The names of what a point has set aside in a store, in whatever state.
pub(crate) fn moved_names(
    facts: &mut (impl Facts + ?Sized),
    point: &str,
    store: &str,
) -> Result<HashSet<String>> {
    if !installed(facts)? {
        return Ok(HashSet::new());
    }
    let select = Sql::new("select name from ")
        .table(&facts.dialect().own(MOVED))
        .text(" where point = ")
        .bind(point)
        .text(" and store = ")
        .bind(store);
    let rows = facts.rows(&select)?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// The stores in which files wait.
pub(crate) fn stores_with_files(facts: &mut (impl Facts + ?Sized)) -> Result<Vec<String>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select distinct store from ").table(&facts.dialect().own(MOVED));
    let rows = facts.rows(&select)?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// The names that an undo brought back to a store: they are not swept again.
pub fn restored_files(facts: &mut dyn Facts, store: &str) -> Result<HashSet<String>> {
    if !installed(facts)? {
        return Ok(HashSet::new());
    }
    let select = Sql::new("select name from ")
        .table(&facts.dialect().own(RESTORED))
        .text(" where store = ")
        .bind(store);
    let rows = facts.rows(&select)?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// Ends the exemption of restored files; the stores that had some.
pub(crate) fn release_files(session: &mut dyn Session, limits: &Limits) -> Result<Vec<String>> {
    if !installed(session)? {
        return Ok(Vec::new());
    }
    let own = session.dialect().own(RESTORED);
    let stores = Sql::new("select distinct store from ").table(&own).text(" order by store");
    let rows = session.rows(&stores)?;
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("delete from ").table(&own))?;
    tx.commit()?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// Really removes what a point has set aside, and forgets it.
pub(crate) fn discard_files(
    session: &mut dyn Session,
    stores: &dyn Stores,
    limits: &Limits,
    point: &str,
) -> Result<()> {
    super::written::forget(session, stores, limits, point)?;
    if !installed(session)? {
        return Ok(());
    }
    let own = session.dialect().own(MOVED);
    let of_point = |what: &str| Sql::new(what).text(" from ").table(&own).text(" where point = ").bind(point);
    for row in session.rows(&of_point("select distinct store"))? {
        let name = row.first().and_then(Value::as_text).unwrap_or_default();
        let store = stores.store(name)?;
        // What was never committed was never to go.
        let taken = take_back(store.as_ref(), point, &moved_names(session, point, name)?)?;
        if let Some(first) = taken.stuck.first() {
            return Err(Error::system(format!(
                "files that `{point}` moved and never committed wait still: {first}"
            ))
            .help(format!(
                "move what is in the way, or take them from `{QUARANTINE}/{point}/files` of `{name}`"
            )));
        }
        store.remove_tree(&format!("{QUARANTINE}/{point}"))?;
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&of_point("delete"))?;
    tx.commit()
}

/// Removes the tables when nothing is in them; whether they are gone.
pub(crate) fn tidy_files(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    if !installed(session)? {
        return Ok(true);
    }
    let own = [MOVED, RESTORED].map(|name| session.dialect().own(name));
    let mut tx = session.begin(limits)?;
    for table in &own {
        if tx.count(&Sql::new("select count(*) from ").table(table))? > 0 {
            return Ok(false);
        }
    }
    for table in &own {
        tx.execute(&Sql::new("drop table ").table(table))?;
    }
    tx.commit()?;
    Ok(true)
}
