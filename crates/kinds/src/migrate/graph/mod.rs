//! What comes after what, what is to be done, and what must be put right before anything is.
//!
//! Pure functions of a directory and a history: they ask no database and no clock. Everything that is wrong comes back
//! at once. State is kept by migration: a maximum would hide what was left out below it (W-003).

mod back;
mod find;
mod order;
mod pending;
mod policy;
mod standing;

pub use back::back;
pub use find::find;
pub use order::{PlaceKey, order, place_key};
pub use pending::pending;
pub use policy::{Policy, Stance};
pub use standing::{Standing, is_changed, standings};

use super::model::{Applied, Migration};
use super::problem::{Problem, Problems};
use std::collections::HashMap;

/// How far to go. Names are those that [`find`] understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All the way.
    All,
    /// Until this one is the last that is in.
    To(String),
    /// So many.
    By(usize),
    /// This one alone.
    Only(String),
}

/// Migrations in the order in which they are to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence<'a> {
    /// One after the other.
    pub steps: Vec<&'a Migration>,
    /// What is wrong, but allowed.
    pub warnings: Problems,
}

impl Sequence<'_> {
    /// Their ids.
    pub fn ids(&self) -> Vec<&str> {
        self.steps.iter().map(|migration| migration.id.as_str()).collect()
    }
}

/// Problems on their way to being errors or warnings.
#[derive(Default)]
struct Judgement {
    problems: Problems,
    warnings: Problems,
}

impl Judgement {
    fn refuse(&mut self, problem: Problem) {
        self.problems.0.push(problem);
    }

    fn judge(&mut self, stance: Stance, problem: Problem) {
        match stance {
            Stance::Refuse => self.problems.0.push(problem),
            Stance::Warn => self.warnings.0.push(problem),
            Stance::Allow => {}
        }
    }

    fn over(self, steps: Vec<&Migration>) -> Result<Sequence<'_>, Problems> {
        let warnings = self.warnings;
        self.problems.none_or(Sequence { steps, warnings })
    }
}

/// What the history says, by id.
fn by_id(applied: &[Applied]) -> HashMap<&str, &Applied> {
    applied.iter().map(|entry| (entry.id.as_str(), entry)).collect()
}

#[cfg(test)]
mod tests;
