//! What a SQLite file tells of its health: its schema, its pages, and who has it open.
//!
//! SQLite counts nothing while it works, so use of indexes and the like is not known. Pages are only counted, and
//! references only looked up, where the file is small; a time limit ends each part.

mod file;
mod objects;

use super::pulse;
use super::session::Link;
use crate::watchful::Watchful;
use std::time::Duration;
use targets::db::{Bounds, Connections, Facts, Inspection, Result, Section, Talker};

/// Files up to this size are read whole.
const READ: u64 = 64 << 20;

/// Looks at everything.
pub(super) fn look(link: &mut Link, bounds: &Bounds) -> Result<Inspection> {
    let watch = Watchful::begin(bounds);
    let mut all = Inspection::of(link.server()?);
    let small = all.server.bytes <= READ;
    let schema = link.schema()?;
    all.disk = match pulse::disk(link.path()) {
        Some(disk) => Section::Known(disk),
        None => Section::Absent,
    };
    let pages = within(link, &watch, |link| objects::pages(link, small));
    let told = within(link, &watch, |link| objects::tables(link, &schema, pages.as_ref().ok()));
    all.tables = Section::of(told)?;
    let told = within(link, &watch, |link| objects::indexes(link, &schema, pages.as_ref().ok()));
    all.indexes = Section::of(told)?;
    all.references = Section::Known(objects::references(&schema));
    let told = within(link, &watch, |link| file::describe(link, &schema, small));
    if let Ok(file) = &told {
        all.connections = Section::Known(connected(&file.users));
    }
    all.file = Section::of(told)?;
    Ok(all)
}

/// One part, no longer than it may take.
fn within<T>(link: &mut Link, watch: &Watchful, part: impl FnOnce(&mut Link) -> Result<T>) -> Result<T> {
    link.allow(watch.part());
    let told = part(link);
    link.allow(Duration::ZERO);
    told
}

/// Processes stand for sessions.
fn connected(users: &[(i64, String)]) -> Connections {
    Connections {
        by_state: if users.is_empty() { Vec::new() } else { vec![("open".to_owned(), users.len() as u64)] },
        all: users.len() as u64,
        talkers: users
            .iter()
            .map(|(pid, name)| Talker {
                pid: *pid,
                application: name.clone(),
                state: "open".to_owned(),
                ..Talker::default()
            })
            .collect(),
        ..Connections::default()
    }
}
