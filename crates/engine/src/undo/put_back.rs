//! Putting back what an operation removed or changed: parents before children, by row, nothing overwritten.
//!
//! A range of undo rows goes back in one statement. If the database refuses it, the range is halved until the rows
//! that cannot go back are known one by one; those are written down as conflicts, with the database's reason, and
//! can be tried again later. Progress belongs to the undo point, so an interrupted undo goes on where it stopped.

use super::point::{Change, Point, PointState, Remembered, read_point, set_state};
use crate::error::{Class, Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Operation, Planned, Planning};
use crate::plan::{Step, Undo};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{AT, BATCH, Dialect, Facts, ForeignKey, Range, Row, Schema, Sql, Table, TableName, Value};

/// Puts one undo point back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PutBack {
    /// The undo point's id.
    pub point: String,
}

/// What a step of an undo needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    remembered: Remembered,
    table: Table,
    columns: Vec<String>,
    end: i64,
    stride: i64,
    /// Only these rows: what was in conflict last time.
    retry: Option<Vec<i64>>,
    /// Rows refer to others of their own table: what comes back too early gets another chance at the end.
    own_parents: bool,
    /// From the last row to the first, because most of those parents were taken later than their children.
    backwards: bool,
    last: bool,
}

impl Operation for PutBack {
    fn plan(&self, facts: &mut dyn Facts, _planning: &Planning) -> Result<Planned> {
        let Some(point) = read_point(facts, &self.point)? else {
            return Err(Error::usage(format!("there is no undo point `{}` in this database", self.point))
                .help("`sexton undo list` shows those there are"));
        };
        let mut planned = Planned { undo: Some(Undo::NotNeeded), ..Planned::default() };
        if point.state == PointState::Used {
            planned.skipped = Some(format!("everything of `{}` was put back already", point.id));
            return Ok(planned);
        }
        let schema = facts.schema()?;
        newer_points(facts, &point, &mut planned.findings)?;
        let stride = facts.dialect().undo_stride();
        for remembered in in_order(&point, &schema) {
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
                None => facts.count(&Sql::new("select count(*) from ").table(&remembered.undo.name))?,
            };
            let end = facts.count(&facts.dialect().undo_end(&remembered.undo))? as i64;
            let own_parents = remembered.change == Change::Delete && own_references(table).next().is_some();
            let task = Task {
                remembered: remembered.clone(),
                table: table.clone(),
                columns,
                end,
                stride,
                retry,
                own_parents,
                backwards: own_parents && end > stride && parents_come_later(remembered, table, facts)?,
                last: false,
            };
            warn_of_triggers(&task, &mut planned.findings);
            planned.steps.push(step(&task, matched));
        }
        if let Some(last) = planned.steps.last_mut() {
            last.task["last"] = true.into();
        }
        Ok(planned)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let task: Task = read_task(step)?;
        let at = aim.0.as_i64().unwrap_or(0);
        let mut counts = Counts::default();
        let next = match &task.retry {
            Some(positions) => {
                let left = try_again(&task, positions.clone(), work, &mut counts, &self.point)?;
                counts.failed += left;
                None
            }
            None => {
                // `stride` positions hold about a thousand rows.
                let stride = (i128::from(task.stride) * i128::from(rows) / 1000)
                    .clamp(1, i128::from(i64::MAX / 2)) as i64;
                let done = at.saturating_add(stride).min(task.end);
                let range = match task.backwards {
                    true => Range { from: task.end - done, to: task.end - at },
                    false => Range { from: at, to: done },
                };
                if range.from < range.to {
                    let failed = put_back_range(&task, range, work, &mut counts, &self.point)?;
                    counts.failed += if task.own_parents { 0 } else { failed };
                }
                if done >= task.end && task.own_parents {
                    let early = conflicts(&self.point, task.remembered.seq, work.dialect());
                    let early = positions(work.rows(&early)?);
                    counts.failed += try_again(&task, early, work, &mut counts, &self.point)?;
                }
                (done < task.end).then(|| Cursor(done.into()))
            }
        };
        if next.is_none() && task.last {
            let own = work.dialect().own("undo_conflicts");
            let open = work.count(
                &Sql::new("select count(*) from ")
                    .table(&own)
                    .text(" where point = ")
                    .bind(self.point.clone()),
            )?;
            let state = if open == 0 { PointState::Used } else { PointState::Partly };
            let dialect = work.dialect();
            set_state(work.tx(), dialect, &self.point, state)?;
        }
        Ok(Batch { counts, next })
    }

    fn verify(&self, steps: &[Step], _counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = reported_conflicts(facts, &self.point)?;
        for step in steps {
            let task: Task = read_task(step)?;
            parents_missing(&task, facts, &mut findings)?;
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

/// The conflicts of a point, by reason.
pub(crate) fn reported_conflicts(facts: &mut dyn Facts, point: &str) -> Result<Vec<Finding>> {
    let select = Sql::new("select reason, count(*) from ")
        .table(&facts.dialect().own("undo_conflicts"))
        .text(" where point = ")
        .bind(point)
        .text(" group by reason order by count(*) desc, reason");
    let mut findings = Vec::new();
    for row in facts.rows(&select)? {
        let reason = row.first().and_then(Value::as_text).unwrap_or("unknown").to_owned();
        let count = row.get(1).and_then(Value::as_int).unwrap_or(0);
        findings.push(Finding::warning(
            "undo_conflict",
            point,
            format!("{count} rows could not be put back: {reason}"),
            format!("look at them with `sexton undo show {point}`, make room, then `sexton undo apply {point}` again"),
        ));
    }
    Ok(findings)
}

/// One remembered row that could not be put back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// Its table.
    pub table: TableName,
    /// Its key, or all its columns when the table has none.
    pub key: Vec<(String, Value)>,
    /// What the database says.
    pub reason: String,
}

/// The rows of a point that could not be put back, at most `limit`.
pub fn conflicts_of(facts: &mut dyn Facts, point: &Point, limit: usize) -> Result<Vec<Conflict>> {
    let mut all = Vec::new();
    for table in &point.tables {
        let select = Sql::new("select position, reason from ")
            .table(&facts.dialect().own("undo_conflicts"))
            .text(" where point = ")
            .bind(point.id.clone())
            .text(" and seq = ")
            .bind(table.seq)
            .text(" order by position");
        let columns = if table.key.is_empty() { &table.undo.columns } else { &table.key };
        for row in facts.rows(&select)? {
            if all.len() >= limit {
                return Ok(all);
            }
            let position = row.first().and_then(Value::as_int).unwrap_or(0);
            let range = facts.dialect().undo_range(Range { from: position, to: position + 1 });
            let select = Sql::new("select ")
                .names("u.", columns.iter().map(String::as_str))
                .text(" from ")
                .table(&table.undo.name)
                .text(" as u where ")
                .add(&range);
            let values = facts.rows(&select)?.into_iter().next().unwrap_or_default();
            all.push(Conflict {
                table: table.source.clone(),
                key: columns.iter().cloned().zip(values).collect(),
                reason: row.get(1).and_then(Value::as_text).unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(all)
}

/// Puts everything back that a temporary table holds.
pub(crate) fn put_back_all(
    table: &Table,
    columns: &[String],
    remembered: &Remembered,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<()> {
    let end = work.dialect().undo_end(&remembered.undo);
    let end = work.count(&end)? as i64;
    let task = Task {
        remembered: remembered.clone(),
        table: table.clone(),
        columns: columns.to_vec(),
        end,
        stride: end,
        retry: None,
        own_parents: false,
        backwards: false,
        last: false,
    };
    counts.failed += put_back_range(&task, Range { from: 0, to: end }, work, counts, point)?;
    Ok(())
}

/// Puts a range back, halving it where the database refuses; how many rows could not go back.
fn put_back_range(
    task: &Task,
    range: Range,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<u64> {
    let mut failed = 0;
    let mut pending = vec![range];
    while let Some(range) = pending.pop() {
        match attempt(task, range, work)? {
            Ok(rows) => counts.restored += rows,
            Err(_) if range.to - range.from > 1 => {
                let middle = range.from + (range.to - range.from) / 2;
                // The last pushed is next: the first half goes first.
                pending.push(Range { from: middle, to: range.to });
                pending.push(Range { from: range.from, to: middle });
            }
            Err(reason) => {
                failed += 1;
                note_conflict(work, point, task.remembered.seq, range.from, &reason)?;
            }
        }
    }
    Ok(failed)
}

/// One statement inside a savepoint: how many rows went back, or why the data refuse.
fn attempt(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    work.tx().execute(&Sql::new("savepoint sexton_back"))?;
    let result = match task.remembered.change {
        Change::Delete => insert_again(task, range, work),
        Change::Update => change_again(task, range, work),
    };
    let outcome = match result {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(reason)) => Err(reason),
        Err(error) if error.class == Class::Data => Err(error.what),
        Err(error) => return Err(error),
    };
    if outcome.is_err() {
        work.tx().execute(&Sql::new("rollback to savepoint sexton_back"))?;
    }
    work.tx().execute(&Sql::new("release savepoint sexton_back"))?;
    Ok(outcome)
}

fn insert_again(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    let dialect = work.dialect();
    let columns: Vec<&str> = task.columns.iter().map(String::as_str).collect();
    let rows = work.tx().execute(&dialect.put_back(&task.table, &task.remembered.undo, &columns, range))?;
    let remembered = count_range(task, range, work)?;
    if rows != remembered {
        return Ok(Err("a trigger or rule keeps it from being inserted".to_owned()));
    }
    if rows > 0 {
        super::exempt_rows(work.tx(), dialect, &task.table, &task.remembered.undo, range)?;
    }
    Ok(Ok(rows))
}

/// Sets the columns back where the row is still as the run left it.
fn change_again(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    let dialect = work.dialect();
    let assignments: Vec<Sql> = task
        .remembered
        .set
        .iter()
        .map(|(column, _)| Sql::default().name(column).text(" = u.").name(column))
        .collect();
    let mut conditions = vec![dialect.undo_range(range)];
    for column in &task.remembered.key {
        conditions.push(Sql::new("t.").name(column).text(" = u.").name(column));
    }
    for (column, after) in &task.remembered.set {
        let column = task.table.expect_column(column)?;
        conditions
            .push(dialect.same(&Sql::new("t.").name(&column.name), &dialect.inward(column, after.clone())));
    }
    let rows = work.tx().execute(
        &Sql::new("update ")
            .table(&task.table.name)
            .text(" as t set ")
            .add(&Sql::join(&assignments, ", "))
            .text(" from ")
            .table(&task.remembered.undo.name)
            .text(" as u where ")
            .add(&Sql::join(&conditions, " and ")),
    )?;
    if rows == count_range(task, range, work)? {
        return Ok(Ok(rows));
    }
    Ok(Err("the row is gone or was changed since".to_owned()))
}

fn count_range(task: &Task, range: Range, work: &mut Work) -> Result<u64> {
    let condition = work.dialect().undo_range(range);
    work.count(
        &Sql::new("select count(*) from ")
            .table(&task.remembered.undo.name)
            .text(" as u where ")
            .add(&condition),
    )
}

fn note_conflict(work: &mut Work, point: &str, seq: i64, position: i64, reason: &str) -> Result<()> {
    let own = work.dialect().own("undo_conflicts");
    work.tx().execute(
        &Sql::new("insert into ")
            .table(&own)
            .text(" (point, seq, position, reason) values (")
            .bind(point)
            .text(", ")
            .bind(seq)
            .text(", ")
            .bind(position)
            .text(", ")
            .bind(reason)
            .text(") on conflict (point, seq, position) do update set reason = excluded.reason"),
    )?;
    Ok(())
}

fn forget_conflict(work: &mut Work, point: &str, seq: i64, position: i64) -> Result<()> {
    let own = work.dialect().own("undo_conflicts");
    work.tx().execute(
        &Sql::new("delete from ")
            .table(&own)
            .text(" where point = ")
            .bind(point)
            .text(" and seq = ")
            .bind(seq)
            .text(" and position = ")
            .bind(position),
    )?;
    Ok(())
}

fn conflicts(point: &str, seq: i64, dialect: &dyn Dialect) -> Sql {
    Sql::new("select position from ")
        .table(&dialect.own("undo_conflicts"))
        .text(" where point = ")
        .bind(point)
        .text(" and seq = ")
        .bind(seq)
        .text(" order by position")
}

fn positions(rows: Vec<Row>) -> Vec<i64> {
    rows.iter().filter_map(|row| row.first().and_then(Value::as_int)).collect()
}

/// Tries single rows, again and again as long as one of them helps another; how many are left.
fn try_again(
    task: &Task,
    mut positions: Vec<i64>,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<u64> {
    loop {
        let mut left = Vec::new();
        for position in &positions {
            let range = Range { from: *position, to: position + 1 };
            match put_back_range(task, range, work, counts, point)? {
                0 => forget_conflict(work, point, task.remembered.seq, *position)?,
                _ => left.push(*position),
            }
        }
        if left.is_empty() || left.len() == positions.len() || !task.own_parents {
            return Ok(left.len() as u64);
        }
        positions = left;
    }
}

fn own_references(table: &Table) -> impl Iterator<Item = &ForeignKey> {
    table.references.iter().filter(|key| key.parent == table.name || table.parents.contains(&key.parent))
}

/// Whether more rows were taken before the rows they refer to than after them.
fn parents_come_later(remembered: &Remembered, table: &Table, facts: &mut dyn Facts) -> Result<bool> {
    let Some(key) = own_references(table).next() else { return Ok(false) };
    if !key.columns.iter().chain(&key.parent_columns).all(|name| remembered.undo.columns.contains(name)) {
        return Ok(false);
    }
    let pairs = key.columns.iter().zip(&key.parent_columns);
    let same: Vec<Sql> =
        pairs.map(|(own, above)| Sql::new("u.").name(own).text(" = p.").name(above)).collect();
    let later = format!("(p.{BATCH}, p.{AT}) > (u.{BATCH}, u.{AT})");
    let select = Sql::new(&format!("select count(case when {later} then 1 end) * 2 > count(*) from "))
        .table(&remembered.undo.name)
        .text(" as u join ")
        .table(&remembered.undo.name)
        .text(" as p on ")
        .add(&Sql::join(&same, " and "));
    Ok(facts.value(&select)?.as_bool().unwrap_or(false))
}

/// Deleted rows first, parents before children; then changed rows. Within that, last touched first.
fn in_order<'a>(point: &'a Point, schema: &Schema) -> Vec<&'a Remembered> {
    let of = |change: Change| {
        let mut tables: Vec<&Remembered> =
            point.tables.iter().filter(|table| table.change == change).collect();
        tables.sort_by_key(|table| -table.seq);
        tables
    };
    let deleted = of(Change::Delete);
    let names: Vec<TableName> = deleted.iter().map(|table| table.source.clone()).collect();
    let mut ordered: Vec<&Remembered> =
        parents_first(&names, schema).into_iter().map(|n| deleted[n]).collect();
    ordered.extend(of(Change::Update));
    ordered
}

/// The places of the names in an order in which no table comes before one it refers to.
pub(crate) fn parents_first(names: &[TableName], schema: &Schema) -> Vec<usize> {
    let mut left: Vec<usize> = (0..names.len()).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits =
            |n: &usize| left.iter().any(|other| other != n && refers(schema, &names[*n], &names[*other]));
        // In a cycle nothing is free: take the first; conflicts are tried again.
        let next = left.iter().position(|n| !waits(n)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

fn refers(schema: &Schema, child: &TableName, parent: &TableName) -> bool {
    if child == parent {
        return false;
    }
    // A key may name the partitioned parent of the table in which the rows lie.
    let family = |table: &TableName| -> Vec<TableName> {
        let mut names = vec![table.clone()];
        if let Some(table) = schema.table(table) {
            names.extend(table.parents.iter().cloned());
        }
        names
    };
    family(child)
        .iter()
        .filter_map(|name| schema.table(name))
        .flat_map(|table| &table.references)
        .any(|key| family(parent).contains(&key.parent))
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

fn newer_points(facts: &mut dyn Facts, point: &Point, findings: &mut Vec<Finding>) -> Result<()> {
    for newer in super::points(facts)? {
        let same_table = newer.tables.iter().any(|table| {
            point.tables.iter().any(|own| own.source == table.source && own.change == Change::Update)
        });
        if newer.created_at > point.created_at && newer.state == PointState::Open && same_table {
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
    for trigger in task.table.triggers.iter().filter(|trigger| trigger.enabled) {
        let fires = match task.remembered.change {
            Change::Delete => trigger.on_insert,
            Change::Update => trigger.on_update,
        };
        if fires {
            findings.push(Finding::warning(
                "trigger",
                &task.table.name,
                format!("trigger `{}` fires when rows are put back", trigger.name),
                "see whether what it does is wanted; sexton checks afterwards that the rows are as they were",
            ));
        }
    }
}

/// Restored rows whose parents are gone: SQLite does not refuse them, so they are told.
fn parents_missing(task: &Task, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    if task.remembered.change != Change::Delete {
        return Ok(());
    }
    for key in &task.table.references {
        let gone = |column: &String| !task.columns.contains(column);
        if key.columns.iter().any(gone) || key.parent_columns.len() != key.columns.len() {
            continue;
        }
        let given: Vec<Sql> =
            key.columns.iter().map(|column| Sql::new("u.").name(column).text(" is not null")).collect();
        let same: Vec<Sql> = key
            .columns
            .iter()
            .zip(&key.parent_columns)
            .map(|(column, parent)| Sql::new("p.").name(parent).text(" = u.").name(column))
            .collect();
        let orphans = facts.count(
            &Sql::new("select count(*) from ")
                .table(&task.remembered.undo.name)
                .text(" as u where ")
                .add(&Sql::join(&given, " and "))
                .text(" and not exists (select 1 from ")
                .table(&key.parent)
                .text(" as p where ")
                .add(&Sql::join(&same, " and "))
                .text(")"),
        )?;
        if orphans > 0 && task.table.name.schema.is_none() {
            findings.push(Finding::note(
                "parent_missing",
                &task.table.name,
                format!("{orphans} restored rows refer to rows of `{}` that do not exist", key.parent),
                "they were orphans before, or their parents were removed since: put those back first (`sexton undo list`)",
            ));
        }
    }
    Ok(())
}

fn step(task: &Task, matched: u64) -> Step {
    let what = match task.remembered.change {
        Change::Delete => "put back",
        Change::Update => "set back",
    };
    Step {
        id: task.remembered.source.to_string(),
        label: task.remembered.source.to_string(),
        action: "restore".to_owned(),
        object: task.remembered.source.to_string(),
        matched,
        exact: true,
        total: None,
        total_exact: false,
        dependants: Vec::new(),
        unreadable: 0,
        exempt: 0,
        batches: ((task.end + task.stride - 1) / task.stride.max(1)).max(1) as u64,
        way: format!("{what} from {}", task.remembered.undo.name),
        statements: Vec::new(),
        facts: Vec::new(),
        task: serde_json::to_value(task).unwrap_or_default(),
    }
}

fn read_task(step: &Step) -> Result<Task> {
    serde_json::from_value(step.task.clone())
        .map_err(|error| Error::system("a stored plan cannot be read").because(error))
}
