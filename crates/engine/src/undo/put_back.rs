//! Putting back what an operation removed or changed: parents before children, by row, nothing overwritten.
//!
//! A range of undo rows goes back in one statement. If the database refuses it, the range is halved until the rows
//! that cannot go back are known one by one; those are written down as conflicts, with the database's reason, and
//! can be tried again later. Progress belongs to the undo point, so an interrupted undo goes on where it stopped.

use super::backwards::{self, Backwards};
use super::conflicts::{conflicts, positions, reported_conflicts};
use super::files_back::{self, FileTask};
use super::from_archive::{self, Back};
use super::indexes::{self, IndexTask};
use super::made;
use super::order::{in_order, last_first, own_references, parents_come_later};
use super::parents::parents_missing;
use super::point::{Change, Point, PointState, Remembered, read_point, set_state};
use super::rows_back::{Task, put_back_range, try_again};
use super::scopes;
use super::written::{self, WrittenTask};
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Operation, Planned, Planning, Stores};
use crate::plan::{Step, Undo};
use crate::scopes::GivenUp;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{Command, Facts, Limits, Range, Schema, Sql, Table};

/// Puts one undo point back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PutBack {
    /// The undo point's id.
    pub point: String,
    /// The points that the same request puts back before it.
    #[serde(default)]
    pub after: Vec<String>,
}

impl Operation for PutBack {
    fn plan(&self, facts: &mut dyn Facts, _planning: &Planning) -> Result<Planned> {
        let Some(point) = read_point(facts, &self.point)? else {
            return Err(Error::usage(format!("there is no undo point `{}` in this database", self.point))
                .help("`sexton undo list` shows those there are"));
        };
        let mut planned = Planned { undo: Some(Undo::NotNeeded), ..Planned::default() };
        partly_back(&point, &mut planned.findings);
        if point.state == PointState::Used && point.scope.is_some() {
            return Err(Error::usage(format!("everything of `{}` was put back already", point.id))
                .help("`sexton undo list` shows what can be put back"));
        }
        if point.state == PointState::Used {
            planned.skipped = Some(format!("everything of `{}` was put back already", point.id));
            return Ok(planned);
        }
        let schema = facts.schema()?;
        newer_points(facts, &point, &self.after, &mut planned.findings)?;
        let stride = facts.dialect().undo_stride();
        let run = scopes::parse(&point.id).map_or(point.id.as_str(), |(run, _)| run).to_owned();
        let mut back = Vec::new();
        let backwards = backwards::needed(&point, &schema, facts)?;
        let ordered = if backwards { last_first(&point) } else { in_order(&point, &schema) };
        let mut tasks: Vec<(Task, u64)> = Vec::new();
        for remembered in ordered {
            if is_back(remembered, &run, &schema, facts, &mut planned.findings)? {
                back.push(remembered.source.to_string());
                continue;
            }
            let Some(table) = schema.table(&remembered.source) else {
                planned.findings.push(Finding::forbid(
                    "table_gone",
                    &remembered.source,
                    "the table no longer exists",
                    "make the table again, then undo; the rows are kept until the undo point expires",
                ));
                continue;
            };
            let columns = columns_left(remembered, table, &mut planned.findings);
            let retry = match point.state {
                PointState::Partly => {
                    Some(positions(facts.rows(&conflicts(&point.id, remembered.seq, facts.dialect()))?))
                }
                _ => None,
            };
            let matched = match &retry {
                Some(positions) => positions.len() as u64,
                None => facts.count(&scopes::rows_of(&remembered.undo, point.batch))?,
            };
            let (start, end) = scopes::span(facts, &remembered.undo, point.batch)?;
            let own_parents = remembered.change == Change::Delete && own_references(table).next().is_some();
            let task = Task {
                remembered: remembered.clone(),
                table: table.clone(),
                columns,
                start,
                end,
                batch: point.batch,
                stride,
                retry,
                own_parents,
                backwards: own_parents
                    && end - start > stride
                    && parents_come_later(remembered, table, facts)?,
                last: false,
            };
            warn_of_triggers(&task, &mut planned.findings);
            tasks.push((task, matched));
        }
        match backwards {
            true => planned.steps.extend(backwards::step(tasks, &point)),
            false => planned.steps.extend(tasks.iter().map(|(task, matched)| step(task, *matched))),
        }
        planned.steps.extend(written::steps(facts, &point.id, point.state)?);
        planned.steps.extend(files_back::steps(facts, &point.id, point.state)?);
        planned.steps.extend(indexes::steps(facts, &point.id, point.state)?);
        planned.outside = planned.steps.iter().any(|step| IndexTask::of(step).is_some());
        match planned.steps.last_mut() {
            Some(last) => last.task["last"] = true.into(),
            None if !back.is_empty() => {
                planned.skipped =
                    Some(format!("{} was brought back from the archive already", back.join(", ")));
            }
            None => {}
        }
        Ok(planned)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        _: u64,
        facts: &mut dyn Facts,
        _: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        match IndexTask::of(step) {
            Some(task) => indexes::aim(&task, cursor, facts),
            None => Ok(Some(cursor.clone())),
        }
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        IndexTask::of(step).map_or(Ok(None), |task| indexes::outside(&task, aim, limits))
    }

