//! The fixed part of the configuration file: what may stand in it whatever kinds there are.
//!
//! The doc comments are the help texts of the reference and of editors. Options of kinds are not here: they
//! come from the kinds' own schemas.

use super::api::ApiSection;
use super::pool::PoolSection;
use super::telemetry::TelemetrySection;
use engine::Severity;
use engine::age::Age;
use engine::backup::{Proof, Tool};
use notify::settings::{AlertsSection, ChannelSection, NotificationsSection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file, without the options of kinds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Where editors find the schema of this file (`sexton config schema`). Not used by sexton itself.
    pub schema: Option<String>,
    /// The order of `--all` and of groups: `by_phase` (checks, backups, clean-up, vacuum, reindex, analyze, views, measuring) or
    /// `as_listed`.
    pub order: Order,
    /// Refuse the first real run of an operation that had no dry run yet.
    pub first_run_dry: bool,
    /// The databases, by name.
    pub database: BTreeMap<String, DatabaseSection>,
    /// Many databases that get the same migrations and schedules, such as one for each tenant, by name.
    pub fleet: BTreeMap<String, FleetSection>,
    /// File stores (folders or buckets), by name: for archives and files.
    pub store: BTreeMap<String, StoreSection>,
    /// The operations, by name.
    pub operation: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// Named lists of operations.
    pub group: BTreeMap<String, GroupSection>,
    /// When operations and groups run by themselves, by name: in `sexton serve` and `sexton worker`.
    pub schedule: BTreeMap<String, scheduler::Definition>,
    /// Limits and manners for all operations; each operation may say otherwise.
    pub defaults: serde_json::Map<String, serde_json::Value>,
    /// Where sexton remembers its runs.
    pub state: StateSection,
    /// What can be put back, and for how long.
    pub undo: UndoSection,
    /// Backups: where, for how long, and how they are checked.
    pub backup: BackupSection,
    /// The log of the program, the copy of the run log, and for how long runs are remembered.
    pub log: LogSection,
    /// Where messages go, by name: mail, Slack, Telegram, a web address or a program.
    pub notify: BTreeMap<String, ChannelSection>,
    /// Who is told what came of runs, where the schedule says nothing about it.
    pub notifications: NotificationsSection,
    /// From when on something is an alert, and who is told.
    pub alerts: AlertsSection,
    /// The REST API of `sexton serve --listen`.
    pub api: ApiSection,
    /// Traces of runs for OpenTelemetry.
    pub telemetry: TelemetrySection,
    /// How many sessions to each server `sexton serve` keeps.
    pub pool: PoolSection,
    /// Tables of applications that get a row for each run, by any name.
    pub run_log: BTreeMap<String, RunLogSection>,
    /// Other values for some of the keys above, chosen by `--profile NAME`.
    pub profile: BTreeMap<String, serde_json::Value>,
}

/// The order of `--all` and of groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By phase: what could be needed comes first, what profits comes last.
    #[default]
    ByPhase,
    /// As the file lists them.
    AsListed,
}

/// A database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct DatabaseSection {
    /// `postgres://user@host/database`, or the path of a SQLite file (relative to this file). `${NAME}` and
    /// `${file:/path}` are replaced; in the user part the inserted text is percent-encoded.
    pub url: String,
    /// The zone of times that have none.
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
}

/// Many databases that get the same: a list, or what a query yields.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FleetSection {
    /// The databases: names of this file, paths (relative to this file) or URLs.
    pub databases: Vec<String>,
    /// Instead of a list: the database that knows the others.
    #[schemars(extend("format" = "database"))]
    pub from: Option<String>,
    /// The query that yields them; its first column is the name of each.
    pub query: Option<String>,
    /// Where each is: `{1}`, `{2}` … stand for the columns of the query. Default: `{2}`, the whole URL in the second column.
    pub url: Option<String>,
    /// How many go first, one after the other: if one of them fails, no other one is begun.
    pub canary: usize,
    /// How many are worked on at once after that.
    #[schemars(range(min = 1, max = 64))]
    pub at_once: usize,
    /// How many of those that are on one server. Default: no limit but `at_once`.
    #[schemars(range(min = 1, max = 64))]
    pub at_once_per_server: Option<usize>,
    /// How many percent of all may fail before no further one is begun.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub max_failed_percent: f64,
}

