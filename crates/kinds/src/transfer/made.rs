//! Views and triggers of the target: tried on the empty tables before any row comes, made when nothing of the transfer would read
//! them or fire them, and taken away again with the tables.

use super::design::Design;
use engine::{Batch, Counts, Error, Result, Work};
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Sql, Value};

/// Where it is kept what was made.
pub const MADE: &str = "made";

/// A view, or a trigger with its function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// `view` or `trigger`.
    pub what: String,
    /// Its name in the source.
    pub name: String,
    /// What makes it.
    pub statements: Vec<String>,
    /// What takes it away: a view before the tables that it reads, a function after the tables that fire it.
    pub away: String,
    /// What it does, as statements that can be planned before there is a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<String>,
}

/// The views of a design.
pub fn views(design: &Design) -> Vec<Made> {
    let each = design.views.iter().map(|view| Made {
        what: "view".to_owned(),
        name: view.source.clone(),
        statements: vec![view.sql.clone()],
        away: format!("drop view if exists {}", view.name.quoted()),
        probes: vec![format!("select * from {}", view.name.quoted())],
    });
    each.collect()
}

/// Its triggers.
pub fn triggers(design: &Design) -> Vec<Made> {
    let each = design.triggers.iter().map(|trigger| Made {
        what: "trigger".to_owned(),
        name: trigger.source.clone(),
        statements: trigger.statements.clone(),
        away: format!("drop function if exists {}()", trigger.function),
        probes: trigger.probes.clone(),
    });
    each.collect()
}

/// The keys on which it depends what a view may say of grouped rows, and a trigger of rows that are there.
pub fn keys(design: &Design) -> Vec<String> {
    let indexes = design.tables.iter().flat_map(|table| &table.indexes);
    let keys = indexes.filter(|index| index.key.is_some() || !index.unique.is_empty());
    keys.flat_map(|index| std::iter::once(index.sql.clone()).chain(index.key.clone())).collect()
}

/// Makes everything and takes it away again, so that nothing is refused after hours.
pub fn try_all(keys: &[String], all: &[Made], work: &mut Work) -> Result<Batch> {
    work.statement("savepoint sexton_try")?;
    for key in keys {
        work.statement(key)?;
    }
    for one in all {
        for statement in &one.statements {
            work.statement(statement).map_err(|error| refused(one, error))?;
        }
    }
    // when everything is there: a trigger may write into a view that another one makes writable
    for one in all {
        for probe in &one.probes {
            work.statement(&format!("explain {probe}")).map_err(|error| refused(one, error))?;
        }
    }
    work.statement("rollback to savepoint sexton_try")?;
    work.statement("release savepoint sexton_try")?;
    Ok(Batch { counts: Counts::default(), next: None })
}

fn refused(one: &Made, error: Error) -> Error {
    let name = one.name.replace('"', "\\\"");
    Error::usage(format!(
        "the target does not take the {} `{}` as it was translated; without it: `leave = [\"{name}\"]`",
        one.what, one.name
    ))
    .because(error)
    .help("leave it out, and make it by hand afterwards")
}

/// Makes them, and keeps what takes them away.
pub fn make(all: &[Made], work: &mut Work) -> Result<Batch> {
    let own = work.dialect().own(MADE);
    let create = Sql::new("create table if not exists ").table(&own).text(
        " (n bigint generated always as identity, run text not null, what text not null, away text not null)",
    );
    work.record(&create)?;
    for one in all {
        for statement in &one.statements {
            work.statement(statement).map_err(|error| refused(one, error))?;
        }
        let note = Sql::new("insert into ")
            .table(&own)
            .text(" (run, what, away) values (")
            .bind(work.point())
            .text(", ")
            .bind(one.what.as_str())
            .text(", ")
            .bind(one.away.as_str())
            .text(")");
        work.record(&note)?;
    }
    Ok(Batch { counts: Counts::default(), next: None })
}

/// What takes away what a run made: before its tables go, and after it.
pub fn away(run: &str, facts: &mut dyn Facts) -> Result<(Vec<String>, Vec<String>)> {
    let own = facts.dialect().own(MADE);
    if facts.count(&facts.dialect().exists(&own))? == 0 {
        return Ok(Default::default());
    }
    let rows = facts.rows(&ours(&own, run))?;
    Ok(sides(rows))
}

/// The same within a batch.
pub fn away_within(run: &str, work: &mut Work) -> Result<(Vec<String>, Vec<String>)> {
    let own = work.dialect().own(MADE);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(Default::default());
    }
    let rows = work.rows(&ours(&own, run))?;
    Ok(sides(rows))
}

/// What was made last goes first.
fn ours(own: &targets::db::TableName, run: &str) -> Sql {
    Sql::new("select what, away from ").table(own).text(" where run = ").bind(run).text(" order by n desc")
}

fn sides(rows: Vec<targets::db::Row>) -> (Vec<String>, Vec<String>) {
    let text = |value: Option<&Value>| value.and_then(Value::as_text).unwrap_or_default().to_owned();
    let (views, functions): (Vec<_>, Vec<_>) = rows.iter().partition(|row| text(row.first()) == "view");
    let away = |rows: Vec<&targets::db::Row>| rows.iter().map(|row| text(row.get(1))).collect();
    (away(views), away(functions))
}
