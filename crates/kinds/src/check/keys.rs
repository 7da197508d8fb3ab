//! Every declared reference, looked up: also those that the database does not enforce, or believes without having looked.

use crate::orphans::{declared_links, why_broken};
use engine::{Finding, Result};
use serde_json::{Map, Value as Json, json};
use targets::db::{Column, Facts, ForeignKey, Schema, Sql, Table, TableKind, TableName, Value};

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
            let own: Vec<&Column> = link.pairs.iter().map(|(own, _)| own).collect();
            let broken = Broken { table, parent: &link.parent.name, number: key.number, own: &own };
            violations.extend(broken.rows(&from, most, facts)?);
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

/// A reference that some rows break.
struct Broken<'a> {
    table: &'a Table,
    parent: &'a TableName,
    number: i64,
    /// The columns that refer.
    own: &'a [&'a Column],
}

impl Broken<'_> {
    /// Some of these rows, each with what tells it apart: not every table has a rowid.
    fn rows(&self, from: &Sql, most: usize, facts: &mut dyn Facts) -> Result<Vec<Json>> {
        let names = self.table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
        let primary: Vec<&Column> = names.iter().filter_map(|name| self.table.column(name)).collect();
        let mut select =
            Sql::new("select ").add(&facts.dialect().row_id(self.table).unwrap_or_else(|| Sql::new("null")));
        for column in self.own.iter().chain(&primary) {
            select = select.text(", ").text(&facts.dialect().outward(column));
        }
        let named = |columns: &[&Column], values: &[Value]| -> Map<String, Json> {
            let pairs = columns.iter().zip(values);
            pairs.map(|(column, value)| (column.name.clone(), json!(super::rules::plain(value)))).collect()
        };
        let rows = facts.rows(&select.add(from).text(&format!(" limit {most}")))?;
        let told = rows.iter().map(|row| {
            let (own, primary_values) = row[1..].split_at(self.own.len());
            json!({
                "table": self.table.name.to_string(),
                "rowid": super::rules::plain(&row[0]),
                "primary_key": named(&primary, primary_values),
                "parent": self.parent.to_string(),
                "fkid": self.number,
                "key": named(self.own, own),
            })
        });
        Ok(told.collect())
    }
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
    let broken = Broken { table, parent: &key.parent, number: key.number, own: &own };
    violations.extend(broken.rows(&from, most, facts)?);
    findings.push(Finding::warning(
        "foreign_key",
        &table.name,
        format!("its key ({}) refers to nothing, with {count} rows: {why}", key.columns.join(", ")),
        "mend or drop the key",
    ));
    Ok(())
}
