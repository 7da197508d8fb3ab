//! Which rows are the same, and which of them stays: one query that maps every other row to the one that stays.
//!
//! In a tree, two rows are the same when they have the same path: roots by `by`, children by `siblings` below parents
//! that are the same. So one query finds the duplicates of every depth, also those that meet only after their parents
//! have merged (W-112). It starts from the roots: rows of a cycle, or below a lost parent, are never met (W-083).

use super::task::{Node, Task, Tree, numbered};
use targets::db::Sql;

/// How the mapping is called, in the plan (where it is part of a statement) and in a batch (where it is a temporary table).
pub const MAP: &str = "sexton_map";

/// The frame of a window that both `row_number` and `first_value` can use: SQLite makes one passage of it.
pub const ROWS: &str = "rows between unbounded preceding and current row";

/// The mapping of rows that go (`o0`, …) to the row that stays (`n0`, …), by all values of the node, with the scope `s`,
/// its depth in the tree (`level`), its rank (`nth`), its values to take over (`f0`, …) and its age (`a`). `scope` is a value
/// for the scope column, `groups` the most groups to look at.
pub fn map(task: &Task, scope: Option<&Sql>, groups: Option<u64>) -> Sql {
    let node = &task.node;
    let classes = if task.tree.is_some() { 1 } else { task.by.len() };
    let mut same = numbered("c", classes);
    if task.scope.is_some() {
        same.push("s".to_owned());
    }
    let same = same.join(", ");
    let listed = |kind: &str, many: usize, alias: &str| {
        numbered(kind, many).iter().map(|name| format!("{alias}{name}")).collect::<Vec<_>>().join(", ")
    };
    let values = node.values.len();
    let fields = task.fields.len();

    let mut sql = Sql::new("with recursive members as (").add(&members(task, scope)).text("), doubled as (");
    sql = sql.text(&format!("select {same} from members group by {same} having count(*) > 1"));
    if let Some(groups) = groups {
        // The deepest first: below a row that is merged, all children that are the same are one already.
        let order = if task.tree.is_some() { " order by max(level) desc" } else { "" };
        sql = sql.text(&format!("{order} limit {groups}"));
    }
    // Asked for their dependants once: read in two places, SQLite would count them twice.
    sql = sql.text("), rated as materialized (select m.*");
    for (n, value) in node.values.iter().enumerate() {
        sql = sql.text(", t.").name(value).text(&format!(" as o{n}"));
    }
    for (n, field) in task.fields.iter().enumerate() {
        sql = sql.text(", t.").name(&field.column).text(&format!(" as f{n}"));
    }
    if let Some(age) = &task.age {
        sql = sql.text(", ").add(age).text(" as a");
    }
    for (n, order) in task.order.iter().enumerate() {
        sql = sql.text(", ").add(&order.value).text(&format!(" as r{n}"));
    }
    let on_class: Vec<String> = same.split(", ").map(|name| format!("m.{name} = d.{name}")).collect();
    sql = sql
        .text(" from members as m join doubled as d on ")
        .text(&on_class.join(" and "))
        .text(" join ")
        .table(&node.table.name)
        .text(" as t on ")
        .add(&node.is("t", "m", "m"))
        .add(&task.joins);
    let mut order = String::new();
    for (n, rule) in task.order.iter().enumerate() {
        let way = if rule.descending { "desc" } else { "asc" };
        // Counts are never NULL.
        if !rule.counts {
            order.push_str(&format!("case when r{n} is null then 1 else 0 end, "));
        }
        order.push_str(&format!("r{n} {way}, "));
    }
    order.push_str(&listed("m", node.key, ""));
    sql = sql.text("), ranked as (select rated.*, row_number() over stays as nth");
    for n in 0..values {
        sql = sql.text(&format!(", first_value(o{n}) over stays as n{n}"));
    }
    sql = sql.text(&format!(" from rated window stays as (partition by {same} order by {order})) select "));
    // Only the key names a row; the other values come from it.
    let names: Vec<Sql> = (0..values).map(|n| node.named(n, "ranked")).collect();
    sql = sql
        .text(&listed("o", values, ""))
        .text(", ")
        .add(&Sql::join(&names, ", "))
        .text(", nth, level, 2 as deed");
    sql = sql.text(if task.scope.is_some() { ", s" } else { ", 0 as s" });
    if task.tree.is_none() {
        sql = sql.text(", ").text(&listed("c", classes, ""));
    }
    if fields > 0 {
        sql = sql.text(", ").text(&listed("f", fields, ""));
    }
    if task.age.is_some() {
        sql = sql.text(", a");
    }
    sql.text(" from ranked where nth > 1")
}

/// A query for how many rows would go, without choosing those that stay.
pub fn doubles(task: &Task) -> Sql {
    let classes = if task.tree.is_some() { 1 } else { task.by.len() };
    let mut same = numbered("c", classes);
    if task.scope.is_some() {
        same.push("s".to_owned());
    }
    Sql::new("with recursive members as (").add(&members(task, None)).text(&format!(
        ") select cast(coalesce(sum(q.many - 1), 0) as bigint) from (select count(*) as many from members group by {} having \
         count(*) > 1) as q",
        same.join(", ")
    ))
}

