//! The canonical report (R0) with one result per operation (R2), folded from plan and events.
//!
//! Its fields are a written contract (`docs/reference/json.md`); other shapes are renderings of it.

use crate::event::{Counts, Event, StopReason, What};
use crate::finding::Finding;
use crate::finding::Level;
use crate::plan::{Item, Plan, SCHEMA_VERSION, Step, Undo};
use crate::request::{Severity, Trigger};
use crate::status::Status;
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use targets::db::Class;

/// R0: what a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// Of this document.
    pub schema_version: u32,
    /// The run.
    pub run_id: String,
    /// Runs through logs, reports, notifications and answers.
    pub correlation_id: String,
    /// The worst of its operations.
    pub status: Status,
    /// When, where, who.
    pub metadata: Metadata,
    /// One per operation, in order.
    pub operations: Vec<OperationReport>,
    /// Of all operations.
    pub warnings: Vec<String>,
    /// Of all operations.
    pub errors: Vec<ReportedError>,
    /// What the figures advise.
    pub recommendations: Vec<String>,
    /// The backup the run took or used.
    pub backup: Option<ReportedBackup>,
    /// Of all operations.
    pub totals: Counts,
}

/// When, where, who.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Metadata {
    /// When it began (the same as `started_at`).
    #[schemars(with = "String")]
    pub timestamp: Timestamp,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended; none while it runs.
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// With milliseconds.
    pub duration_seconds: f64,
    /// Whether it only looked.
    pub dry_run: bool,
    /// The database, or several with commas between.
    pub database: String,
    /// `sqlite` or `postgresql`, or both.
    pub engine: String,
    /// The one moment all ages were measured from.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// Who asked.
    pub actor: String,
    /// From where.
    pub trigger: Trigger,
}

/// R2: what one operation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OperationReport {
    /// Its name.
    pub operation: String,
    /// The kind.
    pub kind: String,
    /// What people read.
    pub title: String,
    /// The database it worked on.
    pub database: String,
    /// How much could go wrong.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// Whether it only looked.
    pub dry_run: bool,
    /// Whether each batch is one transaction.
    pub transactional: bool,
    /// Rows it was about, when planned.
    pub rows_matched: u64,
    /// Rows changed in place.
    pub rows_changed: u64,
    /// Rows deleted (in a dry run: that would be).
    pub rows_deleted: u64,
    /// Rows archived.
    pub rows_archived: u64,
    /// Rows put back.
    pub rows_restored: u64,
    /// Dependent rows deleted or changed.
    pub rows_dependent: u64,
    /// Rows left alone on purpose.
    pub rows_skipped: u64,
    /// Rows that could not be handled.
    pub rows_failed: u64,
    /// Transactions.
    pub batches: u64,
    /// Rows of the largest batch.
    pub batch_size: u64,
    /// Bytes that became free, when known.
    pub bytes_freed: Option<u64>,
    /// One per step.
    pub targets: Vec<TargetReport>,
    /// How long it took, with milliseconds.
    pub duration_seconds: f64,
    /// How long it was expected to take.
    pub expected_seconds: Option<f64>,
    /// With this, `sexton undo` puts it back.
    pub undo_id: Option<String>,
    /// The backup taken for it.
    pub backup_path: Option<String>,
    /// Batches that were tried again.
    pub retries: u64,
    /// Seconds the throttle waited.
    pub paused_seconds: f64,
    /// What the work took of the machine and the database, where anything was done.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Of the first error.
    #[schemars(with = "Option<String>")]
    pub error_class: Option<Class>,
    /// What failed.
    pub errors: Vec<String>,
    /// What was found.
    pub warnings: Vec<String>,
    /// All findings, for machines.
    pub findings: Vec<Finding>,
    /// Why it was skipped or stopped.
    pub reason: Option<String>,
    /// The result, for kinds that look or tell more than counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
}

/// What one target of an operation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetReport {
    /// Stable within the operation.
    pub id: String,
    /// What people read.
    pub label: String,
    /// What was done to it.
    pub action: String,
    /// The table.
    pub object: String,
    /// Rows it was about.
    pub rows_matched: u64,
    /// What was done.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The code of the error of an operation that found somebody else at work, and tried nothing.
