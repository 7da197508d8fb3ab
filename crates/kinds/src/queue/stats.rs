//! `action = "stats"`: how deep the queue is, what is in it, how long jobs take, and how that has moved.
//!
//! Everything is summed up in the database; rows never come here, so a million of them take no memory. A missing table
//! gives the same shape with zeros and an error.

use super::jobs::{Jobs, State};
use super::options::Options;
use super::recover::{self, Stale};
use super::{claims, slow, trend};
use engine::age::Age;
use engine::{Finding, Planned, Planning, Result};
use serde_json::{Map, Value as Json, json};
use targets::db::{Column, Facts, Sql, Table, Value};

/// The statistics, as a plan without steps.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut planned = Planned { undo: Some(engine::Undo::NotNeeded), ..Planned::default() };
    if let Err(error) = schema.find(&options.table) {
        let mut nothing = shape();
        nothing.insert("error".to_owned(), error.to_string().into());
        planned.findings.push(Finding::warning(
            "table_missing",
            &options.table,
            "there is no such table, so there is nothing to count",
            error.help.unwrap_or_else(|| "see `table` of the operation".to_owned()),
        ));
        planned.result = Some(Json::Object(nothing));
        return Ok(planned);
    }
    let jobs = Jobs::find(options, &schema, planning)?;
    let mut result = shape();
    let total = figures(&jobs, facts, &mut result)?;
    trend::add(&mut result, planning);
    planned.findings = slow::findings(&jobs, total, facts)?;
    planned.result = Some(Json::Object(result));
    Ok(planned)
}

