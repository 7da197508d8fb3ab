//! From options to a step: who merges into whom, what moves, what gets in each other's way. Read-only, and exact: one
//! statement counts everything that the run will do.

use super::count::{Counted, count};
use super::members::{MAP, gone, map};
use super::options::{Options, Same, Undo};
use super::references;
use super::result::{self, Detail};
use super::survivor;
use super::task::{Task, Tree};
use engine::{
    Class, Dependants, Error, FailedScope, Finding, Planned, Planning, Result, Step, undo::not_exempt,
};
use std::collections::BTreeMap;
use targets::db::{Facts, Family, Schema, Sql, Table, TableKind, Value};

/// Rows of a batch without scopes, for the plan's estimate.
const USUAL_BATCH: u64 = 10_000;
/// Rows of a batch that compares the whole table, however small it is: batches sized by time would shrink, and the run
/// would never end.
const COMPARED: u64 = 60_000;
/// More scopes than this are left to the next run.
const MOST_SCOPES: usize = 100_000;

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let mut planned = Planned::default();
    let schema = facts.schema()?;
    let mut task = task(options, &schema, facts, &mut planned.findings)?;
    check_triggers(options, &task, &mut planned.findings);
    let within = within(options, &task, facts)?;
    let mut counted = Counted::default();
    for scope in &within {
        counted.add(count(&task, scope.as_ref(), facts)?);
    }
    let found = counted.scopes.len() as u64;
    let chosen = choose(options, &task, &counted, facts, planning, &mut planned.findings)?;
    task.scopes = chosen.clone();
    let totals = counted.totals(task.scope.is_some().then_some(&chosen));
    task.planned = totals.first().copied().unwrap_or(0);
    let manners = &planning.request.manners;
    task.at_least = manners.batch_size.unwrap_or(COMPARED);
    task.max_rows = manners.max_rows;
    let dependants = counted.dependants(&totals);
    refuse_clashes(&dependants, &mut planned.findings);
    let exempt = exempt(&task, facts)?;
    if task.scope.is_some() {
        let results = results(&task, &counted, &chosen, &within, facts)?;
        planned.result = Some(result::sum_up(&task, found, true, &results));
    }
    planned.steps.push(step(&task, task.planned, dependants, exempt, counted.exact, facts, planning)?);
    planned.undo = Some(undo(options, planning)?);
    Ok(planned)
}

/// The scopes to look into: all of them (none), or each of those named.
fn within(options: &Options, task: &Task, facts: &mut dyn Facts) -> Result<Vec<Option<Sql>>> {
    let Some(scope) = task.scope.as_ref().filter(|_| !options.only.is_empty()) else { return Ok(vec![None]) };
    let table = &task.node.table;
    let column = table.expect_column(scope)?;
    let mut known: Vec<Value> = Vec::new();
    let mut within = Vec::new();
    for text in &options.only {
        let value = facts.dialect().inward(column, Value::Text(text.clone()));
        // As the column writes it: `07` and `7` may be one and the same.
        let select = Sql::new(&format!("select {} from ", facts.dialect().outward(column)))
            .table(&table.name)
            .text(" as t where t.")
            .name(scope)
            .text(" = ")
            .add(&value)
            .text(" limit 1");
        let found = facts.value(&select).map_err(|error| match error.class {
            Class::Data => Error::usage(format!("`{text}` is no value of `{scope}`"))
                .because(error)
                .help(format!("`{}` is of type {}", scope, column.declared)),
            _ => error,
        })?;
        if found != Value::Null && !known.contains(&found) {
            known.push(found);
            within.push(Some(value));
        }
    }
    Ok(within)
}

fn undo(options: &Options, planning: &Planning) -> Result<engine::Undo> {
    if options.undo == Undo::None {
        return Ok(engine::Undo::Nothing);
    }
    let span = planning.keep_undo.span()?;
    let until = planning.now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span);
    let until = until.map_err(|_| Error::usage("undo rows cannot be kept for so long"))?.timestamp();
    Ok(engine::Undo::Rows { until, bytes: None })
}

