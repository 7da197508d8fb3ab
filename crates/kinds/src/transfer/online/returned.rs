//! What the application wrote into the target is carried back into the source: the rows whose keys were noted, each value as the
//! source would have written it, everything else of a row as it is there.
//!
//! Nobody writes on either side meanwhile. Each row is read again by the rules of the way there and compared with the target; what
//! is not the same, or has no way back at all, is counted, and nothing is done when there is more of it than was accepted.

use super::super::canon::{Mix, sent};
use super::super::carry::{Carrier, read};
use super::super::compare::readable;
use super::super::convert::Rule;
use super::super::machines::Machines;
use super::super::task::{ASIDE, Carry, IDS};
use super::entry::{self, Entry};
use super::noted::{self, Notes};
use super::spool::{Kept, Returning, Spool, is};
use super::{CHECK, capture, inverse};
use engine::words::rows as rows_of;
use engine::{Batch, Class, Counts, Error, Result, Work};
use serde_json::json;
use std::time::Duration;
use targets::db::{Limits, Row, Seen, Session, Sql, Tx, Value, quote};

/// How many samples are told.
const TOLD: usize = 5;

/// What it came to.
#[derive(Debug, Default)]
struct Sum {
    changed: u64,
    written: u64,
    removed: u64,
    refused: u64,
    samples: Vec<String>,
}

impl Sum {
    fn refuse(&mut self, rows: u64, sample: String) {
        self.refused += rows;
        if rows > 0 && self.samples.len() < TOLD {
            self.samples.push(sample);
        }
    }
}

/// A row that was noted.
enum Noted {
    /// It goes back.
    Back(Returning),
    /// It has no way back: how the target shows its key.
    Stuck(String),
}

/// Carries everything back, in one transaction of the source.
pub fn act(
    own: &Entry,
    machines: &Machines,
    accept: u64,
    writer: &mut dyn Session,
    work: &mut Work,
) -> Result<Batch> {
    let began = work.clock().tick();
    let online = &own.online;
    let mut tx = writer.begin(&Limits {
        lock: Duration::from_secs(20),
        statement: Duration::ZERO,
        ..Limits::default()
    })?;
    entry::within(tx.as_mut())?.ok_or_else(|| Error::system("the source forgot its transfer"))?;
    let notes = Notes::of(online, &own.run);
    if notes.count(work)?.is_none() {
        return Err(Error::usage("what the application wrote into the target was not noted")
            .help("nothing can be carried back of a transfer that was `one_way`, or is settled"));
    }
    // neither those that refuse changes nor those of the file: what they did for a change is in the target already
    tx.silence()?;
    let mut sum = Sum::default();
    for (n, carry) in online.carries.iter().enumerate() {
        let before = sum.refused;
        let touched = table(n, carry, own, machines, tx.as_mut(), work, &mut sum)?;
        if touched && sum.refused == before {
            counted(carry, &own.run, tx.as_mut(), work)?;
        }
    }
    if sum.refused > accept {
        return Err(Error::data(format!(
            "{} that the application wrote into the target have no way back: {}",
            rows_of(sum.refused),
            sum.samples.join("; ")
        ))
        .code(CHECK)
        .help(format!("change them in the target, or let them go: `--accept {}`", sum.refused)));
    }
    let untold = searched(tx.as_mut())?;
    tx.commit()?;
    work.tell(json!({
        "returned": { "changed": sum.changed, "written": sum.written, "removed": sum.removed, "refused": sum.refused,
            "samples": sum.samples, "untold": untold, "seconds": work.clock().tick().duration_since(began).as_secs_f64() },
    }));
    let counts = Counts { failed: sum.refused, ..Counts::default() };
    Ok(Batch { counts, next: None })
}

/// Tables for searching that the file's own triggers keep: those that can are filled anew, the others are returned by name.
fn searched(tx: &mut dyn Tx) -> Result<Vec<String>> {
    let virtual_tables = Sql::new(
        "select t.name, t.sql from sqlite_schema t where t.type = 'table' and t.rootpage = 0 and exists \
         (select 1 from sqlite_schema g where g.type = 'trigger' and instr(lower(g.sql), lower(t.name)) > 0)",
    );
    let mut untold = Vec::new();
    for row in tx.rows(&virtual_tables)? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        let (name, sql) = (text(0), text(1).to_ascii_lowercase());
        let reads_others = (sql.contains("fts5") || sql.contains("fts4")) && sql.contains("content=");
        let rebuild = Sql::new("insert into ").name(name).text(" (").name(name).text(") values ('rebuild')");
        if !reads_others || tx.execute(&rebuild).is_err() {
            untold.push(name.to_owned());
        }
    }
    Ok(untold)
}

