//! Schedules: when operations run by themselves, and what becomes of each time that one is due.
//!
//! Nothing here knows a kind, the configuration file or a surface: requests are made by whoever has them ([`Requests`]), and
//! everything that is done goes through the engine. Whatever must be known by more than one process is in the timetable of
//! the state; any number of processes may look for what is due and work on it.

mod ahead;
mod blackout;
pub mod cron;
mod due;
pub mod export;
mod fleet;
mod look;
pub mod rollout;
mod schedule;
mod work;

pub use blackout::Blackout;
pub use cron::Cron;
pub use due::due;
pub use fleet::{Fleet, Member};
pub use look::{Known, Looker, all, one};
pub use schedule::{
    Approval, ClockChange, Definition, Fault, Missed, Notifications, Overlap, Schedule, Timing,
};
pub use work::{Outcome, Requests, Worker, by_hand, fingerprint, needed_approval};
