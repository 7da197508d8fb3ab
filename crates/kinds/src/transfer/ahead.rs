//! Rows that came beside a batch, in a transaction of their own: what is known of them until the batch itself is in.
//!
//! The two transactions of a batch cannot end as one. The other one is first, and with it goes a note of what it brought; a batch that
//! dies in between finds the note when it is done again, and brings the rest only. Whoever brings rows has an advisory lock for the
//! table, so that nobody believes the note while a transaction of a dead process is still about to end.

use super::carry::place_behind;
use super::load::{share_of, shares};
use super::task::{Carry, Place};
use engine::{Error, Result, Work};
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Row, Sql, TableName, Value};

/// Where the notes are: a table of ours in the target.
pub const AHEAD: &str = "ahead";

/// The class of the advisory locks.
const CLASS: i32 = 0x5345_5842;

/// What came beside a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// Where the batch began.
    pub after: Option<Row>,
    /// Behind which row these lie; none where they are all that there is.
    pub from: Option<Row>,
    /// The last of them; none where they are the last of the table.
    pub last: Option<Row>,
    /// How many were carried.
    pub rows: u64,
    /// The sum of their hashes, in hexadecimal digits.
    pub hash: String,
}

impl Ahead {
    /// The sum of their hashes.
    pub fn hash(&self) -> u128 {
        u128::from_str_radix(&self.hash, 16).unwrap_or(0)
    }
}

/// The tables begin: each with a note that says nothing.
pub fn make(tables: &[TableName], work: &mut Work) -> Result<()> {
    let own = work.dialect().own(AHEAD);
    let create = Sql::new("create table if not exists ")
        .table(&own)
        .text(" (target text not null primary key, run text not null, note text)");
    work.record(&create)?;
    for table in tables {
        let empty = Sql::new("insert into ")
            .table(&own)
            .text(" (target, run) values (")
            .bind(table.quoted())
            .text(", ")
            .bind(work.point())
            .text(") on conflict (target) do update set run = excluded.run, note = null");
        work.record_later(empty)?;
    }
    Ok(())
}

/// What whoever brings rows of this table beside a batch locks until the end: an advisory lock, of a class of our own.
fn right(carry: &Carry) -> Sql {
    Sql::new(&format!("({CLASS}, hashtext(")).bind(carry.name.quoted()).text("))")
}

/// Rows of a table begin to come beside a batch.
pub fn begin(carry: &Carry, work: &mut Work) -> Result<()> {
    work.rows(&Sql::new("select pg_advisory_xact_lock").add(&right(carry)))?;
    let known = Sql::new("select count(*) from ")
        .table(&work.dialect().own(AHEAD))
        .text(" where target = ")
        .bind(carry.name.quoted())
        .text(" and run = ")
        .bind(work.point());
    match work.count(&known)? {
        0 => Err(Error::system(format!("nothing is known of `{}` any more", carry.name))
            .help("somebody has taken the transfer back: begin a new one")),
        _ => Ok(()),
    }
}

/// They are in.
pub fn note(carry: &Carry, ahead: &Ahead, work: &mut Work) -> Result<()> {
    let text = serde_json::to_string(ahead)
        .map_err(|error| Error::system("a note of a transfer cannot be written").because(error))?;
    let update = Sql::new("update ")
        .table(&work.dialect().own(AHEAD))
        .text(" set note = ")
        .bind(text)
        .text(" where target = ")
        .bind(carry.name.quoted());
    work.record(&update).map(drop)
}

/// Where the next batch is parted, and what is in of it already. A transaction that is about to end is in the way of it, and it is
/// asked again. `left` rows are still to come, or about so many.
pub fn aim(
    carry: &Carry,
    (rows, left): (u64, u64),
    place: &mut Place,
    target: &mut dyn Facts,
    source: &mut dyn Facts,
) -> Result<()> {
    let nobody = Sql::new("select case when pg_try_advisory_lock")
        .add(&right(carry))
        .text(" then pg_advisory_unlock")
        .add(&right(carry))
        .text(" else false end");
    if target.value(&nobody)?.as_bool() != Some(true) {
        let what = format!("an earlier attempt still brings rows of `{}`", carry.name);
        return Err(Error::transient(what).help("it ends by itself: resume the run in a moment"));
    }
    let note = Sql::new("select note from ")
        .table(&target.dialect().own(AHEAD))
        .text(" where target = ")
        .bind(carry.name.quoted());
    let kept = target.rows(&note)?;
    if let Some(text) = kept.first().and_then(|row| row[0].as_text()) {
        let ahead: Ahead = serde_json::from_str(text)
            .map_err(|error| Error::system("a note of a transfer cannot be read").because(error))?;
        if ahead.after == place.after {
            place.ahead = Some(ahead);
            return Ok(());
        }
    }
    place.bounds = match numbers(carry, (rows, left), place.after.as_ref(), source)? {
        Some(bounds) => bounds,
        None => walked(carry, rows, place.after.as_ref(), source)?,
    };
    Ok(())
}

/// The places at which a table is parted whose rows have numbers, as if the numbers were taken evenly; none where too many of them are
/// not taken: then a share could have many more rows than it should, and here it has as many as there are numbers at the most.
fn numbers(
    carry: &Carry,
    (rows, left): (u64, u64),
    after: Option<&Row>,
    source: &mut dyn Facts,
) -> Result<Option<Vec<Row>>> {
    let [order] = carry.order.as_slice() else { return Ok(None) };
    let end =
        |what: &str| Sql::new("select ").text(what).text("(").name(order).text(") from ").name(&carry.table);
    let begin = match after {
        Some(after) => after[0].as_int(),
        None => source.value(&end("min"))?.as_int().and_then(|least| least.checked_sub(1)),
    };
    let (Some(begin), Some(last)) = (begin, source.value(&end("max"))?.as_int()) else { return Ok(None) };
    let (numbers, left) = (i128::from(last) - i128::from(begin), i128::from(left.max(1)));
    if numbers > left + left / 4 {
        return Ok(None);
    }
    let share = i128::from(share_of(rows));
    let mut bounds: Vec<i64> = (1..i128::from(shares(rows)))
        .filter_map(|n| i64::try_from(i128::from(begin) + numbers.max(0) * share * n / left).ok())
        .filter(|bound| *bound > begin && *bound < last)
        .collect();
    bounds.dedup();
    Ok(Some(bounds.into_iter().map(|bound| vec![Value::Int(bound)]).collect()))
}

/// The same where they have none: the rows are walked along.
fn walked(carry: &Carry, rows: u64, after: Option<&Row>, source: &mut dyn Facts) -> Result<Vec<Row>> {
    let mut bounds: Vec<Row> = Vec::new();
    for _ in 1..shares(rows) {
        let next = place_behind(carry, bounds.last().or(after), share_of(rows));
        match source.rows(&next)?.pop() {
            Some(bound) => bounds.push(bound),
            None => break,
        }
    }
    Ok(bounds)
}
