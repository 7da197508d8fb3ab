//! Keys, indexes and references of the tables that are made, as statements that do nothing where they were done before.

use super::design::{Design, Left, NewIndex, NewReference, NewTable, Profiles, parent_columns};
use super::naming::{Taken, spelled};
use super::options::Options;
use super::source::{SourceIndex, SourceTable};
use super::translate::columns::{Known, known};
use super::translate::expression::{self, Scope, Sort};
use super::translate::grammar::{WrittenIndex, WrittenPart, WrittenReference, unquoted};
use super::translate::sides::lowered;
use super::types;
use targets::db::{Action, TableName, quote};

/// Adds them to the design.
pub fn add(
    sources: &[&SourceTable],
    design: &mut Design,
    profiles: &Profiles,
    options: &Options,
    taken: &mut Taken,
) {
    for n in 0..design.tables.len() {
        let Some(source) = sources.iter().find(|source| source.name() == design.tables[n].source) else {
            continue;
        };
        let columns = known(source, &design.tables[n].columns);
        let mut left = Vec::new();
        let indexes = indexes(source, &mut design.tables[n], &columns, profiles, options, taken, &mut left);
        design.tables[n].indexes = indexes;
        design.left.extend(left);
    }
    for n in 0..design.tables.len() {
        let Some(source) = sources.iter().find(|source| source.name() == design.tables[n].source) else {
            continue;
        };
        let mut names = Taken::default();
        let mut made = Vec::new();
        for written in &source.references {
            match reference(sources, design, n, written, &mut names) {
                Ok(reference) => made.push(reference),
                Err(why) => {
                    let name =
                        format!("{}({}) to {}", source.name(), written.columns.join(", "), written.parent);
                    design.left.push(Left::new("reference", name, why, ""));
                }
            }
        }
        design.tables[n].references = made;
    }
}

