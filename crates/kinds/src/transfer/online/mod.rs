//! The application goes on writing while its database moves.
//!
//! Triggers of ours in the SQLite file write down which rows change, by table and key, from before the copy begins. Round by round
//! the rows of these keys are read again and carried by the same rules as the copy. At the cut-over nobody may write for a moment:
//! the last round, counts on both sides, then the file refuses writes and the application is sent to the target. Until it is sent
//! there, going back means taking away what was made.

pub mod ask;
pub mod back;
pub mod capture;
pub mod counts;
pub mod cut_over;
pub mod entry;
pub mod follow;
pub mod inverse;
pub mod keys;
pub mod noted;
pub mod prepare;
pub mod rehearse;
pub mod returned;
pub mod round;
pub mod spool;
pub mod stage;
pub mod switch;
pub mod taken_back;
pub mod told;

use super::options::{Switch, Trouble};
use super::task::Carry;
use serde::{Deserialize, Serialize};
use targets::db::TableName;

/// The column by which rows are told apart that have no key, as long as they are on their way.
pub const ROWID: &str = "sexton_rowid";
/// An error with this code is a check that failed.
pub const CHECK: &str = "check";
/// An error with this code is the limit of the cut-over.
pub const LIMIT: &str = "limit";

/// All that an online transfer needs to know at every moment; kept in the source too, so that whoever goes back finds it there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Online {
    /// The database that is read.
    pub source: String,
    /// The database that is filled.
    pub target: String,
    /// The tables, parents first. Their places are their numbers in what is written down.
    pub carries: Vec<Carry>,
    /// The tables of the target were made by this transfer.
    pub are_new: bool,
    /// The tables of which rows may go without a trace: `or replace` against a unique index over an expression.
    #[serde(default)]
    pub traceless: Vec<usize>,
    /// What the tables of the source were declared as.
    pub schema: String,
    /// The triggers that write down what changes.
    pub capture: Vec<String>,
    /// The triggers that refuse changes.
    pub refuse: Vec<String>,
    /// What declares references of the target again that were taken away for the copy.
    pub restore: Vec<String>,
    /// What lets ids of the target go on where those of the source were.
    pub numbers: Vec<Numbers>,
    /// The URL of the target holds a password, and so must the one that the application is sent to.
    #[serde(default)]
    pub has_password: bool,
    /// How the application is sent to the target.
    pub switch: Option<Switch>,
    /// The most seconds that nobody may write.
    pub limit: f64,
    /// Nothing is noted in the target for a way back.
    pub one_way: bool,
    /// What the names of the notes in the target end with, where that is not the run.
    #[serde(default)]
    pub notes: Option<String>,
    /// What makes it go back by itself.
    pub go_back_on: Vec<Trouble>,
}

/// A column of the target that counts by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// The table in the source.
    pub source: String,
    /// The table in the target.
    pub table: TableName,
    /// Its column.
    pub column: String,
    /// The sequence, where it is none of the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// Numbers are never given again in the source, so its counter counts.
    pub counts: bool,
}

impl Online {
    /// The tables that rows are told apart in by a column of ours.
    pub fn without_key(&self) -> impl Iterator<Item = &Carry> {
        self.carries.iter().filter(|carry| carry.columns.iter().any(|column| column.target == ROWID))
    }
}
