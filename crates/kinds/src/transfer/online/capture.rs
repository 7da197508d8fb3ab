//! Triggers in the source: those that write down which rows change, and those that refuse changes once the application is elsewhere.
//!
//! Only keys are written down, at the cost of one small insert. A row that `or replace` takes away fires no trigger of its own, so
//! rows that stand in the way of a new one are written down before it comes.

use super::super::canon::Mix;
use super::super::source::{SourceIndex, SourceTable};
use super::super::task::Carry;
use super::super::translate::grammar::unquoted;
use super::Online;
use super::ask::Source;
use super::entry::{self, Entry, State};
use engine::{Error, Result};
use targets::db::{Limits, Session, Sql, TableName, Tx, Value, quote};

/// What the names of the triggers begin with.
const CAPTURE: &str = "sexton_capture_";
const REFUSE: &str = "sexton_moved_";

/// The columns of the source by which changes of a table are written down.
pub fn keys(carry: &Carry) -> Vec<&str> {
    carry.key.iter().map(|n| carry.columns[*n].source.as_str()).collect()
}

/// Where changes are written down.
pub fn changes() -> TableName {
    TableName::bare("sexton_changes")
}

/// The triggers that write down what changes in the n-th table.
pub fn triggers(n: usize, carry: &Carry, from: &SourceTable, changes: &TableName) -> Vec<String> {
    let keys = keys(carry);
    let table = quote(&carry.table);
    let places: Vec<String> = (1..=keys.len()).map(|n| format!("k{n}")).collect();
    let into = format!("insert into {} (t, {})", changes.quoted(), places.join(", "));
    let of =
        |row: &str| keys.iter().map(|key| format!("{row}.{}", quote(key))).collect::<Vec<_>>().join(", ");
    let values = |row: &str| format!("{into} values ({n}, {});", of(row));
    let other: Vec<String> =
        keys.iter().map(|key| format!("old.{0} is not new.{0} collate binary", quote(key))).collect();
    let other = other.join(" or ");
    let create = |what: &str, when: &str, body: &str| {
        format!("create trigger \"{CAPTURE}{n}_{what}\" {when} on {table} begin {body} end")
    };
    let mut all = vec![
        create("insert", "after insert", &values("new")),
        create("delete", "after delete", &values("old")),
        create(
            "update",
            "after update",
            &format!("{} {into} select {n}, {} where {other};", values("new"), of("old")),
        ),
    ];
    let mut probes: Vec<(String, String)> =
        from.indexes.iter().filter_map(|index| probe(index, from, &keys)).collect();
    let (there, named) = named(from);
    if let Some(rowid) = from.by_rowid().filter(|rowid| keys != [*rowid]) {
        // a row may be put in the place of another one by its number, too
        let rowid = quote(rowid);
        probes.push((format!("{there}.{rowid} = new.{rowid}"), format!("new.{rowid} is not old.{rowid}")));
    }
    if !probes.is_empty() {
        let each = |(found, _): &(String, String)| {
            format!("{into} select {n}, {} from {table}{named} where {found};", of(&there))
        };
        let body = probes.iter().map(each).collect::<Vec<_>>().join(" ");
        all.push(create("replace", "before insert", &body));
        let changed = probes.iter().map(|(_, changed)| changed.as_str()).collect::<Vec<_>>().join(" or ");
        all.push(format!(
            "create trigger \"{CAPTURE}{n}_displace\" before update on {table} when {changed} begin {body} end"
        ));
    }
    all
}

/// How the rows that are there are called in a trigger, and what has to be said for that: by the name of the table, which the condition of an
/// index may use, unless it is one that triggers give.
fn named(from: &SourceTable) -> (String, &'static str) {
    match ["new", "old"].iter().any(|name| from.name().eq_ignore_ascii_case(name)) {
        true => ("t".to_owned(), " as t"),
        false => (quote(from.name()), ""),
    }
}

/// Which rows stand in the way of a new one because of a unique index, and when a change matters to it; none for the key itself, and
/// for expressions, of which only counts tell.
fn probe(index: &SourceIndex, from: &SourceTable, keys: &[&str]) -> Option<(String, String)> {
    let written = index.written.as_ref().filter(|written| written.unique)?;
    let (there, _) = named(from);
    let mut found = Vec::new();
    let mut changed = Vec::new();
    let mut names = Vec::new();
    for part in &written.parts {
        let name = unquoted(&part.expression);
        let column = from.table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name))?;
        let collation =
            part.collation.as_deref().or_else(|| from.collation(&column.name)).unwrap_or("binary");
        let name = quote(&column.name);
        found.push(format!("{there}.{name} = new.{name} collate {}", quote(collation)));
        changed.push(format!("new.{name} is not old.{name} collate binary"));
        names.push(column.name.as_str());
    }
    let is_key = names.len() == keys.len() && names.iter().all(|name| keys.contains(name));
    if is_key && written.only.is_none() {
        return None;
    }
    if let Some(only) = &written.only {
        // a condition may be about any column
        found.push(format!("({only})"));
        return Some((found.join(" and "), "1".to_owned()));
    }
    Some((found.join(" and "), changed.join(" or ")))
}

/// Whether a row may make another one go that nothing is told of.
pub fn loses_traces(carry: &Carry, from: &SourceTable) -> bool {
    let keys = keys(carry);
    from.indexes.iter().any(|index| {
        let columns = |part: &super::super::translate::grammar::WrittenPart| {
            let name = unquoted(&part.expression);
            from.table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name))
        };
        match &index.written {
            None => true,
            Some(written) => {
                written.unique && !written.parts.iter().all(columns) && probe(index, from, &keys).is_none()
            }
        }
    })
}

