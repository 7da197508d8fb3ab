//! Stories: one file per kind, told on both databases.

mod purge;
mod purge_ages;
mod purge_children;
mod purge_shapes;
mod stage;
mod undo;
