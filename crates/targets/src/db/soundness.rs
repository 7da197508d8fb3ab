//! What a database says of its own files: whether pages, rows and indexes agree.

use serde::{Deserialize, Serialize};

/// The outcome of the database's own check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soundness {
    /// How it was checked: `pragma integrity_check`, `amcheck`, …
    pub method: String,
    /// The first faults, in the words of the database.
    pub faults: Vec<String>,
    /// How many there are; the database may give up counting.
    pub count: u64,
    /// What could not be checked, each with what would make it possible.
    pub unchecked: Vec<(String, String)>,
}

impl Soundness {
    /// Counts a fault, and keeps it unless there are `most` already.
    pub fn add(&mut self, fault: String, most: usize) {
        self.count += 1;
        if self.faults.len() < most {
            self.faults.push(fault);
        }
    }
}
