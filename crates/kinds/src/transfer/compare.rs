//! Both sides of a table, compared value by value in bounded memory, whatever the order of rows.
//!
//! Each side is read once. A row goes into one of 65 536 buckets by its key, which keep a count and a sum of hashes; only
//! buckets that differ are read again, to tell which rows differ, and in which column.

use super::canon::{Mix, found, sent};
use super::carry::{Carrier, Fate, Span, key, select, shown};
use super::convert::Rule;
use super::machines::Machines;
use super::task::Carry;
use engine::Result;
use engine::words::of;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use targets::db::{Cell, Facts, Seen, Sql, Value};

/// How many buckets.
const BUCKETS: usize = 1 << 16;
/// How many rows of buckets that differ are held at once.
const HELD: u64 = 100_000;
/// How many differences are told.
const TOLD: usize = 20;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Rows of the source that had to arrive.
    pub rows: u64,
    /// Rows of the target.
    pub there: u64,
    /// Rows that differ, or are on one side only.
    pub differing: u64,
    /// There may be more of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// The source is not any more as it was when it was copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_changed: bool,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// The sums of the hashes of all rows, in hexadecimal digits; none where they were only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<[String; 2]>,
    /// Columns whose values could not be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
}

impl Compared {
    /// Whether both sides have the same.
    pub fn is_same(&self) -> bool {
        self.differing == 0 && self.rows == self.there
    }
}

