//! A script of the user's own makes the tables of the target.
//!
//! To see what it makes, the plan runs it in a database that is thrown away; the run does it as its first step, in one transaction. Where
//! the tables are there already, the script was run before, and is passed over.

use super::existing;
use super::options::Options;
use super::task::Task;
use super::{extensions, plan, source, steps};
use crate::migrate::model::Statement;
use crate::migrate::script::{Language, split};
use engine::{Error, Finding, Planned, Planning, Result, Work};
use std::path::Path;
use std::sync::Arc;
use targets::db::{Database, Dumping, Facts, Limits, Sql, TableName};

/// The plan of a transfer into the tables that the script makes.
pub fn plan(options: &Options, file: &str, target: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let statements = read(file, target)?;
    let inner = Options { existing: true, schema_file: None, ..options.clone() };
    let own = source::read(planning.stores.database(&options.source)?.read()?.as_mut())?;
    let schema = target.schema()?;
    let (there, missing) = existing::there(&own, &inner, &schema);
    if missing.is_empty() {
        return plan::plan(&inner, target, planning);
    }
    if let (Some(one), Some(other)) = (there.first(), missing.first()) {
        return Err(Error::usage(format!("the target has a table for `{one}`, and none for `{other}`"))
            .help(format!(
                "`{file}` was run in part: empty the schema, or run it whole and leave `schema_file` out"
            )));
    }
    let database = planning.databases.database(&planning.request.database)?;
    let (tables, mut planned) = looked_at(&inner, &statements, file, database.as_ref(), planning)?;
    let statements: Vec<String> = statements.into_iter().map(|statement| statement.sql).collect();
    let task = Task::Script { tables, statements: statements.clone() };
    let label = format!("the tables of {file}");
    let first = steps::of_script("script", &label, options.into(), statements, &task)?;
    if !planned.steps.is_empty() {
        // what changes in the source is written down before anything is made
        let at = planned.steps.iter().position(|step| step.action != "capture").unwrap_or(0);
        planned.steps.insert(at, first);
    }
    Ok(planned)
}

fn read(file: &str, target: &dyn Facts) -> Result<Vec<Statement>> {
    let wrong = |why: String, help: &str| Error::usage(format!("the script `{file}` {why}")).help(help);
    let text = std::fs::read_to_string(Path::new(file))
        .map_err(|error| wrong("cannot be read".to_owned(), "correct `schema_file`").because(error))?;
    let statements = split(&text, Language::of(target.dialect())).map_err(|problem| {
        let line = problem.line.map(|line| format!(", line {line}")).unwrap_or_default();
        wrong(format!("is not understood{line}: {}", problem.what), &problem.help)
    })?;
    if let Some(outside) = statements.iter().find(|statement| statement.outside.is_some()) {
        let why = format!("has a statement that no transaction holds, line {}", outside.line);
        return Err(wrong(why, "leave it out, and run it after the transfer"));
    }
    match statements.is_empty() {
        true => Err(wrong("holds no statement".to_owned(), "correct `schema_file`")),
        false => Ok(statements),
    }
}

/// Runs the script where nobody is, and plans as if it had been run in the target: the tables that it makes, and the plan.
fn looked_at(
    options: &Options,
    statements: &[Statement],
    file: &str,
    database: &dyn Database,
    planning: &Planning,
) -> Result<(Vec<TableName>, Planned)> {
    let copies = database.copies();
    let id = format!("{}_{}", std::process::id(), planning.now.as_nanosecond());
    let name = copies.scratch_name(&Dumping::default(), &id);
    let blank: Arc<dyn Database> = copies.blank(&Dumping::default(), &name).map_err(|error| {
        error
            .while_doing(&format!("making a database in which `{file}` is tried"))
            .help("let this user make databases (`createdb`), or run the script yourself and say `existing`")
    })?;
    let outcome = tried(options, statements, file, blank.as_ref(), planning);
    drop(blank);
    let gone = copies.discard(&name);
    let (tables, mut planned) = outcome?;
    if let Err(error) = gone {
        let how = format!("drop it: `drop database \"{name}\"`");
        planned.findings.push(Finding::warning("left_behind", &name, error.to_string(), how));
    }
    Ok((tables, planned))
}

fn tried(
    options: &Options,
    statements: &[Statement],
    file: &str,
    blank: &dyn Database,
    planning: &Planning,
) -> Result<(Vec<TableName>, Planned)> {
    let mut session = blank.open()?;
    let mut tx = session.begin(&Limits::default())?;
    for statement in statements {
        tx.execute(&Sql::raw(&statement.sql))
            .map_err(extensions::named)
            .map_err(|error| error.while_doing(&format!("trying `{file}`, line {}", statement.line)))?;
    }
    tx.commit()?;
    drop(session);
    let mut facts = blank.read()?;
    let tables = facts.schema()?.tables.into_iter().map(|table| table.name).collect();
    let planned = plan::plan(options, facts.as_mut(), planning)?;
    Ok((tables, planned))
}

/// Makes the tables, where they are not there.
pub fn act(tables: &[TableName], statements: &[String], work: &mut Work) -> Result<()> {
    let mut there = 0;
    for table in tables {
        there += work.count(&work.dialect().exists(table))?.min(1);
    }
    if there == tables.len() as u64 && there > 0 {
        return Ok(());
    }
    statements.iter().try_for_each(|statement| work.statement(statement).map(drop))
}
