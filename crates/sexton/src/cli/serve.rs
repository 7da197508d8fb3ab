//! `sexton serve`: the daemon at the command line, which tells on stderr what happens.

use super::act::Act;
use super::signals;
use crate::daemon::Service;
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::Stop;
use std::time::Duration;

/// `sexton serve`.
pub fn serve(act: &Act, matches: &ArgMatches, host: String) -> Result<Exit, Trouble> {
    let number = |id: &str| matches.get_one::<u16>(id).copied().unwrap_or(1);
    let stop = Stop::default();
    let listening = signals::listen(&stop);
    let clock = act.engine.clock();
    let tell =
        |text: &str| act.console.note(&format!("{} {text}", clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")));
    let service = Service {
        config: act.config,
        host,
        workers: usize::from(number("workers")),
        lease: Duration::from_secs(u64::from(number("lease"))),
        tell: &tell,
    };
    service.serve(&stop)?;
    drop(listening);
    Ok(Exit::Done)
}
