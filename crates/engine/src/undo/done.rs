//! Which rows an operation has converted already, where no condition on the rows themselves can tell.
//!
//! One line for each row, with the undo point of the run, so that an undo takes its lines away and the rows are converted again.
//! Lines stay when the undo point is forgotten: what was converted stays so.

use super::point::exists;
use crate::error::Result;
use crate::work::Work;
use targets::db::{Dialect, Facts, Sql, Table, Tx};

pub(super) const NAME: &str = "converted_rows";
/// Between the values of a key: no text that people write has it.
const BETWEEN: &str = "\u{1f}";

/// The key of a row, over `t`, as one text.
fn row_key(key: &[String]) -> Sql {
    let parts: Vec<Sql> =
        key.iter().map(|column| Sql::new("cast(t.").name(column).text(" as text)")).collect();
    Sql::join(&parts, &format!(" || '{BETWEEN}' || "))
}

/// The condition, over `t`, that the operation has not converted the row. None when it never converted any.
pub fn not_converted(facts: &mut dyn Facts, operation: &str, key: &[String]) -> Result<Option<Sql>> {
    let own = facts.dialect().own(NAME);
    if !exists(facts, &own)? {
        return Ok(None);
    }
    let condition = Sql::new("not exists (select 1 from ")
        .table(&own)
        .text(" as y where y.operation = ")
        .bind(operation)
        .text(" and y.row_key = ")
        .add(&row_key(key))
        .text(")");
    Ok(Some(condition))
}

impl Work<'_> {
    /// Writes down, with the change, that the operation has converted the rows of `table` that satisfy `condition`, over `t`; how
    /// many. `alone` says that no undo row is kept of them, because they themselves stay as they are.
    pub fn mark_converted(
        &mut self,
        operation: &str,
        table: &Table,
        key: &[String],
        condition: &Sql,
        alone: bool,
    ) -> Result<u64> {
        self.may_die("before rows are marked")?;
        let (dialect, point) = (self.dialect(), self.point().to_owned());
        let own = dialect.own(NAME);
        if self.tx().count(&dialect.exists(&own))? == 0 {
            let columns = " (operation text not null, row_key text not null, point text not null, alone bigint not null, \
                           primary key (operation, row_key))";
            self.tx().execute(&Sql::new("create table ").table(&own).text(columns))?;
        }
        let insert = Sql::new("insert into ")
            .table(&own)
            .text(" (operation, row_key, point, alone) select cast(")
            .bind(operation)
            .text(" as text), ")
            .add(&row_key(key))
            .text(", cast(")
            .bind(point)
            .text(&format!(" as text), {} from ", i64::from(alone)))
            .table(&table.name)
            .text(" as t where ")
            .add(condition)
            .text(" on conflict (operation, row_key) do nothing");
        let marked = self.tx().execute(&insert)?;
        if alone {
            // There is no undo table that would open the undo point.
            self.remembers_things();
        }
        Ok(marked)
    }
}

/// How many rows a point has converted without changing them.
pub(crate) fn count_alone(facts: &mut dyn Facts, point: &str) -> Result<u64> {
    let own = facts.dialect().own(NAME);
    if !exists(facts, &own)? {
        return Ok(0);
    }
    facts.count(
        &Sql::new("select count(*) from ").table(&own).text(" where alone = 1 and point = ").bind(point),
    )
}

/// Takes the lines of an undo point away, because what it converted is as it was.
pub(crate) fn forget(tx: &mut dyn Tx, dialect: &dyn Dialect, point: &str) -> Result<()> {
    let own = dialect.own(NAME);
    if tx.count(&dialect.exists(&own))? == 1 {
        tx.execute(&Sql::new("delete from ").table(&own).text(" where point = ").bind(point))?;
    }
    Ok(())
}
