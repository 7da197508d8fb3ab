//! Values that a configuration gives to columns: a text, a number, true, false, null, `now`, an expression, or a text with
//! the row's own columns in it.

use super::moment::written;
use engine::{Error, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::{Column, Dialect, EpochUnit, Sql, Table, Value};

/// What the values are for.
pub struct Setting<'a> {
    /// The table whose columns are set.
    pub table: &'a Table,
    /// What `now` stands for.
    pub now: Timestamp,
    /// What a number in a time column counts.
    pub unit: EpochUnit,
    /// The zone of times that have none.
    pub zone: &'a TimeZone,
    /// How the database spells things.
    pub dialect: &'a dyn Dialect,
}

impl Setting<'_> {
    /// The moment in the form in which the column holds times.
    pub fn moment(&self, at: Timestamp, column: &Column) -> Sql {
        self.dialect.inward(column, written(at, column, self.unit, self.zone))
    }

    /// The values as expressions over `t`, in the order of their columns.
    pub fn all(&self, given: &BTreeMap<String, Json>) -> Result<Vec<(String, Sql)>> {
        given.iter().map(|(name, value)| Ok((name.clone(), self.one(name, value)?))).collect()
    }

    /// One value.
    pub fn one(&self, name: &str, value: &Json) -> Result<Sql> {
        let column = self.table.expect_column(name)?;
        let inward = |value: Value| self.dialect.inward(column, value);
        Ok(match value {
            Json::String(text) if text == "now" => self.moment(self.now, column),
            Json::String(text) if text.contains('{') => self.template(text)?,
            Json::String(text) => inward(Value::Text(text.clone())),
            Json::Bool(flag) => inward(Value::Bool(*flag)),
            Json::Null => inward(Value::Null),
            Json::Number(number) => {
                let exact = number.as_i64().map(Value::Int);
                inward(exact.unwrap_or(Value::Real(number.as_f64().unwrap_or_default())))
            }
            Json::Object(map) if map.len() == 1 && map.get("sql").is_some_and(Json::is_string) => {
                // A line end, so that a comment cannot swallow the bracket.
                Sql::new("(").add(&Sql::raw(map["sql"].as_str().unwrap_or_default())).text("\n)")
            }
            _ => {
                return Err(Error::usage(format!("what is `{name}` to be set to?"))
                    .help("a text, a number, true, false, \"now\", or `{ sql = \"…\" }`"));
            }
        })
    }

    /// `gone-{id}@example.invalid`: the text with columns of the row.
    fn template(&self, text: &str) -> Result<Sql> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(Error::usage(format!("`{text}` has a `{{` without an end"))
                    .help("write `{column}` for the value of a column"));
            };
            if !before.is_empty() {
                parts.push(Sql::new("cast(").bind(before).text(" as text)"));
            }
            let column = self.table.expect_column(name)?;
            parts.push(Sql::new("cast(t.").name(&column.name).text(" as text)"));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Sql::new("cast(").bind(rest).text(" as text)"));
        }
        Ok(Sql::new("(").add(&Sql::join(&parts, " || ")).text(")"))
    }
}
