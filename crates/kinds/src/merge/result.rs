//! What a merge tells about each scope (R4): what was kept, merged, moved, removed. Names come from the tables: with the scope
//! `application_id`, the table `folders` and documents in them there are `applications_found`, `folders_removed`,
//! `documents_moved`.

use super::batch::Tally;
use super::members::MAP;
use super::task::Task;
use engine::{Result, Work};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use targets::db::{Dialect, Row, Sql, Value};

/// Of so many pairs the ids are told.
pub const MOST_PAIRS: u64 = 10_000;

/// What became of one scope.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// The row that stays, where it is one root of several.
    pub kept: Option<Json>,
    /// Who became whom.
    pub merged: Vec<(Json, Json)>,
    /// Rows that went.
    pub removed: u64,
    /// Rows that refer to another row now, by table.
    pub moved: BTreeMap<String, u64>,
    /// Rows that have another name now, by table.
    pub renamed: BTreeMap<String, u64>,
    /// Rows of other tables that became one, by table.
    pub folded: BTreeMap<String, u64>,
}

impl Detail {
    /// With what was counted.
    pub fn with(mut self, tally: Tally) -> Self {
        self.moved = tally.moved;
        self.renamed = tally.renamed;
        self.folded = tally.folded;
        self
    }

    /// Adds a pair: old key, new key, depth.
    pub fn pair(&mut self, row: &[Value]) {
        let [old, new, level, ..] = row else { return };
        if level.as_int() == Some(0) && self.kept.is_none() {
            self.kept = Some(value(new));
        }
        self.merged.push((value(old), value(new)));
    }
}

/// The pairs of the mapping, over a select list of old key, new key and depth.
pub fn pairs_of(task: &Task, dialect: &dyn Dialect, more: &str) -> Result<Sql> {
    let key = &task.node.values[0];
    let outward = dialect.outward(task.node.table.expect_column(key)?);
    let of = |kind: &str| {
        Sql::new(&format!("(select {outward} from (select q.{kind}0 as ")).name(key).text(") as t)")
    };
    Ok(Sql::new("select ")
        .add(&of("o"))
        .text(", ")
        .add(&of("n"))
        .text(&format!(", q.level{more} from {MAP} as q order by q.level, q.n0, q.nth limit {MOST_PAIRS}")))
}

/// Who becomes whom in this batch.
pub fn pairs(task: &Task, work: &mut Work) -> Result<Detail> {
    let mut detail = Detail::default();
    if task.scope.is_none() {
        return Ok(detail);
    }
    let select = pairs_of(task, work.dialect(), "")?;
    for row in work.rows(&select)? {
        detail.pair(&row);
    }
    detail.removed = work.count(&Sql::new(&format!("select count(*) from {MAP}")))?;
    Ok(detail)
}

/// The result of one scope.
pub fn of_scope(task: &Task, scope: &str, detail: Detail) -> Json {
    let table = &task.node.table.name.name;
    let key = &task.node.values[0];
    let mut one = json!({
        task.scope.as_deref().unwrap_or("scope"): number_or_text(scope),
        format!("kept_{}_{key}", singular(table)): detail.kept,
        "merged": detail.merged.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect::<Vec<_>>(),
        "removed": detail.merged.iter().map(|(from, _)| from.clone()).collect::<Vec<_>>(),
        "rollback_id": null,
        "status": "completed",
        "errors": [],
    });
    for (table, rows) in &detail.moved {
        one[format!("moved_{table}")] = json!(rows);
    }
    for (what, all) in [("renamed", &detail.renamed), ("folded", &detail.folded)] {
        for (table, rows) in all.iter().filter(|(_, rows)| **rows > 0) {
            one[format!("{what}_{table}")] = json!(rows);
        }
    }
    one["removed_rows"] = json!(detail.removed);
    one
}

/// A scope that failed.
pub fn of_failure(task: &Task, scope: &str, error: &str) -> Json {
    json!({
        task.scope.as_deref().unwrap_or("scope"): number_or_text(scope),
        "merged": [],
        "removed": [],
        "rollback_id": null,
        "status": "failed",
        "errors": [error],
    })
}

/// Whether a figure of [`sum_up`] counts what was done: all of them do.
pub fn is_deed(figure: &str) -> bool {
    let deeds = ["found", "cleaned", "failed", "merged", "moved", "removed", "renamed", "folded"];
    figure.rsplit_once('_').is_some_and(|(_, deed)| deeds.contains(&deed))
}

/// All scopes together.
pub fn sum_up(task: &Task, found: u64, dry_run: bool, results: &[Json]) -> Json {
    let table = &task.node.table.name.name;
    let scopes = scopes_noun(task);
    let sum = |key: &str| results.iter().filter_map(|one| one[key].as_u64()).sum::<u64>();
    let with = |status: &str| results.iter().filter(|one| one["status"] == status).count();
    let mut all = json!({
        "dry_run": dry_run,
        format!("{scopes}_found"): found,
        format!("{scopes}_cleaned"): with("completed"),
        format!("{scopes}_failed"): with("failed"),
        format!("{table}_merged"): sum("removed_rows"),
        format!("{table}_moved"): sum(&format!("moved_{table}")),
        format!("{table}_removed"): sum("removed_rows"),
    });
    for reference in task.node.references.iter().filter(|reference| !reference.own) {
        let name = reference.node.table.name.to_string();
        all[format!("{name}_moved")] = json!(sum(&format!("moved_{name}")));
        if reference.clashes.iter().any(|clash| clash.rename.is_some()) {
            all[format!("{name}_renamed")] = json!(sum(&format!("renamed_{name}")));
        }
        if sum(&format!("folded_{name}")) > 0 {
            all[format!("{name}_folded")] = json!(sum(&format!("folded_{name}")));
        }
    }
    let ids: Vec<&Json> = results.iter().map(|one| &one["rollback_id"]).filter(|id| !id.is_null()).collect();
    all["rollback_ids"] = json!(ids);
    all["results"] = json!(results);
    all
}

fn scopes_noun(task: &Task) -> String {
    match &task.scope {
        Some(scope) => format!("{}s", scope.strip_suffix("_id").unwrap_or(scope)),
        None => "scopes".to_owned(),
    }
}

fn singular(table: &str) -> &str {
    table.strip_suffix('s').unwrap_or(table)
}

/// A scope's value as text: its name in undo points and messages.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

fn number_or_text(scope: &str) -> Json {
    scope.parse::<i64>().map_or_else(|_| json!(scope), |number| json!(number))
}

/// A value as JSON, for ids.
pub fn value(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!(number),
        Value::Null => Json::Null,
        other => json!(shown(other)),
    }
}

/// The n-th column as a count.
pub fn number(row: &Row, n: usize) -> u64 {
    row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64
}
