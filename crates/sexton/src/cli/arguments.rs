//! The command line: every command with its flags and its help. What a command does is elsewhere.

use super::flags;
use clap::{Arg, ArgAction, Command, builder::PossibleValuesParser};
use engine::Kind;
use std::fmt::Write;

/// The whole command tree.
pub fn command(catalogue: &[&'static dyn Kind]) -> Command {
    let mut command = Command::new("sexton")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps application databases healthy: SQLite and PostgreSQL")
        .long_about(
            "Keeps application databases healthy: SQLite and PostgreSQL.\n\nSay in one file what to keep; Sexton plans, \
             previews, runs, proves and can undo every piece of maintenance.",
        )
        .after_help(
            "Begin with:\n  sexton init app.db > sexton.toml       draft a configuration from a database\n  \
             sexton plan --all                      see what would happen; nothing is changed\n  \
             sexton run logs                        do it, after asking\n  \
             sexton undo latest                     put it back",
        )
        .after_long_help(exit_codes())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(false)
        .args(global());
    command = command
        .subcommand(init())
        .subcommand(plan(catalogue))
        .subcommand(run(catalogue))
        .subcommand(resume())
        .subcommand(stop())
        .subcommand(undo())
        .subcommand(runs())
        .subcommand(super::schedule::command())
        .subcommand(super::schedule::serve())
        .subcommand(super::schedule::worker())
        .subcommand(super::token::command())
        .subcommand(super::notify::command())
        .subcommand(status())
        .subcommand(metrics())
        .subcommand(report())
        .subcommand(audit())
        .subcommand(digest())
        .subcommand(super::fleet::command())
        .subcommand(config());
    for kind in catalogue {
        command = command.subcommand(match kind.name() {
            "backup" => super::backup::command(*kind),
            "doctor" => super::doctor::command(*kind),
            "index" => super::index::command(*kind),
            "migrate" => super::migrate::command(*kind),
            "transfer" => super::transfer::command(*kind),
            _ => one_off(*kind),
        });
    }
    command
        .subcommand(example())
        .subcommand(restore_archive())
        .subcommand(completions())
        .subcommand(man())
        .subcommand(reference())
}

fn exit_codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (code, meaning) in crate::exit::MEANINGS {
        let _ = writeln!(text, "  {code}  {meaning}");
    }
    text
}

fn global() -> Vec<Arg> {
    let heading = "Everywhere";
    let arg = |name: &'static str| Arg::new(name).long(name).global(true).help_heading(heading);
    vec![
        arg("config")
            .value_name("FILE")
            .help("The configuration [default: $SEXTON_CONFIG, else ./sexton.toml]"),
        arg("profile").value_name("NAME").help("Lay `[profile.NAME]` of the configuration over it"),
        arg("database")
            .value_name("NAME|URL")
            .help("Work on this database: a name of the configuration, a path, or postgres://…"),
        arg("output")
            .value_name("FORM")
            .default_value("text")
            .value_parser(PossibleValuesParser::new(["text", "json", "report", "result"]))
            .help("text, or one JSON document: json (by operation), report (canonical), result (success or error)"),
        arg("events").action(ArgAction::SetTrue).help("One JSON event a line on stdout, as they happen"),
        arg("yes").short('y').action(ArgAction::SetTrue).help("Answer every question with yes"),
        arg("quiet").short('q').action(ArgAction::SetTrue).help("Nothing on stderr but errors"),
        arg("verbose").short('v').action(ArgAction::SetTrue).help("Show statements and all facts"),
        arg("no-color").action(ArgAction::SetTrue).help("No colour (also: NO_COLOR)"),
    ]
}

fn digest() -> Command {
    Command::new("digest").about("Print a checksum of the rows of every table").long_about(
        "Print a checksum of the rows of every table, whatever their order. Two digests are equal when the tables hold the \
         same rows, to the bit: compare one from before a run with one from after its undo.",
    )
}

fn example() -> Command {
    Command::new("example")
        .about("Make an example system in a folder, with a mess in it, to try things on")
        .after_help("Examples:\n  sexton example e0 /tmp/e0 && cd /tmp/e0 && sexton plan daily")
        .arg(Arg::new("name").required(true).value_parser(PossibleValuesParser::new(super::example::names())))
        .arg(Arg::new("folder").value_name("FOLDER").help("Where; made when missing [default: the name]"))
}

