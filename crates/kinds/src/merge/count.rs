//! How many rows a merge will move, rename, fold and delete: one statement over the same queries that the run uses.

use super::clash::clashing;
use super::fields::{differs, gathered};
use super::members::{MAP, gone, map};
use super::options::Policy;
use super::result;
use super::task::{Field, Node, Task};
use engine::{Dependants, Result};
use targets::db::{Dialect, Facts, Sql, Table, Value};

/// One thing that is counted.
pub struct Line {
    pub table: String,
    pub columns: Vec<String>,
    pub policy: &'static str,
}

/// What was counted, by scope.
#[derive(Default)]
pub struct Counted {
    pub lines: Vec<Line>,
    pub scopes: Vec<(Value, Vec<u64>)>,
    pub exact: bool,
}

/// The statement that counts, in the making.
#[derive(Default)]
struct Counting {
    parts: Vec<(String, Sql)>,
    selects: Vec<Sql>,
    lines: Vec<Line>,
    inexact: bool,
}

impl Counting {
    fn line(&mut self, table: &Table, columns: &[String], policy: &'static str, select: Sql) {
        let n = self.lines.len();
        self.lines.push(Line { table: table.name.to_string(), columns: columns.to_vec(), policy });
        self.selects.push(Sql::new(&format!("select {n} as line, ")).add(&select));
    }

    fn node(&mut self, node: &Node, map: &str, dialect: &dyn Dialect) {
        for (n, reference) in node.references.iter().enumerate() {
            let below = &reference.node;
            let mut moved = Sql::new("m.s as s, count(*) as many from ")
                .table(&below.table.name)
                .text(&format!(" as t join {map} as m on m.deed = 2 and "))
                .add(&reference.meets("t", "m"));
            if reference.own {
                moved = moved.text(" where not ").add(&below.among(&gone(map, node)));
            }
            self.line(&below.table, &reference.columns, "move", moved.text(" group by m.s"));
            self.inexact |= reference.clashes.len() > 1 || self.shares_a_key(node, n);
            for (m, clash) in reference.clashes.iter().enumerate() {
                let found = format!("{map}_{n}_{m}");
                self.parts.push((found.clone(), clashing(reference, clash, map)));
                let doomed = |deed: u8| {
                    Sql::new(&format!("s, count(*) as many from {found} where deed = {deed} group by s"))
                };
                for (deed, policy) in
                    [(Policy::Rename, "rename"), (Policy::Fold, "fold"), (Policy::Refuse, "refuse")]
                {
                    if clash.policy == deed || clash.if_same == deed {
                        let number = match deed {
                            Policy::Rename => 1,
                            Policy::Fold => 2,
                            _ => 3,
                        };
                        self.line(&below.table, &clash.beside, policy, doomed(number));
                    }
                }
                if clash.policy == Policy::Fold || clash.if_same == Policy::Fold {
                    self.node(below, &found, dialect);
                    self.fields(below, &clash.fields, None, &found, dialect);
                }
            }
        }
    }

    /// Whether a later reference of the same table stands in one unique key with this one.
    fn shares_a_key(&self, node: &Node, n: usize) -> bool {
        let this = &node.references[n];
        node.references.iter().enumerate().any(|(m, other)| {
            m != n
                && other.node.table.name == this.node.table.name
                && this.node.table.uniques.iter().any(|unique| {
                    let holds =
                        |columns: &[String]| columns.iter().any(|column| unique.columns.contains(column));
                    holds(&this.columns) && holds(&other.columns)
                })
        })
    }

    fn fields(&mut self, node: &Node, fields: &[Field], age: Option<&Sql>, map: &str, dialect: &dyn Dialect) {
        if fields.is_empty() {
            return;
        }
        let brought = format!("{map}_gain");
        self.parts.push((brought.clone(), gathered(node, fields, map, age.is_some())));
        let columns: Vec<String> = fields.iter().map(|field| field.column.clone()).collect();
        let changed = Sql::new(&format!("g.s as s, count(*) as many from {brought} as g join "))
            .table(&node.table.name)
            .text(" as t on ")
            .add(&node.is("t", "g", "n"))
            .text(" where ")
            .add(&differs(fields, age, dialect))
            .text(" group by g.s");
        self.line(&node.table, &columns, "fields", changed);
    }
}

