//! What Sexton knows how to do, one file or folder per kind: read the product from the directory listing.
//!
//! A kind turns facts into a plan and does batches through `engine::Work`. It names no back end: what differs
//! between databases is asked of the contract.

mod accounts;
mod backup;
mod check;
mod convert;
mod files;
mod merge;
pub mod migrate;
mod orphans;
mod purge;
mod queue;
mod sweep;
#[allow(dead_code)]
mod transfer;

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
        &backup::Backup,
        &check::Check,
    ]
}
