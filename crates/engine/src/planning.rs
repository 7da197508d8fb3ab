//! From a request to a plan: what each operation would do, and what stands in its way.
//!
//! Every session used here is one on which the database refuses writes. Looking fails at the first operation that cannot
//! be planned; what is to be run goes on with the others, and the failure is a part of the run (W-031).

use crate::backup::check_format;
use crate::clock_guard;
use crate::engine::Engine;
use crate::error::{Error, Failure, chain};
use crate::estimate::{self, Past};
use crate::finding::Finding;
use crate::guard::{self, Scene};
use crate::housekeeping::name_the_blocker;
use crate::looking::Looks;
use crate::operation::Planning;
use crate::plan::{Item, Plan, Undo, Unplanned};
use crate::report::Report;
use crate::request::{OperationRequest, Request};
use crate::status::Status;
use crate::words::{count, rows};
use jiff::Timestamp;
use std::collections::BTreeMap;
use targets::db::{Class, Facts};

/// A plan that is to be run, with what could not be planned.
#[derive(Debug)]
pub struct Prepared {
    /// Runs, also where some of it could not be planned: those operations fail, and are logged as failed.
    pub plan: Plan,
    /// Why operations could not be planned, in their order.
    pub failures: Vec<Failure>,
}

/// So many runs are looked at for how long each kind takes.
const LOOKED_BACK: u64 = 200;

impl Engine {
    /// What a request would do. Every session it uses is one on which the database refuses writes.
    pub fn plan(&self, request: &Request) -> Result<Plan, Failure> {
        self.plan_at(request, self.clock().now())
    }

    /// The same, measured from another moment: that of a stored plan.
    pub fn plan_at(&self, request: &Request, now: Timestamp) -> Result<Plan, Failure> {
        let mut items = Vec::new();
        for operation in &request.operations {
            items.push(self.plan_now_or_later(operation, now, false)?);
        }
        Ok(Plan::seal(request.clone(), now, items))
    }

    /// Plans what is to be run: an operation that cannot be planned is one of several that fail.
    pub fn prepare(&self, request: &Request) -> Result<Prepared, Failure> {
        let now = self.clock().now();
        let mut failures = Vec::new();
        let mut items = Vec::new();
        for operation in &request.operations {
            items.push(self.plan_or_fail(operation, now, &mut failures)?);
        }
        Ok(Prepared { plan: Plan::seal(request.clone(), now, items), failures })
    }

    /// Writes a run into the log that failed before it could be planned.
    pub fn log_unplanned(&self, request: &Request, failure: &Failure) -> Result<Report, Failure> {
        let items = request.operations.iter().map(|operation| Item::unplanned(operation, told(failure)));
        let plan = Plan::seal(request.clone(), self.clock().now(), items.collect());
        self.run(&plan, &crate::stop::Stop::default(), &mut |_| {})
    }

    pub(crate) fn plan_or_fail(
        &self,
        operation: &OperationRequest,
        now: Timestamp,
        failures: &mut Vec<Failure>,
    ) -> Result<Item, Failure> {
        match self.plan_now_or_later(operation, now, true) {
            Err(Failure::Fault(name)) => Err(Failure::Fault(name)),
            Err(failure) => {
                let item = Item::unplanned(operation, told(&failure));
                failures.push(failure);
                Ok(item)
            }
            Ok(item) => Ok(item),
        }
    }

    /// What verifies others looks once they are done: what it would find now is not asked.
    fn plan_now_or_later(
        &self,
        request: &OperationRequest,
        now: Timestamp,
        keep: bool,
    ) -> Result<Item, Failure> {
        if request.verifies.is_empty() {
            return self.plan_and(request, now, keep);
        }
        self.operation(request)?;
        Ok(Item::of(request, self.database(&request.database)?.dialect().name()))
    }

    pub(crate) fn plan_item(&self, request: &OperationRequest, now: Timestamp) -> Result<Item, Failure> {
        self.plan_and(request, now, false)
    }

