//! A post with a state on either database, at whatever moment, and reports to tell of.

use engine::{Engine, Manners, Note, NoteState, OperationReport, Report, SetClock, Status};
use jiff::Timestamp;
use notify::channel::Webhook;
use notify::settings::{Channel, Settings, Sort};
use notify::{Ended, Level, Post, Template};
use scheduler::{Definition, Notifications, Schedule};
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{HttpSink, Place, Workshop, story};

/// When all of it happens.
pub const NOON: &str = "2026-11-29T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// So many seconds after noon.
pub fn after(seconds: i64) -> Timestamp {
    at(NOON) + jiff::SignedDuration::from_secs(seconds)
}

/// A database with a few rows, and a state.
pub struct Stage {
    pub place: Place,
    pub workshop: Workshop,
    pub sink: HttpSink,
    pub settings: Settings,
}

/// A channel to a web server.
pub fn channel(name: &str, sink: &HttpSink) -> Channel {
    Channel {
        name: name.to_owned(),
        sort: Sort::Webhook,
        level: Level::Info,
        quiet: None,
        digest: None,
        template: Template::default(),
        patience: Duration::from_secs(10),
        carrier: Box::new(Webhook {
            url: SecretString::from(sink.url(&format!("/{name}"))),
            secret: Some(SecretString::from("hush")),
        }),
    }
}

/// The same test with the state on both databases.
pub fn both(test: impl Fn(&mut Stage)) {
    for state in [Place::sqlite(), Place::postgres()] {
        test(&mut remembering(&state));
    }
}

/// A stage with its state there.
pub fn remembering(state: &Place) -> Stage {
    let place = Place::sqlite();
    place.script("create table t (id integer primary key); insert into t values (1), (2), (3)");
    let workshop = Workshop::new(&place, kinds::catalogue()).remembering(state.database());
    let sink = HttpSink::start();
    let settings = Settings { channels: vec![channel("team", &sink)], ..Settings::default() };
    Stage { place, workshop, sink, settings }
}

impl Stage {
    /// An engine of a process that begins at this moment.
    pub fn engine(&self, now: Timestamp) -> Engine {
        self.workshop.engine_at(Arc::new(SetClock::standing(now)))
    }

    /// Does something at the post at this moment.
    pub fn post<T>(&self, now: Timestamp, work: impl FnOnce(&Post) -> T) -> T {
        work(&Post { engine: &self.engine(now), settings: &self.settings })
    }

    /// Hands in what came of a run of a schedule.
    pub fn ended(&self, now: Timestamp, report: &Report, schedule: Option<&Schedule>) {
        self.post(now, |post| post.ended(&ended(report, schedule)).unwrap());
    }

    /// Sends what is due at this moment; what the receivers got.
    pub fn deliver(&self, now: Timestamp) -> Vec<Json> {
        self.post(now, |post| post.deliver(None).unwrap());
        self.sink.take().iter().map(|call| call.json()).collect()
    }

    pub fn notes(&self, state: Option<NoteState>) -> Vec<Note> {
        self.engine(at(NOON)).outbox().unwrap().notes(state, 1_000).unwrap()
    }

    /// A report of a run that really happened, changed to what the test is about.
    pub fn report(&self, change: impl FnOnce(&mut Report)) -> Report {
        self.report_at(at(NOON), change)
    }

    /// The same at another moment.
    pub fn report_at(&self, now: Timestamp, change: impl FnOnce(&mut Report)) -> Report {
        self.place.script("insert into t select 3 where not exists (select 1 from t where id = 3)");
        let engine = self.engine(now);
        let manners = Manners { max_percent: 100.0, min_free_disk_mb: 0, ..Manners::default() };
        let mut request = story::request("purge", json!({"table": "t", "where": "t.id > 2"}), manners, true);
        request.operations[0].name = "logs".to_owned();
        let mut report = story::run(&engine, &story::plan(&engine, &request));
        report.warnings.clear();
        report.operations[0].warnings.clear();
        report.operations[0].expected_seconds = None;
        change(&mut report);
        report
    }
}

pub fn ended<'a>(report: &'a Report, schedule: Option<&'a Schedule>) -> Ended<'a> {
    Ended {
        report: Some(report),
        schedule,
        name: "logs",
        why: None,
        id: &report.run_id,
        event: notify::Event::Failure,
        by_hand: false,
        promised: &|_| true,
    }
}

/// One operation failed.
pub fn failed(report: &mut Report) {
    report.status = Status::Failed;
    report.operations[0].status = Status::Failed;
    report.operations[0].errors = vec!["the disk is gone".to_owned()];
}

/// Something is to be looked at.
pub fn warned(report: &mut Report) {
    report.warnings = vec!["t: 3 orphans".to_owned()];
    report.operations[0].warnings = report.warnings.clone();
}

/// An operation like that of a report, with these figures.
pub fn operation(stage: &Stage, change: impl FnOnce(&mut OperationReport)) -> OperationReport {
    let mut operation = stage.report(|_| {}).operations.remove(0);
    change(&mut operation);
    operation
}

/// A nightly schedule that tells what it is told to.
pub fn nightly(notifications: Option<Notifications>) -> Schedule {
    let says = Definition {
        cron: Some("0 2 * * *".to_owned()),
        run: vec!["logs".to_owned()],
        notifications,
        ..Definition::default()
    };
    Schedule::read("nightly", &says, true).unwrap()
}
