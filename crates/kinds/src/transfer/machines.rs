//! Programs in jq that make one value of another, each kept running from batch to batch.

use engine::{Error, Result};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use targets::db::Seen;
use targets::programs::{Outcome, Program, Programs, Running};

/// What a program made of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// Nothing.
    Null,
    /// A text: what it gave, or the JSON of it.
    Text(String),
    /// It failed, or gave nothing, or several.
    Bad,
}

/// Those that are running.
#[derive(Default)]
pub struct Machines {
    /// Who runs them; none where no column has one.
    pub programs: Option<Arc<dyn Programs>>,
    running: Mutex<HashMap<String, Box<dyn Running>>>,
}

impl Machines {
    /// Run by somebody.
    pub fn of(programs: Option<Arc<dyn Programs>>) -> Self {
        Self { programs, running: Mutex::default() }
    }

    /// What a program makes of a value. It sees nothing else, and the moment 1970, so that it makes the same every time.
    pub fn make(&self, text: &str, value: &Seen) -> Result<Made> {
        let mut running = self.running.lock().map_err(|_| Error::system("a program in jq broke"))?;
        if !running.contains_key(text) {
            let programs =
                self.programs.as_ref().ok_or_else(|| Error::system("nobody here runs programs in jq"))?;
            let program = Program { text: text.to_owned(), args: Vec::new(), now: 0.0, pretty: false };
            running.insert(text.to_owned(), programs.start(&program)?);
        }
        let Some(machine) = running.get_mut(text) else { return Ok(Made::Bad) };
        let outcomes = machine.transform(&[input(value)])?;
        Ok(match outcomes.first() {
            Some(Outcome::Given(given)) if given.len() == 1 => made(&given[0]),
            _ => Made::Bad,
        })
    }
}

/// A value as the program sees it: bytes as hexadecimal digits.
fn input(value: &Seen) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let json = match value {
        Seen::Null => Json::Null,
        Seen::Bool(flag) => Json::from(*flag),
        Seen::Int(number) => Json::from(*number),
        Seen::Real(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Seen::Text(text) => Json::from(*text),
        Seen::Blob(bytes) | Seen::BrokenText(bytes) => Json::from(hex(bytes)),
        other => Json::from(other.to_value().to_string()),
    };
    json.to_string()
}

fn made(given: &str) -> Made {
    match serde_json::from_str::<Json>(given) {
        Ok(Json::Null) => Made::Null,
        Ok(Json::String(text)) => Made::Text(text),
        // as it was written: no digit of a number is lost
        Ok(_) => Made::Text(given.trim().to_owned()),
        Err(_) => Made::Bad,
    }
}
