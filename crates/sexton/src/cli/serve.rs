//! `sexton serve` and `sexton worker`: processes that stay, at the command line, which tell on stderr what happens.

use super::act::Act;
use super::signals;
use crate::config::{Config, StatePlace};
use crate::daemon::Service;
use crate::exit::Exit;
use crate::http::{self, Face};
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::Stop;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// `sexton serve`.
pub fn serve(act: &Act, matches: &ArgMatches, host: String, config: &Arc<Config>) -> Result<Exit, Trouble> {
    stay(act, matches, host, config, Face::Whole)
}

/// `sexton worker`.
pub fn worker(act: &Act, matches: &ArgMatches, host: String, config: &Arc<Config>) -> Result<Exit, Trouble> {
    if let StatePlace::Folder(folder) = &config.state {
        let folder = folder.display();
        return Err(Trouble::usage(
            format!("workers share a state, and this one is a file in `{folder}`"),
            "put the state into a PostgreSQL database: `[state]` with `url = \"postgres://…\"`; one process alone is \
             `sexton serve`",
        ));
    }
    stay(act, matches, host, config, Face::Health)
}

fn stay(
    act: &Act,
    matches: &ArgMatches,
    host: String,
    config: &Arc<Config>,
    face: Face,
) -> Result<Exit, Trouble> {
    let number = |id: &str| matches.get_one::<u16>(id).copied().unwrap_or(1);
    let stop = Stop::default();
    let listening = signals::listen(&stop);
    let clock = act.engine.clock();
    let tell =
        |text: &str| act.console.note(&format!("{} {text}", clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")));
    config.sessions.begin(config, &mut |text| tell(&format!("warning: {text}")));
    let service = Service {
        config: act.config,
        host,
        workers: usize::from(number("workers")),
        lease: Duration::from_secs(u64::from(number("lease"))),
        tell: &tell,
    };
    let Some(at) = matches.get_one::<SocketAddr>("listen") else {
        service.serve(&stop)?;
        drop(listening);
        return Ok(Exit::Done);
    };
    let answers = std::thread::scope(|scope| {
        let api = scope.spawn(|| {
            let served = http::serve(Arc::clone(config), *at, face, &stop, |at| {
                tell(&match face {
                    Face::Whole => format!("the page and the API answer at {at}"),
                    Face::Health => format!("/live, /ready, /health and /metrics answer at {at}"),
                });
            });
            // Nobody wants half of a service: it has asked for the stop, or nobody could be served.
            stop.ask();
            served
        });
        service.serve(&stop)?;
        api.join().unwrap_or_else(|_| Err(Trouble::system("the API", "its thread broke")))
    });
    answers?;
    drop(listening);
    Ok(Exit::Done)
}
