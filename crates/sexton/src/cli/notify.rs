//! `sexton notify`: try channels, look at the outbox, send what waits, look whether anything is wrong.

use super::act::Act;
use super::numbers::{count, minute, of};
use super::table::Table;
use crate::config::nearest;
use crate::exit::Exit;
use crate::lookout::Lookout;
use crate::trouble::Trouble;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::{Failure, NoteState, SCHEMA_VERSION};
use notify::settings::Channel;
use notify::{Message, Post};
use serde_json::{Value as Json, json};

/// The command.
pub fn command() -> Command {
    Command::new("notify")
        .about("Messages and alerts: try channels, see what waits, send it, look whether anything is wrong")
        .long_about(
            "Messages and alerts. Where they go stands in the configuration (`[notify.NAME]`), what is told in `[notifications]` and in \
             each schedule, what is an alert in `[alerts]`. A message is written down when something happens and sent by \
             `sexton serve`; where it cannot be sent, that is tried again for a day. It never fails a run.",
        )
        .after_help(
            "Examples:\n  sexton notify test\n  sexton notify test oncall\n  sexton notify list --state failed\n  \
             sexton notify check            for cron, where nothing serves",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("test")
                .about("Send a test message now; ends with 1 when a channel does not take it")
                .arg(Arg::new("channel").value_name("CHANNEL").help("The channel [default: all]")),
        )
        .subcommand(
            Command::new("list")
                .about("The last messages, newest first: which wait, which were sent, which were given up")
                .arg(
                    Arg::new("state")
                        .long("state")
                        .value_name("STATE")
                        .value_parser(PossibleValuesParser::new(NoteState::ALL.map(NoteState::name)))
                        .help("Only those that stand like this"),
                )
                .arg(
                    Arg::new("limit")
                        .long("limit")
                        .value_name("N")
                        .default_value("20")
                        .value_parser(clap::value_parser!(u64).range(1..))
                        .help("At most this many"),
                ),
        )
        .subcommand(
            Command::new("send").about("Send what is due now; ends with 1 when something could not be sent").arg(
                Arg::new("again")
                    .long("again")
                    .action(ArgAction::SetTrue)
                    .help("Also what was given up, and what waits for its next try"),
            ),
        )
        .subcommand(
            Command::new("check").about("Look whether anything is wrong, and tell what is new").long_about(
                "Look whether anything is wrong: disks, indexes, queues, backups, schedules that did not run, runs that fail. What is new \
                 is told and sent; what is still wrong is told again after a day. Ends with 5 when something is wrong. `sexton serve` \
                 does the same by itself.",
            ),
        )
}

/// `sexton notify …`.
pub fn notify(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("test", own)) => test(act, own),
        Some(("send", own)) => send(act, own),
        Some(("check", _)) => check(act),
        Some((_, own)) => list(act, own),
        None => Ok(Exit::Usage),
    }
}

/// The channels that are meant; an error where there are none.
fn channels<'a>(act: &Act<'a>, named: Option<&String>) -> Result<Vec<&'a Channel>, Trouble> {
    let settings = &act.config.notify;
    let names: Vec<&str> = settings.channels.iter().map(|channel| channel.name.as_str()).collect();
    if names.is_empty() {
        return Err(Trouble::usage(
            "there are no channels",
            "add a table `[notify.NAME]` to the configuration; `sexton config example` shows all of its keys",
        ));
    }
    let Some(named) = named else { return Ok(settings.channels.iter().collect()) };
    match settings.channel(named) {
        Some(channel) => Ok(vec![channel]),
        None => Err(Trouble::usage(
            format!("there is no channel `{named}`"),
            match nearest(named, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            },
        )),
    }
}

fn post<'a>(act: &Act<'a>) -> Post<'a> {
    Post { engine: act.engine, settings: &act.config.notify }
}