pub const BUSY: &str = "busy";

/// One error with its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReportedError {
    /// What to do about it.
    #[schemars(with = "String")]
    pub class: Class,
    /// Stable, for machines.
    pub code: String,
    /// What failed.
    pub message: String,
    /// In which operation.
    pub operation: String,
    /// At which target.
    pub target: Option<String>,
}

/// A backup as the report names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReportedBackup {
    /// Where.
    pub path: String,
    /// How large.
    pub size_bytes: u64,
    /// Its checksum.
    pub sha256: String,
    /// Whether it was checked: by its checksum, and by the database's own program.
    #[serde(default)]
    pub checked: bool,
    /// Whether it was restored into a scratch database and counted there.
    pub verified: bool,
}

impl Report {
    /// Whether something of it is at work, or was when its process died.
    pub fn is_open(&self) -> bool {
        self.metadata.finished_at.is_none() && !self.status.is_over()
    }

    /// Says that its process is gone.
    pub(crate) fn interrupt(&mut self) {
        self.status = Status::Interrupted;
        for operation in &mut self.operations {
            if !operation.status.is_over() && operation.status != Status::New {
                operation.status = Status::Interrupted;
            }
        }
    }

    /// Folds plan and events into the report. The same events give the same report, at any time.
    pub fn fold(run_id: &str, plan: &Plan, events: &[Event]) -> Report {
        let operations: Vec<OperationReport> = plan
            .items
            .iter()
            .enumerate()
            .map(|(n, item)| {
                let own: Vec<&Event> = events.iter().filter(|event| event.item == Some(n)).collect();
                fold_item(run_id, n, plan, item, &own)
            })
            .collect();
        let statuses: Vec<Status> = operations.iter().map(|operation| operation.status).collect();
        let status = Status::of_run(&statuses);
        let started_at = events.first().map_or(plan.now, |event| event.at);
        let last = events.last().map_or(started_at, |event| event.at);
        // A run that was resumed is over only when it came to its end again.
        let finished_at = events
            .last()
            .filter(|event| event.item.is_none() && event.what == What::Finished)
            .map(|event| event.at);
        let mut totals = Counts::default();
        for operation in &operations {
            for target in &operation.targets {
                totals.add(&target.counts);
            }
        }
        let distinct = |names: Vec<&str>| {
            let mut seen: Vec<&str> = Vec::new();
            for name in names {
                if !seen.contains(&name) {
                    seen.push(name);
                }
            }
            seen.join(", ")
        };
        Report {
            schema_version: SCHEMA_VERSION,
            run_id: run_id.to_owned(),
            correlation_id: plan.request.correlation_id.clone(),
            status,
            metadata: Metadata {
                timestamp: started_at,
                started_at,
                finished_at,
                duration_seconds: seconds_between(started_at, last),
                dry_run: plan.request.dry_run,
                database: distinct(plan.items.iter().map(|item| item.operation.database.as_str()).collect()),
                engine: distinct(plan.items.iter().map(|item| item.engine.as_str()).collect()),
                now: plan.now,
                actor: plan.request.actor.clone(),
                trigger: plan.request.trigger,
            },
            warnings: operations.iter().flat_map(|operation| operation.warnings.clone()).collect(),
            errors: plan.items.iter().enumerate().flat_map(|(n, item)| errors_of(n, item, events)).collect(),
            recommendations: recommendations(&operations),
            backup: events.iter().rev().find_map(|event| match &event.what {
                What::BackedUp { path, bytes, sha256, checked, restored, .. } => Some(ReportedBackup {
                    path: path.clone(),
                    size_bytes: *bytes,
                    sha256: sha256.clone(),
                    checked: *checked,
                    verified: *restored,
                }),
                _ => None,
            }),
            totals,
            operations,
        }
    }
}

/// The status of one operation. Moves that the table does not know end the folding there: the log is not judged
/// by guessing.
pub fn status_of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Status {
    let mut status = Status::New;
    for event in events {
        match status.after(&event.what) {
            Ok(next) => status = next,
            Err(_) => break,
        }
    }
    status
}

