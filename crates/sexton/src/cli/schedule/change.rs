//! Adding, switching, approving, running now. Each change is a line in the audit trail.

use super::super::act::Act;
use super::super::{flags, signals};
use crate::daemon::{Plans, request_of, standing};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{Entry, SCHEMA_VERSION, Stop, TickState, new_id};
use scheduler::{Definition, Known, Schedule, Worker, by_hand, fingerprint};
use serde_json::{Value as Json, json};
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

/// What the state knows of a schedule, or nothing yet.
fn entry(name: &str, known: Option<Entry>, actor: &str) -> Entry {
    let fresh = Entry {
        name: name.to_owned(),
        body: None,
        version: 0,
        enabled: None,
        approval: None,
        looked: None,
        changed_at: None,
        changed_by: String::new(),
    };
    Entry { changed_by: actor.to_owned(), ..known.unwrap_or(fresh) }
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
        ..Definition::default()
    };
    register(act, &text("name").unwrap_or_default(), &says, actor)
}

/// Adds a schedule, or changes one that was added.
pub fn register(act: &Act, name: &str, says: &Definition, actor: &str) -> Result<Exit, Trouble> {
    if name.is_empty() || name.contains([',', '/', ' ']) || name.starts_with('-') {
        return Err(Trouble::usage(
            format!("`{name}` is not a good name for a schedule"),
            "use letters, digits, `_`, `-` and `.`",
        ));
    }
    if act.config.schedules.iter().any(|known| known.name == name) {
        return Err(Trouble::usage(
            format!("`{name}` stands in the configuration, and is changed there"),
            "switch or approve it here, or take another name",
        ));
    }
    let schedule = Schedule::read(name, says, false).map_err(|faults| {
        let what: Vec<String> =
            faults.iter().map(|fault| format!("`{}`: {}", fault.key, fault.what)).collect();
        Trouble::usage(what.join("; "), faults.into_iter().map(|fault| fault.help).next().unwrap_or_default())
    })?;
    // Whatever it names must be there now.
    request_of(act.config, &schedule)?;
    let others = super::all(act)?;
    if let Some(unknown) =
        says.after.iter().find(|name| !others.iter().any(|known| known.schedule.name == **name))
    {
        return Err(Trouble::usage(
            format!("there is no schedule `{unknown}` to wait for"),
            "`sexton schedule` lists them",
        ));
    }
    let timetable = act.engine.timetable()?;
    let known = timetable.entry(name)?;
    // What was approved was something else.
    let changed =
        Entry { body: Some(json!(says)), approval: None, enabled: None, ..entry(name, known, actor) };
    timetable.put(&changed, Some(changed.version), act.engine.clock().now())?;
    act.engine.audit(actor, "add schedule", name, &json!(says).to_string())?;
    act.console.note("only shown until it is approved");
    act.console.note_help(&format!(
        "look at it with `sexton schedule show {name}`, then `sexton schedule approve {name}`"
    ));
    done(act, &format!("added {name}"), name)
}

/// `sexton schedule remove`.
pub fn remove(act: &Act, known: &Known, actor: &str) -> Result<Exit, Trouble> {
    let name = &known.schedule.name;
    if known.schedule.configured {
        return Err(Trouble::usage(
            format!("`{name}` stands in the configuration, and is taken away there"),
            format!("`sexton schedule disable {name}` keeps it from running"),
        ));
    }
    act.engine.timetable()?.remove(name, None)?;
    act.engine.audit(actor, "remove schedule", name, "")?;
    done(act, &format!("removed {name}"), name)
}

/// `sexton schedule enable` and `disable`.
pub fn switch(act: &Act, known: Known, on: bool, actor: &str) -> Result<Exit, Trouble> {
    let name = known.schedule.name;
    let changed = Entry { enabled: Some(on), ..entry(&name, known.entry, actor) };
    act.engine.timetable()?.put(&changed, Some(changed.version), act.engine.clock().now())?;
    act.engine.audit(actor, if on { "enable schedule" } else { "disable schedule" }, &name, "")?;
    done(act, &format!("{name} is switched {}", if on { "on" } else { "off" }), &name)
}

/// `sexton schedule approve`.
pub fn approve(act: &Act, known: Known, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let request = request_of(act.config, &known.schedule)?;
    let name = known.schedule.name;
    let now = act.engine.clock().now();
    let approval = json!({
        "by": actor,
        "at": now,
        "max_rows": matches.get_one::<u64>("max-rows"),
        "of": fingerprint(&request),
    });
    set_approval(act, &name, known.entry, Some(approval.clone()), actor)?;
    act.engine.audit(actor, "approve schedule", &name, &approval.to_string())?;
    done(act, &format!("{name} is approved as it is now"), &name)
}

/// `sexton schedule withdraw`.
pub fn withdraw(act: &Act, known: Known, actor: &str) -> Result<Exit, Trouble> {
    let name = known.schedule.name;
    if known.schedule.says.approval.is_some() {
        return Err(Trouble::usage(
            format!("the approval of `{name}` stands in the configuration, and is taken back there"),
            format!("`sexton schedule disable {name}` keeps it from running"),
        ));
    }
    set_approval(act, &name, known.entry, None, actor)?;
    act.engine.audit(actor, "withdraw approval", &name, "")?;
    done(act, &format!("{name} is only shown from now on"), &name)
}

fn set_approval(
    act: &Act,
    name: &str,
    known: Option<Entry>,
    approval: Option<Json>,
    actor: &str,
) -> Result<(), Trouble> {
    let changed = Entry { approval, ..entry(name, known, actor) };
    act.engine.timetable()?.put(&changed, Some(changed.version), act.engine.clock().now())?;
    Ok(())
}

/// `sexton schedule run`: here and now, unless a process that serves was quicker.
pub fn run(act: &Act, known: &Known, actor: &str) -> Result<Exit, Trouble> {
    let name = &known.schedule.name;
    let Some(tick) = by_hand(act.engine, name)? else {
        return Err(Trouble::system(format!("`{name}` cannot be run"), "its time could not be noted"));
    };
    act.engine.audit(actor, "run schedule", name, &tick.id)?;
    let plans = Plans { config: act.config, tell: &|_| {} };
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
        if stop.asked() || !matches!(now.state, TickState::Waiting | TickState::Claimed) {
            break now;
        }
        if let Some(why) = now.why.as_ref().filter(|_| now.state == TickState::Waiting && !told) {
            act.console.note(&format!("{why}; waiting"));
            told = true;
        }
    };
    drop(listening);
    let run = ended.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
    match act.console.is_text() {
        true => act.console.data(&format!("{name} {}{run}", standing(ended.state, ended.why.as_deref()))),
        false => act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "tick": ended })),
    }
    let report =
        ended.run.as_ref().and_then(|run| act.engine.run_record(run).ok()).map(|record| record.report());
    Ok(match report {
        Some(report) => Exit::of_report(&report),
        None if ended.state == TickState::Done => Exit::Done,
        None => Exit::Failed,
    })
}
