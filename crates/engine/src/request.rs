//! What is asked for. Flags, config, API and clock all build this one type.

use crate::finding::Finding;
use serde::{Deserialize, Serialize};

/// How much can go wrong; decides how a person is asked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Nothing is asked.
    Low,
    /// Yes or no.
    #[default]
    Medium,
    /// Yes or no, and an approval in schedules.
    High,
    /// The operation's name must be typed.
    Critical,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person or script at the command line.
    Cli,
    /// The REST API or the page.
    Api,
    /// The scheduler.
    Schedule,
}

/// One operation, fully resolved: defaults, operation, schedule and flags are merged already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OperationRequest {
    /// Its name in the configuration (for a one-off: the kind's name).
    pub name: String,
    /// The kind, as in the catalogue.
    pub kind: String,
    /// What people read.
    pub title: String,
    /// The name of the database it works on.
    pub database: String,
    /// How much can go wrong.
    pub severity: Severity,
    /// Whether it needs a fresh backup.
    pub backup: bool,
    /// The kind's own options, as the kind's schema has them.
    pub options: serde_json::Value,
    /// Limits and manners.
    pub manners: Manners,
    /// Names of operations that must have succeeded in the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Names of operations of the same run that it verifies: it looks only after them, and only if one of them began its work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifies: Vec<String>,
    /// How long it is expected to take, when the configuration says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<f64>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// In the order in which they run.
    pub operations: Vec<OperationRequest>,
    /// Look, but change nothing. Always wins.
    pub dry_run: bool,
    /// Who asks.
    pub actor: String,
    /// From where.
    pub trigger: Trigger,
    /// Runs through logs, reports, notifications and answers.
    pub correlation_id: String,
    /// Override findings that may be overridden.
    #[serde(default)]
    pub force: bool,
    /// Go on with the next operation when one fails (one whose `needs` failed is skipped in any case).
    #[serde(default = "yes")]
    pub go_on: bool,
    /// How many operations may be at work at a time, where they have nothing in common.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub max_parallel: usize,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks that way")]
fn is_one(number: &usize) -> bool {
    *number == 1
}

/// Limits and manners of one operation. All can be set in `[defaults]`, per operation, per schedule and by flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Manners {
    /// Rows per transaction. Unset: sized by time, beginning with 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// Seconds after which the run stops between two batches and can be resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_seconds: Option<f64>,
    /// Rows after which the run stops between two batches and can be resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    /// Refuse when more than this share of a table, in per cent, would go.
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: f64,
    /// At most this many rows a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub rows_per_second: Option<f64>,
    /// Pause after every batch, in seconds.
    #[schemars(range(min = 0))]
    pub pause: f64,
    /// Longest wait for a lock, in seconds, before the batch is tried again.
    #[schemars(range(min = 0))]
    pub lock_timeout: f64,
    /// Longest time of one statement, in seconds.
    #[schemars(range(min = 0))]
    pub statement_timeout: f64,
    /// Pause while a replica is further behind than this many seconds.
    #[schemars(range(min = 0))]
    pub max_replica_lag: f64,
    /// Pause while more sessions than this wait for locks.
    pub max_lock_waiters: u64,
    /// Pause while more sessions than this are at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_sessions: Option<u64>,
    /// Pause while the write-ahead log that waits is larger than this many MB.
    pub max_wal_mb: u64,
    /// Stop when fewer MB than this are free on the database's disk.
    pub min_free_disk_mb: u64,
    /// Warn about transactions of others that are older than this many seconds.
    #[schemars(range(min = 0))]
    pub old_transaction: f64,
    /// Give up after pausing for this many seconds at a stretch.
    #[schemars(range(min = 0))]
    pub max_pause: f64,
    /// Hours of the day in which it may run, such as `22:00-06:00`; the run stops when the window closes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "window"))]
    pub window: Option<String>,
    /// The zone of `window`.
    #[schemars(extend("format" = "zone"))]
    pub window_zone: String,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            batch_size: None,
            max_seconds: None,
            max_rows: None,
            max_percent: 20.0,
            rows_per_second: None,
            pause: 0.0,
            lock_timeout: 2.0,
            statement_timeout: 30.0,
            max_replica_lag: 5.0,
            max_lock_waiters: 10,
            max_active_sessions: None,
            max_wal_mb: 4096,
            min_free_disk_mb: 256,
            old_transaction: 300.0,
            max_pause: 600.0,
            window: None,
            window_zone: "UTC".to_owned(),
        }
    }
}

/// Which findings of a plan forbid the run.
pub fn forbidding(findings: &[Finding], force: bool) -> Vec<Finding> {
    findings
        .iter()
        .filter(|finding| finding.level == crate::finding::Level::Refuse && !(force && finding.forcible))
        .cloned()
        .collect()
}
