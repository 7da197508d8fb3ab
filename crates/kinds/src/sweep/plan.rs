//! From a rule to a step: which rows, how many, who hangs on them, which way through the table. Read-only.

use super::along::{self, Hands, MOST_EACH};
use super::aside::Aside;
use super::batch::CHILDREN_PER_ROW;
use super::checks::{check_rest, check_rules, check_triggers};
use super::measure::{choose_walk, count_rows, is_large, measure, measure_joined};
use super::newest::Newest;
use super::policy::{ArchiveFormat, Policy, Relation, Triggers, Undo};
use super::relations::{self, Hanging};
use super::rights::check_rights;
use super::rings::{self, Kept};
use super::task::{Act, Archive, Joined, Task};
use engine::words::{count, either, rows};
use engine::{Error, Finding, Planning, Result, Step, undo::not_exempt};
use targets::db::{Facts, Schema, Sql, Table};

/// What is asked of one table.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Stable within the operation.
    pub id: String,
    /// What people read. Default: the id.
    pub label: Option<String>,
    /// The table.
    pub table: Table,
    /// Which rows, over `t`.
    pub rule: Sql,
    /// How many rows of each group stay, where the rule says so: it is part of the rule too.
    pub newest: Option<Newest>,
    /// The rule looks every row up in another table: no index of this one leads to the rows.
    pub joins: bool,
    /// The same rule for counting, where it can be written so.
    pub joined: Option<Joined>,
    /// Rows that the rule cannot judge, over `t`.
    pub unreadable: Option<Sql>,
    /// What a person checks: the cut-off and the like.
    pub facts: Vec<(String, String)>,
    /// What happens to them.
    pub act: Act,
    /// The file store in which they are kept for the record first, and in which form.
    pub archive: Option<(String, ArchiveFormat)>,
    /// The table to which they move.
    pub aside: Option<Aside>,
    /// What happens to rows that refer to doomed ones.
    pub dependants: Policy,
    /// The same for single relations.
    pub relations: Vec<Relation>,
    /// What to do about triggers.
    pub triggers: Triggers,
    /// What can be put back.
    pub undo: Undo,
}

