//! What a run took while it was at work: connections of the database, processor, memory and disk, each from its least to its
//! most.
//!
//! Looked at when the throttle looks, and once more at the end. The processor is that of this machine, which is the database's
//! where that is local. Reads and writes are those of the database where it tells them, else of this process. What cannot be
//! told is none, never 0.

use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use targets::db::Pulse;

/// From the least to the most that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Extent {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// What a run took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// How often it was looked.
    pub samples: u64,
    /// Connections of the database, ours too.
    pub connections: Option<Extent>,
    /// Share of this machine's processors that was at work, in per cent.
    pub cpu_percent: Option<Extent>,
    /// Memory of this process, in bytes.
    pub memory_bytes: Option<Extent>,
    /// Memory of this machine that is free for use, in bytes.
    pub memory_free_bytes: Option<Extent>,
    /// Bytes read from the disk in a second: by the database, or by this process where the database is a file.
    pub disk_read_bytes_per_second: Option<Extent>,
    /// Bytes written to the disk in a second: the log of the database, or all that this process wrote.
    pub disk_written_bytes_per_second: Option<Extent>,
}

impl Usage {
    /// With what another part of the run took.
    pub fn join(&mut self, other: &Usage) {
        let both = |a: Option<Extent>, b: Option<Extent>| match (a, b) {
            (Some(a), Some(b)) => Some(Extent { min: a.min.min(b.min), max: a.max.max(b.max) }),
            (one, other) => one.or(other),
        };
        self.samples += other.samples;
        self.connections = both(self.connections, other.connections);
        self.cpu_percent = both(self.cpu_percent, other.cpu_percent);
        self.memory_bytes = both(self.memory_bytes, other.memory_bytes);
        self.memory_free_bytes = both(self.memory_free_bytes, other.memory_free_bytes);
        self.disk_read_bytes_per_second =
            both(self.disk_read_bytes_per_second, other.disk_read_bytes_per_second);
        self.disk_written_bytes_per_second =
            both(self.disk_written_bytes_per_second, other.disk_written_bytes_per_second);
    }
}

/// Counters that only grow, at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    busy: Option<f64>,
    ticks: Option<f64>,
    read: Option<f64>,
    written: Option<f64>,
    /// Whether reads and writes are those of the database.
    by_database: bool,
}

/// Collects samples of one operation.
pub(crate) struct Gauge<'a> {
    clock: &'a dyn Clock,
    last: Option<(Instant, Counters)>,
    usage: Usage,
}

/// Rates over less than this are noise.
const SHORT: f64 = 0.05;

impl<'a> Gauge<'a> {
    pub fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, last: None, usage: Usage::default() }
    }

    /// Looks; `pulse` is what the database told a moment ago, if it was asked.
    pub fn look(&mut self, pulse: Option<&Pulse>) {
        let now = self.clock.tick();
        let io = file("/proc/self/io");
        let of_io = |name: &str| io.as_deref().and_then(|text| after(text, name));
        let told = |value: fn(&Pulse) -> Option<u64>| pulse.and_then(value).map(|value| value as f64);
        let (busy, ticks) = processor(file("/proc/stat").as_deref());
        let by_database = pulse.is_some_and(|pulse| pulse.read_bytes.is_some());
        let counters = Counters {
            busy,
            ticks,
            by_database,
            read: if by_database { told(|pulse| pulse.read_bytes) } else { of_io("read_bytes:") },
            written: if by_database { told(|pulse| pulse.written_bytes) } else { of_io("write_bytes:") },
        };
        let mut one = Usage { samples: 1, ..Usage::default() };
        one.connections = told(|pulse| pulse.connections).map(only);
        let kilobytes = |path: &str, name: &str| {
            after(file(path).as_deref()?, name).map(|kilobytes| only(kilobytes * 1024.0))
        };
        one.memory_bytes = kilobytes("/proc/self/status", "VmRSS:");
        one.memory_free_bytes = kilobytes("/proc/meminfo", "MemAvailable:");
        let before = self.last.map(|(then, before)| (now.duration_since(then).as_secs_f64(), before));
        if let Some((seconds, before)) = before.filter(|(seconds, _)| *seconds >= SHORT) {
            let grown = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| (b - a).max(0.0));
            let spent = grown(before.busy, counters.busy).zip(grown(before.ticks, counters.ticks));
            one.cpu_percent = spent
                .filter(|(_, all)| *all > 0.0)
                .map(|(busy, all)| only((busy / all * 1000.0).round() / 10.0));
            if before.by_database == counters.by_database {
                let rate = |a, b| grown(a, b).map(|bytes| only((bytes / seconds).round()));
                one.disk_read_bytes_per_second = rate(before.read, counters.read);
                one.disk_written_bytes_per_second = rate(before.written, counters.written);
            }
        }
        if before.is_none_or(|(seconds, _)| seconds >= SHORT) {
            self.last = Some((now, counters));
        }
        self.usage.join(&one);
    }

    /// What was seen, after a last look that asks the database nothing.
    pub fn end(mut self) -> Usage {
        self.look(None);
        self.usage
    }
}

fn only(value: f64) -> Extent {
    Extent { min: value, max: value }
}

fn file(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number after a name at the beginning of a line.
fn after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Ticks that the processors were at work, and all ticks.
fn processor(stat: Option<&str>) -> (Option<f64>, Option<f64>) {
    let line = stat.and_then(|text| text.lines().find_map(|line| line.strip_prefix("cpu ")));
    let ticks: Vec<f64> =
        line.into_iter().flat_map(str::split_whitespace).filter_map(|tick| tick.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user already
    let all: f64 = ticks.iter().take(8).sum();
    match ticks.len() {
        5.. => (Some(all - ticks[3] - ticks[4]), Some(all)),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_are_at_work_but_when_they_idle_or_wait() {
        // S2-069
        let stat = "cpu  10 0 20 60 5 1 4 0 0 0\ncpu0 1 2 3\n";
        assert_eq!(processor(Some(stat)), (Some(35.0), Some(100.0)));
        assert_eq!(processor(Some("intr 5")), (None, None));
        assert_eq!(after("MemTotal: 5 kB\nMemAvailable:   1234 kB", "MemAvailable:"), Some(1234.0));
    }

    #[test]
    fn extents_join_and_what_nobody_told_stays_unknown() {
        let mut all = Usage { samples: 1, connections: Some(only(3.0)), ..Usage::default() };
        all.join(&Usage { samples: 2, connections: Some(only(5.0)), ..Usage::default() });
        all.join(&Usage::default());
        assert_eq!(
            (all.samples, all.connections, all.cpu_percent),
            (3, Some(Extent { min: 3.0, max: 5.0 }), None)
        );
    }
}
