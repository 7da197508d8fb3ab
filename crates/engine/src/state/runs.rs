//! Runs and their events in the state.

use super::terms::under;
use super::{Seen, State};
use crate::error::{Error, Result};
use crate::event::{Event, What};
use crate::plan::Plan;
use crate::report::Report;
use crate::words::rows;
use jiff::Timestamp;
use targets::db::{Sql, Value};

/// What is known about a run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Its id.
    pub id: String,
    /// What was planned when it began.
    pub plan: Plan,
    /// What happened.
    pub events: Vec<Event>,
    /// Its process died before the end, as far as can be told. Only [`crate::Engine::run_record`] looks.
    pub interrupted: bool,
}

impl RunRecord {
    /// The report, folded from the events.
    pub fn report(&self) -> Report {
        let mut report = Report::fold(&self.id, &self.plan, &self.events);
        if self.interrupted {
            report.interrupt();
        }
        report
    }

    /// Whether it came to its end.
    pub fn is_finished(&self) -> bool {
        self.events.last().is_some_and(|event| event.item.is_none() && event.what == What::Finished)
    }
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub object: String,
    /// With which options.
    pub detail: String,
}

impl State {
    /// Notes that a run begins, and which process works on it. Without a term nobody begins a run that was begun already: of two
    /// who were asked for the same, one does it.
    pub fn begin_run(&self, id: &str, plan: &Plan, at: Timestamp, term: i64, here: &Seen) -> Result<()> {
        let names: Vec<&str> = plan.items.iter().map(|item| item.operation.name.as_str()).collect();
        let text = serde_json::to_string(plan)
            .map_err(|error| Error::system("cannot store the plan").because(error))?;
        let trigger = serde_json::to_value(plan.request.trigger).ok();
        let source = trigger.as_ref().and_then(|trigger| trigger.as_str()).unwrap_or("cli").to_owned();
        let options: serde_json::Map<String, serde_json::Value> = plan
            .items
            .iter()
            .map(|item| (item.operation.name.clone(), item.operation.options.clone()))
            .collect();
        let forced = if plan.request.force { ", forced," } else { "" };
        let noted = self.audit_row(&Audit {
            at,
            actor: plan.request.actor.clone(),
            action: if plan.request.dry_run { "dry run" } else { "run" }.to_owned(),
            object: names.join(","),
            detail: format!("{id} by {source}{forced} with {}", serde_json::Value::from(options)),
        });
        let begun = Sql::new("insert into ")
            .table(&self.own("runs"))
            .text(" (id, correlation_id, started_at, actor, source, dry_run, operations, plan) values (")
            .bind(id)
            .text(", ")
            .bind(plan.request.correlation_id.clone())
            .text(", ")
            .bind(sortable(at))
            .text(", ")
            .bind(plan.request.actor.clone())
            .text(", ")
            .bind(source)
            .text(", ")
            .bind(i64::from(plan.request.dry_run))
            .text(", ")
            .bind(names.join(","))
            .text(", ")
            .bind(text)
            .text(") on conflict (id) do nothing");
        let own = self.own("terms");
        let arrival = self.arrival(id, here);
        self.change(|tx| {
            if term > 0 {
                under(tx, &own, id, term)?;
            }
            if tx.execute(&begun)? == 0 && term == 0 {
                return Err(Error::usage(format!("the run `{id}` was begun already"))
                    .help(format!("look at it: `sexton runs show {id}`")));
            }
            tx.execute(&noted)?;
            tx.execute(&arrival).map(drop)
        })
    }

    /// Appends events; `first` is the number of the first of them.
    pub fn append(&self, run: &str, first: u64, events: &[Event], term: i64) -> Result<()> {
        let own = self.own("events");
        let mut statements = Vec::new();
        for (n, event) in events.iter().enumerate() {
            let body = serde_json::to_string(event)
                .map_err(|error| Error::system("cannot store an event").because(error))?;
            statements.push(
                Sql::new("insert into ")
                    .table(&own)
                    .text(" (run, seq, body) values (")
                    .bind(run)
                    .text(", ")
                    .bind((first + n as u64) as i64)
                    .text(", ")
                    .bind(body)
                    .text(") on conflict (run, seq) do nothing"),
            );
        }
        self.write_under(run, term, &statements)
    }

