//! Conformance: what the contract in `targets` promises, on real databases and file stores, in one binary.

mod bucket_backup;
mod conformance_age;
mod conformance_errors;
mod conformance_inspection;
mod conformance_places;
mod conformance_schema;
mod conformance_session;
mod conformance_take;
mod conformance_traffic;
mod conformance_values;
mod file_trees;
mod files;
mod postgres_pooler;
mod postgres_wire;
mod s3_server;
mod sqlite_ages;
mod sqlite_copies;
mod sqlite_errors;
mod sqlite_kit;
mod sqlite_locks;
mod sqlite_schema;
mod sqlite_take;
mod sqlite_values;
mod sqlite_walk;
