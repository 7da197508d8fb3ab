//! Rows that are equal in a key of the target, though the source takes them for different ones: it has no such key, or a value
//! becomes another one (a uuid in capitals, a time written in two ways, the text of a number).
//!
//! Two passages over the source in bounded memory: the first one marks a bit for each key, the second looks at those keys only whose
//! bit was marked before. With more than four million rows there are two for each part of the keys.

use super::canon::Mix;
use super::carry::{Carrier, Span, select};
use super::convert::{Misfit, Rule};
use super::demands;
use super::design::NewTable;
use super::machines::Machines;
use super::options::Policy;
use super::profile::{Profile, Readings};
use super::source::SourceTable;
use super::task::{Carried, Carry, Twice};
use engine::words::count;
use engine::{Finding, Result};
use std::collections::{BTreeSet, HashSet};
use targets::db::{Cell, Facts, Seen, Table};

/// How many rows that are there more than once are kept. With more of them the key says something else than the data.
const MOST: usize = 10_000;
/// How many bits there are at least and at most: eight megabytes.
const BITS: (u64, u64) = (1 << 16, 1 << 26);
/// How many there are for each row.
const EACH: u64 = 16;

/// A key of the target: its name and its columns there.
pub type Key = (String, Vec<String>);

/// The keys of a table that is made.
pub fn of_new(table: &NewTable) -> Vec<Key> {
    let keys = table.indexes.iter().filter(|index| !index.unique.is_empty());
    keys.map(|index| (index.name.clone(), index.unique.clone())).collect()
}

/// The keys of a table that is there.
pub fn of_existing(table: &Table) -> Vec<Key> {
    let primary = table.key.iter().map(|key| ("primary key".to_owned(), key.columns.clone()));
    // the others are asked of the server
    let unique = table.indexes.iter().filter(|index| index.unique && index.valid && !index.partial);
    let mut keys: Vec<Key> = primary.collect();
    for index in unique {
        let Some(columns) = index.columns.iter().cloned().collect::<Option<Vec<String>>>() else { continue };
        if !keys.iter().any(|(_, known)| *known == columns) {
            keys.push((index.name.clone(), columns));
        }
    }
    keys
}

/// Whether a key of the source keeps these columns apart, in a form in which they stay so.
pub fn are_kept_apart(from: &SourceTable, carry: &Carry, columns: &[usize], seen: &[Profile]) -> bool {
    let has = |name: &str| {
        columns.iter().any(|n| {
            let column = &carry.columns[*n];
            let place = from.table.columns.iter().position(|one| one.name == column.source);
            let declared = place.map_or("", |n| &from.table.columns[n].declared);
            let profile = place.and_then(|n| seen.get(n));
            column.source.eq_ignore_ascii_case(name) && stays_apart(declared, column, profile)
        })
    };
    let keeps = |key: &[String]| !key.is_empty() && key.iter().all(|name| has(name));
    let by_index = from.table.indexes.iter().filter(|index| index.unique && !index.partial).any(|index| {
        index.columns.iter().cloned().collect::<Option<Vec<String>>>().is_some_and(|columns| keeps(&columns))
    });
    keeps(&from.primary) || by_index
}

/// Whether different values of a column always become different ones.
fn stays_apart(declared: &str, column: &Carried, profile: Option<&Profile>) -> bool {
    let alike = |policy: &Policy| matches!(policy, Policy::Truncate | Policy::Default);
    let is_mapped = column.jq.is_some() || !column.values.is_empty() || column.empty.is_some();
    if is_mapped || column.default.is_some() || column.policies.values().any(alike) {
        return false;
    }
    let declared = declared.to_lowercase();
    match &column.rule {
        Rule::Whole(..) => {
            declared.contains("int") || profile.is_some_and(|profile| profile.values() == profile.integers)
        }
        Rule::Text(_) if column.spelled == "citext" => false,
        Rule::Text(_) => match profile {
            Some(profile) => profile.values() == profile.texts,
            None => ["char", "clob", "text"].iter().any(|word| declared.contains(word)),
        },
        // written in one way only
        Rule::Uuid => profile.is_some_and(|profile| {
            profile.values() == profile.texts
                && profile.reads_as(Readings::UUID)
                && matches!(profile.uuids, [true, false, false] | [false, true, false])
        }),
        Rule::Bytes => profile.is_some_and(|profile| profile.values() == profile.blobs),
        _ => false,
    }
}

