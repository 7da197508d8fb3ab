//! How SQLite, PostgreSQL and local files do what `targets` asks for.
//!
//! The only place in the workspace where drivers appear.

pub mod postgres;
#[doc(hidden)]
pub mod testing;
