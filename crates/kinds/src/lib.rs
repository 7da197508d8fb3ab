//! What Sexton knows how to do, one file or folder per kind: read the product from the directory listing.
//!
//! A kind turns facts into a plan and does batches through `engine::Work`. It names no back end: what differs
//! between databases is asked of the contract.

mod accounts;
mod analyze;
mod backup;
mod bloat;
mod check;
mod compact;
mod convert;
mod doctor;
mod export;
mod files;
mod import;
mod index;
mod inspect;
mod inspection;
mod merge;
pub mod migrate;
mod orphans;
mod purge;
mod queue;
mod reindex;
mod stats;
mod sweep;
mod transfer;
mod upkeep;
mod vacuum;
mod views;

use engine::Kind;
/// Every kind, in the order of `sexton help`.
pub fn catalogue() -> Vec<&'static dyn Kind> {
    vec![
        &migrate::run::Migrate,
        &purge::Purge,
        &orphans::Orphans,
        &merge::Merge,
        &accounts::Accounts,
        &files::FilesKind,
        &queue::Queue,
        &convert::Convert,
        &transfer::Transfer,
        &export::Export,
        &import::Import,
        &vacuum::Vacuum,
        &analyze::Analyze,
        &compact::Compact,
        &reindex::Reindex,
        &index::Index,
        &views::Views,
        &backup::Backup,
        &check::Check,
        &bloat::Bloat,
        &stats::Stats,
        &inspect::Inspect,
        &doctor::Doctor,
    ]
}
