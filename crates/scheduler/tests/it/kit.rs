//! A database with rows to purge, a state on either database, and schedules that purge.

use engine::{Clock, Engine, Failure, Manners, Request, SetClock, Severity, Stop, Tick, Trigger};
use jiff::Timestamp;
use scheduler::{Definition, Looker, Outcome, Requests, Schedule, Worker};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{Place, Workshop, story};

/// How long a worker may be silent, in tests.
pub const LEASE: Duration = Duration::from_millis(400);

/// Rows, schedules, and what came of them.
pub struct Stage {
    pub place: Place,
    pub state: Place,
    pub workshop: Workshop,
    pub plans: Plans,
}

/// Makes requests: `low` purges what is done, `grave` purges everything and asks for approval.
#[derive(Default)]
pub struct Plans {
    pub configured: Vec<Schedule>,
    pub over: Mutex<Vec<(String, String)>>,
}

impl Requests for Plans {
    fn configured(&self) -> &[Schedule] {
        &self.configured
    }

    fn request(&self, schedule: &Schedule) -> Result<Request, Failure> {
        let manners = Manners {
            max_percent: 100.0,
            min_free_disk_mb: 0,
            batch_size: Some(2),
            max_seconds: schedule.says.options.get("max_seconds").and_then(serde_json::Value::as_f64),
            ..Manners::default()
        };
        let condition = match schedule.says.run[0].as_str() {
            "low" => "done = 1",
            "grave" => "1 = 1",
            "broken" => "nosuch = 1",
            other => panic!("nobody knows `{other}`"),
        };
        let mut request = story::request("purge", json!({"table": "t", "where": condition}), manners, false);
        request.operations[0].name = schedule.says.run[0].clone();
        request.trigger = Trigger::Schedule;
        // The clocks of these tests show other days than that of the database.
        request.force = true;
        if schedule.says.run[0] == "grave" {
            request.operations[0].severity = Severity::High;
        }
        Ok(request)
    }

    fn over(&self, outcome: &Outcome<'_>) {
        let told = format!(
            "{}{}",
            outcome.state.name(),
            outcome.why.map(|why| format!(": {why}")).unwrap_or_default()
        );
        self.over.lock().unwrap().push((outcome.schedule.name.clone(), told));
    }
}

/// The same test with the state on both databases.
pub fn both(test: impl Fn(&mut Stage)) {
    for state in [Place::sqlite(), Place::postgres()] {
        let place = Place::sqlite();
        place.script(
            "create table t (id integer primary key, done integer not null);
             insert into t values (1, 1), (2, 0), (3, 1), (4, 0), (5, 1), (6, 0), (7, 1)",
        );
        let workshop = Workshop::new(&place, kinds::catalogue()).remembering(state.database());
        test(&mut Stage { place, state, workshop, plans: Plans::default() });
    }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A clock that shows this.
pub fn clock(text: &str) -> Arc<dyn Clock> {
    Arc::new(SetClock::standing(at(text)))
}

/// A daily schedule at two.
pub fn nightly(run: &str) -> Definition {
    Definition { cron: Some("0 2 * * *".to_owned()), run: vec![run.to_owned()], ..Definition::default() }
}

impl Stage {
    pub fn has(&mut self, name: &str, says: &Definition) {
        self.plans.configured.push(Schedule::read(name, says, true).unwrap());
    }

    /// An engine of a process that begins at this moment.
    pub fn engine(&self, now: &str) -> Engine {
        self.workshop.engine_at(clock(now))
    }

    /// Looks at this moment; how many times have come.
    pub fn look(&self, now: &str) -> u64 {
        let engine = self.engine(now);
        Looker::new(&engine, &self.plans.configured).look(at(now)).unwrap()
    }

    /// Looks, then works until nothing is left.
    pub fn pass(&self, now: &str) {
        let engine = self.engine(now);
        Looker::new(&engine, &self.plans.configured).look(at(now)).unwrap();
        let worker = Worker::new(&engine, &self.plans, "w", LEASE);
        while worker.step(&Stop::default()).unwrap() {}
    }

    /// All ticks of a schedule, newest first.
    pub fn ticks(&self, schedule: &str) -> Vec<Tick> {
        self.engine("2026-11-29T00:00:00Z").timetable().unwrap().ticks(Some(schedule), 100).unwrap()
    }

    /// State and reason of each, newest first.
    pub fn told(&self, schedule: &str) -> Vec<String> {
        let say = |tick: Tick| {
            format!("{}{}", tick.state.name(), tick.why.map(|why| format!(": {why}")).unwrap_or_default())
        };
        self.ticks(schedule).into_iter().map(say).collect()
    }

    pub fn rows(&self) -> usize {
        self.place.rows("select 1 from t").len()
    }
}
