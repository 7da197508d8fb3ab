//! From the id of a run, a point or a part of one to the request that puts it back, or brings its archived rows back.
//!
//! The log says which points a run has; without it, the points do that themselves. What is put back, and how, is decided by
//! the operations (`undo::PutBack`, `archive::RestoreArchive`).

use crate::backup::Backup;
use crate::engine::{Engine, new_id};
use crate::error::{Error, Failure};
use crate::plan::Undo;
use crate::request::{Manners, OperationRequest, Request, Severity, Trigger};
use crate::undo::{self, Point};

/// The kinds of the engine's own operations.
pub(crate) const UNDO: &str = "undo";
pub(crate) const RESTORE: &str = "restore-archive";

impl Engine {
    /// The request that puts an undo point back: that of a run (its id, a prefix, or `latest`), or `run.n` for the n-th
    /// operation of it. A run with several operations is put back in reverse order. Without the run in the log,
    /// the points themselves are searched: those of `database`, or of all.
    pub fn undo_request(&self, id: &str, database: Option<&str>, actor: &str) -> Result<Request, Failure> {
        if let Some((point, batch)) = undo::parse_scope_id(id) {
            return self.undo_scope_request(point, batch, database, actor);
        }
        let (prefix, _) = undo::parse_point_id(id);
        let state = self.state()?;
        let mut operations = Vec::new();
        match state.runs_like(prefix)?.is_empty() {
            false => {
                let run = state.find_run(prefix)?;
                let record = state.run(&run)?;
                let report = record.report();
                let one = id.contains('.').then(|| undo::parse_point_id(id).1);
                let mut before = Vec::new();
                for (n, done) in report.operations.iter().enumerate().rev() {
                    let point = undo::point_id(&run, n);
                    if one.is_some_and(|one| one != n) {
                        continue;
                    }
                    // The log of a run that died may end before the batches that were committed.
                    let died = !done.dry_run && !done.status.is_over();
                    let remembered = done.undo_id.is_some()
                        || (died && self.undo_points(&done.database)?.iter().any(|known| known.id == point));
                    if !remembered {
                        continue;
                    }
                    operations.push(match &record.plan.items[n].undo {
                        Undo::Archive { store } => restore_operation(store, &point, None, &done.database),
                        _ => undo_operation(&point, &before, &done.database),
                    });
                    before.push(point);
                }
                // The newest run has changed nothing, and the log may not know the one that has.
                if id == "latest" && operations.is_empty() && report.totals.rows() == 0 {
                    operations = self.undo_without_log(id, database)?;
                }
            }
            true => operations = self.undo_without_log(id, database)?,
        }
        if operations.is_empty() {
            return Err(Error::usage(format!("run `{id}` changed nothing that could be put back"))
                .help("`sexton undo list` shows what can")
                .into());
        }
        Ok(own_request(operations, actor))
    }

    /// The same from the undo points alone, when the log does not know the run: it was lost, or is another one. The points
    /// lie in the databases themselves (W-115).
    fn undo_without_log(&self, id: &str, database: Option<&str>) -> Result<Vec<OperationRequest>, Failure> {
        let names = database.map_or_else(|| self.database_names(), |name| vec![name.to_owned()]);
        let mut points: Vec<(String, Point)> = Vec::new();
        for name in names {
            match self.undo_points(&name) {
                Ok(known) => points.extend(known.into_iter().map(|point| (name.clone(), point))),
                // One that cannot be reached does not hide the others.
                Err(failure) if database.is_some() => return Err(failure),
                Err(_) => {}
            }
        }
        let run_of = |point: &Point| undo::parse_point_id(&point.id).0.to_owned();
        if id == "latest" {
            points.retain(|(_, point)| point.state == undo::PointState::Open);
            let newest =
                points.iter().max_by_key(|(_, point)| point.created_at).map(|(_, point)| run_of(point));
            points.retain(|(_, point)| Some(run_of(point)) == newest);
        } else if points.iter().any(|(_, point)| point.id == id) && id.contains('.') {
            points.retain(|(_, point)| point.id == id);
        } else {
            points.retain(|(_, point)| run_of(point).starts_with(id));
        }
        let mut runs: Vec<String> = points.iter().map(|(_, point)| run_of(point)).collect();
        runs.sort();
        runs.dedup();
        match runs.as_slice() {
            [] => {
                let what = if id == "latest" {
                    "there is nothing to undo".to_owned()
                } else {
                    format!("there is no run and no undo point `{id}`")
                };
                return Err(Error::usage(what).help("`sexton undo list` shows what can be put back").into());
            }
            [_] => {}
            several => {
                return Err(Error::usage(format!("`{id}` could be {}", several.join(" or ")))
                    .help("give more letters")
                    .into());
            }
        }
        // The last operation first, as with the log.
        points.sort_by_key(|(_, point)| std::cmp::Reverse(undo::parse_point_id(&point.id).1));
        let mut before = Vec::new();
        let mut operations = Vec::new();
        for (name, point) in points {
            operations.push(undo_operation(&point.id, &before, &name));
            before.push(point.id);
        }
        Ok(operations)
    }

