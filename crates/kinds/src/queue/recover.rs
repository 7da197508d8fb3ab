//! `action = "recover"`: jobs that run without a sign of life go back to the queue, and those that did so too often fail.
//!
//! One conditional change: state and age are looked at again in the statement that locks the rows, so a job that
//! ended meanwhile stays as it is. Attempts are not raised, because the job may not be to blame.

use super::claims;
use super::jobs::{Jobs, State};
use super::options::{Options, Workers};
use crate::sweep::{self, Act, Counted, Policy, Sweep, one_of};
use engine::age::Age;
use engine::undo::{Tally, will_be_spent};
use engine::words::{either, of, rows};
use engine::{Error, Finding, Planned, Planning, Result};
use targets::db::{Column, Dialect, Facts, Family, Sql, Table, Value};

/// Which running jobs are stale.
pub struct Stale {
    /// The condition, over `t`, the state included.
    pub condition: Sql,
    /// Running jobs of which nobody can say.
    pub unreadable: Option<Sql>,
    /// For people.
    pub facts: Vec<(String, String)>,
}

/// Which running jobs are stale: by lease or heartbeat where the row has one, else by age. A row that has none of them is told.
pub fn stale(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Stale> {
    let running = jobs.must_be(State::Running, facts)?;
    let dialect = facts.dialect();
    let columns = &jobs.options.columns;
    let lease = jobs.column(&columns.lease)?;
    let mut parts: Vec<Stale> = Vec::new();
    // Running, and every column looked at so far is NULL.
    let mut left = Some(running);
    let leaves = |column: &Column, here: Sql| {
        (!column.not_null).then(|| here.text(" and t.").name(&column.name).text(" is null"))
    };
    if let (Some(lease), Some(here)) = (lease, left.clone()) {
        parts.push(by_lease(jobs, lease, here.clone(), dialect)?);
        left = leaves(lease, here);
    }
    if let (Some(workers), Some(here)) = (&jobs.options.workers, left.clone()) {
        parts.push(by_worker(jobs, workers, jobs.table, here, dialect)?);
        left = None;
    }
    for name in [&columns.heartbeat, &columns.updated, &columns.started] {
        if let (Some(column), Some(here)) = (jobs.column(name)?, left.clone()) {
            let part = by_age(jobs, column, here.clone(), dialect)?;
            parts.push(part);
            left = leaves(column, here);
        }
    }
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else {
        return Err(Error::usage(format!("nothing says since when jobs of `{}` run", jobs.table.name))
            .help("say `columns = { heartbeat = \"…\" }`, `lease`, `updated` or `started`"));
    };
    for part in parts {
        // Each by itself, so that each finds its rows by an index.
        all.condition = Sql::new("((").add(&all.condition).text(") or (").add(&part.condition).text("))");
        all.unreadable = any(all.unreadable, part.unreadable);
        all.facts
            .extend(part.facts.into_iter().map(|(name, text)| (name, format!("without the former: {text}"))));
    }
    all.unreadable = any(all.unreadable, left);
    Ok(all)
}

fn by_lease(jobs: &Jobs, lease: &Column, running: Sql, dialect: &dyn Dialect) -> Result<Stale> {
    let cutoff = engine::age::cutoff(jobs.now, &jobs.zone);
    let test = dialect.age(lease, jobs.options.epoch_unit, &cutoff)?;
    Ok(Stale {
        condition: running.clone().text(" and ").add(&test.older),
        unreadable: test.unreadable.map(|unreadable| running.text(" and ").add(&unreadable)),
        facts: vec![("stale".to_owned(), format!("running, `{}` is over", lease.name))],
    })
}

/// By the heartbeats of workers in a table of their own; `table` has the column that names the worker.
pub fn by_worker(
    jobs: &Jobs,
    workers: &Workers,
    table: &Table,
    running: Sql,
    dialect: &dyn Dialect,
) -> Result<Stale> {
    let job_column = table.expect_column(&workers.job_column)?;
    let table = jobs.schema.find(&workers.table)?;
    let heartbeat = table.expect_column(&workers.heartbeat)?;
    let threshold = jobs.options.threshold();
    let dead = jobs.older(heartbeat, &threshold, dialect)?.older;
    let job = || Sql::new("t.").name(&job_column.name);
    let alive = Sql::new("select t.")
        .name(&table.expect_column(&workers.id)?.name)
        .text(" from ")
        .table(&table.name)
        .text(" as t where not (")
        .add(&dead)
        .text(")");
    let gone = Sql::new(" and (").add(&job()).text(" is null or ").add(&job());
    Ok(Stale {
        condition: running.add(&gone).text(" not in (").add(&alive).text("))"),
        unreadable: None,
        facts: vec![(
            "stale".to_owned(),
            format!("running, its worker gave no sign of life for {}", threshold.0),
        )],
    })
}

fn by_age(jobs: &Jobs, column: &Column, running: Sql, dialect: &dyn Dialect) -> Result<Stale> {
    let threshold = jobs.options.threshold();
    let default = jobs.older(column, &threshold, dialect)?;
    let unreadable = default.unreadable.map(|unreadable| running.clone().text(" and ").add(&unreadable));
    let moment = threshold.before(jobs.now)?.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut facts =
        vec![("stale".to_owned(), format!("running, {} before {moment} ({} ago)", column.name, threshold.0))];
    if jobs.options.thresholds.is_empty() {
        let condition = running.text(" and ").add(&default.older);
        return Ok(Stale { condition, unreadable, facts });
    }
    let function = function(jobs)?;
    let mut parts = Vec::new();
    // The least threshold in front, by itself, so that an index on the age finds the rows.
    let mut least = &threshold;
    for (name, age) in &jobs.options.thresholds {
        let older = jobs.older(column, age, dialect)?.older;
        parts.push(is_function(function, name, dialect).text(" and ").add(&older));
        facts.push(("stale".to_owned(), format!("`{name}`: {} ago", age.0)));
        if age.before(jobs.now)? > least.before(jobs.now)? {
            least = age;
        }
    }
    let named: Vec<Sql> = jobs
        .options
        .thresholds
        .keys()
        .map(|name| Sql::new("not (").add(&is_function(function, name, dialect)).text(")"))
        .collect();
    let others = Sql::new("(t.").name(&function.name).text(" is null or (").add(&Sql::join(&named, " and "));
    parts.push(others.text(")) and ").add(&default.older));
    let parts: Vec<Sql> = parts.iter().map(|part| Sql::new("(").add(part).text(")")).collect();
    let condition = running
        .text(" and ")
        .add(&jobs.older(column, least, dialect)?.older)
        .text(" and (")
        .add(&Sql::join(&parts, " or "))
        .text(")");
    Ok(Stale { condition, unreadable, facts })
}

fn function<'a>(jobs: &Jobs<'a>) -> Result<&'a Column> {
    jobs.column(&jobs.options.columns.function)?.ok_or_else(|| {
        Error::usage("thresholds per function need the column that names it")
            .help("say `columns = { function = \"…\" }`")
    })
}

