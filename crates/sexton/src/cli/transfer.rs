//! `sexton transfer plan|run|rehearse|verify|rollback|settle`: a SQLite database moves to PostgreSQL.
//!
//! Every command is one request to the engine for an operation of the kind `transfer`: the one of the configuration, or one
//! made of flags alone.

use super::act::Act;
use super::arguments::{dry_run, force, which};
use super::console::Output;
use super::numbers::{count, rows};
use super::table::Table;
use super::{flags, text};
use crate::choice;
use crate::config::OperationSetting;
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::{Arg, ArgMatches, Command};
use engine::{Kind, Plan, Request};
use serde_json::{Value as Json, json};
use std::path::Path;

/// Options that commands say by themselves.
const SAID: [&str; 1] = ["option:action"];

fn options(kind: &'static dyn Kind, command: Command) -> Command {
    let all = flags::of_kind(kind).into_iter().filter(|arg| !SAID.contains(&arg.get_id().as_str()));
    command
        .arg(which("The operation of the configuration, where several are transfers"))
        .arg(force().help_heading("What to run"))
        .arg(flags::set().help_heading("What to run"))
        .args(all)
}

/// The commands.
pub fn command(kind: &'static dyn Kind) -> Command {
    Command::new("transfer")
        .about(kind.title())
        .long_about(format!("{}\n\nNeeds no configuration.", kind.about()))
        .after_help(
            "Where nothing else says it, the target is that of the variable `DATABASE_URL`.\n\n\
             Examples:\n  sexton transfer plan --source app.db --database postgres://app@localhost/app\n  \
             sexton transfer plan --source app.db --database postgres://… --sql schema.sql\n  \
             sexton transfer run --source app.db --database postgres://…\n  \
             sexton transfer run --source app.db --database postgres://… --existing\n  \
             sexton transfer run --source app.db --database postgres://… --online --switch file=.env --switch variable=DATABASE_URL\n  \
             sexton transfer rollback --source app.db --database postgres://…\n  \
             sexton transfer verify --source app.db --database postgres://…",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            options(
                kind,
                Command::new("plan").about("Show the tables that would be made, with reasons, and what does not fit; changes nothing"),
            )
            .arg(
                Arg::new("sql")
                    .long("sql")
                    .value_name("FILE")
                    .help("Write the whole target as SQL into this file, to be read, changed and run by hand; `-` for stdout"),
            ),
        )
        .subcommand(options(
            kind,
            Command::new("run").about("Make the tables, copy the rows, compare both sides").arg(dry_run()),
        ))
        .subcommand(options(
            kind,
            Command::new("rehearse").about("An online transfer there and back, from a copy of the file into a schema of its own, compared; nothing of it stays"),
        ))
        .subcommand(options(
            kind,
            Command::new("rollback").about("Take a transfer back that ended early, by clearing the target; or an online one after the application was sent there, by carrying back what it wrote").arg(dry_run()),
        ))
        .subcommand(options(
            kind,
            Command::new("settle").about("Give up the way back of an online transfer: nothing is noted in the target any more"),
        ))
        .subcommand(options(
            kind,
            Command::new("verify").about("Compare both sides, value by value; changes nothing, ends with 5 when they differ"),
        ))
}

/// `sexton transfer …`.
pub fn transfer(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
) -> Result<Exit, Trouble> {
    let Some((command, own)) = matches.subcommand() else { return Ok(Exit::Usage) };
    let action =
        if ["verify", "rehearse", "rollback", "settle"].contains(&command) { command } else { "run" };
    let mut request = request(act, kind, own, action, actor)?;
    if command == "plan" {
        request.dry_run = true;
        return plan(act, &request, own);
    }
    request.dry_run = ["run", "rollback"].contains(&command) && own.get_flag("dry-run");
    act.request(&request)
}

