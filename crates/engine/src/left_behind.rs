//! Files that a batch moved and never told of, because its process or its database died before the commit: such a move
//! did not happen, so it is taken back.
//!
//! What was to be moved stands in the manifests of the quarantine, which are written before any move; what was committed
//! stands in the database. A run that is resumed adopts its own files instead. Runs of others are left alone: they may be
//! those of another database over the same store.

use crate::error::{Failure, Result};
use crate::event::What;
use crate::operation::Operation;
use crate::plan::Item;
use crate::quarantine::{QUARANTINE, place_of};
use crate::resume::statuses_of;
use crate::run::Run;
use crate::undo;
use crate::words::{count, either};
use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead as _, BufReader};
use targets::db::Session;
use targets::files::{Files, Moved, Sort, failed};

/// What became of the files of one undo point.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    /// How many are where they were.
    pub back: u64,
    /// Those that are not, and why.
    pub stuck: Vec<String>,
}

impl Run<'_, '_> {
    /// Takes back what other runs of this database moved and never committed. The right to maintain the database is ours, so none
    /// of them is at work. A failure here must not keep the run from its work.
    pub(crate) fn take_back_files(
        &mut self,
        n: usize,
        item: &Item,
        operation: &dyn Operation,
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        let mut stores: BTreeSet<String> = operation.stores().into_iter().collect();
        stores.extend(undo::stores_with_files(session)?);
        if stores.is_empty() {
            return Ok(());
        }
        let known: HashSet<String> = undo::points(session)?.into_iter().map(|point| point.id).collect();
        for name in stores {
            let looked = self
                .engine
                .stores()
                .store(&name)
                .and_then(|store| Ok((quarantined_points(store.as_ref())?, store)));
            let (points, store) = match looked {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::warn!(store = %name, %error, "the quarantine cannot be looked at");
                    continue;
                }
            };
            for point in points {
                let (run, _) = undo::parse_point_id(&point);
                if run == self.id || !(known.contains(&point) || self.is_unfinished(&point, item)) {
                    continue;
                }
                let listed = undo::moved_names(session, &point, &name)?;
                match take_back(store.as_ref(), &point, &listed) {
                    Ok(taken) => {
                        if let Some(text) = told(&taken, &point) {
                            self.log(n, What::Noted { text })?;
                        }
                        if listed.is_empty() && taken.stuck.is_empty() {
                            let _ = store.remove_tree(&format!("{QUARANTINE}/{point}"));
                        }
                    }
                    Err(error) => tracing::warn!(%point, %error, "files of a dead run cannot be put back"),
                }
            }
        }
        Ok(())
    }

    /// Whether the log knows it as an operation on the same database that did not come to its end.
    fn is_unfinished(&self, point: &str, item: &Item) -> bool {
        let (run, n) = undo::parse_point_id(point);
        let Ok(record) = self.engine.state().and_then(|state| Ok(state.run(run)?)) else { return false };
        let status = statuses_of(&record.plan, &record.events).get(n).copied();
        let same = |own: &Item| own.operation.database == item.operation.database;
        record.plan.items.get(n).is_some_and(same)
            && status.is_some_and(|status| status.can_resume() || !status.is_over())
    }
}

fn told(taken: &TakenBack, point: &str) -> Option<String> {
    let TakenBack { back, stuck } = taken;
    match (back, stuck.first()) {
        (0, None) => None,
        (0, Some(first)) => Some(format!(
            "{} of run {point} could not be put back, such as {first}",
            count(stuck.len() as u64)
        )),
        (back, first) => {
            let but = first.map(|first| format!(", but {} not, such as {first}", stuck.len()));
            let was = either(*back, "file or folder", "files and folders");
            Some(format!(
                "put back {} {was} that run {point} had moved and not committed{}",
                count(*back),
                but.unwrap_or_default()
            ))
        }
    }
}

/// The undo points whose folders are in the quarantine of a store.
pub fn quarantined_points(store: &dyn Files) -> Result<Vec<String>> {
    let mut points = Vec::new();
    store.walk(QUARANTINE, &mut |name, about| {
        if about.is_ok_and(|about| about.sort == Sort::Folder)
            && let Some(point) = name.strip_prefix(QUARANTINE).and_then(|name| name.strip_prefix('/'))
        {
            points.push(point.to_owned());
        }
        Ok(false)
    })?;
    points.sort();
    Ok(points)
}

/// Moves back what the manifests of a point name, the database does not, and the quarantine holds. Nothing is overwritten.
pub(crate) fn take_back(store: &dyn Files, point: &str, listed: &HashSet<String>) -> Result<TakenBack> {
    let mut taken = TakenBack::default();
    let mut moved = Vec::new();
    for manifest in store.list(&format!("{QUARANTINE}/{point}/manifest-"))? {
        for line in BufReader::new(store.open(&manifest.name)?).lines() {
            let doing = || format!("cannot read `{}` in `{}`", manifest.name, store.label());
            let line = line.map_err(|error| failed(&doing(), error))?;
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let Some(name) = line["path"].as_str().filter(|name| !listed.contains(*name)) else { continue };
            let waits = place_of(point, name);
            if store.look(&waits)?.is_none() {
                continue;
            }
            match store.move_to(&waits, name) {
                Ok(Moved::Done) => {
                    taken.back += 1;
                    moved.extend([waits, name.to_owned()]);
                }
                Ok(Moved::Missing) => {}
                Ok(Moved::Taken) => taken.stuck.push(format!("`{name}`: its name is taken again")),
                Err(error) => taken.stuck.push(format!("`{name}`: {error}")),
            }
        }
    }
    store.settle(&moved.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(taken)
}
