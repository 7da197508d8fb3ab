//! Figures for Prometheus: what runs came to, how schedules stand, how old backups are, how large databases were.
//!
//! Everything comes from what Sexton keeps anyway; to be asked for figures costs the databases nothing.

use crate::config::Config;
use crate::schedules::Schedules;
use crate::statistics::{self, Statistics};
use crate::trouble::Trouble;
use engine::{Counts, Engine, Report, Status};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use scheduler::Known;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter<f64, AtomicU64>>;

/// What the runs so far came to. The log is read once; after that only what is new in it.
#[derive(Default)]
pub struct Gathered {
    operations: BTreeMap<String, OfOperation>,
    /// Everything that began before is counted.
    upto: Option<Timestamp>,
    /// What began since, and is counted already.
    counted: BTreeMap<String, Timestamp>,
    at_work: usize,
}

/// What the runs of one operation came to.
#[derive(Default)]
struct OfOperation {
    statistics: Statistics,
    by_status: BTreeMap<String, u64>,
    counts: Counts,
    seconds: f64,
    retries: u64,
    succeeded: Option<Timestamp>,
    /// What it told of a queue when it last ran.
    tasks: BTreeMap<String, u64>,
}

impl Gathered {
    /// Reads what is new in the run log.
    pub fn go_on(&mut self, engine: &Engine) -> Result<(), Trouble> {
        let reports = engine.reports(statistics::ALL, self.upto, None)?;
        let open = reports.iter().filter(|report| report.is_open());
        self.at_work = open.clone().count();
        let oldest_open = open.map(|report| report.metadata.started_at).min();
        let newest = reports.iter().map(|report| report.metadata.started_at).max();
        // Oldest first, so that what was seen last stays.
        for report in reports.iter().rev().filter(|report| !report.is_open()) {
            if self.counted.insert(report.run_id.clone(), report.metadata.started_at).is_none() {
                self.add(report);
            }
        }
        self.upto = oldest_open.or(newest).or(self.upto);
        if let Some(upto) = self.upto {
            self.counted.retain(|_, at| *at >= upto);
        }
        Ok(())
    }

    /// What the runs of one operation came to; none where there was no run.
    pub fn statistics(&self, operation: &str) -> Option<&Statistics> {
        self.operations.get(operation).map(|own| &own.statistics)
    }

    fn add(&mut self, report: &Report) {
        let at = report.metadata.started_at;
        for done in statistics::counted(report) {
            let own = self.operations.entry(done.operation.clone()).or_default();
            own.statistics.add(at, done);
            *own.by_status.entry(done.status.name()).or_default() += 1;
            own.counts.add(&Counts {
                deleted: done.rows_deleted,
                changed: done.rows_changed,
                archived: done.rows_archived,
                restored: done.rows_restored,
                failed: done.rows_failed,
                ..Counts::default()
            });
            own.seconds += done.duration_seconds;
            own.retries += done.retries;
            if done.status == Status::Completed {
                own.succeeded = report.metadata.finished_at.max(own.succeeded);
            }
            let tasks = done.result.as_ref().and_then(|result| result["by_status"].as_object());
            if let Some(tasks) = tasks {
                let counted =
                    |(name, count): (&String, &serde_json::Value)| Some((name.clone(), count.as_u64()?));
                own.tasks = tasks.iter().filter_map(counted).collect();
            }
        }
    }
}

/// The figures as text.
pub fn text(engine: &Engine, config: &Config, gathered: &Gathered) -> Result<String, Trouble> {
    let mut page = Page(Registry::default());
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.gauges("sexton_build_info", "The version that runs", [(version, 1.0)]);
    of_runs(&mut page, gathered);
    of_schedules(&mut page, engine, config)?;
    of_databases(&mut page, engine, config);
    of_cleanup(&mut page, config, gathered);
    let mut text = String::new();
    encode(&mut text, &page.0).map_err(|error| Trouble::system("the figures", error))?;
    Ok(text)
}

