//! What a queue operation can be told. The doc comments are the help texts of flags, config keys and the API.

use super::claims::Claims;
use super::merge::merged;
use super::presets;
use crate::sweep::{EpochUnitSchema, Policy, Relation, Triggers, Undo};
use engine::age::Age;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::EpochUnit;

/// Options of a queue operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A queue whose tables are known. What is said beside it changes single points of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = presets::NAMES))]
    pub preset: Option<String>,
    /// What to do: `recover` (stale jobs go back to the queue), `requeue` (failed ones with attempts left are tried again
    /// later), `prune` (old ones are deleted) or `stats` (only look).
    pub action: Action,
    /// The table, with its schema if it is not on the search path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// Which columns say what.
    pub columns: Columns,
    /// The values of the state column, compared exactly.
    pub states: States,
    /// Instead of a state column: conditions in SQL, over the alias `t`. Only from the configuration or the command line,
    /// never from the API.
    pub when: When,
    /// The most attempts of a job, where no column says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_limit: Option<u64>,
    /// Where heartbeats of workers are kept in a table of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// Where running jobs have a row in a table of their own, and go back to the queue by a row in another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Where the history of jobs is kept in a table of its own: it says how old a job is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// What a number in a time column counts: `auto`, `seconds`, `milliseconds` or `microseconds` since 1970.
    #[schemars(with = "EpochUnitSchema")]
    pub epoch_unit: EpochUnit,
    /// The zone of times that have none. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// A running job without a sign of life for this long is stale; for `recover` and for the figure in `stats`.
    pub stale_after: Age,
    /// The same in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_minutes: Option<f64>,
    /// Other thresholds for single functions: `{ embed = "2 hours" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, Age>,
    /// After this many resets a stale job fails instead of going back.
    pub max_resets: u64,
    /// A stale job without attempts left fails: for queues that count an attempt when it starts.
    pub fail_exhausted: bool,
    /// Add the message about the reset to an earlier error instead of replacing it.
    pub append_error: bool,
    /// Further columns to set when a job is recovered, such as `{ locked_at = { sql = "null" }, touched_at = "now" }`. `now`
    /// stands for the moment of the run, `sql` for an expression over the alias `t`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on_recover: BTreeMap<String, Json>,
    /// The same for jobs that fail because they were reset too often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on_fail: BTreeMap<String, Json>,
    /// The same for jobs that are tried again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on_requeue: BTreeMap<String, Json>,
    /// With `requeue`: the wait before the first new try; it doubles with every attempt.
    pub backoff: Age,
    /// The longest wait.
    pub backoff_limit: Age,
    /// Spread the waits by up to this share of them, so that not all jobs come back at once: 0 to 1.
    pub jitter: f64,
    /// With `prune`: which jobs go, by state and age.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune: Vec<Rule>,
    /// With `prune`: another age, in days, for the rules about completed jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<f64>,
    /// With `stats`: a transaction that is open for longer than this is named as a reason why the queue is slow.
    pub old_snapshot: Age,
    /// With `prune`: what happens to rows that refer to the doomed ones: `restrict`, `cascade` or `set_null`.
    pub dependants: Policy,
    /// The same for single relations, and relations that the database does not declare.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// Triggers that fire on the rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
    /// What can be put back: `rows` (kept in the database) or `none`.
    pub undo: Undo,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Stale jobs go back to the queue.
    Recover,
    /// Failed jobs with attempts left are tried again later.
    Requeue,
    /// Old jobs are deleted.
    Prune,
    /// Only look.
    #[default]
    Stats,
}

/// Which columns say what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// What tells jobs apart. Default: the primary key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The function, class or kind of job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The queue, or the sort of thing the job is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// How many attempts were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<String>,
    /// How many may be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// When the job came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it was last touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// When it ended. Default: when it was last touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Before when it may not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_after: Option<String>,
    /// When its worker last said that it is alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
    /// Until when its worker may keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// The last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was put back because it was stale. Without one Sexton counts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<String>,
}

/// The values of the state column. The first of a list is the one that is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct States {
    /// Waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// Is worked on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<String>,
    /// Is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub completed: Vec<String>,
    /// Has failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Any other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<String>,
}

