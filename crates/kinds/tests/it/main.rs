//! Stories: one file per kind, told on both databases.

mod purge;
mod purge_ages;
mod stage;
