//! The checks of tables that are there: asked of the server itself, before anything is copied, for every combination of values that
//! the source has. What breaks one is kept as a hash, so that the copy knows it again.

use super::canon::{Mix, sent};
use super::carry::{Carrier, select};
use super::existing::unchecked;
use super::task::{Carry, Refused};
use engine::Result;
use std::collections::HashMap;
use targets::db::{Cell, Facts, Sql, Value, civil, quote};

/// How many combinations are asked at once.
const AT_ONCE: usize = 200;
/// How many that break a check are kept.
const MOST: usize = 10_000;

/// The hash of some cells of a row.
pub fn hash(carry: &Carry, columns: &[usize], cells: &[Cell]) -> u128 {
    let mut mix = Mix::default();
    for n in columns {
        sent(&carry.columns[*n].rule, &cells[*n], &mut mix);
    }
    mix.sum()
}

/// Asks all checks of a table.
pub fn ask(
    carry: &Carry,
    checks: &[(String, String, Vec<String>)],
    source: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<Vec<Refused>> {
    let mut refused = Vec::new();
    for (name, expression, names) in checks {
        let places: Option<Vec<usize>> =
            names.iter().map(|name| carry.columns.iter().position(|column| column.target == *name)).collect();
        // what the source does not give is the default of the target, which the target checks
        let Some(columns) = places.filter(|columns| !columns.is_empty()) else { continue };
        let mut seen: HashMap<u128, ()> = HashMap::new();
        let mut waiting: Vec<(u128, Vec<Value>)> = Vec::new();
        let mut all: Vec<Vec<(u128, Vec<Value>)>> = Vec::new();
        let mut carrier = Carrier::new(carry);
        source.scan(&select(carry, None, None), &mut |row| {
            carrier.row(row, &mut |cells| {
                let hash = hash(carry, &columns, cells);
                if seen.insert(hash, ()).is_none() {
                    waiting.push((hash, columns.iter().map(|n| value(&cells[*n])).collect()));
                    if waiting.len() == AT_ONCE {
                        all.push(std::mem::take(&mut waiting));
                    }
                }
                Ok(())
            })?;
            Ok(())
        })?;
        all.push(waiting);
        let mut bad = Vec::new();
        for some in all.iter().filter(|some| !some.is_empty()) {
            let rows = some.iter().enumerate().map(|(n, (_, values))| {
                let values = values.iter().zip(&columns).map(|(value, n)| {
                    Sql::new("").bind(value.clone()).text(&format!("::text::{}", carry.columns[*n].spelled))
                });
                let values: Vec<Sql> = values.collect();
                Sql::new(&format!("({n}, ")).add(&Sql::join(&values, ", ")).text(")")
            });
            let list: Vec<String> = names.iter().map(|name| quote(name)).collect();
            let sql = Sql::new("select n from (values ")
                .add(&Sql::join(&rows.collect::<Vec<_>>(), ", "))
                .text(&format!(
                    ") as {}(n, {}) where not ({expression})",
                    quote(&carry.name.name),
                    list.join(", ")
                ));
            for row in target.rows(&sql).map_err(|error| unchecked(name, error))? {
                let n = row.first().and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
                if let Some((hash, _)) = n.and_then(|n| some.get(n)) {
                    bad.push(*hash);
                }
            }
        }
        bad.truncate(MOST);
        bad.sort_unstable();
        if !bad.is_empty() {
            refused.push(Refused {
                name: name.clone(),
                columns,
                bad: bad.iter().map(|hash| format!("{hash:032x}")).collect(),
            });
        }
    }
    Ok(refused)
}

/// A cell as the server reads it from a text.
fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(flag) => Value::Text(flag.to_string()),
        Cell::Int(number) => Value::Text(number.to_string()),
        Cell::Real(number) => Value::Text(format!("{number:e}")),
        Cell::Text(text) => Value::Text((*text).to_owned()),
        Cell::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Value::Text(format!("\\x{hex}"))
        }
        Cell::Uuid(bytes) => Value::Text(civil::uuid(bytes)),
        Cell::Moment(micros) => Value::Text(civil::moment(*micros)),
        Cell::Day(days) => Value::Text(civil::day(*days)),
    }
}
