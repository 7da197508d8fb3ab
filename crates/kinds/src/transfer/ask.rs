//! Questions that both sides must answer alike: what a person wrote down to see the same in the new database as in the old one.
//!
//! The source is asked while the transfer runs, at the moment that was copied; the target at the end, on a session on which the
//! server refuses writes. Answers are the same when they have the same rows, whatever their order; values as everywhere: numbers by
//! what they are worth, times by their moment, documents whatever the order of their keys.

use super::canon::{Mix, alike};
use super::convert::{Zone, at};
use super::options::Query;
use super::times;
use engine::{Error, Result};
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Row, Sql, Value, quote};

/// How many rows an answer may have.
const MOST: u64 = 100_000;
/// How often an answer is timed at most,
const TIMES: usize = 5;
/// and for how many seconds in all, about.
const ENOUGH: f64 = 2.0;
/// How many rows of an answer are told.
const TOLD: usize = 3;

/// What a side answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How many rows.
    pub rows: u64,
    /// How many columns.
    pub columns: usize,
    /// The sum of the hashes of all rows, in hexadecimal digits.
    pub hash: String,
    /// The first rows.
    pub first: Vec<String>,
    /// How long it took, asked again: the middle of several times.
    #[serde(default)]
    pub seconds: f64,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What the source said.
    pub source: Answer,
    /// What the target said; none where it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Answer>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Outcome {
    /// Whether both said the same.
    pub fn is_same(&self) -> bool {
        let same = |target: &Answer| target.rows == self.source.rows && target.hash == self.source.hash;
        self.target.as_ref().is_some_and(same)
    }
}

fn bare(sql: &str) -> &str {
    sql.trim().trim_end_matches(';').trim_end()
}

/// Asks the source.
pub fn source(name: &str, query: &Query, zone: &Zone, facts: &mut dyn Facts) -> Result<Answer> {
    let sql = Sql::raw(&format!("select * from ({}) as q", bare(&query.source)));
    answer(name, &sql, zone, facts)
}

/// Asks the target, for as many columns as the source had. A name without a schema means what was carried into `schema`.
pub fn target(
    name: &str,
    query: &Query,
    source: &Answer,
    (schema, zone): (&str, &Zone),
    facts: &mut dyn Facts,
) -> Result<Answer> {
    if schema == "public" || facts.server()?.pooled {
        return in_path(name, query, source, zone, facts);
    }
    let path = facts.value(&Sql::new("select current_setting('search_path')"))?;
    let path = path.as_text().unwrap_or_default();
    let set = |path: &str| Sql::new("select set_config('search_path', ").bind(path).text(", false)");
    facts.rows(&set(&format!("{}, {path}", quote(schema))))?;
    let said = in_path(name, query, source, zone, facts);
    facts.rows(&set(path))?;
    said
}

fn in_path(name: &str, query: &Query, source: &Answer, zone: &Zone, facts: &mut dyn Facts) -> Result<Answer> {
    let asked = bare(query.target.as_deref().unwrap_or(&query.source));
    let names: Vec<String> = (1..=source.columns).map(|n| format!("c{n}")).collect();
    let texts: Vec<String> = names.iter().map(|name| format!("{name}::text")).collect();
    let sql = match names.is_empty() {
        // an answer without rows has no columns either
        true => format!("select 1 from ({asked}) as q"),
        false => format!("select {} from ({asked}) as q ({})", texts.join(", "), names.join(", ")),
    };
    answer(name, &Sql::raw(&sql), zone, facts)
}

fn answer(name: &str, sql: &Sql, zone: &Zone, facts: &mut dyn Facts) -> Result<Answer> {
    let mut said = Answer::default();
    let mut hash = 0_u128;
    let asked = facts.query(sql, &mut |row: Row| {
        said.rows += 1;
        if said.rows > MOST {
            return Err(Error::usage(format!("the answer has more than {MOST} rows"))
                .help("ask for a sum, or for fewer rows"));
        }
        said.columns = row.len();
        if said.first.len() < TOLD {
            said.first.push(row.iter().map(shown).collect::<Vec<_>>().join(", "));
        }
        let mut mix = Mix::default();
        row.iter().for_each(|value| take(value, zone, &mut mix));
        hash = hash.wrapping_add(mix.sum());
        Ok(())
    });
    asked.map_err(|error| error.while_doing(&format!("asking the query `{name}`")))?;
    said.hash = format!("{hash:032x}");
    said.seconds = usual_time(sql, facts)?;
    Ok(said)
}

/// How long an answer usually takes, with everything in memory that the first time has brought there.
fn usual_time(sql: &Sql, facts: &mut dyn Facts) -> Result<f64> {
    let mut times: Vec<f64> = Vec::new();
    while times.len() < TIMES && times.iter().sum::<f64>() < ENOUGH {
        times.push(facts.takes(sql)?.as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

fn take(value: &Value, zone: &Zone, mix: &mut Mix) {
    match value {
        Value::Null => mix.word(0),
        Value::Bool(flag) => alike(if *flag { "1" } else { "0" }, mix),
        Value::Int(number) => alike(&number.to_string(), mix),
        Value::Real(number) => alike(&format!("{number:?}"), mix),
        Value::Blob(bytes) | Value::BrokenText(bytes) | Value::Raw { bytes, .. } => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            alike(&format!("\\x{hex}"), mix);
        }
        // digits alone are a number
        Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => alike(text, mix),
        Value::Text(text) => match (text.as_str(), times::read(text)) {
            ("true" | "t", _) => alike("1", mix),
            ("false" | "f", _) => alike("0", mix),
            (_, Some(told)) if told.zoned || told.day => alike(&format!("time {}", told.micros), mix),
            (_, Some(told)) => alike(&format!("time {}", at(zone, told.micros).unwrap_or(told.micros)), mix),
            (text, None) => alike(text, mix),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Mix, Zone, take};
    use targets::db::Value;

    fn hash(value: Value) -> u128 {
        let mut mix = Mix::default();
        take(&value, &Zone::Utc, &mut mix);
        mix.sum()
    }

    #[test]
    fn what_is_the_same_is_the_same_however_it_is_written() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (one, other) in [
            (Value::Int(1), text("true")),
            (Value::Int(12), text("12.00")),
            (Value::Real(0.1), text("0.1")),
            (Value::Real(1e300), text("1e+300")),
            (text("2024-01-02T03:04:05Z"), text("2024-01-02 04:04:05+01")),
            (text("2024-01-02 03:04:05"), text("2024-01-02 03:04:05+00")),
            (text("2024/1/2 3:04:05"), text("2024-01-02 03:04:05+00")),
            (text("{\"a\": 1.0, \"b\": [2]}"), text("{\"b\":[2],\"a\":1.0}")),
            (text("6F1E1C1C-0000-4000-8000-000000000001"), text("6f1e1c1c-0000-4000-8000-000000000001")),
            (Value::Blob(vec![0, 255]), text("\\x00ff")),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(hash(one.clone()), hash(other.clone()), "{one:?} {other:?}");
        }
        for (one, other) in [
            (Value::Null, text("")),
            (text("007"), text("7")),
            (text("20240102"), text("2024-01-02")),
            (Value::Int(1), Value::Int(2)),
            (text("a"), text("A")),
            (text("{\"a\": 1}"), text("{\"a\": 2}")),
            (text("2024-01-02 03:04:05"), text("2024-01-02 03:04:06")),
        ] {
            assert_ne!(hash(one.clone()), hash(other.clone()), "{one:?} {other:?}");
        }
    }
}
