//! The columns of a table as expressions and queries may name them, with what SQLite knows of their values.

use super::expression::{Known, Sort};
use super::members::Document;
use crate::transfer::convert::{Rule, Zone};
use crate::transfer::design::NewColumn;
use crate::transfer::profile::Profile;
use crate::transfer::source::{Affinity, SourceTable};
use crate::transfer::types;

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