    fn passes_over(&self, step: &Step, _: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        IndexTask::of(step).map_or(Ok(None), |task| indexes::passes_over(&task, error))
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        if let Some(task) = IndexTask::of(step) {
            let batch = indexes::put_back(&task, aim, work, &self.point)?;
            if batch.next.is_none() && task.last {
                self.finish(None, work)?;
            }
            return Ok(batch);
        }
        if let Some(task) = FileTask::of(step) {
            let batch = files_back::put_back(&task, aim, rows, work, &self.point)?;
            if batch.next.is_none() && task.last {
                self.finish(None, work)?;
            }
            return Ok(batch);
        }
        if let Some(task) = WrittenTask::of(step) {
            let batch = written::take_away(&task, aim, rows, work, &self.point)?;
            if batch.next.is_none() && task.last {
                self.finish(None, work)?;
            }
            return Ok(batch);
        }
        if let Some(task) = Backwards::of(step) {
            let batch = task.put_back(aim, rows, work, &self.point)?;
            if batch.next.is_none() && task.last {
                self.finish(task.scope(), work)?;
            }
            return Ok(batch);
        }
        let task: Task = read_task(step)?;
        let at = aim.0.as_i64().unwrap_or(0);
        let mut counts = Counts::default();
        let next = match &task.retry {
            Some(positions) => {
                counts.failed += try_again(&task, positions.clone(), work, &mut counts, &self.point)?;
                None
            }
            None => {
                // `stride` positions hold about a thousand rows.
                let stride = (i128::from(task.stride) * i128::from(rows) / 1000)
                    .clamp(1, i128::from(i64::MAX / 2)) as i64;
                let all = task.end - task.start;
                let done = at.saturating_add(stride).min(all);
                let (from, to) = match task.backwards {
                    true => (task.end - done, task.end - at),
                    false => (task.start + at, task.start + done),
                };
                let range = Range { from, to, batch: task.batch };
                if range.from < range.to {
                    let failed = put_back_range(&task, range, work, &mut counts, &self.point)?;
                    counts.failed += if task.own_parents { 0 } else { failed };
                }
                if done >= all && task.own_parents {
                    counts.failed += self.try_early_ones(&task, work, &mut counts)?;
                }
                (done < all).then(|| Cursor(done.into()))
            }
        };
        if next.is_none() && task.last {
            self.finish(task.batch, work)?;
        }
        Ok(Batch { counts, next })
    }

    fn verify(&self, steps: &[Step], _counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = reported_conflicts(facts, &self.point)?;
        findings.extend(files_back::file_conflicts(facts, &self.point)?);
        findings.extend(written::conflicts(facts, &self.point)?);
        findings.extend(indexes::conflicts(facts, &self.point)?);
        let of_rows = |step: &&Step| {
            FileTask::of(step).is_none() && WrittenTask::of(step).is_none() && IndexTask::of(step).is_none()
        };
        let mut all: Vec<Task> = Vec::new();
        for step in steps.iter().filter(of_rows) {
            match Backwards::of(step) {
                Some(several) => all.extend(several.tasks()),
                None => all.push(read_task(step)?),
            }
        }
        for task in &all {
            parents_missing(task, &all, facts, &mut findings)?;
            if task.table.key.is_none()
                && task.table.rowid.is_none()
                && task.remembered.change == Change::Delete
            {
                findings.push(Finding::note(
                    "not_exempt",
                    &task.table.name,
                    "its rows cannot be told apart, so the restored ones are not exempt from the next run",
                    "give the table a primary key",
                ));
            }
        }
        Ok(findings)
    }

    fn checkpoint(&self, point: &str, steps: &[Step]) -> String {
        // Trying conflicts again has a progress of its own; the first passage goes on wherever any run left it.
        if steps.iter().any(|step| step.task.get("retry").is_some_and(|retry| !retry.is_null())) {
            return point.to_owned();
        }
        format!("undo:{}", self.point)
    }
}

impl PutBack {
    /// What could not be put back at first gets another chance; how many rows still cannot.
    fn try_early_ones(&self, task: &Task, work: &mut Work, counts: &mut Counts) -> Result<u64> {
        let early = conflicts(&self.point, task.remembered.seq, work.dialect());
        let early = positions(work.rows(&early)?);
        try_again(task, early, work, counts, &self.point)
    }

