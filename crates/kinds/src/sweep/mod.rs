//! A sweep: rows of one table that satisfy a condition are deleted or changed, batch by batch, and whatever hangs on
//! them first. It is what purge, orphans, accounts and queue have in common.
//!
//! A kind says which rows and what happens to them ([`Sweep`]); the rest is decided in the plan and stored with it
//! ([`Task`]). Rows are read into Sexton only when they go to an archive file.

mod along;
mod archive;
mod aside;
mod batch;
mod checks;
mod counted;
mod measure;
mod moment;
mod newest;
mod options;
mod plan;
mod policy;
mod relations;
mod rights;
mod rings;
mod task;
mod values;
mod verify;

pub use archive::write_archive;
pub use aside::Aside;

pub use checks::{about_condition, check_condition, check_table};
pub use counted::one_of;
pub use measure::is_large;
pub use newest::Newest;
pub use options::{EpochUnitSchema, read_options};
pub use plan::{Sweep, plan, undo};
pub use policy::{ArchiveFormat, Policy, Relation, Triggers, Undo};
pub use relations::{Child, create_index};
pub use rights::check_owner;
pub use task::{Act, Archive, Counted, Joined, Onward, Task};
pub use values::Setting;
pub use verify::verify;

use engine::{Batch, Cursor, Examples, Result, Step, Work};
use targets::db::Facts;
use task::Place;

/// Where the next batch of a step lies.
pub fn aim(step: &Step, cursor: &Cursor, rows: u64, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
    let place = batch::aim(&Task::read(step)?, &step.id, Place::read(cursor)?, rows, facts)?;
    place.map(|place| place.cursor()).transpose()
}

/// Some of the rows that a step is about, as they are now. Those beyond the newest of their groups are known by a list that only
/// a run makes.
pub fn examples(step: &Step, most: u64, facts: &mut dyn Facts) -> Result<Option<Examples>> {
    // What only reports has no task.
    let Ok(task) = Task::read(step) else { return Ok(None) };
    if task.newest.is_some() {
        return Ok(None);
    }
    Examples::of_tables(facts, &task.leaves, &task.condition, most).map(Some)
}

/// Does one batch of a step.
pub fn act(step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
    batch::act(&Task::read(step)?, Place::read(aim)?, rows, work)
}
