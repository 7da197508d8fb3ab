//! The steps of a transfer, in their order, and what the plan tells of the tables.

use super::design::Design;
use super::existing::Demands;
use super::look::Size;
use super::options::{Options, Proof};
use super::script;
use super::task::{Building, Carry, Task};
use engine::{Error, Result, Step};
use serde_json::json;
use std::collections::HashMap;
use targets::db::quote;

fn step(
    id: &str,
    label: String,
    action: &str,
    object: String,
    statements: Vec<String>,
    task: &Task,
) -> Result<Step> {
    let task = serde_json::to_value(task)
        .map_err(|error| Error::system("the plan of a transfer cannot be kept").because(error))?;
    Ok(Step {
        id: id.to_owned(),
        label,
        action: action.to_owned(),
        object,
        batches: 1,
        statements,
        task,
        ..Step::default()
    })
}

/// Statements in one transaction, where there are any.
fn statements(id: &str, label: &str, schema: &str, sql: Vec<String>) -> Result<Option<Step>> {
    if sql.is_empty() {
        return Ok(None);
    }
    step(id, label.to_owned(), id, schema.to_owned(), sql.clone(), &Task::Statements(sql)).map(Some)
}

/// Tables are made, filled, indexed and bound together.
pub fn into_new(
    options: &Options,
    design: &Design,
    carries: Vec<Carry>,
    sizes: &HashMap<String, Size>,
) -> Result<Vec<Step>> {
    let schema = options.into();
    let mut made = Vec::new();
    if schema != "public" {
        made.push(format!("create schema if not exists {}", quote(schema)));
    }
    made.extend(design.tables.iter().map(script::create));
    let mut steps = vec![begin("make", "the tables", schema, true, &carries, made)?];
    steps.extend(loads(options, &carries, sizes)?);
    steps.extend(indexes(design, schema, sizes)?);
    let references: Vec<_> = design.tables.iter().flat_map(|table| table.references.clone()).collect();
    if !references.is_empty() {
        let add = references.iter().map(|reference| reference.add.clone()).collect();
        steps.extend(statements("declare", "the references", schema, add)?);
        let shown = references.iter().map(|reference| reference.validate.clone()).collect();
        let label = "the references hold".to_owned();
        let task = Task::References(references);
        steps.push(step("validate", label, "validate", schema.to_owned(), shown, &task)?);
    }
    let mut last: Vec<String> = design.tables.iter().filter_map(script::sequence).collect();
    last.extend(design.tables.iter().map(|table| format!("analyze {}", table.name.quoted())));
    steps.extend(statements("finish", "sequences and statistics", schema, last)?);
    steps.extend(comparisons(options, carries)?);
    Ok(steps)
}

/// Tables that are there are filled.
pub fn into_existing(
    options: &Options,
    design: &Design,
    demands: &Demands,
    carries: Vec<Carry>,
    sizes: &HashMap<String, Size>,
) -> Result<Vec<Step>> {
    let schema = options.into();
    let release = "references that rows would break while they come";
    let mut steps = vec![begin("release", release, schema, false, &carries, demands.release.clone())?];
    steps.extend(loads(options, &carries, sizes)?);
    steps.extend(statements("restore", "the same references again", schema, demands.restore.clone())?);
    let mut last = demands.sequences.clone();
    last.extend(design.tables.iter().map(|table| format!("analyze {}", table.name.quoted())));
    steps.extend(statements("finish", "sequences and statistics", schema, last)?);
    steps.extend(comparisons(options, carries)?);
    Ok(steps)
}

fn begin(
    id: &str,
    label: &str,
    schema: &str,
    are_new: bool,
    carries: &[Carry],
    sql: Vec<String>,
) -> Result<Step> {
    let tables = carries.iter().map(|carry| carry.name.clone()).collect();
    let task = Task::Begin { tables, are_new, statements: sql.clone() };
    step(id, label.to_owned(), id, schema.to_owned(), sql, &task)
}

/// All of them in one step, those of large tables first, so that no core waits for another.
fn indexes(design: &Design, schema: &str, sizes: &HashMap<String, Size>) -> Result<Option<Step>> {
    let rows = |name: &str| sizes.get(name).copied().unwrap_or_default().rows;
    let mut tables: Vec<_> = design.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(rows(&table.source)));
    let built = tables.iter().flat_map(|table| {
        let named = table.name.to_string();
        table.indexes.iter().map(move |index| Building { table: named.clone(), index: index.clone() })
    });
    let built: Vec<Building> = built.collect();
    if built.is_empty() {
        return Ok(None);
    }
    let both = built.iter().flat_map(|one| [Some(one.index.sql.clone()), one.index.key.clone()]);
    let shown = both.flatten().collect();
    let label = "the keys and indexes".to_owned();
    step("index", label, "index", schema.to_owned(), shown, &Task::Indexes(built)).map(Some)
}

fn loads(options: &Options, carries: &[Carry], sizes: &HashMap<String, Size>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for carry in carries {
        let rows = sizes.get(&carry.table).copied().unwrap_or_default().rows;
        let into = format!("copy {} from the source", carry.name.quoted());
        let (id, label) = (format!("load {}", carry.table), format!("the rows of {}", carry.table));
        let task = Task::Load { carry: carry.clone(), proof: options.verify };
        let made = step(&id, label, "load", carry.name.to_string(), vec![into], &task)?;
        steps.push(Step { matched: rows, exact: true, batches: rows.div_ceil(1000).max(1), ..made });
    }
    Ok(steps)
}

fn comparisons(options: &Options, carries: Vec<Carry>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for carry in carries.into_iter().filter(|_| options.verify != Proof::Nothing) {
        let (id, label) = (format!("compare {}", carry.table), format!("{} on both sides", carry.table));
        let object = carry.name.to_string();
        let task = Task::Compare { carry, proof: options.verify };
        steps.push(step(&id, label, "compare", object, Vec::new(), &task)?);
    }
    for (name, query) in &options.queries {
        let target = query.target.as_ref().unwrap_or(&query.source).clone();
        let task = Task::Ask { name: name.clone(), query: query.clone() };
        let (id, label) = (format!("ask {name}"), format!("the query {name} on both sides"));
        steps.push(step(&id, label, "ask", name.clone(), vec![query.source.clone(), target], &task)?);
    }
    let label = "what was kept on the way".to_owned();
    steps.push(step("end", label, "end", options.into().to_owned(), Vec::new(), &Task::End)?);
    Ok(steps)
}

/// What the plan says, for people and machines.
pub fn told(
    options: &Options,
    design: &Design,
    sizes: &HashMap<String, Size>,
    existing: bool,
) -> serde_json::Value {
    let tables = design.tables.iter().map(|table| {
        let size = sizes.get(&table.source).copied().unwrap_or_default();
        let columns = table.columns.iter().map(|column| {
            json!({
                "source": column.source, "target": column.name, "type": column.spelled,
                "not_null": column.not_null, "default": column.default, "reasons": column.reasons,
            })
        });
        json!({
            "source": table.source, "target": table.name.to_string(), "rows": size.rows, "bytes": size.bytes,
            "columns": columns.collect::<Vec<_>>(), "indexes": table.indexes.len(),
            "references": table.references.len(),
        })
    });
    let sql = (!existing).then(|| script::whole(design, options.into(), &options.source));
    json!({
        "source": options.source,
        "tables": tables.collect::<Vec<_>>(),
        "left": design.left,
        "sql": sql,
    })
}
