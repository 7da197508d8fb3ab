//! Indexes: unused, redundant, twice there, invalid, missing.
//!
//! The verdict over an index that looks unused is careful: never over what is unique, belongs to a constraint, tells rows
//! apart for replication or serves a reference; uses are summed over all nodes that were asked; and counters younger than a
//! month say nothing of what runs once a month.

use super::{Around, DAY, Found, MANY_ROWS, MEGABYTE, lasting};
use engine::words::{bytes, count};
use std::collections::{HashMap, HashSet};
use targets::db::{IndexFacts, Inspection, ReferenceFacts, TableFacts, TableName};

/// What runs once a month has run.
const CYCLE: f64 = 31.0 * DAY;
/// So few uses are as good as none.
const HARDLY: u64 = 50;
/// Indexes from here on cost something.
const WORTH: u64 = 8 * MEGABYTE;
/// An index that is so many times as large does not take the place of the other one.
const HEAVY: u64 = 4;

/// What the figures say of the indexes of a database.
#[derive(Default)]
pub struct Advice<'a> {
    /// Not used, and safe to take away as far as one node can tell.
    pub unused: Vec<&'a IndexFacts>,
    /// Covered by another one, which is given too.
    pub redundant: Vec<(&'a IndexFacts, &'a IndexFacts)>,
    /// The same as another one.
    pub duplicate: Vec<(&'a IndexFacts, &'a IndexFacts)>,
    /// References that no index of the referring table serves.
    pub missing: Vec<&'a ReferenceFacts>,
    /// Left half built.
    pub invalid: Vec<&'a IndexFacts>,
}

/// Sorts the indexes of a database by what is wrong with them.
pub fn advise<'a>(all: &'a Inspection, elsewhere: &HashMap<TableName, u64>) -> Advice<'a> {
    let mut advice = Advice::default();
    let Some(indexes) = all.indexes.known() else { return advice };
    let mut by_table: HashMap<&TableName, Vec<&IndexFacts>> = HashMap::new();
    for index in indexes {
        by_table.entry(&index.table).or_default().push(index);
    }
    let mut covered: HashSet<&TableName> = HashSet::new();
    for own in by_table.values() {
        for index in own {
            if let Some(other) = own.iter().find(|other| repeats(index, other)) {
                covered.insert(&index.name);
                match is_same(index, other) {
                    true => advice.duplicate.push((index, other)),
                    false => advice.redundant.push((index, other)),
                }
            }
        }
    }
    for index in indexes {
        if !index.valid && !index.building {
            advice.invalid.push(index);
        } else if is_unused(index, elsewhere, all) && !covered.contains(&index.name) {
            advice.unused.push(index);
        }
    }
    for reference in all.references.known().into_iter().flatten() {
        let own = by_table.get(&reference.table).map_or(&[][..], Vec::as_slice);
        // The key of a SQLite table without a row number of its own is an index that has no entry of its own.
        if !own.iter().any(|index| serves(index, reference)) && !is_key(all, reference) {
            advice.missing.push(reference);
        }
    }
    let size = |index: &IndexFacts| std::cmp::Reverse(index.bytes.unwrap_or(0));
    advice.unused.sort_by_key(|index| (size(index), index.name.clone()));
    advice.redundant.sort_by_key(|(index, _)| (size(index), index.name.clone()));
    advice.duplicate.sort_by_key(|(index, _)| (size(index), index.name.clone()));
    let rows = rows_of(all);
    advice.missing.sort_by_key(|reference| {
        (
            std::cmp::Reverse(rows.get(&reference.table).copied().unwrap_or(0)),
            reference.table.clone(),
            reference.name.clone(),
        )
    });
    advice
}

/// Whether an index may go at all, used or not.
pub fn may_go(index: &IndexFacts) -> bool {
    !index.unique && !index.primary && index.constraint.is_none() && !index.identity && !index.attached
}

/// The reference that only this index serves, among those of its table.
pub fn serves_alone<'a>(all: &'a Inspection, index: &IndexFacts) -> Option<&'a ReferenceFacts> {
    let others = || {
        let indexes = all.indexes.known().into_iter().flatten();
        indexes.filter(|other| other.table == index.table && other.name != index.name)
    };
    let mut references = all.references.known().into_iter().flatten();
    references.find(|reference| {
        reference.table == index.table
            && serves(index, reference)
            && !others().any(|other| serves(other, reference))
            && !is_key(all, reference)
    })
}

/// The reference that needs this index to be there, because nothing else keeps unique what it refers to.
pub fn backs<'a>(all: &'a Inspection, index: &IndexFacts) -> Option<&'a ReferenceFacts> {
    let keeps = |index: &IndexFacts, columns: &[String]| {
        index.unique
            && index.only.is_none()
            && index.columns.len() == columns.len()
            && columns.iter().all(|column| index.columns.contains(&Some(column.clone())))
    };
    let mut references = all.references.known().into_iter().flatten();
    references.find(|reference| {
        let indexes = all.indexes.known().into_iter().flatten();
        let others = indexes.filter(|other| other.table == index.table && other.name != index.name);
        reference.parent == index.table
            && !reference.parent_columns.is_empty()
            && keeps(index, &reference.parent_columns)
            && !others.into_iter().any(|other| keeps(other, &reference.parent_columns))
    })
}