impl Default for FleetSection {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            from: None,
            query: None,
            url: None,
            canary: 1,
            at_once: 4,
            at_once_per_server: None,
            max_failed_percent: 10.0,
        }
    }
}

/// A file store: a folder, or a bucket.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// A folder, relative to this file.
    pub folder: Option<String>,
    /// A bucket: `s3://bucket/prefix`.
    pub url: Option<String>,
    /// The address of an S3-compatible server, when it is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// The access key: `${NAME}` or `file:/path`.
    pub access_key: Option<String>,
    /// The secret key: `${NAME}` or `file:/path`.
    pub secret_key: Option<String>,
}

/// A named list of operations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct GroupSection {
    /// What people read.
    pub description: Option<String>,
    /// The names of the operations.
    pub operations: Vec<String>,
    /// A `check` that looks once all of them are done, if any of them began its work.
    #[schemars(extend("format" = "check"))]
    pub verify_after: Option<String>,
    /// How many of its operations may be at work at a time, where they have nothing in common. Default: that of `[defaults]`.
    #[schemars(range(min = 1, max = 64))]
    pub max_parallel: Option<usize>,
}

/// What every operation has, besides manners and the options of its kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OperationSection {
    /// What it does: `purge`, …
    pub kind: String,
    /// The name of the database. Not needed when there is only one.
    pub database: Option<String>,
    /// What people read. Default: that of the kind.
    pub title: Option<String>,
    /// How much can go wrong; decides how a person is asked. Default: that of the kind.
    pub severity: Option<Severity>,
    /// Whether a fresh backup must be there before it begins.
    #[serde(default)]
    pub backup: bool,
    /// Operations that must have succeeded in the same run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// A `check` that looks after it, if it began its work; what that finds is part of the run.
    #[schemars(extend("format" = "check"))]
    pub verify_after: Option<String>,
    /// How long it usually takes, such as `5 min`. Default: learned from earlier runs.
    pub expected: Option<Age>,
}

/// What `[defaults]` has besides manners.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DefaultsSection {
    /// When an operation fails: `continue` with the next one (those that need it are skipped), or `stop`.
    pub on_error: OnError,
    /// How many operations of a run may be at work at a time. Those that need each other, work on the same database, or move
    /// files of the same store, go one after the other all the same.
    #[schemars(range(min = 1, max = 64))]
    pub max_parallel: usize,
}

impl Default for DefaultsSection {
    fn default() -> Self {
        Self { on_error: OnError::default(), max_parallel: 1 }
    }
}

/// What to do when an operation of a run fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Go on with those that do not need it.
    #[default]
    Continue,
    /// Run nothing more.
    Stop,
}

/// Where sexton remembers its runs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateSection {
    /// A folder, relative to this file. Default: `.sexton` beside this file.
    pub folder: Option<String>,
    /// A PostgreSQL database instead of a folder, for several workers.
    pub url: Option<String>,
}

/// What can be put back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UndoSection {
    /// How long undo rows are kept.
    pub keep: Age,
    /// The most that the undo rows of one operation may take, such as `5 GB`. Unset: no limit but the free disk.
    #[schemars(extend("format" = "size"))]
    pub max_size: Option<String>,
}

impl Default for UndoSection {
    fn default() -> Self {
        Self { keep: Age("30 days".to_owned()), max_size: None }
    }
}

