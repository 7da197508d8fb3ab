//! Statements that bring an object to what is expected. Only what loses no row: nothing that drops a table or a column, changes
//! a type or proves a rule over rows while others wait.

use super::differences::Changed;
use targets::db::Object;

/// What makes a missing object with everything that belongs to it, the object first.
pub(super) fn make(family: &[&Object]) -> Vec<String> {
    let Some((head, parts)) = family.split_first() else { return Vec::new() };
    let Some(create) = head.create.clone().or_else(|| table(head, parts)) else { return Vec::new() };
    let written = head.create.is_some();
    let sequences: Vec<&&Object> = parts.iter().filter(|part| part.kind == "sequence").collect();
    let mut all: Vec<String> = sequences.iter().filter_map(|part| part.create.clone()).collect();
    all.push(create);
    for part in parts.iter().filter(|part| !["column", "sequence"].contains(&part.kind.as_str())) {
        // A statement that makes the table makes its rules; one put together here leaves them to be added.
        if !written || ["index", "trigger", "rule", "statistics"].contains(&part.kind.as_str()) {
            all.extend(part.create.clone());
            all.extend(
                part.set
                    .iter()
                    .filter(|(fact, _)| part.facts.contains_key(*fact))
                    .map(|(_, sql)| sql.clone()),
            );
        }
    }
    all.extend(sequences.iter().flat_map(|part| part.set.values().cloned()));
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

/// What makes an object that is there as expected.
pub(super) fn change(expected: &Object, found: &Object, facts: &[Changed]) -> Vec<String> {
    let set: Option<Vec<String>> = facts.iter().map(|one| expected.set.get(&one.fact).cloned()).collect();
    if let Some(set) = set {
        return set;
    }
    let create = expected.create.as_deref().unwrap_or_default();
    if create.get(..17).is_some_and(|begin| begin.eq_ignore_ascii_case("create or replace")) {
        return vec![create.to_owned()];
    }
    if let ("enum", [labels]) = (expected.kind.as_str(), facts) {
        return new_labels(expected, labels);
    }
    let can_be_made_anew = ["index", "trigger", "view", "statistics"].contains(&expected.kind.as_str());
    match (&found.drop, &expected.create) {
        (Some(drop), Some(create)) if can_be_made_anew => vec![drop.clone(), create.clone()],
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
