//! Conformance: every test runs on every back end.

mod files;
mod s3_server;
