//! Every value of the source, looked at once: what is in it, and what would not fit.

use super::carry::{Carrier, Fate, Met, Span, select};
use super::choose::{meaning, profile};
use super::design::Profiles;
use super::machines::Machines;
use super::numbers::{Ids, Numbers};
use super::profile::Profile;
use super::source::{Source, SourceTable};
use super::task::Carry;
use engine::{Error, Result, Tell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use targets::db::{Facts, Row, Seen, Sql};

/// How much there is of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u64,
    /// Bytes of the values.
    pub bytes: u64,
}

/// After so many rows it is told how far a look is.
const TOLD: u64 = 1 << 15;

/// How many sessions look at once.
pub const AT_ONCE: usize = 2;

/// What was seen of all tables.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is in each column.
    pub profiles: Profiles,
    /// How much there is of each table.
    pub sizes: HashMap<String, Size>,
    /// What the references between whole numbers lead to.
    pub ids: Ids,
}

/// Looks at every table, several at once.
pub fn at_all(source: &Source, sessions: &mut [Box<dyn Facts>], tell: &Tell) -> Result<Looked> {
    let mut tables = Vec::new();
    if let Some(facts) = sessions.first_mut() {
        for table in &source.tables {
            tables.push((table, about(table.by_rowid(), table.name(), facts.as_mut())?));
        }
    }
    // the largest first, so that nobody has one left at the end while the others have nothing
    tables.sort_by_key(|(table, rows)| {
        Reverse(rows.unwrap_or(0).saturating_mul(table.table.columns.len() as u64))
    });
    let seen = each(&tables, sessions, |(table, rows), facts| at(source, table, *rows, facts, tell))?;
    let mut looked = Looked::default();
    for ((table, _), (profiles, size, numbers)) in tables.into_iter().zip(seen) {
        looked.profiles.insert(table.name().to_owned(), profiles);
        looked.sizes.insert(table.name().to_owned(), size);
        looked.ids.add(table, numbers);
    }
    Ok(looked)
}

/// Asks about each item, on all sessions at once, which see the same moment; the answers come in the order of the items.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    sessions: &mut [Box<dyn Facts>],
    ask: impl Fn(&I, &mut dyn Facts) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let looks: Vec<_> = sessions
            .iter_mut()
            .map(|facts| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(n) else { return Ok(()) };
                        let answer = ask(item, facts.as_mut())
                            // nobody waits for the other answers
                            .inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
                        answers.lock().map_err(cut_short)?.push((n, answer));
                    }
                })
            })
            .collect();
        looks.into_iter().try_for_each(|look| look.join().map_err(cut_short)?)
    })?;
    let mut answers = answers.into_inner().map_err(cut_short)?;
    answers.sort_by_key(|(n, _)| *n);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

fn cut_short<E>(_: E) -> Error {
    Error::system("a look at the source was cut short")
}

/// About how many rows there are, without counting them.
fn about(rowid: Option<&str>, table: &str, facts: &mut dyn Facts) -> Result<Option<u64>> {
    let Some(rowid) = rowid else { return Ok(None) };
    let last = Sql::new("select max(").name(rowid).text(") from ").name(table);
    Ok(Some(facts.count(&last)?))
}

type OfTable = (Vec<Profile>, Size, Vec<(usize, Numbers)>);

fn at(
    source: &Source,
    table: &SourceTable,
    all: Option<u64>,
    facts: &mut dyn Facts,
    tell: &Tell,
) -> Result<OfTable> {
    let columns = &table.table.columns;
    let mut profiles: Vec<Profile> =
        columns.iter().map(|column| profile(meaning(table.declared(column)))).collect();
    let mut size = Size::default();
    let wanted = Ids::wanted(source, table).into_iter();
    let mut numbers: Vec<(usize, Numbers)> = wanted.map(|n| (n, Numbers::default())).collect();
    let names = columns.iter().map(|column| column.name.as_str());
    let sql = Sql::new("select ").names("", names).text(" from ").table(&table.table.name);
    facts
        .scan(&sql, &mut |row| {
            size.rows += 1;
            if size.rows.is_multiple_of(TOLD) {
                tell(table.name(), Some(size.rows), all);
            }
            for (profile, value) in profiles.iter_mut().zip(row) {
                profile.see(value);
                size.bytes += match value {
                    Seen::Text(text) => text.len() as u64,
                    Seen::Blob(bytes) | Seen::BrokenText(bytes) => bytes.len() as u64,
                    Seen::Null => 0,
                    _ => 8,
                };
            }
            for (n, numbers) in &mut numbers {
                numbers.see(&row[*n]);
            }
            Ok(())
        })
        .map_err(|error| error.while_doing(&format!("looking at `{}`", table.name())))?;
    tell(table.name(), None, Some(size.rows));
    Ok((profiles, size, numbers))
}

/// What would become of the rows of a table, with the policies as they are.
#[derive(Debug, Default)]
pub struct Checked {
    /// What did not fit.
    pub met: Met,
    /// So many rows would be kept aside,
    pub aside: u64,
    /// and these are the first of them, by what orders the rows.
    pub lost: Vec<Row>,
}

/// How many rows that are kept aside are remembered one by one.
pub const LOST: usize = 10_000;

/// Looks what would not fit.
pub fn check(
    carry: &Carry,
    machines: &Machines,
    rows: u64,
    facts: &mut dyn Facts,
    tell: &Tell,
) -> Result<Checked> {
    let what = format!("what would not fit of {}", carry.table);
    let mut done = 0_u64;
    let mut carrier = Carrier::new(carry, machines);
    let mut checked = Checked::default();
    facts
        .scan(&select(carry, &Span::default()), &mut |row| {
            done += 1;
            if done.is_multiple_of(TOLD) {
                tell(&what, Some(done), Some(rows));
            }
            match carrier.row(row, &mut |_| Ok(()))? {
                Fate::Carried => {}
                Fate::Aside(..) => {
                    checked.aside += 1;
                    if checked.lost.len() < LOST {
                        checked
                            .lost
                            .push(row[..carry.order.len()].iter().map(|seen| seen.to_value()).collect());
                    }
                }
                // what was met tells of it
                Fate::Stopped(..) => {}
            }
            Ok(())
        })
        .map_err(|error| error.while_doing(&format!("looking at `{}`", carry.table)))?;
    tell(&what, None, Some(rows));
    checked.met = carrier.met;
    Ok(checked)
}
