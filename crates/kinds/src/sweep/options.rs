//! What the options of several kinds have in common beside their fields: how they are read.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// Reads the options of a kind. An unknown one is refused: a mistyped limit must not be taken for none. (Serde cannot do that
/// by itself beside a target written directly.)
pub fn read_options<T: DeserializeOwned + JsonSchema>(kind: &str, options: &serde_json::Value) -> Result<T> {
    let wrong = |why: String| Error::usage(format!("the options of `{kind}` cannot be read: {why}"));
    let schema = schemars::schema_for!(T);
    let known = schema.get("properties").and_then(|properties| properties.as_object());
    if let (Some(given), Some(known)) = (options.as_object(), known)
        && let Some(name) = given.keys().find(|name| !known.contains_key(*name))
    {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(wrong(format!("there is no option `{name}`"))
            .help(format!("the options are {}", names.join(", "))));
    }
    serde_json::from_value(options.clone()).map_err(|error| {
        wrong(error.to_string()).help(format!("`sexton help {kind}` shows the options and what they take"))
    })
}

/// The same names as `EpochUnit`, which lives where no schema is known.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub enum EpochUnitSchema {
    Auto,
    Seconds,
    Milliseconds,
    Microseconds,
}
