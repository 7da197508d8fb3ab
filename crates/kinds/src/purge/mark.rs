//! `action = "mark"`: which values are written, and how rows that carry them are recognised again.

use super::options::{Action, Target};
use engine::{Error, Planning, Result};
use targets::db::{Column, Dialect, EpochUnit, Family, Sql, Table, Value};

/// The new values of the columns that are set.
pub fn marks(target: &Target, table: &Table, planning: &Planning) -> Result<Vec<(String, Value)>> {
    if target.action == Action::Mark && target.mark.is_empty() {
        return Err(Error::usage("`action = \"mark\"` needs columns to set")
            .help("say `mark = { status = \"archived\" }`"));
    }
    let mut all = Vec::new();
    for (name, value) in &target.mark {
        let column = table.expect_column(name)?;
        let value = match value {
            serde_json::Value::String(text) if text == "now" => now_for(column, target, planning),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Bool(flag) => Value::Bool(*flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Value::Int(number),
                None => Value::Real(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::Null => Value::Null,
            _ => {
                return Err(Error::usage(format!(
                    "`mark.{}` must be a text, a number, true, false or null",
                    column.name
                )));
            }
        };
        all.push((name.clone(), value));
    }
    Ok(all)
}

/// The moment of the run, in the form in which the column holds times.
fn now_for(column: &Column, target: &Target, planning: &Planning) -> Value {
    let numbers = matches!(column.family, Family::Integer | Family::Real | Family::Numeric);
    match (numbers, target.epoch_unit) {
        (false, _) => Value::Text(planning.now.strftime("%Y-%m-%d %H:%M:%S.%6f+00:00").to_string()),
        (true, EpochUnit::Milliseconds) => Value::Int(planning.now.as_millisecond()),
        (true, EpochUnit::Microseconds) => Value::Int(planning.now.as_microsecond()),
        (true, EpochUnit::Auto | EpochUnit::Seconds) => Value::Int(planning.now.as_second()),
    }
}

/// The condition, over `t`, that a row was marked in this very run; none when no mark says when.
pub fn after_image(
    target: &Target,
    table: &Table,
    marks: &[(String, Value)],
    dialect: &dyn Dialect,
) -> Option<Sql> {
    let same: Vec<Sql> = marks
        .iter()
        .filter(|(name, _)| target.is_now(name))
        .filter_map(|(name, value)| {
            let column = table.column(name)?;
            Some(dialect.same(&Sql::new("t.").name(name), &dialect.inward(column, value.clone())))
        })
        .collect();
    (!same.is_empty()).then(|| Sql::join(&same, " and "))
}