/// Every key, with nothing in it.
fn shape() -> Map<String, Json> {
    let empty = json!({
        "total_tasks": 0, "by_status": {}, "by_function": {}, "by_entity_type": {}, "oldest_pending": null,
        "avg_completion_time": null, "avg_completion_count": 0, "median_completion_time": null,
        "p95_completion_time": null, "stale_tasks": 0,
        "depth": { "pending": 0, "running": 0, "completed": 0, "failed": 0 },
    });
    match empty {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn figures(jobs: &Jobs, facts: &mut dyn Facts, result: &mut Map<String, Json>) -> Result<u64> {
    let by_status = grouped(jobs, &state_of(jobs, facts)?, facts)?;
    let total = by_status.iter().map(|(_, rows)| rows).sum();
    result.insert("total_tasks".to_owned(), json!(total));
    let mut depth = Map::new();
    for state in State::ALL {
        let words = jobs.words(state);
        let known = |word: &str| word == state.name() || words.iter().any(|own| own == word);
        let by_word = jobs.options.columns.state.is_some();
        let own = |word: &str| if by_word { words.iter().any(|own| own == word) } else { known(word) };
        let rows: u64 = by_status.iter().filter(|(word, _)| own(word)).map(|(_, rows)| rows).sum();
        depth.insert(state.name().to_owned(), json!(rows));
    }
    result.insert("depth".to_owned(), Json::Object(depth));
    result.insert("by_status".to_owned(), map(by_status));
    let columns = &jobs.options.columns;
    for (key, column) in [("by_function", &columns.function), ("by_entity_type", &columns.entity_type)] {
        if let Some(column) = jobs.column(column)? {
            let value = text(column);
            result.insert(key.to_owned(), map(grouped(jobs, &value, facts)?));
        }
    }
    if let Some(oldest) = oldest_pending(jobs, facts)? {
        result.insert("oldest_pending".to_owned(), oldest);
    }
    completion(jobs, facts, result)?;
    if jobs.is(State::Running, facts.dialect())?.is_some()
        && let Ok((table, stale)) = all_stale(jobs, facts)
    {
        let count = Sql::new("select count(*) from ").table(&table.name).text(" as t where ");
        result.insert("stale_tasks".to_owned(), json!(facts.count(&count.add(&stale.condition))?));
    }
    Ok(total)
}

/// Which rows say that a job is stale, and of which table.
fn all_stale<'a>(jobs: &Jobs<'a>, facts: &mut dyn Facts) -> Result<(&'a Table, Stale)> {
    match &jobs.options.claims {
        Some(claims) => claims::stale(jobs, claims, facts),
        None => Ok((jobs.table, recover::stale(jobs, facts)?)),
    }
}

fn text(column: &Column) -> Sql {
    Sql::new("cast(t.").name(&column.name).text(" as text)")
}

/// The state of a job as text: the column, or which of the conditions holds.
fn state_of(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Sql> {
    if let Some(column) = jobs.column(&jobs.options.columns.state)? {
        return Ok(text(column));
    }
    let mut cases = Sql::new("case");
    for state in [State::Completed, State::Failed, State::Running, State::Pending] {
        if let Some(condition) = jobs.is(state, facts.dialect())? {
            cases = cases.text(" when ").add(&condition).text(&format!(" then '{}'", state.name()));
        }
    }
    Ok(cases.text(" when 1 = 0 then '' else 'other' end"))
}

fn grouped(jobs: &Jobs, value: &Sql, facts: &mut dyn Facts) -> Result<Vec<(String, u64)>> {
    let select = Sql::new("select g.value, count(*) from (select ")
        .add(value)
        .text(" as value from ")
        .table(&jobs.table.name)
        .text(" as t) as g group by g.value order by 2 desc, 1");
    let rows = facts.rows(&select)?;
    Ok(rows
        .iter()
        .map(|row| {
            let name = row.first().and_then(Value::as_text).unwrap_or_default().to_owned();
            (name, row.get(1).and_then(Value::as_int).unwrap_or(0).max(0) as u64)
        })
        .collect())
}

fn map(counts: Vec<(String, u64)>) -> Json {
    Json::Object(counts.into_iter().map(|(name, rows)| (name, json!(rows))).collect())
}

/// The query for the pending job that came first: its id, and when, in seconds since 1970.
pub fn first_pending(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Option<Sql>> {
    let columns = &jobs.options.columns;
    let created = match (jobs.column(&columns.created)?, jobs.column(&columns.run_after)?) {
        (Some(column), _) | (None, Some(column)) => column,
        (None, None) => return Ok(None),
    };
    let Some(pending) = jobs.is(State::Pending, facts.dialect())? else { return Ok(None) };
    let instant = jobs.instant(created, facts.dialect())?;
    Ok(Some(
        Sql::new(&format!("select {}, ", facts.dialect().outward(jobs.id()?)))
            .add(&facts.dialect().epoch(&instant))
            .text(" from ")
            .table(&jobs.table.name)
            .text(" as t where ")
            .add(&pending)
            .text(" and ")
            .add(&instant)
            .text(" is not null order by 2 limit 1"),
    ))
}

fn oldest_pending(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Option<Json>> {
    let Some(select) = first_pending(jobs, facts)? else { return Ok(None) };
    let rows = facts.rows(&select)?;
    let Some((id, at)) = rows.first().and_then(|row| Some((row.first()?, row.get(1)?.as_real()?))) else {
        return Ok(None);
    };
    let id = match id {
        Value::Int(number) => json!(number),
        Value::Text(text) => json!(text),
        other => json!(other.to_string()),
    };
    let at = jiff::Timestamp::from_millisecond((at * 1000.0).round() as i64).unwrap_or(jobs.now);
    let minutes = (jobs.now.as_millisecond() - at.as_millisecond()) as f64 / 60_000.0;
    Ok(Some(json!({
        "task_id": id, "created_at": at.to_string(), "age_minutes": (minutes * 10.0).round() / 10.0,
    })))
}

/// The condition for jobs that were completed in the last 24 hours, and how long each took, in seconds.
pub fn completed_today(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Option<(Sql, Sql)>> {
    let columns = &jobs.options.columns;
    let finished = if columns.finished.is_some() { &columns.finished } else { &columns.updated };
    let began = if columns.started.is_some() { &columns.started } else { &columns.created };
    let (Some(finished), Some(began)) = (jobs.column(finished)?, jobs.column(began)?) else {
        return Ok(None);
    };
    let dialect = facts.dialect();
    let Some(completed) = jobs.is(State::Completed, dialect)? else { return Ok(None) };
    let day = jobs.older(finished, &Age("24 hours".to_owned()), dialect)?;
    let began = jobs.instant(began, dialect)?;
    let took = dialect.epoch(&day.instant).text(" - ").add(&dialect.epoch(&began));
    Ok(Some((completed.text(" and not ").add(&Sql::new("(").add(&day.older).text(")")), took)))
}

fn completion(jobs: &Jobs, facts: &mut dyn Facts, result: &mut Map<String, Json>) -> Result<()> {
    let Some((condition, took)) = completed_today(jobs, facts)? else { return Ok(()) };
    let each = Sql::new("(select ")
        .add(&took)
        .text(" as took from ")
        .table(&jobs.table.name)
        .text(" as t where ")
        .add(&condition)
        .text(") as c where c.took is not null");
    let rows = facts.rows(&Sql::new("select count(*), avg(c.took) from ").add(&each))?;
    let row = rows.first().cloned().unwrap_or_default();
    let count = row.first().and_then(Value::as_int).unwrap_or(0);
    if count == 0 {
        return Ok(());
    }
    let rounded = |seconds: f64| json!((seconds * 1000.0).round() / 1000.0);
    result.insert("avg_completion_count".to_owned(), json!(count));
    if let Some(mean) = row.get(1).and_then(Value::as_real) {
        result.insert("avg_completion_time".to_owned(), rounded(mean));
    }
    let mut at = |offset: i64, rows: i64| -> Result<Option<f64>> {
        let select = Sql::new("select avg(m.took) from (select c.took from ")
            .add(&each)
            .text(&format!(" order by c.took limit {rows} offset {offset}) as m"));
        Ok(facts.value(&select)?.as_real())
    };
    // An even number has two in the middle.
    if let Some(median) = at((count - 1) / 2, if count % 2 == 0 { 2 } else { 1 })? {
        result.insert("median_completion_time".to_owned(), rounded(median));
    }
    let rank = (count * 95 + 99) / 100;
    if let Some(high) = at(rank - 1, 1)? {
        result.insert("p95_completion_time".to_owned(), rounded(high));
    }
    Ok(())
}
