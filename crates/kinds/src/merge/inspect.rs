//! Looking without changing: how many duplicates there are (R5a), and every fault of the table (R5b).

use super::members::{doubles, members};
use super::options::{Options, Same};
use super::plan;
use super::result;
use super::task::{Task, numbered};
use engine::words::of;
use engine::{Counts, Finding, Level, Planned, Planning, Result, Step};
use serde_json::{Value as Json, json};
use targets::db::{Facts, Row, Sql, quote};

/// Alert when more scopes than this have duplicates.
const THRESHOLD: u64 = 5;
/// A finding names so many rows; the result lists more.
const MOST_NAMED: usize = 10;
/// Of one fault so many are listed.
const MOST_LISTED: u64 = 1_000;

/// R5a: which scopes have duplicates, and how many rows those are.
pub fn check(options: &Options, facts: &mut dyn Facts, _: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut findings = Vec::new();
    let task = plan::task(options, &schema, facts, &mut findings)?;
    findings.retain(|finding| finding.level == Level::Warning);
    let groups = duplicates(options, &task, true, facts)?;
    let total = groups.len() as u64;
    let threshold = options.threshold.unwrap_or(THRESHOLD);
    let name = task.scope.as_deref().unwrap_or("group");
    let listed: Vec<Json> =
        groups.iter().map(|group| json!({ name: group.scope, "count": group.count })).collect();
    let noun = match task.scope.is_some() {
        true => ("scope has duplicates", "scopes have duplicates"),
        false => ("group of duplicates", "groups of duplicates"),
    };
    let first: Vec<String> =
        groups.iter().take(10).map(|group| format!("{} ({})", group.scope, group.count)).collect();
    let more = if groups.len() > 10 { ", …" } else { "" };
    let list = if task.scope.is_some() { format!(": {}{more}", first.join(", ")) } else { String::new() };
    let go = groups.iter().map(|group| group.count.saturating_sub(1)).sum::<u64>();
    // Each scope has a transaction of its own; below these rows others may follow.
    let each = if task.scope.is_some() {
        format!(", in {}", of(total, "transaction", "transactions"))
    } else {
        String::new()
    };
    let least = if task.tree.is_some() { "at least " } else { "" };
    let estimate = format!("{least}{} would go{each}", of(go, "row", "rows"));
    let remedy = match (total > threshold, &task.scope) {
        (true, Some(_)) => {
            "look at `sexton plan` of the merge, then run it in quiet hours; `max_scopes` does a part at a time"
        }
        (true, None) => "look at `sexton plan` of the merge, then run it in quiet hours",
        (false, _) => "look at `sexton plan` of the merge, then run it",
    };
    let table_name = &task.node.table.name;
    if total > threshold {
        let what = format!("{}, more than {threshold}; {estimate}{list}", of(total, noun.0, noun.1));
        findings.push(Finding::warning("duplicates", table_name, what, remedy));
    } else if total > 0 {
        let what = format!("{}; {estimate}{list}", of(total, noun.0, noun.1));
        findings.push(Finding::note("duplicates", table_name, what, remedy));
    }
    Ok(Planned {
        findings,
        result: Some(json!({
            "duplicates": listed, "total": total, "threshold": threshold, "alert": total > threshold, "rows": go,
        })),
        ..Planned::default()
    })
}

/// R5b: every fault, with the rows it is about.
pub fn verify(options: &Options, facts: &mut dyn Facts, _: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut ignored = Vec::new();
    let task = plan::task(options, &schema, facts, &mut ignored)?;
    let mut faults = Vec::new();
    let root = if task.tree.is_some() { "duplicate_root" } else { "duplicate" };
    for group in duplicates(options, &task, true, facts)? {
        faults.push(fault(&task, root, group.scope, group.ids));
    }
    if task.tree.is_some() {
        in_tree(options, &task, facts, &mut faults)?;
    }
    let mut findings = Vec::new();
    for missing in missing_constraints(options, &task) {
        let mut one = fault(&task, "constraint_missing", Json::Null, Vec::new());
        one["statement"] = json!(missing);
        faults.push(one);
    }
    for one in &faults {
        let code = one["type"].as_str().unwrap_or_default();
        let scope = &one[task.scope.as_deref().unwrap_or("scope")];
        let ids: Vec<&Json> = one["ids"].as_array().into_iter().flatten().collect();
        let mut what = said(code, ids.len());
        if !ids.is_empty() {
            let named: Vec<String> = ids.iter().take(MOST_NAMED).map(|id| plain(id)).collect();
            let more = if ids.len() > MOST_NAMED { ", …" } else { "" };
            what = format!("{what}: {}{more}", named.join(", "));
        }
        let object = if scope.is_null() { task.node.table.name.to_string() } else { scope.to_string() };
        findings.push(Finding::warning(code, object, what, remedy(code, one)));
    }
    Ok(Planned {
        findings,
        result: Some(json!({
            "ok": faults.is_empty(),
            "scope": options.condition.as_deref().unwrap_or("all"),
            "findings": faults,
        })),
        ..Planned::default()
    })
}