/// The step of one sweep, and what is needed to run it; [`Task::write`] makes them one.
pub fn plan(
    sweep: &Sweep,
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<(Step, Task)> {
    let table = &sweep.table;
    let leaves: Vec<Table> = schema.leaves(table).into_iter().cloned().collect();
    let mut condition = sweep.rule.clone();
    let mut newest = sweep.newest.clone();
    let exempt = not_exempt(facts, std::iter::once(table).chain(&leaves))?;
    let exempted = match &exempt {
        Some(exempt) => {
            count_rows(table, &condition.clone().text(" and not (").add(exempt).text(")"), facts)?
        }
        None => 0,
    };
    if let Some(exempt) = &exempt {
        condition = condition.text(" and ").add(exempt);
        newest = newest.map(|newest| newest.and(exempt));
    }
    let hanging = Hanging { dependants: sweep.dependants, relations: &sweep.relations };
    let children = match sweep.act {
        Act::Delete => relations::children(schema, table, &hanging, &mut Vec::new(), findings)?,
        Act::Mark(_) | Act::Change(_) | Act::Move(_) => Vec::new(),
    };
    // A large table's size is known well enough from statistics.
    let joined = sweep.joined.as_ref().filter(|_| !is_large(table)).map(|joined| match &exempt {
        Some(exempt) => Joined {
            condition: joined.condition.clone().text(" and ").add(exempt),
            from: joined.from.clone(),
        },
        None => joined.clone(),
    });
    let mut sizes = match &joined {
        Some(joined) => measure_joined(sweep, joined, facts)?,
        None => measure(sweep, &condition, planning, facts)?,
    };
    let doomed = match relations::tree(table, &children, &|from| from.text("(").add(&condition).text(")")) {
        Some(tree) if sizes.matched > 0 => {
            let meant = std::mem::replace(&mut sizes.matched, count_rows(table, &tree, facts)?);
            tell_below(table, meant, sizes.matched, findings);
            doomed(table, &tree)
        }
        _ => doomed(table, &condition),
    };
    let plain = match (&sweep.archive, &sweep.aside) {
        (None, None) => along::hands(table, &children, sweep.undo == Undo::None, facts.dialect()),
        _ => None,
    };
    let (dependants, most_each) = match sizes.matched {
        0 => (Vec::new(), 0),
        _ => relations::count(&children, table, (&doomed, sizes.matched), plain.is_some(), facts, 0)?,
    };
    let most = if planning.request.manners.batch_size.is_some() { CHILDREN_PER_ROW } else { MOST_EACH };
    let hands = plain.filter(|_| most_each <= most);
    let restricted: u64 =
        dependants.iter().filter(|hanging| hanging.policy == "restrict").map(|hanging| hanging.rows).sum();
    if restricted > 0 {
        findings.push(Finding::forbid(
            "dependants",
            &table.name,
            format!(
                "{} {} to doomed ones: {}",
                rows(restricted),
                either(restricted, "refers", "refer"),
                said(&dependants)
            ),
            "say what happens to them: `dependants = \"cascade\"`, `\"set_null\"` or `\"archive\"`",
        ));
    }
    check_triggers(table, &leaves, &children, sweep, findings);
    check_rules(table, &leaves, &children, sweep.act.updates(), findings);
    check_rights(sweep, &leaves, &children, findings);
    check_rest(sweep, table, &leaves, &children, findings);

    let mut exact = true;
    if sizes.matched > 0 && restricted == 0 {
        let kept = rings::kept(table, &children, &condition, facts)?;
        rings::tell(table, kept, findings);
        match kept {
            Kept::Rows(rows) => sizes.matched = sizes.matched.saturating_sub(rows),
            Kept::Unknown => exact = false,
        }
        // What hangs on the rows of a ring is counted, and stays with them.
        exact &= kept == Kept::Rows(0) || dependants.iter().all(|hanging| hanging.rows == 0);
    }

    let (walk, way) = choose_walk(&leaves, &sizes, facts);
    let way = if newest.is_some() { "by a list of ranks, group by group".to_owned() } else { way };
    let way = match hands {
        Some(Hands::Database) => format!("{way}; what refers to them is left to the keys of the database"),
        _ => way,
    };
    let mut running = condition.clone();
    for child in children.iter().filter(|child| child.policy == Policy::Restrict) {
        running = running.text(" and ").add(&child.is_absent(table));
        newest = newest.map(|newest| newest.and(&child.is_absent(table)));
    }
    let task = Task {
        table: table.clone(),
        leaves,
        joins: sweep.joins,
        joined,
        condition: running,
        rule: condition,
        walk,
        exact_batches: planning.request.manners.batch_size.is_some(),
        planned: sizes.matched,
        children,
        hands,
        newest,
        act: sweep.act.clone(),
        archive: archive(sweep, planning)?,
        aside: sweep.aside.clone(),
        counted: None,
        drop: Vec::new(),
        refill: false,
    };
    let step = Step {
        label: sweep.label.clone().unwrap_or_else(|| sweep.id.clone()),
        id: sweep.id.clone(),
        action: match (&sweep.act, &sweep.archive) {
            (Act::Delete, None) if sweep.aside.is_some() => "quarantine".to_owned(),
            (Act::Delete, None) => "delete".to_owned(),
            (Act::Delete, Some(_)) => "archive_and_delete".to_owned(),
            (Act::Mark(_), _) => "archive".to_owned(),
            (Act::Change(_), _) => "change".to_owned(),
            (Act::Move(_), _) => "move".to_owned(),
        },
        object: table.name.to_string(),
        matched: sizes.matched,
        exact,
        total: sizes.total,
        total_exact: sizes.total_exact,
        dependants,
        unreadable: sizes.unreadable,
        exempt: exempted,
        batches: sizes.matched.div_ceil(planning.request.manners.batch_size.unwrap_or(10_000)).max(1),
        way,
        statements: Vec::new(),
        facts: sweep.facts.clone(),
        task: serde_json::Value::Null,
    };
    Ok((step, task))
}

/// Rows of a table that refers to itself go with those above them, though nothing else speaks against them.
fn tell_below(table: &Table, meant: u64, all: u64, findings: &mut Vec<Finding>) {
    let below = all.saturating_sub(meant);
    if below == 0 {
        return;
    }
    findings.push(Finding::warning(
        "rows_below",
        &table.name,
        format!(
            "{} of the {} {} only because {} on others of this table",
            count(below),
            rows(all),
            either(below, "goes", "go"),
            either(below, "it hangs", "they hang")
        ),
        "with `dependants = \"restrict\"` they stay, and with them the rows that they hang on",
    ));
}

/// What can be put back after these steps.
pub fn undo(
    undo: Undo,
    archive: Option<String>,
    steps: &[Step],
    planning: &Planning,
) -> Result<engine::Undo> {
    Ok(match undo {
        Undo::None => engine::Undo::Nothing,
        Undo::Archive => {
            let Some(store) = archive else {
                return Err(
                    Error::usage("`undo = \"archive\"` needs an archive").help("say `archive = \"STORE\"`")
                );
            };
            engine::Undo::Archive { store }
        }
        Undo::Rows => {
            let span = planning.keep_undo.span()?;
            let until = planning.now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span);
            let until = until.map_err(|_| Error::usage("undo rows cannot be kept for so long"))?.timestamp();
            let bytes = steps.iter().map(bytes_of).sum::<Option<u64>>();
            engine::Undo::Rows { until, bytes }
        }
    })
}

/// About how large the doomed rows of a step are.
fn bytes_of(step: &Step) -> Option<u64> {
    let task = Task::read(step).ok()?;
    let (bytes, rows) = (task.table.bytes?, step.total.or(task.table.rows_estimate)?.max(1));
    Some(bytes / rows * step.matched)
}

fn doomed(table: &Table, condition: &Sql) -> Sql {
    Sql::new("select t.* from ").table(&table.name).text(" as t where ").add(condition)
}

fn archive(sweep: &Sweep, planning: &Planning) -> Result<Option<Archive>> {
    let Some((store, format)) = &sweep.archive else { return Ok(None) };
    planning.stores.store(store)?;
    Ok(Some(Archive {
        store: store.clone(),
        format: *format,
        operation: planning.request.name.clone(),
        database: planning.request.database.clone(),
    }))
}

fn said(dependants: &[engine::Dependants]) -> String {
    let each: Vec<String> = dependants
        .iter()
        .filter(|hanging| hanging.rows > 0)
        .map(|hanging| format!("{} in `{}` ({})", hanging.rows, hanging.table, hanging.columns.join(", ")))
        .collect();
    each.join(", ")
}
