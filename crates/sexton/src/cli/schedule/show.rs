//! What there is, when it is due, and what came of it.

use super::super::act::Act;
use super::super::numbers::minute;
use super::super::table::Table;
use super::schedules;
use crate::daemon::standing;
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{SCHEMA_VERSION, Tick};
use jiff::Timestamp;
use scheduler::{Cron, Known, Notifications, Schedule, Timing, export};
use serde_json::{Value as Json, json};

/// `sexton schedule list`.
pub fn list(act: &Act) -> Result<Exit, Trouble> {
    let now = act.engine.clock().now();
    let schedules = schedules(act);
    let (all, workers) = (schedules.with_last()?, schedules.serving()?);
    let mut table = Table::new(["schedule", "runs", "when", "next (UTC)", "last"], &[]);
    let mut documents = Vec::new();
    for (known, last) in &all {
        table.row([
            known.schedule.name.clone(),
            known.schedule.says.run.join(", "),
            when(&known.schedule),
            known
                .schedule
                .next(now)
                .map_or_else(|| not_due(known), |at| at.strftime("%a %d %b %H:%M").to_string()),
            last.as_ref().map_or_else(|| "never".to_owned(), told),
        ]);
        documents.push(schedules.document(known, last.as_ref()));
    }
    if !act.console.is_text() {
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION,
            "scheduler": { "running": !workers.is_empty(), "workers": workers },
            "schedules": documents,
        }));
        return Ok(Exit::Done);
    }
    if table.is_empty() {
        act.console.data("there are no schedules");
        act.console.note_help("add a table `[schedule.NAME]` to the configuration, or `sexton schedule add NAME --cron … --run …`");
        return Ok(Exit::Done);
    }
    act.console.data(&table.text());
    match workers.as_slice() {
        [] => {
            act.console.note("warning: nobody serves them");
            act.console.note_help("`sexton serve` does, or another scheduler: `sexton schedule cron`");
        }
        workers => act.console.note(&engine::words::of(
            workers.len() as u64,
            "process serves them",
            "processes serve them",
        )),
    }
    for known in all.iter().filter_map(|(known, _)| Some((known, schedules.lacks(known)?))) {
        act.console.note(&format!("warning: {}: {}", known.0.schedule.name, known.1));
    }
    Ok(Exit::Done)
}

fn not_due(known: &Known) -> String {
    if known.schedule.says.enabled { "-" } else { "switched off" }.to_owned()
}

fn when(schedule: &Schedule) -> String {
    match &schedule.timing {
        Timing::At(cron) => format!("{} {}", cron.text(), schedule.says.zone),
        Timing::After(names) => format!("after {}", names.join(", ")),
    }
}

fn told(tick: &Tick) -> String {
    format!("{} {}", minute(tick.due), standing(tick.state, tick.why.as_deref()))
}

/// `sexton schedule show NAME`.
pub fn show(act: &Act, known: &Known) -> Result<Exit, Trouble> {
    let now = act.engine.clock().now();
    let schedule = &known.schedule;
    let ticks = act.engine.timetable()?.ticks(Some(&schedule.name), 10)?;
    if !act.console.is_text() {
        let mut document = schedules(act).document(known, ticks.first());
        document["schema_version"] = SCHEMA_VERSION.into();
        document["ticks"] = json!(ticks);
        act.console.document(&document);
        return Ok(Exit::Done);
    }
    let on = schedule.says.fleet.as_ref().map(|fleet| format!(" on the fleet {fleet}")).unwrap_or_default();
    let mut lines = vec![format!("{}  runs {}{on}", schedule.name, schedule.says.run.join(", "))];
    lines.extend(schedule.says.description.clone());
    match &schedule.timing {
        Timing::At(cron) => {
            lines.push(format!("when       {}, {} ({})", cron.text(), cron.words(), schedule.says.zone));
            if cron.is_either_day() {
                lines.push("           cron takes either day, not only days that are both: for one of them use `sun#1`".to_owned());
            }
            lines.extend(times(cron, now, 5).into_iter().map(|line| format!("           {line}")));
        }
        Timing::After(names) => lines.push(format!("when       after {}", names.join(", "))),
    }
    let approval = known.approval.as_ref().map(|(approval, _)| {
        let most = approval.max_rows.map(|most| format!(", at most {most} rows")).unwrap_or_default();
        format!("by {} on {}{most}", approval.by, approval.at)
    });
    if let Some(lacks) = schedules(act).lacks(known) {
        lines.push(format!("approval   {lacks}"));
    } else if let Some(approval) = approval {
        lines.push(format!("approval   {approval}"));
    }
    lines.extend(schedule.says.notifications.as_ref().map(told_of));
    for tick in &ticks {
        let run = tick.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
        lines.push(format!("{} {}{run}", minute(tick.due), standing(tick.state, tick.why.as_deref())));
    }
    act.console.data(&lines.join("\n"));
    Ok(Exit::Done)
}

