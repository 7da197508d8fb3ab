//! `sexton schedule`: what runs by itself and when; add, switch, approve, run now; lines for other schedulers.

mod change;
mod command;
mod show;

pub use change::register;
pub use command::{command, serve, worker};

use super::act::Act;
use crate::exit::Exit;
use crate::schedules::Schedules;
use crate::trouble::Trouble;
use clap::ArgMatches;

/// `sexton schedule …`.
pub fn schedule(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        None | Some(("list", _)) => show::list(act),
        Some(("show", own)) => show::show(act, &schedules(act).named(name_of(own))?),
        Some(("next", own)) => show::next(act, own),
        Some(("cron", _)) => show::crontab(act),
        Some(("systemd", own)) => show::systemd(act, &schedules(act).named(name_of(own))?),
        Some(("add", own)) => change::add(act, own, actor),
        Some(("remove", own)) => change::remove(act, name_of(own), actor),
        Some(("enable", own)) => change::switch(act, name_of(own), true, actor),
        Some(("disable", own)) => change::switch(act, name_of(own), false, actor),
        Some(("approve", own)) => change::approve(act, own, actor),
        Some(("withdraw", own)) => change::withdraw(act, name_of(own), actor),
        Some(("run", own)) => change::run(act, name_of(own), actor),
        Some((other, _)) => Err(Trouble::usage(
            format!("there is no command `schedule {other}`"),
            "see `sexton schedule --help`",
        )),
    }
}

/// Schedules, for the commands.
pub fn schedules<'a>(act: &Act<'a>) -> Schedules<'a> {
    Schedules { engine: act.engine, config: act.config }
}

fn name_of(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("name").map_or("", String::as_str)
}
