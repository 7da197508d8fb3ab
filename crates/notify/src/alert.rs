//! What is wrong at the moment, or no longer: pure judgements over figures. Telling it once is for the outbox.

use crate::message::Level;
use crate::settings::AlertsSection;
use crate::words::lasting;
use engine::words::{count, of};
use engine::{ErrorRate, OperationReport, Report};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// How much it matters.
    pub level: Level,
    /// One line.
    pub title: String,
    /// What to do, and what is known.
    pub text: String,
    /// The operation it is about.
    pub operation: Option<String>,
    /// The schedule it is about.
    pub schedule: Option<String>,
    /// Figures.
    pub metrics: Map<String, Json>,
}

impl Alert {
    /// An alert.
    pub fn new(level: Level, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            level,
            title: title.into(),
            text: text.into(),
            operation: None,
            schedule: None,
            metrics: Map::new(),
        }
    }

    /// About this operation.
    pub fn about(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// With this figure.
    pub fn with(mut self, name: &str, figure: Json) -> Self {
        self.metrics.insert(name.to_owned(), figure);
        self
    }
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// What it is, such as `disk/main`.
    pub id: String,
    /// What is wrong with it; none when all is well.
    pub alert: Option<Alert>,
    /// What is told when it was wrong and is well again.
    pub over: Option<String>,
}

impl Watched {
    /// Something that was looked at.
    pub fn new(id: impl Into<String>, alert: Option<Alert>) -> Self {
        Self { id: id.into(), alert, over: None }
    }

    /// With a word for when it is well again.
    pub fn told_over(mut self, title: impl Into<String>) -> Self {
        self.over = Some(title.into());
        self
    }
}

/// Something that is wrong, as documents have it.
pub fn shown(alarm: &engine::Alarm) -> Json {
    let level =
        [Level::Info, Level::Warning, Level::Critical].into_iter().find(|known| *known as i64 == alarm.level);
    json!({
        "id": alarm.id,
        "level": level.unwrap_or(Level::Critical),
        "title": alarm.title,
        "since": alarm.since,
        "told": alarm.told,
    })
}

/// A figure with two decimals.
pub fn number(value: f64) -> Json {
    json!((value * 100.0).round() / 100.0)
}

/// Disk and indexes, from the figures of a look at a database (S2-070, S2-071; X-19 says how they are made). What is not known is
/// not judged.
pub fn databases_figures(database: &str, figures: &Json, alerts: &AlertsSection) -> Vec<Watched> {
    let figure = |name: &str| figures.get(name).and_then(Json::as_f64);
    let mut all = Vec::new();
    if let Some(used) = figure("disk_used_percent") {
        let most = alerts.disk_percent;
        // Half of what was meant to stay free is gone too.
        let level = if used > (100.0 + most) / 2.0 { Level::Critical } else { Level::Warning };
        let free =
            figure("disk_free_bytes").map(|free| format!(", {} free", engine::words::bytes(free as u64)));
        let alert = (used > most).then(|| {
            Alert::new(
                level,
                format!("the disk of {database} is {used} % full"),
                format!(
                    "more than {most} % are used{}\n`sexton bloat` tells what wastes space, `sexton stats` what is large",
                    free.unwrap_or_default()
                ),
            )
            .with("disk_used_percent", number(used))
        });
        let over = format!("the disk of {database} is no more than {most} % full");
        all.push(Watched::new(format!("disk/{database}"), alert).told_over(over));
    }
    if let Some(share) = figure("index_efficiency_percent") {
        let least = alerts.index_efficiency_percent;
        let alert = (share < least).then(|| {
            Alert::new(
                Level::Warning,
                format!("{database}: only {share} % of the reads of large tables go through an index"),
                format!("less than {least} %; `sexton doctor` names tables that are read as a whole, and indexes that are missing"),
            )
            .with("index_efficiency_percent", number(share))
        });
        let over = format!("{database}: {least} % of the reads of large tables go through an index again");
        all.push(Watched::new(format!("index/{database}"), alert).told_over(over));
    }
    all
}

/// A database that cannot be looked at.
pub fn unreachable(database: &str, why: Option<&str>) -> Watched {
    let alert = why.map(|why| Alert::new(Level::Critical, format!("{database} cannot be looked at"), why));
    Watched::new(format!("reach/{database}"), alert).told_over(format!("{database} can be looked at again"))
}