fn plan(act: &Act, request: &Request, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let plan = act.engine.plan(request)?;
    if let Some(file) = matches.get_one::<String>("sql") {
        write(act, &plan, file)?;
    }
    match act.console.output {
        Output::Text if matches.get_one::<String>("sql").is_some_and(|file| file == "-") => {}
        Output::Text => {
            for item in &plan.items {
                tables(act, item.result.as_ref().unwrap_or(&Json::Null));
            }
            act.console.data(&text::plan(&plan, act.console, act.console.verbose));
        }
        _ => act.console.document(&json!(plan)),
    }
    let refused = plan.items.iter().any(|item| engine::is_refused(item, request.force));
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

/// What is read of each table, and every type that is not as it was declared.
fn tables(act: &Act, result: &Json) {
    let word = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let all = || result["tables"].as_array().into_iter().flatten();
    // into tables that are there none is made
    let are_made = all().any(|one| one["indexes"] != 0 || one["references"] != 0);
    let mut table = match are_made {
        true => Table::new(["table", "becomes", "rows", "columns", "indexes", "references"], &[2, 3, 4, 5]),
        false => Table::new(["table", "becomes", "rows", "columns"], &[2, 3]),
    };
    let mut reasons = Vec::new();
    for one in all() {
        let number = |name: &str| count(one[name].as_u64().unwrap_or(0));
        let columns = count(one["columns"].as_array().map_or(0, Vec::len) as u64);
        let first = [word(&one["source"]), word(&one["target"]), number("rows"), columns];
        match (are_made, first) {
            (false, first) => table.row(first),
            (true, [source, target, rows, columns]) => {
                table.row([source, target, rows, columns, number("indexes"), number("references")]);
            }
        }
        for column in one["columns"].as_array().into_iter().flatten() {
            let why: Vec<String> = column["reasons"].as_array().into_iter().flatten().map(word).collect();
            if !why.is_empty() {
                let place = format!("{}.{}", word(&one["source"]), word(&column["source"]));
                reasons.push(format!("{place} becomes {}: {}", word(&column["type"]), why.join("; ")));
            }
        }
        for (index, why) in one["reasons"].as_object().into_iter().flatten() {
            reasons.push(format!("index {index} of {}: {}", word(&one["source"]), word(why)));
        }
    }
    if !table.is_empty() {
        act.console.data(&table.text());
    }
    for reason in reasons {
        act.console.data(&reason);
    }
    for (what, name) in [("views", "target"), ("triggers", "source")] {
        let names: Vec<String> =
            result[what].as_array().into_iter().flatten().map(|one| word(&one[name])).collect();
        if !names.is_empty() {
            act.console.data(&format!("{what} that are made as well: {}", names.join(", ")));
        }
    }
    let all: u64 = all().filter_map(|one| one["rows"].as_u64()).sum();
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let from = text(&result["source_file"]["journal_mode"])
        .map(|mode| format!(", from a file in journal mode `{mode}`"));
    let version = text(&result["target_version"]);
    let into = version.and_then(|all| Some(format!(" into PostgreSQL {}", all.split(' ').next()?)));
    let way = [from, into].into_iter().flatten().collect::<String>();
    act.console.data(&format!("{} in all{way}; the statements: `--sql FILE`", rows(all)));
}

fn write(act: &Act, plan: &Plan, file: &str) -> Result<(), Trouble> {
    let sql = plan.items.iter().filter_map(|item| item.result.as_ref()?["sql"].as_str()).collect::<String>();
    if file == "-" {
        act.console.data(sql.trim_end());
        return Ok(());
    }
    std::fs::write(Path::new(file), sql).map_err(|error| {
        Trouble::usage(
            format!("`{file}` cannot be written: {error}"),
            "name a file in a folder that is there",
        )
    })
}

/// The operation of the configuration, or one made of flags alone.
fn operation(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches) -> Result<OperationSetting, Trouble> {
    let named = matches.get_one::<String>("operation").map(String::as_str);
    let known = choice::of_kind(act.config, kind, named, "transfer")?;
    let database = matches.get_one::<String>("database").map(String::as_str);
    match known.as_slice() {
        [] => match choice::target(database, act.config)? {
            Some(target) => Ok(choice::one_off(kind, &target.name)),
            None if act.config.databases.is_empty() => Err(Trouble::usage(
                "no target was named",
                "name it with `--database postgres://user@host/database`, or in the variable `DATABASE_URL`",
            )),
            None => Ok(choice::one_off(kind, &choice::the_database(database, act.config)?)),
        },
        [one] => Ok((*one).clone()),
        _ => Err(Trouble::usage(
            "which transfer?",
            format!("name it with `--operation`: {}", choice::listed(&known)),
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
    let operation = operation(act, kind, matches)?;
    let asked = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::database(asked, act.config)?.map(|database| database.name);
    let said = flags::overrides(matches, &[kind])?;
    let mut request =
        choice::request(act.config, &[choice::Chosen::named(&operation)], &said, database.as_deref(), actor)?;
    request.force = matches.get_flag("force");
    for operation in &mut request.operations {
        operation.options["action"] = action.into();
        if let Some(place) = operation.options["source"].as_str().and_then(|name| place(act, name)) {
            operation.options["source"] = place.into();
        }
        // whoever resumes it, or takes it back, may be elsewhere
        let file = operation.options["switch"]["file"].as_str().map(std::path::absolute);
        if let Some(file) = file.and_then(|file| file.ok()?.to_str().map(str::to_owned)) {
            operation.options["switch"]["file"] = file.into();
        }
    }
    Ok(request)
}

/// The whole path of a source that is no name of the configuration, so that a resume from elsewhere finds it, whatever its ending.
fn place(act: &Act, name: &str) -> Option<String> {
    let known = act.config.databases.iter().any(|database| database.name == name);
    let path = Path::new(name);
    (!known && path.is_file()).then(|| std::path::absolute(path).ok()?.to_str().map(str::to_owned)).flatten()
}
