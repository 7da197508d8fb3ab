//! How long a statement takes and how dangerous that is, from sizes, writes and measured rates.
//!
//! The rates were measured (see [`Rates::default`]) and can be set right by what earlier migrations really took. They are
//! good for the order of magnitude, and the spread says so.

use super::Engine;
use super::effect::{Effect, Lock, Sure, Work};
use super::findings::{Risk, Seconds};
use super::surroundings::Surroundings;
use targets::db::{TableName, Traffic};

/// What a machine does in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Bytes of rows that are read and looked at.
    pub scan_bytes: f64,
    /// Bytes of rows that are written anew, with their log.
    pub rewrite_bytes: f64,
    /// Rows that are looked up in another table.
    pub matched_rows: f64,
    /// Rows that are sorted into an index.
    pub index_rows: f64,
    /// Rows that are changed one by one, with their indexes and log.
    pub changed_rows: f64,
    /// By which factor it may be more or less.
    pub spread: f64,
}

impl Rates {
    /// As measured on two cores with a solid-state disk while others worked there too: PostgreSQL 15, two million rows in
    /// 300 MB with two indexes, the cache warm.
    pub fn of(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self {
                scan_bytes: 500e6,
                rewrite_bytes: 70e6,
                matched_rows: 500e3,
                index_rows: 700e3,
                changed_rows: 90e3,
                spread: 3.0,
            },
            Engine::Sqlite => Self {
                scan_bytes: 400e6,
                rewrite_bytes: 120e6,
                matched_rows: 1.0e6,
                index_rows: 1.0e6,
                changed_rows: 400e3,
                spread: 3.0,
            },
        }
    }

    /// Set right by what was expected of earlier migrations here, and what they took: pairs of seconds.
    pub fn learned(self, history: &[(f64, f64)]) -> Self {
        let mut ratios: Vec<f64> = history
            .iter()
            // What is over at once says nothing of a machine.
            .filter(|(expected, took)| *expected > 0.5 && *took > 0.0)
            .map(|(expected, took)| took / expected)
            .collect();
        if ratios.is_empty() {
            return self;
        }
        ratios.sort_by(f64::total_cmp);
        let middle = ratios[ratios.len() / 2].clamp(0.02, 50.0);
        let furthest = ratios.iter().map(|ratio| (ratio / middle).max(middle / ratio)).fold(1.0, f64::max);
        Self {
            scan_bytes: self.scan_bytes / middle,
            rewrite_bytes: self.rewrite_bytes / middle,
            matched_rows: self.matched_rows / middle,
            index_rows: self.index_rows / middle,
            changed_rows: self.changed_rows / middle,
            // One case proves little; several that agree prove something.
            spread: if ratios.len() < 3 { self.spread } else { (furthest * 1.3).clamp(1.5, self.spread) },
        }
    }
}

/// What a statement means to those who use the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Impact {
    /// The strongest lock on a table that others use.
    pub lock: Option<(TableName, Lock)>,
    /// How big and busy that table is.
    pub traffic: Option<Traffic>,
    /// How long it takes.
    pub seconds: Option<Seconds>,
    /// How dangerous it is, whatever the rules find.
    pub risk: Risk,
    /// Why.
    pub reason: String,
}

/// A statement takes a moment even when it does no work.
const MOMENT: f64 = 0.005;

/// Judges a statement by what all its parts cost together. `hit`: rows that it changes, where that is known.
pub fn impact(effects: &[Effect], around: Option<&Surroundings>, rates: &Rates, hit: Option<u64>) -> Impact {
    let lock = effects
        .iter()
        .filter_map(Effect::strongest)
        .max_by(|a, b| a.1.cmp(&b.1).then(std::cmp::Ordering::Greater))
        .cloned();
    let works: Vec<&(TableName, Work, Sure)> = effects.iter().flat_map(|effect| &effect.work).collect();
    let subject = lock.as_ref().map(|(table, _)| table).or_else(|| works.first().map(|(table, ..)| table));
    let traffic = around.zip(subject).and_then(|(around, table)| around.traffic(table)).cloned();
    let seconds = around.and_then(|around| seconds(&works, around, rates, hit));
    let (risk, reason) = risk(lock.as_ref(), &works, traffic.as_ref(), seconds, around);
    Impact { lock, traffic, seconds, risk, reason }
}

fn seconds(
    works: &[&(TableName, Work, Sure)],
    around: &Surroundings,
    rates: &Rates,
    hit: Option<u64>,
) -> Option<Seconds> {
    let mut all = MOMENT;
    let mut perhaps = 0.0;
    // One `alter table` reads or writes a table once, however many parts it has.
    let mut done: Vec<(&TableName, Work)> = Vec::new();
    for (table, work, sure) in works {
        if done.iter().any(|(known, more)| *known == table && *more >= *work && *work != Work::Build) {
            continue;
        }
        done.push((table, *work));
        let traffic = around.traffic(table)?;
        let rows = traffic.rows? as f64;
        let bytes = traffic.bytes.map_or(around.bytes as f64, |bytes| bytes as f64);
        let took = match work {
            Work::Scan => bytes / rates.scan_bytes,
            Work::Match => bytes / rates.scan_bytes + rows / rates.matched_rows,
            Work::Build => bytes / rates.scan_bytes + rows / rates.index_rows,
            Work::Rewrite => {
                let indexes = traffic.index_bytes.unwrap_or(0) as f64;
                bytes / rates.rewrite_bytes + indexes / rates.rewrite_bytes
            }
            Work::Rows => hit.map_or(rows, |hit| hit as f64) / rates.changed_rows,
        };
        if *sure == Sure::Certain || *work == Work::Rows { all += took } else { perhaps += took }
    }
    let expected = all + perhaps;
    let low = if perhaps > 0.0 { all } else { expected } / rates.spread;
    Some(Seconds { low, expected, high: expected * rates.spread })
}

