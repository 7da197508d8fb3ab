//! `sexton backup …`: its commands with their flags.

use crate::cli::arguments::{dry_run, one_off};
use clap::{Arg, ArgAction, Command};
use engine::Kind;

fn id() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .help("The backup: its id, the first letters of it or of its run's id, its path, or `latest`")
}

fn store() -> Arg {
    Arg::new("store").long("store").value_name("STORE").help("The file store [default: that of `[backup]`]")
}

/// A command for one backup, or all.
fn several(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(id())
        .arg(
            Arg::new("all").long("all").action(ArgAction::SetTrue).conflicts_with("id").help("All there are"),
        )
        .arg(store())
}

/// The commands.
pub fn command(kind: &'static dyn Kind) -> Command {
    Command::new("backup")
        .about("Take backups, list, check, restore and remove them")
        .long_about(
            "Take backups of whole databases, list, check, restore and remove them. Where they are and for how long they are \
             kept says `[backup]` of the configuration. Operations with `backup = true` take one by themselves.",
        )
        .after_help(
            "Examples:\n  sexton backup create\n  sexton backup check latest\n  sexton backup verify latest\n  sexton backup restore latest --into copy.db\n  \
             sexton backup restore latest --table orders --where \"id < 100\"\n  sexton backup drill",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(one_off(kind).name("create").about("Take a backup now"))
        .subcommand(Command::new("list").about("The backups, newest first").arg(store()))
        .subcommand(several("check", "Read backups again and compare them with what was written").long_about(
            "Read backups again: is each what was written, by its checksums, and does the database's own program understand \
             it? That is a check, and no more: only what was restored is verified.",
        ))
        .subcommand(several("verify", "Restore backups into scratch databases and count their rows").long_about(
            "Check backups, then restore each into a scratch database beside the live one, count its rows, compare them with \
             those that were dumped, and remove it again. Only then a backup is called verified.",
        ))
        .subcommand(
            Command::new("restore")
                .about("Bring a backup back: as a new database, in the place of the live one, or single rows")
                .long_about(
                    "Bring a backup back. `--into` makes a new database of it. `--table` brings back the rows of one table that \
                     are missing now; nothing is overwritten. `--replace` puts it in the place of the live \
                     database: what was written since is counted and shown first, and a backup of the present state is taken. \
                     Try `sexton undo` first: it brings back what one run changed and nothing else.",
                )
                .arg(id().required(true))
                .arg(
                    Arg::new("into")
                        .long("into")
                        .value_name("PLACE")
                        .conflicts_with_all(["replace", "table"])
                        .help("A new file, or the name of a new database on the same server"),
                )
                .arg(
                    Arg::new("table")
                        .long("table")
                        .value_name("TABLE")
                        .conflicts_with("replace")
                        .help("Only the rows of this table that are missing now"),
                )
                .arg(
                    Arg::new("where")
                        .long("where")
                        .value_name("SQL")
                        .requires("table")
                        .help("Of these only those that satisfy a condition, over the alias t"),
                )
                .arg(
                    Arg::new("replace")
                        .long("replace")
                        .action(ArgAction::SetTrue)
                        .help("In the place of the live database"),
                )
                .arg(dry_run())
                .arg(store()),
        )
        .subcommand(
            Command::new("drill")
                .about("Restore the newest backup into a scratch database, ask it, measure it, remove it")
                .arg(id())
                .arg(store()),
        )
        .subcommand(
            Command::new("prune").about("Remove backups whose time is over").arg(dry_run()).arg(store()),
        )
}
