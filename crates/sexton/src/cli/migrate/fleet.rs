//! `sexton migrate … --fleet NAME`: the same migrations for many databases.
//!
//! Each database gets a run of its own, in the log under one correlation id. What is done is seen in the databases: whoever
//! says it again goes on with the rest.

use super::{document, request_for, word};
use crate::cli::act::Act;
use crate::cli::fleet;
use crate::cli::numbers::duration;
use crate::cli::table::Table;
use crate::cli::{consent, signals};
use crate::config::FleetSetting;
use crate::exit::Exit;
use crate::fleet::{Member, Outcome, Rollout, each, rollout};
use crate::trouble::Trouble;
use crate::wiring;
use clap::ArgMatches;
use engine::{Engine, Failure, Kind, Plan, Request, Severity, Status, Stop, is_refused};
use notify::Ended;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Commands that work on a fleet, and what they ask of each database.
const ACTING: [&str; 8] = ["up", "down", "apply", "revert", "redo", "resume", "adopt", "baseline"];
const LOOKING: [&str; 4] = ["status", "check", "verify", "plan"];

/// `sexton migrate COMMAND --fleet NAME`.
pub fn migrate(
    act: &Act,
    kind: &'static dyn Kind,
    command: &str,
    matches: &ArgMatches,
    name: &str,
    actor: &str,
) -> Result<Exit, Trouble> {
    let acts = ACTING.contains(&command);
    if !acts && !LOOKING.contains(&command) {
        return Err(Trouble::usage(
            format!("`migrate {command}` works on one database, not on a fleet"),
            format!("name one of them with `--database`: `sexton fleet list {name}` shows them"),
        ));
    }
    if matches.get_one::<String>("database").is_some() {
        return Err(Trouble::usage(
            "`--fleet` and `--database` exclude each other",
            "leave out one of the two",
        ));
    }
    if acts && matches.get_flag("rehearse") {
        return Err(Trouble::usage(
            "a rehearsal is for one database, not for a fleet",
            "rehearse on one of them with `--database`, or see what would run with `--dry-run`",
        ));
    }
    let setting = fleet::setting(act, name)?;
    let members = fleet::members(act, setting)?;
    let Some(first) = members.first() else {
        act.console.note(&format!("the fleet `{name}` has no databases now"));
        return Ok(Exit::Done);
    };
    let action = if acts { command } else { "status" };
    let first = Some(first.name().to_owned());
    let request = request_for(act, kind, matches, action, actor, first.as_deref(), first.clone())?;
    if acts && !matches.get_flag("dry-run") {
        return run(act, setting, &members, &request);
    }
    look(act, setting, &members, &request, command)
}

fn for_member(request: &Request, member: &Member) -> Request {
    let mut request = request.clone();
    for operation in &mut request.operations {
        operation.database = member.name().to_owned();
    }
    request
}

/// What came of one database.
#[derive(Clone)]
struct Told {
    state: &'static str,
    status: Option<Status>,
    busy: bool,
    run: Option<String>,
    result: Json,
    error: Option<String>,
    help: Option<String>,
    took: Duration,
}

impl Told {
    fn failure(act: &Act, failure: &Failure) -> Self {
        let busy = matches!(failure, Failure::Busy { .. });
        Self {
            state: if busy { "busy" } else { "failed" },
            status: None,
            busy,
            run: None,
            result: Json::Null,
            error: Some(act.console.hidden(&fleet::told(failure))),
            help: failure.help().map(|help| act.console.hidden(help)),
            took: Duration::ZERO,
        }
    }

    fn of_plan(plan: &Plan, state: &'static str) -> Self {
        let finding =
            plan.items.iter().flat_map(|item| &item.findings).find(|one| one.level == engine::Level::Refuse);
        Self {
            state,
            status: None,
            busy: false,
            run: None,
            result: Json::Null,
            error: finding.map(|one| one.what.clone()),
            help: finding.map(|one| one.remedy.clone()),
            took: Duration::ZERO,
        }
    }

