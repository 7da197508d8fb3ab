//! One batch by a program: rows are read and transformed outside any transaction, then written inside one.
//!
//! So nobody waits while the program runs. Rows that others changed meanwhile are left: they are seen anew by the next run.

use super::by_sql::among;
use super::made::{Made, made};
use super::source::{self, Input, Source};
use super::task::{Place, Target, Task};
use super::told::{Told, key_of};
use engine::{Batch, Counts, Error, Result, Rows, Wish, Work, Wrote};
use targets::db::{Facts, Row, Sql, Table, after};
use targets::programs::{Outcome, Running};

/// No more rows than this are held at once.
const MOST: u64 = 5_000;
const VALUES: &str = "sexton_values";
const KEYS: &str = "sexton_keys";

/// Rows that are ready to be written.
#[derive(Default)]
pub struct Prepared {
    place: Place,
    rows: Vec<(Source, Made)>,
    told: Told,
}

/// What does not change from batch to batch.
pub struct Making<'a> {
    /// The conversion.
    pub task: &'a Task,
    /// What the program gets.
    pub inputs: &'a [Input],
    /// Where its results go.
    pub target: &'a Target,
    /// Every value counts.
    pub per_value: bool,
}

/// Reads the next rows and gives them to the program.
pub fn prepare(
    making: &Making,
    place: Place,
    rows: u64,
    running: &mut dyn Running,
    facts: &mut dyn Facts,
) -> Result<Prepared> {
    let Making { task, inputs, target, per_value } = *making;
    let named = match target {
        Target::File { path, .. } => path.columns(),
        _ => Vec::new(),
    };
    let sources = source::read(task, inputs, &named, place.from.as_ref(), rows.clamp(1, MOST), facts)?;
    let documents: Vec<String> = sources.iter().filter_map(|source| source.json.clone().ok()).collect();
    let mut outcomes = running.transform(&documents)?.into_iter();
    let mut prepared = Prepared { place, ..Prepared::default() };
    for source in sources {
        let outcome = match &source.json {
            Ok(_) => {
                outcomes.next().ok_or_else(|| Error::system("the jq program left a row without an answer"))?
            }
            Err(_) => Outcome::Given(Vec::new()),
        };
        let made = made(&source, outcome, target, &task.table, per_value, &mut prepared.told.counts);
        prepared.rows.push((source, made));
    }
    Ok(prepared)
}

impl Prepared {
    /// Whether it is what comes at this place.
    pub fn is_for(&self, place: &Place) -> bool {
        self.place == *place
    }
}

/// Writes what was prepared.
pub fn act(making: &Making, prepared: &Prepared, work: &mut Work) -> Result<Batch> {
    let Making { task, target, .. } = *making;
    let mut counts = Counts::default();
    let Some((last, _)) = prepared.rows.last() else {
        if let Target::File { store, .. } = target {
            work.nothing_more_to_write(store)?;
        }
        return Ok(Batch { counts, next: None });
    };
    let next = Place { from: Some(last.key.clone()), ..Place::default() };
    let mut told = Told { counts: prepared.told.counts.clone(), ..Told::default() };
    let mut ready = Vec::new();
    for (source, made) in &prepared.rows {
        match made {
            Made::Skipped(why) => skip(&mut counts, &mut told, why, 1),
            Made::Failed(why) => fail(task, &mut counts, &mut told, source, why.clone()),
            Made::Values(_) | Made::Files(_) => ready.push((source, made)),
        }
    }
    match target {
        Target::Columns(columns) => into_columns(making, columns, &ready, &mut counts, &mut told, work)?,
        Target::Table { .. } => into_table(making, &ready, &mut counts, &mut told, work)?,
        Target::File { store, replace, .. } => {
            into_files(task, store, *replace, &ready, &mut counts, &mut told, work)?;
        }
    }
    if let Some(detail) = told.detail() {
        work.tell(detail);
    }
    Ok(Batch { counts, next: Some(next.cursor()?) })
}

type Ready<'a> = (&'a Source, &'a Made);

fn skip(counts: &mut Counts, told: &mut Told, why: &str, rows: u64) {
    if rows > 0 {
        counts.skipped += rows;
        *told.skipped.entry(why.to_owned()).or_default() += rows as i64;
    }
}

fn fail(task: &Task, counts: &mut Counts, told: &mut Told, source: &Source, why: String) {
    counts.failed += 1;
    told.failures.push((key_of(task, &source.key), why));
}