/// A queue: how many wait, and how many are stuck, from its statistics.
pub fn queue(operation: &str, result: &Json, alerts: &AlertsSection) -> Vec<Watched> {
    let mut all = Vec::new();
    let pending = result.pointer("/depth/pending").and_then(Json::as_u64);
    if let (Some(most), Some(pending)) = (alerts.queue_backlog, pending) {
        let level = if pending > most.saturating_mul(2) { Level::Critical } else { Level::Warning };
        let oldest = result.pointer("/oldest_pending/age_minutes").and_then(Json::as_f64);
        let oldest = oldest.map(|age| format!("; the oldest waits for {}", lasting(age * 60.0)));
        let alert = (pending > most).then(|| {
            Alert::new(
                level,
                format!("{operation}: {} waiting", of(pending, "job is", "jobs are")),
                format!("more than {}{}", count(most), oldest.unwrap_or_default()),
            )
            .about(operation)
            .with("pending", json!(pending))
        });
        let over = format!("{operation}: no more than {} waiting", of(most, "job is", "jobs are"));
        all.push(Watched::new(format!("backlog/{operation}"), alert).told_over(over));
    }
    if let Some(stuck) = result.get("stale_tasks").and_then(Json::as_u64) {
        let alert = (stuck > alerts.queue_stuck).then(|| {
            Alert::new(
                Level::Warning,
                format!("{operation}: {} stuck", of(stuck, "job is", "jobs are")),
                "running, without a sign of life for longer than they may; an operation of kind `queue` with \
                 `action = \"recover\"` sends them back",
            )
            .about(operation)
            .with("stuck", json!(stuck))
        });
        let over = format!("{operation}: no job is stuck any more");
        all.push(Watched::new(format!("stuck/{operation}"), alert).told_over(over));
    }
    all
}

/// The newest backup of a database.
pub fn backup(database: &str, taken: Option<Timestamp>, now: Timestamp, most: SignedDuration) -> Watched {
    let age = taken.map(|taken| now.duration_since(taken));
    let alert = match age {
        Some(age) if age <= most => None,
        Some(age) => Some(
            Alert::new(
                Level::Critical,
                format!("the newest backup of {database} is {} old", lasting(age.as_secs_f64())),
                "`sexton backup create` takes one; `sexton schedule` tells why none was taken",
            )
            .with("age_seconds", number(age.as_secs_f64())),
        ),
        None => Some(Alert::new(
            Level::Critical,
            format!("there is no backup of {database}"),
            "`sexton backup create` takes one",
        )),
    };
    Watched::new(format!("backup/{database}"), alert)
        .told_over(format!("there is a new backup of {database}"))
}

/// How many of the runs of a week failed.
pub fn error_rate_of_week(reports: &[Report], now: Timestamp, alerts: &AlertsSection) -> Option<Watched> {
    let rate = ErrorRate::of_week(reports, now);
    let percent = rate.share()? * 100.0;
    let alert = (percent > alerts.error_rate_percent).then(|| {
        Alert::new(
            Level::Warning,
            format!(
                "{} of {} of the last week failed",
                count(rate.failed),
                of(rate.attempted, "run", "runs")
            ),
            format!(
                "that is more than {} %; `sexton report --since 7d` tells which",
                alerts.error_rate_percent
            ),
        )
        .with("error_rate_percent", number(percent))
    });
    Some(Watched::new("errors/runs", alert).told_over("fewer runs fail again"))
}

/// How many orphans a look has found; none are left where they were dealt with.
pub fn orphans(done: &OperationReport) -> u64 {
    if done.batches > 0 && !done.dry_run {
        return 0;
    }
    let result = done.result.as_ref();
    // A look at every reference of a database: what most rows fail is probably no reference.
    if let Some(all) = result.and_then(|result| result.get("references")?.as_array()) {
        let sure = all.iter().filter(|one| one.get("doubtful") != Some(&Json::Bool(true)));
        return sure.filter_map(|one| one.get("orphans")?.as_u64()).sum();
    }
    // Files by class.
    if let Some(classes) = result.and_then(|result| result.get("orphans")?.as_object()) {
        return classes.values().filter_map(Json::as_array).map(|list| list.len() as u64).sum();
    }
    done.rows_matched
}