/// The rows of a table that are equal to an earlier one in a key of the target, by the order in which they are carried.
pub fn ask(
    carry: &Carry,
    (name, columns): (&str, &[usize]),
    rows: u64,
    machines: &Machines,
    source: &mut dyn Facts,
) -> Result<(Option<Twice>, Option<Finding>)> {
    let twice = equal(rows, &mut |each| keys(carry, columns, machines, source, each))?;
    Ok(told(carry, (name, columns), &twice))
}

/// Who is told of the key of each row, as a hash, and what orders the row.
pub type Each<'e> = &'e mut dyn FnMut(u128, &dyn Fn() -> u128);

/// Of so many rows, those that are equal to an earlier one. `pass` goes through all of them, in their order.
pub fn equal(rows: u64, pass: &mut dyn FnMut(Each) -> Result<()>) -> Result<BTreeSet<u128>> {
    let wanted = rows.saturating_mul(EACH);
    let bits = wanted.max(1).next_power_of_two().clamp(BITS.0, BITS.1);
    let place = |hash: u128| {
        let bit = (hash >> 64) as u64 % bits;
        ((bit / 64) as usize, 1_u64 << (bit % 64))
    };
    let mut twice: BTreeSet<u128> = BTreeSet::new();
    // keys of which there are many are asked for part by part, each with all of the memory
    let parts = wanted.div_ceil(BITS.1).max(1);
    for part in 0..parts {
        if twice.len() > MOST {
            break;
        }
        let is_here = |hash: u128| (hash >> 96) as u64 % parts == part;
        let mut marked = vec![0_u64; (bits / 64) as usize];
        let mut again = marked.clone();
        pass(&mut |hash, _| {
            if is_here(hash) {
                let (word, bit) = place(hash);
                again[word] |= marked[word] & bit;
                marked[word] |= bit;
            }
        })?;
        drop(marked);
        if again.iter().all(|word| *word == 0) {
            continue;
        }
        let mut held: HashSet<u128> = HashSet::new();
        pass(&mut |hash, row| {
            let (word, bit) = place(hash);
            let may_be = is_here(hash) && again[word] & bit != 0;
            if may_be && twice.len() <= MOST && !held.insert(hash) {
                twice.insert(row());
            }
        })?;
    }
    Ok(twice)
}

/// What is told of rows that are equal to others.
pub fn told(
    carry: &Carry,
    (name, columns): (&str, &[usize]),
    twice: &BTreeSet<u128>,
) -> (Option<Twice>, Option<Finding>) {
    if twice.is_empty() {
        return (None, None);
    }
    if twice.len() > MOST {
        let named: Vec<&str> = columns.iter().map(|n| carry.columns[*n].source.as_str()).collect();
        let what = format!(
            "more than {} rows are equal to others in the key `{name}` of the target ({}): it is not about this data",
            count(MOST as u64),
            named.join(", ")
        );
        let help =
            "change the key in the target, or clean the source first: so many are not handled one by one";
        let place = format!("{}.{}", carry.table, named.join(", "));
        return (None, Some(Finding::forbid("dirty_duplicate", place, what, help)));
    }
    let rows = twice.iter().map(|hash| format!("{hash:032x}")).collect();
    (Some(Twice { name: name.to_owned(), columns: columns.to_vec(), rows, expressed: false }), None)
}

