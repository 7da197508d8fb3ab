//! What is kept in the target while a transfer is under way: which tables are its own, at which moment the source was read, and
//! what each table that is in came to. It is gone when the transfer is over.

use super::ahead::{self, AHEAD};
use super::made::{self, MADE};
use super::released::RELEASED;
use super::seeded::{self, REPLACED};
use super::task::{ASIDE, IDS};
use engine::{Error, Result, Work};
use targets::db::{Facts, Row, Sql, TableName, Value};

const CARRIED: &str = "carried";
/// Up to where changes of the source were followed.
const FOLLOWED: &str = "followed";

/// All of our tables that have rows of a run only while it goes on.
const KEPT: [&str; 6] = [FOLLOWED, AHEAD, RELEASED, REPLACED, MADE, CARRIED];

/// What is kept of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// The moment at which the source was read.
    pub moment: Option<String>,
    /// How many rows were carried, and the sum of their hashes; none while they are on their way.
    pub came: Option<(u64, u128)>,
}

/// What is kept of a table of the target, if anything.
pub fn of(facts: &mut dyn Facts, table: &TableName) -> Result<Option<Kept>> {
    let own = facts.dialect().own(CARRIED);
    if facts.count(&facts.dialect().exists(&own))? == 0 {
        return Ok(None);
    }
    let sql = Sql::new("select moment, carried_rows, hash from ")
        .table(&own)
        .text(" where target = ")
        .bind(table.quoted());
    let rows = facts.rows(&sql)?;
    let text = |row: &Row, n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
    Ok(rows.first().map(|row| {
        let count = row.get(1).and_then(Value::as_int).and_then(|count| u64::try_from(count).ok());
        let hash = text(row, 2).and_then(|hash| u128::from_str_radix(&hash, 16).ok());
        Kept { moment: text(row, 0), came: count.zip(hash) }
    }))
}

/// Whether both are known to be the same moment.
pub fn same(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && one == other
}

/// The tables begin: what an earlier attempt of this run made or filled goes first. `make` is what makes new ones, or makes ready
/// those that are there.
pub fn begin(
    tables: &[TableName],
    (are_new, replace): (bool, bool),
    make: &[String],
    (source, moment): (&str, Option<&String>),
    work: &mut Work,
) -> Result<()> {
    let own = work.dialect().own(CARRIED);
    let create = Sql::new("create table if not exists ").table(&own).text(
        " (target text not null primary key, run text not null, moment text, carried_rows bigint, hash text, \
         source text, is_new boolean)",
    );
    work.record(&create)?;
    let point = work.point().to_owned();
    let ours = of_run(&point, work)?;
    let touched: Vec<&TableName> = tables.iter().filter(|table| ours.contains(&table.quoted())).collect();
    if are_new && !touched.is_empty() {
        let list: Vec<String> = touched.iter().map(|table| table.quoted()).collect();
        drop_made(&point, &list, work)?;
    }
    for statement in make {
        work.statement(statement)?;
    }
    if !are_new {
        empty(&touched, work)?;
        let mut filled = Vec::new();
        for table in tables.iter().filter(|table| !touched.contains(table)) {
            let some = Sql::new("select count(*) from (select 1 from ").table(table).text(" limit 1) as t");
            if work.count(&some)? > 0 {
                filled.push(table);
            }
        }
        match filled.first() {
            None => {}
            Some(_) if replace => seeded::keep(&filled, work)?,
            Some(table) => {
                return Err(Error::data(format!("`{table}` has rows that this run did not bring"))
                    .help("empty it, then begin a new transfer"));
            }
        }
    }
    if !touched.is_empty() {
        forget_rows(&point, work)?;
    }
    drop_rows(FOLLOWED, &point, work)?;
    ahead::make(tables, work)?;
    for table in tables {
        let note = Sql::new("insert into ")
            .table(&own)
            .text(" (target, run, source, is_new, moment) values (")
            .bind(table.quoted())
            .text(", ")
            .bind(work.point())
            .text(", ")
            .bind(source)
            .text(if are_new { ", true, " } else { ", false, " })
            .bind(moment.map_or(Value::Null, |moment| Value::Text(moment.clone())))
            .text(") on conflict (target) do update set run = excluded.run, moment = excluded.moment, carried_rows = null, hash = null");
        work.record_later(note)?;
    }
    Ok(())
}

/// Drops what a run made: tables, the views over them, and the functions of their triggers.
pub fn drop_made(run: &str, tables: &[String], work: &mut Work) -> Result<()> {
    let (views, functions) = made::away_within(run, work)?;
    let tables = format!("drop table if exists {}", tables.join(", "));
    for statement in views.iter().chain([&tables]).chain(&functions) {
        work.statement(statement)?;
    }
    drop_rows(MADE, run, work)
}

/// The tables of a run, by their quoted names.
pub fn of_run(run: &str, work: &mut Work) -> Result<Vec<String>> {
    let own = work.dialect().own(CARRIED);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(Vec::new());
    }
    let ours = Sql::new("select target from ").table(&own).text(" where run = ").bind(run);
    Ok(work.rows(&ours)?.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect())
}

