//! The way back: triggers of ours in the target note which rows the application changes there, by table and key, from the moment at
//! which it may first write; and triggers that refuse changes, once it is sent back.

use super::super::script::body;
use super::super::task::Carry;
use super::{Online, ROWID};
use engine::{Result, Work};
use targets::db::{Sql, TableName, Value, quote};

/// The triggers.
const NOTE: &str = "sexton_note";
const REFUSE: &str = "sexton_refuse";

/// What one move makes in the target: its table and functions have names of their own, so that several databases may move into one.
#[derive(Debug, Clone, Copy)]
pub struct Notes<'o> {
    online: &'o Online,
    /// What the names end with.
    mark: &'o str,
}

/// The columns of the target by which changes are noted; none where nothing tells rows apart once the application is there.
pub fn keys(carry: &Carry) -> Vec<&str> {
    let names: Vec<&str> = carry.key.iter().map(|n| carry.columns[*n].target.as_str()).collect();
    if names.contains(&ROWID) { Vec::new() } else { names }
}

/// The key of a row as texts.
fn key(carry: &Carry, row: &str) -> String {
    match keys(carry).as_slice() {
        [] => "null".to_owned(),
        names => {
            let parts: Vec<String> =
                names.iter().map(|name| format!("{row}.{}::text", quote(name))).collect();
            format!("array[{}]", parts.join(", "))
        }
    }
}

impl<'o> Notes<'o> {
    /// Of the move that this run makes or made.
    pub fn of(online: &'o Online, run: &'o str) -> Self {
        Self { online, mark: online.notes.as_deref().unwrap_or(run) }
    }

    /// Where changes are noted.
    pub fn table(self, work: &Work) -> TableName {
        work.dialect().own(&format!("noted_{}", self.mark))
    }

    fn function(self, what: &str, n: usize, work: &Work) -> String {
        work.dialect().own(&format!("{what}_{n}_{}", self.mark)).quoted()
    }

    fn refusal(self, work: &Work) -> String {
        work.dialect().own(&format!("refuse_{}", self.mark)).quoted()
    }

    /// From now on changes are noted.
    pub fn begin(self, work: &mut Work) -> Result<()> {
        let noted = self.table(work).quoted();
        work.statement(&format!("drop table if exists {noted}"))?;
        work.statement(&format!(
            "create table {noted} (n bigint generated always as identity primary key, t integer not null, k text[])"
        ))?;
        for (n, carry) in self.online.carries.iter().enumerate() {
            let (one, all) = (self.function("note", n, work), self.function("note_all", n, work));
            let on = carry.name.quoted();
            let insert = |row: &str| format!("insert into {noted} (t, k) values ({n}, {});", key(carry, row));
            let text = format!(
                "begin if tg_op <> 'INSERT' then {} end if; \
                 if tg_op = 'INSERT' or (tg_op = 'UPDATE' and {} is distinct from {}) then {} end if; return null; end",
                insert("old"),
                key(carry, "new"),
                key(carry, "old"),
                insert("new"),
            );
            // whoever may write the table need not be allowed to write here
            let head = "returns trigger language plpgsql security definer set search_path = pg_catalog as";
            work.statement(&format!("create or replace function {one}() {head} {}", body(&text)))?;
            let text = format!(
                "begin insert into {noted} (t, k) select {n}, {} from {on} as t; return null; end",
                key(carry, "t")
            );
            work.statement(&format!("create or replace function {all}() {head} {}", body(&text)))?;
            work.statement(&format!("drop trigger if exists {NOTE} on {on}"))?;
            work.statement(&format!("drop trigger if exists {NOTE}_all on {on}"))?;
            work.statement(&format!(
                "create trigger {NOTE} after insert or update or delete on {on} for each row execute function {one}()"
            ))?;
            work.statement(&format!(
                "create trigger {NOTE}_all before truncate on {on} for each statement execute function {all}()"
            ))?;
        }
        Ok(())
    }

    /// How many changes were noted; none where nothing is noted.
    pub fn count(self, work: &mut Work) -> Result<Option<u64>> {
        let own = self.table(work);
        if work.count(&work.dialect().exists(&own))? == 0 {
            return Ok(None);
        }
        work.count(&Sql::new("select count(*) from ").table(&own)).map(Some)
    }

    /// Nobody writes any more, and whoever tries is told why.
    pub fn refuse(self, work: &mut Work) -> Result<()> {
        let list: Vec<String> = self.online.carries.iter().map(|carry| carry.name.quoted()).collect();
        if list.is_empty() {
            return Ok(());
        }
        work.statement(&format!("lock table {} in share row exclusive mode", list.join(", ")))?;
        let function = self.refusal(work);
        let said = format!(
            "this database has moved back to SQLite ({}): nothing is written here any more",
            self.online.source
        );
        work.statement(&format!(
            "create or replace function {function}() returns trigger language plpgsql as {}",
            body(&format!("begin raise exception '{}'; end", said.replace('\'', "''").replace('%', "%%")))
        ))?;
        for on in &list {
            work.statement(&format!("drop trigger if exists {REFUSE} on {on}"))?;
            work.statement(&format!(
                "create trigger {REFUSE} before insert or update or delete or truncate on {on} for each statement \
                 execute function {function}()"
            ))?;
        }
        Ok(())
    }

    /// Changes are not refused any more.
    pub fn allow(self, work: &mut Work) -> Result<()> {
        for carry in &self.online.carries {
            work.statement(&format!("drop trigger if exists {REFUSE} on {}", carry.name.quoted()))?;
        }
        let function = self.refusal(work);
        work.statement(&format!("drop function if exists {function}()")).map(drop)
    }

    /// Nothing is noted any more, and what was is forgotten.
    pub fn end(self, work: &mut Work) -> Result<()> {
        for (n, carry) in self.online.carries.iter().enumerate() {
            for trigger in [NOTE.to_owned(), format!("{NOTE}_all")] {
                work.statement(&format!("drop trigger if exists {trigger} on {}", carry.name.quoted()))?;
            }
            for what in ["note", "note_all"] {
                work.statement(&format!("drop function if exists {}()", self.function(what, n, work)))?;
            }
        }
        let noted = self.table(work).quoted();
        work.statement(&format!("drop table if exists {noted}")).map(drop)
    }
}

/// What moves with this mark have left, whose tables are gone, goes.
pub fn forget(mark: &str, work: &mut Work) -> Result<()> {
    let noted = work.dialect().own(&format!("noted_{mark}"));
    work.statement(&format!("drop table if exists {}", noted.quoted()))?;
    let end = format!("_{mark}");
    let functions = Sql::new("select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.pronargs = 0 and n.nspname = ")
        .bind(noted.schema.clone())
        .text(" and right(p.proname, ")
        .bind(end.len() as i64)
        .text("::integer) = ")
        .bind(end);
    for row in work.rows(&functions)? {
        if let Some(name) = row.first().and_then(Value::as_text) {
            work.statement(&format!("drop function {}()", work.dialect().own(name).quoted()))?;
        }
    }
    Ok(())
}