fn names(columns: &[String]) -> String {
    columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// The names in the target; none where one of them is left out.
fn targets(table: &NewTable, columns: &[String]) -> Option<Vec<String>> {
    let find = |name: &String| table.columns.iter().find(|column| column.source.eq_ignore_ascii_case(name));
    columns.iter().map(|name| find(name).map(|column| column.name.clone())).collect()
}

fn unique(name: &str, table: &TableName, list: &str) -> String {
    format!("create unique index if not exists {} on {} ({list})", quote(name), table.quoted())
}

fn key(kind: &str, name: &str, table: &TableName) -> String {
    format!(
        "alter table {} add constraint {name} {kind} using index {name}",
        table.quoted(),
        name = quote(name)
    )
}

fn indexes(
    source: &SourceTable,
    table: &mut NewTable,
    columns: &[Known],
    profiles: &Profiles,
    options: &Options,
    taken: &mut Taken,
    left: &mut Vec<Left>,
) -> Vec<NewIndex> {
    let mut made = Vec::new();
    if let Some(keys) = targets(table, &source.primary).filter(|keys| !keys.is_empty()) {
        let (name, _) = taken.name(&format!("{}_pkey", table.name.name));
        let nulls = |column: &String| {
            let n = source.table.columns.iter().position(|one| one.name.eq_ignore_ascii_case(column));
            n.and_then(|n| profiles.get(source.name())?.get(n)).is_some_and(|profile| profile.nulls > 0)
        };
        let has_nulls = source.primary.iter().any(nulls);
        let folded: Vec<&str> = source.primary.iter().filter_map(|column| source.collation(column)).collect();
        let mut index = NewIndex {
            sql: unique(&name, &table.name, &names(&keys)),
            unique: keys.clone(),
            key: Some(key("primary key", &name, &table.name)),
            reason: None,
            name,
        };
        if has_nulls {
            index.key = None;
            index.reason = Some("a primary key in SQLite, but some of its values are NULL".to_owned());
        } else {
            table.key = keys.clone();
            for column in table.columns.iter_mut().filter(|column| keys.contains(&column.name)) {
                column.not_null = true;
            }
        }
        made.push(index);
        if !folded.is_empty() {
            // the key tells all letters apart; what SQLite takes for the same must stay so
            let parts = source
                .primary
                .iter()
                .map(|name| WrittenPart { expression: quote(name), ..WrittenPart::default() });
            let written = WrittenIndex { parts: parts.collect(), unique: true, only: None };
            let (name, _) = taken.name(&format!("{}_nocase_key", table.name.name));
            match written_index(source, table, columns, &written, &name) {
                Ok(index) => made.push(index),
                Err(why) => left.push(Left::new("collation of a key", name, why, "")),
            }
        }
    }
    for index in &source.indexes {
        match one(source, table, columns, index, options, taken) {
            Ok(index) => made.push(index),
            Err(why) => {
                let name = if index.is_key {
                    format!("{} of {}", index.name, source.name())
                } else {
                    index.name.clone()
                };
                left.push(Left::new(if index.is_key { "unique key" } else { "index" }, name, why, ""));
            }
        }
    }
    made
}

fn one(
    source: &SourceTable,
    table: &NewTable,
    columns: &[Known],
    index: &SourceIndex,
    options: &Options,
    taken: &mut Taken,
) -> Result<NewIndex, String> {
    let written = index.written.as_ref().ok_or("its statement cannot be read")?;
    if !index.is_key {
        let (name, reason) = taken.name(&spelled(&index.name, options.names));
        let made = written_index(source, table, columns, written, &name)?;
        let reason = made.reason.clone().or(reason);
        return Ok(NewIndex { reason, ..made });
    }
    let own: Vec<String> = written.parts.iter().map(|part| unquoted(&part.expression)).collect();
    let keys = targets(table, &own).ok_or("one of its columns is left out")?;
    let wanted = format!("{}_{}_key", table.name.name, keys.join("_"));
    let (name, _) = taken.name(&wanted);
    if written.parts.iter().any(|part| part.collation.as_deref().is_some_and(|name| name != "binary")) {
        return written_index(source, table, columns, written, &name);
    }
    Ok(NewIndex {
        sql: unique(&name, &table.name, &names(&keys)),
        key: Some(key("unique", &name, &table.name)),
        reason: None,
        unique: keys,
        name,
    })
}

/// An index from its parts.
fn written_index(
    source: &SourceTable,
    table: &NewTable,
    columns: &[Known],
    written: &WrittenIndex,
    name: &str,
) -> Result<NewIndex, String> {
    let (scope, rows) = match written.unique {
        true => (Scope::rule(columns), Scope::rule(columns)),
        false => (Scope::of(columns, false), Scope::of(columns, true)),
    };
    let mut reason = None;
    let (mut parts, mut bare) = (Vec::new(), Vec::new());
    for part in &written.parts {
        let said = match written.unique {
            true => expression::value(&part.expression, scope)?,
            false => expression::indexed(&part.expression, scope)?,
        };
        if said.literal.is_some() {
            return Err(format!("`{}` is no column", part.expression));
        }
        let own = unquoted(&part.expression);
        let is_column = columns.iter().any(|known| known.name.eq_ignore_ascii_case(&own));
        let inherited = source.collation(&own).filter(|_| is_column);
        let collation = part.collation.as_deref().or(inherited).unwrap_or("binary");
        let text = said.sort == Sort::Text;
        if said.sort == Sort::Json {
            // a b-tree over documents helps nobody, and `json` has none
            return Err("documents are not indexed as a whole".to_owned());
        }
        let sql = match collation {
            "binary" => said.sql.clone(),
            "nocase" if text => {
                reason = Some(
                    "NOCASE: PostgreSQL tells upper and lower case apart, compare `lower(… collate \"C\")`"
                        .to_owned(),
                );
                lowered(said.clone()).sql
            }
            "nocase" => said.sql.clone(),
            "rtrim" if text => format!("rtrim({})", said.sql),
            other => return Err(format!("the collation `{other}` is the application's own")),
        };
        let column = columns.iter().find(|known| quote(&known.target) == sql);
        bare.extend(column.map(|known| known.target.clone()));
        let sql = if column.is_some() { sql } else { format!("({sql})") };
        parts.push(if part.descending { format!("{sql} desc") } else { sql });
    }
    let only = match &written.only {
        Some(only) => format!(" where {}", expression::condition(only, rows)?),
        None => String::new(),
    };
    let kind = if written.unique { "unique index" } else { "index" };
    let sql = format!(
        "create {kind} if not exists {} on {} ({}){only}",
        quote(name),
        table.name.quoted(),
        parts.join(", ")
    );
    let keeps_apart = written.unique && written.only.is_none() && bare.len() == parts.len();
    let unique = if keeps_apart { bare } else { Vec::new() };
    Ok(NewIndex { name: name.to_owned(), sql, unique, key: None, reason })
}

fn reference(
    sources: &[&SourceTable],
    design: &Design,
    n: usize,
    written: &WrittenReference,
    taken: &mut Taken,
) -> Result<NewReference, String> {
    let table = &design.tables[n];
    let source = sources.iter().find(|source| source.name().eq_ignore_ascii_case(&written.parent));
    let source = source.ok_or_else(|| format!("there is no table `{}`", written.parent))?;
    let parent = design.tables.iter().find(|one| one.source == source.name());
    let parent = parent.ok_or_else(|| format!("the table `{}` is left out", written.parent))?;
    let own_parent = parent_columns(written, source);
    let gone = || "one of its columns is left out".to_owned();
    let columns = targets(table, &written.columns).ok_or_else(gone)?;
    let keys = targets(parent, &own_parent).ok_or_else(gone)?;
    if keys.is_empty() || keys.len() != columns.len() {
        return Err("it does not name as many columns as the key of its parent has".to_owned());
    }
    let sort = |table: &NewTable, name: &String| {
        table.columns.iter().find(|column| column.name == *name).map(|column| types::sort(&column.rule))
    };
    if columns.iter().zip(&keys).any(|(own, key)| sort(table, own) != sort(parent, key)) {
        return Err("the types of the two sides cannot be compared".to_owned());
    }
    let over = |columns: &[String]| format!("({})", names(columns));
    let mut sorted = keys.clone();
    sorted.sort();
    // PostgreSQL wants a key or a unique index over just these columns, in any order
    let is_unique = parent.indexes.iter().any(|index| {
        let mut unique = index.unique.clone();
        unique.sort();
        unique == sorted
    });
    if !is_unique {
        return Err(format!("`{}` has no unique key over {}", written.parent, own_parent.join(", ")));
    }
    let (name, _) = taken.name(&format!("{}_{}_fkey", table.name.name, columns.join("_")));
    let mut rule =
        format!("foreign key {} references {} {}", over(&columns), parent.name.quoted(), over(&keys));
    for (word, action) in [("delete", written.on_delete), ("update", written.on_update)] {
        let action = match action {
            Action::NoAction => continue,
            Action::Restrict => "restrict",
            Action::Cascade => "cascade",
            Action::SetNull => "set null",
            Action::SetDefault => "set default",
        };
        rule.push_str(&format!(" on {word} {action}"));
    }
    if written.deferred {
        rule.push_str(" deferrable initially deferred");
    }
    let alter = format!("alter table {}", table.name.quoted());
    Ok(NewReference {
        add: format!("{alter} add constraint {} {rule} not valid", quote(&name)),
        validate: format!("{alter} validate constraint {}", quote(&name)),
        shown: format!("{alter} add constraint {} {rule}", quote(&name)),
        name,
        columns: written.columns.clone(),
        parent: source.name().to_owned(),
        parent_columns: own_parent,
    })
}
