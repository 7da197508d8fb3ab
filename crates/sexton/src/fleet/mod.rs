//! Fleets: many databases that get the same, at the command line and in schedules.

mod members;
mod rollout;

pub use members::{Member, members};
pub use rollout::{Outcome, Rollout, each, policy, rollout};
