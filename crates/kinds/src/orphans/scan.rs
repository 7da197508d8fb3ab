//! A look at a whole database: every reference, declared or not, with its orphans and what would mend them. Read-only.
//!
//! One walk through a table for each of its references. It proposes; it never decides that a column is a reference.

use super::checks::{constraint, has_index};
use super::guess;
use super::link::Link;
use super::options::Options;
use crate::sweep::is_large;
use engine::words::{either, rows};
use engine::{Finding, Planned, Result};
use serde::Serialize;
use targets::db::{Facts, ForeignKey, Schema, Sql, Table, Value};

/// More values of a type column than this mean that it is none.
const TYPES: usize = 20;

/// What was found.
#[derive(Debug, Serialize)]
struct Scan {
    /// Every reference that was looked at.
    references: Vec<Found>,
}

/// One reference and its orphans.
#[derive(Debug, Serialize)]
struct Found {
    table: String,
    columns: Vec<String>,
    parent: String,
    parent_columns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_value: Option<String>,
    /// The database knows of the reference.
    declared: bool,
    /// Every row is known to satisfy it.
    validated: bool,
    /// The database refuses new orphans.
    enforced: bool,
    /// An index leads from a parent to its rows.
    indexed: bool,
    /// How many rows the table has.
    rows: u64,
    /// Whether they were counted; else it is what the statistics say.
    rows_exact: bool,
    /// How many rows were looked at, where not all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_at: Option<u64>,
    /// Rows that refer to nothing; none where counting them would take another walk through a large table.
    nulls: Option<u64>,
    orphans: u64,
    /// Most references find no parent: it is probably none, or one to another table.
    doubtful: bool,
    /// Why it could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The lines of the configuration that would mend it.
    #[serde(skip_serializing_if = "String::is_empty")]
    config: String,
    /// What would make the database refuse the next orphans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    constraint: Vec<String>,
}

/// Looks at everything.
pub fn scan(options: &Options, facts: &mut dyn Facts) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut links = guess::references(&schema, facts.dialect());
    links.extend(typed(&schema, facts)?);
    let mut wanted = Vec::new();
    if !options.scan_only.is_empty() {
        for name in &options.scan_only {
            wanted.push(schema.find(name)?.name.clone());
        }
        links.retain(|link| wanted.contains(&link.table.name));
    }
    let mut scan = Scan { references: Vec::new() };
    let mut findings = Vec::new();
    for link in &links {
        let found = look(link, options.scan_rows, facts);
        if found.orphans > 0 && !found.doubtful {
            findings.push(Finding::warning(
                "orphans",
                &link.table.name,
                format!(
                    "{} {} no parent in `{}` by `{}`",
                    rows(found.orphans),
                    either(found.orphans, "has", "have"),
                    link.parent.name,
                    link.name()
                ),
                "see the lines of the configuration that the scan proposes",
            ));
        }
        scan.references.push(found);
    }
    for (table, key, why) in guess::broken(&schema) {
        if options.scan_only.is_empty() || wanted.contains(&table.name) {
            findings.push(Finding::warning(
                "broken_reference",
                &table.name,
                format!("its key ({}) refers to nothing: {why}", key.columns.join(", ")),
                "mend or drop the key: the database refuses changes, or does not look at them",
            ));
            scan.references.push(broken(table, key, why));
        }
    }
    scan.references.sort_by(|a, b| a.table.cmp(&b.table));
    let result = serde_json::to_value(&scan)
        .map_err(|error| engine::Error::system("what was found cannot be written").because(error))?;
    Ok(Planned { findings, undo: Some(engine::Undo::NotNeeded), result: Some(result), ..Planned::default() })
}

/// References whose table is named by the column beside them, one for each table that is named there.
fn typed(schema: &Schema, facts: &mut dyn Facts) -> Result<Vec<Link>> {
    let mut all = Vec::new();
    for table in schema.tables.iter().filter(|table| guess::has_own_rows(table)) {
        for (kind, id) in guess::typed(table) {
            let values = Sql::new("select distinct s.v from (select t.")
                .name(&kind.name)
                .text(" as v from ")
                .table(&table.name)
                .text(" as t where t.")
                .name(&kind.name)
                .text(&format!(" is not null) as s limit {}", TYPES + 1));
            let values = facts.rows(&values)?;
            if values.len() > TYPES {
                continue;
            }
            let named = values.iter().filter_map(|row| row.first().and_then(Value::as_text));
            all.extend(named.filter_map(|value| guess::of_type(table, kind, id, value, schema)));
        }
    }
    Ok(all)
}

/// A declared reference that leads nowhere.
fn broken(table: &Table, key: &ForeignKey, why: String) -> Found {
    let names: Vec<&str> = key.columns.iter().map(String::as_str).collect();
    Found {
        table: table.name.to_string(),
        parent: key.parent.to_string(),
        parent_columns: key.parent_columns.clone(),
        type_column: None,
        type_value: None,
        declared: true,
        validated: key.validated,
        enforced: key.checks_writes,
        indexed: has_index(table, &names),
        columns: key.columns.clone(),
        rows: 0,
        rows_exact: false,
        looked_at: None,
        nulls: None,
        orphans: 0,
        doubtful: false,
        problem: Some(why),
        config: String::new(),
        constraint: Vec::new(),
    }
}

