//! What a run does beside its batches: counts its undo rows, lists its archives, forgets what has expired, and brings
//! the log up to the checkpoint. The order in which these happen is in `run`.

use crate::archive::Manifest;
use crate::checkpoint::Checkpoint;
use crate::error::{Failure, chain};
use crate::event::{Counts, What};
use crate::finding::Finding;
use crate::plan::{Item, Undo};
use crate::retry;
use crate::run::Run;
use crate::undo::{self, Point};
use crate::words::{count, rows};
use targets::db::{Facts, Limits, Session, Sql};

impl Run<'_, '_> {
    /// Makes Sexton's own tables where they are missing, and waits for others as a batch does; whether it made them.
    pub(crate) fn install(
        &mut self,
        n: usize,
        session: &mut dyn Session,
        limits: &Limits,
    ) -> Result<bool, Failure> {
        let mut waits = retry::waits(retry::USUAL);
        let mut attempt = 1;
        loop {
            let error = match undo::install(session, limits) {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            if !retry::may_retry(error.class) {
                return Err(error.into());
            }
            let Some(wait) = waits.next() else { return Err(name_the_blocker(error.into(), session)) };
            attempt += 1;
            self.log(n, What::Retried { error: chain(&error), attempt })?;
            self.engine.clock().sleep(wait);
        }
    }

    /// The undo rows are counted: as many as rows were deleted or changed.
    pub(crate) fn everything_remembered(
        &self,
        item: &Item,
        point: &str,
        counts: &[Counts],
        facts: &mut dyn Facts,
    ) -> Result<Vec<Finding>, Failure> {
        if !matches!(item.undo, Undo::Rows { .. }) {
            return Ok(Vec::new());
        }
        let mut remembered = 0;
        let tables = undo::read_point(facts, point)?.map(|point| point.tables).unwrap_or_default();
        // Added rows are copies of what is counted already.
        for table in tables.iter().filter(|table| table.change != undo::Change::Insert) {
            remembered += facts.count(&Sql::new("select count(*) from ").table(&table.undo.name))?;
        }
        remembered += undo::count_moved(facts, point)?
            + undo::count_alone(facts, point)?
            + undo::count_dropped(facts, point)?;
        let done: u64 = counts.iter().map(|counts| counts.deleted + counts.changed + counts.dependants).sum();
        if remembered == done {
            return Ok(Vec::new());
        }
        Ok(vec![Finding::warning(
            "undo_rows",
            point,
            format!("deleted or changed: {}, but remembered: {}", rows(done), count(remembered)),
            "somebody else wrote to the undo tables: keep a backup before undoing",
        )])
    }

    /// What was told about the batches of an operation so far.
    pub(crate) fn details(&self, n: usize) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        for event in self.journal.events().iter().filter(|event| event.item == Some(n)) {
            match &event.what {
                What::Advanced { detail: Some(serde_json::Value::Array(several)), .. } => {
                    all.extend(several.iter().cloned())
                }
                What::Advanced { detail: Some(one), .. } => all.push(one.clone()),
                What::BeganAgain { .. } => all.clear(),
                _ => {}
            }
        }
        all
    }

    /// How many seconds each step took, over all attempts; what lies between two of them is nobody's.
    pub(crate) fn took(&self, n: usize, steps: usize) -> Vec<f64> {
        let (mut took, mut step, mut last) = (vec![0.0; steps], 0, None);
        for event in self.journal.events().iter().filter(|event| event.item == Some(n)) {
            let since: Option<jiff::Timestamp> = last.replace(event.at);
            match (&event.what, since) {
                (What::Started { .. }, _) | (_, None) => continue,
                (What::Advanced { step: at, .. } | What::StepDone { step: at }, _) => step = *at,
                _ => {}
            }
            if let (Some(since), Some(took)) = (since, took.get_mut(step)) {
                *took += crate::report::seconds_between(since, event.at);
            }
        }
        took
    }

    /// Forgets undo points whose time is over, and exemptions of rows that are gone; the undo points that are left. A failure
    /// to forget must not keep the run from its work.
    pub(crate) fn forget_expired(
        &self,
        session: &mut dyn Session,
        limits: &Limits,
    ) -> Result<Vec<Point>, Failure> {
        let now = self.engine.clock().now();
        if let Some(found) = &self.doubt {
            tracing::warn!(found.what, "no undo point is forgotten for its age");
            return Ok(undo::points(session)?);
        }
        let is_over = |point: &Point| point.expires_at.is_some_and(|until| until <= now);
        let (expired, mut left): (Vec<_>, Vec<_>) = undo::points(session)?.into_iter().partition(is_over);
        if let Err(error) = undo::forget_gone(session, limits) {
            tracing::warn!(%error, "exemptions of rows that are gone cannot be ended");
        }
        for point in expired {
            let dropped = undo::discard_files(session, self.engine.stores(), limits, &point.id)
                .and_then(|()| undo::drop_point(session, limits, &point));
            match dropped {
                Ok(()) => tracing::info!(point = %point.id, "undo point expired and was forgotten"),
                Err(error) => {
                    tracing::warn!(point = %point.id, %error, "an expired undo point cannot be forgotten");
                    left.push(point);
                }
            }
        }
        Ok(left)
    }

