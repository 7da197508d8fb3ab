//! The schema of the whole file, put together from the fixed part, the manners and the kinds; and the check against it.
//!
//! Also the checks that no schema can express: names that refer to each other, reserved names. Nothing is resolved
//! here and nothing outside the file is looked at.

use super::api;
use super::document::{Node, Value};
use super::problem::Problem;
use super::schedules;
use super::schema::{Schema, together};
use super::sections::{DefaultsSection, File, OperationSection};
use engine::{Kind, Manners, Phase};
use serde_json::{Value as Json, json};

/// Names that would be mistaken for something else in reports (W-059) and on the command line.
const RESERVED: [&str; 3] = ["metadata", "all", "latest"];

/// The schema of manners.
pub fn manners_schema() -> Json {
    schemars::schema_for!(Manners).to_value()
}

/// The schema of an operation of this kind: common keys, manners, options.
pub fn operation_schema(kind: &dyn Kind) -> Json {
    let mut schema = together(&[
        &schemars::schema_for!(OperationSection).to_value(),
        &kind.schema().to_value(),
        &manners_schema(),
    ]);
    schema["properties"]["kind"] = json!({
        "type": "string",
        "const": kind.name(),
        "description": kind.title(),
    });
    schema["required"] = json!(["kind"]);
    schema["description"] = kind.about().into();
    schema
}

fn defaults_schema() -> Json {
    together(&[&schemars::schema_for!(DefaultsSection).to_value(), &manners_schema()])
}

