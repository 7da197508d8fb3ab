//! The life cycle of a run.

pub mod archive;