/// One table; whether anything of it had changed.
fn table(
    n: usize,
    carry: &Carry,
    own: &Entry,
    machines: &Machines,
    tx: &mut dyn Tx,
    work: &mut Work,
    sum: &mut Sum,
) -> Result<bool> {
    let noted = Notes::of(&own.online, &own.run).table(work);
    let unknown =
        Sql::new("select count(*) from ").table(&noted).text(&format!(" where t = {n} and k is null"));
    let unknown = work.count(&unknown)?;
    sum.refuse(unknown, format!("changes of `{}`, whose rows nothing tells apart", carry.table));
    let some =
        Sql::new("select count(*) from ").table(&noted).text(&format!(" where t = {n} and k is not null"));
    if noted::keys(carry).is_empty() || work.count(&some)? == 0 {
        return Ok(unknown > 0);
    }
    let stored = stored(carry, tx)?;
    let likes = likes(carry, tx)?;
    let mut carrier = Carrier::new(carry, machines);
    let mut spool = Spool::begin(&stored, &capture::keys(carry), tx)?;
    let select = select(n, carry, own, work)?;
    work.query(&select, &mut |row| {
        sum.changed += 1;
        match noted_row(carry, &row, &stored, &likes, &mut carrier, tx)? {
            Noted::Back(row) => spool.keep(&row, tx)?,
            Noted::Stuck(shown) => sum.refuse(1, format!("`{}` {shown}", carry.table)),
        }
        Ok(())
    })?;
    sum.removed += spool.make_room(carry, tx)?;
    for n in spool.numbers() {
        if let Some(row) = spool.row(n, tx)? {
            write(carry, &row, &spool, &mut carrier, tx, sum)?;
        }
    }
    Spool::end(tx)?;
    Ok(true)
}

/// Writes a row, and reads it again as the way there would.
fn write(
    carry: &Carry,
    row: &Kept,
    spool: &Spool,
    carrier: &mut Carrier,
    tx: &mut dyn Tx,
    sum: &mut Sum,
) -> Result<()> {
    match insert(carry, &row.values, tx) {
        Ok(()) => {}
        Err(error) if error.class == Class::Data => {
            sum.refuse(1, format!("`{}` {}: {error}", carry.table, row.shown));
            return spool.old(row.n, tx)?.map_or(Ok(()), |old| insert(carry, &old, tx));
        }
        Err(error) => return Err(error),
    }
    let here = is(carry, &row.key);
    let there = tx.rows(&read(carry).text(" from ").name(&carry.table).text(" as t where ").add(&here))?;
    let hashes = match there.first() {
        Some(there) => forward(carry, there, carrier)?,
        None => None,
    };
    let others = hashes.map(|hashes| others(carry, &hashes, &row.wanted));
    if others.as_ref().is_some_and(Vec::is_empty) {
        sum.written += 1;
        sum.removed = sum.removed.saturating_sub(u64::from(row.n > 0));
        return Ok(());
    }
    let what = match others.as_deref() {
        Some([_, ..]) => format!("its {}", others.unwrap_or_default().join(", ")),
        _ => "it".to_owned(),
    };
    sum.refuse(1, format!("`{}` {}: {what} would not be read as it is", carry.table, row.shown));
    Ok(())
}

/// The columns of the source that hold something of their own; the number of a row, too, where no column has it: search tables and
/// the application may go by it.
fn stored(carry: &Carry, tx: &mut dyn Tx) -> Result<Vec<String>> {
    let sql = Sql::new("select name from pragma_table_xinfo(")
        .bind(carry.table.as_str())
        .text(") where hidden = 0 order by cid");
    let rows = tx.rows(&sql)?;
    let mut all: Vec<String> = rows.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect();
    if let [number] = carry.order.as_slice()
        && !all.iter().any(|name| name.eq_ignore_ascii_case(number))
    {
        all.push(number.clone());
    }
    Ok(all)
}

