//! A SQLite file: its journal, its free pages, its references.

use super::{Found, MANY_ROWS, MEGABYTE, percent};
use engine::words::{bytes, count, of};
use targets::db::{FileFacts, Inspection};

pub fn judge(all: &Inspection, found: &mut Found) {
    let Some(file) = all.file.known() else { return };
    log(file, all, found);
    references(file, all, found);
    let free = file.free_pages * file.page_size;
    if free > 16 * MEGABYTE && percent(file.free_pages, file.pages) >= 25 {
        let remedy = match file.auto_vacuum.as_str() {
            "incremental" => "pragma incremental_vacuum",
            _ => {
                "once, at a quiet time, with twice its size free: pragma auto_vacuum = incremental; vacuum; from then on the file \
                  gives space back in slices"
            }
        };
        found.note(
            17,
            "free_pages",
            "the file",
            format!(
                "holds {} of free pages, {} % of it; new rows fill them",
                bytes(free),
                percent(file.free_pages, file.pages)
            ),
            remedy,
        );
    }
    if file.page_size > 0 && file.page_size < 4_096 {
        found.note(
            5,
            "page_size",
            "the file",
            format!(
                "has pages of {} bytes, the default of long ago: its trees are deeper than they need be",
                file.page_size
            ),
            "pragma page_size = 4096; vacuum (not while it is in WAL mode)",
        );
    }
    let large = all.tables.known().into_iter().flatten().any(|table| table.rows.unwrap_or(0) >= MANY_ROWS);
    let several =
        all.indexes.known().is_some_and(|indexes| indexes.iter().any(|index| index.constraint.is_none()));
    if !file.analyzed && large && several {
        found.warn(
            40,
            "never_analyzed",
            "the file",
            "was never analysed: the planner does not know which of several indexes finds fewer rows",
            "pragma optimize at the end of each connection, or once: analyze",
        );
    }
}

fn log(file: &FileFacts, all: &Inspection, found: &mut Found) {
    let who = |list: &[(i64, String)]| {
        let names: Vec<String> = list.iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
        names.join(", ")
    };
    if file.wal_bytes > (64 * MEGABYTE).max(all.server.bytes / 2) {
        let pinned = match file.readers.as_slice() {
            [] => "nobody reads from it now".to_owned(),
            readers => format!("{} read from it and keep it from being taken up", who(readers)),
        };
        found.warn(
            56,
            "wal_large",
            "the write-ahead log",
            format!("has {} beside a file of {}; {pinned}", bytes(file.wal_bytes), bytes(all.server.bytes)),
            "end long reads, then: pragma wal_checkpoint(passive); keep it short: pragma journal_size_limit = 67108864",
        );
    }
    if file.journal_mode == "off" || file.journal_mode == "memory" {
        found.warn(
            89,
            "journal_mode",
            "journal_mode",
            format!("is `{}`: a crash in the middle of a write damages the file", file.journal_mode),
            "pragma journal_mode = wal",
        );
    } else if file.journal_mode != "wal" {
        found.note(
            8,
            "journal_mode",
            "journal_mode",
            format!(
                "is `{}`: who reads makes writers wait, and who writes makes readers wait",
                file.journal_mode
            ),
            "pragma journal_mode = wal (kept in the file; not on a network disk)",
        );
    }
}

fn references(file: &FileFacts, all: &Inspection, found: &mut Found) {
    let declared = all.references.known().map_or(0, Vec::len);
    for (table, parent, broken) in file.violations.iter().flatten() {
        found.warn(
            64,
            "orphans",
            table,
            format!("{} to rows of `{parent}` that are not there; SQLite checks references only where a connection asks", of(*broken, "row refers", "rows refer")),
            "see what to do with them: sexton orphans scan; and let every connection of the application begin with: pragma foreign_keys = on",
        );
    }
    if file.violations.is_none() && declared > 0 {
        found.note(
            2,
            "unchecked",
            "references",
            format!(
                "{} declared references were not looked up: the file is large, or it took too long",
                count(declared as u64)
            ),
            "sexton check --integrity false",
        );
    }
}