fn fold_item(run: &str, n: usize, plan: &Plan, item: &Item, events: &[&Event]) -> OperationReport {
    let mut targets: Vec<TargetReport> = item
        .steps
        .iter()
        .map(|step| TargetReport {
            id: step.id.clone(),
            label: step.label.clone(),
            action: step.action.clone(),
            object: step.object.clone(),
            rows_matched: step.matched,
            counts: Counts::default(),
        })
        .collect();
    let mut report = OperationReport {
        operation: item.operation.name.clone(),
        kind: item.operation.kind.clone(),
        title: item.operation.title.clone(),
        database: item.operation.database.clone(),
        severity: item.operation.severity,
        status: status_of(events.iter().copied()),
        dry_run: plan.request.dry_run,
        transactional: item.transactional,
        rows_matched: item.matched(),
        rows_changed: 0,
        rows_deleted: 0,
        rows_archived: 0,
        rows_restored: 0,
        rows_dependent: 0,
        rows_skipped: item.steps.iter().map(|step| step.unreadable + step.exempt).sum(),
        rows_failed: 0,
        batches: 0,
        batch_size: 0,
        bytes_freed: None,
        targets: Vec::new(),
        duration_seconds: match (events.first(), events.last()) {
            (Some(first), Some(last)) => seconds_between(first.at, last.at),
            _ => 0.0,
        },
        expected_seconds: item.expected_seconds,
        undo_id: None,
        backup_path: None,
        retries: 0,
        paused_seconds: 0.0,
        usage: None,
        error_class: None,
        errors: Vec::new(),
        warnings: Vec::new(),
        findings: item.findings.clone(),
        reason: item.skipped.clone(),
        result: item.result.clone(),
    };
    let mut waited_for: Option<&String> = None;
    for event in events {
        match &event.what {
            What::Advanced { step, counts, .. } => {
                if let Some(target) = targets.get_mut(*step) {
                    target.counts.add(counts);
                }
                report.batches += 1;
                report.batch_size = report.batch_size.max(counts.rows());
            }
            What::BeganAgain { .. } => {
                targets.iter_mut().for_each(|target| target.counts = Counts::default());
                report.errors.clear();
                report.error_class = None;
            }
            // What stopped an earlier attempt is mended by the next one: a run that was completed has no errors (W-064).
            What::Started { resumed: true } | What::Planned { .. } => {
                report.errors.clear();
                report.error_class = None;
                report.reason = None;
            }
            What::Used { usage } => report.usage.get_or_insert_default().join(usage),
            What::Found { result } => report.result = Some(result.clone()),
            What::Retried { .. } => report.retries += 1,
            What::Paused { seconds, reason } => {
                report.paused_seconds += seconds;
                waited_for = Some(reason);
            }
            What::BackedUp { path, .. } => {
                report.backup_path = Some(path.clone());
                if item.operation.kind == "backup" {
                    report.result = backup_result(&event.what);
                }
            }
            What::Verified { findings } => {
                for finding in findings {
                    if !report.findings.contains(finding) {
                        report.findings.push(finding.clone());
                    }
                }
            }
            What::GaveUp { class, scope, error, .. } => {
                report.error_class.get_or_insert(*class);
                report.errors.push(format!("{scope}: {error}"));
            }
            What::Summed { result } => {
                report.bytes_freed = result.get("bytes_freed").and_then(serde_json::Value::as_u64);
                report.result = Some(result.clone());
            }
            What::Stopped { reason } => {
                let why = waited_for.filter(|_| *reason == StopReason::Throttle);
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                report.reason = Some(format!("{}{why}", reason.said()));
            }
            What::Skipped { reason } => report.reason = Some(reason.clone()),
            What::Refused { findings } => {
                for finding in findings {
                    if !report.findings.contains(finding) {
                        report.findings.push(finding.clone());
                    }
                }
                report.errors.extend(findings.iter().map(said));
                report.error_class.get_or_insert(Class::Data);
            }
            What::Failed { class, error, .. } => {
                report.error_class.get_or_insert(*class);
                report.errors.push(error.clone());
            }
            _ => {}
        }
    }
    // What a dry run would do is what its steps matched.
    if plan.request.dry_run && report.status == Status::Completed {
        for (target, step) in targets.iter_mut().zip(&item.steps) {
            target.counts = would(step);
        }
    }
    for target in &targets {
        report.rows_changed += target.counts.changed;
        report.rows_deleted += target.counts.deleted;
        report.rows_archived += target.counts.archived;
        report.rows_restored += target.counts.restored;
        report.rows_dependent += target.counts.dependants;
        report.rows_skipped += target.counts.skipped;
        report.rows_failed += target.counts.failed;
    }
    report.targets = targets;
    report.findings.extend(crate::error_rate::of_operation(&report));
    report.warnings =
        report.findings.iter().filter(|finding| finding.level == Level::Warning).map(said).collect();
    let undoable = matches!(item.undo, Undo::Rows { .. } | Undo::Archive { .. });
    if undoable && !plan.request.dry_run && report.batches > 0 {
        report.undo_id = Some(crate::undo::point_id(run, n));
    }
    report
}