    fn json(&self, member: &Member) -> Json {
        json!({
            "name": member.name(),
            "state": self.state,
            "run_id": self.run,
            "current": self.result["current"],
            "target": self.result["target"],
            "migrations": self.result["migrations"],
            "seconds": self.took.as_secs_f64(),
            "error": self.error,
            "help": self.help,
        })
    }
}

fn run(act: &Act, setting: &FleetSetting, members: &[Member], request: &Request) -> Result<Exit, Trouble> {
    let severe = request.operations.iter().any(|one| one.severity > Severity::Low);
    if severe {
        consent::confirm(
            &format!("Run it on the {} databases of `{}`?", members.len(), setting.name),
            act.console,
        )?;
    }
    let stop = Stop::default();
    let listening = signals::listen(&stop);
    let rollout = rollout(setting, members, &stop, |member| {
        let engine = wiring::engine(act.config, Some(&member.setting));
        let began = engine.clock().tick();
        let mut told = one(act, &engine, &for_member(request, member), &stop);
        told.took = engine.clock().tick().duration_since(began);
        let seconds = duration(told.took.as_secs_f64());
        let why = told.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        act.console.note(&format!("{:<10} {}, {seconds}{why}", told.state, member.name()));
        let failed = ["failed", "refused", "busy", "partial"].contains(&told.state);
        (told, failed)
    });
    drop(listening);
    hand_in(act, setting, request, members.len(), &rollout);
    tell(act, setting, members, &rollout, stop.asked())
}

/// The message about all of them; whoever typed it sees each.
fn hand_in(act: &Act, setting: &FleetSetting, request: &Request, all: usize, rollout: &Rollout<Told>) {
    let (mut done, mut failed) = (0, Vec::new());
    for outcome in &rollout.outcomes {
        match outcome {
            Outcome::Ended { failed: false, .. } => done += 1,
            Outcome::Ended { of, .. } => failed.push(of.error.as_deref().unwrap_or(of.state)),
            Outcome::NotBegun => {}
        }
    }
    let mut text = format!("{done} of {all} databases done");
    if let Some(first) = failed.first() {
        text += &format!("; {} failed, the first one with: {first}", failed.len());
    }
    if let Some(why) = &rollout.stopped {
        text += &format!("; the others were not begun: {why}");
    }
    let names: Vec<&str> = request.operations.iter().map(|one| one.name.as_str()).collect();
    act.hand_in_all(&Ended {
        report: None,
        schedule: None,
        name: &format!("{} on the fleet {}", names.join(", "), setting.name),
        why: Some(&text),
        event: match (failed.is_empty(), &rollout.stopped) {
            (true, None) => notify::Event::Success,
            (false, None) if done > 0 => notify::Event::Warning,
            _ => notify::Event::Failure,
        },
        id: &request.correlation_id,
        by_hand: true,
        promised: &|_| false,
    });
}

/// One database: planned, and run where something is to be done.
fn one(act: &Act, engine: &Engine, request: &Request, stop: &Stop) -> Told {
    let plan = match engine.plan(request) {
        Ok(plan) => plan,
        Err(failure) => {
            if let Err(error) = engine.log_unplanned(request, &failure) {
                tracing::warn!(%error, "the failed run cannot be logged");
            }
            return Told::failure(act, &failure);
        }
    };
    if plan.items.iter().any(|item| is_refused(item, request.force)) {
        return Told::of_plan(&plan, "refused");
    }
    if plan.items.iter().all(|item| item.steps.is_empty()) {
        return Told::of_plan(&plan, "up to date");
    }
    let report = match engine.run(&plan, stop, &mut |_| {}) {
        Ok(report) => report,
        Err(failure) => return Told::failure(act, &failure),
    };
    let done = report.operations.first();
    let status = done.map_or(report.status, |one| one.status);
    let error = done.and_then(|one| one.errors.first()).map(|error| act.console.hidden(&error.to_string()));
    Told {
        state: match status {
            Status::Completed => "done",
            Status::Partial => "partial",
            Status::Refused => "refused",
            Status::Cancelled | Status::TimedOut => "stopped",
            _ => "failed",
        },
        status: Some(status),
        busy: false,
        run: Some(report.run_id.clone()),
        result: done.and_then(|one| one.result.clone()).unwrap_or_default(),
        help: error.as_ref().map(|_| {
            format!(
                "`sexton runs show {}` tells all; then say it again: those that are done are passed over",
                report.run_id
            )
        }),
        error,
        took: Duration::ZERO,
    }
}