/// Metrics are registered where they are first named, and keep their order.
struct Page(Registry);

impl Page {
    fn gauges(&mut self, name: &str, help: &str, all: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Gauges::default();
        self.0.register(name, help, family.clone());
        for (labels, value) in all {
            family.get_or_create(&labels).set(value);
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// The name is given without its `_total`.
    fn counters(&mut self, name: &str, help: &str, all: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Counters::default();
        self.0.register(name, help, family.clone());
        for (labels, value) in all {
            family.get_or_create(&labels).inc_by(value);
        }
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn of_runs(page: &mut Page, gathered: &Gathered) {
    let each = || gathered.operations.iter();
    let operation = |name: &str| ("operation", name.to_owned());
    page.counters(
        "sexton_runs",
        "Runs of each operation that are over, by how they ended",
        each().flat_map(|(name, own)| {
            let by_status = own.by_status.iter();
            by_status
                .map(move |(status, runs)| (vec![operation(name), ("status", status.clone())], *runs as f64))
        }),
    );
    page.counters(
        "sexton_rows",
        "Rows that were handled, by what became of them",
        each().flat_map(|(name, own)| {
            let counts = &own.counts;
            [
                ("deleted", counts.deleted),
                ("changed", counts.changed),
                ("archived", counts.archived),
                ("restored", counts.restored),
                ("failed", counts.failed),
            ]
            .map(|(action, rows)| (vec![operation(name), ("action", action.to_owned())], rows as f64))
        }),
    );
    page.counters(
        "sexton_run_seconds",
        "Seconds that runs took",
        each().map(|(name, own)| (vec![operation(name)], own.seconds)),
    );
    page.counters(
        "sexton_retries",
        "Batches that were tried again",
        each().map(|(name, own)| (vec![operation(name)], own.retries as f64)),
    );
    page.gauges(
        "sexton_last_run_timestamp_seconds",
        "When the last run of an operation began",
        each().filter_map(|(name, own)| Some((vec![operation(name)], seconds(own.statistics.last?.0)))),
    );
    page.gauges(
        "sexton_last_success_timestamp_seconds",
        "When an operation last ended well",
        each().filter_map(|(name, own)| Some((vec![operation(name)], seconds(own.succeeded?)))),
    );
    page.gauges(
        "sexton_queue_tasks",
        "Tasks of a queue by state, as its statistics last had them",
        each().flat_map(|(name, own)| {
            let tasks = own.tasks.iter();
            tasks.map(move |(state, tasks)| (vec![operation(name), ("state", state.clone())], *tasks as f64))
        }),
    );
    page.gauges(
        "sexton_figure",
        "What an operation told of itself when it last ran, or has added up to, under its own names",
        each().flat_map(|(name, own)| {
            let figures = own.statistics.figures.iter();
            figures.filter_map(move |(figure, value)| {
                Some((vec![operation(name), ("figure", figure.clone())], value.as_f64()?))
            })
        }),
    );
    page.gauge("sexton_runs_at_work", "Runs that are at work", gathered.at_work as f64);
}

fn of_schedules(page: &mut Page, engine: &Engine, config: &Config) -> Result<(), Trouble> {
    let schedules = Schedules { engine, config };
    let all = schedules.with_last()?;
    let now = engine.clock().now();
    let label = |known: &Known| vec![("schedule", known.schedule.name.clone())];
    page.gauge("sexton_workers", "Processes that serve", schedules.serving()?.len() as f64);
    let depth = engine.timetable()?.depth(now).map_err(engine::Failure::from)?;
    let states = [engine::TickState::Waiting, engine::TickState::Taken, engine::TickState::Claimed];
    page.gauges(
        "sexton_ticks",
        "Times that have come and are not over: nobody has them, a worker has them and has not begun, at work",
        states.map(|state| {
            let many = depth.iter().find(|(known, ..)| *known == state).map_or(0, |(_, many, _)| *many);
            (vec![("state", state.name().to_owned())], many as f64)
        }),
    );
    let waits = depth.iter().filter(|(state, ..)| state.is_open()).map(|(.., since)| *since).min();
    let waits = waits.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
    page.gauge(
        "sexton_ticks_oldest_seconds",
        "For how long the oldest of them waits that has not begun",
        waits,
    );
    page.gauges(
        "sexton_schedule_enabled",
        "Whether a schedule runs by itself",
        all.iter().map(|(known, _)| (label(known), f64::from(u8::from(known.schedule.says.enabled)))),
    );
    page.gauges(
        "sexton_schedule_next_timestamp_seconds",
        "When a schedule is due next",
        all.iter().filter_map(|(known, _)| Some((label(known), seconds(known.schedule.next(now)?)))),
    );
    page.gauges(
        "sexton_schedule_last_timestamp_seconds",
        "When a schedule was last due",
        all.iter().filter_map(|(known, last)| Some((label(known), seconds(last.as_ref()?.due)))),
    );
    page.gauges(
        "sexton_schedule_last_ok",
        "Whether its last time did not fail",
        all.iter().filter_map(|(known, last)| {
            let failed = last.as_ref()?.state == engine::TickState::Failed;
            Some((label(known), f64::from(u8::from(!failed))))
        }),
    );
    Ok(())
}

fn of_databases(page: &mut Page, engine: &Engine, config: &Config) {
    let mut samples = Vec::new();
    for database in &config.databases {
        if let Some(newest) = engine.samples(&database.name).into_iter().next() {
            samples.push((vec![("database", database.name.clone())], newest));
        }
    }
    let figure = |name: &'static str| {
        samples
            .iter()
            .filter_map(move |(labels, sample)| Some((labels.clone(), sample.result[name].as_f64()?)))
    };
    page.gauges("sexton_database_bytes", "Bytes of a database, when it was last looked at", figure("bytes"));
    page.gauges(
        "sexton_database_wasted_bytes",
        "Bytes of it that hold nothing: free pages of a file, dead rows and unused bytes of tables",
        figure("wasted"),
    );
    page.gauges("sexton_database_connections", "Sessions, when it was last looked at", figure("connections"));
    page.gauges("sexton_disk_used_bytes", "Bytes of its disk that were taken", figure("disk_used"));
    page.gauges(
        "sexton_database_looked_timestamp_seconds",
        "When a database was last looked at",
        samples.iter().map(|(labels, sample)| (labels.clone(), seconds(sample.at))),
    );
    // A store that does not answer must not hide everything else.
    let Ok((backups, _)) = engine.backups(None) else { return };
    let newest = |verified: bool| {
        let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for backup in backups.iter().filter(|backup| !verified || backup.is_verified()) {
            let at = newest.entry(&backup.database).or_insert(backup.taken_at);
            *at = (*at).max(backup.taken_at);
        }
        newest
            .into_iter()
            .map(|(name, at)| (vec![("database", name.to_owned())], seconds(at)))
            .collect::<Vec<_>>()
    };
    page.gauges("sexton_backup_timestamp_seconds", "When the newest backup was taken", newest(false));
    page.gauges(
        "sexton_verified_backup_timestamp_seconds",
        "When the newest backup was taken that was restored and compared since",
        newest(true),
    );
}

/// The gauges of the service whose routes are under `/api/cleanup`, by their names with `_` for `.`.
fn of_cleanup(page: &mut Page, config: &Config, gathered: &Gathered) {
    let Some(routes) = &config.api.cleanup else { return };
    let Some(own) = gathered.operations.get(&routes.cleanup) else { return };
    for figure in ["applications_cleaned", "folders_removed"] {
        let value = own.statistics.figures.get(figure).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        page.gauge(&format!("cleanup_{figure}"), "By all runs together", value);
    }
    if let Some(share) = own.statistics.share() {
        page.gauge("cleanup_success_rate", "Runs that did their work, of all", share);
    }
}
