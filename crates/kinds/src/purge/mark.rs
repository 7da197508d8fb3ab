//! `action = "mark"`: which values are written, and how rows that carry them are recognised again.

use super::options::{Action, Target};
use engine::{Class, Error, Planning, Result};
use targets::db::{Column, Dialect, EpochUnit, Facts, Family, Generated, Sql, Table, Value};

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
            // SQLite keeps JSON as text.
            json if matches!(column.family, Family::Json | Family::Text | Family::Any) => {
                Value::Text(json.to_string())
            }
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

/// Lets the database read each new value as one of its column, so that what it cannot hold is found before the first
/// batch.
pub fn check(table: &Table, marks: &[(String, Value)], facts: &mut dyn Facts) -> Result<()> {
    for (name, value) in marks {
        let column = table.expect_column(name)?;
        let wrong = |what: String, help: &str| Err(Error::usage(format!("`mark.{name}`: {what}")).help(help));
        if column.generated != Generated::No {
            return wrong(
                "the database computes this column".to_owned(),
                "set the columns that it is computed from",
            );
        }
        if column.not_null && *value == Value::Null {
            return wrong("the column is NOT NULL".to_owned(), "give it another value");
        }
        let read = Sql::new("select ").add(&facts.dialect().inward(column, value.clone()));
        let held = match facts.value(&read) {
            Ok(held) => held,
            Err(error) if matches!(error.class, Class::Data | Class::Usage) => {
                return Err(error
                    .while_doing(&format!("`mark.{name}` is no value of type `{}`", column.declared))
                    .help("write it as the database would: `'{\"a\": 1}'` for JSON, `'{a,b}'` for a list"));
            }
            Err(error) => return Err(error),
        };
        if let (Value::Text(asked), Value::Text(held), Family::Text) = (value, &held, column.family)
            && asked.trim_end() != held.trim_end()
        {
            return wrong(
                format!("`{asked}` does not fit into `{}`, it would become `{held}`", column.declared),
                "give a shorter value, or a wider column",
            );
        }
    }
    Ok(())
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
