//! `migrate`: bring a database to a version and back; show, check and mark what is in.
//!
//! Every command is one request to the engine for an operation of the kind `migrate`: the one of the configuration, or one
//! made of flags alone.

mod arguments;
mod diff;
mod fleet;
mod lint;
mod lint_forms;
mod lint_text;
mod rewrite;
mod squash;

pub use arguments::command;

use super::act::Act;
use super::console::Output;
use super::numbers::{count, duration, minute};
use super::table::Table;
use super::{flags, text};
use crate::choice;
use crate::config::OperationSetting;
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring;
use clap::ArgMatches;
use engine::backup::Rehearsal;
use engine::{Finding, Kind, Level, Request, SCHEMA_VERSION, Severity};
use serde_json::{Value as Json, json};

/// `sexton migrate …`.
pub fn migrate(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
) -> Result<Exit, Trouble> {
    let Some((command, own)) = matches.subcommand() else { return Ok(Exit::Usage) };
    if let Ok(Some(name)) = own.try_get_one::<String>("fleet") {
        return fleet::migrate(act, kind, command, own, name, actor);
    }
    match command {
        "status" => status(act, &looked_at(act, kind, own, actor)?),
        "check" => check(act, &looked_at(act, kind, own, actor)?),
        "verify" => verify(act, &looked_at(act, kind, own, actor)?),
        "new" => new(act, kind, own, actor),
        "lint" => lint::lint(act, kind, own),
        "rewrite" => rewrite::rewrite(act, kind, own),
        "diff" => diff::diff(act, kind, own, actor),
        "squash" => squash::squash(act, kind, own, actor),
        "test" => {
            if own.get_flag("all") {
                return try_all(act, kind, own, actor);
            }
            let action = if own.contains_id("ids") { "apply" } else { "up" };
            rehearse(act, &request(act, kind, own, action, actor)?, true)
        }
        "plan" => {
            let mut request = request(act, kind, own, "up", actor)?;
            request.dry_run = true;
            let plan = act.engine.plan(&request)?;
            match act.console.output {
                Output::Text => act.console.data(&text::plan(&plan, act.console, true)),
                _ => act.console.document(&json!(plan)),
            }
            let refused = plan.items.iter().any(|item| engine::is_refused(item, request.force));
            Ok(if refused { Exit::Refused } else { Exit::Done })
        }
        action => {
            let mut request = request(act, kind, own, action, actor)?;
            if own.get_flag("rehearse") {
                return rehearse(act, &request, false);
            }
            request.dry_run = own.get_flag("dry-run");
            act.request(&request)
        }
    }
}

/// The operation of the configuration, or one made of flags alone.
fn operation(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    database: Option<&str>,
) -> Result<OperationSetting, Trouble> {
    let named = matches.get_one::<String>("operation").map(String::as_str);
    let known = choice::of_kind(act.config, kind, named, "migration")?;
    if let (Some(_), [one]) = (named, known.as_slice()) {
        return Ok((*one).clone());
    }
    // Those that only look say the same about the same files.
    let acts = |one: &&OperationSetting| one.options.get("action").is_none_or(|action| action != "status");
    let acting: Vec<&OperationSetting> = known.iter().copied().filter(acts).collect();
    let known = if acting.is_empty() { known.clone() } else { acting };
    match known.as_slice() {
        [] if matches.get_one::<String>("fleet").is_some() => {
            Ok(choice::one_off(kind, database.unwrap_or_default()))
        }
        [] => Ok(choice::one_off(kind, &choice::the_database(database, act.config)?)),
        [one] => Ok((*one).clone()),
        _ => Err(Trouble::usage(
            "which migrations?",
            format!("name them with `--operation`: {}", choice::listed(&known)),
        )),
    }
}

fn request(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    action: &str,
    actor: &str,
) -> Result<Request, Trouble> {
    let asked = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::database(asked, act.config)?.map(|database| database.name);
    request_for(act, kind, matches, action, actor, asked, database)
}