/// A value of each column, to see how they are written: the shortest one of the first, which has what all of them have.
fn likes(carry: &Carry, tx: &mut dyn Tx) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for column in &carry.columns {
        if !inverse::wants_like(column) {
            all.push(Value::Null);
            continue;
        }
        let sql = Sql::new("select v from (select ")
            .name(&column.source)
            .text(" as v from ")
            .name(&carry.table)
            .text(" where ")
            .name(&column.source)
            .text(" is not null limit 1000) order by length(v) limit 1");
        all.push(tx.rows(&sql)?.into_iter().flatten().next().unwrap_or(Value::Null));
    }
    Ok(all)
}

/// What is asked of the target: for each noted key its values, whether its row is there, and the values of that; each value with how
/// the server writes it, or with the id that its uuid was.
fn select(n: usize, carry: &Carry, own: &Entry, work: &mut Work) -> Result<Sql> {
    let ids = work.dialect().own(IDS);
    let has_ids = work.count(&work.dialect().exists(&ids))? > 0;
    let text = |column: &super::super::task::Carried, value: &str| match &column.rule {
        Rule::Id(table) if has_ids => Sql::new("(select i.old_id from ")
            .table(&ids)
            .text(" as i where i.run = ")
            .bind(own.run.as_str())
            .text(" and lower(i.source_table) = ")
            .bind(table.as_str())
            .text(&format!(" and i.new_id = {value} limit 1)")),
        // not as a cast to text writes it, which knows more of an address than was said
        _ if inverse::wants_text(column) => {
            Sql::new(&format!("case when {value} is not null then format('%s', {value}) end"))
        }
        _ => Sql::new("null::text"),
    };
    let mut parts = Vec::new();
    let mut same = Vec::new();
    let mut names = Vec::new();
    for (at, place) in carry.key.iter().enumerate() {
        let column = &carry.columns[*place];
        let value = format!("c.k{}::{}", at + 1, column.spelled);
        parts.push(Sql::new(&value));
        parts.push(text(column, &format!("({value})")));
        same.push(format!("t.{} = {value}", quote(&column.target)));
        names.push(format!("k[{0}] as k{0}", at + 1));
    }
    let first = carry.key.first().map_or(0, |place| *place);
    parts.push(Sql::new(&format!("t.{} is not null", quote(&carry.columns[first].target))));
    for column in &carry.columns {
        let value = format!("t.{}", quote(&column.target));
        parts.push(Sql::new(&value));
        parts.push(text(column, &value));
    }
    Ok(Sql::new("select ")
        .add(&Sql::join(&parts, ", "))
        .text(&format!(" from (select {}, min(n) as n from ", names.join(", ")))
        .table(&Notes::of(&own.online, &own.run).table(work))
        .text(&format!(" where t = {n} and k is not null group by k) as c left join "))
        .table(&carry.name)
        // new rows get their numbers in the order in which they came
        .text(&format!(" as t on {} order by c.n", same.join(" and "))))
}