    /// Keeps the finished report beside the events, so that lists are fast (it can be folded again at any time), and
    /// adds the outcome to the audit trail, where it outlives the run.
    pub fn finish_run(&self, run: &str, report: &Report, term: i64) -> Result<()> {
        let text = serde_json::to_string(report)
            .map_err(|error| Error::system("cannot store the report").because(error))?;
        let statements = [
            Sql::new("update ")
                .table(&self.own("runs"))
                .text(" set report = ")
                .bind(text)
                .text(" where id = ")
                .bind(run),
            Sql::new("update ")
                .table(&self.own("audit"))
                .text(" set detail = detail || ")
                .bind(format!("; {}, {}", report.status.name(), rows(report.totals.rows())))
                .text(" where action in ('run', 'dry run') and detail like ")
                .bind(format!("{run} by %")),
            Sql::new("delete from ").table(&self.own("stops")).text(" where run = ").bind(run),
        ];
        self.write_under(run, term, &statements)
    }

    /// Forgets runs that began before a moment, but for the newest of each operation.
    pub fn forget_runs(&self, before: Timestamp) -> Result<()> {
        let runs = self.own("runs");
        let old = Sql::new("select id from ")
            .table(&runs)
            .text(" as r where started_at < ")
            .bind(sortable(before))
            .text(" and exists (select 1 from ")
            .table(&runs)
            .text(" as newer where newer.operations = r.operations and newer.started_at > r.started_at)");
        self.write(&[
            Sql::new("delete from ").table(&self.own("events")).text(" where run in (").add(&old).text(")"),
            Sql::new("delete from ").table(&self.own("terms")).text(" where run in (").add(&old).text(")"),
            Sql::new("delete from ").table(&runs).text(" where id in (").add(&old).text(")"),
            self.forget_presences(before),
        ])
    }