/// The tables of a transfer that ended early, by their quoted names.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// Its run.
    pub run: String,
    /// They were made by it.
    pub are_new: bool,
    /// All of them.
    pub tables: Vec<String>,
}

/// The transfers that ended early and can be gone on with, or taken back; of one source, or of any.
pub fn unfinished(source: Option<&str>, facts: &mut dyn Facts) -> Result<Vec<Unfinished>> {
    let own = facts.dialect().own(CARRIED);
    if facts.count(&facts.dialect().exists(&own))? == 0 {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("select run, is_new, target from ").table(&own);
    if let Some(source) = source {
        sql = sql.text(" where source = ").bind(source);
    }
    let mut all: Vec<Unfinished> = Vec::new();
    for row in facts.rows(&sql.text(" order by run, target"))? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned();
        let are_new = row.get(1) == Some(&Value::Bool(true));
        if all.last().is_none_or(|last| last.run != text(0)) {
            all.push(Unfinished { run: text(0), are_new, tables: Vec::new() });
        }
        if let Some(last) = all.last_mut() {
            last.tables.push(text(2));
        }
    }
    Ok(all)
}

/// Up to which of the changes that were written down the target has them.
pub fn upto(work: &mut Work) -> Result<i64> {
    let own = work.dialect().own(FOLLOWED);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(0);
    }
    let sql = Sql::new("select upto from ").table(&own).text(" where run = ").bind(work.point());
    Ok(work.rows(&sql)?.first().and_then(|row| row[0].as_int()).unwrap_or(0))
}

/// The target has them up to there.
pub fn follow(upto: i64, work: &mut Work) -> Result<()> {
    let own = work.dialect().own(FOLLOWED);
    let create = Sql::new("create table if not exists ")
        .table(&own)
        .text(" (run text not null primary key, upto bigint not null)");
    work.record(&create)?;
    let note = Sql::new("insert into ")
        .table(&own)
        .text(" values (")
        .bind(work.point())
        .text(", ")
        .bind(upto)
        .text(") on conflict (run) do update set upto = excluded.upto");
    work.record(&note).map(drop)
}

/// Takes the rows away again that an earlier attempt brought, children first.
pub fn empty(tables: &[&TableName], work: &mut Work) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let names: Vec<Sql> =
        tables.iter().map(|table| Sql::default().bind(table.quoted()).text("::text::regclass")).collect();
    let list = || Sql::join(&names, ", ");
    let referred = Sql::new("select count(*) from pg_constraint where contype = 'f' and confrelid in (")
        .add(&list())
        .text(") and conrelid not in (")
        .add(&list())
        .text(")");
    if work.count(&referred)? == 0 {
        let list: Vec<String> = tables.iter().map(|table| table.quoted()).collect();
        return work.statement(&format!("truncate {}", list.join(", "))).map(drop);
    }
    for table in tables.iter().rev() {
        work.statement(&format!("delete from {}", table.quoted()))?;
    }
    Ok(())
}

/// Rows that a run kept aside, and its ids.
fn forget_rows(run: &str, work: &mut Work) -> Result<()> {
    let (aside, ids) = (work.dialect().own(ASIDE), work.dialect().own(IDS));
    for table in [aside, ids] {
        if work.count(&work.dialect().exists(&table))? > 0 {
            work.record(&Sql::new("delete from ").table(&table).text(" where run = ").bind(run))?;
        }
    }
    Ok(())
}

/// A table is in.
pub fn done(table: &TableName, rows: u64, hash: u128, work: &mut Work) -> Result<()> {
    let update = Sql::new("update ")
        .table(&work.dialect().own(CARRIED))
        .text(" set carried_rows = ")
        .bind(i64::try_from(rows).map_err(|_| Error::system("too many rows to count"))?)
        .text(", hash = ")
        .bind(format!("{hash:032x}"))
        .text(" where target = ")
        .bind(table.quoted());
    work.record(&update).map(drop)
}

/// The transfer is over: nothing of this is kept.
pub fn end(work: &mut Work) -> Result<()> {
    let point = work.point().to_owned();
    KEPT.iter().try_for_each(|table| drop_rows(table, &point, work))
}

/// Nothing is left of a run that was taken back.
pub fn forget(run: &str, work: &mut Work) -> Result<()> {
    forget_rows(run, work)?;
    KEPT.iter().try_for_each(|table| drop_rows(table, run, work))?;
    for table in [ASIDE, IDS] {
        drop_if_empty(&work.dialect().own(table), work)?;
    }
    Ok(())
}

/// The rows of a run go, and the table with the last of them.
fn drop_rows(table: &str, run: &str, work: &mut Work) -> Result<()> {
    let own = work.dialect().own(table);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(());
    }
    work.record(&Sql::new("delete from ").table(&own).text(" where run = ").bind(run))?;
    drop_if_empty(&own, work)
}

fn drop_if_empty(own: &TableName, work: &mut Work) -> Result<()> {
    if work.count(&work.dialect().exists(own))? > 0
        && work.count(&Sql::new("select count(*) from ").table(own))? == 0
    {
        work.record(&Sql::new("drop table ").table(own))?;
    }
    Ok(())
}
