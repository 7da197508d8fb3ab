//! An object of SQLite with its statement taken apart: a table becomes a table, its columns and its rules.
//!
//! A rule means the same beside its column and at the end of the table, so it is always told as one of the table.

use super::clauses::{Clause, clauses, parts};
use super::normal::{Piece, line, pieces};
use std::collections::BTreeMap;
use targets::db::{Object, quote};

/// The object and its parts; one that cannot be read stays whole.
pub(super) fn expanded(mut object: Object) -> Vec<Object> {
    let Some(statement) = object.create.as_deref().and_then(pieces) else { return vec![object] };
    if object.kind == "table"
        && let Some(table) = table(&object, &statement)
    {
        return table;
    }
    object
        .facts
        .insert("definition".to_owned(), line(&statement, object.kind != "trigger" && object.kind != "view"));
    vec![object]
}

fn table(object: &Object, statement: &[Piece]) -> Option<Vec<Object>> {
    if statement.get(1).is_none_or(|word| !word.is("table")) {
        return None;
    }
    let open = statement.iter().position(Piece::is_open)?;
    let close = statement.iter().rposition(Piece::is_close)?;
    let (inner, flags) = (statement.get(open + 1..close)?, &statement[close + 1..]);
    let mut columns = Vec::new();
    let mut rules = Vec::new();
    for part in parts(inner) {
        let is_rule =
            ["constraint", "primary", "unique", "check", "foreign"].into_iter().any(|word| part[0].is(word));
        if is_rule {
            let (_, clauses) = clauses(part, false);
            rules.extend(clauses.iter().map(|clause| rule(object, clause, None)));
        } else {
            columns.push(column(object, part, &mut rules));
        }
    }
    let mut facts = BTreeMap::new();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    facts.insert(Object::COLUMNS.to_owned(), names.join("\n"));
    let mut flags: Vec<String> = flags.split(Piece::is_comma).map(|flag| line(flag, true)).collect();
    flags.retain(|flag| !flag.is_empty());
    for flag in flags {
        facts.insert(flag, "yes".to_owned());
    }
    let table = Object { facts, ..object.clone() };
    Some(std::iter::once(table).chain(columns).chain(rules).collect())
}

fn column(table: &Object, part: &[Piece], rules: &mut Vec<Object>) -> Object {
    let name = part[0].name();
    let (declared, clauses) = clauses(&part[1..], true);
    let mut facts = BTreeMap::new();
    let declared = line(declared, true).to_lowercase();
    if !declared.is_empty() {
        facts.insert("type".to_owned(), declared);
    }
    let mut can_be_added = true;
    for clause in &clauses {
        let text = clause.line();
        let rest = |words: usize| line(&clause.pieces[words.min(clause.pieces.len())..], false);
        if clause.begins("not") {
            facts.insert("not null".to_owned(), format!("yes {}", rest(2)).trim().to_owned());
        } else if clause.begins("default") {
            can_be_added &= clause
                .pieces
                .get(1)
                .is_some_and(|value| !value.is_open() && !value.text.starts_with("current_"));
            facts.insert("default".to_owned(), rest(1));
        } else if clause.begins("collate") {
            facts.insert("collation".to_owned(), line(&clause.pieces[1..], true));
        } else if clause.begins("generated") || clause.begins("as") {
            can_be_added &= !clause.pieces.iter().any(|piece| piece.is("stored"));
            facts.insert("generated".to_owned(), text.trim_start_matches("generated always ").to_owned());
        } else if !clause.begins("null") {
            can_be_added = false;
            rules.push(rule(table, clause, Some(&name)));
        }
    }
    // a default that is not there is NULL, which such a column refuses
    can_be_added &= !facts.contains_key("not null") || facts.contains_key("default");
    let create = format!("alter table {} add column {}", quote(&table.name), line(part, false));
    Object {
        kind: "column".to_owned(),
        of: Some(table.name.clone()),
        facts,
        create: can_be_added.then_some(create),
        name,
        ..Object::default()
    }
}

fn rule(table: &Object, clause: &Clause, column: Option<&str>) -> Object {
    let text = clause.line();
    let kind =
        ["primary", "unique", "check"].into_iter().find(|word| clause.begins(word)).unwrap_or("foreign key");
    let kind = if kind == "primary" { "primary key" } else { kind };
    let definition = match column {
        None => text,
        Some(_) if kind == "check" => text,
        Some(column) => {
            let column = line(&pieces(&quote(column)).unwrap_or_default(), true);
            let rest = text.strip_prefix(kind).unwrap_or(&text).trim_start();
            format!("{kind} ({column}) {rest}").trim().to_owned()
        }
    };
    Object {
        kind: kind.to_owned(),
        name: clause.name.clone().unwrap_or_else(|| definition.clone()),
        of: Some(table.name.clone()),
        facts: BTreeMap::from([("definition".to_owned(), definition)]),
        ..Object::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sql: &str) -> Vec<String> {
        let object =
            Object { kind: "table".into(), name: "t".into(), create: Some(sql.into()), ..Object::default() };
        let mut all: Vec<String> = expanded(object)
            .iter()
            .map(|object| format!("{} {} {:?}", object.kind, object.name, object.facts))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_rule_means_the_same_beside_its_column_and_at_the_end() {
        let beside = "create table t (id integer primary key, a text not null default 'X' unique check (a > 'A'),
            p references u (id) on delete set null deferrable, c int as (id * 2) stored) strict, without rowid";
        let at_the_end = "CREATE TABLE \"t\"(\"id\" INTEGER, a TEXT DEFAULT 'X' NOT NULL, p, C INT GENERATED ALWAYS AS(id*2) STORED,
            CHECK(a>'A') UNIQUE(a), FOREIGN KEY (p) REFERENCES U(ID) ON DELETE SET NULL DEFERRABLE, PRIMARY KEY(id)) WITHOUT ROWID, STRICT";
        assert_eq!(facts(beside), facts(at_the_end));
        assert_eq!(facts(beside).len(), 9, "{:#?}", facts(beside));
    }

    #[test]
    fn every_difference_that_means_something_is_seen() {
        let usual = "create table t (a int not null default 1 collate nocase, constraint k unique (a))";
        for other in [
            "create table t (a int default 1 collate nocase, constraint k unique (a))",
            "create table t (a int not null default 2 collate nocase, constraint k unique (a))",
            "create table t (a int not null default 1, constraint k unique (a))",
            "create table t (a int not null default 1 collate nocase, constraint l unique (a))",
            "create table t (a int not null default 1 collate nocase, constraint k unique (a)) strict",
            "create table t (a text not null default 1 collate nocase, constraint k unique (a))",
            "create table t (a int not null default 1 collate nocase)",
            "create table t (a int not null default 1 collate nocase, b, constraint k unique (a))",
        ] {
            assert_ne!(facts(usual), facts(other), "{other}");
        }
    }

    #[test]
    fn a_column_is_offered_to_be_added_only_where_sqlite_takes_it() {
        let offered = |column: &str| {
            let object = Object {
                kind: "table".into(),
                name: "t".into(),
                create: Some(format!("create table t ({column})")),
                ..Object::default()
            };
            expanded(object).iter().any(|object| object.kind == "column" && object.create.is_some())
        };
        for (column, expected) in [
            ("a text", true),
            ("a text not null default 'x'", true),
            ("a text not null", false),
            ("a text default (1 + 1)", false),
            ("a text default CURRENT_TIMESTAMP", false),
            ("a text unique", false),
            ("a int as (1) stored", false),
        ] {
            assert_eq!(offered(column), expected, "{column}");
        }
    }
}
