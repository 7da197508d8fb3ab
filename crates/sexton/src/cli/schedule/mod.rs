//! `sexton schedule`: what runs by itself and when; add, switch, approve, run now; lines for other schedulers.

mod change;
mod command;
mod show;

pub use change::register;
pub use command::{command, serve};
pub use show::{serving, standings};

use super::act::Act;
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use scheduler::Known;

/// `sexton schedule …`.
pub fn schedule(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        None | Some(("list", _)) => show::list(act),
        Some(("show", own)) => show::show(act, &named(act, own)?),
        Some(("next", own)) => show::next(act, own),
        Some(("cron", _)) => show::crontab(act),
        Some(("systemd", own)) => show::systemd(act, &named(act, own)?),
        Some(("add", own)) => change::add(act, own, actor),
        Some(("remove", own)) => change::remove(act, &named(act, own)?, actor),
        Some(("enable", own)) => change::switch(act, named(act, own)?, true, actor),
        Some(("disable", own)) => change::switch(act, named(act, own)?, false, actor),
        Some(("approve", own)) => change::approve(act, named(act, own)?, own, actor),
        Some(("withdraw", own)) => change::withdraw(act, named(act, own)?, actor),
        Some(("run", own)) => change::run(act, &named(act, own)?, actor),
        Some((other, _)) => Err(Trouble::usage(
            format!("there is no command `schedule {other}`"),
            "see `sexton schedule --help`",
        )),
    }
}

/// All schedules, as they are in force.
fn all(act: &Act) -> Result<Vec<Known>, Trouble> {
    Ok(scheduler::all(act.engine, &act.config.schedules)?)
}

/// The one that was named.
fn named(act: &Act, matches: &ArgMatches) -> Result<Known, Trouble> {
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let all = all(act)?;
    let names: Vec<String> = all.iter().map(|known| known.schedule.name.clone()).collect();
    all.into_iter().find(|known| known.schedule.name == name).ok_or_else(|| {
        let near: Vec<&str> = names.iter().map(String::as_str).collect();
        let help = match (crate::config::nearest(name, &near), near.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "there is none: add a table `[schedule.NAME]`, or `sexton schedule add`".to_owned(),
            (None, names) => format!("there are {}", names.join(", ")),
        };
        Trouble::usage(format!("there is no schedule `{name}`"), help)
    })
}
