//! Conformance: what the contract in `targets` promises, on real databases and file stores, in one binary.

mod conformance_places;
mod files;
mod s3_server;
mod sqlite_ages;
mod sqlite_errors;
mod sqlite_kit;
mod sqlite_locks;
mod sqlite_schema;
mod sqlite_take;
mod sqlite_values;
mod sqlite_walk;