fn tell(
    act: &Act,
    setting: &FleetSetting,
    members: &[Member],
    rollout: &Rollout<Told>,
    asked: bool,
) -> Result<Exit, Trouble> {
    let ended: Vec<&Told> = rollout
        .outcomes
        .iter()
        .filter_map(|one| match one {
            Outcome::Ended { of, .. } => Some(of),
            Outcome::NotBegun => None,
        })
        .collect();
    let count = |states: &[&str]| ended.iter().filter(|one| states.contains(&one.state)).count();
    let (done, current) = (count(&["done"]), count(&["up to date"]));
    let failed = count(&["failed", "refused", "busy", "partial"]);
    let not_begun = members.len() - ended.len();
    let exit = exit(&ended, rollout, asked);
    if !act.console.is_text() {
        let databases: Vec<Json> = members
            .iter()
            .zip(&rollout.outcomes)
            .enumerate()
            .map(|(n, (member, outcome))| {
                let mut one = match outcome {
                    Outcome::Ended { of, .. } => of.json(member),
                    Outcome::NotBegun => json!({ "name": member.name(), "state": "not begun" }),
                };
                one["canary"] = (n < setting.canary).into();
                one
            })
            .collect();
        let document_of = json!({
            "fleet": setting.name, "total": members.len(), "done": done, "up_to_date": current, "failed": failed,
            "stopped": count(&["stopped"]), "not_begun": not_begun, "why": rollout.stopped, "exit_code": exit as u8,
            "databases": databases,
        });
        document(act, &document_of);
        return Ok(exit);
    }
    let mut table = Table::new(["database", "state", "version", "took", "why"], &[3]);
    for (member, outcome) in members.iter().zip(&rollout.outcomes) {
        let name = member.name().to_owned();
        match outcome {
            Outcome::Ended { of, .. } => {
                let version = of.result.get("current").map(word).unwrap_or_default();
                let why = of.error.clone().unwrap_or_default();
                table.row([name, of.state.to_owned(), version, duration(of.took.as_secs_f64()), why]);
            }
            Outcome::NotBegun => {
                table.row([name, "not begun".to_owned(), String::new(), String::new(), String::new()]);
            }
        }
    }
    act.console.data(&table.text());
    act.console.data(&format!(
        "{done} done, {current} up to date, {failed} failed, {not_begun} not begun of {}",
        members.len()
    ));
    if let Some(why) = &rollout.stopped {
        act.console.note_error(&format!("no further database was begun: {why}"));
    }
    if failed > 0 || not_begun > 0 {
        let help = ended.iter().find_map(|one| one.help.clone());
        act.console.note_help(
            &help.unwrap_or_else(|| "say it again: those that are done are passed over".to_owned()),
        );
    }
    Ok(exit)
}

/// Failed where it was given up; partial where some failed and the others were done all the same.
fn exit(ended: &[&Told], rollout: &Rollout<Told>, asked: bool) -> Exit {
    let failed: Vec<&&Told> =
        ended.iter().filter(|one| ["failed", "refused", "busy", "partial"].contains(&one.state)).collect();
    let well = ended.iter().any(|one| ["done", "up to date"].contains(&one.state));
    match (failed.is_empty(), rollout.stopped.is_some()) {
        (true, _) if asked => Exit::Stopped,
        (true, _) => Exit::Done,
        (false, false) if well => Exit::Findings,
        (false, _) if failed.iter().all(|one| one.busy) => Exit::Busy,
        (false, _) if failed.iter().all(|one| one.state == "refused") => Exit::Refused,
        (false, _) if failed.iter().all(|one| one.status == Some(Status::Partial)) => Exit::Findings,
        (false, _) => Exit::Failed,
    }
}