fn is_function(column: &Column, name: &str, dialect: &dyn Dialect) -> Sql {
    Sql::new("t.").name(&column.name).text(" = ").add(&dialect.inward(column, Value::from(name)))
}

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let jobs = Jobs::find(options, &schema, planning)?;
    let (sweep, counted) = match &options.claims {
        Some(claims) => claims::sweep(&jobs, claims, facts)?,
        None => changing(&jobs, facts)?,
    };
    let mut planned = Planned::default();
    let (mut step, mut task) = sweep::plan(&sweep, &schema, facts, planning, &mut planned.findings)?;
    if step.unreadable > 0 {
        let what = format!("{} run since nobody can say when, and stay", rows(step.unreadable));
        step.facts.push(("unreadable".to_owned(), what));
    }
    if step.matched > 0 {
        let spent = match (&counted.tally, &counted.also) {
            (Some(tally), also) => any(will_be_spent(facts, tally)?, also.clone()),
            (None, also) => also.clone(),
        };
        let failing = match spent {
            Some(spent) => facts.count(
                &Sql::new("select count(*) from ")
                    .table(&task.table.name)
                    .text(" as t where ")
                    .add(&task.condition)
                    .text(" and ")
                    .add(&spent),
            )?,
            None => 0,
        };
        if failing > 0 {
            let what = format!(
                "{failing} of them {} reset {} or {} no attempts left",
                either(failing, "was", "were"),
                of(options.max_resets, "time", "times"),
                either(failing, "has", "have")
            );
            step.facts.push(("failing".to_owned(), what));
        }
        planned.findings.push(Finding::warning(
            "stale_jobs",
            &jobs.table.name,
            format!(
                "{} {} {} without a sign of life",
                of(step.matched, "job", "jobs"),
                either(step.matched, "is", "are"),
                jobs.said(State::Running)
            ),
            "see why their workers stopped; a job that takes long needs a threshold of its own (`thresholds`)",
        ));
    }
    if options.claims.is_some() {
        // All claims may be stale: their share says nothing.
        (step.total, step.total_exact) = (None, false);
    }
    task.counted = Some(counted);
    planned.steps.push(task.write(step, facts.dialect())?);
    planned.undo = Some(sweep::undo(options.undo, None, &planned.steps, planning)?);
    Ok(planned)
}

