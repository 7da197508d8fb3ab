//! `sexton orphans scan`: the references of a whole database, those without a parent, and what would mend them.
//!
//! Asks the engine for plans only, whose sessions cannot write. One plan for each table, so that a long look can be seen
//! to move on.

use super::act::Act;
use super::choice;
use super::numbers::{count, of, rows};
use super::table::Table;
use super::trouble::Trouble;
use crate::exit::Exit;
use clap::ArgMatches;
use engine::{Kind, SCHEMA_VERSION};
use serde_json::{Value as Json, json};

/// Whether a kind can look at a whole database.
pub fn scans(kind: &dyn Kind) -> bool {
    kind.schema().get("properties").is_some_and(|properties| properties.get("scan").is_some())
}

/// `sexton KIND scan`.
pub fn scan(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::the_database(named, act.config)?;
    let most = matches.get_one::<u64>("rows").copied().unwrap_or(0);
    let look = |most: u64, tables: &[String]| -> Result<Vec<Json>, Trouble> {
        let operation = choice::one_off(kind, &database);
        let mut request =
            choice::request(act.config, &[choice::Chosen::named(&operation)], &[], None, actor)?;
        request.operations[0].options = json!({ "scan": true, "scan_rows": most, "scan_only": tables });
        let plan = act.engine.plan(&request)?;
        let result = plan.items.into_iter().next().and_then(|item| item.result).unwrap_or_default();
        Ok(result["references"].as_array().cloned().unwrap_or_default())
    };
    let tables: Vec<String> = matches.get_many::<String>("tables").into_iter().flatten().cloned().collect();
    let mut references = Vec::new();
    if act.console.can_draw() {
        // One row of each says which tables there are.
        let mut names: Vec<String> = look(1, &tables)?.iter().map(|one| text(&one["table"])).collect();
        names.dedup();
        for (n, name) in names.iter().enumerate() {
            act.console.note(&format!("looking at {name}, {} of {}", n + 1, names.len()));
            references.extend(look(most, std::slice::from_ref(name))?);
        }
    } else {
        references = look(most, &tables)?;
    }
    match act.console.is_text() {
        true => act.console.data(&shown(&references)),
        false => act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "references": references })),
    }
    let found = references.iter().any(|one| number(&one["orphans"]) > 0 && one["doubtful"] == false);
    Ok(if found { Exit::Findings } else { Exit::Done })
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Json) -> String {
    value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

fn number(value: &Json) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn shown(references: &[Json]) -> String {
    if references.is_empty() {
        return "no table refers to another one, by declaration or by the look of it".to_owned();
    }
    let mut table =
        Table::new(["table", "refers by", "to", "rows", "null", "orphans", "key", "index"], &[3, 4, 5]);
    for one in references {
        let kind = match one["type_value"].as_str() {
            Some(value) => format!(" ({} = {value})", text(&one["type_column"])),
            None => String::new(),
        };
        let about = if one["rows_exact"] == true { "" } else { "~" };
        let total = match one["looked_at"].as_u64() {
            Some(looked_at) => format!("{} of {about}{}", count(looked_at), count(number(&one["rows"]))),
            None => format!("{about}{}", count(number(&one["rows"]))),
        };
        let orphans = match one["problem"].as_str() {
            Some(_) => "?".to_owned(),
            None if one["doubtful"] == true => format!("{}?", count(number(&one["orphans"]))),
            None => count(number(&one["orphans"])),
        };
        table.row([
            text(&one["table"]),
            format!("{}{kind}", list(&one["columns"])),
            format!("{} ({})", text(&one["parent"]), list(&one["parent_columns"])),
            total,
            one["nulls"].as_u64().map_or_else(|| "?".to_owned(), count),
            orphans,
            key(one).to_owned(),
            if one["indexed"] == true { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let mut lines = table.lines(0);
    let problems = references.iter().filter_map(|one| Some((one, one["problem"].as_str()?)));
    lines.extend(problems.map(|(one, problem)| {
        format!("{}.{} could not be counted: {problem}", text(&one["table"]), list(&one["columns"]))
    }));
    let sound = |one: &&Json| one["doubtful"] == false;
    let orphans: u64 = references.iter().filter(sound).map(|one| number(&one["orphans"])).sum();
    let doubtful = references.iter().filter(|one| one["doubtful"] == true).count() as u64;
    lines.push(String::new());
    lines.push(match orphans {
        0 => "no orphans".to_owned(),
        orphans => {
            format!("{} without a parent; these lines of the configuration would mend them:", rows(orphans))
        }
    });
    for one in references.iter().filter(sound).filter(|one| one["config"].is_string()) {
        lines.push(String::new());
        lines.push(text(&one["config"]));
    }
    if doubtful > 0 {
        lines.push(String::new());
        lines.push(format!(
            "{} with a question mark: most rows find no parent, so it is probably none",
            of(doubtful, "reference", "references")
        ));
    }
    let statements: Vec<String> = references
        .iter()
        .flat_map(|one| one["constraint"].as_array().into_iter().flatten().map(text))
        .collect();
    if !statements.is_empty() {
        lines.push(String::new());
        lines.push("what would make the database refuse the next ones:".to_owned());
        lines.push(String::new());
        lines.extend(statements);
    }
    lines.join("\n")
}

/// What the database knows of the reference.
fn key(one: &Json) -> &'static str {
    match (one["declared"] == true, one["enforced"] == true, one["validated"] == true) {
        (false, _, _) => "none",
        (true, true, true) => "kept",
        (true, true, false) => "not validated",
        (true, false, _) => "not enforced",
    }
}