fn is_unused(index: &IndexFacts, elsewhere: &HashMap<TableName, u64>, all: &Inspection) -> bool {
    let Some(scans) = index.scans.filter(|_| may_go(index) && index.valid) else { return false };
    let serves_one = all
        .references
        .known()
        .into_iter()
        .flatten()
        .any(|reference| reference.table == index.table && serves(index, reference));
    scans + elsewhere.get(&index.name).copied().unwrap_or(0) <= HARDLY && !serves_one
}

/// Whether everything that `index` does is done by `other` too.
fn repeats(index: &IndexFacts, other: &IndexFacts) -> bool {
    let comparable = index.name != other.name
        && index.method == other.method
        && index.only == other.only
        && index.only.as_deref() != Some("held")
        && index.valid
        && other.valid
        && !index.attached
        && !index.identity
        && !index.parts.is_empty();
    if !comparable || !other.parts.starts_with(&index.parts) {
        return false;
    }
    let same = index.parts.len() == other.parts.len();
    // Only a b-tree is as good for its first columns as for all of them, and not where it is much larger to read.
    let heavy =
        index.bytes.zip(other.bytes).is_some_and(|(own, others)| own >= MEGABYTE && others > HEAVY * own);
    if !same && (index.method != "btree" || heavy) {
        return false;
    }
    let carried = index.carried.iter().all(|name| {
        other.carried.contains(name) || other.columns.iter().any(|column| column.as_ref() == Some(name))
    });
    if !carried {
        return false;
    }
    // A unique index does what no other does, unless the other is unique on the same columns.
    if index.unique && !(same && other.unique) {
        return false;
    }
    if index.constraint.is_some() || index.primary {
        return false;
    }
    // Of two that are the same one stays: that of a constraint, a unique one, else the first by name.
    let rank = |index: &IndexFacts| (index.constraint.is_none(), !index.unique, index.carried.is_empty());
    !same || (rank(other), &other.name.name) < (rank(index), &index.name.name)
}

fn is_same(index: &IndexFacts, other: &IndexFacts) -> bool {
    index.parts == other.parts && index.carried == other.carried && index.unique == other.unique
}

/// Whether the rows of a reference are found by this index: its first columns are those of the reference, in any order.
fn serves(index: &IndexFacts, reference: &ReferenceFacts) -> bool {
    let wanted = reference.columns.len();
    let first: Vec<&String> = index.columns.iter().take(wanted).flatten().collect();
    let by_columns = first.len() == wanted && reference.columns.iter().all(|column| first.contains(&column));
    by_columns
        && index.valid
        && ["btree", "hash"].contains(&index.method.as_str())
        && is_whole(index, reference)
}

/// A WHERE that only leaves out NULLs leaves out nothing that refers.
fn is_whole(index: &IndexFacts, reference: &ReferenceFacts) -> bool {
    let Some(only) = &index.only else { return true };
    let plain: String = only.chars().filter(|c| !matches!(c, '(' | ')' | '"')).collect();
    reference.columns.iter().any(|column| plain.trim().eq_ignore_ascii_case(&format!("{column} is not null")))
}

/// SQLite: the reference goes out from the row number itself.
fn is_key(all: &Inspection, reference: &ReferenceFacts) -> bool {
    let Some(file) = all.file.known() else { return false };
    file.keys.iter().any(|(table, columns)| {
        *table == reference.table.name
            && columns.len() >= reference.columns.len()
            && reference.columns.iter().all(|column| columns[..reference.columns.len()].contains(column))
    })
}

fn rows_of(all: &Inspection) -> HashMap<TableName, u64> {
    let tables = all.tables.known().into_iter().flatten();
    tables.map(|table| (table.name.clone(), table.rows.unwrap_or(0))).collect()
}

pub fn judge(all: &Inspection, around: &Around, found: &mut Found) {
    let advice = advise(all, &around.elsewhere);
    let sqlite = super::is_file(all);
    let drop = |index: &IndexFacts| match sqlite {
        true => format!("drop index {}", index.name.quoted()),
        false => format!("drop index concurrently {}", index.name.quoted()),
    };
    for index in &advice.invalid {
        let left = index.name.name.contains("_ccnew") || index.name.name.contains("_ccold");
        let remedy = match left {
            true => drop(index),
            false => format!("reindex index concurrently {0}, or {1}", index.name.quoted(), drop(index)),
        };
        found.warn(
            55,
            "invalid_index",
            &index.name,
            format!(
                "of `{}` was left half built: every write keeps it up to date, no query uses it",
                index.table
            ),
            remedy,
        );
    }
    for (index, other) in &advice.duplicate {
        let size = index.bytes.unwrap_or(0);
        found.tell(
            size >= WORTH,
            44,
            "duplicate_index",
            &index.name,
            format!("of `{}` is the same as `{}`{}", index.table, other.name.name, sized(size)),
            remove(index),
        );
    }
    for (index, other) in &advice.redundant {
        let size = index.bytes.unwrap_or(0);
        found.tell(
            size >= 8 * WORTH,
            30,
            "redundant_index",
            &index.name,
            format!(
                "of `{}` is the beginning of `{}`, which finds the same rows{}",
                index.table,
                other.name.name,
                sized(size)
            ),
            remove(index),
        );
    }
    unused(all, around, &advice, found);
    missing(all, &advice, sqlite, found);
}

