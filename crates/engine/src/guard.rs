//! Guards: what the engine itself checks before every run, whatever the kind.
//!
//! A guard only looks. Each finding says what was found and what to do; those of level `refuse` stop the run
//! unless a person forces it, and some cannot be forced.

use crate::clock_guard::{self, Trace};
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::Item;
use crate::window::Window;
use jiff::Timestamp;
use targets::db::{Pulse, Server};

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
    /// What the clock shows; later than `now` for a plan that was stored.
    pub clock: Timestamp,
    /// When the clock was believed last.
    pub believed: Option<Timestamp>,
    /// The newest trace of an earlier moment.
    pub trace: Option<Trace>,
}

/// All findings of the engine's own guards.
pub fn findings(scene: &Scene) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    role(scene, &mut all);
    all.extend(clock_guard::findings(scene));
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

fn window(scene: &Scene, all: &mut Vec<Finding>) -> Result<()> {
    let manners = &scene.item.operation.manners;
    let Some(text) = &manners.window else { return Ok(()) };
    if !Window::parse(text, &manners.window_zone)?.is_open(scene.clock) {
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
    use jiff::SignedDuration;

    const DAY_US: i64 = 86_400_000_000;

    fn codes(clock: Timestamp, server: &Server, believed: Option<Timestamp>) -> Vec<String> {
        let trace = server.written_us.map(|us| Timestamp::from_microsecond(us).unwrap());
        let trace = trace.map(|at| Trace { at, what: "the newest change of the file" });
        let (item, pulse) = (item(), Pulse::default());
        let scene = Scene { server, pulse: &pulse, item: &item, now: clock, clock, believed, trace };
        findings(&scene).unwrap().into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_clock_ten_years_ahead_is_refused() {
        // W-124
        let server = Server { clock_us: 1_790_000_000_000_000, engine: "sqlite".into(), ..Server::default() };
        let now = Timestamp::from_microsecond(server.clock_us + 3_650 * DAY_US).unwrap();
        assert_eq!(codes(now, &server, None), ["clock"]);
    }

    #[test]
    fn a_clock_ten_years_ahead_is_refused_also_where_the_database_has_the_same_one() {
        // W-124
        let then = Timestamp::from_microsecond(1_790_000_000_000_000).unwrap();
        let now = then + SignedDuration::from_hours(24 * 3_650);
        let mut server =
            Server { clock_us: now.as_microsecond(), engine: "sqlite".into(), ..Server::default() };
        assert_eq!(codes(now, &server, Some(then)), ["clock"]);
        assert_eq!(codes(now, &server, Some(now)), Vec::<String>::new());
        assert_eq!(codes(now, &server, None), Vec::<String>::new());
        server.written_us = Some(then.as_microsecond());
        assert_eq!(codes(now, &server, None), ["clock"], "the file is that old");
    }

    #[test]
    fn a_server_older_than_twelve_is_refused_whatever_is_forced() {
        let now = Timestamp::from_microsecond(1_790_000_000_000_000).unwrap();
        for (version, refused) in [(110_022, true), (120_000, false), (170_002, false)] {
            let server = Server {
                clock_us: now.as_microsecond(),
                engine: "postgresql".into(),
                version: "some".into(),
                version_number: version,
                ..Server::default()
            };
            let (item, pulse) = (item(), Pulse::default());
            let scene = Scene {
                server: &server,
                pulse: &pulse,
                item: &item,
                now,
                clock: now,
                believed: None,
                trace: None,
            };
            let found = findings(&scene).unwrap();
            assert_eq!(found.iter().any(|found| found.code == "version" && !found.forcible), refused);
        }
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