/// Counts everything that a run would do, in all scopes or in one.
pub fn count(task: &Task, scope: Option<&Sql>, facts: &mut dyn Facts) -> Result<Counted> {
    let node = &task.node;
    let mut counting = Counting::default();
    counting.parts.push((MAP.to_owned(), map(task, scope, None)));
    let all = Sql::new(&format!("s, count(*) as many from {MAP} group by s"));
    counting.line(&node.table, &[], "merge", all.clone());
    counting.node(node, MAP, facts.dialect());
    counting.fields(node, &task.fields, task.age.as_ref(), MAP, facts.dialect());
    if let Some(column) = &task.park {
        counting.line(&node.table, std::slice::from_ref(column), "park", all);
    }
    let Counting { parts, selects, lines, inexact } = counting;
    let mut sql = Sql::new("with ");
    for (n, (name, select)) in parts.iter().enumerate() {
        // Each is used several times, and SQLite would work it out each time.
        let part = sql.text(if n == 0 { "" } else { ", " }).text(name);
        sql = part.text(" as materialized (").add(select).text(")");
    }
    let counts = Sql::join(&selects, " union all ");
    sql = match &task.scope {
        Some(scope) => {
            let outward = facts.dialect().outward(node.table.expect_column(scope)?);
            sql.text(" select t.line, ")
                .text(&outward)
                .text(", t.many from (select c.line, c.many, c.s as ")
                .name(scope)
                .text(" from (")
                .add(&counts)
                .text(") as c) as t order by t.")
                .name(scope)
        }
        None => sql.text(" select c.line, null, c.many from (").add(&counts).text(") as c"),
    };
    let mut counted = Counted { scopes: Vec::new(), exact: !inexact, lines };
    for row in facts.rows(&sql)? {
        let line = result::number(&row, 0) as usize;
        let many = result::number(&row, 2);
        let scope = row.get(1).cloned().unwrap_or(Value::Null);
        let n = match counted.scopes.last() {
            Some((last, _)) if *last == scope => counted.scopes.len() - 1,
            _ => {
                counted.scopes.push((scope, vec![0; counted.lines.len()]));
                counted.scopes.len() - 1
            }
        };
        counted.scopes[n].1[line] += many;
    }
    Ok(counted)
}

impl Counted {
    /// Adds what was counted in other scopes.
    pub fn add(&mut self, other: Counted) {
        self.exact = other.exact && (self.exact || self.lines.is_empty());
        self.lines = other.lines;
        self.scopes.extend(other.scopes);
    }

    /// The sums of the lines, over all scopes or those chosen.
    pub fn totals(&self, chosen: Option<&Vec<Value>>) -> Vec<u64> {
        let mut totals = vec![0; self.lines.len()];
        for (scope, counts) in &self.scopes {
            if chosen.is_none_or(|chosen| chosen.contains(scope)) {
                totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            }
        }
        totals
    }

    /// What hangs on the merged rows. Rows that are folded or renamed were counted as moved too.
    pub fn dependants(&self, totals: &[u64]) -> Vec<Dependants> {
        let mut all: Vec<Dependants> = Vec::new();
        let mut moving = 0;
        for (line, rows) in self.lines.iter().zip(totals).skip(1) {
            match line.policy {
                "move" => moving = all.len(),
                "rename" | "fold" => all[moving].rows = all[moving].rows.saturating_sub(*rows),
                _ => {}
            }
            all.push(Dependants {
                table: line.table.clone(),
                columns: line.columns.clone(),
                policy: line.policy.to_owned(),
                rows: *rows,
            });
        }
        all
    }
}