fn sized(size: u64) -> String {
    if size == 0 { String::new() } else { format!("; {}", bytes(size)) }
}

fn unused(all: &Inspection, around: &Around, advice: &Advice, found: &mut Found) {
    let counted = all.counters.known().and_then(|counters| counters.seconds).unwrap_or(0.0);
    let replicas = all.replication.known().map_or(0, |replication| replication.replicas.len());
    let standby = all.replication.known().is_some_and(|replication| replication.standby);
    let large: Vec<&&IndexFacts> =
        advice.unused.iter().filter(|index| index.bytes.unwrap_or(0) >= MEGABYTE).collect();
    if standby || large.is_empty() {
        return;
    }
    if counted < CYCLE {
        let total: u64 = large.iter().filter_map(|index| index.bytes).sum();
        found.note(
            4,
            "unused_index_maybe",
            "indexes",
            format!(
                "{} {} not used ({}), but use is counted for {} only, which says nothing of what runs once a month",
                engine::words::of(large.len() as u64, "large index", "large indexes"),
                engine::words::either(large.len() as u64, "was", "were"),
                bytes(total),
                lasting(counted)
            ),
            "look again after a month; `sexton inspect` lists them",
        );
        return;
    }
    for index in large {
        let elsewhere = around.elsewhere.get(&index.name).copied().unwrap_or(0);
        let scans = index.scans.unwrap_or(0) + elsewhere;
        let unseen = replicas.saturating_sub(around.asked);
        let certain = unseen == 0;
        let doubt = match unseen {
            0 => String::new(),
            n => format!("; its use on {n} replicas is not known"),
        };
        found.tell(
            certain && index.bytes.unwrap_or(0) >= 8 * WORTH,
            28,
            "unused_index",
            &index.name,
            format!(
                "of `{}` was used {} in {}{}{doubt}",
                index.table,
                if scans == 0 { "never".to_owned() } else { engine::words::of(scans, "time", "times") },
                lasting(counted),
                sized(index.bytes.unwrap_or(0)),
            ),
            match certain {
                true => remove(index),
                false => "name the replicas: `standbys = [\"…\"]` of the operation, or --standbys".to_owned(),
            },
        );
    }
}

fn missing(all: &Inspection, advice: &Advice, sqlite: bool, found: &mut Found) {
    let tables: HashMap<&TableName, &TableFacts> =
        all.tables.known().into_iter().flatten().map(|table| (&table.name, table)).collect();
    for reference in &advice.missing {
        let rows = tables.get(&reference.table).and_then(|table| table.rows).unwrap_or(0);
        // A parent whose rows never go asks nobody for its children; one whose rows are only marked as deleted neither.
        let parent = tables.get(&reference.parent);
        let parent_goes = parent.is_none_or(|parent| sqlite || parent.deleted > 0);
        // Of a part of the rows there is one: the statements of the application use it, the check of the key cannot.
        let partial = all.indexes.known().into_iter().flatten().find(|index| {
            let whole = IndexFacts { only: None, ..(*index).clone() };
            index.table == reference.table && index.only.is_some() && serves(&whole, reference)
        });
        let columns: Vec<String> =
            reference.columns.iter().map(|column| targets::db::quote(column)).collect();
        let on = format!("on {} ({})", reference.table.quoted(), columns.join(", "));
        // SQLite makes up no names.
        let named = format!("{}_{}", reference.table.name, reference.columns.join("_"));
        let remedy = match sqlite {
            true => format!("create index {} {on}", targets::db::quote(&named)),
            false => format!("create index concurrently {on}"),
        };
        let object = format!("{} ({})", reference.table, reference.columns.join(", "));
        let reads =
            if rows == 0 { "the whole table".to_owned() } else { format!("about {} rows", count(rows)) };
        let what = match partial {
            Some(index) => format!(
                "refers to `{}` with an index of a part of the rows only (`{}`): a delete there reads {reads}",
                reference.parent, index.name.name
            ),
            None => {
                format!("refers to `{}` without an index: each delete there reads {reads}", reference.parent)
            }
        };
        match rows >= MANY_ROWS && parent_goes && partial.is_none() {
            true => {
                found.warn(if rows >= 1_000_000 { 54 } else { 46 }, "missing_index", object, what, remedy)
            }
            false => found.note(10, "missing_index", object, what, remedy),
        }
    }
}

/// What takes an index away and can put it back.
fn remove(index: &IndexFacts) -> String {
    let name = index.name.to_string();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    match plain {
        true => format!("sexton index drop {name}"),
        false => format!("sexton index drop '{}'", name.replace('\'', "'\\''")),
    }
}
