//! What tells two schemas apart, in words: tables, columns, keys, indexes, references, triggers, by their names.
//!
//! Pure: it compares what a database says of itself. Sizes and statistics are not part of it.

use serde::Serialize;
use std::collections::BTreeMap;
use targets::db::{Facts, Key, Object, Schema, Table};

/// A schema at one moment, in the two ways in which a database tells of it.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What the database says of its tables, without sizes and statistics.
    pub schema: Schema,
    /// Everything that a user made in it.
    pub objects: Vec<Object>,
}

impl Shape {
    /// As it is now.
    pub fn of(facts: &mut dyn Facts) -> crate::error::Result<Self> {
        let mut schema = facts.schema()?;
        for table in &mut schema.tables {
            table.rows_estimate = None;
            table.bytes = None;
        }
        Ok(Self { schema, objects: facts.objects()? })
    }
}

/// One line for each difference, from the point of view of what is there now.
pub fn between(before: &Schema, after: &Schema) -> Vec<String> {
    let mut all = Vec::new();
    let tables = |schema: &Schema| -> BTreeMap<String, Table> {
        schema.tables.iter().map(|table| (table.name.to_string(), table.clone())).collect()
    };
    let (old, new) = (tables(before), tables(after));
    for (name, was) in &old {
        match new.get(name) {
            None => all.push(format!("table `{name}` is gone")),
            Some(is) => within(name, was, is, &mut all),
        }
    }
    all.extend(
        new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("table `{name}` is new")),
    );
    if all.is_empty() && before != after {
        all.push("the order of its tables, or where names are looked up".to_owned());
    }
    all
}

fn within(table: &str, was: &Table, is: &Table, all: &mut Vec<String>) {
    let before = all.len();
    let order = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    parts(table, "column", &was.columns, &is.columns, |one| one.name.clone(), all);
    if all.len() == before && order(was) != order(is) {
        all.push(format!("table `{table}` has its columns in another order"));
    }
    // Those that are indexes too are told as such.
    let keys = |table: &Table| -> Vec<Key> {
        let index = |key: &&Key| table.indexes.iter().any(|index| index.name == key.name);
        table.uniques.iter().filter(|key| !index(key)).cloned().collect()
    };
    parts(table, "key", &keys(was), &keys(is), |one| one.name.clone(), all);
    parts(table, "index", &was.indexes, &is.indexes, |one| one.name.clone(), all);
    parts(table, "reference", &was.references, &is.references, |one| one.name.clone(), all);
    parts(table, "trigger", &was.triggers, &is.triggers, |one| one.name.clone(), all);
    parts(table, "rule", &was.rules, &is.rules, |one| one.name.clone(), all);
    if all.len() == before && was != is {
        all.push(format!("table `{table}` is of another sort"));
    }
}

fn parts<T: PartialEq + Serialize>(
    table: &str,
    what: &str,
    was: &[T],
    is: &[T],
    name: impl Fn(&T) -> String,
    all: &mut Vec<String>,
) {
    for one in was {
        match is.iter().find(|other| name(other) == name(one)) {
            None => all.push(format!("{what} `{}` of `{table}` is gone", name(one))),
            Some(other) if other != one => {
                let changed = changed(one, other);
                all.push(format!("{what} `{}` of `{table}` is another: {changed}", name(one)));
            }
            Some(_) => {}
        }
    }
    let new = is.iter().filter(|one| !was.iter().any(|other| name(other) == name(one)));
    all.extend(new.map(|one| format!("{what} `{}` of `{table}` is new", name(one))));
}

/// Which of its properties, before and now.
fn changed<T: Serialize>(was: &T, is: &T) -> String {
    let json = |one: &T| serde_json::to_value(one).unwrap_or_default();
    let (was, is) = (json(was), json(is));
    let keys = was.as_object().into_iter().flatten().filter(|(key, value)| is[key.as_str()] != **value);
    keys.map(|(key, value)| format!("{key} {} instead of {value}", is[key.as_str()]))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_differs_from_itself() {
        assert_eq!(between(&Schema::default(), &Schema::default()), Vec::<String>::new());
    }
}
