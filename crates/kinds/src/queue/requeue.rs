//! `action = "requeue"`: failed jobs with attempts left are tried again, each later than the time before.
//!
//! The wait is base · 2^attempts, with a limit; what was put back is pending, so a second run finds nothing to do.

use super::jobs::{Jobs, State};
use super::options::Options;
use crate::sweep::{self, Act, Policy, Sweep, one_of};
use engine::{Error, Planned, Planning, Result};
use jiff::SignedDuration;
use targets::db::{Column, Dialect, Facts, Sql};

/// Waits double at most this often.
const MOST_DOUBLINGS: u32 = 40;
/// The last sign of an id, by which waits are spread: reproducible, and even for numbers as for random ids.
const SIGNS: &str = "0123456789abcdef";

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let jobs = Jobs::find(options, &schema, planning)?;
    let failed = jobs.must_be(State::Failed, facts)?;
    let Some(exhausted) = jobs.exhausted()? else {
        return Err(Error::usage(format!("how often may a job of `{}` be tried?", jobs.table.name))
            .help("say `columns = { attempts = \"…\", limit = \"…\" }`, or `attempts_limit = 5`"));
    };
    let mut set = jobs.moved_to(State::Pending, facts.dialect())?;
    let mut shown = vec![("with".to_owned(), "attempts left".to_owned())];
    if let Some(column) = jobs.column(&options.columns.run_after)? {
        set.push((column.name.clone(), run_after(&jobs, column, facts.dialect())?));
        let spread =
            if options.jitter > 0.0 { format!(", spread by {}", options.jitter) } else { String::new() };
        shown.push((
            "wait".to_owned(),
            format!("{} · 2^attempts, at most {}{spread}", options.backoff.0, options.backoff_limit.0),
        ));
    }
    jobs.also(&mut set, &options.on_requeue, facts.dialect())?;
    if jobs.words(State::Pending).is_empty() && options.on_requeue.is_empty() {
        return Err(Error::usage(format!("how is a job of `{}` tried again?", jobs.table.name))
            .help("say which columns to set: `on_requeue = { failed_at = { sql = \"null\" } }`"));
    }
    let mut planned = Planned::default();
    let sweep = Sweep {
        id: "requeue".to_owned(),
        label: None,
        table: jobs.table.clone(),
        rule: failed.text(" and not (").add(&exhausted).text(")"),
        unreadable: None,
        facts: shown,
        act: Act::Change(set),
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
    let (step, task) = sweep::plan(&sweep, &schema, facts, planning, &mut planned.findings)?;
    planned.steps.push(task.write(step, facts.dialect())?);
    planned.undo = Some(sweep::undo(options.undo, None, &planned.steps, planning)?);
    Ok(planned)
}

/// The moments, one for each number of attempts, as constants: no arithmetic on times, which each database does in its
/// own way.
fn run_after(jobs: &Jobs, column: &Column, dialect: &dyn Dialect) -> Result<Sql> {
    let options = jobs.options;
    let attempts = jobs.column(&options.columns.attempts)?;
    let (base, limit) = (options.backoff.about_seconds()?, options.backoff_limit.about_seconds()?);
    let mut waits = vec![];
    for doublings in 0..MOST_DOUBLINGS {
        let wait = base * f64::from(doublings).exp2();
        waits.push(wait.min(limit));
        if wait >= limit {
            break;
        }
    }
    let at = |seconds: f64| {
        let later = jobs.now.saturating_add(SignedDuration::from_millis((seconds * 1000.0) as i64));
        jobs.moment(later.unwrap_or(jobs.now), column, dialect)
    };
    let spread = |seconds: f64| -> Result<Sql> {
        if options.jitter <= 0.0 {
            return Ok(at(seconds));
        }
        let id = Sql::new("cast(t.").name(&jobs.id()?.name).text(" as text)");
        let last = Sql::new("lower(substr(").add(&id).text(", length(").add(&id).text("), 1))");
        let mut slots = at(seconds);
        for (n, sign) in SIGNS.chars().enumerate() {
            let share = options.jitter * (n as f64 + 1.0) / SIGNS.len() as f64;
            let is = last.clone().text(&format!(" = '{sign}'"));
            slots = one_of(&is, &at(seconds * (1.0 + share)), &slots);
        }
        Ok(slots)
    };
    let mut all = spread(waits.last().copied().unwrap_or(base))?;
    if let Some(attempts) = attempts {
        for (doublings, wait) in waits.iter().enumerate().rev().skip(1) {
            let is = Sql::new("t.").name(&attempts.name).text(&format!(" <= {doublings}"));
            all = one_of(&is, &spread(*wait)?, &all);
        }
    }
    Ok(all)
}