/// The triggers that refuse changes of the n-th table.
pub fn refusals(n: usize, table: &str, target: &str) -> Vec<String> {
    let said = format!(
        "this database has moved to PostgreSQL ({target}): nothing is written here any more; sexton transfer rollback goes back"
    );
    let said = said.replace('\'', "''");
    let one = |what: &str| {
        format!(
            "create trigger if not exists \"{REFUSE}{n}_{what}\" before {what} on {} begin select raise(abort, '{said}'); end",
            quote(table)
        )
    };
    ["insert", "update", "delete"].map(one).to_vec()
}

/// What the tables of the source are declared as: whatever is changed there gives another text.
pub fn schema(source: &mut Source) -> Result<String> {
    let sql = Sql::new(
        "select type, name, tbl_name, coalesce(sql, '') from sqlite_schema \
         where lower(name) not like 'sexton\\_%' escape '\\' and lower(tbl_name) not like 'sexton\\_%' escape '\\' \
         and lower(name) not like 'sqlite\\_%' escape '\\' order by 1, 2",
    );
    let mut mix = Mix::default();
    for row in source.rows(&sql)? {
        row.iter().for_each(|value| mix.bytes(value.as_text().unwrap_or_default().as_bytes()));
    }
    Ok(format!("{:032x}", mix.sum()))
}

/// The error for tables that are not any more as they were when the transfer was planned.
pub fn schema_changed(source: &str) -> Error {
    Error::data(format!("the tables of `{source}` were changed while it was carried"))
        .code(super::CHECK)
        .help(
            "migrate the application before or after the move, not meanwhile; then begin the transfer again",
        )
}

/// Begins to write down what changes. Where that was begun by this run before, it begins anew.
pub fn install(online: &Online, run: &str, session: &mut dyn Session) -> Result<Entry> {
    let changes = changes();
    let mut tx = session.begin(&Limits::default())?;
    if let Some(there) = entry::within(tx.as_mut())?.filter(|there| there.run != run) {
        return Err(under_way(&there));
    }
    if schema(&mut Source::Locked(tx.as_mut()))? != online.schema {
        return Err(schema_changed(&online.source));
    }
    drop_triggers(CAPTURE, tx.as_mut())?;
    drop_triggers(REFUSE, tx.as_mut())?;
    tx.execute(&Sql::new("drop table if exists ").table(&changes))?;
    let most = online.carries.iter().map(|carry| carry.key.len()).max().unwrap_or(0).max(1);
    let columns: Vec<String> = (1..=most).map(|n| format!("k{n}")).collect();
    tx.execute(
        &Sql::new("create table ")
            .table(&changes)
            .text(&format!(" (n integer primary key, t integer not null, {})", columns.join(", "))),
    )?;
    for trigger in &online.capture {
        tx.execute(&Sql::raw(trigger))?;
    }
    let own = Entry {
        run: run.to_owned(),
        state: State::Capturing,
        online: online.clone(),
        since: None,
        was: None,
    };
    entry::write(&own, tx.as_mut())?;
    tx.commit()?;
    Ok(own)
}

/// The error where another transfer has its hands on the source.
pub fn under_way(there: &Entry) -> Error {
    let what = match there.state {
        State::Switched | State::Settled => {
            format!("`{}` was moved to `{}` before", there.online.source, there.online.target)
        }
        State::GivenUp => {
            format!(
                "what a transfer of `{}` had made in `{}` is still there",
                there.online.source, there.online.target
            )
        }
        _ => format!("another transfer of `{}` is under way (run {})", there.online.source, there.run),
    };
    Error::usage(what).help(
        "`sexton transfer rollback` with the same databases takes it back; `sexton resume` goes on with it",
    )
}

/// From now on changes are refused, and need not be written down.
pub fn refuse(online: &Online, tx: &mut dyn Tx) -> Result<()> {
    drop_triggers(CAPTURE, tx)?;
    for trigger in &online.refuse {
        tx.execute(&Sql::raw(trigger))?;
    }
    Ok(())
}

/// Changes are not refused any more.
pub fn allow(tx: &mut dyn Tx) -> Result<()> {
    drop_triggers(REFUSE, tx)
}

/// What was written down goes; the triggers, too.
pub fn forget_changes(tx: &mut dyn Tx) -> Result<()> {
    drop_triggers(CAPTURE, tx)?;
    tx.execute(&Sql::new("drop table if exists ").table(&changes())).map(drop)
}

/// The application works here as before, but what was made in the target is still to be taken away.
pub fn give_up(own: &Entry, session: &mut dyn Session) -> Result<()> {
    let mut tx = session.begin(&Limits::default())?;
    drop_triggers(REFUSE, tx.as_mut())?;
    forget_changes(tx.as_mut())?;
    entry::write(&Entry { state: State::GivenUp, ..own.clone() }, tx.as_mut())?;
    tx.commit()
}

/// The source is as if nobody had ever been there.
pub fn remove(session: &mut dyn Session) -> Result<()> {
    let mut tx = session.begin(&Limits::default())?;
    drop_triggers(CAPTURE, tx.as_mut())?;
    drop_triggers(REFUSE, tx.as_mut())?;
    tx.execute(&Sql::new("drop table if exists ").table(&changes()))?;
    tx.execute(&Sql::new("drop table if exists ").table(&entry::table()))?;
    tx.commit()
}

fn drop_triggers(prefix: &str, tx: &mut dyn Tx) -> Result<()> {
    let ours = Sql::new("select name from sqlite_schema where type = 'trigger' and substr(name, 1, ")
        .bind(prefix.len() as i64)
        .text(") = ")
        .bind(prefix);
    for row in tx.rows(&ours)? {
        if let Some(name) = row.first().and_then(Value::as_text) {
            tx.execute(&Sql::new("drop trigger ").name(name))?;
        }
    }
    Ok(())
}
