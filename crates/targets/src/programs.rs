//! The contract of programs in jq that transform rows: JSON text in, JSON text out, run where they can do no harm.
//!
//! A program sees its row, its arguments and the moment of the run, nothing else: no environment, no files, no clock. One that
//! fails, loops or brings its process down costs the row that it was given, not the run. What a row is, and what becomes of
//! what is given for it, is not known here.

use crate::db::Result;
use serde::{Deserialize, Serialize};

/// A program with what it may see besides its row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// The program itself.
    pub text: String,
    /// What it finds under `$name`: names, and values as JSON text.
    pub args: Vec<(String, String)>,
    /// What `now` gives: seconds since 1970.
    pub now: f64,
    /// Whether what it gives is for people to read: with line ends and indents.
    pub pretty: bool,
}

/// What came of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What the program gave, in order: any number of values, as JSON text or nearly so (`NaN` is none).
    Given(Vec<String>),
    /// It failed, and why.
    Failed(String),
}

/// Somebody who runs programs.
pub trait Programs: Send + Sync {
    /// Makes a program ready. One that cannot be read is a usage error that says where.
    fn start(&self, program: &Program) -> Result<Box<dyn Running>>;
}

/// A program that is ready.
pub trait Running: Send {
    /// Gives the program each row, a JSON text; what came of it, in the same order. An error is nobody's row: it could not
    /// be run at all.
    fn transform(&mut self, rows: &[String]) -> Result<Vec<Outcome>>;
}
