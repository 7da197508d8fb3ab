//! Conformance: what the contract in `targets` promises, on real databases and file stores, in one binary.

mod bucket_backup;
mod conformance_age;
mod conformance_bloat;
mod conformance_errors;
mod conformance_hands;
mod conformance_inspection;
mod conformance_objects;
mod conformance_places;
mod conformance_schema;
mod conformance_session;
mod conformance_stream;
mod conformance_take;
mod conformance_traffic;
mod conformance_upkeep;
mod conformance_values;
mod file_trees;
mod files;
mod postgres_pgbouncer;
mod postgres_pool;
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

/// What is done within this time at least once in three: a busy machine may hold anybody up, and a lock that is waited for does so
/// each time.
fn quickly<T>(most: std::time::Duration, mut done: impl FnMut() -> T) -> T {
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let outcome = done();
        if begun.elapsed() < most {
            return outcome;
        }
    }
    panic!("it takes longer than {most:?} each time");
}