/// Stale jobs in a table where a column, or several, say what they are at.
fn changing(jobs: &Jobs, facts: &mut dyn Facts) -> Result<(Sweep, Counted)> {
    let options = jobs.options;
    let stale = stale(jobs, facts)?;
    let tally =
        Tally { source: jobs.table.name.clone(), key: jobs.id()?.name.clone(), most: options.max_resets };
    let change = Change::of(jobs, &tally, facts.dialect())?;
    let sweep = Sweep {
        id: "recover".to_owned(),
        label: None,
        table: jobs.table.clone(),
        rule: stale.condition,
        unreadable: stale.unreadable,
        facts: stale.facts,
        act: Act::Change(change.reset),
        archive: None,
        dependants: Policy::Restrict,
        relations: Vec::new(),
        triggers: options.triggers,
        undo: options.undo,
        newest: None,
        joins: false,
        joined: None,
        aside: None,
    };
    Ok((sweep, change.counted))
}

fn any(a: Option<Sql>, b: Option<Sql>) -> Option<Sql> {
    match (a, b) {
        (Some(a), Some(b)) => Some(Sql::new("((").add(&a).text(") or (").add(&b).text("))")),
        (a, b) => a.or(b),
    }
}

/// What a stale job becomes.
struct Change {
    /// When it goes back.
    reset: Vec<(String, Sql)>,
    /// When it fails, and for which jobs that is.
    counted: Counted,
}

impl Change {
    fn of(jobs: &Jobs, tally: &Tally, dialect: &dyn Dialect) -> Result<Change> {
        let options = jobs.options;
        let columns = &options.columns;
        let mut reset = jobs.moved_to(State::Pending, dialect)?;
        let mut failed = jobs.moved_to(State::Failed, dialect)?;
        let can_fail = !options.on_fail.is_empty() || !jobs.words(State::Failed).is_empty();
        if jobs.words(State::Pending).is_empty() && options.on_recover.is_empty() {
            return Err(Error::usage(format!(
                "how does a job of `{}` go back to the queue?",
                jobs.table.name
            ))
            .help(
                "say `states = { pending = [\"…\"] }`, or which columns to set: `on_recover = { locked_at = { sql = \"null\" } }`; \
                 for one that moves jobs from table to table: `claims`",
            ));
        }
        let mut also = Vec::new();
        if options.fail_exhausted {
            also.extend(jobs.exhausted()?);
        }
        let counts = jobs.column(&columns.resets)?;
        if let Some(column) = counts {
            let known = Sql::new("coalesce(t.").name(&column.name).text(", 0)");
            also.push(known.clone().text(&format!(" >= {}", options.max_resets)));
            reset.push((column.name.clone(), known.text(" + 1")));
        }
        if let Some(column) = jobs.column(&columns.error)? {
            let [back, over] = messages(jobs, column, dialect)?;
            reset.push((column.name.clone(), back));
            failed.push((column.name.clone(), over));
        }
        jobs.also(&mut reset, &options.on_recover, dialect)?;
        jobs.also(&mut failed, &options.on_fail, dialect)?;
        same_columns(&mut reset, &mut failed);
        let also = Sql::join(&also, " or ");
        let counted = Counted {
            tally: (counts.is_none() && can_fail).then(|| tally.clone()),
            also: (can_fail && !also.is_empty()).then(|| Sql::new("(").add(&also).text(")")),
            spent: failed.into_iter().map(|(_, value)| value).collect(),
            said: ("reset".to_owned(), shown(jobs, tally)),
        };
        Ok(Change { reset, counted })
    }
}

