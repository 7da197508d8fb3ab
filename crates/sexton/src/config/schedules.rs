//! The schedules of the configuration: names that must exist, times that must be some, options that somebody must have.

use super::channels;
use super::document::Node;
use super::operations::MANNERS;
use super::problem::Problem;
use super::schema::Schema;
use super::whole::{check_name, check_names, manners_schema, operation_schema};
use engine::Kind;
use scheduler::{Definition, Schedule};
use std::sync::LazyLock;

/// The schedules of a tree that passed its check.
pub fn of(tree: &Node) -> Vec<Schedule> {
    let entries = tree.entry("schedule").map(Node::entries).unwrap_or_default();
    let read = |(name, node): &(String, Node)| {
        // Its watcher may be a secret, and is kept as one.
        let says = Definition { heartbeat: None, ..definition(node)? };
        Schedule::read(name, &says, true).ok()
    };
    entries.iter().filter_map(read).collect()
}

/// What a table says, without the keys that are none: the rest is looked at all the same.
fn definition(node: &Node) -> Option<Definition> {
    // Once: there may be a thousand of them.
    static SCHEMA: LazyLock<serde_json::Value> =
        LazyLock::new(|| schemars::schema_for!(Definition).to_value());
    let mut json = node.json();
    json.as_object_mut()?.retain(|key, _| Schema::of(&SCHEMA).property(key).is_some());
    serde_json::from_value(json).ok()
}

/// Checks one schedule, whose keys passed their schema or were told already.
pub fn check(
    name: &str,
    node: &Node,
    tree: &Node,
    catalogue: &[&'static dyn Kind],
    problems: &mut Vec<Problem>,
) {
    check_name("a schedule", name, node, problems);
    check_names(node.entry("after"), "schedule", tree, problems);
    check_names(node.entry("fleet"), "fleet", tree, problems);
    let known = |section: &str| tree.entry(section).map(Node::entries).unwrap_or_default();
    let names: Vec<&str> =
        known("operation").iter().chain(known("group")).map(|(name, _)| name.as_str()).collect();
    let listed = node.entry("run").map(Node::items).unwrap_or_default();
    for item in listed {
        let Some(text) = item.text().filter(|text| !names.contains(text)) else { continue };
        let what = format!("there is no operation or group `{text}`");
        problems.push(Problem::new(&item.path, item.span.clone(), what).among(text, names.iter().copied()));
    }
    channels::check_web_address(node.entry("heartbeat"), problems);
    if let Some(notifications) = node.entry("notifications") {
        channels::check_notifications(notifications, tree, problems);
    }
    if let Some(says) = definition(node)
        && let Err(faults) = Schedule::read(name, &says, true)
    {
        for fault in faults {
            let at = node.entry(fault.key).unwrap_or(node);
            let span = if at.path == node.path { at.name_span.clone() } else { at.span.clone() };
            problems.push(Problem::new(&at.path, span, fault.what).help(fault.help));
        }
    }
    let after_of = |other: &str| {
        let items = tree.entry("schedule").and_then(|all| all.entry(other)?.entry("after")).map(Node::items);
        items.unwrap_or_default().iter().filter_map(Node::text).map(str::to_owned).collect::<Vec<_>>()
    };
    if let Some(after) =
        node.entry("after").filter(|_| Schedule::waits_for_itself(name, &after_of(name), after_of))
    {
        let problem = Problem::new(
            &after.path,
            after.span.clone(),
            "it cannot wait for itself, directly or through others",
        );
        problems.push(problem.help("take one of them out"));
    }
    let kinds = kinds_of(listed, tree, catalogue);
    for (key, value) in node.entry("options").map(Node::entries).unwrap_or_default() {
        check_option(key, value, &kinds, problems);
    }
}

/// The kinds of what is listed.
fn kinds_of(listed: &[Node], tree: &Node, catalogue: &[&'static dyn Kind]) -> Vec<&'static dyn Kind> {
    let entry = |section: &str, name: &str| tree.entry(section).and_then(|all| all.entry(name)).cloned();
    let mut kinds = Vec::new();
    for name in listed.iter().filter_map(Node::text) {
        let members: Vec<String> = match entry("group", name) {
            Some(group) => {
                let items = group.entry("operations").map(Node::items).unwrap_or_default();
                items.iter().filter_map(Node::text).map(str::to_owned).collect()
            }
            None => vec![name.to_owned()],
        };
        for member in members {
            let kind =
                entry("operation", &member).and_then(|one| Some(one.entry("kind")?.text()?.to_owned()));
            kinds.extend(catalogue.iter().filter(|known| Some(known.name()) == kind.as_deref()));
        }
    }
    kinds
}

fn check_option(key: &str, value: &Node, kinds: &[&'static dyn Kind], problems: &mut Vec<Problem>) {
    let schemas: Vec<serde_json::Value> = match MANNERS.iter().any(|known| known == key) {
        true => vec![manners_schema()],
        false => kinds.iter().map(|kind| operation_schema(*kind)).collect(),
    };
    let known = schemas.iter().find_map(|schema| Schema::of(schema).property(key));
    match known {
        Some(property) => property.schema.check(value, problems),
        None if kinds.is_empty() => {}
        None => {
            let mut names: Vec<&str> = MANNERS.iter().map(String::as_str).collect();
            for schema in &schemas {
                names.extend(Schema::of(schema).properties().iter().map(|property| property.name));
            }
            names.sort_unstable();
            names.dedup();
            let what = format!("nothing that it runs has an option `{key}`");
            problems.push(Problem::new(&value.path, value.name_span.clone(), what).among(key, names));
        }
    }
}