/// Who is told what.
fn told_of(says: &Notifications) -> String {
    let events = [(says.on_success, "success"), (says.on_failure, "failure"), (says.on_warnings, "warnings")];
    let events: Vec<&str> = events.iter().filter(|(wanted, _)| *wanted).map(|(_, event)| *event).collect();
    let on = |names: &[String], word: &str| {
        if names.is_empty() { String::new() } else { format!(" {word} {}", names.join(", ")) }
    };
    match events.as_slice() {
        [] => "tells      nothing".to_owned(),
        events => format!(
            "tells      {}{}{}",
            events.join(", "),
            on(&says.channels, "on"),
            on(&says.recipients, "to")
        ),
    }
}

/// Times in the zone and in UTC.
fn times(cron: &Cron, now: Timestamp, many: usize) -> Vec<String> {
    cron.upcoming(now, many)
        .into_iter()
        .map(|at| {
            let there = at.to_zoned(cron.zone().clone()).strftime("%a %d %b %Y %H:%M %:z").to_string();
            format!("{there}  {}", at.strftime("%Y-%m-%d %H:%MZ"))
        })
        .collect()
}

/// `sexton schedule next`.
pub fn next(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let now = act.engine.clock().now();
    let many = usize::from(matches.get_one::<u16>("count").copied().unwrap_or(5));
    let mut wanted: Vec<(String, Cron)> = Vec::new();
    if let Some(line) = matches.get_one::<String>("cron") {
        let zone = matches.get_one::<String>("zone").map_or("UTC", String::as_str);
        let cron = Cron::parse(line, zone, false).map_err(|wrong| Trouble::usage(wrong.why, wrong.help))?;
        wanted.push((line.clone(), cron));
    } else {
        let all = match matches.get_one::<String>("name") {
            Some(name) => vec![schedules(act).named(name)?],
            None => schedules(act).all()?,
        };
        for known in all {
            if let Timing::At(cron) = &known.schedule.timing {
                wanted.push((known.schedule.name.clone(), (**cron).clone()));
            }
        }
    }
    if !act.console.is_text() {
        let all: serde_json::Map<String, Json> =
            wanted.iter().map(|(name, cron)| (name.clone(), json!(cron.upcoming(now, many)))).collect();
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "next": all }));
        return Ok(Exit::Done);
    }
    for (name, cron) in &wanted {
        act.console.data(&format!("{name}: {}", cron.words()));
        for line in times(cron, now, many) {
            act.console.data(&format!("  {line}"));
        }
    }
    Ok(Exit::Done)
}

/// The command that another scheduler runs: by the schedule's name, so that its options and approval hold.
fn line_of(act: &Act, schedule: &Schedule) -> String {
    let config =
        act.config.file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    let config =
        config.map(|file| format!(" --config {}", quoted(&file.display().to_string()))).unwrap_or_default();
    format!("sexton schedule run {} --quiet{config}", quoted(&schedule.name))
}

fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)) && !text.is_empty();
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `sexton schedule cron`.
pub fn crontab(act: &Act) -> Result<Exit, Trouble> {
    let mut lines = Vec::new();
    for known in schedules(act).all()? {
        let schedule = &known.schedule;
        lines.push(format!("# {}: {}", schedule.name, when(schedule)));
        match &schedule.timing {
            Timing::At(cron) => {
                match export::crontab(cron.text(), &schedule.says.zone, &line_of(act, schedule)) {
                    Ok(own) => lines.extend(own),
                    Err(why) => lines.push(format!("# {why}")),
                }
            }
            Timing::After(_) => lines.push("# cron knows no `after`: leave it to `sexton serve`".to_owned()),
        }
    }
    act.console.data(&lines.join("\n"));
    Ok(Exit::Done)
}

/// `sexton schedule systemd NAME`.
pub fn systemd(act: &Act, known: &Known) -> Result<Exit, Trouble> {
    let schedule = &known.schedule;
    let Timing::At(cron) = &schedule.timing else {
        return Err(Trouble::usage("a timer knows no `after`", "leave it to `sexton serve`"));
    };
    let calendar = export::calendar(cron.text(), &schedule.says.zone).map_err(|why| {
        Trouble::usage(why, "a schedule that both can say has numbers, names, ranges, `#n` and `L`")
    })?;
    let spread = match schedule.jitter.as_secs() {
        0 => String::new(),
        seconds => format!("RandomizedDelaySec={seconds}\nFixedRandomDelay=true\n"),
    };
    let persistent = schedule.says.missed != scheduler::Missed::Skip;
    act.console.data(&format!(
        "# /etc/systemd/system/sexton-{name}.service\n[Unit]\nDescription=Sexton: {name}\n\n[Service]\nType=oneshot\n\
         ExecStart=/usr/bin/env {line}\n\n# /etc/systemd/system/sexton-{name}.timer\n[Unit]\nDescription=Sexton: {name}\n\n\
         [Timer]\nOnCalendar={calendar}\nPersistent={persistent}\n{spread}\n[Install]\nWantedBy=timers.target",
        name = schedule.name,
        line = line_of(act, schedule).replace('%', "%%"),
    ));
    Ok(Exit::Done)
}
