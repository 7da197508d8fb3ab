//! What an inspection means: findings ordered by harm, each with figures and with what mends it.
//!
//! Pure: from what the database told, and from what it told earlier, to findings. A threshold is a figure below which the
//! advice would not be worth following; what cannot be known is not guessed at.

pub mod document;
mod file;
mod horizon;
mod indexes;
mod sample;
mod server;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;

pub use indexes::{Advice, advise, backs, may_go, serves_alone};
pub use sample::{Sample, Trend};

use engine::{Finding, Level};
use std::collections::{BTreeMap, HashMap};
use targets::db::{Inspection, TableName};

/// Ordinary tables and indexes below these are not worth advice.
const MANY_ROWS: u64 = 10_000;
const MEGABYTE: u64 = 1 << 20;
const GIGABYTE: u64 = 1 << 30;
const DAY: f64 = 86_400.0;

/// What is known beside the inspection itself.
#[derive(Default)]
pub struct Around {
    /// Uses of indexes on standbys, by index.
    pub elsewhere: HashMap<TableName, u64>,
    /// So many standbys were asked.
    pub asked: usize,
    /// What samples say of growth.
    pub trend: Trend,
    /// How long runs of each kind usually took, in seconds.
    pub usual: BTreeMap<String, f64>,
}

/// A finding with its place in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// 100 is losing data tomorrow, 0 is good to know.
    pub harm: u8,
    /// What was found.
    pub finding: Finding,
}

/// Everything that the figures say, the most harmful first.
pub fn judge(all: &Inspection, around: &Around) -> Vec<Judged> {
    let mut found = Found::default();
    horizon::judge(all, around, &mut found);
    server::judge(all, &mut found);
    sessions::judge(all, &mut found);
    tables::judge(all, &mut found);
    indexes::judge(all, around, &mut found);
    file::judge(all, &mut found);
    for (part, why, help) in all.missing() {
        let part = if part == "slow" { "slow statements".to_owned() } else { part.replace('_', " ") };
        found.note(1, "not_seen", part, why, help);
    }
    let mut judged = found.all;
    judged.sort_by_key(|one| std::cmp::Reverse((one.finding.level == Level::Warning, one.harm)));
    judged
}

/// Findings in the making.
#[derive(Default)]
struct Found {
    all: Vec<Judged>,
}

impl Found {
    fn warn(
        &mut self,
        harm: u8,
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.all.push(Judged { harm, finding: Finding::warning(code, object, what, remedy) });
    }

    fn note(
        &mut self,
        harm: u8,
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.all.push(Judged { harm, finding: Finding::note(code, object, what, remedy) });
    }

    /// A warning where it matters, else a note.
    fn tell(
        &mut self,
        matters: bool,
        harm: u8,
        code: &str,
        object: impl ToString,
        what: String,
        remedy: String,
    ) {
        match matters {
            true => self.warn(harm, code, object, what, remedy),
            false => self.note(harm / 3, code, object, what, remedy),
        }
    }
}

/// Whether it is a file, also where the part about the file could not be told.
fn is_file(all: &Inspection) -> bool {
    all.server.engine == "sqlite"
}

/// `3 days`, `4 hours`, `12 seconds`.
pub fn lasting(seconds: f64) -> String {
    use engine::words::of;
    let whole = seconds.max(0.0) as u64;
    match whole {
        172_800.. => of(whole / 86_400, "day", "days"),
        7_200.. => of(whole / 3_600, "hour", "hours"),
        120.. => of(whole / 60, "minute", "minutes"),
        _ => of(whole, "second", "seconds"),
    }
}

/// A share of a whole, in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { (part as f64 / whole as f64 * 100.0) as u64 }
}
