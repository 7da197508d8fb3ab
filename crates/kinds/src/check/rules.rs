//! Conditions of one's own that no row may meet.

use super::options::Rule;
use engine::{Error, Finding, Result};
use serde_json::{Map, Value as Json, json};
use targets::db::{Facts, Schema, Sql, Table, Value};

/// What every rule found: its name, how many rows, and which.
pub fn look(
    rules: &[Rule],
    schema: &Schema,
    most: usize,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<Json> {
    let mut broken = Vec::new();
    for rule in rules {
        let table =
            schema.find(&rule.table).map_err(|error| error.while_doing(&format!("rule `{}`", rule.name)))?;
        let column = table.expect_column(&names_rows(rule, table)?)?;
        // A line end, so that a comment in the condition cannot swallow the bracket.
        let from = Sql::new(" from ")
            .table(&table.name)
            .text(" as t where (")
            .add(&Sql::raw(&rule.condition))
            .text("\n)");
        let failed = |error: targets::db::Error| error.while_doing(&format!("rule `{}`", rule.name));
        let count = facts.count(&Sql::new("select count(*)").add(&from)).map_err(failed)?;
        if count == 0 {
            continue;
        }
        let select = Sql::new("select ")
            .text(&facts.dialect().outward(column))
            .add(&from)
            .text(&format!(" order by 1 limit {most}"));
        let ids: Vec<Json> = facts.rows(&select)?.iter().filter_map(|row| row.first().map(plain)).collect();
        let first: Vec<String> = ids.iter().take(5).map(Json::to_string).collect();
        let mut one = Map::new();
        one.insert("type".to_owned(), json!(rule.name));
        one.insert("count".to_owned(), json!(count));
        one.insert(rule.ids.clone(), Json::Array(ids));
        broken.push(Json::Object(one));
        findings.push(Finding::warning(
            &rule.name,
            &table.name,
            format!("{count} rows break the rule, such as {}", first.join(", ")),
            format!("look at them: select * from {} as t where {}", table.name.quoted(), rule.condition),
        ));
    }
    Ok(Json::Array(broken))
}

/// The column by which a rule names rows.
fn names_rows(rule: &Rule, table: &Table) -> Result<String> {
    let key = table.key.as_ref().or_else(|| table.uniques.first());
    match (&rule.column, key.and_then(|key| key.columns.first())) {
        (Some(column), _) => Ok(column.clone()),
        (None, Some(column)) => Ok(column.clone()),
        (None, None) => Err(Error::usage(format!(
            "`{}` has no key to name the rows of rule `{}` by",
            table.name, rule.name
        ))
        .help("say which column names them: `column = \"…\"`")),
    }
}

/// A value as a person reads it in JSON.
pub fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(number) => json!(number),
        Value::Bool(truth) => json!(truth),
        Value::Text(text) => json!(text),
        other => json!(other.to_string()),
    }
}
