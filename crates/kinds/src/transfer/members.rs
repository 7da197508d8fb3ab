//! What the documents of the source hold where its own views, triggers, indexes and checks read them.

use super::documents::{is_json, odd};
use super::profile::Profile;
use super::source::{Source, SourceTable};
use super::translate::members::{Member, Path, named};
use engine::Result;
use targets::db::{Facts, Seen, Sql, Value};

/// The ways into the documents of each column that some statement may go.
fn wanted(source: &Source, table: &SourceTable) -> Vec<(usize, Vec<Path>)> {
    let written = table.written.iter();
    let computed = written.clone().flat_map(|written| {
        let columns = written.columns.iter().filter_map(|column| column.generated.as_deref());
        columns.chain(written.checks.iter().map(|(_, check)| check.as_str()))
    });
    let indexes = table.indexes.iter().filter_map(|index| index.written.as_ref()).flat_map(|written| {
        let parts = written.parts.iter().map(|part| part.expression.as_str());
        parts.chain(written.only.as_deref())
    });
    let others = source.others.iter().map(|other| other.sql.as_str());
    let statements: Vec<(String, Vec<Path>)> = computed
        .chain(indexes)
        .chain(others)
        .map(|sql| (sql.to_lowercase(), named(sql)))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    let columns = table.table.columns.iter().enumerate();
    let each = columns.map(|(n, column)| {
        let name = column.name.to_lowercase();
        let of = statements.iter().filter(|(sql, _)| sql.contains(&name)).flat_map(|(_, paths)| paths);
        let mut paths: Vec<Path> = Vec::new();
        for path in of {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        (n, paths)
    });
    each.filter(|(_, paths)| !paths.is_empty()).collect()
}

/// Asks for them, where a column holds documents and nothing else.
pub fn ask(
    source: &Source,
    table: &SourceTable,
    profiles: &mut [Profile],
    facts: &mut dyn Facts,
) -> Result<()> {
    for (n, paths) in wanted(source, table) {
        let name = &table.table.columns[n].name;
        let seen = &mut profiles[n];
        if seen.values() != seen.texts || seen.empty > 0 || !are_documents(table, name, facts)? {
            continue;
        }
        for path in paths {
            let member = member(table, name, &path, facts)?;
            seen.members.push((path, member));
        }
    }
    Ok(())
}

/// Whether all of them are such that `jsonb` takes them.
fn are_documents(table: &SourceTable, column: &str, facts: &mut dyn Facts) -> Result<bool> {
    let mut all = true;
    let sql = Sql::new("select ").name(column).text(" from ").table(&table.table.name);
    facts.scan(&sql, &mut |row| {
        all &= match row {
            [Seen::Text(text)] => all && is_json(text) && odd(text).is_none(),
            _ => true,
        };
        Ok(())
    })?;
    Ok(all)
}

/// What they hold at the end of a way.
fn member(table: &SourceTable, column: &str, path: &Path, facts: &mut dyn Facts) -> Result<Member> {
    let way = path.written();
    // a whole number of more than 64 bits is a float there
    let sql = Sql::new("select case json_type(")
        .name(column)
        .text(", ")
        .bind(way.clone())
        .text(") when 'integer' then typeof(json_extract(")
        .name(column)
        .text(", ")
        .bind(way.clone())
        .text(")) else json_type(")
        .name(column)
        .text(", ")
        .bind(way)
        .text(") end as kind, count(*) from ")
        .table(&table.table.name)
        .text(" where ")
        .name(column)
        .text(" is not null group by kind");
    let rows = facts.rows(&sql)?;
    let kinds = rows.iter().filter_map(|row| row.first().and_then(Value::as_text));
    let mut kinds: Vec<&str> = kinds.filter(|kind| *kind != "null").collect();
    kinds.sort_unstable();
    Ok(match kinds.as_slice() {
        [] | ["text"] => Member::Text,
        ["integer"] => Member::Whole,
        ["real"] => Member::Number(true),
        ["integer", "real"] => Member::Number(false),
        ["false"] | ["true"] | ["false", "true"] => Member::Truth,
        _ => Member::Other,
    })
}