fn fault(task: &Task, code: &str, scope: Json, ids: Vec<Json>) -> Json {
    json!({ "type": code, task.scope.as_deref().unwrap_or("scope"): scope, "ids": ids })
}

/// A value without the quotes of JSON.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn said(code: &str, rows: usize) -> String {
    match code {
        "duplicate_root" => format!("{rows} roots where one should be"),
        "duplicate_child" => format!("{rows} children of one parent are the same"),
        "duplicate" => format!("{rows} rows are the same"),
        "lost_parent" => "its parent does not exist".to_owned(),
        "application_mismatch" => "it belongs to another scope than its parent".to_owned(),
        "cycle" => format!("{rows} rows are above and below each other, or hang below such"),
        _ => "nothing in the database prevents new duplicates".to_owned(),
    }
}

fn remedy(code: &str, one: &Json) -> String {
    match code {
        "constraint_missing" => one["statement"].as_str().unwrap_or_default().to_owned(),
        "duplicate_root" | "duplicate_child" | "duplicate" => "merge them: `mode = \"merge\"`".to_owned(),
        _ => "it is left alone: give it a parent by hand".to_owned(),
    }
}

struct Group {
    scope: Json,
    count: u64,
    ids: Vec<Json>,
}

/// Groups of duplicates: of roots only in a tree.
fn duplicates(options: &Options, task: &Task, roots: bool, facts: &mut dyn Facts) -> Result<Vec<Group>> {
    let mut all = Vec::new();
    for scope in plan::within(options, task, facts)? {
        all.extend(duplicates_within(task, scope.as_ref(), roots, facts)?);
    }
    Ok(all)
}