fn noted_row(
    carry: &Carry,
    row: &Row,
    stored: &[String],
    likes: &[Value],
    carrier: &mut Carrier,
    tx: &mut dyn Tx,
) -> Result<Noted> {
    let pair = |at: usize| (row.get(at).unwrap_or(&Value::Null), row.get(at + 1).and_then(Value::as_text));
    let keys = carry.key.len();
    let key: Option<Vec<Value>> = (carry.key.iter().enumerate())
        .map(|(at, place)| {
            let (value, text) = pair(at * 2);
            inverse::of(&carry.columns[*place], value, text, &likes[*place])
        })
        .collect();
    let name = |(at, place): (usize, &usize)| {
        let (value, text) = pair(at * 2);
        let column = &carry.columns[*place];
        let value = text.map_or_else(|| readable(&column.rule, &Seen::from(value)), str::to_owned);
        format!("{} {value}", column.target)
    };
    let shown = carry.key.iter().enumerate().map(name).collect::<Vec<_>>().join(", ");
    let Some(key) = key else { return Ok(Noted::Stuck(shown)) };
    // what is there now
    let mut sql = read(carry);
    for column in stored {
        sql = sql.text(", t.").name(column);
    }
    let there = tx.rows(&sql.text(" from ").name(&carry.table).text(" as t where ").add(&is(carry, &key)))?;
    let there = there.first();
    let kept = |there: &Row| -> Vec<(String, Value)> {
        stored.iter().cloned().zip(there[there.len() - stored.len()..].iter().cloned()).collect()
    };
    let old = there.map(kept);
    if row.get(keys * 2).and_then(Value::as_bool) != Some(true) {
        return Ok(Noted::Back(Returning { key, shown, ..Returning::default() }));
    }
    let at = |n: usize| keys * 2 + 1 + n * 2;
    let wanted: Vec<u128> =
        (0..carry.columns.len()).map(|n| inverse::hash(&carry.columns[n], pair(at(n)).0)).collect();
    let now = match there {
        Some(there) => forward(carry, there, carrier)?,
        None => None,
    };
    let mut values = old.clone().unwrap_or_default();
    for (n, column) in carry.columns.iter().enumerate().filter(|(_, column)| !column.computed) {
        let comparable = !matches!(column.rule, Rule::Written(_));
        if comparable && now.as_ref().is_some_and(|now| now[n] == wanted[n]) {
            continue;
        }
        let (value, text) = pair(at(n));
        let own = there.map(|there| &there[carry.order.len() + n]).filter(|own| !own.is_null());
        let place = carry.key.iter().position(|place| *place == n);
        let new = match place {
            // by this it is found again
            Some(place) => Some(key[place].clone()),
            None => inverse::of(column, value, text, own.unwrap_or(&likes[n])),
        };
        let Some(new) = new else {
            return Ok(Noted::Stuck(format!("{shown}: its {} has no form there", column.source)));
        };
        match values.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&column.source)) {
            Some((_, known)) => *known = new,
            None => values.push((column.source.clone(), new)),
        }
    }
    Ok(Noted::Back(Returning { key, shown, wanted: Some(wanted), values, old }))
}

/// The hash of each value of a row of the source, as it would be in the target; none where it would not be there.
fn forward(carry: &Carry, row: &Row, carrier: &mut Carrier) -> Result<Option<Vec<u128>>> {
    let seen: Vec<Seen> = row.iter().map(Seen::from).collect();
    let mut hashes = None;
    carrier.row(&seen, &mut |cells| {
        let one = |(column, cell): (&super::super::task::Carried, &targets::db::Cell)| {
            let mut mix = Mix::default();
            sent(&column.rule, cell, &mut mix);
            mix.sum()
        };
        hashes = Some(carry.columns.iter().zip(cells).map(one).collect());
        Ok(())
    })?;
    Ok(hashes)
}

/// The columns that are not the same.
fn others<'c>(carry: &'c Carry, a: &[u128], b: &[u128]) -> Vec<&'c str> {
    let all = carry.columns.iter().zip(a.iter().zip(b));
    let differ = all.filter(|(column, (a, b))| a != b && !matches!(column.rule, Rule::Written(_)));
    differ.map(|(column, _)| column.source.as_str()).collect()
}

fn insert(carry: &Carry, values: &[(String, Value)], tx: &mut dyn Tx) -> Result<()> {
    let places: Vec<Sql> = values.iter().map(|(_, value)| Sql::default().bind(value.clone())).collect();
    let sql = Sql::new("insert into ")
        .name(&carry.table)
        .text(" (")
        .names("", values.iter().map(|(name, _)| name.as_str()))
        .text(") values (")
        .add(&Sql::join(&places, ", "))
        .text(")");
    tx.execute(&sql).map(drop)
}

/// How many rows there are on both sides afterwards.
fn counted(carry: &Carry, run: &str, tx: &mut dyn Tx, work: &mut Work) -> Result<()> {
    let own = work.dialect().own(ASIDE);
    let aside = match work.count(&work.dialect().exists(&own))? {
        0 => 0,
        _ => work.count(
            &Sql::new("select count(*) from ")
                .table(&own)
                .text(" where run = ")
                .bind(run)
                .text(" and source_table = ")
                .bind(carry.table.as_str()),
        )?,
    };
    let here = work.count(&Sql::new("select count(*) from ").table(&carry.name))?;
    let there = tx.count(&Sql::new("select count(*) from ").name(&carry.table))?;
    if there == here + aside {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{}` would have {} in the source, and has {here} in the target, {aside} kept aside",
        carry.table,
        rows_of(there)
    ))
    .code(CHECK)
    .help("a row was not found again by its key: look for keys that are written in several ways"))
}
