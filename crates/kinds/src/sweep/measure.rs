//! How many rows a sweep is about, of how many, and which way leads to them. Read-only.

use super::plan::Sweep;
use super::task::{Joined, Walk};
use engine::{Planning, Result};
use targets::db::{Facts, Sql, Table, Value};

/// Below this share of the table an index is the better way to the rows.
const FEW_PERCENT: f64 = 5.0;
/// Tables up to this many rows are counted whole.
const COUNTED_WHOLE: u64 = 200_000;

/// How many rows, of how many.
pub struct Sizes {
    /// Rows that satisfy the condition.
    pub matched: u64,
    /// Rows of the table.
    pub total: Option<u64>,
    /// Whether that was counted.
    pub total_exact: bool,
    /// Rows whose age cannot be read.
    pub unreadable: u64,
    /// The index that finds them.
    pub index: Option<String>,
}

impl Sizes {
    /// In per cent.
    pub fn share(&self) -> Option<f64> {
        self.total.filter(|total| *total > 0).map(|total| 100.0 * self.matched as f64 / total as f64)
    }
}

/// Counts in one walk through the table, or by the index when one finds the rows: then the table is not read, and its
/// size is only found out as far as the guard on the share needs it.
pub fn measure(sweep: &Sweep, condition: &Sql, planning: &Planning, facts: &mut dyn Facts) -> Result<Sizes> {
    let (table, unreadable) = (&sweep.table, sweep.unreadable.as_ref());
    let access =
        facts.access(&Sql::new("select 1 from ").table(&table.name).text(" as t where ").add(condition))?;
    let index = access.index.filter(|_| !sweep.joins);
    if index.is_some() || (sweep.joins && is_large(table)) {
        let matched = count_rows(table, condition, facts)?;
        // Far enough to tell whether the share is refused, and, where nothing else says, whether the rows are few.
        let most = planning.request.manners.max_percent;
        let share = most.min(if table.rows_estimate.is_some() { 100.0 } else { FEW_PERCENT }).max(0.1);
        let enough = (matched as f64 * 100.0 / share).ceil() as u64 + 1;
        // Small tables are counted whole: it costs a moment, and people like exact figures.
        let enough = enough.max(COUNTED_WHOLE);
        let (total, total_exact) = match table.rows_estimate {
            // Statistics are good enough far away from the limit.
            Some(estimate) if estimate > enough.saturating_mul(8) => (estimate, false),
            estimate => {
                let counted = facts.count(
                    &Sql::new("select count(*) from (select 1 as one from ")
                        .table(&table.name)
                        .text(" limit ")
                        .bind(enough as i64)
                        .text(") as sample"),
                )?;
                (
                    if counted < enough { counted } else { counted.max(estimate.unwrap_or(0)) },
                    counted < enough,
                )
            }
        };
        let unreadable = match unreadable {
            Some(unreadable) if total_exact || total < 1_000_000 => count_rows(table, unreadable, facts)?,
            _ => 0,
        };
        return Ok(Sizes { matched, total: Some(total), total_exact, unreadable, index });
    }
    in_one_walk(sweep, condition, &Sql::default(), facts)
}

/// Whether statistics say that the table is so large that counting it takes its time, for which they are good enough.
pub fn is_large(table: &Table) -> bool {
    table.rows_estimate.is_some_and(|rows| rows > 2 * COUNTED_WHOLE)
}

/// Counts in one walk through the table and what is joined to it.
pub fn measure_joined(sweep: &Sweep, joined: &Joined, facts: &mut dyn Facts) -> Result<Sizes> {
    in_one_walk(sweep, &joined.condition, &joined.from, facts)
}

fn in_one_walk(sweep: &Sweep, condition: &Sql, joined: &Sql, facts: &mut dyn Facts) -> Result<Sizes> {
    let when = |condition: &Sql| Sql::new(", count(case when ").add(condition).text(" then 1 end)");
    let nothing = Sql::new("1 = 0");
    let select = Sql::new("select count(*)")
        .add(&when(condition))
        .add(&when(sweep.unreadable.as_ref().unwrap_or(&nothing)))
        .text(" from ")
        .table(&sweep.table.name)
        .text(" as t")
        .add(joined);
    let row = facts.rows(&select)?.into_iter().next().unwrap_or_default();
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
    Ok(Sizes {
        matched: number(1),
        total: Some(number(0)),
        total_exact: true,
        unreadable: number(2),
        index: None,
    })
}

/// How many rows of the table satisfy the condition.
pub fn count_rows(table: &Table, condition: &Sql, facts: &mut dyn Facts) -> Result<u64> {
    facts.count(&Sql::new("select count(*) from ").table(&table.name).text(" as t where ").add(condition))
}

/// The way through the table, and why.
pub fn choose_walk(leaves: &[Table], sizes: &Sizes, facts: &mut dyn Facts) -> (Walk, String) {
    let walks = leaves.iter().all(|leaf| facts.dialect().walks(leaf));
    let share = sizes.share().unwrap_or(100.0);
    match &sizes.index {
        Some(index) if share <= FEW_PERCENT => {
            (Walk::Few, format!("by index `{index}`: only {share:.1} % of the rows are wanted"))
        }
        _ if walks => (
            Walk::Physical,
            format!("in physical order: {share:.1} % of the rows are wanted, so each page is read once"),
        ),
        Some(index) => {
            (Walk::Few, format!("by index `{index}`: this table cannot be walked in physical order"))
        }
        None => (Walk::Few, "by repeated search: this table cannot be walked in physical order".to_owned()),
    }
}