/// Hands the hash of the key of every row to `each`, and what orders the row; NULL is equal to nothing.
fn keys(
    carry: &Carry,
    columns: &[usize],
    machines: &Machines,
    source: &mut dyn Facts,
    each: Each,
) -> Result<()> {
    let mut carrier = Carrier::new(carry, machines);
    source.scan(&select(carry, &Span::default()), &mut |row| {
        carrier.row(row, &mut |cells| {
            if columns.iter().all(|n| cells[*n] != Cell::Null) {
                each(key(carry, columns, cells), &|| place_of(&row[..carry.order.len()]));
            }
            Ok(())
        })?;
        carrier.met = Default::default();
        Ok(())
    })?;
    Ok(())
}

/// The hash of a key as the server compares it.
fn key(carry: &Carry, columns: &[usize], cells: &[Cell]) -> u128 {
    if columns.iter().all(|n| carry.columns[*n].spelled != "citext") {
        return demands::hash(carry, columns, cells);
    }
    let mut mix = Mix::default();
    for n in columns {
        match &cells[*n] {
            Cell::Text(text) if carry.columns[*n].spelled == "citext" => {
                mix.bytes(text.to_lowercase().as_bytes());
            }
            _ => {
                let hash = demands::hash(carry, &[*n], cells);
                mix.word(hash as u64);
                mix.word((hash >> 64) as u64);
            }
        }
    }
    mix.sum()
}

/// The hash of what orders a row.
pub fn place_of(row: &[Seen]) -> u128 {
    let mut mix = Mix::default();
    for value in row {
        match value {
            Seen::Int(number) => mix.word(*number as u64),
            Seen::Real(number) => mix.word(number.to_bits()),
            Seen::Text(text) => mix.bytes(text.as_bytes()),
            Seen::Blob(bytes) | Seen::BrokenText(bytes) | Seen::Raw { bytes, .. } => mix.bytes(bytes),
            Seen::Bool(flag) => mix.word(u64::from(*flag)),
            Seen::Null => mix.word(0),
        }
    }
    mix.sum()
}

/// The first column of the key in which a row is equal to an earlier one, and what happens to it.
pub fn repeats(carry: &Carry, row: &[Seen], cells: &[Cell]) -> Option<(usize, Policy)> {
    if carry.twice.is_empty() {
        return None;
    }
    let place = format!("{:032x}", place_of(&row[..carry.order.len()]));
    let twice = carry.twice.iter().find(|twice| {
        let is_whole = || twice.columns.iter().all(|n| cells[*n] != Cell::Null);
        twice.rows.binary_search(&place).is_ok() && (twice.expressed || is_whole())
    })?;
    let n = twice.columns[0];
    let column = &carry.columns[n];
    let policy = match column.policies.get(&Misfit::Duplicate).copied().unwrap_or_default() {
        Policy::Quarantine => Policy::Quarantine,
        Policy::Null if !column.not_null && twice.columns.len() == 1 => Policy::Null,
        _ => Policy::Stop,
    };
    Some((n, policy))
}

#[cfg(test)]
mod tests {
    use super::stays_apart;
    use crate::transfer::convert::{Rule, Zone};
    use crate::transfer::plan::rowid_column;
    use crate::transfer::profile::Profile;
    use crate::transfer::task::Carried;
    use targets::db::Seen;

    #[test]
    fn uuids_in_one_way_of_writing_need_no_second_look() {
        let stay = |rule: Rule, values: &[&str]| {
            let mut profile = Profile::default();
            values.iter().for_each(|value| profile.see(&Seen::Text(value)));
            stays_apart("uuid", &Carried { rule, ..rowid_column("k") }, Some(&profile))
        };
        let (small, capital) =
            ("6f1e1c1c-0000-4000-8000-00000000000a", "6F1E1C1C-0000-4000-8000-00000000000A");
        assert!(stay(Rule::Uuid, &[small]));
        assert!(!stay(Rule::Uuid, &[small, capital]));
        assert!(!stay(Rule::Uuid, &[small, "a1"]), "another one may have become it");
        assert!(
            !stay(Rule::Moment(None, Zone::Utc, 6), &["2024-01-02 03:04"]),
            "it may be written in two ways"
        );
    }
}
