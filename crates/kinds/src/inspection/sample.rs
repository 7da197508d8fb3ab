//! A sample: the few figures of a database that are kept, so that later ones tell how fast it grows.

use super::document::wasted_bytes;
use engine::Earlier;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use targets::db::Inspection;

/// So many tables are kept, the largest ones.
const TABLES: usize = 100;
const DAY: f64 = 86_400.0;
/// Samples nearer than this say more of the hour than of the growth.
const NEAR: f64 = 3_600.0;
/// Growth of longer ago is another growth.
const FAR: f64 = 30.0 * DAY;

/// What is kept of one look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Bytes of the database.
    pub bytes: u64,
    /// Bytes of each of the largest tables, with indexes.
    #[serde(default)]
    pub tables: BTreeMap<String, u64>,
    /// Bytes that hold nothing, as far as the counters tell: free pages of a file, dead rows and unused bytes of tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasted: Option<u64>,
    /// Transaction ids given so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<u64>,
    /// Last values of sequences that have come some way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, i64>,
    /// Bytes of the disk that are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used: Option<u64>,
    /// Sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Findings by code and object, to compare; none where nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<(String, String)>>,
}

impl Sample {
    /// The sample of an inspection.
    pub fn of(all: &Inspection) -> Self {
        let mut sizes: Vec<(String, u64)> = all
            .tables
            .known()
            .into_iter()
            .flatten()
            .filter_map(|table| Some((table.name.to_string(), table.total_bytes()?)))
            .collect();
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        sizes.truncate(TABLES);
        let sequences = all.sequences.known().into_iter().flatten();
        Self {
            bytes: all.server.bytes,
            tables: sizes.into_iter().collect(),
            wasted: wasted(all),
            ids: all.horizon.known().map(|horizon| horizon.given),
            sequences: sequences
                .filter(|sequence| sequence.last > sequence.most / 20)
                .map(|sequence| (sequence.name.to_string(), sequence.last))
                .collect(),
            disk_used: all.disk.known().map(|disk| disk.used_bytes),
            connections: all.connections.known().map(|connections| connections.all),
            findings: None,
        }
    }
}

fn wasted(all: &Inspection) -> Option<u64> {
    let free = all.file.known().map(|file| file.free_pages * file.page_size);
    let tables = all.tables.known()?;
    Some(free.unwrap_or(0) + tables.iter().filter_map(wasted_bytes).sum::<u64>())
}

/// How fast a database grows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trend {
    /// Over how many days.
    pub days: f64,
    /// Bytes a day.
    pub bytes_per_day: Option<f64>,
    /// Transaction ids a day.
    pub ids_per_day: Option<f64>,
    /// Values of sequences a day.
    pub values_per_day: BTreeMap<String, f64>,
    /// Bytes of tables a day, those that grew most first.
    pub tables_per_day: Vec<(String, f64)>,
    /// Sizes so far, oldest first, for a chart.
    pub sizes: Vec<(Timestamp, u64)>,
}

impl Trend {
    /// From the samples so far, newest first, and the one of this moment.
    pub fn of(earlier: &[Earlier], now: Timestamp, sample: &Sample) -> Self {
        let read = |one: &Earlier| Some((one.at, serde_json::from_value::<Sample>(one.result.clone()).ok()?));
        let all: Vec<(Timestamp, Sample)> = earlier.iter().filter_map(read).collect();
        let ago = |at: Timestamp| (now.as_millisecond() - at.as_millisecond()) as f64 / 1000.0;
        let mut sizes: Vec<(Timestamp, u64)> = all.iter().rev().map(|(at, one)| (*at, one.bytes)).collect();
        sizes.push((now, sample.bytes));
        let mut trend = Self { sizes, ..Self::default() };
        let base = all.iter().rev().find(|(at, _)| (NEAR..=FAR).contains(&ago(*at)));
        let Some((at, then)) = base else { return trend };
        let days = ago(*at) / DAY;
        let rate = |now: f64, then: f64| (now - then) / days;
        trend.days = days;
        trend.bytes_per_day = Some(rate(sample.bytes as f64, then.bytes as f64));
        trend.ids_per_day = sample
            .ids
            .zip(then.ids)
            // A smaller number is another cluster.
            .filter(|(now, then)| now >= then)
            .map(|(now, then)| rate(now as f64, then as f64));
        for (name, last) in &sample.sequences {
            if let Some(before) = then.sequences.get(name).filter(|before| *before <= last) {
                trend.values_per_day.insert(name.clone(), rate(*last as f64, *before as f64));
            }
        }
        for (name, size) in &sample.tables {
            if let Some(before) = then.tables.get(name) {
                trend.tables_per_day.push((name.clone(), rate(*size as f64, *before as f64)));
            }
        }
        trend.tables_per_day.retain(|(_, rate)| rate.abs() >= 1.0);
        trend.tables_per_day.sort_by(|a, b| b.1.total_cmp(&a.1));
        trend.tables_per_day.truncate(10);
        trend
    }
}