fn risk(
    lock: Option<&(TableName, Lock)>,
    works: &[&(TableName, Work, Sure)],
    traffic: Option<&Traffic>,
    seconds: Option<Seconds>,
    around: Option<&Surroundings>,
) -> (Risk, String) {
    let Some((table, lock)) = lock.filter(|(_, lock)| lock.blocks_writes()) else {
        return match seconds {
            Some(seconds) if seconds.expected > 1.0 => {
                (Risk::Low, format!("nobody waits, {}", shown(seconds)))
            }
            _ => (Risk::Low, "nobody waits".to_owned()),
        };
    };
    let who = blocked(*lock).unwrap_or_default();
    let size = traffic.map_or_else(String::new, |traffic| format!(" ({})", size(traffic)));
    let busy = traffic.and_then(|traffic| traffic.writes_per_second).unwrap_or(0.0) > 50.0;
    let heavy = works.iter().map(|(_, work, sure)| (*sure == Sure::Certain, *work)).max();
    let reads = lock.blocks_reads();
    match seconds {
        Some(seconds) => {
            let wait = seconds.expected;
            let (medium, high) = if reads { (0.5, 5.0) } else { (2.0, 30.0) };
            let mut risk = match wait {
                wait if wait >= high => Risk::High,
                wait if wait >= medium || (busy && wait > 0.1) => Risk::Medium,
                _ => Risk::Low,
            };
            let mut reason = format!("{who} of {table}{size} wait for {}", shown(seconds));
            // Behind the lock that waits for an open transaction, everybody else waits.
            let old = around.and_then(|around| around.oldest.as_ref()).filter(|oldest| oldest.seconds > 5.0);
            if let Some(old) = old {
                risk = risk.max(Risk::Medium);
                reason.push_str(&format!(
                    ", once transaction {} ends, which has been open for {:.0} s",
                    old.pid, old.seconds
                ));
            }
            (risk, reason)
        }
        None => match heavy {
            Some((certain, _)) => {
                let risk = if reads && certain { Risk::High } else { Risk::Medium };
                (risk, format!("{who} of {table}{size} wait as long as its size takes"))
            }
            None => (Risk::Low, format!("{who} of {table}{size} wait for a moment")),
        },
    }
}

/// Who cannot work while this lock is held.
pub fn blocked(lock: Lock) -> Option<&'static str> {
    if lock.blocks_reads() { Some("readers and writers") } else { lock.blocks_writes().then_some("writers") }
}

/// About how long, in words.
pub fn shown(seconds: Seconds) -> String {
    let one = |seconds: f64| match seconds {
        s if s < 0.1 => "a moment".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3_600.0),
    };
    if seconds.high < 0.1 {
        return "a moment".to_owned();
    }
    format!("about {} ({} to {})", one(seconds.expected), one(seconds.low), one(seconds.high))
}

/// How big and busy, in words.
fn size(traffic: &Traffic) -> String {
    let mut parts = Vec::new();
    parts.extend(traffic.rows.map(|rows| format!("{} rows", thousands(rows))));
    parts.extend(traffic.bytes.map(bytes));
    let writes = traffic.writes_per_second.filter(|writes| *writes >= 0.1);
    parts.extend(writes.map(|writes| format!("{writes:.1} writes/s")));
    parts.join(", ")
}

/// `912 004`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut all = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            all.push('\u{a0}');
        }
        all.push(digit);
    }
    all
}

fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_learn_from_what_migrations_really_took() {
        let rates = Rates::of(Engine::Postgres);
        assert_eq!(rates.learned(&[]), rates);
        assert_eq!(rates.learned(&[(0.1, 3.0)]), rates, "what is over at once says nothing");
        let slow = rates.learned(&[(1.0, 4.0), (10.0, 41.0), (2.0, 7.9)]);
        assert!((slow.scan_bytes - rates.scan_bytes / 4.0).abs() < rates.scan_bytes * 0.01, "{slow:?}");
        assert!(slow.spread < rates.spread, "three that agree narrow it");
    }

    #[test]
    fn large_numbers_can_be_read() {
        assert_eq!(thousands(912_004), "912\u{a0}004");
        assert_eq!(thousands(7), "7");
        assert_eq!(shown(Seconds { low: 2.0, expected: 6.0, high: 18.0 }), "about 6.0 s (2.0 s to 18 s)");
    }
}
