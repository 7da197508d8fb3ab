//! Putting back in the strict order: what was done last goes back first, statement by statement.
//!
//! Where a run changed a row more than once, changed and removed rows of one table, or let rows refer to those it added, no
//! other order is right for every database: each step back meets the state that the step forward left. Undo tables are numbered so that, within a batch,
//! those of later statements have higher numbers (see `Work::undo_table`); so the order is that of batches, then of tables,
//! both from the last to the first. It stays set-based: a piece is what one batch remembered in one table.

use super::conflicts::{conflicts, forget_conflict, positions};
use super::point::{Change, Point, PointState, Remembered};
use super::rows_back::{Task, put_back_range, try_again};
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::operation::{Batch, Cursor};
use crate::plan::Step;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{BATCH, Facts, ForeignKey, Range, Schema, Sql, Value};

/// So many undo tables are asked in one query.
const AT_ONCE: usize = 100;

/// What the step of such an undo needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Backwards {
    /// All tables, the last touched first; no other task of an undo has this key.
    backwards: Vec<Task>,
    /// Only the rows of this batch.
    batch: Option<i64>,
    /// Only what was in conflict last time is left.
    retry: Option<bool>,
    #[serde(default)]
    pub last: bool,
}

/// What is left: of one piece the rows below `at`, then the pieces of the tables after it, then earlier batches.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    batch: i64,
    table: usize,
    at: i64,
}