    /// Where nothing is to be put back, files that were set aside are removed at the end of the run.
    pub(crate) fn discard_at_once(
        &self,
        item: &Item,
        point: &str,
        session: &mut dyn Session,
        limits: &Limits,
    ) -> Option<Finding> {
        if item.undo != Undo::Nothing {
            return None;
        }
        let error = undo::discard_files(session, self.engine.stores(), limits, point).err()?;
        Some(Finding::warning(
            "quarantine_left",
            point,
            format!("files that were set aside could not be removed: {error}"),
            format!("remove the folder `{}/{point}` of the store", crate::quarantine::QUARANTINE),
        ))
    }

    /// The list of the archive files of this operation, chained, beside the files themselves.
    pub(crate) fn write_manifests(
        &mut self,
        item: &Item,
        point: &str,
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        let mut manifests: Vec<(String, Manifest)> = Vec::new();
        for file in undo::archived_files(session, point)? {
            let known = manifests
                .iter()
                .position(|(store, manifest)| *store == file.store && *manifest.table() == file.table);
            let n = known.unwrap_or_else(|| {
                let name = &item.operation.name;
                manifests.push((file.store.clone(), Manifest::new(name, &file.table, point)));
                manifests.len() - 1
            });
            manifests[n].1.add(file.written);
        }
        for (store, manifest) in &manifests {
            manifest.write(self.engine.stores().store(store)?.as_ref())?;
        }
        Ok(())
    }

    /// A death between a commit and its event leaves the log behind the checkpoint, which is the truth.
    pub(crate) fn catch_up(
        &mut self,
        n: usize,
        checkpoint: &Checkpoint,
        point: Option<&Point>,
    ) -> Result<(), Failure> {
        let mut missing = checkpoint.counts.clone();
        let mut newest = 0;
        let mut known = vec![Counts::default(); missing.len()];
        for event in self.journal.events().iter().filter(|event| event.item == Some(n)) {
            if let What::Advanced { batch, .. } = &event.what {
                newest = *batch as i64;
            }
            if let What::Advanced { step, counts, .. } = &event.what
                && let (Some(left), Some(known)) = (missing.get_mut(*step), known.get_mut(*step))
            {
                *left = left.without(counts);
                known.add(counts);
            }
            if let What::BeganAgain { .. } = &event.what {
                missing = checkpoint.counts.clone();
                known.fill(Counts::default());
            }
        }
        // The process died before it could say that what was done counts for nothing.
        if known.iter().zip(&checkpoint.counts).any(|(known, there)| known.rows() > there.rows()) {
            self.log(n, What::BeganAgain { reason: "an earlier attempt said so".to_owned() })?;
            missing = checkpoint.counts.clone();
        }
        // What the lost events told is kept with the undo points of their scopes.
        let scopes = point.map(|point| point.scopes.as_slice()).unwrap_or_default();
        let told: Vec<_> = scopes
            .iter()
            .filter(|scope| scope.batch > newest)
            .filter_map(|scope| scope.detail.clone())
            .collect();
        let mut detail = (!told.is_empty()).then(|| told.into());
        for (step, counts) in missing.into_iter().enumerate() {
            if counts != Counts::default() {
                let detail = detail.take();
                self.log(n, What::Advanced { step, batch: checkpoint.batch, counts, seconds: 0.0, detail })?;
            }
        }
        Ok(())
    }
}

/// An error that is given up on, with whoever most likely stands in the way (S1-070).
pub(crate) fn name_the_blocker(failure: Failure, facts: &mut dyn Facts) -> Failure {
    let Failure::Error(error) = failure else { return failure };
    let help = match facts.pulse().ok().and_then(|pulse| pulse.oldest) {
        Some(other) => format!(
            "the oldest open transaction is pid {} ({}, {:.0} s): {}; end it with `select pg_terminate_backend({})`, or \
             allow more time with `--lock-timeout` and `--statement-timeout`",
            other.pid, other.state, other.seconds, other.query, other.pid
        ),
        None => error.help.clone().unwrap_or_else(|| {
            "see what else uses the database, then `sexton resume`; smaller batches (`--batch-size 100`), a longer limit \
             (`--lock-timeout`, `--statement-timeout`) or quieter hours help"
                .to_owned()
        }),
    };
    Failure::Error(error.help(help))
}
