//! From targets to steps: the rules of each become a sweep. Read-only.

use super::bulk;
use super::earlier::Earlier;
use super::mark::{self, marks};
use super::options::{Action, Options, Target};
use super::rows::which;
use crate::sweep::{self, Act, Policy, Sweep, Undo};
use engine::words::{either, rows};
use engine::{Class, Error, Finding, Planned, Planning, Result, Step};
use targets::db::{EpochUnit, Facts, Family, Schema, Sql, Table};

/// From so many rows on, a column without one readable time is the wrong one.
const MANY: u64 = 100;
/// So many of the doomed rows are looked at for doubtful times.
const SAMPLE: i64 = 100;
const EIGHTIES: jiff::Timestamp = jiff::Timestamp::constant(315_532_800, 0);

/// The least size of a batch that must look through the whole table first.
const RANKED: u64 = 20_000;

/// The plan of all targets.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let targets = options.all_targets();
    if targets.is_empty() {
        return Err(Error::usage("a purge needs a table").help("say `table = \"…\"`, or `--table`"));
    }
    let schema = facts.schema()?;
    let mut planned = Planned::default();
    let mut earlier = Earlier::default();
    for target in &targets {
        let step =
            plan_target(options, target, &schema, facts, planning, &mut planned.findings, &mut earlier)?;
        if planned.steps.iter().any(|other| other.id == step.id) {
            return Err(Error::usage(format!("two targets have the id `{}`", step.id))
                .help("give one of them an `id`"));
        }
        planned.steps.push(step);
    }
    let archive = targets.iter().find_map(|target| target.archive.clone());
    planned.undo = Some(sweep::undo(options.undo, archive, &planned.steps, planning)?);
    Ok(planned)
}

fn plan_target(
    options: &Options,
    target: &Target,
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
    earlier: &mut Earlier,
) -> Result<Step> {
    let table = schema.find(&target.table)?.clone();
    sweep::check_table(&table)?;
    let rule = which(target, &table, facts, planning)?;
    if let Some(condition) = &rule.raw {
        sweep::check_condition(&table, "t", condition, facts)?;
    }
    let mark = marks(target, &table, planning)?;
    mark::check(&table, &mark, facts)?;
    let act = match target.action {
        Action::Delete => Act::Delete,
        Action::Mark => Act::Mark(inward(&table, &mark, facts)?),
    };
    let dependants = match (options.undo, target.dependants) {
        (Undo::Archive, Policy::Cascade) => Policy::Archive,
        (_, dependants) => dependants,
    };
    let mut newest = rule.newest;
    if let Some(newest) = &mut newest {
        newest.rest = earlier.narrow(target, &table, newest.rest.clone(), &mut Vec::new());
        let manners = &planning.request.manners;
        newest.at_least = if manners.batch_size.or(manners.max_rows).is_some() { 1 } else { RANKED };
    }
    let sweep = Sweep {
        id: target.id.clone().unwrap_or_else(|| table.name.to_string()),
        label: target.label.clone(),
        rule: earlier.narrow(target, &table, rule.condition, findings),
        joins: false,
        joined: None,
        newest,
        unreadable: rule.unreadable,
        facts: rule.facts,
        act,
        archive: target.archive.clone().map(|store| (store, target.archive_format)),
        aside: None,
        dependants,
        relations: target.relations.clone(),
        triggers: target.triggers,
        undo: options.undo,
        table,
    };
    // A condition that can be read may still fail on the rows.
    let planned = sweep::plan(&sweep, schema, facts, planning, findings);
    let (mut step, mut task) = planned.map_err(|error| match (&rule.raw, error.class) {
        (Some(condition), Class::Data) => sweep::about_condition(&sweep.table, condition, error),
        _ => error,
    })?;
    earlier.note(target, &sweep.table, &task.rule, &mark, facts.dialect());
    check_ages(target, &sweep.table, &step, findings)?;
    check_numbers(target, &sweep.table, &step, &task.rule, facts, findings)?;
    check_clock(target, &sweep.table, &step, facts, planning, findings)?;
    bulk::choose(options, target, &mut step, &mut task, facts)?;
    if task.refill || !task.drop.is_empty() {
        sweep::check_owner(&sweep.table, findings);
    }
    step.exact &= !earlier.takes_along(&sweep.table.name);
    earlier.note_children(&task.children);
    task.write(step, facts.dialect())
}

