//! `index drop`: take indexes away by their names, or for what they are.

use super::act::Act;
use super::trouble::Trouble;
use super::{arguments, flags, run};
use crate::exit::Exit;
use clap::{Arg, ArgMatches, Command};
use engine::Kind;

/// The option whose values are given without a flag.
const DROP: &str = "drop";

/// The command with its subcommand.
pub fn command(kind: &'static dyn Kind) -> Command {
    let names = flags::id_of(DROP);
    let drop = arguments::one_off(kind)
        .name(DROP)
        .mut_arg(&names, |_| Arg::new(&names).value_name("INDEX").num_args(0..).help("These indexes"))
        .after_help(
            "Examples:\n  sexton index drop orders_old_idx --dry-run\n  sexton index drop --unused-for 30d --redundant\n  \
             sexton undo latest                     build them again",
        );
    Command::new(kind.name())
        .about(kind.title())
        .long_about(format!("{}.\n\n{}", kind.title(), kind.about()))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(drop)
}

/// `sexton index drop …`.
pub fn index(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some((_, own)) => run::one_off(act, kind, own, actor),
        None => Ok(Exit::Usage),
    }
}