fn duplicates_within(
    task: &Task,
    within: Option<&Sql>,
    roots: bool,
    facts: &mut dyn Facts,
) -> Result<Vec<Group>> {
    let classes = if task.tree.is_some() { 1 } else { task.by.len() };
    let mut same = numbered("c", classes);
    if task.scope.is_some() {
        same.push("s".to_owned());
    }
    // An undo exempts rows from being merged again; they are duplicates nevertheless.
    let all = Task { free: None, ..task.clone() };
    let on: Vec<String> = same.iter().map(|name| format!("m.{name} = d.{name}")).collect();
    let same = same.join(", ");
    let only = if roots { "level = 0" } else { "1 = 1" };
    let scope = if task.scope.is_some() { "m.s" } else { "null" };
    let select = Sql::new("with recursive members as (")
        .add(&members(&all, within))
        .text(&format!(
            "), doubled as (select {same} from members where {only} group by {same} having count(*) > 1) select {scope} as \
             s, m.m0 as k, m.c0 as c from members as m join doubled as d on {} where m.{only}",
            on.join(" and ")
        ));
    let mut groups: Vec<(String, Group)> = Vec::new();
    for row in outward(task, &select, "s, c, k", facts)? {
        let class = format!("{:?} {}", row.first(), row.get(2).map(result::shown).unwrap_or_default());
        let id = row.get(1).map(result::value).unwrap_or_default();
        match groups.last_mut().filter(|(known, _)| *known == class) {
            Some((_, group)) => {
                group.count += 1;
                group.ids.push(id);
            }
            None => {
                let scope = row.first().map(result::value).unwrap_or_default();
                groups.push((class, Group { scope, count: 1, ids: vec![id] }));
            }
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// The rows of a query for `s`, `k` (a scope and a key) and `c`, in a form that leaves the database without loss.
fn outward(task: &Task, select: &Sql, order: &str, facts: &mut dyn Facts) -> Result<Vec<Row>> {
    let table = &task.node.table;
    let key = &task.node.values[0];
    let dialect = facts.dialect();
    let one = |name: &str, from: &str| -> Result<Sql> {
        let spelled = dialect.outward(table.expect_column(name)?);
        Ok(Sql::new(&format!("(select {spelled} from (select q.{from} as ")).name(name).text(") as t)"))
    };
    let scope = match &task.scope {
        Some(scope) => one(scope, "s")?,
        None => Sql::new("null"),
    };
    let select = Sql::new("select ")
        .add(&scope)
        .text(", ")
        .add(&one(key, "k")?)
        .text(", cast(q.c as text) from (")
        .add(select)
        .text(&format!(") as q order by {order} limit {MOST_LISTED}"));
    facts.rows(&select)
}

/// The rows, over `t`, that are meant: those of the scopes that are named, below roots that satisfy the condition. Rows without
/// a root are meant where they satisfy it themselves.
fn meant(options: &Options, task: &Task, rooted: bool, facts: &mut dyn Facts) -> Result<Sql> {
    let mut all = vec![Sql::new("1 = 1")];
    if let Some(scope) = &task.scope {
        let scopes: Vec<Sql> = plan::within(options, task, facts)?.into_iter().flatten().collect();
        if !options.only.is_empty() {
            let own = Sql::new("t.").name(scope);
            all.push(match scopes.is_empty() {
                true => Sql::new("1 = 0"),
                false => own.text(" in (").add(&Sql::join(&scopes, ", ")).text(")"),
            });
        }
    }
    let Some(tree) = task.tree.as_ref().filter(|_| options.condition.is_some()) else {
        return Ok(Sql::join(&all, " and "));
    };
    all.push(match rooted {
        false => task.wanted.clone(),
        true => {
            let key = &task.node.values[0];
            let table = &task.node.table.name;
            Sql::new("t.")
                .name(key)
                .text(" in (with recursive below(k) as (select t.")
                .name(key)
                .text(" from ")
                .table(table)
                .text(" as t where t.")
                .name(&tree.parent)
                .text(" is null and ")
                .add(&task.wanted)
                .text(" union all select t.")
                .name(key)
                .text(" from below join ")
                .table(table)
                .text(" as t on t.")
                .name(&tree.parent)
                .text(" = below.k) select k from below)")
        }
    });
    Ok(Sql::join(&all, " and "))
}

fn in_tree(options: &Options, task: &Task, facts: &mut dyn Facts, faults: &mut Vec<Json>) -> Result<()> {
    let Some(tree) = &task.tree else { return Ok(()) };
    let below_roots = meant(options, task, true, facts)?;
    let themselves = meant(options, task, false, facts)?;
    let table = &task.node.table.name;
    let key = quote(&task.node.values[0]);
    let parent = quote(&tree.parent);
    let scope = task.scope.as_ref().map(|scope| format!("t.{}", quote(scope))).unwrap_or("null".to_owned());
    let from = |more: &str| {
        Sql::new(&format!("select {scope} as s, t.{key} as k, {more} as c from ")).table(table).text(" as t")
    };
    // Children of one parent that are the same, whatever their parents are.
    let siblings = Sql::join(&tree.siblings, ", ");
    let given: Vec<Sql> = tree.siblings.iter().map(|name| name.clone().text(" is not null")).collect();
    let counted = Sql::new(&format!("select {scope} as s, t.{key} as k, first_value(t.{key}) over (same order by t.{key}) as c, count(*) over same as many from "))
        .table(table)
        .text(&format!(" as t where t.{parent} is not null and "))
        .add(&Sql::join(&given, " and "))
        .text(" and ")
        .add(&below_roots)
        .text(&format!(" window same as (partition by t.{parent}, "))
        .add(&siblings)
        .text(")");
    let doubled = Sql::new("select s, k, c from (").add(&counted).text(") as w where many > 1");
    let mut last: Option<(String, Json, Vec<Json>)> = None;
    for row in outward(task, &doubled, "c, k", facts)? {
        let class = row.get(2).map(result::shown).unwrap_or_default();
        let id = row.get(1).map(result::value).unwrap_or_default();
        match last.as_mut().filter(|(known, _, _)| *known == class) {
            Some((_, _, ids)) => ids.push(id),
            None => {
                if let Some((_, scope, ids)) = last.take() {
                    faults.push(fault(task, "duplicate_child", scope, ids));
                }
                last = Some((class, row.first().map(result::value).unwrap_or_default(), vec![id]));
            }
        }
    }
    if let Some((_, scope, ids)) = last {
        faults.push(fault(task, "duplicate_child", scope, ids));
    }
    let lost = from("null")
        .text(&format!(" where t.{parent} is not null and not exists (select 1 from "))
        .table(table)
        .text(&format!(" as p where p.{key} = t.{parent}) and "))
        .add(&themselves);
    each(task, "lost_parent", &lost, facts, faults)?;
    if let Some(column) = &task.scope {
        let other = from("null").text(" join ").table(table).text(&format!(
            " as p on p.{key} = t.{parent} where p.{column} <> t.{column} and ",
            column = quote(column)
        ));
        let other = other.add(&themselves);
        each(task, "application_mismatch", &other, facts, faults)?;
    }
    // Whoever is met neither from a root nor from a lost parent runs in a circle.
    let met = Sql::new(&format!("with recursive met as (select t.{key} as k from "))
        .table(table)
        .text(&format!(" as t where t.{parent} is null or not exists (select 1 from "))
        .table(table)
        .text(&format!(" as p where p.{key} = t.{parent}) union all select t.{key} from met join "))
        .table(table)
        .text(&format!(" as t on t.{parent} = met.k) "))
        .add(&from("null"))
        .text(&format!(" where t.{key} not in (select k from met) and "))
        .add(&themselves);
    let mut cycles: Vec<(Json, Vec<Json>)> = Vec::new();
    for row in outward(task, &met, "s, k", facts)? {
        let (scope, id) = (
            row.first().map(result::value).unwrap_or_default(),
            row.get(1).map(result::value).unwrap_or_default(),
        );
        match cycles.last_mut().filter(|(known, _)| *known == scope) {
            Some((_, ids)) => ids.push(id),
            None => cycles.push((scope, vec![id])),
        }
    }
    for (scope, ids) in cycles {
        faults.push(fault(task, "cycle", scope, ids));
    }
    Ok(())
}

fn each(task: &Task, code: &str, select: &Sql, facts: &mut dyn Facts, faults: &mut Vec<Json>) -> Result<()> {
    for row in outward(task, select, "s, k", facts)? {
        let scope = row.first().map(result::value).unwrap_or_default();
        let id = row.get(1).map(result::value).unwrap_or_default();
        faults.push(fault(task, code, scope, vec![id]));
    }
    Ok(())
}

/// The statements that would prevent new duplicates and are not there yet. Expressions cannot be compared: for those a
/// unique index on as many expressions is taken for the right one.
fn missing_constraints(options: &Options, task: &Task) -> Vec<String> {
    let table = &task.node.table;
    let has = |wanted: &[Same], more: Option<&String>| {
        table.indexes.iter().filter(|index| index.unique).any(|index| {
            index.columns.len() == wanted.len() + usize::from(more.is_some())
                && wanted.iter().all(|one| match one {
                    Same::Column(name) => index.columns.iter().flatten().any(|column| column == name),
                    Same::Expression { .. } => index.columns.iter().any(Option::is_none),
                })
                && more.is_none_or(|name| index.columns.iter().flatten().any(|column| column == name))
        })
    };
    let spelled = |all: &[Same]| {
        let each: Vec<String> = all
            .iter()
            .map(|one| match one {
                Same::Column(name) => quote(name),
                Same::Expression { expression } => format!("({})", expression.replace("t.", "")),
            })
            .collect();
        each.join(", ")
    };
    let name = |suffix: &str| quote(&format!("{}_{suffix}", table.name.name));
    let on = table.name.quoted();
    let mut missing = Vec::new();
    let Some(tree) = &options.tree else {
        if !has(&options.by, None) {
            let only = options.condition.as_ref().map(|text| format!(" where {}", text.replace("t.", "")));
            missing.push(format!(
                "create unique index {} on {on} ({}){}",
                name("once"),
                spelled(&options.by),
                only.unwrap_or_default()
            ));
        }
        return missing;
    };
    let parent = quote(&tree.parent);
    if !has(&options.by, None) {
        missing.push(format!(
            "create unique index {} on {on} ({}) where {parent} is null",
            name("one_root"),
            spelled(&options.by)
        ));
    }
    if !has(&tree.siblings, Some(&tree.parent)) {
        missing.push(format!(
            "create unique index {} on {on} ({parent}, {}) where {parent} is not null",
            name("one_name"),
            spelled(&tree.siblings)
        ));
    }
    missing
}

/// After a run: what is left, and whether new duplicates can come.
pub fn after(
    options: &Options,
    step: &Step,
    done: &Counts,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let task = Task::read(step)?;
    let left = facts.count(&doubles(&task))?;
    let table = &task.node.table.name;
    if done.failed > 0 {
        findings.push(Finding::warning(
            "scopes_failed",
            table,
            format!("{} and nothing changed there", of(done.failed, "scope failed", "scopes failed")),
            "see the errors; they are tried again later, after the others",
        ));
    }
    if left > 0 && done.deleted == 0 && done.failed == 0 {
        findings.push(Finding::warning(
            "rows_kept",
            table,
            format!("{left} duplicates are there still, and none was merged"),
            "see whether a trigger or a policy of the table keeps them",
        ));
    } else if left > 0 {
        findings.push(Finding::note(
            "rows_left",
            table,
            format!("{left} duplicates are left: they are beyond the limit, failed, or came during the run"),
            "run it again",
        ));
    }
    let known = done.deleted + left;
    if known < step.matched {
        findings.push(Finding::note(
            "rows_gone",
            table,
            format!(
                "{} of the planned rows were removed or changed by others meanwhile",
                step.matched - known
            ),
            "",
        ));
    }
    for statement in missing_constraints(options, &task) {
        findings.push(Finding::note("constraint_missing", table, "new duplicates can come", statement));
    }
    Ok(())
}
