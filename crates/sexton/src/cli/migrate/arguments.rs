//! `sexton migrate …`: its commands with their flags.

use crate::cli::arguments::{dry_run, force, which};
use crate::cli::flags;
use clap::{Arg, ArgAction, Command};
use engine::Kind;

/// Options that commands say by themselves.
const SAID: [&str; 4] = ["option:action", "option:count", "option:ids", "option:to"];

fn options(kind: &'static dyn Kind, command: Command) -> Command {
    let all = flags::of_kind(kind).into_iter().filter(|arg| !SAID.contains(&arg.get_id().as_str()));
    command
        .arg(which("The operation of the configuration, where several are migrations"))
        .arg(
            Arg::new("fleet")
                .long("fleet")
                .value_name("NAME")
                .help("Do it to every database of `[fleet.NAME]`: a few first, then several at once")
                .help_heading("What to run"),
        )
        .arg(force().help_heading("What to run"))
        .arg(flags::set().help_heading("What to run"))
        .args(all)
}

fn acting(kind: &'static dyn Kind, command: Command) -> Command {
    let rehearse = Arg::new("rehearse")
        .long("rehearse")
        .action(ArgAction::SetTrue)
        .help("Do it, measure it and throw it away: in a transaction that is rolled back, or on a copy")
        .help_heading("What to run");
    options(kind, command.arg(dry_run()).arg(rehearse))
}

fn count(help: &'static str) -> Arg {
    Arg::new("count").value_name("N").value_parser(clap::value_parser!(u64)).help(help)
}

fn to(help: &'static str) -> Arg {
    Arg::new("to").long("to").value_name("ID").help(help).help_heading("What to run")
}

fn ids() -> Arg {
    Arg::new("ids")
        .value_name("ID")
        .required(true)
        .num_args(1..)
        .help("Id, version or number; or the beginning of an id")
}

/// The commands.
pub fn command(kind: &'static dyn Kind) -> Command {
    Command::new("migrate")
        .about("Bring the schema to a version and back, with the files of nine tools")
        .long_about(format!("{}\n\nNeeds no configuration.", kind.about()))
        .after_help(
            "Examples:\n  sexton migrate status --database app.db --directory db/migrations\n  sexton migrate up --dry-run\n  \
             sexton migrate up --to 0042\n  sexton migrate down 1\n  sexton migrate new 'add orders'",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(acting(
            kind,
            Command::new("up")
                .about("Bring in what is pending")
                .arg(count("At most so many [default: all]"))
                .arg(to("Until this one is the last that is in").conflicts_with("count")),
        ))
        .subcommand(acting(
            kind,
            Command::new("down")
                .about("Take the last ones out")
                .arg(count("So many [default: 1]"))
                .arg(to("Until this one is the last that is in; 0 for none").conflicts_with("count")),
        ))
        .subcommand(options(kind, Command::new("status").about("Show every migration and what it is in the database")))
        .subcommand(options(
            kind,
            Command::new("plan").about("Show what `up` would do, with its statements; changes nothing"),
        ))
        .subcommand(options(
            kind,
            Command::new("test")
                .about("Bring in what is pending on a copy, interrupted at every statement, take it out and bring it in again")
                .arg(ids().required(false))
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("ids")
                        .help("All there are, from nothing, on an empty database that is made for it")
                        .help_heading("What to run"),
                ),
        ))
        .subcommand(acting(kind, Command::new("apply").about("Bring in these and no others").arg(ids())))
        .subcommand(acting(kind, Command::new("revert").about("Take out these and no others").arg(ids())))
        .subcommand(acting(
            kind,
            Command::new("redo").about("Take the last ones out and bring them in again").arg(count("So many [default: 1]")),
        ))
        .subcommand(acting(
            kind,
            Command::new("resume").about("Go on with one that stopped in the middle, then bring in what is pending"),
        ))
        .subcommand(acting(kind, Command::new("adopt").about("Take over the history that another tool kept")))
        .subcommand(acting(
            kind,
            Command::new("baseline")
                .about("Mark as in what is in already, without running it")
                .arg(to("The last one that is in").required(true)),
        ))
        .subcommand(options(
            kind,
            Command::new("check").about("Say whether something is pending; ends with 5 when there is"),
        ))
        .subcommand(options(
            kind,
            Command::new("verify").about("Compare files and history; ends with 5 when they do not agree"),
        ))
        .subcommand(options(
            kind,
            Command::new("new")
                .about("Make the file of a new migration, by the rules of its neighbours")
                .arg(Arg::new("name").value_name("NAME").required(true).help("What it does: 'add orders'")),
        ))
        .subcommand(options(kind, super::diff::command()))
        .subcommand(options(kind, super::squash::command()))
        .subcommand(super::lint::command())
        .subcommand(super::rewrite::command())
}
