//! What is told about a conversion: rows that failed, with their keys and reasons, rows that were left, what the program
//! counted.
//!
//! Every batch tells its part; lists are bounded, counts are exact.

use super::task::Task;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use targets::db::{Row, Value};

/// As many failed rows are listed.
const LISTED: usize = 100;

/// What one batch tells.
#[derive(Debug, Default)]
pub struct Told {
    /// Keys and reasons.
    pub failures: Vec<(String, String)>,
    /// Rows that were left as they are, by reason.
    pub skipped: BTreeMap<String, i64>,
    /// What the program counted.
    pub counts: BTreeMap<String, i64>,
    /// Rows and files that were made elsewhere.
    pub made: u64,
}

impl Told {
    /// For the event of the batch; nothing when there is nothing to tell.
    pub fn detail(&self) -> Option<Json> {
        let mut detail = Map::new();
        if !self.failures.is_empty() {
            let some = self.failures.iter().take(LISTED);
            let some: Vec<Json> = some.map(|(key, why)| json!({ "row": key, "reason": why })).collect();
            detail.insert("failures".to_owned(), some.into());
            detail.insert("failed".to_owned(), self.failures.len().into());
        }
        for (name, counts) in [("skipped", &self.skipped), ("counts", &self.counts)] {
            if !counts.is_empty() {
                detail.insert(name.to_owned(), json!(counts));
            }
        }
        if self.made > 0 {
            detail.insert("made".to_owned(), self.made.into());
        }
        (!detail.is_empty()).then(|| detail.into())
    }
}

/// What all batches told, added up; none when there was nothing to tell.
pub fn sum(details: &[Json]) -> Option<Json> {
    let mut failures = Vec::new();
    let (mut failed, mut made) = (0, 0);
    let mut sums: [(&str, BTreeMap<String, i64>); 2] =
        [("skipped", BTreeMap::new()), ("counts", BTreeMap::new())];
    for detail in details {
        failed += detail["failed"].as_u64().unwrap_or(0);
        made += detail["made"].as_u64().unwrap_or(0);
        failures.extend(detail["failures"].as_array().into_iter().flatten().cloned());
        for (name, sum) in &mut sums {
            for (key, count) in detail[*name].as_object().into_iter().flatten() {
                *sum.entry(key.clone()).or_default() += count.as_i64().unwrap_or(0);
            }
        }
    }
    if details.is_empty() {
        return None;
    }
    failures.truncate(LISTED);
    let [(_, skipped), (_, counts)] = sums;
    Some(
        json!({ "made": made, "failed": failed, "failures": failures, "skipped": skipped, "counts": counts }),
    )
}

/// A row by its key, for people.
pub fn key_of(task: &Task, key: &Row) -> String {
    let value = |value: &Value| value.as_text().map_or_else(|| value.to_string(), str::to_owned);
    let each = task.key.iter().zip(key).map(|(name, own)| format!("{name} {}", value(own)));
    each.collect::<Vec<_>>().join(", ")
}
