//! Schedules on real databases: each time is run once, whoever looks and whoever dies.

mod ahead;
mod kit;
mod policies;
mod workers;