fn test(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let mut documents = Vec::new();
    let mut failed = false;
    for channel in channels(act, matches.get_one::<String>("channel"))? {
        let outcome = post(act).test(channel);
        failed |= outcome.is_err();
        let error = outcome.as_ref().err().map(|refused| refused.why.as_str());
        documents.push(json!({ "channel": channel.name, "type": channel.sort, "error": error }));
        match error {
            None if act.console.is_text() => {
                act.console.data(&format!("sent   {} ({})", channel.name, channel.sort.name()));
            }
            None => {}
            Some(why) => act.console.note_error(&format!("{}: {why}", channel.name)),
        }
    }
    if !act.console.is_text() {
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "tested": documents }));
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn list(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let state = matches.get_one::<String>("state").and_then(|name| NoteState::parse(name));
    let limit = matches.get_one::<u64>("limit").copied().unwrap_or(20);
    let outbox = act.engine.outbox()?;
    let notes = outbox.notes(state, limit).map_err(Failure::from)?;
    let counts = outbox.counts().map_err(Failure::from)?;
    let alarms = outbox.alarms().map_err(Failure::from)?;
    if !act.console.is_text() {
        let counts: serde_json::Map<String, Json> =
            counts.iter().map(|(state, many)| (state.name().to_owned(), json!(many))).collect();
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION, "counts": counts,
            "alarms": alarms.iter().map(notify::shown).collect::<Json>(), "notes": notes,
        }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["made (UTC)", "channel", "state", "tries", "next try", "message"], &[3]);
    for note in &notes {
        let message: Option<Message> = serde_json::from_value(note.body.clone()).ok();
        let waits = note.state == NoteState::Waiting;
        table.row([
            minute(note.made),
            note.channel.clone(),
            note.state.name().to_owned(),
            count(note.tries),
            if waits { minute(note.due) } else { String::new() },
            message.map_or_else(String::new, |message| message.title),
        ]);
    }
    if table.is_empty() {
        act.console.data("there are no messages");
    } else {
        act.console.data(&table.text());
    }
    let mut told: Vec<&str> = Vec::new();
    for note in notes.iter().filter(|note| matches!(note.state, NoteState::Waiting | NoteState::Failed)) {
        if let Some(error) = note.error.as_deref().filter(|_| !told.contains(&note.channel.as_str())) {
            act.console.note(&format!("{}: {error}", note.channel));
            told.push(&note.channel);
        }
    }
    let counted: Vec<String> = counts
        .iter()
        .filter(|(_, many)| *many > 0)
        .map(|(state, many)| format!("{} {}", count(*many), state.name()))
        .collect();
    if !counted.is_empty() {
        act.console.note(&counted.join(", "));
    }
    for alarm in alarms {
        act.console.note(&format!("wrong since {}: {}", minute(alarm.since), alarm.title));
    }
    Ok(Exit::Done)
}

fn send(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    channels(act, None)?;
    if matches.get_flag("again") {
        let outbox = act.engine.outbox()?;
        outbox.try_all_again(act.engine.clock().now()).map_err(Failure::from)?;
    }
    delivered(act, &[])
}

/// Sends, and tells what came of it.
fn delivered(act: &Act, wrong: &[String]) -> Result<Exit, Trouble> {
    let delivered = post(act).deliver(None)?;
    let away: Vec<&(String, u64, String)> = delivered.put_off.iter().chain(&delivered.given_up).collect();
    if act.console.is_text() {
        act.console.data(&of(delivered.sent, "message sent", "messages sent"));
    } else {
        let away: Vec<Json> = away
            .iter()
            .map(|(channel, many, why)| json!({ "channel": channel, "notes": many, "error": why }))
            .collect();
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION, "sent": delivered.sent, "not_sent": away, "wrong": wrong,
        }));
    }
    for (channel, many, why) in &away {
        act.console
            .note_error(&format!("{channel}: {} not sent: {why}", of(*many, "message was", "messages were")));
    }
    Ok(match (away.is_empty(), wrong.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Findings,
        (true, true) => Exit::Done,
    })
}

fn check(act: &Act) -> Result<Exit, Trouble> {
    let looked = Lookout { engine: act.engine, config: act.config }.look()?;
    let mut wrong = Vec::new();
    for alert in looked.iter().filter_map(|one| one.alert.as_ref()) {
        if act.console.is_text() {
            act.console.data(&format!("{}  {}", alert.level.name(), alert.title));
            for line in alert.text.lines() {
                act.console.data(&format!("  {line}"));
            }
        }
        wrong.push(alert.title.clone());
    }
    if wrong.is_empty() && act.console.is_text() {
        act.console.data(&format!(
            "nothing is wrong: {}",
            of(looked.len() as u64, "thing was looked at", "things were looked at")
        ));
    }
    delivered(act, &wrong)
}
