//! What is said (N1): one shape for every channel, and the very body that a webhook gets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// All went well, or is well again.
    Success,
    /// It was done, and there is something to look at.
    Warning,
    /// Something is wrong at the moment.
    Alert,
    /// It was not done.
    Failure,
}

impl Event {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Event::Success => "success",
            Event::Warning => "warning",
            Event::Alert => "alert",
            Event::Failure => "failure",
        }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    #[default]
    Info,
    /// Look at it.
    Warning,
    /// Look at it now.
    Critical,
}

impl Level {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// N1: a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// What it is about.
    pub event: Event,
    /// How much it matters.
    pub level: Level,
    /// The run, where it is about one.
    pub run_id: Option<String>,
    /// The same in the log, the report and the answers of the API.
    pub correlation_id: String,
    /// The schedule, where it is about one.
    pub schedule: Option<String>,
    /// The operation, where it is about one.
    pub operation: Option<String>,
    /// One line.
    pub title: String,
    /// Everything, in lines.
    pub text: String,
    /// Figures.
    pub metrics: Map<String, Json>,
    /// When it was said.
    #[schemars(with = "String")]
    pub time: Timestamp,
}

impl Message {
    /// Something that is not about a run.
    pub fn new(
        event: Event,
        level: Level,
        title: impl Into<String>,
        text: impl Into<String>,
        time: Timestamp,
    ) -> Self {
        Self {
            event,
            level,
            run_id: None,
            correlation_id: engine::new_id(),
            schedule: None,
            operation: None,
            title: title.into(),
            text: text.into(),
            metrics: Map::new(),
            time,
        }
    }

    /// The same about a run.
    pub fn of_run(mut self, run: &str, correlation: &str) -> Self {
        self.run_id = Some(run.to_owned());
        self.correlation_id = correlation.to_owned();
        self
    }

    /// The body of a webhook, to the byte.
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