    /// Notes how far the point, or the scope whose batch this is, was put back.
    fn finish(&self, scope: Option<i64>, work: &mut Work) -> Result<()> {
        let own = work.dialect().own("undo_conflicts");
        let select =
            Sql::new("select count(*) from ").table(&own).text(" where point = ").bind(self.point.clone());
        let files = files_back::open_files(work, &self.point)?
            + written::open(work, &self.point)?
            + indexes::open(work, &self.point)?;
        let open = work.count(&select)? + files;
        let state = if open == 0 { PointState::Used } else { PointState::Partly };
        if scope.is_some() {
            return scopes::set_state(work, &self.point, state);
        }
        let dialect = work.dialect();
        set_state(work.tx(), dialect, &self.point, state)?;
        super::tally::forget(work.tx(), dialect, &self.point)?;
        super::done::forget(work.tx(), dialect, &self.point)?;
        match state {
            PointState::Used => {
                made::remove(work, &self.point)?;
                scopes::all_used(work, &self.point)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the rows of a table came back from the archive of the run; what cannot be told is found.
fn is_back(
    remembered: &Remembered,
    run: &str,
    schema: &Schema,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<bool> {
    if remembered.change != Change::Delete {
        return Ok(false);
    }
    let table = &remembered.source;
    let back = from_archive::by_archive(facts, run, table)?;
    if back == Back::Some && schema.table(table).is_some_and(|table| table.key.is_none()) {
        findings.push(Finding::refuse(
            "already_back",
            table,
            "some of its rows were brought back from the archive, and without a key nobody can tell which",
            format!("finish that: `sexton restore-archive STORE {run} --table {table}`; with `--force` rows may be there twice"),
        ));
    }
    Ok(back == Back::All)
}

fn columns_left(remembered: &Remembered, table: &Table, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut left = Vec::new();
    for column in &remembered.undo.columns {
        if table.stored().any(|stored| stored.name == *column) {
            left.push(column.clone());
        } else {
            findings.push(Finding::refuse(
                "column_gone",
                &table.name,
                format!("column `{column}` no longer exists; its values would be lost"),
                "add the column again, or put the rows back without it with `--force`",
            ));
        }
    }
    left
}

/// What was put back of a scope alone cannot be put back once more with the whole run.
fn partly_back(point: &Point, findings: &mut Vec<Finding>) {
    for scope in point.scopes.iter().filter(|scope| scope.state == PointState::Partly) {
        let id = scopes::id(&point.id, scope.batch);
        findings.push(Finding::refuse(
            "scope_partly_back",
            &id,
            format!("scope {} was put back but for rows in conflict", scope.key),
            format!("put that one back first: `sexton undo apply {id}`"),
        ));
    }
}

fn newer_points(
    facts: &mut dyn Facts,
    point: &Point,
    after: &[String],
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for newer in super::points(facts)?.into_iter().filter(|newer| !after.contains(&newer.id)) {
        let same_table = newer.tables.iter().any(|table| {
            point.tables.iter().any(|own| own.source == table.source && own.change == Change::Update)
        });
        let same_rows = scopes::may_meet(point, &newer);
        if newer.created_at > point.created_at && newer.state == PointState::Open && same_table && same_rows {
            findings.push(Finding::refuse(
                "newer_undo_point",
                &newer.id,
                format!("undo point `{}` is newer and changed the same table", newer.id),
                format!("undo it first: `sexton undo apply {}`", newer.id),
            ));
        }
    }
    Ok(())
}

fn warn_of_triggers(task: &Task, findings: &mut Vec<Finding>) {
    let triggers = task.table.triggers.iter().map(|trigger| ("trigger", trigger));
    let rules = task.table.rules.iter().map(|rule| ("rule", rule));
    for (sort, trigger) in triggers.chain(rules).filter(|(_, trigger)| trigger.enabled) {
        let fires = match task.remembered.change {
            Change::Delete => trigger.on_insert,
            Change::Update => trigger.on_update,
            Change::Insert => trigger.on_delete,
        };
        if fires {
            findings.push(Finding::warning(
                sort,
                &task.table.name,
                format!("{sort} `{}` fires when rows are put back", trigger.name),
                "see whether what it does is wanted; sexton checks afterwards that the rows are as they were",
            ));
        }
    }
}

fn step(task: &Task, matched: u64) -> Step {
    let what = match task.remembered.change {
        Change::Delete => "put back",
        Change::Update => "set back",
        Change::Insert => "taken away",
    };
    Step {
        id: task.remembered.source.to_string(),
        label: task.remembered.source.to_string(),
        action: "restore".to_owned(),
        object: task.remembered.source.to_string(),
        matched,
        exact: true,
        batches: ((task.end - task.start + task.stride - 1) / task.stride.max(1)).max(1) as u64,
        way: format!("{what} from {}", task.remembered.undo.name),
        task: serde_json::to_value(task).unwrap_or_default(),
        ..Step::default()
    }
}

fn read_task(step: &Step) -> Result<Task> {
    serde_json::from_value(step.task.clone())
        .map_err(|error| Error::system("a stored plan cannot be read").because(error))
}