fn init() -> Command {
    Command::new("init")
        .about("Draft a configuration from a database")
        .long_about(
            "Look at a database, read-only, and draft a commented configuration: tables that look like logs, sessions, \
             tokens, queues or soft-deleted rows, and references that are not declared. Everything in it is a proposal.",
        )
        .after_help("Examples:\n  sexton init app.db > sexton.toml\n  sexton init postgres://app@localhost/app --write")
        .arg(Arg::new("place").value_name("URL|PATH").required(true).help("The database"))
        .arg(
            Arg::new("write")
                .long("write")
                .action(ArgAction::SetTrue)
                .help("Write it to ./sexton.toml (or `--config`) unless that exists"),
        )
}

fn names() -> Vec<Arg> {
    let heading = "What to run";
    vec![
        Arg::new("names").value_name("NAME").num_args(0..).help("Operations or groups, in this order"),
        Arg::new("operation")
            .long("operation")
            .value_name("NAME")
            .action(ArgAction::Append)
            .value_delimiter(',')
            .help("An operation; may be given several times, or with commas")
            .help_heading(heading),
        Arg::new("group")
            .long("group")
            .value_name("NAME")
            .action(ArgAction::Append)
            .value_delimiter(',')
            .help("A group of operations")
            .help_heading(heading),
        Arg::new("all")
            .long("all")
            .action(ArgAction::SetTrue)
            .help("All operations of the configuration, ordered by phase")
            .help_heading(heading),
        Arg::new("max-parallel")
            .long("max-parallel")
            .value_name("N")
            .value_parser(clap::value_parser!(u16).range(1..=64))
            .help("At most so many operations at a time, where they have nothing in common [default: as configured]")
            .help_heading(heading),
        force().help_heading(heading),
        flags::set().help_heading(heading),
    ]
}

/// `--force`.
pub fn force() -> Arg {
    Arg::new("force")
        .long("force")
        .action(ArgAction::SetTrue)
        .help("Override the guards that may be overridden")
}

/// `--operation`, of commands for one kind.
pub fn which(help: &'static str) -> Arg {
    Arg::new("operation").long("operation").value_name("NAME").help(help).help_heading("What to run")
}

/// `--dry-run`.
pub fn dry_run() -> Arg {
    Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Change nothing; always wins")
        .help_heading("What to run")
}

