//! From options to a step: which rows, how they are converted, what stands in the way, and what it would look like. Read-only.

use super::options::{FileForm, Into, Options};
use super::path::Path;
use super::program::compose;
use super::sample;
use super::source::{Form, Input, usual_form};
use super::task::{Target, Task, Way};
use super::{checks, rules};
use crate::sweep::{self, Undo};
use engine::undo::not_converted;
use engine::{Error, Finding, Planned, Planning, Result, Step};
use targets::db::{Facts, Family, Generated, Schema, Sql, Table};
use targets::programs::Program;

/// About as many rows go into a batch.
const BATCH: u64 = 5_000;

/// The plan: one step.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let table = schema.find(&options.table)?.clone();
    sweep::check_table(&table)?;
    if let Some(condition) = &options.condition {
        sweep::check_condition(&table, "t", condition, facts)?;
    }
    let mut findings = Vec::new();
    let task = task(options, &schema, &table, facts, planning, &mut findings)?;
    let mut step = step(options, &task, facts, planning)?;
    checks::all(options, &task, &mut findings);
    if let Way::Set { changes, .. } = &task.way {
        checks::expressions(&task, changes, facts, &mut findings)?;
    } else {
        sample::look(&task, &mut step, facts, planning, &mut findings)?;
    }
    step.task = serde_json::to_value(&task)
        .map_err(|error| Error::system("the plan cannot be written").because(error))?;
    let steps = vec![step];
    let undo = sweep::undo(options.undo, None, &steps, planning)?;
    Ok(Planned { undo: Some(undo), steps, findings, ..Planned::default() })
}

fn task(
    options: &Options,
    schema: &Schema,
    table: &Table,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<Task> {
    let leaves: Vec<Table> = schema.leaves(table).into_iter().cloned().collect();
    let key = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
    let remember = options.remembers();
    let needs_key = remember || options.has_program();
    if key.is_empty() && (needs_key || options.undo == Undo::Rows) {
        findings.push(Finding::forbid(
            "no_key",
            &table.name,
            "its rows cannot be told apart, so none could be remembered",
            "give the table a primary key",
        ));
    }
    let rule = match &options.condition {
        // A line end, so that a comment in the condition cannot swallow the bracket.
        Some(condition) => Sql::new("(").add(&Sql::raw(condition)).text("\n)"),
        None => Sql::new("1 = 1"),
    };
    let operation = planning.request.name.clone();
    let left = match remember && !key.is_empty() {
        true => not_converted(facts, &operation, &key)?,
        false => None,
    };
    let condition = match left {
        Some(left) => rule.clone().text(" and ").add(&left),
        None => rule.clone(),
    };
    let walks = leaves.iter().all(|leaf| facts.dialect().walks(leaf));
    let exact_batches = planning.request.manners.batch_size.is_some();
    // Windows of counted rows may begin where the one before ended, and meet a row that failed once more.
    let physical = walks && !remember && (key.is_empty() || !exact_batches);
    let way = match options.has_program() {
        true => by_program(options, schema, table, planning)?,
        false => by_sql(options, table, physical)?,
    };
    Ok(Task { operation, table: table.clone(), leaves, key, condition, rule, exact_batches, remember, way })
}

fn by_sql(options: &Options, table: &Table, physical: bool) -> Result<Way> {
    let mut changes = Vec::new();
    for (name, expression) in &options.set {
        changeable(table, name, "set")?;
        changes.push((name.clone(), Sql::new("(").add(&Sql::raw(expression)).text("\n)")));
    }
    Ok(Way::Set { changes, physical })
}

fn by_program(options: &Options, schema: &Schema, table: &Table, planning: &Planning) -> Result<Way> {
    if table.key.is_some() && !table.children.is_empty() {
        return Err(Error::usage(format!("`{}` is partitioned", table.name))
            .help("convert with `set`, in SQL, or name its partitions one by one"));
    }
    let target = target(options, schema, table)?;
    let text = match (&options.jq, &options.jq_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|error| {
            Error::usage(format!("the jq program `{file}` cannot be read"))
                .help("look at `jq_file`: it is seen from the configuration's folder")
                .because(error)
        })?),
        (None, None) => None,
    };
    let program = Program {
        text: compose(text.as_deref(), &options.columns)?,
        args: options.args.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        now: planning.now.as_microsecond() as f64 / 1e6,
        pretty: options.into == Into::File,
    };
    let inputs = inputs(options, schema, table, text.is_some())?;
    Ok(Way::Program { program, inputs, target, per_value: options.per_value })
}

fn target(options: &Options, schema: &Schema, table: &Table) -> Result<Target> {
    let columns: Vec<String> = options.columns.keys().cloned().collect();
    match options.into {
        Into::Columns => {
            columns.iter().try_for_each(|name| changeable(table, name, "columns"))?;
            Ok(Target::Columns(columns))
        }
        Into::Table => {
            let into = schema.find(options.into_table.as_deref().unwrap_or_default())?.clone();
            sweep::check_table(&into)?;
            for name in &columns {
                into.expect_column(name)?;
            }
            let key = into.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
            let mut defaults = Vec::new();
            for name in key.iter().filter(|name| !columns.contains(name)) {
                let column = into.expect_column(name)?;
                let Some(default) = column.default.clone().filter(|_| !column.identity) else {
                    return Err(Error::usage(format!("rows added to `{}` need their `{name}`", into.name))
                        .help(format!("say `columns.{name}`: it is part of the key and has no default")));
                };
                defaults.push((name.clone(), default));
            }
            let known = into.uniques.iter().map(|unique| unique.columns.clone()).chain([key]);
            let unique =
                known.filter(|list| !list.is_empty() && list.iter().all(|name| columns.contains(name)));
            Ok(Target::Table { unique: unique.collect(), table: Box::new(into), columns, defaults })
        }
        Into::File => Ok(Target::File {
            store: options.store.clone().unwrap_or_default(),
            path: path(options, table)?,
            text: options.file_form == FileForm::Text,
            replace: options.existing == super::options::Existing::Replace,
        }),
    }
}