/// Everything but the scopes.
pub fn task(
    options: &Options,
    schema: &Schema,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<Task> {
    let table = schema.find(&options.table)?.clone();
    if matches!(table.kind, TableKind::View | TableKind::Foreign) {
        return Err(Error::usage(format!("`{}` is not a table of its own", table.name))
            .help("name the table in which the rows really are"));
    }
    let node = references::node(schema, &table, options, &mut Vec::new(), findings)?;
    if let Some(scope) = &options.scope {
        table.expect_column(scope)?;
    }
    let tree = match &options.tree {
        Some(tree) => {
            table.expect_column(&tree.parent)?;
            if node.key != 1 {
                return Err(Error::usage(format!("the tree `{}` has a key of several columns", table.name))
                    .help("a tree needs a key of one column, to which its parent column refers"));
            }
            Some(Tree { parent: tree.parent.clone(), siblings: same(&tree.siblings, &table, facts)? })
        }
        None => None,
    };
    let mut by = same(&options.by, &table, facts)?;
    if options.nulls_equal {
        by = by.iter().map(|by| Sql::new("coalesce('=' || cast(").add(by).text(" as text), '')")).collect();
    }
    let wanted = match &options.condition {
        Some(condition) => readable(condition, &table, facts)?,
        None => Sql::new("1 = 1"),
    };
    let leaves = node.leaves.clone();
    let free = not_exempt(facts, std::iter::once(&table).chain(&leaves))?;
    let age = survivor::age(options, &table, facts.dialect())?;
    let (order, joins) = survivor::order(options, &node, age.as_ref())?;
    let fields = references::fields_of(&options.fields);
    for field in &fields {
        table.expect_column(&field.column)?;
    }
    let park = tree.as_ref().and_then(|tree| park(&table, tree, options.scope.as_deref()));
    Ok(Task {
        node,
        by,
        wanted,
        free,
        scope: options.scope.clone(),
        tree,
        order,
        joins,
        fields,
        age,
        park,
        scopes: Vec::new(),
        planned: 0,
        at_least: 0,
        max_rows: None,
    })
}

/// Columns and expressions as SQL over `t`.
fn same(all: &[Same], table: &Table, facts: &mut dyn Facts) -> Result<Vec<Sql>> {
    all.iter()
        .map(|same| match same {
            Same::Column(name) => {
                table.expect_column(name).map(|column| Sql::new("t.").name(&column.name)).map_err(|error| {
                    let help = error.help.clone().unwrap_or_default();
                    error.help(format!(
                        "{help}; an expression is written `{{ expression = \"lower(t.name)\" }}`"
                    ))
                })
            }
            Same::Expression { expression } => readable(expression, table, facts),
        })
        .collect()
}

/// SQL of the configuration, in brackets, after the database has read it.
fn readable(text: &str, table: &Table, facts: &mut dyn Facts) -> Result<Sql> {
    let start = |expression: Sql| {
        Sql::new("select count(*) from (select ")
            .add(&expression)
            .text(" as one from ")
            .table(&table.name)
            .text(" as t) as x")
    };
    // On its own first: `a) or (b` is no expression, but inside brackets it would step out of them.
    let alone = start(Sql::raw(text).text("\n"));
    let enclosed = Sql::new("(").add(&Sql::raw(text)).text("\n)");
    facts.access(&alone).and_then(|_| facts.access(&start(enclosed.clone()))).map_err(|error| {
        error
            .while_doing(&format!("the expression `{text}`"))
            .help("write it as SQL over the table, under the alias `t`")
    })?;
    Ok(enclosed)
}

/// Where a unique key holds the parent, rows on their way up meet others of their name that are about to go.
fn park(table: &Table, tree: &Tree, scope: Option<&str>) -> Option<String> {
    let uniques = table.indexes.iter().filter(|index| index.unique);
    uniques
        .map(|index| index.columns.iter().flatten().collect::<Vec<_>>())
        .filter(|columns| columns.contains(&&tree.parent))
        .flatten()
        .filter(|column| **column != tree.parent && Some(column.as_str()) != scope)
        .find(|name| {
            table.column(name).is_some_and(|column| matches!(column.family, Family::Text | Family::Any))
        })
        .cloned()
}

/// The scopes to do: those that never failed first, then those whose time has come (W-122).
fn choose(
    options: &Options,
    task: &Task,
    counted: &Counted,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Value>> {
    if task.scope.is_none() {
        return Ok(Vec::new());
    }
    let failed = engine::failed_scopes(facts, &planning.request.name)?;
    let of = |value: &Value| failed.iter().find(|scope| scope.scope == result::shown(value));
    let mut fresh = Vec::new();
    let mut again: Vec<(&FailedScope, Value)> = Vec::new();
    let mut waiting = Vec::new();
    for (value, counts) in &counted.scopes {
        if counts.first().is_none_or(|merged| *merged == 0) {
            continue;
        }
        match of(value) {
            None => fresh.push(value.clone()),
            Some(scope)
                if options.retry_failed || !options.only.is_empty() || scope.next_at <= planning.now =>
            {
                again.push((scope, value.clone()))
            }
            Some(scope) => waiting.push(scope),
        }
    }
    again.sort_by_key(|(scope, _)| scope.next_at);
    fresh.extend(again.into_iter().map(|(_, value)| value));
    let most = options.max_scopes.map_or(MOST_SCOPES, |most| most.min(MOST_SCOPES as u64) as usize);
    if fresh.len() > most {
        findings.push(Finding::note(
            "scopes_left",
            &task.node.table.name,
            format!("{} scopes have duplicates, {most} are done in this run", fresh.len() + waiting.len()),
            "run it again, or raise `max_scopes`",
        ));
        fresh.truncate(most);
    }
    if !waiting.is_empty() {
        findings.push(Finding::note(
            "scopes_waiting",
            &task.node.table.name,
            format!("{} scopes failed before and wait for their time", waiting.len()),
            "mend the cause and say `retry_failed = true`, or wait",
        ));
    }
    for scope in failed.iter().filter(|scope| scope.failures >= 3) {
        findings.push(Finding::warning(
            "scope_fails",
            &scope.scope,
            format!("it failed {} times in a row: {}", scope.failures, scope.error),
            "mend the cause, then run it with `retry_failed = true`",
        ));
    }
    Ok(fresh)
}

fn refuse_clashes(dependants: &[Dependants], findings: &mut Vec<Finding>) {
    for clash in dependants.iter().filter(|one| one.policy == "refuse" && one.rows > 0) {
        findings.push(Finding::forbid(
            "clash",
            &clash.table,
            format!(
                "{} rows would be in the way of others with the same {}",
                clash.rows,
                if clash.columns.is_empty() { "reference".to_owned() } else { clash.columns.join(", ") }
            ),
            "say what happens to them: `on_clash` with `policy = \"fold\"` or `\"rename\"`",
        ));
    }
}

fn check_triggers(options: &Options, task: &Task, findings: &mut Vec<Finding>) {
    let mut tables: Vec<(&Table, bool)> = vec![(&task.node.table, true)];
    tables.extend(task.node.leaves.iter().map(|leaf| (leaf, true)));
    for reference in &task.node.references {
        let folds = !reference.node.references.is_empty();
        tables.extend(reference.node.leaves.iter().map(|leaf| (leaf, folds)));
    }
    let mut told: Vec<String> = Vec::new();
    for (table, deletes) in tables {
        for trigger in table.triggers.iter().filter(|trigger| trigger.enabled) {
            let fires = trigger.on_update || (deletes && trigger.on_delete);
            let name = format!("{} {}", table.name, trigger.name);
            if !fires || told.contains(&name) {
                continue;
            }
            told.push(name);
            findings.push(options.triggers.finding(table, trigger));
        }
    }
}

fn exempt(task: &Task, facts: &mut dyn Facts) -> Result<u64> {
    let Some(free) = &task.free else { return Ok(0) };
    facts.count(
        &Sql::new("select count(*) from ")
            .table(&task.node.table.name)
            .text(" as t where not (")
            .add(free)
            .text(")"),
    )
}

/// What would become of each scope.
fn results(
    task: &Task,
    counted: &Counted,
    chosen: &[Value],
    within: &[Option<Sql>],
    facts: &mut dyn Facts,
) -> Result<Vec<serde_json::Value>> {
    let Some(scope) = &task.scope else { return Ok(Vec::new()) };
    let outward = facts.dialect().outward(task.node.table.expect_column(scope)?);
    let more =
        Sql::new(&format!(", (select {outward} from (select q.s as ")).name(scope).text(") as t)").shown();
    let mut details: BTreeMap<String, Detail> = BTreeMap::new();
    for scope in within {
        let select = Sql::new(&format!("with {MAP} as ("))
            .add(&map(task, scope.as_ref(), None))
            .text(") ")
            .add(&result::pairs_of(task, facts.dialect(), &more)?);
        for row in facts.rows(&select)? {
            let scope = row.get(3).map(result::shown).unwrap_or_default();
            details.entry(scope).or_default().pair(&row);
        }
    }
    let mut results = Vec::new();
    for (value, counts) in &counted.scopes {
        if !chosen.contains(value) {
            continue;
        }
        let name = result::shown(value);
        let mut detail = details.remove(&name).unwrap_or_default();
        for (line, rows) in counted.lines.iter().zip(counts) {
            let add = |all: &mut BTreeMap<String, u64>, rows: u64| {
                *all.entry(line.table.clone()).or_default() += rows;
            };
            match line.policy {
                "merge" => detail.removed = *rows,
                "move" => add(&mut detail.moved, *rows),
                "rename" => add(&mut detail.renamed, *rows),
                "fold" => {
                    add(&mut detail.folded, *rows);
                    if let Some(moved) = detail.moved.get_mut(&line.table) {
                        *moved = moved.saturating_sub(*rows);
                    }
                }
                _ => {}
            }
        }
        results.push(result::of_scope(task, &name, detail));
    }
    Ok(results)
}

fn step(
    task: &Task,
    matched: u64,
    dependants: Vec<Dependants>,
    exempt: u64,
    exact: bool,
    facts: &mut dyn Facts,
    planning: &Planning,
) -> Result<Step> {
    let table = &task.node.table.name;
    let total = facts.count(&Sql::new("select count(*) from ").table(table))?;
    let batch = planning.request.manners.batch_size.unwrap_or(USUAL_BATCH);
    let order: Vec<&str> = task.order.iter().map(|order| order.said.as_str()).collect();
    let by: Vec<String> = task.by.iter().map(Sql::shown).collect();
    let mut said = vec![
        ("same".to_owned(), by.join(", ")),
        (
            "stays".to_owned(),
            match order.last() {
                Some(&"lowest_key" | &"highest_key") => order.join(", "),
                _ => format!("{}, lowest_key", order.join(", ")),
            },
        ),
    ];
    if let Some(scope) = &task.scope {
        said.push(("scopes".to_owned(), format!("{} values of {scope}", task.scopes.len())));
    }
    let way = match &task.scope {
        Some(scope) => format!("each {scope} in a transaction and an undo point of its own"),
        None => "groups of duplicates, many in a batch".to_owned(),
    };
    let batches = match &task.scope {
        Some(_) => task.scopes.len() as u64,
        None => matched.div_ceil(batch).max(1),
    };
    Ok(Step {
        id: table.to_string(),
        label: table.to_string(),
        action: "merge".to_owned(),
        object: table.to_string(),
        matched,
        exact,
        total: Some(total),
        total_exact: true,
        dependants,
        unreadable: 0,
        exempt,
        batches,
        way,
        statements: statements(task),
        facts: said,
        task: serde_json::to_value(task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
    })
}

/// The main statements, for people to read.
fn statements(task: &Task) -> Vec<String> {
    let scope = task.scope.as_ref().map(|_| Sql::new("SCOPE"));
    let mut all =
        vec![format!("create temporary table {MAP} as {}", map(task, scope.as_ref(), None).shown())];
    for reference in &task.node.references {
        let set: Vec<String> = (0..reference.columns.len())
            .map(|n| {
                format!(
                    "{} = {}",
                    targets::db::quote(&reference.columns[n]),
                    reference.moved_to(n, MAP).shown()
                )
            })
            .collect();
        all.push(format!(
            "update {} as t set {} where {}",
            reference.node.table.name.quoted(),
            set.join(", "),
            reference.is_moved(MAP).shown()
        ));
    }
    all.push(format!(
        "delete from {} as t where {}",
        task.node.table.name.quoted(),
        task.node.among(&gone(MAP, &task.node)).shown()
    ));
    all
}