/// The new values as expressions of the database.
fn inward(
    table: &Table,
    values: &[(String, targets::db::Value)],
    facts: &dyn Facts,
) -> Result<Vec<(String, Sql)>> {
    let mut all = Vec::new();
    for (name, value) in values {
        all.push((name.clone(), facts.dialect().inward(table.expect_column(name)?, value.clone())));
    }
    Ok(all)
}

/// A column of which most values are no time is the wrong one, or counts in another unit: nothing would ever go. Of many
/// values not one: that is a mistake.
fn check_ages(target: &Target, table: &Table, step: &Step, findings: &mut Vec<Finding>) -> Result<()> {
    let Some(column) = target.age_column.as_ref().or(target.expires.as_ref()) else { return Ok(()) };
    let total = step.total.unwrap_or(0);
    if step.unreadable == 0 || step.unreadable.saturating_mul(2) < total {
        return Ok(());
    }
    if step.unreadable >= total && total >= MANY {
        return Err(Error::usage(format!("`{column}` of `{}` holds no time that can be read", table.name))
            .help("name another column, or say how to read this one: `epoch_unit`, `zone`"));
    }
    findings.push(Finding::warning(
        "unreadable_ages",
        &table.name,
        format!(
            "{} {} because `{column}` holds no time that can be read",
            rows(step.unreadable),
            either(step.unreadable, "stays", "stay")
        ),
        "name another column, or say how to read this one: `epoch_unit`, `zone`",
    ));
    Ok(())
}

/// Where nothing else tells that time has passed, rows that came since then do; a clock that went ahead has none (W-124).
fn check_clock(
    target: &Target,
    table: &Table,
    step: &Step,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Some(since) = planning.quiet_since else { return Ok(()) };
    let Some(name) = target.age_column.as_ref().or(target.expires.as_ref()) else { return Ok(()) };
    if step.matched == 0 {
        return Ok(());
    }
    let zone = engine::age::zone(target.zone.as_deref().unwrap_or("UTC"))?;
    let column = table.expect_column(name)?;
    let age = facts.dialect().age(column, target.epoch_unit, &engine::age::cutoff(since, &zone))?;
    let newer = Sql::new("select count(*) from (select 1 from ")
        .table(&table.name)
        .text(" as t where ")
        .add(&age.instant)
        .text(" is not null and (")
        .add(&age.older)
        .text(") is not true limit 1) as newer");
    if facts.count(&newer)? == 0 {
        let days = planning.now.duration_since(since).as_hours() / 24;
        findings.push(Finding::refuse(
            "clock",
            &table.name,
            format!("`{name}` has no time of the last {days} days, in which nothing was run either"),
            "look whether the clock of this machine is right, because ages are measured from it; if it is, allow the run \
             once with `--force`",
        ));
    }
    Ok(())
}

/// Numbers that would be times of the seventies are most likely a key or a count, by which every row is too old (W-124).
fn check_numbers(
    target: &Target,
    table: &Table,
    step: &Step,
    rule: &Sql,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Some(name) = target.age_column.as_ref().or(target.expires.as_ref()) else { return Ok(()) };
    let column = table.expect_column(name)?;
    let number = matches!(column.family, Family::Integer | Family::Real | Family::Numeric);
    if !number || target.epoch_unit != EpochUnit::Auto || step.matched == 0 {
        return Ok(());
    }
    let eighties = engine::age::cutoff(EIGHTIES, &jiff::tz::TimeZone::UTC);
    let before = facts.dialect().age(column, target.epoch_unit, &eighties)?.older;
    let some = Sql::new("select * from ").table(&table.name).text(" as t where ").add(rule);
    let later = Sql::new("select count(*) from (")
        .add(&some.text(" limit ").bind(SAMPLE))
        .text(") as t where not (")
        .add(&before)
        .text(")");
    if facts.count(&later)? == 0 {
        findings.push(Finding::refuse(
            "doubtful_ages",
            &table.name,
            format!("the numbers in `{name}` would be times of before 1980"),
            "name another column; if they are times, say what they count: `epoch_unit = \"seconds\"`",
        ));
    }
    Ok(())
}
