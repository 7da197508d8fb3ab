//! Adding, switching, approving, running now.

use super::super::act::Act;
use super::super::{flags, signals};
use super::{name_of, schedules};
use crate::daemon::{Plans, standing};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{SCHEMA_VERSION, Stop, TickState, new_id};
use notify::Post;
use scheduler::{Definition, Notifications, Worker};
use serde_json::json;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);

fn done(act: &Act, text: &str, name: &str) -> Result<Exit, Trouble> {
    match act.console.is_text() {
        true => act.console.data(text),
        false => act
            .console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "success": true, "schedule": name })),
    }
    Ok(Exit::Done)
}

/// `sexton schedule add`.
pub fn add(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let many = |id: &str| matches.get_many::<String>(id).into_iter().flatten().cloned().collect::<Vec<_>>();
    let mut options = serde_json::Map::new();
    for one in flags::overrides(matches, &[])? {
        options.insert(one.key, one.value.json());
    }
    let says = Definition {
        description: text("description"),
        run: many("run"),
        cron: text("cron"),
        zone: text("zone").unwrap_or_else(|| "UTC".to_owned()),
        after: many("after"),
        enabled: !matches.get_flag("disabled"),
        dry_run: matches.get_flag("dry-run"),
        options,
        notifications: notifications(&many("tell"), many("channel"), many("recipient")),
        alert_threshold: matches.get_one::<u64>("alert-threshold").copied(),
        ..Definition::default()
    };
    register(act, name_of(matches), &says, actor)
}

/// Who is told what; none where nothing was said about it.
fn notifications(tell: &[String], channels: Vec<String>, recipients: Vec<String>) -> Option<Notifications> {
    let tells = |event: &str| tell.iter().any(|said| said == event);
    (!tell.is_empty()).then(|| Notifications {
        on_success: tells("success"),
        on_failure: tells("failure"),
        on_warnings: tells("warnings"),
        recipients,
        channels,
    })
}

/// Adds a schedule, or changes one that was added.
pub fn register(act: &Act, name: &str, says: &Definition, actor: &str) -> Result<Exit, Trouble> {
    schedules(act).add(name, says, None, actor)?;
    act.console.note("only shown until it is approved");
    act.console.note_help(&format!(
        "look at it with `sexton schedule show {name}`, then `sexton schedule approve {name}`"
    ));
    done(act, &format!("added {name}"), name)
}

/// `sexton schedule remove`.
pub fn remove(act: &Act, name: &str, actor: &str) -> Result<Exit, Trouble> {
    schedules(act).remove(name, None, actor)?;
    done(act, &format!("removed {name}"), name)
}

/// `sexton schedule enable` and `disable`.
pub fn switch(act: &Act, name: &str, on: bool, actor: &str) -> Result<Exit, Trouble> {
    schedules(act).switch(name, on, actor)?;
    done(act, &format!("{name} is switched {}", if on { "on" } else { "off" }), name)
}

/// `sexton schedule approve`.
pub fn approve(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let name = name_of(matches);
    schedules(act).approve(name, matches.get_one::<u64>("max-rows").copied(), actor)?;
    done(act, &format!("{name} is approved as it is now"), name)
}

/// `sexton schedule withdraw`.
pub fn withdraw(act: &Act, name: &str, actor: &str) -> Result<Exit, Trouble> {
    schedules(act).withdraw(name, actor)?;
    done(act, &format!("{name} is only shown from now on"), name)
}

/// `sexton schedule run`: here and now, unless a process that serves was quicker.
pub fn run(act: &Act, name: &str, actor: &str) -> Result<Exit, Trouble> {
    let tick = schedules(act).ask(name, actor)?;
    let post = Post { engine: act.engine, settings: &act.config.notify };
    let plans = Plans { config: act.config, tell: &|_| {}, post };
    let worker = Worker::new(act.engine, &plans, &new_id(), LEASE);
    let stop = Stop::default();
    let listening = signals::listen(&stop);
    let mut told = false;
    let ended = loop {
        if !worker.step_at(&tick.id, &stop)? {
            if !told {
                act.console.note("somebody else has it; waiting");
                told = true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let now = act.engine.timetable()?.tick(&tick.id)?.unwrap_or_else(|| tick.clone());
        if stop.asked() || !(now.state.is_open() || now.state == TickState::Claimed) {
            break now;
        }
        if let Some(why) = now.why.as_ref().filter(|_| now.state == TickState::Waiting && !told) {
            act.console.note(&format!("{why}; waiting"));
            told = true;
        }
    };
    drop(listening);
    act.send();
    let run = ended.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
    match act.console.is_text() {
        true => act.console.data(&format!("{name} {}{run}", standing(ended.state, ended.why.as_deref()))),
        false => act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "tick": ended })),
    }
    let report =
        ended.run.as_ref().and_then(|run| act.engine.run_record(run).ok()).map(|record| record.report());
    let parts = act.engine.timetable()?.parts(&ended)?;
    Ok(match report {
        Some(report) => Exit::of_report(&report),
        // Some of many databases failed, no more than may.
        None if ended.state == TickState::Done
            && parts.iter().any(|part| part.state == TickState::Failed) =>
        {
            Exit::Findings
        }
        None if ended.state == TickState::Done => Exit::Done,
        None => Exit::Failed,
    })
}