/// Backups.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSection {
    /// Without backups, operations that need one are refused.
    pub enabled: bool,
    /// The file store. Default: the folder `backups` inside the state folder.
    pub store: Option<String>,
    /// For how long they are kept.
    pub keep: Age,
    /// How many of each database are kept however old they are.
    #[schemars(range(min = 1))]
    pub keep_at_least: usize,
    /// How hard they are compressed, by zstd: 0 (not at all) to 19.
    #[schemars(range(min = 0, max = 19))]
    pub compression: u8,
    /// `quick`: checked by checksums and by the database's own program; `restore`: restored into a scratch database and
    /// counted too, which verifies them.
    pub check: Proof,
    /// How old a backup may be to count for an operation that needs one.
    pub fresh: Age,
    /// PostgreSQL: `custom`, or `directory` for several tables at a time.
    pub format: Option<String>,
    /// How many tables at a time, with `directory`, and when restoring.
    #[schemars(range(min = 1))]
    pub jobs: usize,
    /// The folder of `pg_dump` and `pg_restore`. Default: those that fit the server, from the search path or the usual
    /// folders.
    pub programs: Option<String>,
    /// The folder for files in the making. Default: inside the state folder. SQLite needs as much room there as the
    /// database has.
    pub scratch: Option<String>,
    /// Encrypt to this age recipient (`age1…`). Who has only this file can make backups but not read them.
    pub recipient: Option<String>,
    /// The age identity for reading encrypted backups: `${NAME}` or `file:/path`.
    pub identity: Option<String>,
    /// How long restoring may take; a drill that takes longer finds fault.
    pub restore_within: Option<Age>,
    /// What must be true in a restored database; asked in a drill.
    pub assertions: Vec<AssertionSection>,
    /// Databases that another tool looks after: the gate then reads its state instead of taking a backup.
    pub external: Vec<ExternalSection>,
}

/// What must be true in a restored database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionSection {
    /// Of this database only. Default: of all.
    #[schemars(extend("format" = "database"))]
    pub database: Option<String>,
    /// A query whose first value is true, or a number that is not 0.
    pub sql: String,
}

/// A database that another tool looks after.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalSection {
    /// Which.
    #[schemars(extend("format" = "database"))]
    pub database: String,
    /// `pgbackrest`, `wal-g`, `barman` or `litestream`.
    pub tool: Tool,
    /// The command that tells its state, such as `pgbackrest --stanza=main info --output=json`. No shell.
    pub command: String,
    /// How old the newest base backup may be. Default: 1 day.
    #[serde(default = "a_day")]
    pub max_age: Age,
}

fn a_day() -> Age {
    Age("1 day".to_owned())
}

impl Default for BackupSection {
    fn default() -> Self {
        Self {
            enabled: true,
            store: None,
            keep: Age("30 days".to_owned()),
            keep_at_least: 3,
            compression: 1,
            check: Proof::Quick,
            fresh: Age("1 hour".to_owned()),
            format: None,
            jobs: 1,
            programs: None,
            scratch: None,
            recipient: None,
            identity: None,
            restore_within: None,
            assertions: Vec::new(),
            external: Vec::new(),
        }
    }
}

/// A table of an application that gets a row for each run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunLogSection {
    /// The name of the database. Not needed when there is only one.
    #[schemars(extend("format" = "database"))]
    pub database: Option<String>,
    /// The table.
    pub table: String,
    /// Which column gets which fact: `status`, `started_at`, `finished_at`, `duration_seconds`, `report`, `error`,
    /// `run_id`, or a fixed text as `{ text = "…" }`.
    pub columns: BTreeMap<String, engine::Field>,
}

/// The log of the program and the copy of the run log.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// What is written to stderr: `error`, `warn`, `info`, `debug` or `trace`. Default: `warn`, but for what a command tells
    /// of its own run anyway.
    pub level: Option<LogLevel>,
    /// The form of these lines: `text` or `json`.
    pub format: LogFormat,
    /// The folder for `runs.jsonl`, the copy of the run log. Default: the state folder, or `.sexton` beside this file.
    pub folder: Option<String>,
    /// For how long runs are remembered. The last run of each operation always is.
    pub keep: Age,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: None, format: LogFormat::default(), folder: None, keep: Age("365 days".to_owned()) }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// Also what looks wrong.
    #[default]
    Warn,
    /// Also what happens.
    Info,
    /// Also every step.
    Debug,
    /// Everything.
    Trace,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
