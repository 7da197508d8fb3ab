//! Sexton: keeps application databases healthy.
//!
//! Thin surfaces over the engine. `config` alone reads the environment, `cli` alone writes to the terminal, and only this
//! file ends the process.

mod choice;
mod cli;
mod config;
mod daemon;
mod doorbell;
mod exit;
mod first_run;
mod fleet;
mod http;
mod lookout;
mod looks;
mod metrics;
mod schedules;
mod statistics;
mod told;
mod trouble;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = config::Environment::of_process();
    let exit = cli::main(config::Environment::arguments(), &environment);
    ExitCode::from(exit as u8)
}