fn look(link: &Link, most: u64, facts: &mut dyn Facts) -> Found {
    let strings = |columns: &mut dyn Iterator<Item = &str>| columns.map(str::to_owned).collect::<Vec<_>>();
    let columns = strings(&mut link.columns());
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut found = Found {
        table: link.table.name.to_string(),
        parent: link.parent.name.to_string(),
        parent_columns: strings(&mut link.parent_columns()),
        type_column: link.of_type.as_ref().map(|(column, _)| column.name.clone()),
        type_value: link.of_type.as_ref().map(|(_, value)| value.clone()),
        declared: link.declared.is_some(),
        validated: link.declared.as_ref().is_some_and(|key| key.validated),
        enforced: link.declared.as_ref().is_some_and(|key| key.checks_writes),
        indexed: has_index(&link.table, &names),
        columns,
        rows: 0,
        rows_exact: false,
        looked_at: None,
        nulls: None,
        orphans: 0,
        doubtful: false,
        problem: None,
        config: String::new(),
        constraint: Vec::new(),
    };
    let by_statistics = most == 0 && is_large(&link.table);
    let counted = if by_statistics {
        count_orphans(link, &mut found, facts)
    } else {
        count(link, most, &mut found, facts)
    };
    // One table that cannot be read must not hide the others.
    found.problem = counted.err().map(|error| error.to_string());
    if found.orphans > 0 {
        found.config = config(link);
    }
    if !found.doubtful {
        found.constraint = constraint(link, facts).unwrap_or_default();
    }
    found
}

/// Rows, rows that refer to something, orphans; in one walk.
fn count(link: &Link, most: u64, found: &mut Found, facts: &mut dyn Facts) -> Result<()> {
    let dialect = facts.dialect();
    let (from, broken) = match link.joined(0, dialect)? {
        Some(joined) => joined,
        None => (Sql::default(), link.is_broken(dialect)?),
    };
    let table = match most {
        0 => Sql::default().table(&link.table.name),
        most => Sql::new("(select * from ").table(&link.table.name).text(&format!(" limit {most})")),
    };
    let select = Sql::new("select count(*), count(case when ")
        .add(&is_there(link, facts))
        .text(" then 1 end), count(case when ")
        .add(&broken)
        .text(" then 1 end) from ")
        .add(&table)
        .text(" as t")
        .add(&from);
    let row = facts.rows(&select)?.into_iter().next().unwrap_or_default();
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
    let (rows, there) = (number(0), number(1));
    let limited = most > 0 && rows >= most;
    found.looked_at = limited.then_some(rows);
    found.rows = link.table.rows_estimate.filter(|_| limited).unwrap_or(rows);
    found.rows_exact = !limited;
    found.nulls = Some(rows.saturating_sub(there));
    found.orphans = number(2);
    found.doubtful = link.declared.is_none() && found.orphans.saturating_mul(2) > there;
    Ok(())
}

/// Only orphans; all else by statistics and indexes.
fn count_orphans(link: &Link, found: &mut Found, facts: &mut dyn Facts) -> Result<()> {
    let from = || Sql::new("select count(*) from ").table(&link.table.name).text(" as t where ");
    let broken = link.is_broken(facts.dialect())?;
    found.orphans = facts.count(&from().add(&broken))?;
    found.rows = link.table.rows_estimate.unwrap_or(0);
    found.nulls = match &link.pairs[..] {
        pairs if pairs.iter().all(|(own, _)| own.not_null) && link.of_type.is_none() => Some(0),
        [(own, _)] if found.indexed => {
            Some(facts.count(&from().text("t.").name(&own.name).text(" is null"))?)
        }
        _ => None,
    };
    let there = found.rows.saturating_sub(found.nulls.unwrap_or(0));
    found.doubtful = link.declared.is_none() && found.orphans.saturating_mul(2) > there;
    Ok(())
}

/// The row refers to something.
fn is_there(link: &Link, facts: &dyn Facts) -> Sql {
    let mut all: Vec<Sql> = link.is_meant(facts.dialect()).into_iter().collect();
    all.extend(link.columns().map(|column| Sql::new("t.").name(column).text(" is not null")));
    Sql::join(&all, " and ")
}

/// The lines that would mend it.
fn config(link: &Link) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let list = |columns: &mut dyn Iterator<Item = &str>| columns.map(text).collect::<Vec<_>>().join(", ");
    let plain = |text: &str| {
        let plain =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        text.chars().map(plain).collect::<String>()
    };
    let columns: Vec<&str> = link.columns().collect();
    let kind = link.of_type.as_ref().map(|(_, value)| format!("_{}", plain(value))).unwrap_or_default();
    let mut lines = vec![
        format!(
            "[operation.orphaned_{}_{}{kind}]",
            plain(&link.table.name.to_string()),
            plain(&columns.join("_"))
        ),
        "kind = \"orphans\"".to_owned(),
        format!("table = {}", text(&link.table.name.to_string())),
        format!("columns = [{}]", list(&mut link.columns())),
        format!("parent = {}", text(&link.parent.name.to_string())),
        format!("parent_columns = [{}]", list(&mut link.parent_columns())),
    ];
    if let Some((column, value)) = &link.of_type {
        lines.push(format!("type_column = {}", text(&column.name)));
        lines.push(format!("type_value = {}", text(value)));
    }
    let null = if link.pairs.iter().any(|(own, _)| !own.not_null) { "\"set_null\", " } else { "" };
    lines.push(format!("policy = \"quarantine\"   # or {null}\"reassign\", \"delete\""));
    lines.join("\n")
}