/// What the comparison of all tables came to, as the end of a sentence: no more than what was really compared.
pub fn told(all: &[&Compared]) -> String {
    let unknown: usize = all.iter().map(|one| one.not_compared.len()).sum();
    if all.is_empty() {
        String::new()
    } else if !all.iter().all(|one| one.is_same()) {
        ", the sides differ".to_owned()
    } else if all.iter().all(|one| one.sums.is_none()) {
        ", as many rows on both sides".to_owned()
    } else if unknown > 0 {
        let columns = of(unknown as u64, "column", "columns");
        format!(", both sides the same but for {columns} that could not be compared")
    } else {
        ", both sides the same".to_owned()
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The row.
    pub row: String,
    /// The column; none where the row is on one side only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What the source has; none where it has no such row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the target has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// How many rows of the source have to arrive: all but those that are kept aside.
pub fn rows_due(carry: &Carry, machines: &Machines, source: &mut dyn Facts) -> Result<u64> {
    if !carry.may_lose_rows() {
        return source.count(&Sql::new("select count(*) from ").name(&carry.table));
    }
    let mut carrier = Carrier::new(carry, machines);
    let mut due = 0;
    source.scan(&select(carry, &Span::default()), &mut |row| {
        due += u64::from(carrier.row(row, &mut |_| Ok(()))? == Fate::Carried);
        carrier.met = Default::default();
        Ok(())
    })?;
    Ok(due)
}

/// What a table came to while it was copied, against the target: none where it is another, so that both sides have to be looked
/// at to tell where.
pub fn whole(carry: &Carry, rows: u64, hash: u128, target: &mut dyn Facts) -> Result<Option<Compared>> {
    let sides = Prints::of(carry);
    let (mut there, mut sum) = (0, 0_u128);
    sides.target(target, &mut |print, _| {
        there += 1;
        sum = sum.wrapping_add(print.row);
        Ok(())
    })?;
    let sums = Some([hex(hash), hex(sum)]);
    let compared = Compared { rows, there, sums, not_compared: sides.left_out(), ..Compared::default() };
    Ok((there == rows && sum == hash).then_some(compared))
}

fn hex(sum: u128) -> String {
    format!("{sum:032x}")
}

/// Only how many rows there are, of so many that had to arrive.
pub fn counts(carry: &Carry, rows: u64, target: &mut dyn Facts) -> Result<Compared> {
    let there = target.count(&Sql::new("select count(*) from ").table(&carry.name))?;
    Ok(Compared {
        rows,
        there,
        differing: rows.abs_diff(there),
        at_least: rows != there,
        ..Compared::default()
    })
}

/// Every value of every row.
pub fn rows(
    carry: &Carry,
    machines: &Machines,
    source: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<Compared> {
    let sides = Prints { machines: Some(machines), ..Prints::of(carry) };
    let mut buckets = vec![(0_i64, 0_u128); BUCKETS];
    let mut compared = Compared { not_compared: sides.left_out(), ..Compared::default() };
    let (mut of_source, mut of_target) = (0_u128, 0_u128);
    sides.source(source, &mut |print, _| {
        compared.rows += 1;
        of_source = of_source.wrapping_add(print.row);
        let bucket = &mut buckets[print.bucket()];
        *bucket = (bucket.0 + 1, bucket.1.wrapping_add(print.row));
        Ok(())
    })?;
    sides.target(target, &mut |print, _| {
        compared.there += 1;
        of_target = of_target.wrapping_add(print.row);
        let bucket = &mut buckets[print.bucket()];
        *bucket = (bucket.0 - 1, bucket.1.wrapping_sub(print.row));
        Ok(())
    })?;
    compared.sums = Some([hex(of_source), hex(of_target)]);
    let all: Vec<usize> = (0..BUCKETS).filter(|n| buckets[*n] != (0, 0)).collect();
    drop(buckets);
    if all.is_empty() {
        return Ok(compared);
    }
    let each = compared.rows.max(compared.there) / BUCKETS as u64 + 1;
    let some: HashSet<usize> = all.iter().copied().take((HELD / each).max(1) as usize).collect();
    compared.at_least = some.len() < all.len();
    let mut held: HashMap<u64, u128> = HashMap::new();
    let within = |print: &Print| some.contains(&print.bucket());
    sides.source(source, &mut |print, _| {
        if within(print) {
            let sum = held.entry(print.key).or_default();
            *sum = sum.wrapping_add(print.row);
        }
        Ok(())
    })?;
    sides.target(target, &mut |print, _| {
        if within(print) {
            let sum = held.entry(print.key).or_default();
            *sum = sum.wrapping_sub(print.row);
        }
        Ok(())
    })?;
    held.retain(|_, sum| *sum != 0);
    compared.differing = held.len() as u64;
    let mut told: Vec<u64> = held.into_keys().collect();
    told.sort_unstable();
    told.truncate(TOLD);
    compared.differences = sides.details(source, target, &told)?;
    Ok(compared)
}

/// The hashes of a row.
struct Print {
    key: u64,
    row: u128,
}

impl Print {
    fn bucket(&self) -> usize {
        (self.key >> 48) as usize
    }
}

/// A column of a row that is told: its hash and its value.
type Shown = (u64, String);

/// The hashes of the rows of a table, on both sides.
pub struct Prints<'c> {
    carry: &'c Carry,
    /// Who runs the programs of columns, where the source is read.
    machines: Option<&'c Machines>,
    /// The columns that are compared.
    columns: Vec<usize>,
}

/// A row that is told, with its columns.
type Told = (String, Vec<Shown>);

/// What is told of a row beside its hashes: the row, and its columns.
type Tell<'a> = &'a dyn Fn() -> (String, Vec<Shown>);
/// Who is told of each row.
type Each<'a> = &'a mut dyn FnMut(&Print, Tell) -> Result<()>;

impl<'c> Prints<'c> {
    /// Of this table.
    pub fn of(carry: &'c Carry) -> Self {
        let columns = (0..carry.columns.len())
            .filter(|n| !matches!(carry.columns[*n].rule, Rule::Written(_)))
            .collect();
        Self { carry, machines: None, columns }
    }

    fn left_out(&self) -> Vec<String> {
        let columns = self.carry.columns.iter().enumerate();
        columns.filter(|(n, _)| !self.columns.contains(n)).map(|(_, column)| column.target.clone()).collect()
    }

    /// The hash of a row that is sent.
    pub fn sent(&self, cells: &[Cell]) -> u128 {
        let mut row = Mix::default();
        for n in &self.columns {
            sent(&self.carry.columns[*n].rule, &cells[*n], &mut row);
        }
        row.sum()
    }

    /// What is read of a row of the target for [`Prints::found`], over `t`.
    pub fn read(&self) -> Sql {
        let names = self.columns.iter().map(|n| self.carry.columns[*n].target.as_str());
        Sql::new("select ").names("t.", names)
    }

    /// The hash of a row that was read.
    pub fn found(&self, row: &[Value]) -> u128 {
        let mut mix = Mix::default();
        for (n, value) in self.columns.iter().zip(row) {
            found(&self.carry.columns[*n].rule, &Seen::from(value), &mut mix);
        }
        mix.sum()
    }

    fn print(&self, hash: &dyn Fn(usize, &mut Mix)) -> Print {
        let mut row = Mix::default();
        for n in &self.columns {
            hash(*n, &mut row);
        }
        let mut key = Mix::default();
        match self.carry.key.is_empty() {
            true => key = row,
            false => self.carry.key.iter().for_each(|n| hash(*n, &mut key)),
        }
        Print { key: (key.sum() >> 64) as u64, row: row.sum() }
    }

    fn source(&self, facts: &mut dyn Facts, each: Each) -> Result<()> {
        let none = Machines::default();
        let mut carrier = Carrier::new(self.carry, self.machines.unwrap_or(&none));
        facts.scan(&select(self.carry, &Span::default()), &mut |seen| {
            carrier.row(seen, &mut |cells: &[Cell]| {
                let hash = |n: usize, mix: &mut Mix| sent(&self.carry.columns[n].rule, &cells[n], mix);
                let tell = || {
                    let column = |n: &usize| {
                        let mut mix = Mix::default();
                        hash(*n, &mut mix);
                        let value = &seen[self.carry.order.len() + n];
                        ((mix.sum() >> 64) as u64, shown(value))
                    };
                    (key(self.carry, seen), self.columns.iter().map(column).collect())
                };
                each(&self.print(&hash), &tell)
            })?;
            carrier.met = Default::default();
            Ok(())
        })?;
        Ok(())
    }

    fn target(&self, facts: &mut dyn Facts, each: Each) -> Result<()> {
        let sql = self.read().text(" from ").table(&self.carry.name).text(" as t");
        let place: HashMap<usize, usize> = self.columns.iter().enumerate().map(|(at, n)| (*n, at)).collect();
        facts.scan(&sql, &mut |seen| {
            let value = |n: usize| place.get(&n).map_or(&Seen::Null, |at| &seen[*at]);
            let hash = |n: usize, mix: &mut Mix| found(&self.carry.columns[n].rule, value(n), mix);
            let tell = || {
                let column = |n: &usize| {
                    let mut mix = Mix::default();
                    hash(*n, &mut mix);
                    ((mix.sum() >> 64) as u64, readable(&self.carry.columns[*n].rule, value(*n)))
                };
                let keys: Vec<usize> = match self.carry.key.is_empty() {
                    true => self.columns.clone(),
                    false => self.carry.key.clone(),
                };
                let parts = keys.iter().map(|n| {
                    let column = &self.carry.columns[*n];
                    format!("{} {}", column.target, readable(&column.rule, value(*n)))
                });
                (parts.collect::<Vec<_>>().join(", "), self.columns.iter().map(column).collect())
            };
            each(&self.print(&hash), &tell)
        })?;
        Ok(())
    }

    fn details(
        &self,
        source: &mut dyn Facts,
        target: &mut dyn Facts,
        keys: &[u64],
    ) -> Result<Vec<Difference>> {
        let mut sides: HashMap<u64, [Option<Told>; 2]> = HashMap::new();
        let mut keep = |n: usize, print: &Print, tell: Tell| {
            if keys.contains(&print.key) {
                sides.entry(print.key).or_default()[n] = Some(tell());
            }
        };
        self.source(source, &mut |print, tell| {
            keep(0, print, tell);
            Ok(())
        })?;
        self.target(target, &mut |print, tell| {
            keep(1, print, tell);
            Ok(())
        })?;
        let mut all = Vec::new();
        for key in keys {
            match sides.remove(key) {
                Some([Some((row, here)), Some((_, there))]) => {
                    let before = all.len();
                    for (at, ((a, source), (b, target))) in here.iter().zip(&there).enumerate() {
                        if a != b {
                            all.push(Difference {
                                row: row.clone(),
                                column: Some(self.carry.columns[self.columns[at]].target.clone()),
                                source: Some(source.clone()),
                                target: Some(target.clone()),
                            });
                        }
                    }
                    if all.len() == before {
                        // the same row, more often on one side
                        all.push(Difference {
                            row,
                            column: None,
                            source: Some("not as often".to_owned()),
                            target: None,
                        });
                    }
                }
                Some([Some((row, _)), None]) => {
                    all.push(Difference {
                        row,
                        column: None,
                        source: Some("there".to_owned()),
                        target: None,
                    });
                }
                Some([None, Some((row, _))]) => {
                    all.push(Difference {
                        row,
                        column: None,
                        source: None,
                        target: Some("there".to_owned()),
                    });
                }
                _ => {}
            }
        }
        Ok(all)
    }
}

/// A value of the target, for people.
pub fn readable(rule: &Rule, seen: &Seen) -> String {
    let text = |from: usize| match seen {
        Seen::Raw { bytes, .. } => bytes.get(from..).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    let number = || match seen {
        Seen::Raw { bytes, .. } => (*bytes).try_into().map(i64::from_be_bytes).ok(),
        _ => None,
    };
    match (rule, seen) {
        (Rule::Uuid | Rule::Id(_), Seen::Raw { bytes, .. }) => {
            (*bytes).try_into().map_or_else(|_| shown(seen), |bytes| targets::db::civil::uuid(&bytes))
        }
        (Rule::Moment(..), Seen::Raw { .. }) => number().map_or_else(String::new, |micros| {
            targets::db::civil::moment(micros.saturating_add(946_684_800_000_000))
        }),
        (Rule::Json(false), Seen::Raw { .. }) => {
            text(1).map_or_else(String::new, |text| shown(&Seen::from(&Value::Text(text))))
        }
        _ => shown(seen),
    }
}
