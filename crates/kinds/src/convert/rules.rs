//! Rules for single columns, written as jq: cast, JSON in a text, a value for NULL and for nothing, ids of one system by
//! those of another.
//!
//! A rule is a table of the configuration; everything it does happens in the program, so that what fails is told of its row.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::{Schema, Sql};

/// How the value of one column is made from another.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The column of the row it is made from. Default: the column of the same name.
    pub from: Option<String>,
    /// What stands for NULL, and for an empty text. Without it, where something is made of the value, that is NULL.
    pub default: Option<Json>,
    /// The text is JSON: its value is taken.
    pub json: bool,
    /// What it becomes: `integer`, `number`, `text` or `boolean`.
    #[serde(rename = "as")]
    pub cast: Option<Cast>,
    /// Values by values. One that is not here fails.
    pub map: BTreeMap<String, Json>,
    /// Values by a table: `{ table = "id_map", from = "old_id", to = "new_id" }`. One that is not there fails.
    pub lookup: Option<Lookup>,
}

/// What a value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cast {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false: `true`, `t`, `yes`, `on`, `1` and their opposites.
    Boolean,
}

/// A table that has for each old value a new one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The table.
    pub table: String,
    /// Its column with the old values.
    pub from: String,
    /// Its column with the new ones.
    pub to: String,
}

/// How one column gets its value.
pub enum Making {
    /// By an expression in jq.
    Expression(String),
    /// By a rule.
    Rule(Box<Rule>),
}

/// Reads what a configuration says of a column.
pub fn read(column: &str, said: &Json) -> Result<Making> {
    match said {
        Json::String(text) => Ok(Making::Expression(text.clone())),
        Json::Object(_) => {
            serde_json::from_value(said.clone()).map(|rule| Making::Rule(Box::new(rule))).map_err(|error| {
                Error::usage(format!("`columns.{column}` cannot be read: {error}"))
                    .help("a rule has `from`, `default`, `json`, `as`, `map` and `lookup`")
            })
        }
        _ => Err(Error::usage(format!("`columns.{column}` is neither an expression nor a rule"))
            .help("write `\".name\"`, or `{ from = \"name\", default = \"\" }`")),
    }
}

/// The field of the row that holds what a lookup found for a column.
pub fn looked_up(column: &str) -> String {
    format!("sexton_lookup_{column}")
}

impl Rule {
    /// The column it is made from.
    pub fn source<'a>(&'a self, column: &'a str) -> &'a str {
        self.from.as_deref().unwrap_or(column)
    }

    /// The expression in jq, over the row.
    pub fn expression(&self, column: &str) -> String {
        let source = format!(".[{}]", Json::from(self.source(column)));
        let mut steps = Vec::new();
        if self.json {
            steps.push(
                "(if type == \"string\" then [fromjson] | if length == 1 then .[0] else error(\"no JSON\") end else . end)"
                    .to_owned(),
            );
        }
        if !self.map.is_empty() {
            let map = Json::Object(self.map.clone().into_iter().collect());
            steps.push(format!(
                "(tostring as $key | {map} | if has($key) then .[$key] else error(\"nothing is said for \\($key)\") end)"
            ));
        }
        steps.extend(self.cast.map(|cast| cast.expression().to_owned()));
        let made = if steps.is_empty() { ".".to_owned() } else { steps.join(" | ") };
        let empty = self.default.as_ref().unwrap_or(&Json::Null);
        let copied = steps.is_empty() && self.lookup.is_none() && self.default.is_none();
        let nothing = if copied { ". == null" } else { ". == null or . == \"\"" };
        if self.lookup.is_some() {
            let found = Json::from(looked_up(column));
            return format!(
                "(. as $row | {source} | if {nothing} then {empty} elif $row[{found}] == null then \
                 error(\"nothing was found for \\(.)\") else $row[{found}] | {made} end)"
            );
        }
        format!("({source} | if {nothing} then {empty} else {made} end)")
    }
}

impl Cast {
    fn expression(self) -> &'static str {
        match self {
            Cast::Integer => {
                "(tonumber | if floor == . then floor else error(\"\\(.) is no whole number\") end)"
            }
            Cast::Number => "tonumber",
            Cast::Text => "(if type == \"string\" then . else tojson end)",
            Cast::Boolean => {
                "(tostring | ascii_downcase as $word | {true: true, t: true, yes: true, y: true, on: true, \"1\": true, \
                 false: false, f: false, no: false, n: false, off: false, \"0\": false} \
                 | if has($word) then .[$word] else error(\"\\($word) is neither true nor false\") end)"
            }
        }
    }
}

impl Lookup {
    /// What is found for the value of a column of `t`, as text.
    pub fn value(&self, source: &str, schema: &Schema) -> Result<Sql> {
        let table = schema.find(&self.table)?;
        let (from, to) = (table.expect_column(&self.from)?, table.expect_column(&self.to)?);
        // Compared as text: one side may be an integer, the other the same number in a text.
        Ok(Sql::new("(select cast(m.")
            .name(&to.name)
            .text(" as text) from ")
            .table(&table.name)
            .text(" as m where cast(m.")
            .name(&from.name)
            .text(" as text) = cast(t.")
            .name(source)
            .text(" as text))"))
    }
}
