//! The command line: what was typed becomes a request, what came of it becomes text or JSON.
//!
//! Calls only the engine. The only module that writes to stdout and stderr.

mod about_files;
mod act;
mod arguments;
mod backup;
mod config_commands;
mod consent;
mod console;
mod contract;
mod contract_lists;
mod contract_migrate;
mod contract_notify;
mod digest;
mod doctor;
mod documents;
mod example;
mod flags;
mod fleet;
mod index;
mod init;
mod looking;
mod migrate;
mod notify;
mod numbers;
mod progress;
mod reference;
mod run;
mod runs;
mod scan;
mod schedule;
mod serve;
mod signals;
mod sizes;
mod status;
mod table;
mod text;
mod token;
mod transfer;
mod undo;

use crate::choice;
use crate::config::{self, Config, Environment, LogFormat, LogLevel, Wanted};
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring;
use act::Act;
use clap::ArgMatches;
use clap::error::ErrorKind;
use console::{Console, Output};
use engine::Kind;
use std::ffi::OsString;
use std::sync::Arc;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Does what the command line says.
pub fn main(arguments: Vec<OsString>, environment: &Environment) -> Exit {
    // A worker is started often, so it begins before anything else does.
    if arguments.get(1).is_some_and(|first| first == wiring::JQ_WORKER) {
        return if wiring::serve_jq().is_ok() { Exit::Done } else { Exit::Failed };
    }
    let mut arguments = arguments;
    // what another service called it
    if let Some(first) = arguments.get_mut(1).filter(|first| *first == "--rollback") {
        *first = "undo".into();
    }
    let catalogue = wiring::catalogue();
    let color = !environment.no_color();
    let matches = match arguments::command(&catalogue).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return not_understood(&error, &arguments, color),
    };
    let mut console = console_of(&matches, color);
    match dispatch(&matches, environment, &catalogue, &mut console) {
        Ok(exit) => exit,
        Err(trouble) => {
            console.trouble(&trouble);
            trouble.exit
        }
    }
}

fn console_of(matches: &ArgMatches, color: bool) -> Console {
    let own = matches.subcommand().map_or(matches, |(_, own)| innermost(own));
    let output = own.get_one::<String>("output").map_or("text", String::as_str);
    let mut console = Console::new(Output::parse(output), color && !own.get_flag("no-color"));
    console.events = own.get_flag("events");
    console.quiet = own.get_flag("quiet");
    console.verbose = own.get_flag("verbose");
    console.yes = own.get_flag("yes");
    console
}

/// Global flags are known to the innermost command, wherever they were typed.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, own)| innermost(own))
}

/// The `ID` of a command.
fn id_of(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("id").map_or("", String::as_str)
}

fn dispatch(
    matches: &ArgMatches,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
    console: &mut Console,
) -> Result<Exit, Trouble> {
    let Some((name, own)) = matches.subcommand() else { return Ok(Exit::Usage) };
    let last = innermost(own);
    if console.events && console.output != Output::Text {
        return Err(Trouble::usage(
            "`--events` and `--output` exclude each other: stdout is either lines or one document",
            "leave out one of the two; `sexton runs show latest --output json` has the document afterwards",
        ));
    }
    let wanted = Wanted {
        file: last.get_one::<String>("config").map(Into::into),
        profile: last.get_one::<String>("profile").cloned(),
    };
    match name {
        "completions" => return reference::completions(own, catalogue, console),
        "man" => return reference::man(catalogue, console),
        "reference" => return reference::page(own, catalogue, console),
        "example" => return example::example(own, console),
        "init" => return init::init(own, environment, console),
        "config" => return config_commands::config(own, &wanted, environment, catalogue, console),
        _ => {}
    }
    let mut config = match config::load(&wanted, environment, catalogue) {
        // Who must stop a run or put one back cannot wait until the file is mended.
        Err(config::Fault::Wrong(problems))
            if ["stop", "undo", "runs", "audit", "report"].contains(&name) =>
        {
            let Some(held) = config::load_what_holds(&wanted, environment, catalogue) else {
                return Err(config::Fault::Wrong(problems).into());
            };
            console.note(
                "warning: the configuration has mistakes; only its state, databases and stores are used",
            );
            console.note_help("`sexton config check` shows the mistakes");
            held
        }
        other => other?,
    };
    if name == "backup" {
        backup::choose_store(own, &mut config);
    }
    console.hide(&config.secrets);
    start_log(&config);
    let place = if name == "doctor" { doctor::place(own, &config) } else { None };
    let named = place.as_deref().or_else(|| last.get_one::<String>("database").map(String::as_str));
    if let Some(named) = named {
        console.hide(&config::secrets_of_url(named));
    }
    if let Ok(Some(against)) = last.try_get_one::<String>("against") {
        console.hide(&config::secrets_of_url(against));
    }
    let given = match name {
        "transfer" | "resume" => choice::target(named, &config)?,
        _ => choice::database(named, &config)?,
    };
    let config = Arc::new(config);
    let engine = wiring::engine(&config, given.as_ref());
    if let Some(see) = looking::shown(console) {
        engine.watch_looks(see);
    }
    let act = Act { config: &config, engine: &engine, console };
    let actor = environment.actor();
    match name {
        "plan" => run::plan(&act, own, &actor),
        "run" => run::run(&act, own, &actor),
        "resume" => run::resume(&act, own),
        "stop" => run::stop(&act, own, &actor),
        "undo" => undo::undo(&act, own, &actor),
        "runs" => runs::runs(&act, own),
        "schedule" => schedule::schedule(&act, own, &actor),
        "serve" => serve::serve(&act, own, environment.host(), &config),
        "worker" => serve::worker(&act, own, environment.host(), &config),
        "token" => token::token(&act, own, &actor),
        "notify" => notify::notify(&act, own),
        "status" => status::status(&act, own),
        "metrics" => metrics(&act),
        "report" => runs::report(&act, own),
        "audit" => runs::audit(&act, own),
        "digest" => digest::digest(&act, named),
        "fleet" => fleet::fleet(&act, own),
        "restore-archive" => run::restore_archive(&act, own, &actor),
        kind => match catalogue.iter().find(|known| known.name() == kind) {
            Some(kind) if kind.name() == "backup" => backup::backup(&act, *kind, own, &actor),
            Some(kind) if kind.name() == "doctor" => doctor::doctor(&act, *kind, own, named, &actor),
            Some(kind) if kind.name() == "index" => index::index(&act, *kind, own, &actor),
            Some(kind) if kind.name() == "migrate" => migrate::migrate(&act, *kind, own, &actor),
            Some(kind) if kind.name() == "transfer" => transfer::transfer(&act, *kind, own, &actor),
            Some(kind) => run::one_off(&act, *kind, own, &actor),
            None => Err(Trouble::usage(
                format!("there is no command `{kind}`"),
                "`sexton help` lists all commands",
            )),
        },
    }
}

