//! Statements that bring an object to what is expected. Only what loses no row: nothing that drops a table or a column, changes
//! a type or proves a rule over rows while others wait.
//!
//! Each has its turn: what goes comes before what comes, and what others refer to before them.

use super::differences::{Changed, Difference, What};
use targets::db::Object;

/// A statement, and when it can run.
pub(super) struct Mend {
    pub turn: u8,
    pub sql: String,
}

/// When objects of a kind can be made.
fn turn(kind: &str) -> u8 {
    match kind {
        "schema" | "extension" => 20,
        "enum" | "domain" | "composite" | "range" | "collation" => 21,
        "sequence" => 22,
        "table" | "foreign table" => 23,
        "column" => 24,
        "function" | "procedure" | "aggregate" => 25,
        "primary key" | "unique" | "check" | "exclusion" => 26,
        "index" => 27,
        "view" | "materialized view" => 28,
        "foreign key" => 30,
        "grant" | "comment" => 32,
        _ => 29,
    }
}

/// What others refer to goes after them.
fn turn_to_go(kind: &str) -> u8 {
    match kind {
        // An index may be what a foreign key refers to.
        "foreign key" => 0,
        _ => 10 - (turn(kind) - 20).min(10),
    }
}

/// After everything that is made.
const AT_LAST: u8 = 31;

/// What makes a missing object with everything that belongs to it, the object first.
pub(super) fn make(family: &[&Object]) -> Vec<Mend> {
    let Some((head, parts)) = family.split_first() else { return Vec::new() };
    let Some(create) = head.create.clone().or_else(|| table(head, parts)) else { return Vec::new() };
    let written = head.create.is_some();
    let sequences: Vec<&&Object> = parts.iter().filter(|part| part.kind == "sequence").collect();
    let made = |object: &Object| object.create.clone().map(|sql| Mend { turn: turn(&object.kind), sql });
    let mut all: Vec<Mend> = sequences.iter().filter_map(|part| made(part)).collect();
    all.push(Mend { turn: turn(&head.kind), sql: create });
    for part in parts.iter().filter(|part| !["column", "sequence"].contains(&part.kind.as_str())) {
        // A statement that makes the table makes its rules; one put together here leaves them to be added.
        if !written || ["index", "trigger", "rule", "statistics"].contains(&part.kind.as_str()) {
            all.extend(made(part));
            let set = part.set.iter().filter(|(fact, _)| part.facts.contains_key(*fact));
            all.extend(set.map(|(_, sql)| Mend { turn: AT_LAST, sql: sql.clone() }));
        }
    }
    let owners = sequences.iter().flat_map(|part| part.set.values());
    all.extend(owners.map(|sql| Mend { turn: AT_LAST, sql: sql.clone() }));
    all
}

/// `create table` out of columns, where nothing else is said about the table and every part is known.
fn table(head: &Object, parts: &[&Object]) -> Option<String> {
    let plain = head.kind == "table" && head.facts.keys().all(|fact| fact == Object::COLUMNS);
    let unknown =
        parts.iter().any(|part| part.create.is_none() && !["grant", "comment"].contains(&part.kind.as_str()));
    if !plain || unknown {
        return None;
    }
    let columns: Vec<&str> = parts
        .iter()
        .filter(|part| part.kind == "column")
        .filter_map(|part| part.create.as_deref()?.split_once(" add column ").map(|(_, column)| column))
        .collect();
    Some(format!("create table {} ({})", head.name, columns.join(", ")))
}

/// What removes an object that is not expected.
pub(super) fn remove(found: &Object) -> Vec<Mend> {
    let turn = turn_to_go(&found.kind);
    found.drop.iter().map(|sql| Mend { turn, sql: sql.clone() }).collect()
}

/// What makes an object that is there as expected.
pub(super) fn change(expected: &Object, found: &Object, facts: &[Changed]) -> Vec<Mend> {
    let at = |turn: u8, all: Vec<String>| all.into_iter().map(|sql| Mend { turn, sql }).collect();
    let set: Option<Vec<String>> = facts.iter().map(|one| expected.set.get(&one.fact).cloned()).collect();
    if let Some(set) = set {
        return at(AT_LAST, set);
    }
    let create = expected.create.as_deref().unwrap_or_default();
    if create.get(..17).is_some_and(|begin| begin.eq_ignore_ascii_case("create or replace")) {
        return at(turn(&expected.kind), vec![create.to_owned()]);
    }
    if let ("enum", [labels]) = (expected.kind.as_str(), facts) {
        return at(turn("enum"), new_labels(expected, labels));
    }
    let can_be_made_anew = ["index", "trigger", "view", "statistics"].contains(&expected.kind.as_str());
    match (&found.drop, &expected.create) {
        (Some(drop), Some(create)) if can_be_made_anew => {
            let go = Mend { turn: turn_to_go(&found.kind), sql: drop.clone() };
            vec![go, Mend { turn: turn(&expected.kind), sql: create.clone() }]
        }
        _ => Vec::new(),
    }
}

/// Labels that come after those there are.
fn new_labels(expected: &Object, labels: &Changed) -> Vec<String> {
    let (Some(wanted), Some(found)) = (&labels.expected, &labels.found) else { return Vec::new() };
    let Some(new) = wanted.strip_prefix(&format!("{found}, ")) else { return Vec::new() };
    // A comma may be in a label; then nothing is offered.
    let new: Vec<&str> = new.split(", ").collect();
    if !new.iter().all(|label| label.len() > 1 && label.starts_with('\'') && label.ends_with('\'')) {
        return Vec::new();
    }
    new.iter().map(|label| format!("alter type {} add value {label}", expected.name)).collect()
}

/// Why nothing is offered, and what to do.
pub(super) fn by_hand(one: &Difference) -> String {
    let kind = one.kind.as_str();
    let order = one.facts.iter().any(|fact| fact.fact == "order of columns");
    match (one.what, kind) {
        (What::Extra, "table" | "column") => {
            format!("dropping this {kind} loses what is in it: write a migration that makes it, or one that drops it")
        }
        (What::Missing, "column") => {
            "no statement adds it to rows that are there already: write a migration that fills it".to_owned()
        }
        (What::Different, "column") => {
            "another type or rule may not suit the rows that are there: write a migration".to_owned()
        }
        (What::Different, "table") if order && one.facts.len() == 1 => {
            "only a new table has another order; it matters to `select *` and to `insert` without names".to_owned()
        }
        (_, "check" | "unique" | "primary key" | "foreign key") => {
            "the rule is part of its table: write a migration that makes the table anew (`-- sexton:rebuild`), or alters it"
                .to_owned()
        }
        _ => "no single statement is known that does it: write a migration".to_owned(),
    }
}
