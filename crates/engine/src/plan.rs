//! What would happen: pure data, made read-only, complete enough to run, resume and explain.
//!
//! A plan is frozen: its `now` is the one the run uses, so what it shows is what runs. Its fingerprint covers
//! what would be done, not how many rows there are today; a run from a stored plan refuses when the fingerprint
//! differs or when the rows have grown by more than a tenth.

use crate::finding::Finding;
use crate::request::{OperationRequest, Request};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use targets::db::Class;

/// The version of every document Sexton writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a request would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// Of this document.
    pub schema_version: u32,
    /// What was asked.
    pub request: Request,
    /// The one moment all ages are measured from.
    #[schemars(with = "String")]
    pub now: jiff::Timestamp,
    /// One per operation, in order.
    pub items: Vec<Item>,
    /// Of what would be done, not of how many rows there are today.
    pub fingerprint: String,
}

/// What one operation would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    /// What was asked.
    pub operation: OperationRequest,
    /// `sqlite` or `postgresql`.
    pub engine: String,
    /// In order.
    pub steps: Vec<Step>,
    /// What the guards and the kind found.
    pub findings: Vec<Finding>,
    /// What can be put back afterwards.
    pub undo: Undo,
    /// Whether each batch is one transaction.
    pub transactional: bool,
    /// From the configuration or from history; none when nobody knows yet.
    pub expected_seconds: Option<f64>,
    /// Why the operation does nothing here, such as views on SQLite.
    pub skipped: Option<String>,
    /// The kind's result, for kinds that only look (`stats`, `bloat`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Why it could not be planned; a run of it has failed before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Unplanned>,
    /// Steps, by place, that were counted as the tables are now, although an earlier operation of the same run changes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimates: Vec<usize>,
}

/// Why an operation could not be planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unplanned {
    /// What to do about it.
    #[schemars(with = "String")]
    pub class: Class,
    /// What failed, with causes.
    pub error: String,
    /// What to do next.
    pub help: Option<String>,
}

/// What can be put back afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "keep")]
pub enum Undo {
    /// Undo rows in the database.
    Rows {
        /// Until then.
        #[schemars(with = "String")]
        until: jiff::Timestamp,
        /// About how many bytes they will take, when known.
        bytes: Option<u64>,
    },
    /// An archive outside the database, from which rows can be restored.
    Archive {
        /// Where.
        store: String,
    },
    /// Nothing, because the configuration says so.
    Nothing,
    /// Nothing is changed.
    NotNeeded,
}

/// One part of an operation: usually one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Step {
    /// Stable within the operation: the target's id.
    pub id: String,
    /// What people read.
    pub label: String,
    /// What is done: `delete`, `archive_and_delete`, `archive` (mark), `restore`, `vacuum`, …
    pub action: String,
    /// The table or object it is done to.
    pub object: String,
    /// How many rows it is about.
    pub matched: u64,
    /// Whether `matched` was counted; else it is an estimate.
    pub exact: bool,
    /// How many rows the table has, as far as it was worth finding out.
    pub total: Option<u64>,
    /// Whether `total` was counted.
    pub total_exact: bool,
    /// Rows elsewhere that hang on them.
    pub dependants: Vec<Dependants>,
    /// Rows whose age cannot be read; they are left alone.
    pub unreadable: u64,
    /// Rows that were restored by an undo and are therefore exempt.
    pub exempt: u64,
    /// About how many batches.
    pub batches: u64,
    /// Which way through the table was chosen, and why.
    pub way: String,
    /// The statements that will run, with values filled in.
    pub statements: Vec<String>,
    /// The condition, cut-off and the like: what a person checks.
    pub facts: Vec<(String, String)>,
    /// What the kind needs to run this step; opaque to the engine.
    pub task: serde_json::Value,
}

impl Step {
    /// Whether it only tells what it found, also in a run.
    pub fn only_reports(&self) -> bool {
        self.action == "report"
    }
}

/// Rows that hang on the doomed ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dependants {
    /// The table that refers.
    pub table: String,
    /// Through which columns.
    pub columns: Vec<String>,
    /// `restrict`, `cascade`, `set_null` or `archive`.
    pub policy: String,
    /// How many.
    pub rows: u64,
}

impl Plan {
    /// A plan with its fingerprint.
    pub fn seal(request: Request, now: jiff::Timestamp, mut items: Vec<Item>) -> Self {
        crate::sequel::mark_estimates(&mut items);
        let mut plan =
            Self { schema_version: SCHEMA_VERSION, request, now, items, fingerprint: String::new() };
        plan.fingerprint = plan.digest();
        plan
    }

    /// Rows it is about, over all steps.
    pub fn matched(&self) -> u64 {
        self.items.iter().flat_map(|item| &item.steps).map(|step| step.matched).sum()
    }

    /// A digest of everything that decides what would be done: operations, options, statements; not the counts,
    /// nor the moment.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for item in &self.items {
            hash.update(item.operation.name.as_bytes());
            hash.update(item.operation.kind.as_bytes());
            hash.update(item.operation.database.as_bytes());
            hash.update(item.operation.options.to_string().as_bytes());
            for step in &item.steps {
                hash.update(step.id.as_bytes());
                hash.update(step.action.as_bytes());
                hash.update(step.object.as_bytes());
                // What is run as it is written somewhere must still be written so.
                if let Some(checksum) = step.task.get("checksum").and_then(serde_json::Value::as_str) {
                    hash.update(checksum.as_bytes());
                }
                for dependants in &step.dependants {
                    hash.update(format!("{}{:?}{}", dependants.table, dependants.columns, dependants.policy));
                }
            }
        }
        let digest = hash.finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Item {
    /// An operation that could not be planned.
    pub fn unplanned(operation: &OperationRequest, why: Unplanned) -> Self {
        Self { failed: Some(why), ..Self::of(operation, "") }
    }

    /// An operation that has nothing to do yet, on a database of this engine.
    pub(crate) fn of(operation: &OperationRequest, engine: &str) -> Self {
        Self {
            operation: operation.clone(),
            engine: engine.to_owned(),
            steps: Vec::new(),
            findings: Vec::new(),
            undo: Undo::NotNeeded,
            transactional: true,
            expected_seconds: operation.expected_seconds,
            skipped: None,
            result: None,
            failed: None,
            estimates: Vec::new(),
        }
    }

    /// Whether so many rows, and no more, were seen when it was planned: only so many were allowed.
    pub(crate) fn was_counted(&self, step: usize) -> bool {
        self.steps[step].exact || self.estimates.contains(&step)
    }

    /// Rows it is about, over all steps.
    pub fn matched(&self) -> u64 {
        self.steps.iter().map(|step| step.matched).sum()
    }
}
