//! Versioned migrations of schema and data, as the directories of nine tools write them.
//!
//! `directory` reads the files, `script` splits them into statements, `graph` orders them, `history` knows what is in,
//! `run` brings a database to a version and back, `lint` says beforehand what it would do to those who use it.

pub mod compare;
pub mod directory;
pub mod graph;
pub mod history;
pub mod lint;
pub mod model;
pub mod problem;
pub mod run;
pub mod script;
