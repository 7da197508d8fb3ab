//! `action = "prune"`: old jobs are deleted, rule by rule, with undo.
//!
//! Every rule has an age. A job that satisfies several rules goes by the first.

use super::jobs::{Jobs, State};
use super::options::{Options, Rule};
use crate::sweep::{self, Act, Sweep};
use engine::age::Age;
use engine::{Error, Planned, Planning, Result};
use targets::db::{Dialect, Facts, Sql};

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let jobs = Jobs::find(options, &schema, planning)?;
    let mut planned = Planned::default();
    let mut earlier: Vec<Sql> = Vec::new();
    for rule in &options.prune {
        let (mut condition, state) = jobs.of_rule(rule, facts)?;
        let age = match options.retention_days {
            Some(days) if state == Some(State::Completed) && days.fract() == 0.0 => {
                Age(format!("{:.0} hours", days * 24.0))
            }
            Some(days) if state == Some(State::Completed) => Age(format!("{:.0} seconds", days * 86_400.0)),
            _ => rule.older_than.clone().unwrap_or_else(|| Age("7 days".to_owned())),
        };
        let old = old(&jobs, rule, &age, facts.dialect())?;
        condition = condition.text(" and ").add(&old.condition);
        let mut shown = vec![("state".to_owned(), rule.state.clone()), ("cut-off".to_owned(), old.said)];
        if rule.exhausted {
            let Some(exhausted) = jobs.exhausted()? else {
                return Err(Error::usage(format!(
                    "nothing says which jobs of `{}` have no attempts left",
                    jobs.table.name
                ))
                .help("say `columns = { attempts = \"…\", limit = \"…\" }`, or `attempts_limit = 5`"));
            };
            condition = condition.text(" and ").add(&exhausted);
            shown.push(("and".to_owned(), "no attempts left".to_owned()));
        }
        if let Some(raw) = &rule.condition {
            sweep::check_condition(jobs.table, "t", raw, facts)?;
            condition = condition.text(" and (").add(&Sql::raw(raw)).text("\n)");
            shown.push(("where".to_owned(), raw.clone()));
        }
        let own = condition.clone();
        for gone in &earlier {
            condition = condition.text(" and (").add(gone).text(") is not true");
        }
        earlier.push(own);
        let number = planned.steps.iter().filter(|step| step.label == rule.state).count();
        let sweep = Sweep {
            id: if number == 0 { rule.state.clone() } else { format!("{} {}", rule.state, number + 1) },
            label: Some(rule.state.clone()),
            table: jobs.table.clone(),
            rule: condition,
            unreadable: old.unreadable,
            facts: shown,
            act: Act::Delete,
            archive: None,
            dependants: options.dependants,
            relations: there(&jobs),
            triggers: options.triggers,
            undo: options.undo,
            newest: None,
            joins: false,
            joined: None,
            aside: None,
        };
        let (step, task) = sweep::plan(&sweep, &schema, facts, planning, &mut planned.findings)?;
        planned.steps.push(task.write(step, facts.dialect())?);
    }
    planned.undo = Some(sweep::undo(options.undo, None, &planned.steps, planning)?);
    Ok(planned)
}

/// Relations of a preset to tables that an older version of the queue does not have are left out.
fn there(jobs: &Jobs) -> Vec<sweep::Relation> {
    let options = jobs.options;
    let known =
        |relation: &&sweep::Relation| options.preset.is_none() || jobs.schema.find(&relation.table).is_ok();
    options.relations.iter().filter(known).cloned().collect()
}

struct Old {
    condition: Sql,
    unreadable: Option<Sql>,
    said: String,
}

fn old(jobs: &Jobs, rule: &Rule, age: &Age, dialect: &dyn Dialect) -> Result<Old> {
    let columns = &jobs.options.columns;
    let moment = age.before(jobs.now)?.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let named = [&rule.age_column, &columns.finished, &columns.updated, &columns.created];
    let by_column = || named.into_iter().find(|name| name.is_some());
    if let (Some(events), None) = (&jobs.options.events, &rule.age_column) {
        let table = jobs.schema.find(&events.table)?;
        let at = table.expect_column(&events.at)?;
        let job = table.expect_column(&events.job_column)?;
        let of_jobs = || {
            Sql::new("(select t.")
                .name(&job.name)
                .text(" from ")
                .table(&table.name)
                .text(" as t where t.")
                .name(&job.name)
        };
        let id = Sql::new("t.").name(&jobs.id()?.name);
        let newer =
            of_jobs().text(" is not null and not (").add(&jobs.older(at, age, dialect)?.older).text("))");
        return Ok(Old {
            condition: id
                .clone()
                .text(" not in ")
                .add(&newer)
                .text(" and ")
                .add(&id)
                .text(" in ")
                .add(&of_jobs())
                .text(" is not null)"),
            unreadable: None,
            said: format!("last `{}` before {moment} ({} ago)", events.at, age.0),
        });
    }
    let Some(column) = by_column().map(|name| jobs.column(name)).transpose()?.flatten() else {
        return Err(Error::usage(format!("nothing says how old jobs of `{}` are", jobs.table.name))
            .help("say `columns = { finished = \"…\" }`, or `age_column` in the rule"));
    };
    let test = jobs.older(column, age, dialect)?;
    Ok(Old {
        condition: test.older,
        unreadable: test.unreadable,
        said: format!("{} before {moment} ({} ago)", column.name, age.0),
    })
}
