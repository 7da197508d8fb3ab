//! `sexton fleet`: which fleets there are, which databases each of them has, and how they are.

use super::act::Act;
use super::numbers::bytes;
use super::table::Table;
use crate::config::{FleetSetting, Members, nearest, secrets_of_url};
use crate::exit::Exit;
use crate::fleet::{Member, each};
use crate::trouble::Trouble;
use crate::wiring;
use clap::{Arg, ArgMatches, Command};
use engine::SCHEMA_VERSION;
use serde_json::{Value as Json, json};

/// The command.
pub fn command() -> Command {
    let name = || Arg::new("name").value_name("NAME").help("The fleet");
    Command::new("fleet")
        .about("Show fleets: many databases that get the same migrations")
        .long_about(
            "A fleet is a list of databases, or what a query yields: `[fleet.NAME]` in the configuration. \
             `sexton migrate up --fleet NAME` brings all of them to a version: a few first, and if these fail no other one is \
             touched; then several at once, until too many have failed. Those that are done are passed over the next time.",
        )
        .after_help("Examples:\n  sexton fleet list\n  sexton fleet status tenants\n  sexton migrate up --fleet tenants")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("The fleets, or the databases of one").arg(name()))
        .subcommand(
            Command::new("status")
                .about("Whether each database of a fleet can be reached, and what it is; ends with 1 when one cannot")
                .arg(name().required(true)),
        )
}

/// `sexton fleet …`.
pub fn fleet(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let Some((command, own)) = matches.subcommand() else { return Ok(Exit::Usage) };
    let name = own.get_one::<String>("name");
    match (command, name) {
        ("list", None) => list(act),
        ("list", Some(name)) => list_members(act, setting(act, name)?),
        (_, Some(name)) => status(act, setting(act, name)?),
        _ => Ok(Exit::Usage),
    }
}

/// The databases of a fleet, in order; what is secret about them is not shown from now on.
pub fn members(act: &Act, fleet: &FleetSetting) -> Result<Vec<Member>, Trouble> {
    let all = wiring::members(act.config, fleet)?;
    for member in &all {
        act.console.hide(&secrets_of_url(&member.setting.url.expose()));
    }
    Ok(all)
}

/// The fleet of this name.
pub fn setting<'a>(act: &Act<'a>, name: &str) -> Result<&'a FleetSetting, Trouble> {
    let names: Vec<&str> = act.config.fleets.iter().map(|fleet| fleet.name.as_str()).collect();
    act.config.fleets.iter().find(|fleet| fleet.name == name).ok_or_else(|| {
        let help = match (nearest(name, &names), names.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, true) => format!("add `[fleet.{name}]` with `databases = [\"…\"]` to the configuration"),
            (None, false) => format!("the fleets are {}", names.join(", ")),
        };
        Trouble::usage(format!("there is no fleet `{name}`"), help)
    })
}

fn list(act: &Act) -> Result<Exit, Trouble> {
    let told = |fleet: &FleetSetting| match &fleet.members {
        Members::Listed(all) => (Some(all.len()), "listed".to_owned()),
        Members::Queried { from, .. } => (None, format!("asked from {from}")),
    };
    if !act.console.is_text() {
        let all: Vec<Json> = act
            .config
            .fleets
            .iter()
            .map(|fleet| {
                let (count, from) = told(fleet);
                json!({
                    "name": fleet.name, "databases": count, "from": from, "canary": fleet.canary,
                    "at_once": fleet.at_once, "max_failed_percent": fleet.max_failed_percent,
                })
            })
            .collect();
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "fleets": all }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["fleet", "databases", "first", "at once", "may fail"], &[2, 3, 4]);
    for fleet in &act.config.fleets {
        let (count, from) = told(fleet);
        table.row([
            fleet.name.clone(),
            count.map_or(from, |count| count.to_string()),
            fleet.canary.to_string(),
            fleet.at_once.to_string(),
            format!("{} %", fleet.max_failed_percent),
        ]);
    }
    match table.is_empty() {
        true => act.console.note("there are no fleets: `[fleet.NAME]` in the configuration makes one"),
        false => act.console.data(&table.text()),
    }
    Ok(Exit::Done)
}

fn list_members(act: &Act, fleet: &FleetSetting) -> Result<Exit, Trouble> {
    let all = members(act, fleet)?;
    if !act.console.is_text() {
        let all: Vec<Json> =
            all.iter().map(|one| json!({ "name": one.name(), "url": one.setting.url.to_string() })).collect();
        act.console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "fleet": fleet.name, "databases": all }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["database", "where"], &[]);
    for one in &all {
        table.row([one.name().to_owned(), one.setting.url.to_string()]);
    }
    act.console.data(&table.text());
    Ok(Exit::Done)
}

fn status(act: &Act, fleet: &FleetSetting) -> Result<Exit, Trouble> {
    let all = members(act, fleet)?;
    let found = each(&all, fleet.at_once, |member| {
        let engine = wiring::engine(act.config, Some(&member.setting));
        engine
            .look(member.name(), |facts| facts.server())
            .map_err(|failure| act.console.hidden(&told(&failure)))
    });
    let unreachable = found.iter().filter(|one| one.is_err()).count();
    let exit = if unreachable == 0 { Exit::Done } else { Exit::Failed };
    if !act.console.is_text() {
        let databases: Vec<Json> = all
            .iter()
            .zip(&found)
            .map(|(member, found)| match found {
                Ok(server) => json!({
                    "name": member.name(), "reachable": true, "engine": server.engine, "version": server.version,
                    "bytes": server.bytes, "error": null,
                }),
                Err(error) => json!({ "name": member.name(), "reachable": false, "error": error }),
            })
            .collect();
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION, "fleet": fleet.name, "databases": databases, "unreachable": unreachable,
        }));
        return Ok(exit);
    }
    let mut table = Table::new(["database", "engine", "version", "size", ""], &[3]);
    for (member, found) in all.iter().zip(&found) {
        let name = member.name().to_owned();
        match found {
            Ok(server) => table.row([
                name,
                server.engine.clone(),
                server.version.clone(),
                bytes(server.bytes),
                String::new(),
            ]),
            Err(error) => table.row([name, String::new(), String::new(), String::new(), error.clone()]),
        }
    }
    act.console.data(&table.text());
    Ok(exit)
}

/// A failure in one line, with its causes.
pub fn told(failure: &engine::Failure) -> String {
    crate::trouble::chain(failure).join(": ")
}
