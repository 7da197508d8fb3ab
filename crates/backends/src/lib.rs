//! How each database and file store does what `targets` asks for.
//!
//! The only crate that knows drivers. The folders of the two databases hold files of the same names, so that a
//! diff of the folders is a review. It knows nothing of runs, plans, configuration or surfaces.

pub mod bucket;
pub mod heap;
pub mod jq;
pub mod local_files;
pub mod postgres;
pub mod sqlite;
#[doc(hidden)]
pub mod testing;
mod watchful;
