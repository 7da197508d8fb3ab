//! Stories: one file per kind, told on both databases.

mod backup;
mod backup_gate;
mod backup_keep;
mod backup_restore;
mod engine_manners;
mod engine_report;
mod identity;
mod purge;
mod purge_ages;
mod purge_archive;
mod purge_children;
mod purge_refill;
mod purge_shapes;
mod purge_trouble;
mod stage;
mod tampered;
mod undo;
