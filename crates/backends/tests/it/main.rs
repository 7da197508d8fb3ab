//! Conformance: what the contract in `targets` promises, on both back ends, on real databases.

mod conformance_age;
mod conformance_errors;
mod conformance_places;
mod conformance_schema;
mod conformance_session;
mod conformance_take;
mod conformance_values;
mod postgres_pooler;
