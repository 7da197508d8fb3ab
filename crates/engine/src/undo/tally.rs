//! Tallies: how often a run did the same to a row, such as putting a stale job back, remembered beside the row.
//!
//! One line for each time, with the undo point of the run, so that an undo takes its lines away again. Lines older than
//! a month are forgotten. It does not look at what the row is like now.

use super::point::exists;
use crate::error::Result;
use targets::db::{Dialect, Facts, Sql, TableName, Tx};

pub(super) const NAME: &str = "tallies";
/// For how long a line counts.
const KEPT_DAYS: i64 = 30;

/// Whose rows are counted, and how they are told apart.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// The table the configuration names.
    pub source: TableName,
    /// The column that tells its rows apart.
    pub key: String,
    /// A row that was counted this often before is spent.
    pub most: u64,
}

impl Tally {
    fn of(&self, alias: &str) -> Sql {
        Sql::new(&format!("{alias}.source = "))
            .bind(self.source.quoted())
            .text(&format!(" and {alias}.row_key = cast(t."))
            .name(&self.key)
            .text(" as text)")
    }

    /// How often a row, over `t`, was counted since it was last spent.
    fn count(&self, own: &TableName) -> Sql {
        Sql::new("(select count(*) from ")
            .table(own)
            .text(" as y where ")
            .add(&self.of("y"))
            .text(" and y.at > coalesce((select max(z.at) from ")
            .table(own)
            .text(" as z where z.spent = 1 and ")
            .add(&self.of("z"))
            .text("), ''))")
    }
}

/// The condition, over `t`, that a row will be spent when it is counted next. None when nothing was ever counted.
pub fn will_be_spent(facts: &mut dyn Facts, tally: &Tally) -> Result<Option<Sql>> {
    let own = facts.dialect().own(NAME);
    Ok(exists(facts, &own)?.then(|| tally.count(&own).text(&format!(" >= {}", tally.most))))
}

/// Counts the rows of `from` (`from table as t where …`) once more, in the transaction of the change; the condition,
/// over `t`, that a row is spent by it.
pub(crate) fn count(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    tally: &Tally,
    from: &Sql,
    point: &str,
    now: jiff::Timestamp,
) -> Result<Sql> {
    let own = dialect.own(NAME);
    if tx.count(&dialect.exists(&own))? == 0 {
        let columns = " (source text not null, row_key text not null, point text not null, at text not null, spent bigint not null)";
        tx.execute(&Sql::new("create table ").table(&own).text(columns))?;
        let index = Sql::new("create index ").name(&format!("{}_row", own.name)).text(" on ").table(&own);
        tx.execute(&index.text(" (source, row_key)"))?;
    }
    let at = |moment: jiff::Timestamp| moment.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let forgotten = now - jiff::SignedDuration::from_hours(24 * KEPT_DAYS);
    tx.execute(&Sql::new("delete from ").table(&own).text(" where at < ").bind(at(forgotten)))?;
    let insert = Sql::new("insert into ")
        .table(&own)
        .text(" (source, row_key, point, at, spent) select cast(")
        .bind(tally.source.quoted())
        .text(" as text), cast(t.")
        .name(&tally.key)
        .text(" as text), cast(")
        .bind(point)
        .text(" as text), cast(")
        .bind(at(now))
        .text(" as text), case when ")
        .add(&tally.count(&own))
        .text(&format!(" >= {} then 1 else 0 end ", tally.most))
        .add(from);
    tx.execute(&insert)?;
    Ok(Sql::new("exists (select 1 from ")
        .table(&own)
        .text(" as y where y.spent = 1 and y.point = ")
        .bind(point)
        .text(" and ")
        .add(&tally.of("y"))
        .text(")"))
}

/// Takes the lines of an undo point away, because what it counted did not happen.
pub(crate) fn forget(tx: &mut dyn Tx, dialect: &dyn Dialect, point: &str) -> Result<()> {
    let own = dialect.own(NAME);
    if tx.count(&dialect.exists(&own))? == 1 {
        tx.execute(&Sql::new("delete from ").table(&own).text(" where point = ").bind(point))?;
    }
    Ok(())
}

/// Drops the table when no line is left; false when some are.
pub(super) fn drop_if_empty(tx: &mut dyn Tx, own: &TableName, exists: &Sql) -> Result<bool> {
    if tx.count(exists)? == 0 {
        return Ok(true);
    }
    if tx.count(&Sql::new("select count(*) from ").table(own))? > 0 {
        return Ok(false);
    }
    tx.execute(&Sql::new("drop table ").table(own))?;
    Ok(true)
}
