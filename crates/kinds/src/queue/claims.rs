//! Queues that say what a job is at by a table of its own for each state: a job that goes back to the queue leaves one
//! and enters another.
//!
//! The row that says that a job is worked on goes, and a row that says that it waits comes, in one transaction. A job that ended, or
//! waits or failed already, is left alone, whatever else says that it is worked on.

use super::jobs::{Jobs, State};
use super::recover::{Stale, by_worker};
use crate::sweep::{self, Act, Counted, Onward, Policy, Setting, Sweep};
use engine::undo::Tally;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::{Dialect, Facts, Sql, Table};

/// Running jobs in a table of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// The table with a row for each running job.
    pub table: String,
    /// The column that names the job.
    pub job_column: String,
    /// When a worker took the job: it says how old a claim is where workers have no heartbeat.
    pub at: String,
    /// Where a job waits that goes back.
    pub pending: Entry,
    /// Where a job is that was put back too often. Without it, it is put back again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Entry>,
}

/// A row that says what a job is at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// The table.
    pub table: String,
    /// The column that names the job.
    pub job_column: String,
    /// Its other columns, such as `{ queue_name = { sql = "j.queue_name" }, created_at = "now" }`. `now` stands for the moment
    /// of the run, `sql` for an expression over the aliases `t` (the claim) and `j` (the job).
    pub set: BTreeMap<String, Json>,
}

/// Which claims are stale.
pub fn stale<'a>(jobs: &Jobs<'a>, claims: &Claims, facts: &mut dyn Facts) -> Result<(&'a Table, Stale)> {
    let running = jobs.must_be(State::Running, facts)?;
    let dialect = facts.dialect();
    let table = jobs.schema.find(&claims.table)?;
    let job = || Ok::<_, Error>(Sql::new("t.").name(&table.expect_column(&claims.job_column)?.name));
    let mut condition = job()?
        .text(" in (select t.")
        .name(&jobs.id()?.name)
        .text(" from ")
        .table(&jobs.table.name)
        .text(" as t where ")
        .add(&running)
        .text(")");
    for entry in std::iter::once(&claims.pending).chain(&claims.failed) {
        let there = jobs.schema.find(&entry.table)?;
        condition = condition
            .text(" and not exists (select 1 from ")
            .table(&there.name)
            .text(" as e where e.")
            .name(&there.expect_column(&entry.job_column)?.name)
            .text(" = ")
            .add(&job()?)
            .text(")");
    }
    if let Some(workers) = &jobs.options.workers {
        return Ok((table, by_worker(jobs, workers, table, condition, dialect)?));
    }
    let threshold = jobs.options.threshold();
    let test = jobs.older(table.expect_column(&claims.at)?, &threshold, dialect)?;
    Ok((
        table,
        Stale {
            unreadable: test.unreadable.map(|unreadable| condition.clone().text(" and ").add(&unreadable)),
            condition: condition.text(" and ").add(&test.older),
            facts: vec![("stale".to_owned(), format!("claimed more than {} ago", threshold.0))],
        },
    ))
}

/// What is to be done with stale claims, and how it is counted.
pub fn sweep(jobs: &Jobs, claims: &Claims, facts: &mut dyn Facts) -> Result<(Sweep, Counted)> {
    let (table, stale) = stale(jobs, claims, facts)?;
    let dialect = facts.dialect();
    let mut onward = vec![way(jobs, claims, table, &claims.pending, false, dialect)?];
    if let Some(failed) = &claims.failed {
        onward.push(way(jobs, claims, table, failed, true, dialect)?);
    }
    let tally = Tally {
        source: table.name.clone(),
        key: table.expect_column(&claims.job_column)?.name.clone(),
        most: jobs.options.max_resets,
    };
    let counted = Counted {
        said: ("reset".to_owned(), vec![tally.key.clone()]),
        tally: claims.failed.is_some().then_some(tally),
        also: None,
        spent: Vec::new(),
    };
    let sweep = Sweep {
        id: "recover".to_owned(),
        label: None,
        table: table.clone(),
        rule: stale.condition,
        unreadable: stale.unreadable,
        facts: stale.facts,
        act: Act::Move(onward),
        archive: None,
        dependants: Policy::Restrict,
        relations: Vec::new(),
        triggers: jobs.options.triggers,
        undo: jobs.options.undo,
        newest: None,
        joins: false,
        joined: None,
        aside: None,
    };
    Ok((sweep, counted))
}

/// How a claim becomes a row of another table.
fn way(
    jobs: &Jobs,
    claims: &Claims,
    from: &Table,
    entry: &Entry,
    spent: bool,
    dialect: &dyn Dialect,
) -> Result<Onward> {
    let table = jobs.schema.find(&entry.table)?;
    sweep::check_table(table)?;
    let setting = Setting { table, now: jobs.now, unit: jobs.options.epoch_unit, zone: &jobs.zone, dialect };
    let job = Sql::new("t.").name(&from.expect_column(&claims.job_column)?.name);
    let mut all = vec![(table.expect_column(&entry.job_column)?.name.clone(), job.clone())];
    all.extend(setting.all(&entry.set)?);
    for name in table.key.iter().flat_map(|key| &key.columns) {
        if all.iter().any(|(known, _)| known == name) {
            continue;
        }
        let key = dialect.new_key(table, table.expect_column(name)?).ok_or_else(|| {
            Error::usage(format!("nothing says which `{name}` a new row of `{}` has", table.name))
                .help(format!("say `set = {{ {name} = {{ sql = \"…\" }} }}`"))
        })?;
        all.push((name.clone(), key));
    }
    let (columns, values): (Vec<String>, Vec<Sql>) = all.into_iter().unzip();
    let select = Sql::new("select ")
        .add(&Sql::join(&values, ", "))
        .text(" from ")
        .table(&from.name)
        .text(" as t join ")
        .table(&jobs.table.name)
        .text(" as j on j.")
        .name(&jobs.id()?.name)
        .text(" = ")
        .add(&job)
        .text(" where ");
    Ok(Onward { table: table.clone(), columns, select, spent })
}
