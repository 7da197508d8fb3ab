//! Every declared reference, looked up: also those that the database does not enforce, or believes without having looked.

use crate::orphans::{declared_links, why_broken};
use engine::{Finding, Result};
use serde_json::{Map, Value as Json, json};
use targets::db::{Facts, ForeignKey, Schema, Sql, Table, TableKind};

/// Every violation up to `most` for each reference; all are counted.
pub fn look(
    schema: &Schema,
    most: usize,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<Json> {
    let mut violations = Vec::new();
    for table in &schema.tables {
        if matches!(table.kind, TableKind::View | TableKind::Foreign) {
            continue;
        }
        for key in table.references.iter().chain(&table.lost_references) {
            if let Some(why) = why_broken(table, key, schema) {
                leads_nowhere(table, key, &why, most, facts, findings, &mut violations)?;
            }
        }
        for link in declared_links(table, schema)? {
            let Some(key) = &link.declared else { continue };
            let broken = match link.is_broken(facts.dialect()) {
                Ok(broken) => broken,
                Err(error) => {
                    let help = error.help.clone().unwrap_or_else(|| "look at both columns".to_owned());
                    findings.push(Finding::note("unchecked", &table.name, error.to_string(), help));
                    continue;
                }
            };
            let from = Sql::new(" from ").table(&table.name).text(" as t where ").add(&broken);
            let count = facts.count(&Sql::new("select count(*)").add(&from))?;
            if count == 0 {
                continue;
            }
            let row_id = facts.dialect().row_id(table).unwrap_or_else(|| Sql::new("null"));
            let mut select = Sql::new("select ").add(&row_id);
            for (own, _) in &link.pairs {
                select = select.text(", ").text(&facts.dialect().outward(own));
            }
            let select = select.add(&from).text(&format!(" limit {most}"));
            for row in facts.rows(&select)? {
                let values = link.pairs.iter().zip(row.iter().skip(1));
                let key_values: Map<String, Json> = values
                    .map(|((own, _), value)| (own.name.clone(), json!(super::rules::plain(value))))
                    .collect();
                violations.push(json!({
                    "table": table.name.to_string(),
                    "rowid": super::rules::plain(&row[0]),
                    "parent": link.parent.name.to_string(),
                    "fkid": key.number,
                    "key": key_values,
                }));
            }
            findings.push(Finding::warning(
                "foreign_key",
                &table.name,
                format!(
                    "{count} rows refer by `{}` to rows of `{}` that are not there",
                    link.name(),
                    link.parent.name
                ),
                format!(
                    "`sexton orphans scan` proposes what to do: sexton plan of kind `orphans` on `{}`",
                    table.name
                ),
            ));
        }
    }
    Ok(Json::Array(violations))
}

/// A key to a table or a column that is not there: every row that refers to anything breaks it.
fn leads_nowhere(
    table: &Table,
    key: &ForeignKey,
    why: &str,
    most: usize,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
    violations: &mut Vec<Json>,
) -> Result<()> {
    let own: Vec<_> = key.columns.iter().filter_map(|name| table.column(name)).collect();
    let given: Vec<Sql> =
        own.iter().map(|column| Sql::new("t.").name(&column.name).text(" is not null")).collect();
    if given.len() < key.columns.len() || given.is_empty() {
        return Ok(());
    }
    let from = Sql::new(" from ").table(&table.name).text(" as t where ").add(&Sql::join(&given, " and "));
    let count = facts.count(&Sql::new("select count(*)").add(&from))?;
    let row_id = facts.dialect().row_id(table).unwrap_or_else(|| Sql::new("null"));
    let mut select = Sql::new("select ").add(&row_id);
    for column in &own {
        select = select.text(", ").text(&facts.dialect().outward(column));
    }
    for row in facts.rows(&select.add(&from).text(&format!(" limit {most}")))? {
        let values = own.iter().zip(row.iter().skip(1));
        let values: Map<String, Json> =
            values.map(|(column, value)| (column.name.clone(), json!(super::rules::plain(value)))).collect();
        violations.push(json!({
            "table": table.name.to_string(),
            "rowid": super::rules::plain(&row[0]),
            "parent": key.parent.to_string(),
            "fkid": key.number,
            "key": values,
        }));
    }
    findings.push(Finding::warning(
        "foreign_key",
        &table.name,
        format!("its key ({}) refers to nothing, with {count} rows: {why}", key.columns.join(", ")),
        "mend or drop the key",
    ));
    Ok(())
}
