//! What tests of transfers say: a SQLite file, an empty PostgreSQL database, and an engine over both.

use crate::stage::{manners, shown};
use engine::{Engine, Event, Finding, Manners, Plan, Report, Stop};
use serde_json::{Value as Json, json};
use testkit::{Place, Workshop, story};

/// A file, a database, and a workshop.
pub struct Move {
    pub from: Place,
    pub to: Place,
    pub workshop: Workshop,
}

impl Move {
    /// A file made by this script, and an empty database.
    pub fn of(script: &str) -> Self {
        let (from, to) = (Place::sqlite(), Place::postgres());
        from.script(script);
        let workshop = Workshop::new(&to, kinds::catalogue());
        Self { from, to, workshop }
    }

    pub fn engine(&self) -> Engine {
        self.workshop.engine()
    }

    /// The options with the source filled in.
    pub fn options(&self, mut options: Json) -> Json {
        options["source"] = json!(self.from.url());
        options
    }

    pub fn plan(&self, options: Json) -> Plan {
        self.plan_with(options, |_| {})
    }

    pub fn plan_with(&self, options: Json, change: impl FnOnce(&mut Manners)) -> Plan {
        let mut manners = manners();
        change(&mut manners);
        story::plan(&self.engine(), &story::request("transfer", self.options(options), manners, false))
    }

    /// Why it cannot be planned.
    pub fn refusal(&self, options: Json) -> String {
        let request = story::request("transfer", self.options(options), manners(), false);
        match self.engine().plan(&request) {
            Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].steps),
            Err(failure) => shown(&failure),
        }
    }

    pub fn run(&self, options: Json) -> Report {
        self.run_in(3, options)
    }

    /// In batches of so many rows.
    pub fn run_in(&self, rows: u64, options: Json) -> Report {
        let plan = self.plan_with(options, |manners| manners.batch_size = Some(rows));
        story::run(&self.engine(), &plan)
    }

    /// Runs it and hands every event to `watch`.
    pub fn watch(&self, options: Json, watch: &mut dyn FnMut(&Event)) -> Report {
        let plan = self.plan(options);
        self.engine()
            .run(&plan, &Stop::default(), &mut |event| watch(event))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The rows of a query on the target, as text.
    pub fn list(&self, sql: &str) -> Vec<String> {
        let text = |value: &targets::db::Value| match value {
            targets::db::Value::Text(text) => text.clone(),
            targets::db::Value::Null => "null".to_owned(),
            other => other.to_string(),
        };
        let row = |row: &targets::db::Row| row.iter().map(text).collect::<Vec<_>>().join("|");
        self.to.rows(sql).iter().map(row).collect()
    }

    /// The type of a column of the target.
    pub fn typ(&self, table: &str, column: &str) -> String {
        let sql = format!(
            "select format_type(a.atttypid, a.atttypmod) from pg_attribute a join pg_class c on c.oid = a.attrelid \
             where c.relname = '{table}' and a.attname = '{column}'"
        );
        self.list(&sql).concat()
    }
}

/// The findings of a report, as `code object`, without how the source is used.
pub fn found(report: &Report) -> Vec<String> {
    let name = |finding: &Finding| format!("{} {}", finding.code, finding.object);
    let findings = report.operations[0].findings.iter();
    findings.filter(|finding| !finding.code.starts_with("source_")).map(name).collect()
}

/// The findings of a plan that forbid it, as `code object`.
pub fn forbidden(plan: &Plan) -> Vec<String> {
    let findings = plan.items[0].findings.iter();
    let forbids = findings.filter(|finding| finding.level == engine::Level::Refuse);
    forbids.map(|finding| format!("{} {}", finding.code, finding.object)).collect()
}
