//! What putting a backup in the place of the live database would cost: rows that are newer, or have changed since (W-119).
//!
//! Rows are compared by content, whatever the database: eight bytes of memory for each row of the table that is compared.

use crate::digest::row_hash;
use crate::error::Result;
use serde::Serialize;
use targets::db::{Facts, Schema, Sql, Table, TableKind};

/// What would be lost, and what would come back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lost {
    /// Tables with a difference.
    pub tables: Vec<LostTable>,
}

/// The difference of one table.
#[derive(Debug, Clone, Serialize)]
pub struct LostTable {
    /// Which.
    pub table: String,
    /// Rows that are only in the live database: new or changed since the backup. They would go.
    pub newer: u64,
    /// Rows that are only in the backup: deleted or changed since. They would come back.
    pub back: u64,
}

impl Lost {
    /// Rows that would go, over all tables.
    pub fn newer(&self) -> u64 {
        self.tables.iter().map(|table| table.newer).sum()
    }

    /// Rows that would come back, over all tables.
    pub fn back(&self) -> u64 {
        self.tables.iter().map(|table| table.back).sum()
    }
}

/// Compares two databases of the same kind.
pub(super) fn compare(live: &mut dyn Facts, backup: &mut dyn Facts) -> Result<Lost> {
    let (now, then) = (live.schema()?, backup.schema()?);
    let mut lost = Lost::default();
    let mut add = |table: String, newer: u64, back: u64| {
        if newer + back > 0 {
            lost.tables.push(LostTable { table, newer, back });
        }
    };
    for table in own(&now) {
        let here = hashes(live, table, &stored(table))?;
        match then.table(&table.name).filter(|other| stored(other) == stored(table)) {
            Some(other) => {
                let (newer, back) = difference(&here, &hashes(backup, other, &stored(other))?);
                add(table.name.to_string(), newer, back);
            }
            // Another shape: no row is the same.
            None => add(table.name.to_string(), here.len() as u64, 0),
        }
    }
    for table in own(&then) {
        let same = now.table(&table.name).is_some_and(|other| stored(other) == stored(table));
        if !same {
            add(table.name.to_string(), 0, hashes(backup, table, &stored(table))?.len() as u64);
        }
    }
    Ok(lost)
}

fn own(schema: &Schema) -> impl Iterator<Item = &Table> {
    schema.tables.iter().filter(|table| matches!(table.kind, TableKind::Ordinary | TableKind::WithoutRowid))
}

/// The names of the columns that hold something, in order.
pub(super) fn stored(table: &Table) -> Vec<String> {
    table.stored().map(|column| column.name.clone()).collect()
}

/// A number for each row, by the content of these columns; sorted.
pub(super) fn hashes(facts: &mut dyn Facts, table: &Table, columns: &[String]) -> Result<Vec<u64>> {
    let select = selected(facts, table, columns)?;
    let mut all = Vec::new();
    facts.query(&select, &mut |row| {
        all.push(row_hash(&row));
        Ok(())
    })?;
    all.sort_unstable();
    Ok(all)
}

/// These columns in a form that leaves the database without loss, over `t`.
pub(super) fn selected(facts: &dyn Facts, table: &Table, columns: &[String]) -> Result<Sql> {
    let mut outward = Vec::new();
    for column in columns {
        outward.push(facts.dialect().outward(table.expect_column(column)?));
    }
    let only = if table.children.is_empty() { "" } else { "only " };
    Ok(Sql::new(&format!("select {} from {only}", outward.join(", "))).table(&table.name).text(" as t"))
}

/// How many are only in the first, and only in the second. Both are sorted.
fn difference(first: &[u64], second: &[u64]) -> (u64, u64) {
    let (mut a, mut b, mut only_first, mut only_second) = (0, 0, 0, 0);
    while a < first.len() && b < second.len() {
        match first[a].cmp(&second[b]) {
            std::cmp::Ordering::Equal => (a, b) = (a + 1, b + 1),
            std::cmp::Ordering::Less => (a, only_first) = (a + 1, only_first + 1),
            std::cmp::Ordering::Greater => (b, only_second) = (b + 1, only_second + 1),
        }
    }
    (only_first + (first.len() - a) as u64, only_second + (second.len() - b) as u64)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn rows_that_occur_twice_count_twice() {
        assert_eq!(difference(&[1, 2, 2, 5], &[2, 3, 5, 5, 6]), (2, 3));
        assert_eq!(difference(&[], &[1]), (0, 1));
        assert_eq!(difference(&[7, 7], &[]), (2, 0));
    }
}
