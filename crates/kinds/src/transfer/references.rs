//! References of the source that may lead nowhere, for there nobody had to keep them.
//!
//! Where an index of each side has the values in order, both are read once, side by side; only if that finds a value
//! without a parent, or the indexes are not there, is every row asked for its parent.

use super::design::NewReference;
use super::source::{Source, SourceTable};
use super::task::{Broken, Carry};
use engine::Result;
use targets::db::{Facts, Index, Sql, quote};

/// A reference of which it is not known whether all its rows have a parent.
#[derive(Debug)]
pub struct Doubt {
    /// The table that refers, by its place among those that are carried.
    pub carry: usize,
    /// Its rows without a parent.
    pub broken: Broken,
    /// How many of them there are.
    count: Sql,
    /// Values without a parent, side by side: none proves that there are no such rows.
    side_by_side: Option<Sql>,
}

impl Doubt {
    /// About a reference of a table; none where the parent is no table of the source.
    pub fn about(
        place: usize,
        carry: &Carry,
        from: &SourceTable,
        reference: &NewReference,
        source: &Source,
    ) -> Option<Self> {
        let parent = source.tables.iter().find(|one| one.name() == reference.parent)?;
        let condition = without_parent(from, parent, reference);
        let column =
            |name: &String| carry.columns.iter().position(|column| column.source.eq_ignore_ascii_case(name));
        let count =
            Sql::new("select count(*) from ").name(&carry.table).text(" as t where ").text(&condition);
        let columns = reference.columns.iter().filter_map(column).collect();
        let side_by_side = side_by_side(from, parent, reference);
        Some(Self { carry: place, broken: Broken { columns, condition }, count, side_by_side })
    }

    /// Whether there are such rows.
    pub fn is_right(&self, reader: &mut dyn Facts) -> Result<bool> {
        match &self.side_by_side {
            Some(values) if reader.count(values)? == 0 => Ok(false),
            _ => Ok(reader.count(&self.count)? > 0),
        }
    }
}

fn without_parent(from: &SourceTable, parent: &SourceTable, reference: &NewReference) -> String {
    let pairs = || reference.columns.iter().zip(&reference.parent_columns);
    let there = pairs().map(|(own, _)| format!("t.{} is not null", quote(own)));
    let same = pairs().map(|(own, key)| {
        let folds = from.collation(own).is_some() || parent.collation(key).is_some();
        let binary = if folds { " collate binary" } else { "" };
        format!("p.{} = t.{}{binary}", quote(key), quote(own))
    });
    format!(
        "{} and not exists (select 1 from {} as p where {})",
        there.collect::<Vec<_>>().join(" and "),
        parent.table.name.quoted(),
        same.collect::<Vec<_>>().join(" and ")
    )
}

/// Values that are the same in every bit are equal under any affinity, so what is found here may still have a parent, and what is
/// not found has one.
fn side_by_side(from: &SourceTable, parent: &SourceTable, reference: &NewReference) -> Option<Sql> {
    let folds =
        |table: &SourceTable, names: &[String]| names.iter().any(|name| table.collation(name).is_some());
    let (own, keys) = (&reference.columns, &reference.parent_columns);
    if !are_in_order(from, own) || !are_in_order(parent, keys) || folds(from, own) || folds(parent, keys) {
        return None;
    }
    let names = |names: &[String]| Sql::default().names("", names.iter().map(String::as_str));
    let there: Vec<String> = own.iter().map(|name| format!("{} is not null", quote(name))).collect();
    let places: Vec<String> = (1..=own.len()).map(|n| n.to_string()).collect();
    let sql = Sql::new("select count(*) from (select ")
        .add(&names(own))
        .text(" from ")
        .table(&from.table.name)
        .text(" where ")
        .text(&there.join(" and "))
        .text(" except select ")
        .add(&names(keys))
        .text(" from ")
        .table(&parent.table.name);
    Some(sql.text(&format!(" order by {})", places.join(", "))))
}

/// Whether an index begins with these columns.
fn are_in_order(table: &SourceTable, names: &[String]) -> bool {
    let begins = |columns: &[Option<String>]| {
        columns.len() >= names.len()
            && columns
                .iter()
                .zip(names)
                .all(|(column, name)| column.as_ref().is_some_and(|column| column.eq_ignore_ascii_case(name)))
    };
    let has = |index: &Index| index.valid && index.sorted && !index.partial && begins(&index.columns);
    let key: Vec<Option<String>> = table.primary.iter().cloned().map(Some).collect();
    begins(&key) || table.table.indexes.iter().any(has)
}
