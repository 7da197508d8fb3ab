//! Stories: one file per kind, told on both databases.

mod purge;
