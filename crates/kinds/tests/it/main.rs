//! Stories: one file per kind, told on both databases.

mod engine_manners;
mod engine_report;
mod files;
mod files_bucket;
mod files_guards;
mod files_kit;
mod files_law;
mod files_references;
mod files_trouble;
mod identity;
mod merge;
mod merge_clashes;
mod merge_laws;
mod merge_looks;
mod merge_others;
mod merge_scopes;
mod purge;
mod purge_ages;
mod purge_along;
mod purge_archive;
mod purge_children;
mod purge_locks;
mod purge_marks;
mod purge_newest;
mod purge_refill;
mod purge_rights;
mod purge_shapes;
mod purge_trouble;
#[path = "../../../backends/tests/it/s3_server.rs"]
mod s3_server;
mod stage;
mod tampered;
mod undo;