/// The same for a database that is known already.
fn request_for(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    action: &str,
    actor: &str,
    asked: Option<&str>,
    database: Option<String>,
) -> Result<Request, Trouble> {
    let mut operation = operation(act, kind, matches, asked)?;
    // To say `up` is to have decided; what takes data away is asked about.
    let configured = act.config.operations.iter().any(|one| one.name == operation.name);
    let takes_away = ["down", "revert", "redo"].contains(&action);
    if !configured && !takes_away {
        operation.severity = Severity::Low;
    }
    let said = flags::overrides(matches, &[kind])?;
    let mut request =
        choice::request(act.config, &[choice::Chosen::named(&operation)], &said, database.as_deref(), actor)?;
    request.force = matches.get_flag("force");
    for operation in &mut request.operations {
        let options = &mut operation.options;
        options["action"] = action.into();
        for key in ["count", "to", "ids"] {
            if let Some(options) = options.as_object_mut() {
                options.remove(key);
            }
        }
        if let Ok(Some(count)) = matches.try_get_one::<u64>("count") {
            options["count"] = (*count).into();
        }
        if let Ok(Some(to)) = matches.try_get_one::<String>("to") {
            options["to"] = to.as_str().into();
        }
        if let Ok(Some(ids)) = matches.try_get_many::<String>("ids") {
            options["ids"] = ids.cloned().collect::<Vec<_>>().into();
        }
    }
    Ok(request)
}

/// M1.
fn looked_at(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Json, Trouble> {
    let request = request(act, kind, matches, "status", actor)?;
    let plan = act.engine.plan(&request)?;
    Ok(plan.items.into_iter().next().and_then(|item| item.result).unwrap_or_default())
}

fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn document(act: &Act, looked_at: &Json) {
    let mut document = json!({ "schema_version": SCHEMA_VERSION });
    for (key, value) in looked_at.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    act.console.document(&document);
}

fn status(act: &Act, looked_at: &Json) -> Result<Exit, Trouble> {
    if !act.console.is_text() {
        document(act, looked_at);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["migration", "state", "since (UTC)", "took", "way back", "does"], &[3]);
    for one in looked_at["migrations"].as_array().into_iter().flatten() {
        let at = one["applied_at"].as_str().and_then(|at| at.parse().ok()).map(minute).unwrap_or_default();
        let took = one["duration_ms"].as_u64().map(|ms| duration(ms as f64 / 1000.0));
        let took = took.filter(|_| !at.is_empty()).or_else(|| expected(one)).unwrap_or_default();
        table.row([
            word(&one["id"]),
            state(one),
            at,
            took,
            yes(&one["reversible"]),
            word(&one["description"]),
        ]);
    }
    if !table.is_empty() {
        act.console.data(&table.text());
    }
    let pending = looked_at["pending"].as_array().map_or(0, Vec::len);
    act.console.data(&format!(
        "current {}, target {}, {pending} pending, history in {}",
        word(&looked_at["current"]),
        word(&looked_at["target"]),
        word(&looked_at["history"])
    ));
    problems(act, looked_at);
    for other in looked_at["other_histories"].as_array().into_iter().flatten() {
        act.console.note(&format!(
            "the table {} looks like the history of another tool, and does not count",
            word(other)
        ));
    }
    Ok(Exit::Done)
}

/// How long one that is pending will take, as far as can be told.
fn expected(one: &Json) -> Option<String> {
    let estimate = one.get("estimate").filter(|estimate| estimate["risk"].is_string())?;
    estimate["seconds"].as_f64().map(|seconds| format!("about {}", duration(seconds)))
}

fn yes(value: &Json) -> String {
    if value == true { "yes" } else { "no" }.to_owned()
}

fn state(one: &Json) -> String {
    let mut said = vec![word(&one["state"]).replace('_', " ")];
    for (wrong, word) in [
        (one["checksum_ok"] == false, "changed"),
        (one["missing"] == true, "file is gone"),
        (one["out_of_order"] == true, "late"),
    ] {
        if wrong {
            said.push(word.to_owned());
        }
    }
    let risk = one["estimate"]["risk"].as_str().filter(|risk| *risk != "low");
    said.extend(risk.map(|risk| format!("{risk} risk")));
    said.extend(one["so_far"].as_str().map(str::to_owned));
    said.join(", ")
}

/// What stands in the way, each with one thing to do.
fn problems(act: &Act, looked_at: &Json) {
    for problem in looked_at["problems"].as_array().into_iter().flatten() {
        act.console.note_error(&word(&problem["what"]));
        act.console.note_help(&word(&problem["help"]));
    }
}

/// R3h.
fn check(act: &Act, looked_at: &Json) -> Result<Exit, Trouble> {
    let needed = looked_at["migration_needed"] == true;
    if act.console.is_text() {
        act.console.data(&match needed {
            false => format!("up to date at {}", word(&looked_at["current"])),
            true => format!(
                "needed: {} pending, current {}, target {}",
                looked_at["pending"].as_array().map_or(0, Vec::len),
                word(&looked_at["current"]),
                word(&looked_at["target"])
            ),
        });
    } else if needed {
        let zero = |value: &Json| if value.is_null() { json!(0) } else { value.clone() };
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION,
            "migration_needed": true,
            "current": zero(&looked_at["current"]),
            "target": looked_at["target"],
        }));
    } else {
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "migration_needed": false }));
    }
    problems(act, looked_at);
    Ok(if needed || looked_at["ok"] == false { Exit::Findings } else { Exit::Done })
}

