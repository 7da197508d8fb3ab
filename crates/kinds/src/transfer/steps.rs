//! The steps of a transfer, in their order, and what the plan tells of the tables.

use super::carried::Unfinished;
use super::design::{Design, NewReference, NewTable};
use super::existing::Demands;
use super::load::may_come_beside;
use super::look::Size;
use super::made::{self, Made};
use super::online::entry::{Entry, State};
use super::online::{Online, prepare};
use super::options::{Options, Proof, Switch};
use super::released::{self, Released};
use super::script;
use super::task::{Building, Carry, Task};
use engine::{Error, Result, Step};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use targets::db::quote;

/// The action of the steps that bring rows.
pub const LOAD: &str = "load";
/// The step that makes triggers.
pub const TRIGGERS: &str = "triggers";

fn step(
    id: &str,
    label: String,
    action: &str,
    object: String,
    statements: Vec<String>,
    task: &Task,
) -> Result<Step> {
    let task = kept(task)?;
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
    (carries, looked_at): (Vec<Carry>, Option<String>),
    sizes: &HashMap<String, Size>,
    online: Option<Online>,
) -> Result<Vec<Step>> {
    let schema = options.into();
    let (add, apart) = prepare::tell_apart(&carries);
    let mut made = Vec::new();
    if schema != "public" {
        made.push(format!("create schema if not exists {}", quote(schema)));
    }
    made.extend(design.tables.iter().map(script::create));
    made.extend(add);
    let (leave, tend) = script::autovacuum(design);
    made.extend(leave);
    let mut steps: Vec<Step> = capture(online.as_ref())?.into_iter().collect();
    steps.push(begin("make", "the tables", schema, (true, false, Vec::new()), (&carries, looked_at), made)?);
    steps.extend(tried(design, schema)?);
    steps.extend(loads(options, &carries, sizes, true)?);
    steps.extend(statements("tell", "rows without a key", schema, apart)?);
    steps.extend(indexes(design, schema, sizes)?);
    let references = references(design, sizes);
    if !references.is_empty() {
        let add = references.iter().map(|reference| reference.add.clone()).collect();
        let (label, task) = ("the references".to_owned(), Task::Declare(references.clone()));
        steps.push(step("declare", label, "declare", schema.to_owned(), add, &task)?);
        let shown = references.iter().map(|reference| reference.validate.clone()).collect();
        let label = "the references hold".to_owned();
        let task = Task::References(references);
        steps.push(step("validate", label, "validate", schema.to_owned(), shown, &task)?);
    }
    let sequences = design.tables.iter().filter_map(script::sequence).collect();
    steps.extend(statements("finish", "the sequences", schema, sequences)?);
    steps.extend(analyze(design, schema, sizes)?);
    steps.extend(statements("tend", "autovacuum takes care of the tables again", schema, tend)?);
    steps.extend(made_of("views", "the views", schema, made::views(design))?);
    steps.extend(comparisons(options, carries)?);
    steps.extend(endings(options, design, online.as_ref())?);
    Ok(steps)
}

/// Tables that are there are filled.
pub fn into_existing(
    options: &Options,
    design: &Design,
    demands: &Demands,
    (carries, looked_at): (Vec<Carry>, Option<String>),
    sizes: &HashMap<String, Size>,
    online: Option<Online>,
) -> Result<Vec<Step>> {
    let schema = options.into();
    let (add, apart) = prepare::tell_apart(&carries);
    let release = match options.replace {
        true => "room for the rows of the source",
        false => "references that rows would break while they come",
    };
    let all = demands.release.iter().cloned().chain(add).collect();
    // an online transfer that fails puts back everything
    let released = match online {
        Some(_) => Vec::new(),
        None => released::parts(&demands.release, &demands.restore),
    };
    let go_on = demands.sequences.iter().map(|(_, go_on)| go_on.clone()).collect();
    let mut steps: Vec<Step> = capture(online.as_ref())?.into_iter().collect();
    steps.push(begin(
        "release",
        release,
        schema,
        (false, options.replace, released),
        (&carries, looked_at),
        all,
    )?);
    steps.extend(loads(options, &carries, sizes, false)?);
    steps.extend(statements("tell", "rows without a key", schema, apart)?);
    steps.extend(statements("restore", "the same references again", schema, demands.restore.clone())?);
    steps.extend(statements("finish", "the sequences", schema, go_on)?);
    steps.extend(analyze(design, schema, sizes)?);
    steps.extend(comparisons(options, carries)?);
    steps.extend(endings(options, design, online.as_ref())?);
    Ok(steps)
}

fn begin(
    id: &str,
    label: &str,
    schema: &str,
    (are_new, replace, released): (bool, bool, Vec<Released>),
    (carries, looked_at): (&[Carry], Option<String>),
    sql: Vec<String>,
) -> Result<Step> {
    let tables = carries.iter().map(|carry| carry.name.clone()).collect();
    let task = Task::Begin { tables, are_new, replace, statements: sql.clone(), released, looked_at };
    step(id, label.to_owned(), id, schema.to_owned(), sql, &task)
}