    /// The runs whose ids begin with `prefix`, a few of them; the newest for `latest`.
    pub fn runs_like(&self, prefix: &str) -> Result<Vec<String>> {
        let select = Sql::new("select id from ").table(&self.own("runs"));
        let select = if prefix == "latest" {
            select.text(" order by started_at desc, id desc limit 1")
        } else {
            select
                .text(" where substr(id, 1, cast(")
                .bind(prefix.chars().count() as i64)
                .text(" as integer)) = ")
                .bind(prefix)
                .text(" order by id limit 5")
        };
        Ok(self.rows(&select)?.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
    }

    /// The run whose id begins with `prefix`, or the newest for `latest`. Several matches are an error that lists them.
    pub fn find_run(&self, prefix: &str) -> Result<String> {
        let found = self.runs_like(prefix)?;
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] if prefix == "latest" => {
                Err(Error::usage("there is no run yet").help("`sexton run OPERATION` makes one"))
            }
            [] => Err(Error::usage(format!("there is no run `{prefix}`"))
                .help("`sexton runs list` shows the last ones")),
            several => Err(Error::usage(format!("`{prefix}` could be {}", several.join(" or ")))
                .help("give more letters")),
        }
    }

    /// Everything about a run.
    pub fn run(&self, id: &str) -> Result<RunRecord> {
        let select = Sql::new("select plan from ").table(&self.own("runs")).text(" where id = ").bind(id);
        let rows = self.rows(&select)?;
        let Some(text) = rows.first().and_then(|row| row.first()).and_then(Value::as_text) else {
            return Err(Error::usage(format!("there is no run `{id}`"))
                .help("`sexton runs list` shows the last ones"));
        };
        let plan = serde_json::from_str(text).map_err(|error| {
            Error::system(format!("the plan of run `{id}` cannot be read by this version")).because(error)
        })?;
        let events = self.events(id, 0)?;
        Ok(RunRecord { id: id.to_owned(), plan, events, interrupted: false })
    }

    /// The events of a run from this one on, counted from 0.
    pub fn events(&self, id: &str, first: u64) -> Result<Vec<Event>> {
        let select = Sql::new("select body from ")
            .table(&self.own("events"))
            .text(" where run = ")
            .bind(id)
            .text(" and seq >= ")
            .bind(i64::try_from(first).unwrap_or(i64::MAX))
            .text(" order by seq");
        let mut events = Vec::new();
        for row in self.rows(&select)? {
            let body = row.first().and_then(Value::as_text).unwrap_or_default();
            events.push(serde_json::from_str(body).map_err(|error| {
                Error::system(format!("an event of run `{id}` cannot be read")).because(error)
            })?);
        }
        Ok(events)
    }

    /// Reports of the last runs, newest first: at most `limit`, not older than `since`, of one operation if named.
    pub fn reports(
        &self,
        limit: u64,
        since: Option<Timestamp>,
        operation: Option<&str>,
    ) -> Result<Vec<Report>> {
        self.reports_before(None, limit, since, operation)
    }

    /// The same of those before this run, so that a list can be read page by page.
    pub fn reports_before(
        &self,
        before: Option<&str>,
        limit: u64,
        since: Option<Timestamp>,
        operation: Option<&str>,
    ) -> Result<Vec<Report>> {
        let mut select = Sql::new("select id, report from ")
            .table(&self.own("runs"))
            .text(" where started_at >= ")
            .bind(since.map_or_else(String::new, sortable));
        if let Some(operation) = operation {
            select = select.text(" and ',' || operations || ',' like ").bind(format!("%,{operation},%"));
        }
        if let Some(before) = before {
            select = select
                .text(" and (started_at, id) < (select started_at, id from ")
                .table(&self.own("runs"))
                .text(" where id = ")
                .bind(before)
                .text(")");
        }
        select = select.text(" order by started_at desc, id desc limit ").bind(limit.min(100_000) as i64);
        let mut reports = Vec::new();
        for row in self.rows(&select)? {
            let stored = row.get(1).and_then(Value::as_text).and_then(|text| serde_json::from_str(text).ok());
            let id = row.first().and_then(Value::as_text).unwrap_or_default();
            reports.push(match stored {
                Some(report) => report,
                None => self.run(id)?.report(),
            });
        }
        Ok(reports)
    }

    /// Asks a run in whichever process to stop at its next batch.
    pub fn ask_stop(&self, run: &str, actor: &str, at: Timestamp) -> Result<()> {
        self.write(&[Sql::new("insert into ")
            .table(&self.own("stops"))
            .text(" (run, actor, at) values (")
            .bind(run)
            .text(", ")
            .bind(actor)
            .text(", ")
            .bind(sortable(at))
            .text(") on conflict (run) do nothing")])
    }

    /// Whether a run was asked to stop.
    pub fn stop_asked(&self, run: &str) -> Result<bool> {
        let select =
            Sql::new("select count(*) from ").table(&self.own("stops")).text(" where run = ").bind(run);
        Ok(self.rows(&select)?.first().and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0) > 0)
    }

    /// Notes that a run goes on: with the same plan, or with another one, which the audit trail tells.
    pub fn reopen_run(&self, run: &str, plan: &Plan, otherwise: Option<&Audit>, term: i64) -> Result<()> {
        let runs = self.own("runs");
        let mut statements = vec![
            // The report of the first attempt is no longer what the run came to.
            Sql::new("update ").table(&runs).text(" set report = null where id = ").bind(run),
            Sql::new("delete from ").table(&self.own("stops")).text(" where run = ").bind(run),
        ];
        if let Some(audit) = otherwise {
            let text = serde_json::to_string(plan)
                .map_err(|error| Error::system("cannot store the plan").because(error))?;
            let update = Sql::new("update ").table(&runs).text(" set plan = ").bind(text);
            statements.push(update.text(" where id = ").bind(run));
            statements.push(self.audit_row(audit));
        }
        self.write_under(run, term, &statements)
    }

    /// Adds a line to the audit trail.
    pub fn audit(&self, entry: &Audit) -> Result<()> {
        self.write(&[self.audit_row(entry)])
    }

    fn audit_row(&self, entry: &Audit) -> Sql {
        Sql::new("insert into ")
            .table(&self.own("audit"))
            .text(" (at, actor, action, object, detail) values (")
            .bind(sortable(entry.at))
            .text(", ")
            .bind(entry.actor.clone())
            .text(", ")
            .bind(entry.action.clone())
            .text(", ")
            .bind(entry.object.clone())
            .text(", ")
            .bind(entry.detail.clone())
            .text(")")
    }

    /// The audit trail, newest first.
    pub fn audit_trail(&self, limit: u64) -> Result<Vec<Audit>> {
        let select = Sql::new("select at, actor, action, object, detail from ")
            .table(&self.own("audit"))
            .text(" order by at desc limit ")
            .bind(limit.min(10_000) as i64);
        let text =
            |row: &Vec<Value>, n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned();
        Ok(self
            .rows(&select)?
            .iter()
            .filter_map(|row| {
                Some(Audit {
                    at: text(row, 0).parse().ok()?,
                    actor: text(row, 1),
                    action: text(row, 2),
                    object: text(row, 3),
                    detail: text(row, 4),
                })
            })
            .collect())
    }
}

/// A moment as text that sorts: always with microseconds.
pub(super) fn sortable(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