fn plan(catalogue: &[&'static dyn Kind]) -> Command {
    Command::new("plan")
        .about("Show what operations would do; changes nothing")
        .after_help(
            "Examples:\n  sexton plan --all\n  sexton plan logs --older-than 14d -v\n  sexton plan logs --save logs.plan.json",
        )
        .args(names())
        .arg(
            Arg::new("save")
                .long("save")
                .value_name("FILE")
                .help("Write the plan to a file, for `sexton run --plan FILE`")
                .help_heading("What to run"),
        )
        .arg(dry_run().hide(true))
        .args(flags::of_operations(catalogue))
}

fn run(catalogue: &[&'static dyn Kind]) -> Command {
    Command::new("run")
        .about("Run operations: plan, ask, back up, work in batches, verify")
        .long_about(
            "Run operations. On a terminal the plan is shown and you are asked according to severity: LOW nothing, MEDIUM \
             and HIGH yes or no, CRITICAL the operation's name. Elsewhere nothing is asked, and MEDIUM and above need `--yes`.",
        )
        .after_help(
            "Examples:\n  sexton run logs\n  sexton run logs sessions --dry-run\n  sexton run --all --yes --output json\n  \
             sexton run logs --older-than 14d --max-seconds 600\n  sexton run --plan logs.plan.json --yes",
        )
        .args(names())
        .arg(dry_run())
        .arg(
            Arg::new("schedule")
                .long("schedule")
                .value_name("WHEN")
                .value_parser(PossibleValuesParser::new(["daily", "weekly", "monthly"]))
                .conflicts_with_all(["plan", "max-parallel", "database", "force"])
                .help("Do not run now, but add a schedule: daily at 02:00, Sundays at 03:00, first Sundays at 04:00 (UTC)")
                .help_heading("What to run"),
        )
        .arg(
            Arg::new("plan")
                .long("plan")
                .value_name("FILE")
                .conflicts_with_all(["names", "operation", "group", "all", "set", "max-parallel"])
                .help("Run a plan saved by `sexton plan --save`, with its own options and database; refused when it no longer fits")
                .help_heading("What to run"),
        )
        .args(flags::of_operations(catalogue))
}

/// A kind as a command of its own.
pub fn one_off(kind: &'static dyn Kind) -> Command {
    let command = Command::new(kind.name())
        .about(kind.title())
        .long_about(format!(
            "{}.\n\n{}\n\n{}",
            kind.title(),
            kind.about(),
            match kind.name() {
                "files" => "Needs a store of the configuration (`[store.NAME]`), and no operation.",
                _ => "Needs no configuration.",
            }
        ))
        .arg(dry_run())
        .arg(force().help_heading("What to run"))
        .arg(flags::set().help_heading("What to run"))
        .args(flags::of_kind(kind));
    if super::scan::scans(kind) { command.subcommand(scan(kind)) } else { command }
}

/// Of kinds that can look at a whole database.
fn scan(kind: &'static dyn Kind) -> Command {
    Command::new("scan")
        .about(format!("Look at the whole database for what `{}` would mend; changes nothing", kind.name()))
        .long_about(
            "Look at the whole database, read-only: every declared reference, and every column that by name and type looks like \
             one. Shows rows, NULLs and orphans of each, the lines of the configuration that would mend them, and the \
             statements that would keep the next ones away. Ends with 5 when there are orphans.",
        )
        .after_help(format!(
            "Examples:\n  sexton {0} scan --database app.db\n  sexton {0} scan --database app.db --rows 1000000 --output json",
            kind.name()
        ))
        .arg(
            Arg::new("rows")
                .long("rows")
                .value_name("N")
                .value_parser(clap::value_parser!(u64))
                .help("Look at about this many rows of each table, the first ones [default: all]"),
        )
        .arg(
            Arg::new("tables")
                .value_name("TABLE")
                .num_args(0..)
                .help("Only references of these tables [default: all]"),
        )
}

fn id(help: &'static str) -> Arg {
    Arg::new("id").value_name("ID").required(true).help(help)
}

fn resume() -> Command {
    Command::new("resume")
        .about("Go on with a run that was stopped, failed or died")
        .long_about(
            "Go on with a run that was stopped, failed or died: nothing that was committed is done again. Limits that are said \
             here hold from now on, for every operation of the run that goes on.",
        )
        .after_help("Examples:\n  sexton resume latest\n  sexton resume 7f3 --batch-size 100 --max-seconds 3600")
        .arg(id("The run: its id, the first letters of it, or `latest`"))
        .arg(force())
        .args(flags::of_limits())
}

fn stop() -> Command {
    Command::new("stop")
        .about("Ask a run, in whichever process, to stop at its next batch")
        .arg(id("The run: its id, the first letters of it, or `latest` for the newest that is at work"))
}

fn undo() -> Command {
    Command::new("undo")
        .about("Put back what a run changed; list, show and forget undo points")
        .long_about(
            "Put back what a run changed: rows, with their identities and dependants. Rows that others have changed since are \
             reported and never overwritten. `sexton undo ID` is short for `sexton undo apply ID`.",
        )
        .after_help("Examples:\n  sexton undo latest\n  sexton undo 7f3 --dry-run\n  sexton undo list")
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg(id("The run: its id, the first letters of it, or `latest`; `ID.2` for its second operation"))
        .arg(dry_run())
        .arg(force().help_heading("What to run"))
        .subcommand(Command::new("list").about("Undo points, newest first"))
        .subcommand(
            Command::new("show").about("What an undo point remembers").arg(id("The undo point, or the first letters of it")),
        )
        .subcommand(
            Command::new("apply")
                .about("Put back what a run changed")
                .arg(id("The run: its id, the first letters of it, or `latest`"))
                .arg(dry_run())
                .arg(force().help_heading("What to run")),
        )
        .subcommand(
            Command::new("drop")
                .about("Forget undo points: what they remember can then no longer be put back")
                .arg(id("The undo point, or the first letters of it").required(false).required_unless_present_any(["expired", "all"]))
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .conflicts_with_all(["id", "expired"])
                        .help("All there are"),
                )
                .arg(
                    Arg::new("expired")
                        .long("expired")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("id")
                        .help("All whose time is over"),
                ),
        )
        .subcommand(
            Command::new("release")
                .about("Let restored rows be swept again: they are exempt from every run until then")
                .arg(Arg::new("table").value_name("TABLE").help("Only those of this table")),
        )
}

fn since() -> Arg {
    Arg::new("since").long("since").value_name("AGE").help("Not older than this: 7d, `2 weeks`")
}

fn limit(default: &'static str) -> Arg {
    Arg::new("limit")
        .long("limit")
        .value_name("N")
        .default_value(default)
        .value_parser(clap::value_parser!(u64).range(1..))
        .help("At most this many")
}

fn runs() -> Command {
    Command::new("runs")
        .about("Look at earlier runs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list").about("The last runs, newest first").arg(limit("10")).arg(since()).arg(
                Arg::new("operation")
                    .long("operation")
                    .value_name("NAME")
                    .help("Only runs with this operation"),
            ),
        )
        .subcommand(
            Command::new("show")
                .about("Everything about one run")
                .arg(id("The run: its id, the first letters of it, or `latest`")),
        )
}

