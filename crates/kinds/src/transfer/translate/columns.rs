//! The columns of a table as expressions and queries may name them, with what SQLite knows of their values.

use super::expression::{Said, Sort};
use super::members::Document;
use super::moments;
use crate::transfer::convert::{Rule, Zone};
use crate::transfer::design::NewColumn;
use crate::transfer::profile::Profile;
use crate::transfer::source::{Affinity, SourceTable};
use crate::transfer::types;
use targets::db::quote;

/// A column that an expression may name.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its name in the source.
    pub name: String,
    /// Its name in the target.
    pub target: String,
    /// What it is there.
    pub sort: Sort,
    /// It has the collation NOCASE.
    pub nocase: bool,
    /// A number that SQLite never holds as a whole one.
    pub real: bool,
    /// A moment that SQLite holds as a number of so many microseconds.
    pub epoch: Option<i64>,
    /// A moment that SQLite holds as a text of another zone.
    pub local: bool,
    /// A text of which every value that was seen is a time.
    pub times: bool,
    /// SQLite reads what is written beside it as such a value.
    pub affine: bool,
    /// A whole number of less than 64 bits.
    pub narrow: bool,
    /// A moment of which every value that was seen is a day alone.
    pub days: bool,
    /// A uuid that was made of something else.
    pub made: bool,
    /// It is computed.
    pub computed: bool,
    /// It is not carried.
    pub gone: bool,
    /// What it is a document of, where its members can be read.
    pub document: Option<Document>,
}

impl Known {
    /// One of which nothing but this is known.
    pub(super) fn bare(name: String, target: String, sort: Sort) -> Self {
        Self {
            name,
            target,
            sort,
            nocase: false,
            real: false,
            epoch: None,
            local: false,
            times: false,
            affine: false,
            narrow: false,
            days: false,
            made: false,
            computed: false,
            gone: false,
            document: None,
        }
    }

    /// As a part; `of` is the name of its table, where it must be said.
    pub(super) fn said(&self, of: Option<&str>) -> Said {
        // NULL of no type in the source is a text in the target
        if self.sort == Sort::Null {
            return Said::new("null", Sort::Null);
        }
        let sql = match of {
            Some(table) => format!("{table}.{}", quote(&self.target)),
            None => quote(&self.target),
        };
        let count = |unit: &i64| match *unit {
            1_000_000 => format!("floor(extract(epoch from {sql}))::bigint"),
            unit => format!("floor(extract(epoch from {sql}) * 1000000 / {unit})::bigint"),
        };
        let mut also: Vec<(Sort, String)> =
            self.epoch.iter().map(|unit| (Sort::Whole, count(unit))).collect();
        if self.times {
            also.push((Sort::Moment, moments::of_text(&sql)));
        }
        let said = Said::new(sql, self.sort);
        Said {
            nocase: self.nocase,
            collated: 1,
            affine: self.affine,
            real: self.real,
            narrow: self.narrow,
            local: self.local,
            day: self.days,
            made: self.made,
            document: self.document.clone(),
            also,
            ..said
        }
    }
}

/// The columns of a table, as expressions may name them.
pub fn known(table: &SourceTable, made: &[NewColumn]) -> Vec<Known> {
    let of_made = made.iter().map(|column| {
        let affinity = table.affinity(&column.source);
        let sort = if column.mixed { Sort::Mixed } else { types::sort(&column.rule) };
        // a type without a zone is what its session takes it for
        let is_bare = column.spelled.starts_with("timestamp")
            && !column.spelled.contains("tz")
            && !column.spelled.contains("with time zone");
        Known {
            nocase: table.collation(&column.source) == Some("nocase"),
            real: matches!(column.rule, Rule::Double | Rule::Single) && affinity == Affinity::Real,
            epoch: match &column.rule {
                Rule::Moment(epoch, ..) => *epoch,
                _ => None,
            },
            local: is_bare || matches!(&column.rule, Rule::Moment(_, zone, _) if *zone != Zone::Utc),
            affine: match sort {
                Sort::Text => affinity == Affinity::Text,
                Sort::Whole | Sort::Number => !matches!(affinity, Affinity::Text | Affinity::None),
                _ => affinity != Affinity::None,
            },
            narrow: matches!(column.rule, Rule::Whole(_, most) if most < i64::MAX),
            days: column.days,
            made: matches!(column.rule, Rule::Id(_)),
            document: column.members.as_ref().map(Document::of),
            computed: column.generated.is_some()
                || table.table.column(&column.source).is_some_and(|own| table.generated(own).is_some()),
            ..Known::bare(column.source.clone(), column.name.clone(), sort)
        }
    });
    let gone =
        table.table.columns.iter().filter(|column| !made.iter().any(|made| made.source == column.name));
    let gone = gone.map(|column| {
        let bare = Known::bare(column.name.clone(), column.name.clone(), Sort::Mixed);
        Known { gone: true, ..bare }
    });
    of_made.chain(gone).collect()
}

/// Whether a column holds other things than its type says: SQLite compares and sorts each value by what it is.
pub fn is_mixed(rule: &Rule, seen: &Profile) -> bool {
    let values = seen.values();
    match types::sort(rule) {
        Sort::Bool | Sort::Whole => seen.integers != values,
        Sort::Number => seen.integers + seen.reals != values,
        Sort::Bytes => seen.blobs != values,
        Sort::Moment if matches!(rule, Rule::Moment(Some(_), ..)) => seen.integers + seen.reals != values,
        Sort::Uuid if matches!(rule, Rule::Id(_)) => false,
        _ => seen.texts != values,
    }
}
