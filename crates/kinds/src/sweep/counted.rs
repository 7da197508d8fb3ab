//! Changes that are counted, row by row: a row to which the same was done too often gets other values, or goes elsewhere.
//!
//! Each row is told in the run log. The rows are locked before they are counted, so that nobody ends one in between.

use super::task::{Counted, Onward};
use engine::{Result, Rows, Work};
use targets::db::{Sql, Table, Value};

/// Rows that were locked, counted, and are to be told.
struct Met<'a> {
    here: Rows<'a>,
    told: Vec<String>,
    /// Which of them are spent, over `t`.
    spent: Option<Sql>,
}

/// Locks the rows, counts them and gives them the values that their count asks for.
pub fn change(
    leaf: &Table,
    changes: &[(String, Sql)],
    counted: &Counted,
    rows: &Rows,
    work: &mut Work,
) -> Result<u64> {
    let Some(met) = meet(leaf, counted, rows, work)? else { return Ok(0) };
    let changes: Vec<(String, Sql)> = match &met.spent {
        None => changes.to_vec(),
        Some(spent) => {
            let both = changes.iter().zip(&counted.spent);
            both.map(|((name, value), other)| (name.clone(), one_of(spent, other, value))).collect()
        }
    };
    let changed = work.change(&met.here, &changes)?;
    met.told.into_iter().for_each(|text| work.note(text));
    Ok(changed)
}

/// Locks the rows, counts them, adds what they become to other tables and deletes them.
pub fn go_on(
    leaf: &Table,
    onward: &[Onward],
    counted: &Counted,
    rows: &Rows,
    work: &mut Work,
) -> Result<u64> {
    let Some(met) = meet(leaf, counted, rows, work)? else { return Ok(0) };
    let mut added = 0;
    for way in onward {
        let which = match (&met.spent, way.spent) {
            (None, true) => continue,
            (None, false) => met.here.condition.clone(),
            (Some(spent), true) => met.here.condition.clone().text(" and ").add(spent),
            (Some(spent), false) => {
                met.here.condition.clone().text(" and (").add(spent).text(") is not true")
            }
        };
        let any = Sql::new("select count(*) from ").table(&leaf.name).text(" as t where ").add(&which);
        if way.spent && work.count(&any)? == 0 {
            continue;
        }
        added += work.insert(&way.table, &way.columns, &way.select.clone().add(&which))?;
    }
    let deleted = work.delete(&met.here)?;
    if added != deleted {
        return Err(engine::Error::data(format!("{added} of {deleted} rows of `{}` could go on", leaf.name))
            .help("rows that they belong to are missing or there twice: nothing was changed"));
    }
    met.told.into_iter().for_each(|text| work.note(text));
    Ok(deleted)
}

fn meet<'a>(leaf: &'a Table, counted: &Counted, rows: &Rows, work: &mut Work) -> Result<Option<Met<'a>>> {
    let chosen = work.choose(rows, &[])?;
    if chosen.rows == 0 {
        return Ok(None);
    }
    let here = Rows::all(leaf, work.dialect().chosen(leaf, &chosen.table));
    let (word, columns) = &counted.said;
    let shown: Vec<String> = columns
        .iter()
        .filter_map(|name| leaf.column(name))
        .map(|column| work.dialect().outward(column))
        .collect();
    let select = Sql::new(&format!("select {} from ", shown.join(", ")))
        .table(&leaf.name)
        .text(" as t where ")
        .add(&here.condition);
    let mut told = Vec::new();
    work.query(&select, &mut |row| {
        let values: Vec<String> = row.iter().map(said_value).collect();
        told.push(format!("{word} {}", values.join(" ")));
        Ok(())
    })?;
    let tallied = counted.tally.as_ref().map(|tally| work.tally(&here, tally)).transpose()?;
    let spent: Vec<Sql> = tallied.into_iter().chain(counted.also.clone()).collect();
    let spent = (!spent.is_empty()).then(|| Sql::new("(").add(&Sql::join(&spent, " or ")).text(")"));
    Ok(Some(Met { here, told, spent }))
}

/// The first value where the condition holds, else the second.
pub fn one_of(condition: &Sql, then: &Sql, otherwise: &Sql) -> Sql {
    if then == otherwise {
        return then.clone();
    }
    Sql::new("case when ").add(condition).text(" then ").add(then).text(" else ").add(otherwise).text(" end")
}

/// A value without quotes, for people.
fn said_value(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_owned)
}