fn status() -> Command {
    Command::new("status")
        .about("Show whether something is at work, and what the runs of each operation came to")
        .after_help("Example:\n  sexton status cleanup --output json")
        .arg(
            Arg::new("operation")
                .value_name("OPERATION")
                .num_args(0..)
                .help("Only these operations; without any, all of the configuration"),
        )
}

fn metrics() -> Command {
    Command::new("metrics")
        .about("Print figures for Prometheus: for a collector of text files, where nothing serves `/metrics`")
        .after_help("Example:\n  sexton metrics > /var/lib/node_exporter/sexton.prom")
}

fn report() -> Command {
    Command::new("report")
        .about("Sum up the runs of some time, by operation")
        .after_help("Example:\n  sexton report --since 7d")
        .arg(since().default_value("7d"))
        .arg(Arg::new("operation").long("operation").value_name("NAME").help("Only this operation"))
}

fn audit() -> Command {
    Command::new("audit").about("Who did what, newest first").arg(limit("50"))
}

fn config() -> Command {
    Command::new("config")
        .about("Check the configuration; show an example or the schema")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Find every mistake of the configuration; connects to nothing")
                .arg(Arg::new("file").value_name("FILE").help("The configuration, as with --config")),
        )
        .subcommand(
            Command::new("example")
                .about("Print a configuration with every setting, its default and a comment"),
        )
        .subcommand(Command::new("schema").about("Print the JSON Schema of the configuration, for editors"))
}

fn restore_archive() -> Command {
    Command::new("restore-archive")
        .about("Bring back rows that a run has archived, from the store")
        .long_about(
            "Bring back rows that a run has archived, from the store. While the run is in the log, `sexton undo ID` does the \
             same; this also works long after, or on another machine: only the store is needed.",
        )
        .after_help("Example:\n  sexton restore-archive cold 7f3k2m9x --table audit_log")
        .arg(Arg::new("store").value_name("STORE").required(true).help("The file store: as the configuration names it, a folder with a `/` in it, or `s3://bucket`"))
        .arg(Arg::new("run").value_name("RUN").required(true).help("The whole id of the run that archived them"))
        .arg(Arg::new("table").long("table").value_name("NAME").help("Only the rows of this table"))
        .arg(dry_run())
        .arg(force().help_heading("What to run"))
}

fn completions() -> Command {
    Command::new("completions")
        .about("Print a completion script for a shell")
        .after_help("Example:\n  sexton completions bash > /etc/bash_completion.d/sexton")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(PossibleValuesParser::new(["bash", "elvish", "fish", "powershell", "zsh"]))
                .help("The shell"),
        )
}

fn man() -> Command {
    Command::new("man").about("Print the manual page").after_help("Example:\n  sexton man | man -l -")
}

fn reference() -> Command {
    Command::new("reference").hide(true).about("Print a page of the reference").arg(
        Arg::new("page")
            .value_name("PAGE")
            .required(true)
            .value_parser(PossibleValuesParser::new(["cli", "config", "json", "documents"]))
            .help("Which page"),
    )
}