    /// Plans, and may keep the session for the run that comes next.
    fn plan_and(&self, request: &OperationRequest, now: Timestamp, keep: bool) -> Result<Item, Failure> {
        let database = self.database(&request.database)?;
        let operation = self.operation(request)?;
        if let Some(wish) = operation.backup() {
            check_format(&wish, database.as_ref())?;
        }
        let copy = if operation.wants_a_copy() { self.copy_to_look_at(database.as_ref())? } else { None };
        // the session of a copy is of no use to the run
        let keep = keep && copy.is_none();
        let kept = keep.then(|| self.kept.take(&request.database, self.clock())).flatten();
        let mut facts = match (&copy, kept) {
            (Some((_, copy)), _) => copy.read()?,
            (None, Some(facts)) => facts,
            (None, None) => database.read()?,
        };
        let earlier = if operation.looks_back() { self.earlier_results(&request.name) } else { Vec::new() };
        let samples = if operation.wants_samples() { self.samples(&request.database) } else { Vec::new() };
        let believed = self.believed()?;
        let trace = clock_guard::trace(self.clock().now(), believed, facts.as_mut())?;
        let usual = match operation.wants_samples() {
            true => self.usual_of_kinds(&request.database),
            false => BTreeMap::new(),
        };
        let looks = Looks::new(&self.see_looks, self.clock());
        let planning = Planning {
            looks: &|what, done, all| looks.tell(what, done, all),
            now,
            quiet_since: trace
                .as_ref()
                .map(|trace| trace.at)
                .filter(|at| self.clock().now().duration_since(*at) > clock_guard::QUIET),
            request,
            keep_undo: &self.parts.keep_undo,
            stores: self.parts.stores.as_ref(),
            backups: self.parts.backups.as_ref(),
            on_a_copy: copy.is_some(),
            earlier: &earlier,
            samples: &samples,
            usual: &usual,
            clock: self.clock(),
            databases: self.parts.databases.as_ref(),
        };
        let planned =
            operation.plan(facts.as_mut(), &planning).map_err(|error| with_reason(error, facts.as_mut()))?;
        let matched = planned.steps.iter().map(|step| step.matched).sum();
        let mut item = Item {
            steps: planned.steps,
            findings: planned.findings,
            undo: planned.undo.unwrap_or(Undo::NotNeeded),
            expected_seconds: request
                .expected_seconds
                .or(planned.expected_seconds)
                .or_else(|| self.usual_seconds(&request.name, matched))
                .or(planned.guessed_seconds),
            transactional: !planned.outside,
            skipped: planned.skipped,
            result: planned.result,
            ..Item::of(request, database.dialect().name())
        };
        item.operation.backup |= planned.needs_backup;
        if let Some(severity) = planned.severity {
            item.operation.severity = item.operation.severity.max(severity);
        }
        if item.skipped.is_none() && !item.steps.is_empty() {
            let scene = Scene {
                server: &facts.server()?,
                pulse: &facts.pulse()?,
                item: &item,
                now,
                clock: self.clock().now(),
                believed,
                trace,
            };
            let mut found = guard::findings(&scene)?;
            let wish = operation.backup();
            if wish.is_some() || operation.only_reads() {
                // It writes nothing into the database: a standby or a full disk there are no reason against it.
                found.retain(|finding| !["read_only", "disk"].contains(&finding.code.as_str()));
            }
            if operation.only_reads() {
                // nor needs it tables of Sexton's own there
                found.retain(|finding| finding.code != "permission");
            }
            if let Some(wish) = wish {
                found.extend(self.room_for_backup(request, &wish, scene.server.bytes));
            }
            item.findings.extend(found);
        }
        if let (Undo::Rows { bytes: Some(bytes), .. }, Some(most)) = (&item.undo, self.parts.undo_max_bytes)
            && *bytes > most
        {
            item.findings.push(Finding::refuse(
                "undo_size",
                &request.name,
                format!("its undo rows would take about {} MB, the limit is {} MB", bytes >> 20, most >> 20),
                "raise `max_size` of `[undo]`, or keep the rows in an archive (`undo = \"archive\"`)",
            ));
        }
        if item.operation.backup && !item.steps.is_empty() {
            let bytes = facts.server()?.bytes;
            item.findings.push(self.foresee_backup(request, bytes, now));
        }
        // The worst comes first; what was found first stays first among equals.
        item.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        if keep && database.opens_slowly() {
            self.kept.put(&request.database, facts, self.clock());
        }
        Ok(item)
    }

