//! A place with an engine around it, and short words for what tests do there.
//!
//! Where a story would check too much or too little, tests speak these words themselves. It judges nothing.

use engine::{Engine, Event, Failure, Manners, Plan, Report, Request, SetClock, Stop};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use targets::db::Value;
use testkit::{Place, Story, Workshop, story};

/// Goes on when somebody waits for whom does this, so that no test depends on how fast either is.
pub const UNTIL_SOMEBODY_WAITS: &str = "do $$ begin
    for i in 1..12000 loop
      exit when exists (
        select from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid)));
      perform pg_sleep(0.005);
    end loop;
  end $$";

/// A story about a purge.
pub fn purge(options: Json) -> Story {
    Story::new(kinds::catalogue(), "purge", options)
}

/// A place and its workshop.
pub struct Stage {
    pub place: Place,
    pub workshop: Workshop,
}

/// The same test on both databases, each with the given script run.
pub fn both(sqlite: &str, postgres: &str, mut test: impl FnMut(&Stage)) {
    for place in [Place::sqlite(), Place::postgres()] {
        let name = place.name();
        let stage = Stage::new(place);
        stage.place.script2(sqlite, postgres);
        stage.place.wait_for_figures();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&stage)));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!("on {name}: {}", text.unwrap_or_default());
        }
    }
}

/// Manners of tests: no limit that depends on the machine or on small tables.
pub fn manners() -> Manners {
    Manners { max_percent: 100.0, min_free_disk_mb: 0, ..Manners::default() }
}

impl Stage {
    pub fn new(place: Place) -> Self {
        let workshop = Workshop::new(&place, kinds::catalogue());
        Self { place, workshop }
    }

    /// The same place with an engine whose file stores are others.
    pub fn storing(self, stores: std::sync::Arc<dyn engine::Stores>) -> Self {
        Self { workshop: self.workshop.storing(stores), ..self }
    }

    pub fn engine(&self) -> Engine {
        self.workshop.engine()
    }

    /// The same with a state of its own and a clock that does not really sleep between tries.
    pub fn patient(&self) -> Workshop {
        Workshop::new(&self.place, kinds::catalogue()).at(patient())
    }

    pub fn request(&self, options: Json, change: impl FnOnce(&mut Manners)) -> Request {
        let mut manners = manners();
        change(&mut manners);
        story::request("purge", options, manners, false)
    }

    pub fn plan(&self, options: Json) -> Plan {
        story::plan(&self.engine(), &self.request(options, |_| {}))
    }

    /// Why it cannot be planned: the message with its causes, and the help.
    pub fn refusal(&self, options: Json) -> String {
        match self.engine().plan(&self.request(options, |_| {})) {
            Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].steps),
            Err(failure) => shown(&failure),
        }
    }

    pub fn run(&self, options: Json) -> Report {
        self.run_with(options, |_| {})
    }

    pub fn run_with(&self, options: Json, change: impl FnOnce(&mut Manners)) -> Report {
        let engine = self.engine();
        let plan = story::plan(&engine, &self.request(options, change));
        story::run(&engine, &plan)
    }

    /// Runs it and hands every event to `watch`.
    pub fn watch(
        &self,
        options: Json,
        change: impl FnOnce(&mut Manners),
        watch: &mut dyn FnMut(&Event),
    ) -> Result<Report, Failure> {
        let engine = self.engine();
        let plan = story::plan(&engine, &self.request(options, change));
        engine.run(&plan, &Stop::default(), &mut |event| watch(event))
    }

    pub fn undo(&self, run_id: &str) -> Report {
        let engine = self.engine();
        let request =
            engine.undo_request(run_id, Some("test"), "tester").unwrap_or_else(|error| panic!("{error:?}"));
        story::run(&engine, &story::plan(&engine, &request))
    }

    /// The findings of the undo's plan, by code.
    pub fn undo_findings(&self, run_id: &str) -> Vec<String> {
        let engine = self.engine();
        let request =
            engine.undo_request(run_id, Some("test"), "tester").unwrap_or_else(|error| panic!("{error:?}"));
        let plan = story::plan(&engine, &request);
        plan.items[0].findings.iter().map(|finding| finding.code.clone()).collect()
    }

    /// Waits until the server has told what it has counted, which older ones do late.
    pub fn counted(&self) {
        let asked = "select pg_stat_clear_snapshot()::text";
        let wait = if self.place.version() >= 15 { 50 } else { 1_200 };
        std::thread::sleep(std::time::Duration::from_millis(wait));
        self.list(asked);
    }

    /// The first column of a query, as text.
    pub fn list(&self, sql: &str) -> Vec<String> {
        self.place.rows(sql).iter().map(|row| row.first().map(text).unwrap_or_default()).collect()
    }

    /// The first value of a query as a number.
    pub fn number(&self, sql: &str) -> i64 {
        self.list(sql)
            .first()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no number: {sql}"))
    }
}

/// The codes of the findings of a plan's first operation.
pub fn codes(plan: &Plan) -> Vec<&str> {
    plan.items[0].findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// An error as a surface prints it: the causes and the help.
pub fn shown(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(source) = cause {
        text.push_str(&format!("\n  {source}"));
        cause = source.source();
    }
    match failure.help() {
        Some(help) => format!("{text}\nhelp: {help}"),
        None => text,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// So many rows, all doomed by `n > 0`.
pub fn rows(count: u32) -> (String, String) {
    (
        format!(
            "create table t (id integer primary key, n integer not null, body text);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < {count})
             insert into t select i, 1, 'row ' || i from c;"
        ),
        format!(
            "create table t (id int primary key, n int not null, body text);
             insert into t select i, 1, 'row ' || i from generate_series(1, {count}) i;"
        ),
    )
}

pub fn options() -> serde_json::Value {
    json!({"table": "t", "where": "n > 0"})
}

/// A clock that does not really sleep between tries.
pub fn patient() -> Arc<SetClock> {
    Arc::new(SetClock::standing(Timestamp::now()))
}

/// So many random cases, or as many as `PROPTEST_CASES` says. The seed of what fails is kept in `tests/proptest-regressions`, and
/// tried first from then on.
pub fn cases(number: u32) -> proptest::prelude::ProptestConfig {
    const USUAL: u32 = 256;
    let usual = proptest::prelude::ProptestConfig::default();
    proptest::prelude::ProptestConfig {
        cases: if usual.cases == USUAL { number } else { usual.cases },
        max_shrink_iters: 200,
        ..usual
    }
}
