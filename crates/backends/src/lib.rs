//! How each database and file store does what `targets` asks.

pub mod bucket;
pub mod local_files;