fn path(options: &Options, table: &Table) -> Result<Path> {
    let path = Path::read(options.file.as_deref().unwrap_or_default(), table, &options.args)?;
    if options.per_value && !path.is_numbered() {
        return Err(Error::usage("the values of a row would all have the same file")
            .help("put `{$n}`, the number of the value, into `file`"));
    }
    Ok(path)
}

/// Refuses a column that the database computes, or by which rows are told apart.
fn changeable(table: &Table, name: &str, option: &str) -> Result<()> {
    let column = table.expect_column(name)?;
    let wrong = |why: &str, help: &str| Err(Error::usage(format!("`{option}.{name}`: {why}")).help(help));
    if column.generated != Generated::No {
        return wrong("the database computes this column", "set the columns that it is computed from");
    }
    if table.key.as_ref().is_some_and(|key| key.columns.iter().any(|own| own == name)) {
        return wrong("by this column rows are told apart", "write into another column");
    }
    Ok(())
}

/// What the program gets.
fn inputs(options: &Options, schema: &Schema, table: &Table, has_text: bool) -> Result<Vec<Input>> {
    let mut read = Vec::new();
    for (column, said) in &options.columns {
        read.push((column, rules::read(column, said)?));
    }
    let all_rules = !has_text && read.iter().all(|(_, making)| matches!(making, rules::Making::Rule(_)));
    let mut names: Vec<String> = options.input.clone();
    if names.is_empty() && !all_rules {
        let usual = table.columns.iter().filter(|column| column.family != Family::Blob);
        names.extend(usual.map(|column| column.name.clone()));
    }
    for (column, making) in &read {
        let rules::Making::Rule(rule) = making else { continue };
        let source = rule.source(column).to_owned();
        if !names.contains(&source) {
            names.push(source);
        }
    }
    if let Some(name) = options.parse.iter().chain(&options.text).find(|name| !names.contains(name)) {
        return Err(Error::usage(format!("`{name}` is not among the columns that the program gets"))
            .help("add it to `input`"));
    }
    let mut inputs = Vec::new();
    for name in names {
        let column = table.expect_column(&name)?;
        let form = if options.text.contains(&name) {
            Form::Text { in_json: column.family == Family::Json }
        } else if options.parse.contains(&name) {
            Form::Json
        } else {
            usual_form(column.family)
        };
        inputs.push(Input { name, column: Some(column.name.clone()), expression: None, form });
    }
    for (column, making) in &read {
        let rules::Making::Rule(rule) = making else { continue };
        let Some(lookup) = &rule.lookup else { continue };
        let source = table.expect_column(rule.source(column))?;
        let expression = Some(lookup.value(&source.name, schema)?);
        inputs.push(Input { name: rules::looked_up(column), column: None, expression, form: Form::Plain });
    }
    Ok(inputs)
}

fn step(options: &Options, task: &Task, facts: &mut dyn Facts, planning: &Planning) -> Result<Step> {
    let count = |condition: &Sql| {
        Sql::new("select count(*) from ").table(&task.table.name).text(" as t where ").add(condition)
    };
    let matched = facts.count(&count(&task.condition))?;
    let mut said = Vec::new();
    if let Some(condition) = &options.condition {
        said.push(("where".to_owned(), condition.clone()));
    }
    if task.condition != task.rule {
        let before = facts.count(&count(&task.rule))?.saturating_sub(matched);
        said.push(("converted before".to_owned(), before.to_string()));
    }
    let (way, statement) = match &task.way {
        Way::Set { changes, physical } => {
            let set: Vec<String> = changes
                .iter()
                .map(|(name, value)| format!("{name} = {}", value.shown().replace("\n)", ")")))
                .collect();
            let way = if *physical { "in physical order, in SQL" } else { "in the order of the key, in SQL" };
            let set = set.join(", ");
            (
                way,
                format!(
                    "update {} as t set {set} where {}",
                    task.table.name.quoted(),
                    task.condition.shown()
                ),
            )
        }
        Way::Program { target, program, .. } => {
            let into = match target {
                Target::Columns(columns) => format!("columns {}", columns.join(", ")),
                Target::Table { table, columns, .. } => format!("{} ({})", table.name, columns.join(", ")),
                Target::File { store, .. } => {
                    format!("{store}/{}", options.file.as_deref().unwrap_or_default())
                }
            };
            said.push(("into".to_owned(), into));
            said.push(("program".to_owned(), super::made::shortened(&program.text)));
            let statement =
                format!("select … from {} as t where {}", task.table.name.quoted(), task.condition.shown());
            ("in the order of the key, each row by the jq program", statement)
        }
    };
    Ok(Step {
        id: task.table.name.to_string(),
        label: task.table.name.to_string(),
        action: "convert".to_owned(),
        object: task.table.name.to_string(),
        matched,
        exact: true,
        // A share of the table is no reason to worry: a conversion mostly is about all of it.
        total: None,
        batches: matched.div_ceil(planning.request.manners.batch_size.unwrap_or(BATCH)).max(1),
        way: way.to_owned(),
        statements: vec![statement],
        facts: said,
        ..Step::default()
    })
}