fn verify(act: &Act, looked_at: &Json) -> Result<Exit, Trouble> {
    let wrong = looked_at["problems"].as_array().map_or(0, Vec::len);
    if act.console.is_text() {
        let count = looked_at["migrations"].as_array().map_or(0, Vec::len);
        if wrong == 0 {
            act.console.data(&format!("good   {count} migrations, files and history agree"));
        }
    } else {
        document(act, looked_at);
    }
    problems(act, looked_at);
    Ok(if wrong == 0 { Exit::Done } else { Exit::Findings })
}

/// Tries all there are, from nothing.
fn try_all(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let convention = looked_at(act, kind, matches, actor)?["convention"].clone();
    let mut request = request(act, kind, matches, "up", actor)?;
    let Some(operation) = request.operations.first_mut() else { return Ok(Exit::Usage) };
    operation.options["convention"] = convention;
    told(act, act.engine.try_anew(operation, actor)?)
}

/// Does it and throws it away.
fn rehearse(act: &Act, request: &Request, both_ways: bool) -> Result<Exit, Trouble> {
    let Some(operation) = request.operations.first() else { return Ok(Exit::Usage) };
    told(act, act.engine.try_out(operation, both_ways, &request.actor)?)
}

fn told(act: &Act, rehearsal: Rehearsal) -> Result<Exit, Trouble> {
    let warns = |finding: &Finding| finding.level != Level::Note;
    let exit = if rehearsal.findings.iter().any(warns) { Exit::Findings } else { Exit::Done };
    if !act.console.is_text() {
        document(act, &json!({ "rehearsal": rehearsal }));
        return Ok(exit);
    }
    let mut table =
        Table::new(["migration", "done", "took", "rows", "interrupted", "held at its end"], &[2, 3, 4]);
    for step in rehearsal.steps.iter().filter(|step| step.action != "prepare") {
        let rows = step.detail.as_ref().and_then(|detail| detail["rows"].as_u64());
        table.row([
            step.id.clone(),
            step.action.clone(),
            duration(step.seconds),
            rows.map(count).unwrap_or_default(),
            if step.interruptions > 0 { format!("{} times", step.interruptions) } else { String::new() },
            step.locks.join(", "),
        ]);
    }
    if !table.is_empty() {
        act.console.data(&table.text());
    }
    let place = match rehearsal.place {
        "copy" => "on a copy that is gone again",
        "empty" => "on an empty database that is gone again",
        _ => "in a transaction that was rolled back",
    };
    act.console.data(&format!("rehearsed {place}, {}; nothing was changed", duration(rehearsal.seconds)));
    for finding in &rehearsal.findings {
        let what = format!("{}: {}", finding.object, finding.what);
        match warns(finding) {
            true => act.console.note_error(&what),
            false => act.console.note(&what),
        }
        act.console.note_help(&finding.remedy);
    }
    Ok(exit)
}

fn new(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let request = request(act, kind, matches, "up", actor)?;
    let options = request.operations.first().map(|one| one.options.clone()).unwrap_or_default();
    for file in wiring::new_migration(&options, name, act.engine.clock().now())? {
        act.console.data(&file.display().to_string());
    }
    Ok(Exit::Done)
}