/// Every row that takes part: its key (`m0`, …), scope, depth, and what it must share with others.
pub fn members(task: &Task, scope: Option<&Sql>) -> Sql {
    match &task.tree {
        Some(tree) => paths(task, tree, scope),
        None => flat(task, scope),
    }
}

fn start(node: &Node, scope: &Option<String>) -> Sql {
    let mut sql = Sql::new("select ");
    for (n, column) in node.key().iter().enumerate() {
        sql = sql.text("t.").name(column).text(&format!(" as m{n}, "));
    }
    match scope {
        Some(column) => sql.text("t.").name(column).text(" as s, "),
        None => sql,
    }
}

fn flat(task: &Task, scope: Option<&Sql>) -> Sql {
    let mut sql = start(&task.node, &task.scope).text("0 as level");
    for (n, by) in task.by.iter().enumerate() {
        sql = sql.text(", ").add(by).text(&format!(" as c{n}"));
    }
    let mut wanted = vec![Sql::new("(").add(&task.wanted).text(")")];
    wanted.extend(task.by.iter().map(|by| Sql::new("(").add(by).text(") is not null")));
    wanted.extend(task.free.clone());
    wanted.extend(in_scope(task, scope));
    sql.text(" from ").table(&task.node.table.name).text(" as t where ").add(&Sql::join(&wanted, " and "))
}

fn in_scope(task: &Task, scope: Option<&Sql>) -> Option<Sql> {
    let column = task.scope.as_ref()?;
    let own = Sql::new("t.").name(column);
    Some(match scope {
        Some(value) => own.text(" = ").add(value),
        None => own.text(" is not null"),
    })
}

fn paths(task: &Task, tree: &Tree, scope: Option<&Sql>) -> Sql {
    let node = &task.node;
    let table = &node.table.name;
    // A row that has no duplicate, whatever the others are like, has a path that names itself.
    let alone = Sql::new("'#' || ").add(&spelled(&Sql::new("t.").name(&node.values[0])));
    let free = |path: &Sql| match &task.free {
        Some(free) => Sql::new("case when ")
            .add(free)
            .text(" then coalesce(")
            .add(path)
            .text(", ")
            .add(&alone)
            .text(") else ")
            .add(&alone)
            .text(" end"),
        None => Sql::new("coalesce(").add(path).text(", ").add(&alone).text(")"),
    };
    let root = root(task);
    let mut first = vec![Sql::new("t.").name(&tree.parent).text(" is null")];
    first.extend(in_scope(task, scope));
    let mut next = vec![Sql::new("t.").name(&tree.parent).text(" = m.m0")];
    if let Some(column) = &task.scope {
        next.push(Sql::new("t.").name(column).text(" = m.s"));
    }
    start(node, &task.scope)
        .text("0 as level, cast(")
        .add(&free(&root))
        .text(" as text) as c0 from ")
        .table(table)
        .text(" as t where ")
        .add(&Sql::join(&first, " and "))
        .text(" union all ")
        .add(&start(node, &task.scope))
        .text("m.level + 1, cast(m.c0 || '/' || ")
        .add(&free(&joined(&tree.siblings)))
        .text(" as text) from members as m join ")
        .table(table)
        .text(" as t on ")
        .add(&Sql::join(&next, " and "))
}

/// What makes roots the same, over `t`; NULL for those that are left alone.
fn root(task: &Task) -> Sql {
    Sql::new("case when ").add(&task.wanted).text(" then ").add(&joined(&task.by)).text(" end")
}

/// What makes a row of a tree the same as another, given that their parents are, over `t`; NULL where nothing does.
pub fn name(task: &Task, tree: &Tree) -> Sql {
    let one = Sql::new("case when t.")
        .name(&tree.parent)
        .text(" is null then '=' || ")
        .add(&root(task))
        .text(" else '/' || ")
        .add(&joined(&tree.siblings))
        .text(" end");
    match &task.free {
        Some(free) => Sql::new("case when ").add(free).text(" then ").add(&one).text(" end"),
        None => one,
    }
}

/// Several values as one text from which they could be told again; NULL when one of them is.
fn joined(values: &[Sql]) -> Sql {
    let each: Vec<Sql> = values.iter().map(spelled).collect();
    Sql::join(&each, " || ")
}

/// With its length before it, a name cannot be taken for two.
fn spelled(value: &Sql) -> Sql {
    Sql::new("cast(length(cast(")
        .add(value)
        .text(" as text)) as text) || ':' || cast(")
        .add(value)
        .text(" as text)")
}

/// The rows that go, of a mapping: `select o0, … from …`.
pub fn gone(map: &str, node: &Node) -> Sql {
    Sql::new(&format!("select {} from {map} as m where m.deed = 2", numbered("m.o", node.key).join(", ")))
}

/// The rows that stay and take others over.
pub fn stays(map: &str, node: &Node) -> Sql {
    Sql::new(&format!("select {} from {map} as m where m.deed = 2", numbered("m.n", node.key).join(", ")))
}