/// Which columns say to which job something was done.
fn shown(jobs: &Jobs, tally: &Tally) -> Vec<String> {
    std::iter::once(tally.key.clone()).chain(jobs.options.columns.function.clone()).collect()
}

/// Gives both the same columns in the same order: what one does not set stays as it is.
fn same_columns(reset: &mut Vec<(String, Sql)>, failed: &mut Vec<(String, Sql)>) {
    let add = |to: &mut Vec<(String, Sql)>, from: &[(String, Sql)]| {
        for (name, _) in from {
            if !to.iter().any(|(known, _)| known == name) {
                to.push((name.clone(), Sql::new("t.").name(name)));
            }
        }
    };
    add(reset, failed);
    add(failed, reset);
    let order: Vec<String> = reset.iter().map(|(name, _)| name.clone()).collect();
    failed.sort_by_key(|(name, _)| order.iter().position(|known| known == name));
}

/// The messages for a job that goes back and for one that fails.
fn messages(jobs: &Jobs, column: &Column, dialect: &dyn Dialect) -> Result<[Sql; 2]> {
    if !matches!(column.family, Family::Text | Family::Any) {
        return Err(Error::usage(format!(
            "`{}` of type `{}` holds no message",
            column.name, column.declared
        ))
        .help("leave `error` out of `columns`, or set the column with `on_recover`"));
    }
    let options = jobs.options;
    let text = |text: String| dialect.inward(column, Value::Text(text));
    let back = |after: &str| format!("Task {after} and was reset to {}", jobs.said(State::Pending));
    let over = |after: &str| format!("Task {after} after {} resets and failed", options.max_resets);
    let after = |age: &Age| -> Result<String> {
        Ok(if options.columns.lease.is_some() {
            "outlived its lease".to_owned()
        } else {
            format!("timed out after {} minutes", minutes(age)?)
        })
    };
    let mut both = [text(back(&after(&options.threshold())?)), text(over(&after(&options.threshold())?))];
    if !options.thresholds.is_empty() && options.columns.lease.is_none() {
        let function = function(jobs)?;
        for (name, age) in options.thresholds.iter().rev() {
            let is = is_function(function, name, dialect);
            both[0] = one_of(&is, &text(back(&after(age)?)), &both[0]);
            both[1] = one_of(&is, &text(over(&after(age)?)), &both[1]);
        }
    }
    if !options.append_error {
        return Ok(both);
    }
    let known = || Sql::new("t.").name(&column.name);
    Ok(both.map(|message| {
        let none = known().text(" is null or ").add(&known()).text(" = ''");
        one_of(&none, &message, &known().text(" || '; ' || ").add(&message))
    }))
}

fn minutes(age: &Age) -> Result<String> {
    let minutes = age.about_seconds()? / 60.0;
    Ok(if minutes.fract() == 0.0 { format!("{minutes:.0}") } else { format!("{minutes:.1}") })
}