/// `sexton metrics`.
fn metrics(act: &Act) -> Result<Exit, Trouble> {
    let mut gathered = crate::metrics::Gathered::default();
    gathered.go_on(act.engine)?;
    act.console.data(crate::metrics::text(act.engine, act.config, &gathered)?.trim_end());
    Ok(Exit::Done)
}

/// Help and version are results; everything else is a usage error, as a document where one was asked for (S0-104).
fn not_understood(error: &clap::Error, arguments: &[OsString], color: bool) -> Exit {
    let asked: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let output = asked
        .iter()
        .zip(asked.iter().skip(1))
        .find_map(|(flag, value)| (*flag == "--output").then_some(*value))
        .or_else(|| asked.iter().find_map(|argument| argument.strip_prefix("--output=")))
        .unwrap_or("text");
    let console = Console::new(Output::parse(output), color && !asked.contains(&"--no-color"));
    let rendered = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            console.data(&console.ansi_or_plain(&rendered.ansi().to_string(), &rendered.to_string(), true));
            Exit::Done
        }
        _ => {
            if !console.is_text() {
                let text = rendered.to_string();
                let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                console
                    .document(&Trouble::usage(first, "`sexton help` lists all commands").json(str::to_owned));
            }
            console.note(&console.ansi_or_plain(&rendered.ansi().to_string(), &rendered.to_string(), false));
            if let Some(flag) = before_a_minus(error, &asked) {
                console.note_help(&match flag {
                    "--limit" | "--rows" => format!("`{flag}` takes a number from 1 on"),
                    _ => format!(
                        "`{flag}` takes no value that begins with `-`; ages count back by themselves: `{flag} 5d`"
                    ),
                });
            }
            Exit::Usage
        }
    }
}

/// The flag before a value such as `-5d`, which is taken for a flag of its own.
fn before_a_minus<'a>(error: &clap::Error, asked: &[&'a str]) -> Option<&'a str> {
    let minus = |argument: &str| {
        argument.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let n = asked.iter().position(|argument| minus(argument))?;
    let flag = asked.get(n.checked_sub(1)?).filter(|flag| flag.starts_with("--"))?;
    matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidValue).then_some(flag)
}

/// A parser that logs what it also gives back as an error.
const PARSER: &str = "sqlite3Parser";

fn start_log(config: &Config) {
    let level = match config.log_level.unwrap_or_default() {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    // Unless they were asked for, a command does not say the same thing twice.
    let of_runs = config.log_level.map_or(LevelFilter::OFF, |_| LevelFilter::from_level(level));
    let targets = Targets::new()
        .with_default(level)
        .with_target(engine::LOG, of_runs)
        .with_target(PARSER, LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second start in one process (there is none outside of tests) keeps the first log.
    let _ = match config.log_format {
        LogFormat::Text => tracing_subscriber::registry().with(lines.with_filter(targets)).try_init(),
        LogFormat::Json => tracing_subscriber::registry().with(lines.json().with_filter(targets)).try_init(),
    };
}
