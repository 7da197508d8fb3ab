//! What the state knows of schedules: those that were added, and what was said of others.

use super::{Timetable, maybe, moment, text, unreadable};
use crate::error::{Error, Result};
use crate::state::runs::sortable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use targets::db::{Sql, Value};

/// What the state knows of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it says, where it is no schedule of the configuration.
    pub body: Option<serde_json::Value>,
    /// Counts its changes.
    pub version: i64,
    /// Whether it runs by itself; none: as the configuration says.
    pub enabled: Option<bool>,
    /// What it may do unattended.
    pub approval: Option<serde_json::Value>,
    /// Until when it was looked for what is due.
    pub looked: Option<Timestamp>,
    /// When it was changed.
    pub changed_at: Option<Timestamp>,
    /// By whom.
    pub changed_by: String,
}

/// How the schedules are, see [`Timetable::stamp`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stamp(Vec<Value>);

impl Timetable<'_> {
    /// All schedules the state knows of, by name.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.state.rows(&self.select_entries().text(" order by name"))?.iter().map(|row| entry(row)).collect()
    }

    /// One of them.
    pub fn entry(&self, name: &str) -> Result<Option<Entry>> {
        let select = self.select_entries().text(" where name = ").bind(name);
        self.state.rows(&select)?.first().map(|row| entry(row)).transpose()
    }

    /// The added schedules whose definition may wait for another one: its name stands in it.
    pub fn waiting_for(&self, name: &str) -> Result<Vec<String>> {
        let select = self.select_entries().text(" where body like '%\"after\":[\"%' order by name");
        let waits = |entry: &Entry| {
            let after = entry.body.as_ref().and_then(|body| body["after"].as_array());
            after.is_some_and(|after| after.iter().any(|other| other == name))
        };
        let entries: Result<Vec<Entry>> = self.state.rows(&select)?.iter().map(|row| entry(row)).collect();
        Ok(entries?.into_iter().filter(waits).map(|entry| entry.name).collect())
    }

    fn select_entries(&self) -> Sql {
        Sql::new("select name, body, version, enabled, approval, looked, changed_at, changed_by from ")
            .table(&self.own("schedules"))
    }

    /// Changes a schedule, or adds it; its new version. With `expected`, only if it still has that version (0: if it is not
    /// there).
    pub fn put(&self, entry: &Entry, expected: Option<i64>, now: Timestamp) -> Result<i64> {
        let own = self.own("schedules");
        let json = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or(Value::Null, |v| Value::Text(v.to_string()))
        };
        let enabled = entry.enabled.map_or(Value::Null, |on| Value::Int(i64::from(on)));
        self.state.change(|tx| {
            let select =
                Sql::new("select version from ").table(&own).text(" where name = ").bind(entry.name.as_str());
            let there = tx.rows(&select)?.first().and_then(|row| row[0].as_int());
            if expected.is_some_and(|expected| expected != there.unwrap_or(0)) {
                return Err(changed_meanwhile(&entry.name));
            }
            let version = there.unwrap_or(0) + 1;
            let statement = match there {
                Some(old) => Sql::new("update ")
                    .table(&own)
                    .text(" set body = ")
                    .bind(json(&entry.body))
                    .text(", version = ")
                    .bind(version)
                    .text(", enabled = ")
                    .bind(enabled.clone())
                    .text(", approval = ")
                    .bind(json(&entry.approval))
                    .text(", changed_at = ")
                    .bind(sortable(now))
                    .text(", changed_by = ")
                    .bind(entry.changed_by.as_str())
                    .text(" where name = ")
                    .bind(entry.name.as_str())
                    .text(" and version = ")
                    .bind(old),
                None => Sql::new("insert into ")
                    .table(&own)
                    .text(" (name, body, version, enabled, approval, changed_at, changed_by) values (")
                    .bind(entry.name.as_str())
                    .text(", ")
                    .bind(json(&entry.body))
                    .text(", ")
                    .bind(version)
                    .text(", ")
                    .bind(enabled.clone())
                    .text(", ")
                    .bind(json(&entry.approval))
                    .text(", ")
                    .bind(sortable(now))
                    .text(", ")
                    .bind(entry.changed_by.as_str())
                    .text(") on conflict (name) do nothing"),
            };
            match tx.execute(&statement)? {
                1 => Ok(version),
                _ => Err(changed_meanwhile(&entry.name)),
            }
        })
    }

    /// Something that is another whenever a schedule was added, changed, removed or looked at: whoever has read all of them need not
    /// read them again while it is the same.
    pub fn stamp(&self) -> Result<Stamp> {
        let select = Sql::new(
            "select count(*), coalesce(sum(version), 0), max(changed_at), min(looked), max(looked) from ",
        )
        .table(&self.own("schedules"));
        Ok(Stamp(self.state.rows(&select)?.into_iter().next().unwrap_or_default()))
    }

    /// Forgets a schedule with all of its ticks but the one at work; whether it was there.
    pub fn remove(&self, name: &str, expected: Option<i64>) -> Result<bool> {
        let (schedules, ticks) = (self.own("schedules"), self.own("ticks"));
        self.state.change(|tx| {
            let mut gone = Sql::new("delete from ").table(&schedules).text(" where name = ").bind(name);
            if let Some(expected) = expected {
                gone = gone.text(" and version = ").bind(expected);
            }
            let there = Sql::new("select count(*) from ").table(&schedules).text(" where name = ").bind(name);
            let known = tx.count(&there)? > 0;
            if tx.execute(&gone)? == 0 {
                return if known { Err(changed_meanwhile(name)) } else { Ok(false) };
            }
            tx.execute(
                &Sql::new("delete from ")
                    .table(&ticks)
                    .text(" where (schedule = ")
                    .bind(name)
                    .text(&format!(" or substr(schedule, 1, {}) = ", name.chars().count() + 1))
                    .bind(format!("{name}/"))
                    .text(") and state <> 'claimed'"),
            )?;
            Ok(true)
        })
    }
}

fn changed_meanwhile(name: &str) -> Error {
    Error::data(format!("the schedule `{name}` was changed meanwhile"))
        .help("look at it again, then change it")
}

fn entry(row: &[Value]) -> Result<Entry> {
    let json = |n: usize| {
        maybe(row, n)
            .map(|text| serde_json::from_str(&text).map_err(|error| unreadable().because(error)))
            .transpose()
    };
    Ok(Entry {
        name: text(row, 0)?,
        body: json(1)?,
        version: row[2].as_int().unwrap_or(0),
        enabled: row[3].as_int().map(|on| on != 0),
        approval: json(4)?,
        looked: maybe(row, 5).map(|at| moment(&at)).transpose()?,
        changed_at: maybe(row, 6).map(|at| moment(&at)).transpose()?,
        changed_by: text(row, 7)?,
    })
}