/// The tables, large ones first, so that no core waits for another.
fn large_first<'d>(design: &'d Design, sizes: &HashMap<String, Size>) -> Vec<&'d NewTable> {
    // a table with few rows may have large ones; each row costs something, too
    let size = |name: &str| {
        let size = sizes.get(name).copied().unwrap_or_default();
        size.bytes + 24 * size.rows
    };
    let mut tables: Vec<_> = design.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(size(&table.source)));
    tables
}

/// The references of all tables: two of one table cannot be validated at the same time, so the first of each come first.
fn references(design: &Design, sizes: &HashMap<String, Size>) -> Vec<NewReference> {
    let mut left: Vec<_> =
        large_first(design, sizes).into_iter().map(|table| table.references.iter().cloned()).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(left.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

/// The statistics of all tables in one step.
fn analyze(design: &Design, schema: &str, sizes: &HashMap<String, Size>) -> Result<Option<Step>> {
    let tables = large_first(design, sizes).into_iter();
    let sql: Vec<String> = tables.map(|table| format!("analyze {}", table.name.quoted())).collect();
    if sql.is_empty() {
        return Ok(None);
    }
    let (label, shown) = ("the statistics".to_owned(), sql.clone());
    step("analyze", label, "analyze", schema.to_owned(), shown, &Task::Analyze(sql)).map(Some)
}

/// All of them in one step.
fn indexes(design: &Design, schema: &str, sizes: &HashMap<String, Size>) -> Result<Option<Step>> {
    let built = large_first(design, sizes).into_iter().flat_map(|table| {
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

/// New tables have no keys and references yet, for which rows of one session would wait for those of another.
fn loads(
    options: &Options,
    carries: &[Carry],
    sizes: &HashMap<String, Size>,
    are_new: bool,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for carry in carries {
        let rows = sizes.get(&carry.table).copied().unwrap_or_default().rows;
        let into = format!("copy {} from the source", carry.name.quoted());
        let (id, label) = (format!("load {}", carry.table), format!("the rows of {}", carry.table));
        let on_two = are_new && may_come_beside(carry);
        let task = Task::Load { carry: carry.clone(), proof: options.verify, on_two };
        let made = step(&id, label, LOAD, carry.name.to_string(), vec![into], &task)?;
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
    Ok(steps)
}

/// Views and triggers are tried while the tables are empty.
fn tried(design: &Design, schema: &str) -> Result<Option<Step>> {
    let all: Vec<Made> = made::views(design).into_iter().chain(made::triggers(design)).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let task = Task::Try { keys: made::keys(design), all };
    step("try", "views and triggers, tried".to_owned(), "try", schema.to_owned(), Vec::new(), &task).map(Some)
}

/// Views or triggers, if there are any.
fn made_of(id: &str, label: &str, schema: &str, all: Vec<Made>) -> Result<Option<Step>> {
    if all.is_empty() {
        return Ok(None);
    }
    let shown = all.iter().flat_map(|one| one.statements.clone()).collect();
    step(id, label.to_owned(), id, schema.to_owned(), shown, &Task::Make(all)).map(Some)
}

/// Before anything is read: from now on changes are written down.
fn capture(online: Option<&Online>) -> Result<Option<Step>> {
    let Some(online) = online else { return Ok(None) };
    let label = "what changes in the source".to_owned();
    let task = Task::Capture(Box::new(online.clone()));
    step("capture", label, "capture", online.source.clone(), online.capture.clone(), &task).map(Some)
}

/// After everything is in: what changed meanwhile, where the application goes on writing, and the end.
fn endings(options: &Options, design: &Design, online: Option<&Online>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(online) = online {
        let into = || options.into().to_owned();
        let label = "what changed meanwhile".to_owned();
        steps.push(step("follow", label, "follow", into(), Vec::new(), &Task::Follow)?);
        let label = "the last changes, while nobody writes".to_owned();
        let refuse = online.refuse.clone();
        steps.push(step("cut over", label, "cut_over", online.source.clone(), refuse, &Task::CutOver)?);
        // nothing of the transfer fires them any more, and the application does not yet
        steps.extend(made_of(TRIGGERS, "the triggers", options.into(), made::triggers(design))?);
        let label = "the application goes to the target".to_owned();
        let sent = online.switch.as_ref().map(switched).unwrap_or_default();
        steps.push(step("switch", label, "switch", online.target.clone(), sent, &Task::Switch)?);
    }
    if online.is_none() {
        steps.extend(made_of(TRIGGERS, "the triggers", options.into(), made::triggers(design))?);
    }
    // when nothing of the transfer would fire them any more, and nothing goes back by itself
    let stamps = super::stamps::statements(options, design).0;
    steps.extend(statements("stamp", "columns that tell when a row changed", options.into(), stamps)?);
    let label = "what was kept on the way".to_owned();
    steps.push(step("end", label, "end", options.into().to_owned(), Vec::new(), &Task::End)?);
    Ok(steps)
}

/// How the application is sent, for people.
fn switched(how: &Switch) -> Vec<String> {
    let file = how.file.as_ref().map(|file| match &how.variable {
        Some(variable) => format!("write {variable} in {file}"),
        None => format!("write {file}"),
    });
    file.into_iter().chain((!how.command.is_empty()).then(|| how.command.join(" "))).collect()
}

/// Back to the source: before the application was sent elsewhere, or after it.
pub fn back(own: &Entry) -> Result<Vec<Step>> {
    let online = &own.online;
    let one = |id: &str, label: &str, object: &str, task: fn(Box<Online>, String) -> Task| {
        let task = task(Box::new(online.clone()), own.run.clone());
        step(id, label.to_owned(), &id.replace(' ', "_"), object.to_owned(), Vec::new(), &task)
    };
    let clear = one("clear source", "what was made in the source", &online.source, Task::ClearSource)?;
    if matches!(own.state, State::Capturing | State::Moved | State::GivenUp) {
        return Ok(vec![
            one("clear target", "what was made in the target", &online.target, Task::ClearTarget)?,
            clear,
        ]);
    }
    let mut steps = Vec::new();
    // once it is being sent back, the source may have newer rows
    if own.state != State::Returning {
        let back = "what the application wrote since";
        steps.push(one("stop target", "nobody writes into the target", &online.target, Task::StopTarget)?);
        steps.push(one("carry back", back, &online.source, Task::CarryBack)?);
    }
    steps.push(one("switch back", "the application goes back", &online.source, Task::SwitchBack)?);
    steps.push(one("settle", "what was noted in the target", &online.target, Task::Settle)?);
    steps.push(clear);
    Ok(steps)
}

/// What a plain transfer that ended early has brought goes.
pub fn take_back(own: &Unfinished, schema: &str, statements: Vec<String>) -> Result<Step> {
    let what = if own.are_new { "the tables that it made" } else { "the rows that it brought" };
    let task = Task::TakeBack { run: own.run.clone(), statements: statements.clone() };
    step("take back", what.to_owned(), "take_back", schema.to_owned(), statements, &task)
}

/// A task as it is kept in its step.
pub fn kept(task: &Task) -> Result<serde_json::Value> {
    serde_json::to_value(task)
        .map_err(|error| Error::system("the plan of a transfer cannot be kept").because(error))
}

/// The step of a script.
pub fn of_script(id: &str, label: &str, object: &str, sql: Vec<String>, task: &Task) -> Result<Step> {
    step(id, label.to_owned(), id, object.to_owned(), sql, task)
}

/// A step of a rehearsal.
pub fn of_copy(id: &str, label: &str, object: &str, task: &Task) -> Result<Step> {
    step(id, label.to_owned(), &id.replace(' ', "_"), object.to_owned(), Vec::new(), task)
}

/// No way back any more.
pub fn settle(own: &Entry) -> Result<Vec<Step>> {
    let task = Task::Settle(Box::new(own.online.clone()), own.run.clone());
    let label = "what was noted in the target".to_owned();
    Ok(vec![step("settle", label, "settle", own.online.target.clone(), Vec::new(), &task)?])
}

/// What is run before and after the rows come into tables that are there.
fn around_the_rows(options: &Options, steps: &[Step]) -> String {
    let source = &options.source;
    let mut out =
        format!("-- The tables are there; this is run before and after the rows of `{source}` come.\n");
    if options.replace {
        out.push_str("-- Rows that they have are kept in `sexton.replaced` until it is over, and deleted.\n");
    }
    let mut rows_came = false;
    for step in steps {
        if step.action == LOAD {
            if !std::mem::replace(&mut rows_came, true) {
                out.push_str("\n-- the rows are copied here\n\n");
            }
        } else if !matches!(step.action.as_str(), "compare" | "ask" | "capture" | "cut_over" | "switch") {
            step.statements.iter().for_each(|sql| out.push_str(&format!("{sql};\n")));
        }
    }
    out
}

/// What the plan says, for people and machines.
pub fn told(
    options: &Options,
    design: &Design,
    steps: &[Step],
    sizes: &HashMap<String, Size>,
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
            "reasons": table.indexes.iter().filter_map(|one| Some((&one.name, one.reason.as_ref()?))).collect::<BTreeMap<_, _>>(),
        })
    });
    let views = design.views.iter().map(
        |view| json!({ "source": view.source, "target": view.name.to_string(), "reason": view.reason, "sql": view.sql }),
    );
    let triggers = design.triggers.iter().map(|trigger| {
        let sql = trigger.statements.join(";\n");
        json!({ "source": trigger.source, "reason": trigger.reason, "sql": sql })
    });
    let stamps = super::stamps::statements(options, design).0;
    let sql = match options.existing {
        true => around_the_rows(options, steps),
        false => script::whole(design, options.into(), &options.source, &stamps),
    };
    json!({
        "source": options.source,
        "tables": tables.collect::<Vec<_>>(),
        "views": views.collect::<Vec<_>>(),
        "triggers": triggers.collect::<Vec<_>>(),
        "left": design.left,
        "sql": sql,
    })
}
