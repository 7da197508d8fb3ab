//! The operation of every kind whose steps are chores: what differs from kind to kind is what it plans and what it tells.

use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Manners, Operation, Planned, Planning, Result,
    Step, Stores, Work,
};
use serde_json::Value as Json;
use targets::db::{Command, Facts, Limits};

/// What a kind says for itself. What it does not say is as every chore has it.
pub trait Keeping: Send {
    /// Which objects, and what is done to each.
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned>;
    /// What came of it.
    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<Json>>;
    /// What is wrong still.
    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>>;

    /// How it treats others.
    fn manners(&self, asked: &Manners) -> Manners {
        super::unhurried(asked)
    }

    /// What is next; none when the object is done.
    fn aim(&self, step: &Step, cursor: &Cursor, rows: u64, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
        super::aim(step, cursor, rows, facts)
    }

    /// Whether the others go on without an object that failed.
    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        super::passes_over(step, aim, error)
    }
}

/// It as an operation.
pub struct Keeps<K>(pub K);

impl<K: Keeping> Operation for Keeps<K> {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        self.0.plan(facts, planning)
    }

    fn looks_back(&self) -> bool {
        true
    }

    fn manners(&self, asked: &Manners) -> Manners {
        self.0.manners(asked)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        _: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        self.0.aim(step, cursor, rows, facts)
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        super::outside(step, aim, limits)
    }

    fn act(&self, step: &Step, aim: &Cursor, _: u64, work: &mut Work) -> Result<Batch> {
        super::act(step, aim, work)
    }

    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        self.0.passes_over(step, aim, error)
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<Json>> {
        self.0.result(done, facts)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        self.0.verify(steps, counts, facts)
    }
}
