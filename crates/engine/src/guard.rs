//! Guards: what the engine itself checks before every run, whatever the kind.
//!
//! A guard only looks. Each finding says what was found and what to do; those of level `refuse` stop the run
//! unless a person forces it, and some cannot be forced.

use crate::error::Result;
use crate::finding::Finding;
use crate::plan::Item;
use crate::window::Window;
use jiff::Timestamp;
use targets::db::{Pulse, Server};

const DAY_US: i64 = 86_400_000_000;
/// A table of fewer rows may lose a large share of them without anybody having to worry.
const SMALL: u64 = 100;

/// What guards look at.
pub struct Scene<'a> {
    /// What the server says about itself.
    pub server: &'a Server,
    /// Its present state.
    pub pulse: &'a Pulse,
    /// The plan of the operation.
    pub item: &'a Item,
    /// The moment all ages are measured from.
    pub now: Timestamp,
    /// When the newest run in the log began.
    pub newest_run: Option<Timestamp>,
}

/// All findings of the engine's own guards.
pub fn findings(scene: &Scene) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    role(scene, &mut all);
    clock(scene, &mut all);
    window(scene, &mut all)?;
    disk(scene, &mut all);
    old_transactions(scene, &mut all);
    share(scene, &mut all);
    Ok(all)
}

fn role(scene: &Scene, all: &mut Vec<Finding>) {
    let server = scene.server;
    if server.read_only {
        all.push(Finding::forbid(
            "read_only",
            &server.database,
            "the database cannot be written: it is a standby, or a read-only file",
            "connect to the primary server, or give this user the right to write the file",
        ));
    } else if let Some(allow) = &server.lacks {
        all.push(Finding::forbid(
            "permission",
            &server.database,
            "this user may not write what every run needs: Sexton's own tables, or files beside the database",
            format!("let someone who may run `{allow}`"),
        ));
    }
    let oldest = if server.engine == "postgresql" { 120_000 } else { 0 };
    if server.version_number < oldest {
        all.push(Finding::forbid(
            "version",
            &server.database,
            format!("server version {} is older than 12", server.version),
            "upgrade the server",
        ));
    }
}

/// A wrong clock makes everything too old (W-124).
fn clock(scene: &Scene, all: &mut Vec<Finding>) {
    let now = scene.now.as_microsecond();
    let apart = (now - scene.server.clock_us).abs();
    if apart > DAY_US {
        all.push(Finding::refuse(
            "clock",
            &scene.server.database,
            format!("our clock and the database's are {} days apart", apart / DAY_US),
            "set the clock of this machine right; ages are measured from it",
        ));
    }
    all.extend(newer_run(&scene.server.database, scene.now, scene.newest_run));
}

/// A log that is ahead of the clock says that the clock went back, or was ahead then.
pub fn newer_run(database: &str, now: Timestamp, newest: Option<Timestamp>) -> Option<Finding> {
    let newest = newest.filter(|newest| newest.as_microsecond() > now.as_microsecond() + DAY_US / 24)?;
    Some(Finding::refuse(
        "clock",
        database,
        format!("the newest run in the log began in the future, at {newest}"),
        "set the clock of this machine right; ages are measured from it",
    ))
}

fn window(scene: &Scene, all: &mut Vec<Finding>) -> Result<()> {
    let manners = &scene.item.operation.manners;
    let Some(text) = &manners.window else { return Ok(()) };
    if !Window::parse(text, &manners.window_zone)?.is_open(scene.now) {
        all.push(Finding::refuse(
            "window",
            &scene.item.operation.name,
            format!("it is outside the maintenance window {text} ({})", manners.window_zone),
            "wait for the window, or use `--force`",
        ));
    }
    Ok(())
}

fn disk(scene: &Scene, all: &mut Vec<Finding>) {
    const MB: u64 = 1 << 20;
    let undo = match scene.item.undo {
        crate::plan::Undo::Rows { bytes, .. } => bytes.unwrap_or(0),
        _ => 0,
    };
    let least = scene.item.operation.manners.min_free_disk_mb * MB;
    let Some(free) = scene.pulse.free_disk_bytes else { return };
    // Undo rows are written twice: to the table and to the write-ahead log.
    if free < least + 2 * undo {
        all.push(Finding::refuse(
            "disk",
            &scene.server.database,
            format!("{} MB are free, {} MB are needed", free / MB, (least + 2 * undo) / MB),
            "free space on the database's disk, keep undo rows in an archive (`undo = \"archive\"`), or use `--force`",
        ));
    }
}

fn old_transactions(scene: &Scene, all: &mut Vec<Finding>) {
    let Some(oldest) = &scene.pulse.oldest else { return };
    if oldest.seconds > scene.item.operation.manners.old_transaction {
        let blocked = match oldest.blocked_by.as_slice() {
            [] => String::new(),
            pids => format!(", blocked by {pids:?}"),
        };
        all.push(Finding::warning(
            "old_transaction",
            format!("pid {}", oldest.pid),
            format!("a transaction is open for {:.0} s ({}{blocked}): {}", oldest.seconds, oldest.state, oldest.query),
            format!(
                "see what it waits for; `select pg_terminate_backend({})` ends it, else space cannot be reused",
                oldest.pid
            ),
        ));
    }
}

/// A rule that suddenly hits a large part of a table is more often wrong than right (W-124).
fn share(scene: &Scene, all: &mut Vec<Finding>) {
    let most = scene.item.operation.manners.max_percent;
    for step in &scene.item.steps {
        let Some(total) = step.total.filter(|total| *total > 0) else { continue };
        let percent = 100.0 * step.matched as f64 / total as f64;
        if step.matched >= SMALL && percent > most {
            all.push(Finding::refuse(
                "share_of_rows",
                &step.object,
                format!(
                    "{} of {} rows would go ({}, the limit is {most} %)",
                    step.matched,
                    total,
                    shown(percent, most)
                ),
                "look at the plan; if it is right, allow it with `--max-percent 100`, or with `--force`",
            ));
        }
    }
}

/// As short as it can be said without looking like the limit itself.
fn shown(percent: f64, limit: f64) -> String {
    if percent.round() > limit { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_ten_years_ahead_is_refused() {
        // W-124
        let server = Server { clock_us: 1_790_000_000_000_000, engine: "sqlite".into(), ..Server::default() };
        let now = Timestamp::from_microsecond(server.clock_us + 3_650 * DAY_US).unwrap();
        let item = item();
        let pulse = Pulse::default();
        let found =
            findings(&Scene { server: &server, pulse: &pulse, item: &item, now, newest_run: None }).unwrap();
        assert_eq!(found.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["clock"]);
    }

    fn item() -> Item {
        let operation = crate::request::OperationRequest {
            name: "logs".into(),
            kind: "purge".into(),
            title: "Logs".into(),
            database: "main".into(),
            severity: Default::default(),
            backup: false,
            options: serde_json::Value::Null,
            manners: Default::default(),
            needs: vec![],
            verifies: vec![],
            expected_seconds: None,
        };
        Item::of(&operation, "sqlite")
    }
}
