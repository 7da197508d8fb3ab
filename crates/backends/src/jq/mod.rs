//! Programs in jq, run by the library jaq in a process of their own.
//!
//! jaq cannot be given limits: a program may recurse until its process aborts, loop for ever, or ask for all memory. So the same
//! binary is started once more ([`serve`] is its whole life), without environment, with an address-space limit, and with a
//! time limit for each row. When it dies, the row it died of has failed, and another one goes on. [`InProcess`] speaks
//! the same words with a thread instead, for tests.

mod program;
mod serve;
mod talk;

pub use serve::{serve, serve_within};
pub use talk::{Children, InProcess};
