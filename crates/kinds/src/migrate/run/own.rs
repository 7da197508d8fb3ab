//! The history that Sexton keeps by itself: one row for every attempt, never changed afterwards but by the attempt itself.
//!
//! What a migration is now is folded from its rows, newest last. It never forgets: a migration that went in, out and in
//! again has three rows (S2-030).

use crate::migrate::model::{Applied, State};
use engine::{Error, Result};
use jiff::Timestamp;
use serde::Serialize;
use targets::db::{Dialect, Facts, Row, Sql, TableName, Value};

/// One attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entry {
    /// Of the migration.
    pub id: String,
    /// Of the migration.
    pub version: String,
    /// Of the migration.
    pub description: String,
    /// What was done: `apply`, `revert`, `baseline`, `adopt`, `accept`.
    pub action: String,
    /// What the migration is since then.
    pub state: State,
    /// How many statements the script has.
    pub statements: u64,
    /// How many of them are in (or, on the way back, were run).
    pub done: u64,
    /// Whether the next one was begun, where that is not one transaction with this row.
    pub begun: bool,
    /// When.
    pub at: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Of the script.
    pub checksum: String,
    /// Who asked.
    pub actor: String,
    /// In which run.
    pub run: String,
    /// What failed.
    pub error: Option<String>,
}

const COLUMNS: &str = "id, version, description, action, state, statements, done, begun, at, duration_ms, checksum, \
                       actor, run, error";

/// The statements that make the table.
pub fn create(dialect: &dyn Dialect, table: &TableName) -> Vec<Sql> {
    let mut all: Vec<Sql> = dialect.prepare_own().into_iter().collect();
    all.push(Sql::new("create table if not exists ").table(table).text(
        " (seq bigint not null primary key, id text not null, version text not null, description text not null, \
         action text not null, state text not null, statements bigint not null, done bigint not null, \
         begun bigint not null, at text not null, duration_ms bigint, checksum text not null, actor text not null, \
         run text not null, error text)",
    ));
    all
}

/// Whether the table is there.
pub fn is_there(facts: &mut dyn Facts, table: &TableName) -> Result<bool> {
    let exists = facts.dialect().exists(table);
    Ok(facts.count(&exists)? == 1)
}

/// All rows, oldest first; none when there is no table.
pub fn read(facts: &mut dyn Facts, table: &TableName) -> Result<Vec<Entry>> {
    if !is_there(facts, table)? {
        return Ok(Vec::new());
    }
    let select = Sql::new(&format!("select {COLUMNS} from ")).table(table).text(" order by seq");
    let mut all = Vec::new();
    facts.query(&select, &mut |row| {
        all.push(entry(&row)?);
        Ok(())
    })?;
    Ok(all)
}

fn entry(row: &Row) -> Result<Entry> {
    let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned();
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
    let state = text(4);
    Ok(Entry {
        id: text(0),
        version: text(1),
        description: text(2),
        action: text(3),
        state: serde_json::from_value(state.clone().into()).map_err(|_| {
            Error::system(format!("the history has a migration in the unknown state `{state}`"))
                .help("use the version of sexton that wrote it")
        })?,
        statements: number(5),
        done: number(6),
        begun: number(7) == 1,
        at: text(8).parse().ok(),
        duration_ms: row.get(9).and_then(Value::as_int).map(|ms| ms.max(0) as u64),
        checksum: text(10),
        actor: text(11),
        run: text(12),
        error: row.get(13).and_then(Value::as_text).map(str::to_owned),
    })
}

