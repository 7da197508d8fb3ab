//! `plan`, `run`, the kinds as commands of their own, `resume` and `stop`.

use super::act::Act;
use super::console::Output;
use super::{flags, scan, schedule, text};
use crate::choice::{self, Names};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{Kind, Plan, Request};
use serde_json::json;

/// `sexton plan`.
pub fn plan(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let request = requested(act, matches, actor)?;
    let plan = act.engine.plan(&request)?;
    if let Some(file) = matches.get_one::<String>("save") {
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        std::fs::write(file, text + "\n")
            .map_err(|error| Trouble::system(format!("the plan cannot be written to `{file}`"), error))?;
        act.console.note(&format!("saved; run it with `sexton run --plan {file}`"));
    }
    match act.console.output {
        Output::Text => act.console.data(&text::plan(&plan, act.console, true)),
        Output::Result => act.console.document(&json!({
            "schema_version": engine::SCHEMA_VERSION, "success": true, "result": plan
        })),
        Output::Json | Output::Report => act.console.document(&json!(plan)),
    }
    Ok(Exit::Done)
}

/// `sexton run`.
pub fn run(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    if let Some(file) = matches.get_one::<String>("plan") {
        return run_stored(act, matches, file, actor);
    }
    if let Some(when) = matches.get_one::<String>("schedule") {
        return register(act, matches, when, actor);
    }
    let mut request = requested(act, matches, actor)?;
    request.dry_run = matches.get_flag("dry-run");
    request.force = matches.get_flag("force");
    act.request(&request)
}

/// `--schedule`: what would be run now is added as a schedule (S1-009, X-52).
fn register(act: &Act, matches: &ArgMatches, when: &str, actor: &str) -> Result<Exit, Trouble> {
    let names = Names::typed(matches);
    let usual: Vec<&str> = match when {
        "daily" => vec!["logs", "sessions"],
        "weekly" => act.config.operation_names(),
        _ => vec!["reindex"],
    };
    let names = if names.is_empty() {
        Names::listed(&usual.into_iter().map(str::to_owned).collect::<Vec<_>>())
    } else {
        names
    };
    // Whatever is named must be there; what a group says of its members holds each time that it runs.
    let chosen = choice::operations(&names, act.config)?;
    let run = match names.all {
        true => chosen.iter().map(|one| one.operation.name.clone()).collect(),
        false => names.into_list(),
    };
    let cron = match when {
        "daily" => "0 2 * * *",
        "weekly" => "0 3 * * sun",
        _ => "0 4 * * sun#1",
    };
    let said = flags::overrides(matches, act.engine.catalogue())?;
    let says = scheduler::Definition {
        run,
        cron: Some(cron.to_owned()),
        dry_run: matches.get_flag("dry-run"),
        options: said.into_iter().map(|one| (one.key, one.value.json())).collect(),
        ..scheduler::Definition::default()
    };
    schedule::register(act, when, &says, actor)
}

fn requested(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Request, Trouble> {
    let said = flags::overrides(matches, act.engine.catalogue())?;
    let names = Names::typed(matches);
    let chosen = choice::operations(&names, act.config)?;
    let named = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::database(named, act.config)?.map(|database| database.name);
    let mut request = choice::request(act.config, &chosen, &said, database.as_deref(), actor)?;
    request.force = matches.get_flag("force");
    let most = matches.get_one::<u16>("max-parallel").map(|most| usize::from(*most));
    request.max_parallel = most.unwrap_or_else(|| choice::side_by_side(&names, act.config));
    Ok(request)
}

/// A plan from a file: it must still fit, and it may be a dry run all the same.
fn run_stored(act: &Act, matches: &ArgMatches, file: &str, actor: &str) -> Result<Exit, Trouble> {
    only_the_plan(act, matches)?;
    let text = std::fs::read_to_string(file).map_err(|error| Trouble {
        exit: Exit::Usage,
        help: Some("make one with `sexton plan NAME --save FILE`".to_owned()),
        ..Trouble::system(format!("the plan `{file}` cannot be read"), error)
    })?;
    let mut stored: Plan = serde_json::from_str(&text).map_err(|error| Trouble {
        exit: Exit::Usage,
        help: Some("make a new one with `sexton plan NAME --save FILE`".to_owned()),
        ..Trouble::system(format!("`{file}` is no plan of this version"), error)
    })?;
    stored.request.force = matches.get_flag("force");
    stored.request.actor = actor.to_owned();
    stored.request.dry_run = matches.get_flag("dry-run");
    match act.engine.recheck(&stored) {
        Ok(plan) => act.plan(plan),
        // It could have been run; that it is not is the protection the file was saved for (W-123).
        Err(failure) if failure.class() == engine::Class::Data => Err(Trouble::of_doubt(failure)),
        Err(failure) => act.unplanned(&stored.request, Some(failure)),
    }
}

/// What is run is what was saved: options that would be something else are refused, not passed over.
fn only_the_plan(act: &Act, matches: &ArgMatches) -> Result<(), Trouble> {
    let said = flags::overrides(matches, act.engine.catalogue())?;
    let database = matches.get_one::<String>("database").map(|_| "--database");
    let Some(flag) = said.first().map(|said| said.flag.as_str()).or(database) else { return Ok(()) };
    Err(Trouble::usage(
        format!("`{flag}` cannot be used with `--plan`: the saved plan has its own; nothing was run"),
        format!("leave it out, or save another plan: `sexton plan NAME {flag} … --save FILE`"),
    ))
}

/// A kind as a command of its own.
pub fn one_off(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
) -> Result<Exit, Trouble> {
    if let Some(("scan", own)) = matches.subcommand() {
        return scan::scan(act, kind, own, actor);
    }
    let said = flags::overrides(matches, &[kind])?;
    let named = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::the_database(named, act.config)?;
    let operation = choice::one_off(kind, &database);
    let mut request = choice::request(act.config, &[choice::Chosen::named(&operation)], &said, None, actor)?;
    request.dry_run = matches.get_flag("dry-run");
    request.force = matches.get_flag("force");
    act.request(&request)
}

/// `sexton resume`.
pub fn resume(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let said = flags::overrides(matches, &[])?;
    act.resume(super::id_of(matches), &said, matches.get_flag("force"))
}

/// `sexton restore-archive`.
pub fn restore_archive(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let text = |id: &str| matches.get_one::<String>(id).map(String::as_str);
    let database = choice::the_database(text("database"), act.config)?;
    let (store, run) = (text("store").unwrap_or_default(), text("run").unwrap_or_default());
    let store = crate::wiring::absolute_store(store);
    let mut request = act.engine.restore_request(&store, run, text("table"), &database, actor);
    request.dry_run = matches.get_flag("dry-run");
    request.force = matches.get_flag("force");
    act.request(&request)
}

/// `sexton stop`.
pub fn stop(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    // Not the newest one: that may be an attempt that found the one at work.
    let at_work = |report: &engine::Report| report.is_open() && report.status != engine::Status::Interrupted;
    let id = act.latest(super::id_of(matches), at_work)?;
    let id = act.engine.ask_stop(&id, actor)?;
    match act.console.is_text() {
        true => act.console.data(&format!("asked run {id} to stop at its next batch")),
        false => act
            .console
            .document(&json!({ "schema_version": engine::SCHEMA_VERSION, "success": true, "run_id": id })),
    }
    Ok(Exit::Done)
}
