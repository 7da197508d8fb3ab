//! What a database or a file store is to Sexton: contracts and facts, no driver in sight.
//!
//! Everything else in the workspace speaks to databases and file stores through the traits of this
//! crate. It knows nothing of drivers, runs, plans, configuration or surfaces.

pub mod db;
pub mod files;
pub mod programs;
