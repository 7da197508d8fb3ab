//! Alarms: what is wrong for a while, so that it is told once, again after a time, and when it is over.

use super::notes::posted;
use super::{NewNote, Outbox, maybe, moment, text};
use crate::error::Result;
use crate::state::runs::sortable;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use targets::db::{Sql, Value};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// What it is about, such as `disk/main`.
    pub id: String,
    /// How bad it is; a higher one is told although the lower one was.
    pub level: i64,
    /// What people read.
    pub title: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was told last.
    pub told: Timestamp,
}

impl Outbox<'_> {
    /// Raises an alarm and writes its notes down, unless it was told since `lately` and is not worse now; whether it is told.
    /// Of several processes that find it at the same moment one tells it.
    pub fn raise(
        &self,
        id: &str,
        level: i64,
        title: &str,
        notes: &[NewNote],
        now: Timestamp,
        lately: Timestamp,
    ) -> Result<bool> {
        let raised = Sql::new("insert into ")
            .table(&self.own("alarms"))
            .text(" as a (id, level, title, since, told) values (")
            .bind(id)
            .text(", ")
            .bind(level)
            .text(", ")
            .bind(title)
            .text(", ")
            .bind(sortable(now))
            .text(", ")
            .bind(sortable(now))
            .text(
                ") on conflict (id) do update set level = excluded.level, title = excluded.title, told = excluded.told, \
                 since = case when a.ended is null then a.since else excluded.since end, ended = null \
                 where a.ended is not null or a.level < excluded.level or a.told < ",
            )
            .bind(sortable(lately));
        let notes = posted(&self.own("outbox"), notes, now, now)?;
        self.state.change(|tx| {
            let told = tx.execute(&raised)? == 1;
            for note in notes.iter().filter(|_| told) {
                tx.execute(note)?;
            }
            Ok(told)
        })
    }

    /// Ends an alarm and writes its notes down; whether it was raised.
    pub fn calm(&self, id: &str, notes: &[NewNote], now: Timestamp) -> Result<bool> {
        let ended = Sql::new("update ")
            .table(&self.own("alarms"))
            .text(" set ended = ")
            .bind(sortable(now))
            .text(" where id = ")
            .bind(id)
            .text(" and ended is null");
        let notes = posted(&self.own("outbox"), notes, now, now)?;
        self.state.change(|tx| {
            let was = tx.execute(&ended)? == 1;
            for note in notes.iter().filter(|_| was) {
                tx.execute(note)?;
            }
            Ok(was)
        })
    }

    /// What is wrong now, the worst first.
    pub fn alarms(&self) -> Result<Vec<Alarm>> {
        let select = Sql::new("select id, level, title, since, told from ")
            .table(&self.own("alarms"))
            .text(" where ended is null order by level desc, since, id");
        let alarm = |row: &Vec<Value>| {
            Ok(Alarm {
                id: text(row, 0)?,
                level: row[1].as_int().unwrap_or(0),
                title: text(row, 2)?,
                since: moment(&text(row, 3)?)?,
                told: moment(&text(row, 4)?)?,
            })
        };
        self.state.rows(&select)?.iter().map(alarm).collect()
    }

    /// Notes when something was last there.
    pub fn mark(&self, id: &str, at: Timestamp) -> Result<()> {
        self.state.write(&[self.marked_now(id, at)])
    }

    fn marked_now(&self, id: &str, at: Timestamp) -> Sql {
        Sql::new("insert into ")
            .table(&self.own("marks"))
            .text(" (id, at) values (")
            .bind(id)
            .text(", ")
            .bind(sortable(at))
            .text(") on conflict (id) do update set at = excluded.at")
    }

    /// Notes that several were there now, all of them called `begins…`, and forgets those of that name that were not since `before`.
    pub fn mark_all(&self, begins: &str, ids: &[String], at: Timestamp, before: Timestamp) -> Result<()> {
        let mark = |id: &String| self.marked_now(&format!("{begins}{id}"), at);
        let mut statements: Vec<Sql> = ids.iter().map(mark).collect();
        let old = begun_with(Sql::new("delete from ").table(&self.own("marks")).text(" where "), begins);
        statements.push(old.text(" and at < ").bind(sortable(before)));
        self.state.write(&statements)
    }

    /// When all of those called `begins…` were last there.
    pub fn all_marked(&self, begins: &str) -> Result<BTreeMap<String, Timestamp>> {
        let select = Sql::new("select id, at from ").table(&self.own("marks")).text(" where ");
        let mark = |row: &Vec<Value>| {
            let id = text(row, 0)?;
            Ok((id.strip_prefix(begins).unwrap_or(&id).to_owned(), moment(&text(row, 1)?)?))
        };
        self.state.rows(&begun_with(select, begins))?.iter().map(mark).collect()
    }

    /// Whether it is this process's turn to do what one of many does every so often: noted, so that it is nobody else's.
    pub fn turn(&self, id: &str, every: SignedDuration, now: Timestamp) -> Result<bool> {
        let before = sortable(now.checked_sub(every).unwrap_or(now));
        let turn = Sql::new("insert into ")
            .table(&self.own("marks"))
            .text(" as m (id, at) values (")
            .bind(id)
            .text(", ")
            .bind(sortable(now))
            .text(") on conflict (id) do update set at = excluded.at where m.at <= ")
            .bind(before)
            // One whose clock was ahead may have noted a time that has not come yet.
            .text(" or m.at > ")
            .bind(sortable(now.checked_add(every).unwrap_or(now)));
        self.state.change(|tx| Ok(tx.execute(&turn)? == 1))
    }

    /// When something was last there; none before the first time.
    pub fn marked(&self, id: &str) -> Result<Option<Timestamp>> {
        let select = Sql::new("select at from ").table(&self.own("marks")).text(" where id = ").bind(id);
        self.state.rows(&select)?.first().and_then(|row| maybe(row, 0)).map(|at| moment(&at)).transpose()
    }
}

fn begun_with(sql: Sql, begins: &str) -> Sql {
    sql.text(&format!("substr(id, 1, {}) = ", begins.chars().count())).bind(begins)
}