/// R1c.
fn backup_result(what: &What) -> Option<serde_json::Value> {
    let What::BackedUp { path, bytes, sha256, checked, restored, format, seconds, tool_version, .. } = what
    else {
        return None;
    };
    Some(serde_json::json!({
        "path": path,
        "format": format,
        "size_bytes": bytes,
        "sha256": sha256,
        "duration_seconds": seconds,
        "checked": checked,
        "verified": restored,
        "tool_version": tool_version,
    }))
}

/// What a run of this step would count.
fn would(step: &Step) -> Counts {
    let rows = step.matched;
    let hanging = |wanted: &[&str]| -> u64 {
        let meant = step.dependants.iter().filter(|hanging| wanted.contains(&hanging.policy.as_str()));
        meant.map(|hanging| hanging.rows).sum()
    };
    let counts = match step.action.as_str() {
        "delete" | "quarantine" | "remove" | "set_aside" | "drop_index" => {
            Counts { deleted: rows, ..Counts::default() }
        }
        "archive_and_delete" => {
            Counts { deleted: rows, archived: rows + hanging(&["archive"]), ..Counts::default() }
        }
        "archive" => Counts { changed: rows, archived: rows, ..Counts::default() },
        "merge" => Counts { deleted: rows, ..Counts::default() },
        "change" | "convert" => Counts { changed: rows, ..Counts::default() },
        "restore" => Counts { restored: rows, ..Counts::default() },
        _ => Counts::default(),
    };
    const HANGING: [&str; 8] = ["cascade", "set_null", "archive", "move", "rename", "fold", "fields", "park"];
    Counts { dependants: hanging(&HANGING), ..counts }
}

fn said(finding: &Finding) -> String {
    format!("{}: {}", finding.object, finding.what)
}

fn errors_of(n: usize, item: &Item, events: &[Event]) -> Vec<ReportedError> {
    let of = |class, code: &str, message: String, target| ReportedError {
        class,
        code: code.to_owned(),
        message,
        operation: item.operation.name.clone(),
        target,
    };
    let own: Vec<&Event> = events.iter().filter(|event| event.item == Some(n)).collect();
    let begins = |what: &What| matches!(what, What::Started { resumed: true } | What::Planned { .. });
    let attempt = own.iter().rposition(|event| begins(&event.what)).unwrap_or(0);
    own[attempt..]
        .iter()
        .flat_map(|event| match &event.what {
            What::Failed { class, error, step, busy, .. } => {
                let target = step.and_then(|step| item.steps.get(step)).map(|step| step.id.clone());
                vec![of(*class, if *busy { BUSY } else { "failed" }, error.clone(), target)]
            }
            What::GaveUp { class, scope, error, .. } => {
                vec![of(*class, "scope_failed", error.clone(), Some(scope.clone()))]
            }
            What::Refused { findings } => findings
                .iter()
                .map(|finding| of(Class::Data, &finding.code, said(finding), Some(finding.object.clone())))
                .collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// What the figures advise (S2-084): the remedies of warnings, each once.
fn recommendations(operations: &[OperationReport]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for finding in operations.iter().flat_map(|operation| &operation.findings) {
        if finding.level >= Level::Note && !finding.remedy.is_empty() && !all.contains(&finding.remedy) {
            all.push(finding.remedy.clone());
        }
    }
    all
}

/// With milliseconds.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let milliseconds = (to.as_microsecond() - from.as_microsecond()).max(0) / 1000;
    milliseconds as f64 / 1000.0
}