fn state_name(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Adds a row.
pub fn insert(table: &TableName, entry: &Entry) -> Sql {
    Sql::new("insert into ")
        .table(table)
        .text(&format!(" (seq, {COLUMNS}) select coalesce(max(seq), 0) + 1, "))
        .add(&values(entry))
        .text(" from ")
        .table(table)
}

fn values(entry: &Entry) -> Sql {
    let text = |value: &str| Sql::new("cast(").bind(value).text(" as text)");
    let number = |value: Option<u64>| {
        Sql::new("cast(")
            .bind(value.map_or(Value::Null, |value| Value::Int(value as i64)))
            .text(" as bigint)")
    };
    let at = entry.at.map(|at| at.to_string()).unwrap_or_default();
    let error =
        Sql::new("cast(").bind(entry.error.clone().map_or(Value::Null, Value::Text)).text(" as text)");
    Sql::join(
        &[
            text(&entry.id),
            text(&entry.version),
            text(&entry.description),
            text(&entry.action),
            text(&state_name(entry.state)),
            number(Some(entry.statements)),
            number(Some(entry.done)),
            number(Some(u64::from(entry.begun))),
            text(&at),
            number(entry.duration_ms),
            text(&entry.checksum),
            text(&entry.actor),
            text(&entry.run),
            error,
        ],
        ", ",
    )
}

/// Changes the row of the same attempt: the newest of this migration, when it is of the same run and not over.
pub fn update(table: &TableName, entry: &Entry) -> Sql {
    Sql::new("update ")
        .table(table)
        .text(" set state = ")
        .bind(state_name(entry.state))
        .text(", done = ")
        .bind(entry.done as i64)
        .text(", begun = ")
        .bind(i64::from(entry.begun))
        .text(", at = ")
        .bind(entry.at.map(|at| at.to_string()).unwrap_or_default())
        .text(", duration_ms = coalesce(duration_ms, 0) + ")
        .bind(entry.duration_ms.unwrap_or(0) as i64)
        .text(", error = ")
        .bind(entry.error.clone().map_or(Value::Null, Value::Text))
        .text(" where state = 'interrupted' and run = ")
        .bind(entry.run.as_str())
        .text(" and seq = (select max(seq) from ")
        .table(table)
        .text(" where id = ")
        .bind(entry.id.as_str())
        .text(")")
}

/// What is known of one migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// In the words that all histories share.
    pub applied: Applied,
    /// How many statements the script had, where that is known.
    pub statements: u64,
    /// How many of them are in.
    pub done: u64,
    /// Whether the next one was begun.
    pub begun: bool,
    /// What was being done: `apply`, `revert`, …
    pub action: String,
    /// What failed last.
    pub error: Option<String>,
    /// How long it took when it went in last.
    pub went_in_ms: Option<u64>,
}

/// What each migration is now, in the order in which they came first.
pub fn fold(entries: &[Entry]) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    let mut places: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for entry in entries {
        let known = Known {
            applied: Applied {
                id: entry.id.clone(),
                version: entry.version.clone(),
                description: Some(entry.description.clone()),
                state: entry.state,
                at: entry.at,
                duration_ms: entry.duration_ms,
                checksum: Some(entry.checksum.clone()),
            },
            statements: entry.statements,
            done: entry.done,
            begun: entry.begun,
            action: entry.action.clone(),
            error: entry.error.clone(),
            went_in_ms: entry
                .duration_ms
                .filter(|_| entry.action == "apply" && entry.state == State::Applied),
        };
        match places.get(entry.id.as_str()) {
            None => {
                places.insert(&entry.id, all.len());
                all.push(known);
            }
            Some(&n) => {
                let before = std::mem::replace(&mut all[n], known);
                all[n].went_in_ms = all[n].went_in_ms.or(before.went_in_ms);
                // What stays in is in since it came, and took as long as that took.
                let stayed = before.applied.state.is_in() && entry.state.is_in() && entry.action != "apply";
                if stayed {
                    all[n].applied.at = before.applied.at;
                    all[n].applied.duration_ms = before.applied.duration_ms;
                }
                // A way back that failed leaves the file that is in as it was.
                if entry.action == "revert" {
                    all[n].applied.checksum = before.applied.checksum;
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, state: State) -> Entry {
        Entry { id: "a".into(), action: action.into(), state, checksum: action.into(), ..Entry::default() }
    }

    #[test]
    fn what_a_migration_is_now_is_what_happened_to_it_last() {
        // S2-030
        let went = [entry("apply", State::Applied), entry("revert", State::RolledBack)];
        assert_eq!(fold(&went)[0].applied.state, State::RolledBack);
        let again = [went.to_vec(), vec![entry("apply", State::Applied)]].concat();
        assert_eq!((fold(&again).len(), fold(&again)[0].applied.state), (1, State::Applied));
    }

    #[test]
    fn a_way_back_that_failed_leaves_it_in_with_its_checksum() {
        let failed = [entry("apply", State::Applied), entry("revert", State::Applied)];
        let now = &fold(&failed)[0].applied;
        assert_eq!((now.state, now.checksum.as_deref()), (State::Applied, Some("apply")));
    }
}