/// Whether a row may have been remembered more than once, or in an order that matters.
pub(super) fn needed(point: &Point, schema: &Schema, facts: &mut dyn Facts) -> Result<bool> {
    for table in point.tables.iter().filter(|table| table.change == Change::Update) {
        if refers_to_added(table, point, schema) {
            return Ok(true);
        }
        let also = |other: &&Remembered| other.seq != table.seq && other.source == table.source;
        if point.tables.iter().any(|other| also(&other)) {
            return Ok(true);
        }
        let several =
            Sql::new(&format!("select case when min({BATCH}) < max({BATCH}) then 1 else 0 end from "))
                .table(&table.undo.name);
        if point.batch.is_none() && facts.value(&several)?.as_int() == Some(1) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether rows were changed so that they may refer to rows which were added: those cannot be taken away first.
fn refers_to_added(table: &Remembered, point: &Point, schema: &Schema) -> bool {
    let keys = schema.table(&table.source).map(|known| known.references.as_slice()).unwrap_or_default();
    let changed = |key: &&ForeignKey| key.columns.iter().any(|name| table.undo.after.contains(name));
    keys.iter().filter(changed).any(|key| {
        let added =
            point.tables.iter().filter(|other| other.change == Change::Insert).map(|other| &other.source);
        added.into_iter().any(|name| {
            *name == key.parent || schema.table(name).is_some_and(|known| known.parents.contains(&key.parent))
        })
    })
}

/// One step for all of them; `all` are the tasks with the rows that each is about, the last touched first.
pub(super) fn step(all: Vec<(Task, u64)>, point: &Point) -> Option<Step> {
    let names: Vec<String> = all.iter().map(|(task, _)| task.remembered.source.to_string()).collect();
    let mut told: Vec<String> = Vec::new();
    for name in names {
        if !told.contains(&name) {
            told.push(name);
        }
    }
    let matched: u64 = all.iter().map(|(_, rows)| rows).sum();
    let strides =
        |task: &Task| ((task.end - task.start + task.stride - 1) / task.stride.max(1)).max(0) as u64;
    let batches = all.iter().map(|(task, _)| strides(task)).sum::<u64>().max(1);
    let object = told.join(", ");
    let of_rows = |(task, _): (Task, u64)| Task { own_parents: true, backwards: true, retry: None, ..task };
    let task = Backwards {
        backwards: all.into_iter().map(of_rows).collect(),
        batch: point.batch,
        retry: (point.state == PointState::Partly).then_some(true),
        last: false,
    };
    (!task.backwards.is_empty()).then(|| Step {
        id: object.clone(),
        label: object.clone(),
        action: "restore".to_owned(),
        object,
        matched,
        exact: true,
        batches,
        way: "what was done last goes back first".to_owned(),
        task: serde_json::to_value(task).unwrap_or_default(),
        ..Step::default()
    })
}

impl Backwards {
    /// The task, when the step is one of these.
    pub fn of(step: &Step) -> Option<Backwards> {
        step.task.get("backwards")?;
        serde_json::from_value(step.task.clone()).ok()
    }

    /// The tables.
    pub fn tasks(self) -> Vec<Task> {
        self.backwards
    }

    /// The part of the point that it is about.
    pub fn scope(&self) -> Option<i64> {
        self.batch
    }

    /// Puts the next rows back.
    pub fn put_back(&self, aim: &Cursor, rows: u64, work: &mut Work, point: &str) -> Result<Batch> {
        let mut counts = Counts::default();
        let mut place: Option<Place> = serde_json::from_value(aim.0.clone())
            .map_err(|error| Error::system("a checkpoint cannot be read").because(error))?;
        if place.is_none() && self.retry.is_none() {
            self.make_findable(work)?;
            place = self.begin(self.latest(None, work)?);
        }
        while let Some(here) = place {
            if counts.restored >= rows.max(1) {
                return Ok(Batch { counts, next: Some(cursor(here)?) });
            }
            place = self.go_on(here, rows, work, &mut counts, point)?;
        }
        counts.failed += self.last_chance(work, &mut counts, point)?;
        Ok(Batch { counts, next: None })
    }

    fn begin(&self, batch: Option<i64>) -> Option<Place> {
        batch.map(|batch| Place { batch, table: 0, at: i64::MAX })
    }

    /// The rows of a batch are looked for again and again: an index makes that cheap.
    fn make_findable(&self, work: &mut Work) -> Result<()> {
        if self.batch.is_some() {
            return Ok(());
        }
        for task in &self.backwards {
            let undo = &task.remembered.undo.name;
            let index = Sql::new("create index if not exists ")
                .name(&format!("{}_batch", undo.name))
                .text(" on ")
                .table(undo)
                .text(&format!(" ({BATCH})"));
            work.tx().execute(&index)?;
        }
        Ok(())
    }

    /// The last batch, or the last before another.
    fn latest(&self, before: Option<i64>, work: &mut Work) -> Result<Option<i64>> {
        if self.batch.is_some() {
            return Ok(self.batch.filter(|_| before.is_none()));
        }
        let mut latest: Option<i64> = None;
        for some in self.backwards.chunks(AT_ONCE) {
            let each = some.iter().map(|task| {
                let select =
                    Sql::new(&format!("select max({BATCH}) as b from ")).table(&task.remembered.undo.name);
                match before {
                    Some(before) => select.text(&format!(" where {BATCH} < ")).bind(before),
                    None => select,
                }
            });
            let all = Sql::join(&each.collect::<Vec<_>>(), " union all ");
            let select = Sql::new("select max(q.b) from (").add(&all).text(") as q");
            let row = work.rows(&select)?.into_iter().next().unwrap_or_default();
            latest = latest.max(row.first().and_then(Value::as_int));
        }
        Ok(latest)
    }

    /// Where the rows of a batch lie: table, first position, end.
    fn pieces(&self, batch: i64, from: usize, work: &mut Work) -> Result<Vec<(usize, i64, i64)>> {
        let mut pieces = Vec::new();
        let dialect = work.dialect();
        let all: Vec<(usize, &Task)> = self.backwards.iter().enumerate().skip(from).collect();
        for some in all.chunks(AT_ONCE) {
            let each = some.iter().map(|(n, task)| {
                let span = dialect.undo_span(&task.remembered.undo, batch);
                Sql::new(&format!("select {n}, p.* from (")).add(&span).text(") as p")
            });
            for row in work.rows(&Sql::join(&each.collect::<Vec<_>>(), " union all "))? {
                let number = |n: usize| row.get(n).and_then(Value::as_int);
                if let (Some(n), Some(from), Some(to)) = (number(0), number(1), number(2)) {
                    pieces.push((n as usize, from, to));
                }
            }
        }
        pieces.sort_unstable();
        Ok(pieces)
    }

    /// Goes on with a batch; where to go on then.
    fn go_on(
        &self,
        here: Place,
        rows: u64,
        work: &mut Work,
        counts: &mut Counts,
        point: &str,
    ) -> Result<Option<Place>> {
        for (n, from, end) in self.pieces(here.batch, here.table, work)? {
            let Some(task) = self.backwards.get(n) else { continue };
            let stride =
                (i128::from(task.stride) * i128::from(rows) / 1000).clamp(1, i128::from(i64::MAX / 2)) as i64;
            let mut to = if n == here.table { end.min(here.at) } else { end };
            while from < to {
                let part = Range { from: from.max(to - stride), to, batch: Some(here.batch) };
                put_back_range(task, part, work, counts, point)?;
                to = part.from;
                if counts.restored >= rows.max(1) && from < to {
                    return Ok(Some(Place { table: n, at: to, ..here }));
                }
            }
            // Rows of one statement may have to wait for each other.
            let waiting = conflicts(point, task.remembered.seq, work.dialect());
            let mut waiting = positions(work.rows(&waiting)?);
            waiting.retain(|position| (from..end).contains(position));
            waiting.reverse();
            try_again(task, waiting, work, counts, point)?;
            if counts.restored >= rows.max(1) {
                return Ok(Some(Place { table: n + 1, at: i64::MAX, ..here }));
            }
        }
        Ok(self.begin(self.latest(Some(here.batch), work)?))
    }

    /// What could not go back in its turn gets another chance; how many rows still cannot.
    fn last_chance(&self, work: &mut Work, counts: &mut Counts, point: &str) -> Result<u64> {
        let mut open: Vec<(i64, usize, i64)> = Vec::new();
        for (n, task) in self.backwards.iter().enumerate() {
            let select = conflicts(point, task.remembered.seq, work.dialect());
            for position in positions(work.rows(&select)?) {
                let range = work.dialect().undo_range(Range::of(position, position + 1));
                let batch = Sql::new(&format!("select u.{BATCH} from "))
                    .table(&task.remembered.undo.name)
                    .text(" as u where ")
                    .add(&range);
                let row = work.rows(&batch)?.into_iter().next().unwrap_or_default();
                open.push((row.first().and_then(Value::as_int).unwrap_or(0), n, position));
            }
        }
        open.sort_by_key(|(batch, n, position)| (-batch, *n, -position));
        loop {
            let mut left = Vec::new();
            for (batch, n, position) in &open {
                let task = &self.backwards[*n];
                match put_back_range(task, Range::of(*position, position + 1), work, counts, point)? {
                    0 => forget_conflict(work, point, task.remembered.seq, *position)?,
                    _ => left.push((*batch, *n, *position)),
                }
            }
            if left.is_empty() || left.len() == open.len() {
                return Ok(left.len() as u64);
            }
            open = left;
        }
    }
}

fn cursor(place: Place) -> Result<Cursor> {
    serde_json::to_value(place)
        .map(Cursor)
        .map_err(|error| Error::system("a checkpoint cannot be written").because(error))
}