/// States as conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Is worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// Is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// Has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Heartbeats in a table of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// The table of workers.
    pub table: String,
    /// What tells them apart.
    pub id: String,
    /// When a worker last said that it is alive.
    pub heartbeat: String,
    /// The column of the job, or of its claim, that names its worker.
    pub job_column: String,
}

/// The history of jobs in a table of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// The table of events.
    pub table: String,
    /// The column that names the job.
    pub job_column: String,
    /// When it happened.
    pub at: String,
}

/// Jobs that go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// `completed`, `failed`, `pending`, `running`, or one value of the state column.
    pub state: String,
    /// Strictly older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Age>,
    /// The column that says how old a job is. Default: when it ended, else when it was last touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_column: Option<String>,
    /// Only jobs without attempts left.
    pub exhausted: bool,
    /// A further condition in SQL, over the alias `t`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        let age = |text: &str| Age(text.to_owned());
        Self {
            preset: None,
            action: Action::default(),
            table: String::new(),
            columns: Columns::default(),
            states: States::default(),
            when: When::default(),
            attempts_limit: None,
            workers: None,
            claims: None,
            events: None,
            epoch_unit: EpochUnit::default(),
            zone: None,
            stale_after: age("30 minutes"),
            threshold_minutes: None,
            thresholds: BTreeMap::new(),
            max_resets: 3,
            fail_exhausted: false,
            append_error: false,
            on_recover: BTreeMap::new(),
            on_fail: BTreeMap::new(),
            on_requeue: BTreeMap::new(),
            backoff: age("1 minute"),
            backoff_limit: age("1 day"),
            jitter: 0.0,
            prune: Vec::new(),
            retention_days: None,
            old_snapshot: age("5 minutes"),
            dependants: Policy::default(),
            relations: Vec::new(),
            triggers: Triggers::default(),
            undo: Undo::default(),
        }
    }
}

impl Options {
    /// Reads options, over the preset they name, and refuses what is wrong whatever the database is like.
    pub fn read(said: &Json) -> Result<Options> {
        let base = match said.get("preset").and_then(Json::as_str) {
            Some(name) => presets::preset(name)?,
            None => Json::Object(serde_json::Map::new()),
        };
        let options: Options = serde_json::from_value(merged(base, said.clone())).map_err(|error| {
            Error::usage(format!("the options of a queue cannot be read: {error}"))
                .help("`sexton help queue` shows the options and what they take")
        })?;
        options.check()?;
        Ok(options)
    }

    /// How long a running job may be without a sign of life.
    pub fn threshold(&self) -> Age {
        match self.threshold_minutes {
            Some(minutes) if minutes.fract() == 0.0 => Age(format!("{minutes:.0} minutes")),
            Some(minutes) => Age(format!("{:.0} seconds", minutes * 60.0)),
            None => self.stale_after.clone(),
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: String, help: &str| Err(Error::usage(what).help(help));
        if self.table.is_empty() {
            return refuse("a queue needs a table".to_owned(), "say `table = \"…\"`, or `preset = \"…\"`");
        }
        let ages = [&self.stale_after, &self.backoff, &self.backoff_limit, &self.old_snapshot];
        ages.into_iter().chain(self.thresholds.values()).try_for_each(|age| age.span().map(|_| ()))?;
        self.threshold().span()?;
        if !(0.0..=1.0).contains(&self.jitter) {
            return refuse(format!("`jitter = {}` is no share", self.jitter), "say 0 for none, at most 1");
        }
        if self.undo == Undo::Archive {
            return refuse("a queue has no archive".to_owned(), "say `undo = \"rows\"` or `\"none\"`");
        }
        if self.retention_days.is_some_and(|days| !days.is_finite() || days <= 0.0) {
            return refuse("`retention_days` must be more than nothing".to_owned(), "say a number of days");
        }
        if self.action == Action::Prune && self.prune.is_empty() {
            return refuse(
                format!("which jobs of `{}` go?", self.table),
                "say `prune = [{ state = \"completed\", older_than = \"7 days\" }]`",
            );
        }
        for rule in &self.prune {
            // A rule without an age would take jobs that have just ended.
            let Some(age) = &rule.older_than else {
                return refuse(
                    format!("the rule for `{}` has no age", rule.state),
                    "say `older_than = \"7 days\"`",
                );
            };
            age.span()?;
        }
        Ok(())
    }
}