/// What each database has, or what would be done to it.
fn look(
    act: &Act,
    setting: &FleetSetting,
    members: &[Member],
    request: &Request,
    command: &str,
) -> Result<Exit, Trouble> {
    let mut request = request.clone();
    request.dry_run = true;
    let found = each(members, setting.at_once, |member| {
        let engine = wiring::engine(act.config, Some(&member.setting));
        engine.plan(&for_member(&request, member)).map_err(|failure| Box::new(Told::failure(act, &failure)))
    });
    let acts = ACTING.contains(&command);
    let rows: Vec<Json> = members
        .iter()
        .zip(&found)
        .map(|(member, plan)| match plan {
            Err(told) => {
                json!({ "name": member.name(), "ok": false, "error": told.error, "help": told.help })
            }
            Ok(plan) => seen(member, plan, acts, request.force),
        })
        .collect();
    let wrong = rows.iter().filter(|row| row["error"].is_string()).count();
    let needed =
        rows.iter().filter(|row| row["pending"].as_array().is_some_and(|all| !all.is_empty())).count();
    let not_ok = rows.iter().any(|row| row["ok"] == false);
    let exit = match command {
        _ if wrong > 0 => Exit::Failed,
        "check" if needed > 0 || not_ok => Exit::Findings,
        "verify" if rows.iter().any(|row| row["problems"].as_array().is_some_and(|all| !all.is_empty())) => {
            Exit::Findings
        }
        _ if acts && not_ok => Exit::Refused,
        _ => Exit::Done,
    };
    if !act.console.is_text() {
        document(
            act,
            &json!({
                "fleet": setting.name, "total": members.len(), "needed": needed, "unreadable": wrong, "databases": rows,
            }),
        );
        return Ok(exit);
    }
    let mut table = Table::new(["database", "current", "target", "pending", "why"], &[3]);
    for row in &rows {
        let problems: Vec<String> =
            row["problems"].as_array().into_iter().flatten().map(|one| word(&one["what"])).collect();
        let error = row["error"].as_str().map(str::to_owned);
        let pending = row["pending"].as_array().map(|all| all.len().to_string()).unwrap_or_default();
        table.row([
            word(&row["name"]),
            row.get("current").map(word).unwrap_or_default(),
            row.get("target").map(word).unwrap_or_default(),
            pending,
            error.unwrap_or_else(|| problems.join("; ")),
        ]);
    }
    act.console.data(&table.text());
    act.console.data(&format!(
        "{} of {} up to date, {needed} need something, {wrong} cannot be looked at",
        members.len() - needed - wrong,
        members.len()
    ));
    if wrong > 0 {
        act.console.note_help(&format!("`sexton fleet status {}` shows which can be reached", setting.name));
    }
    Ok(exit)
}

fn seen(member: &Member, plan: &Plan, acts: bool, force: bool) -> Json {
    let item = plan.items.first();
    let mut row = json!({ "name": member.name(), "error": null });
    if acts {
        let refused = item.is_some_and(|item| is_refused(item, force));
        let steps = item.map(|item| item.steps.iter().filter(|step| step.action != "prepare"));
        let ids: Vec<&str> = steps.into_iter().flatten().map(|step| step.id.as_str()).collect();
        let findings = item.into_iter().flat_map(|item| &item.findings);
        let problems: Vec<Json> = findings
            .filter(|one| one.level != engine::Level::Note)
            .map(|one| json!({ "what": one.what, "help": one.remedy }))
            .collect();
        row["ok"] = (!refused).into();
        row["pending"] = ids.into();
        row["problems"] = problems.into();
        return row;
    }
    let result = item.and_then(|item| item.result.clone()).unwrap_or_default();
    for key in ["ok", "current", "target", "pending", "problems"] {
        row[key] = result[key].clone();
    }
    row
}