    /// How long so many rows will take an operation, going by its last real runs that were completed.
    fn usual_seconds(&self, operation: &str, rows: u64) -> Option<f64> {
        let reports = self.state_to_ask()?.reports(20, None, Some(operation)).ok()?;
        let past: Vec<Past> = reports
            .iter()
            .filter(|report| !report.metadata.dry_run)
            .flat_map(|report| &report.operations)
            .filter(|done| done.operation == operation && done.status == Status::Completed)
            // One that its options kept from acting says nothing about one that acts (W-114).
            .filter(|done| {
                done.targets.is_empty() || done.targets.iter().any(|target| target.action != "report")
            })
            .map(|done| Past { seconds: done.duration_seconds, rows: done.rows_matched })
            .collect();
        estimate::seconds(rows, &past)
    }

    /// How long the last real runs of each kind took on a database.
    fn usual_of_kinds(&self, database: &str) -> BTreeMap<String, f64> {
        let reports = self.state_to_ask().and_then(|state| state.reports(LOOKED_BACK, None, None).ok());
        let mut past: BTreeMap<String, Vec<Past>> = BTreeMap::new();
        let real = reports.iter().flatten().filter(|report| !report.metadata.dry_run);
        for done in real.flat_map(|report| &report.operations) {
            if done.database == database
                && done.status == Status::Completed
                && (done.batches > 0 || done.backup_path.is_some())
            {
                past.entry(done.kind.clone())
                    .or_default()
                    .push(Past { seconds: done.duration_seconds, rows: 0 });
            }
        }
        past.into_iter().filter_map(|(kind, past)| Some((kind, estimate::seconds(0, &past)?))).collect()
    }

    /// Compares a stored plan with the present: the same thing must be asked, and the rows may not have grown by more
    /// than a tenth (W-123). Gives the plan to run, measured from the stored moment.
    pub fn recheck(&self, stored: &Plan) -> Result<Plan, Failure> {
        let fresh = self.plan_at(&stored.request, stored.now)?;
        if fresh.fingerprint != stored.fingerprint {
            return Err(Error::data("the plan no longer fits: tables, references or options have changed")
                .help("look at a new plan with `sexton plan`")
                .into());
        }
        let (then, now) = (stored.matched(), fresh.matched());
        if now as f64 > then as f64 * 1.1 + 10.0 {
            return Err(Error::data(format!("the plan had {}, now there are {}", rows(then), count(now)))
                .help("look at a new plan with `sexton plan`")
                .into());
        }
        Ok(fresh)
    }
}

/// An error with what most likely stands in the way: somebody's lock, or a right that is missing.
fn with_reason(error: Error, facts: &mut dyn Facts) -> Failure {
    if error.class == Class::Transient {
        return name_the_blocker(error.into(), facts);
    }
    let lacks = match error.code.as_deref() {
        Some("42501") if error.help.is_none() => facts.server().ok().and_then(|server| server.lacks),
        _ => None,
    };
    match lacks {
        Some(allow) => error.help(format!("let someone who may run `{allow}`")).into(),
        None => error.into(),
    }
}

fn told(failure: &Failure) -> Unplanned {
    Unplanned { class: failure.class(), error: chain(failure), help: failure.help().map(str::to_owned) }
}
