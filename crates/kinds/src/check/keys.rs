//! Every declared reference, looked up: also those that the database does not enforce, or believes without having looked.

use crate::orphans::declared_links;
use engine::{Finding, Result};
use serde_json::{Map, Value as Json, json};
use targets::db::{Facts, Schema, Sql, TableKind};

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
