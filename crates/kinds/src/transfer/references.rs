//! References of the source that may lead nowhere, for there nobody had to keep them.
//!
//! Where an index of each side has the values in order, both are read once, side by side; only if that finds a value
//! without a parent, or the indexes are not there, is every row asked for its parent. A parent that is kept aside is none.

use super::design::NewReference;
use super::options::Options;
use super::plan;
use super::source::{Source, SourceTable};
use super::task::{Broken, Carry};
use engine::Result;
use std::collections::BTreeMap;
use targets::db::{Facts, Index, Row, Sql, Value, quote};

/// What values of a column become.
type Values = BTreeMap<String, Option<String>>;

/// A reference of which it is not known whether all its rows have a parent.
#[derive(Debug)]
pub struct Doubt<'s> {
    /// The table that refers, by its place among those that are carried.
    pub carry: usize,
    from: &'s SourceTable,
    parent: &'s SourceTable,
    reference: NewReference,
    /// What the values of the referring columns and of those referred to become, pair by pair.
    mapped: Vec<[Values; 2]>,
    /// The referring columns, by their places.
    columns: Vec<usize>,
    /// Nobody needs to ask, as long as all rows of the parent arrive.
    is_whole: bool,
    /// Some rows have no parent.
    pub is_right: bool,
    /// Rows of the parent that do not arrive, by what orders them.
    lost: Vec<Row>,
}

impl<'s> Doubt<'s> {
    /// About a reference of a table; none where the parent is no table of the source.
    pub fn about(
        (place, carry): (usize, &Carry),
        from: &'s SourceTable,
        reference: &NewReference,
        (source, options): (&'s Source, &Options),
        is_whole: bool,
    ) -> Option<Self> {
        let parent = source.tables.iter().find(|one| one.name() == reference.parent)?;
        let column =
            |name: &String| carry.columns.iter().position(|column| column.source.eq_ignore_ascii_case(name));
        let columns = reference.columns.iter().filter_map(column).collect();
        let values = |table: &SourceTable, name: &String| {
            options.column(table.name(), name).map(plan::values).unwrap_or_default()
        };
        let pairs = reference.columns.iter().zip(&reference.parent_columns);
        let mapped: Vec<_> = pairs.map(|(own, key)| [values(from, own), values(parent, key)]).collect();
        let is_whole = is_whole && mapped.iter().flatten().all(Values::is_empty);
        let (reference, lost) = (reference.clone(), Vec::new());
        Some(Self { carry: place, from, parent, reference, mapped, columns, is_whole, is_right: false, lost })
    }

    /// The table that is referred to, in the source.
    pub fn parent(&self) -> &str {
        self.parent.name()
    }

    /// Rows of the parent do not arrive.
    pub fn lose(&mut self, lost: &[Row]) {
        self.lost = lost.to_vec();
    }

    /// The rows that break the reference.
    pub fn broken(&self) -> Broken {
        let condition = self.without_parent();
        Broken { columns: self.columns.clone(), condition }
    }

    /// Asks whether there are such rows.
    pub fn ask(&self, reader: &mut dyn Facts) -> Result<bool> {
        if self.lost.is_empty() {
            if self.is_whole {
                return Ok(false);
            }
            let is_as_it_is = self.mapped.iter().flatten().all(Values::is_empty);
            let values = side_by_side(self.from, self.parent, &self.reference);
            if let Some(values) = values.filter(|_| is_as_it_is)
                && reader.count(&values)? == 0
            {
                // values without a parent, side by side: none proves that there are no such rows
                return Ok(false);
            }
        }
        let count = Sql::new("select count(*) from ")
            .name(self.from.name())
            .text(" as t where ")
            .text(&self.broken().condition);
        Ok(reader.count(&count)? > 0)
    }

    fn without_parent(&self) -> String {
        let Self { from, parent, reference, .. } = self;
        let pairs = || reference.columns.iter().zip(&reference.parent_columns).zip(&self.mapped);
        let there = pairs().map(|((own, _), [values, _])| format!("{} is not null", value("t", own, values)));
        let same = pairs().map(|((own, key), [of_own, of_key])| {
            let folds = from.collation(own).is_some() || parent.collation(key).is_some();
            let binary = if folds { " collate binary" } else { "" };
            format!("{} = {}{binary}", value("p", key, of_key), value("t", own, of_own))
        });
        format!(
            "{} and not exists (select 1 from {} as p where {}{})",
            there.collect::<Vec<_>>().join(" and "),
            parent.table.name.quoted(),
            same.collect::<Vec<_>>().join(" and "),
            arrives(parent, &self.lost)
        )
    }
}

/// A value on its way: only texts and whole numbers become others.
fn value(side: &str, name: &str, values: &Values) -> String {
    let column = format!("{side}.{}", quote(name));
    if values.is_empty() {
        return column;
    }
    let text = |text: &str| literal(&Value::from(text));
    let to = |to: &Option<String>| to.as_deref().map_or("null".to_owned(), text);
    let cases: String =
        values.iter().map(|(from, other)| format!(" when {} then {}", text(from), to(other))).collect();
    format!(
        "(case (case when typeof({column}) in ('text', 'integer') then cast({column} as text) end) collate binary{cases} else {column} end)"
    )
}

/// A value as SQLite reads it in a statement.
fn literal(value: &Value) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Value::Int(number) => number.to_string(),
        // SQLite has no word for what is beyond all numbers
        Value::Real(number) if number.is_infinite() => {
            format!("{}9e999", if *number < 0.0 { "-" } else { "" })
        }
        Value::Real(number) => format!("{number:e}"),
        Value::Text(text) if !text.contains('\0') => format!("'{}'", text.replace('\'', "''")),
        Value::Text(text) => format!("cast(x'{}' as text)", hex(text.as_bytes())),
        Value::BrokenText(bytes) => format!("cast(x'{}' as text)", hex(bytes)),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
        _ => "null".to_owned(),
    }
}

/// That a row of the parent `p` is none of those that do not arrive.
fn arrives(parent: &SourceTable, lost: &[Row]) -> String {
    if lost.is_empty() {
        return String::new();
    }
    let order: Vec<String> = match parent.by_rowid() {
        Some(rowid) => vec![format!("p.{}", quote(rowid))],
        None => parent.primary.iter().map(|name| format!("p.{}", quote(name))).collect(),
    };
    let rows: Vec<String> = lost
        .iter()
        .map(|row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", ")))
        .collect();
    format!(" and ({}) not in (values {})", order.join(", "), rows.join(", "))
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