fn into_columns(
    making: &Making,
    columns: &[String],
    ready: &[Ready],
    counts: &mut Counts,
    told: &mut Told,
    work: &mut Work,
) -> Result<()> {
    let task = making.task;
    let table = &task.table;
    let given: Vec<&String> = making.inputs.iter().filter_map(|input| input.column.as_ref()).collect();
    // A key column that the program gets is there once.
    let compared: Vec<usize> = (0..given.len()).filter(|n| !task.key.contains(given[*n])).collect();
    let mut brought = task.key.clone();
    brought.extend(compared.iter().map(|n| given[*n].clone()));
    let same = {
        let dialect = work.dialect();
        let keys = task.key.iter().map(|name| Sql::new("k.").name(name).text(" = t.").name(name));
        let mut parts: Vec<Sql> = keys.collect();
        for name in &brought[task.key.len()..] {
            let (is, was) = (Sql::new("t.").name(name), Sql::new("k.").name(name));
            parts.push(dialect.same_of(table.expect_column(name)?, &is, &was));
        }
        Sql::join(&parts, " and ")
    };
    let condition = among(task, VALUES)
        .text(" and exists (select 1 from ")
        .name(VALUES)
        .text(" as k where ")
        .add(&same)
        .text(")");
    let changes: Vec<(String, Sql)> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            let keys = task.key.iter().map(|name| Sql::new("k.").name(name).text(" = t.").name(name));
            let value = Sql::new(&format!("(select k.{} from ", after(n)))
                .name(VALUES)
                .text(" as k where ")
                .add(&Sql::join(&keys.collect::<Vec<_>>(), " and "))
                .text(")");
            (column.clone(), value)
        })
        .collect();
    let parted = work.as_far_as_possible(ready, &mut |work, some: &[Ready]| {
        let rows: Vec<Row> = some.iter().map(|(source, made)| value_row(source, made, &compared)).collect();
        work.bring(VALUES, table, &brought, columns, &rows, &task.key)?;
        if task.remember {
            work.mark_converted(&task.operation, table, &task.key, &condition, false)?;
        }
        work.change(&Rows::all(table, condition.clone()), &changes)
    })?;
    counts.changed += parted.done;
    let refused = parted.refused.len() as u64;
    for (n, why) in parted.refused {
        fail(task, counts, told, ready[n].0, why);
    }
    let meanwhile = (ready.len() as u64).saturating_sub(parted.done + refused);
    skip(counts, told, "changed by others meanwhile", meanwhile);
    Ok(())
}

/// Key, what the row must still be like, and the new values.
fn value_row(source: &Source, made: &Made, compared: &[usize]) -> Row {
    let mut row = source.key.clone();
    row.extend(compared.iter().map(|n| source.given[*n].clone()));
    if let Made::Values(values) = made {
        row.extend(values.first().into_iter().flatten().cloned());
    }
    row
}

fn into_table(
    making: &Making,
    ready: &[Ready],
    counts: &mut Counts,
    told: &mut Told,
    work: &mut Work,
) -> Result<()> {
    let task = making.task;
    let Target::Table { table, columns, defaults, unique } = making.target else { return Ok(()) };
    let mut filled = columns.clone();
    filled.extend(defaults.iter().map(|(name, _)| name.clone()));
    let select = missing_rows(table, columns, defaults, unique);
    let mut made_rows = 0;
    let parted = work.as_far_as_possible(ready, &mut |work, some: &[Ready]| {
        let rows = some.iter().flat_map(|(_, made)| match made {
            Made::Values(rows) => rows.clone(),
            _ => Vec::new(),
        });
        work.bring(VALUES, table, columns, &[], &rows.collect::<Vec<_>>(), columns)?;
        made_rows += work.insert(table, &filled, &select)?;
        mark(task, some.iter().map(|(source, _)| *source), work)
    })?;
    counts.changed += parted.done;
    told.made += made_rows;
    for (n, why) in parted.refused {
        fail(task, counts, told, ready[n].0, why);
    }
    Ok(())
}

/// What the program gave, without rows that are there already.
fn missing_rows(
    table: &Table,
    columns: &[String],
    defaults: &[(String, String)],
    unique: &[Vec<String>],
) -> Sql {
    let mut select = Sql::new("select ").names("v.", columns.iter().map(String::as_str));
    for (_, default) in defaults {
        select = select.text(", ").add(&Sql::raw(default));
    }
    select = select.text(" from ").name(VALUES).text(" as v");
    let mut parts = Vec::new();
    for list in unique {
        let mut same = Vec::new();
        for name in list {
            let (one, other) = (Sql::new("o.").name(name), Sql::new("v.").name(name));
            same.push(one.text(" = ").add(&other));
        }
        parts.push(
            Sql::new("not exists (select 1 from ")
                .table(&table.name)
                .text(" as o where ")
                .add(&Sql::join(&same, " and "))
                .text(")"),
        );
    }
    if parts.is_empty() { select } else { select.text(" where ").add(&Sql::join(&parts, " and ")) }
}

/// Marks rows as converted that stay as they are; how many those are.
fn mark<'a>(task: &Task, rows: impl Iterator<Item = &'a Source>, work: &mut Work) -> Result<u64> {
    let keys: Vec<Row> = rows.map(|source| source.key.clone()).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    work.bring(KEYS, &task.table, &task.key, &[], &keys, &task.key)?;
    work.mark_converted(&task.operation, &task.table, &task.key, &among(task, KEYS), true)
}

fn into_files(
    task: &Task,
    store: &str,
    replace: bool,
    ready: &[Ready],
    counts: &mut Counts,
    told: &mut Told,
    work: &mut Work,
) -> Result<()> {
    let wishes: Vec<Wish> = ready
        .iter()
        .flat_map(|(_, made)| match made {
            Made::Files(files) => files.clone(),
            _ => Vec::new(),
        })
        .collect();
    let mut outcomes = work.write_files(store, &wishes, replace)?.into_iter();
    let mut done = Vec::new();
    for (source, made) in ready {
        let Made::Files(files) = made else { continue };
        let (mut kept, mut failure) = (0, None);
        for outcome in outcomes.by_ref().take(files.len()) {
            match outcome {
                Wrote::Written { replaced } => {
                    told.made += 1;
                    counts.dependants += u64::from(replaced);
                }
                Wrote::Kept => kept += 1,
                Wrote::Failed(why) => failure = Some(why),
            }
        }
        match failure {
            Some(why) => fail(task, counts, told, source, why),
            None if kept == files.len() => skip(counts, told, "its file is there already", 1),
            None => done.push(*source),
        }
    }
    for source in &done {
        work.note(format!("converted {}", key_of(task, &source.key)));
    }
    counts.changed += mark(task, done.into_iter(), work)?;
    Ok(())
}
