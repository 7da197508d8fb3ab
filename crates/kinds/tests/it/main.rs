//! Stories: one file per kind, told on both databases.

mod accounts;
mod engine_manners;
mod engine_report;
mod identity;
mod purge;
mod purge_ages;
mod purge_along;
mod purge_archive;
mod purge_children;
mod purge_newest;
mod purge_refill;
mod purge_shapes;
mod purge_trouble;
mod queue;
mod queue_kit;
mod queue_presets;
mod queue_stats;
mod stage;
mod tampered;
mod undo;