    /// The same for one scope of a run: `run-3` or `run.2-3`.
    fn undo_scope_request(
        &self,
        point: &str,
        batch: i64,
        database: Option<&str>,
        actor: &str,
    ) -> Result<Request, Failure> {
        let (prefix, n) = undo::parse_point_id(point);
        let state = self.state()?;
        let (point, database) = match (state.find_run(prefix), database) {
            (Ok(run), _) => {
                let items = state.run(&run)?.plan.items;
                let item = items.get(n).ok_or_else(|| {
                    Error::usage(format!("run `{run}` has no operation {}", n + 1))
                        .help("`sexton undo list` shows what can be put back")
                })?;
                (undo::point_id(&run, n), item.operation.database.clone())
            }
            (Err(_), Some(database)) => (point.to_owned(), database.to_owned()),
            (Err(error), None) => return Err(error.into()),
        };
        let id = undo::scope_id(&point, batch);
        Ok(own_request(vec![undo_operation(&id, &[], &database)], actor))
    }

    /// The request that brings archived rows back into `database`: those of one operation of a run, found in a store by
    /// the run's id, with or without the run in the log.
    pub fn restore_request(
        &self,
        store: &str,
        run: &str,
        table: Option<&str>,
        database: &str,
        actor: &str,
    ) -> Request {
        own_request(vec![restore_operation(store, run, table, database)], actor)
    }

    /// The same for rows taken from a backup. They are new to the database, so that they can be taken away again.
    pub(crate) fn rows_request(&self, store: &str, run: &str, backup: &Backup, actor: &str) -> Request {
        let options = serde_json::json!({ "store": store, "run": run, "undoable": true });
        let title = format!("Bring back rows of the backup {}", backup.id);
        let name = format!("restore {run}");
        own_request(vec![own_operation(name, RESTORE, title, &backup.database, options)], actor)
    }
}

fn own_request(operations: Vec<OperationRequest>, actor: &str) -> Request {
    Request {
        operations,
        dry_run: false,
        actor: actor.to_owned(),
        trigger: Trigger::Cli,
        correlation_id: new_id(),
        force: false,
        go_on: false,
        max_parallel: 1,
    }
}

fn undo_operation(point: &str, after: &[String], database: &str) -> OperationRequest {
    let title = format!("Put back what {point} changed");
    let options = serde_json::json!({ "point": point, "after": after });
    own_operation(format!("undo {point}"), UNDO, title, database, options)
}

fn restore_operation(store: &str, point: &str, table: Option<&str>, database: &str) -> OperationRequest {
    let options = serde_json::json!({ "store": store, "run": point, "table": table });
    let title = format!("Bring back what {point} archived");
    own_operation(format!("restore {point}"), RESTORE, title, database, options)
}

fn own_operation(
    name: String,
    kind: &str,
    title: String,
    database: &str,
    options: serde_json::Value,
) -> OperationRequest {
    OperationRequest {
        name,
        kind: kind.to_owned(),
        title,
        database: database.to_owned(),
        severity: Severity::Low,
        backup: false,
        options,
        manners: Manners::default(),
        needs: Vec::new(),
        verifies: Vec::new(),
        expected_seconds: None,
    }
}
