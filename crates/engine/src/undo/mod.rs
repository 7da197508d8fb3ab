//! Undo: what a run can put back, where it is remembered, and the operation that puts it back.
//!
//! An undo point belongs to one operation of one run. Its rows live in typed tables inside the maintained
//! database (see `targets::db::UndoTable`), written in the transaction of the change. Putting back is an
//! operation like any other: planned, batched, checkpointed, resumable.

mod backwards;
mod conflicts;
mod done;
mod exempt;
mod files_back;
mod foreseen;
pub(crate) mod from_archive;
mod indexes;
mod made;
mod moved_files;
mod order;
mod parents;
mod point;
mod put_back;
mod rows_back;
mod scopes;
mod tally;
mod written;

pub use conflicts::{Conflict, conflicts_of};
pub use done::not_converted;
pub use exempt::{Exemption, exempted, not_exempt, release};
pub use foreseen::foreseen;
pub use indexes::{DroppedIndex, RESTORE_INDEX, dropped_indexes};
pub use moved_files::{MovedFile, moved_files, restored_files};
pub use point::{
    ArchivedFile, Change, Point, PointState, Remembered, archived_files, drop_point, points, read_point, tidy,
};
pub use put_back::PutBack;
pub use scopes::Scope;
pub use tally::{Tally, will_be_spent};
pub use written::WrittenFile;

pub(crate) use conflicts::reported_conflicts;
pub(crate) use done::count_alone;
pub(crate) use exempt::{add as exempt_rows, forget_gone};
pub(crate) use indexes::count_dropped;
pub(crate) use moved_files::{
    count_moved, discard_files, moved_names, record as record_files, release_files,
};
pub use order::parents_first;
pub(crate) use point::{install, installed, open_point, record_archive, record_table};
pub(crate) use rows_back::put_back_all;
pub(crate) use scopes::{id as scope_id, open as open_scope, parse as parse_scope_id};
pub(crate) use tally::count as count_rows;
pub(crate) use written::{names_of as written_names, record as record_written};

/// The id of the undo point of the n-th operation of a run.
pub fn point_id(run: &str, item: usize) -> String {
    if item == 0 { run.to_owned() } else { format!("{run}.{}", item + 1) }
}

/// The run and the place of the operation in it, from an undo point's id.
pub fn parse_point_id(id: &str) -> (&str, usize) {
    match id.split_once('.') {
        Some((run, item)) => (run, item.parse::<usize>().map_or(0, |item| item.saturating_sub(1))),
        None => (id, 0),
    }
}
