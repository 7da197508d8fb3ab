//! The histories that other tools keep in the database, read so that `status` is right on the first day.
//!
//! Nothing is written. Whether a history exists is asked of the catalogue; one that exists and cannot be read is an
//! error, never an empty one (S0-006, S0-007, W-002).

mod shape;

pub use shape::{History, Shape, found, read};