/// The schema of the whole file, for editors.
pub fn schema_of_file(catalogue: &[&'static dyn Kind]) -> Json {
    let mut schema = schemars::schema_for!(File).to_value();
    let mut definitions = schema["$defs"].take();
    let mut hoist = |mut part: Json| {
        if let Some(own) = part.get_mut("$defs").map(Json::take) {
            for (name, json) in own.as_object().into_iter().flatten() {
                definitions[name] = json.clone();
            }
        }
        if let Some(table) = part.as_object_mut() {
            table.remove("$defs");
        }
        part
    };
    schema["properties"]["defaults"] = hoist(defaults_schema());
    let kinds: Vec<Json> = catalogue.iter().map(|kind| hoist(operation_schema(*kind))).collect();
    schema["properties"]["defaults"]["description"] = "Limits and manners of all operations.".into();
    schema["properties"]["operation"]["additionalProperties"] = json!({ "oneOf": kinds });
    schema["properties"]["profile"]["additionalProperties"] = json!({ "type": "object" });
    schema["$defs"] = definitions;
    schema["title"] = "sexton.toml".into();
    schema
}

/// Checks a whole file.
pub fn check(tree: &Node, catalogue: &[&'static dyn Kind], problems: &mut Vec<Problem>) {
    let fixed = fixed_schema();
    Schema::of(&fixed).check(tree, problems);
    if let Some(defaults) = tree.entry("defaults") {
        Schema::of(&defaults_schema()).check(defaults, problems);
    }
    let operations = tree.entry("operation").map(Node::entries).unwrap_or_default();
    for (name, operation) in operations {
        check_name("an operation", name, operation, problems);
        check_operation(operation, tree, catalogue, problems);
    }
    check_circles(operations, problems);
    check_verifications(tree, catalogue, problems);
    for (name, group) in tree.entry("group").map(Node::entries).unwrap_or_default() {
        if operations.iter().any(|(known, _)| known == name) {
            let what = format!("`{name}` is both a group and an operation");
            problems.push(
                Problem::new(&group.path, group.name_span.clone(), what)
                    .help("give one of them another name"),
            );
        }
        check_names(group.entry("operations"), "operation", tree, problems);
        let listed = group.entry("operations").map(Node::items).unwrap_or_default();
        for (n, item) in listed.iter().enumerate().filter(|(_, item)| item.text().is_some()) {
            if listed[..n].iter().any(|before| before.text() == item.text()) {
                let what = format!("`{}` stands in the group twice", item.text().unwrap_or_default());
                let problem = Problem::new(&item.path, item.span.clone(), what);
                problems.push(problem.help("an operation runs once in a group: leave one out"));
            }
        }
    }
    for (_, fleet) in tree.entry("fleet").map(Node::entries).unwrap_or_default() {
        check_fleet(fleet, tree, problems);
    }
    for (name, schedule) in tree.entry("schedule").map(Node::entries).unwrap_or_default() {
        schedules::check(name, schedule, tree, catalogue, problems);
    }
    super::channels::check(tree, problems);
    for (_, run_log) in tree.entry("run_log").map(Node::entries).unwrap_or_default() {
        check_database(run_log, tree, problems);
    }
    if let Some(own) = tree.entry("pool") {
        super::pool::check(own, problems);
    }
    if let Some(own) = tree.entry("api") {
        api::check(own, tree, problems);
    }
    if let Some(own) = tree.entry("telemetry") {
        super::telemetry::check(own, problems);
    }
    if let Some(backup) = tree.entry("backup") {
        check_backup(backup, tree, problems);
    }
    for (_, store) in tree.entry("store").map(Node::entries).unwrap_or_default() {
        check_store(store, problems);
    }
    if let Some(state) = tree.entry("state")
        && let (Some(_), Some(url)) = (state.entry("folder"), state.entry("url"))
    {
        let what = "`state` has both a folder and a URL";
        problems.push(Problem::new(&state.path, url.name_span.clone(), what).help("keep one of the two"));
    }
}

/// The fixed part, with operations and defaults left open: they are checked by their own schemas.
fn fixed_schema() -> Json {
    let mut schema = schemars::schema_for!(File).to_value();
    for open in ["operation", "defaults", "profile"] {
        schema["properties"][open] = json!({ "type": "object", "additionalProperties": true });
    }
    schema
}

/// Whether a name can be typed on the command line and stand in lists and paths.
pub fn is_good_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([',', '/', ' ']) && !name.starts_with('-')
}

pub(super) fn check_name(a: &str, name: &str, operation: &Node, problems: &mut Vec<Problem>) {
    let mut refuse = |what: String, help: &str| {
        problems.push(Problem::new(&operation.path, operation.name_span.clone(), what).help(help));
    };
    if RESERVED.contains(&name) {
        refuse(format!("{a} cannot be called `{name}`"), "the name is reserved: choose another one");
    }
    if !is_good_name(name) {
        refuse(
            format!("`{name}` is not a good name for {a}"),
            "use letters, digits, `_`, `-` and `.`: it is typed on the command line and stands in reports",
        );
    }
}

fn check_operation(
    operation: &Node,
    tree: &Node,
    catalogue: &[&'static dyn Kind],
    problems: &mut Vec<Problem>,
) {
    if !matches!(operation.value, Value::Table(_)) {
        let what = format!("`{}` must be a table", operation.name());
        problems.push(
            Problem::new(&operation.path, operation.span.clone(), what).help("write `[operation.NAME]`"),
        );
        return;
    }
    let names = || catalogue.iter().map(|kind| kind.name());
    let kind = match operation.entry("kind") {
        None => {
            let what = format!("`{}` has no `kind`", operation.path);
            let problem = Problem::new(&operation.path, operation.name_span.clone(), what);
            problems.push(problem.allowed(names().collect::<Vec<_>>().join(", ")));
            return;
        }
        Some(node) => {
            let found = node.text().unwrap_or_default();
            match catalogue.iter().find(|kind| kind.name() == found) {
                Some(kind) => *kind,
                None => {
                    let what = format!("there is no kind `{found}`");
                    problems.push(Problem::new(&node.path, node.span.clone(), what).among(found, names()));
                    return;
                }
            }
        }
    };
    let schema = operation_schema(kind);
    let before = problems.len();
    Schema::of(&schema).check(operation, problems);
    check_names(operation.entry("needs"), "operation", tree, problems);
    check_references(Schema::of(&schema), operation, tree, problems);
    check_database(operation, tree, problems);
    if problems.len() == before {
        ask_kind(kind, operation, problems);
    }
}

/// Operations that need each other would both never run.
fn check_circles(operations: &[(String, Node)], problems: &mut Vec<Problem>) {
    let needs = |name: &str| -> Vec<&str> {
        let own = operations.iter().find(|(known, _)| known == name);
        let list = own.and_then(|(_, node)| node.entry("needs")).map(Node::items).unwrap_or_default();
        list.iter().filter_map(Node::text).collect()
    };
    for (name, operation) in operations {
        let mut seen: Vec<&str> = Vec::new();
        let mut next = needs(name);
        while let Some(need) = next.pop() {
            if need == name {
                let place =
                    operation.entry("needs").map_or(operation.name_span.clone(), |node| node.span.clone());
                let what = format!("`{name}` needs itself, directly or through others");
                problems.push(Problem::new(&operation.path, place, what).help("take one of the needs out"));
                break;
            }
            if !seen.contains(&need) {
                seen.push(need);
                next.extend(needs(need));
            }
        }
    }
}

/// What verifies others only looks, and comes after them: nothing can need it.
fn check_verifications(tree: &Node, catalogue: &[&'static dyn Kind], problems: &mut Vec<Problem>) {
    let all = |section: &str| tree.entry(section).map(Node::entries).unwrap_or_default();
    let looks = |name: &str| {
        let kind = all("operation").iter().find(|(known, _)| known == name)?.1.entry("kind")?.text()?;
        Some(catalogue.iter().find(|known| known.name() == kind)?.phase() == Phase::Check)
    };
    for (name, one) in all("operation").iter().chain(all("group")) {
        let Some((node, after)) = one.entry("verify_after").and_then(|node| Some((node, node.text()?)))
        else {
            continue;
        };
        let mut wrong = |what: String, help: &str| {
            problems.push(Problem::new(&node.path, node.span.clone(), what).help(help));
        };
        if after == name {
            wrong(format!("`{name}` cannot verify itself"), "name another operation, of kind `check`");
        } else if looks(after) == Some(false) {
            wrong(
                format!("`{after}` is no check: it changes something"),
                "name an operation of kind `check`",
            );
        } else if let Some((needing, _)) = all("operation").iter().find(|(_, other)| {
            other
                .entry("needs")
                .is_some_and(|needs| needs.items().iter().any(|need| need.text() == Some(after)))
        }) {
            wrong(
                format!("`{after}` looks after the others, so `{needing}` cannot need it"),
                "make a second check for one of the two",
            );
        }
        check_names(Some(node), "operation", tree, problems);
    }
}

/// The database is named, or there is only one.
fn check_database(operation: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    let databases = tree.entry("database").map(Node::entries).unwrap_or_default();
    match operation.entry("database") {
        Some(node) => check_names(Some(node), "database", tree, problems),
        None if databases.len() == 1 => {}
        None => {
            let what = match databases.len() {
                0 => "there is no database".to_owned(),
                _ => format!("`{}` does not say which database", operation.path),
            };
            let problem = Problem::new(&operation.path, operation.name_span.clone(), what);
            problems.push(match databases.len() {
                0 => problem.help("add `[database.main]` with `url = \"…\"`"),
                _ => problem
                    .help("add `database = \"…\"`")
                    .allowed(databases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")),
            });
        }
    }
}

/// What only the kind itself can judge, such as a rule without an age.
fn ask_kind(kind: &dyn Kind, operation: &Node, problems: &mut Vec<Problem>) {
    let options = super::operations::options_of(operation, kind, std::path::Path::new(""));
    let Err(error) = kind.operation(&Json::Object(options)) else { return };
    // The kind names the option at fault in backticks; the caret goes there when it stands in the file.
    let named = error.what.split('`').skip(1).step_by(2).find_map(|name| operation.entry(name));
    let place = named.map_or((operation.path.as_str(), operation.name_span.clone()), |node| {
        (node.path.as_str(), node.span.clone())
    });
    let problem = Problem::new(place.0, place.1, error.what);
    problems.push(match error.help {
        Some(help) => problem.help(help),
        None => problem,
    });
}

/// Options that name something else in the file: `format` says what.
fn check_references(schema: Schema<'_>, node: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    for property in schema.properties() {
        let Some(entry) = node.entry(property.name) else { continue };
        if let Some(what @ ("store" | "database" | "operation")) = property.format {
            check_names(Some(entry), what, tree, problems);
        }
        check_references(property.schema, entry, tree, problems);
        if let Some(of_items) = property.schema.items() {
            for item in entry.items() {
                check_references(of_items, item, tree, problems);
            }
        }
    }
}

/// A name, or a list of names, of things that stand in the table `section` of the file.
pub(super) fn check_names(node: Option<&Node>, section: &str, tree: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = node else { return };
    let known: Vec<&str> = tree
        .entry(section)
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let one = [node.clone()];
    let items = if node.items().is_empty() { &one } else { node.items() };
    for item in items {
        let Some(name) = item.text().filter(|name| !known.contains(name)) else { continue };
        let noun = if section == "notify" { "channel" } else { section };
        let what = format!("there is no {noun} `{name}`");
        let problem = Problem::new(&item.path, item.span.clone(), what).among(name, known.iter().copied());
        problems.push(match known.is_empty() {
            true => problem.help(format!("add a table `[{section}.{name}]`")),
            false => problem,
        });
    }
}

/// A list, or a database with a query.
fn check_fleet(fleet: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    let mut wrong = |node: &Node, what: String, help: &str| {
        problems.push(Problem::new(&node.path, node.name_span.clone(), what).help(help));
    };
    let both = "list `databases`, or say `from = \"…\"` and `query = \"…\"`";
    match (fleet.entry("databases"), fleet.entry("from"), fleet.entry("query")) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => {}
        (Some(list), _, _) => wrong(list, format!("`{}` has both a list and a query", fleet.path), both),
        _ => wrong(fleet, format!("`{}` does not say which databases", fleet.path), both),
    }
    if let (Some(url), None) = (fleet.entry("url"), fleet.entry("query")) {
        wrong(url, format!("`{}` is for the rows of a query, and there is none", url.path), both);
    }
    check_names(fleet.entry("from"), "database", tree, problems);
    let known = tree.entry("database").map(Node::entries).unwrap_or_default();
    for item in fleet.entry("databases").map(Node::items).unwrap_or_default() {
        let name = item.text().unwrap_or_default();
        let is_name = known.iter().any(|(known, _)| known == name);
        if !is_name && !name.contains("${") && !crate::wiring::is_place(name) {
            let names = known.iter().map(|(name, _)| name.as_str());
            let what = format!("there is no database `{name}`, and it is no path or URL");
            problems.push(Problem::new(&item.path, item.span.clone(), what).among(name, names));
        }
    }
}

fn check_backup(backup: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    let store = backup.entry("store").filter(|store| store.text() != Some(super::backups::STORE));
    check_names(store, "store", tree, problems);
    if let Some((node, recipient)) = backup.entry("recipient").and_then(|node| Some((node, node.text()?)))
        && let Err(error) = engine::backup::check_recipients(recipient)
    {
        let problem = Problem::new(&node.path, node.span.clone(), error.what);
        problems.push(problem.help(error.help.unwrap_or_default()));
    }
    let lists = ["assertions", "external"].into_iter().filter_map(|name| backup.entry(name));
    for one in lists.flat_map(Node::items) {
        check_names(one.entry("database"), "database", tree, problems);
    }
}

fn check_store(store: &Node, problems: &mut Vec<Problem>) {
    let what = match (store.entry("folder"), store.entry("url")) {
        (Some(_), Some(_)) => format!("`{}` is both a folder and a bucket", store.path),
        (None, None) => format!("`{}` is neither a folder nor a bucket", store.path),
        (None, Some(url)) if url.text().is_some_and(|url| !url.starts_with("s3://")) => {
            let what = format!("`{}` is no bucket", url.path);
            problems.push(Problem::new(&url.path, url.span.clone(), what).allowed("`s3://bucket/prefix`"));
            return;
        }
        (Some(_), None) => {
            for key in ["endpoint", "region", "access_key", "secret_key"] {
                if let Some(node) = store.entry(key) {
                    let what = format!("a folder has no `{key}`");
                    problems.push(Problem::new(&node.path, node.name_span.clone(), what));
                }
            }
            return;
        }
        _ => return,
    };
    problems.push(
        Problem::new(&store.path, store.name_span.clone(), what)
            .help("write `folder = \"…\"` or `url = \"s3://bucket/prefix\"`"),
    );
}
