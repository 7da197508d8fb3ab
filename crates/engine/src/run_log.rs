//! A table of an application that wants one row for each run, beside Sexton's own run log.
//!
//! The configuration says which column gets which fact; names are checked against the catalogue.

use crate::by_operation::by_operation;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::Report;
use crate::status::Status;
use serde::{Deserialize, Serialize};
use targets::db::{Database, Limits, Sql, Value};

/// Which column of which table gets which fact of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLog {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The columns.
    pub columns: Vec<(String, Field)>,
}

/// One fact of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A fixed text.
    Text(String),
    /// `success`, `failed` or `skipped`.
    Status,
    /// When it began.
    StartedAt,
    /// When it ended.
    FinishedAt,
    /// How long it took.
    DurationSeconds,
    /// The whole report as JSON.
    Report,
    /// The report by operation, as `--output json` prints it.
    Operations,
    /// What failed; NULL when nothing did.
    Error,
    /// The run's id.
    RunId,
}

impl RunLog {
    /// Writes the row.
    pub(crate) fn write(&self, database: &dyn Database, report: &Report, plan: &Plan) -> Result<()> {
        let mut session = database.open()?;
        let schema = session.schema()?;
        let table = schema.find(&self.table)?;
        let mut values = Vec::new();
        for (column, field) in &self.columns {
            let column = table.expect_column(column)?;
            values.push(database.dialect().inward(column, field.of(report, plan)?));
        }
        let insert = Sql::new("insert into ")
            .table(&table.name)
            .text(" (")
            .names("", self.columns.iter().map(|(column, _)| column.as_str()))
            .text(") values (")
            .add(&Sql::join(&values, ", "))
            .text(")");
        let mut tx = session.begin(&Limits::default())?;
        tx.execute(&insert)?;
        tx.commit()
    }
}

impl Field {
    fn of(&self, report: &Report, plan: &Plan) -> Result<Value> {
        let time = |at: jiff::Timestamp| Value::Text(at.strftime("%Y-%m-%d %H:%M:%S.%3f+00:00").to_string());
        Ok(match self {
            Field::Text(text) => Value::Text(text.clone()),
            Field::Status => Value::from(match report.status {
                Status::Completed => "success",
                Status::Skipped => "skipped",
                _ => "failed",
            }),
            Field::StartedAt => time(report.metadata.started_at),
            Field::FinishedAt => report.metadata.finished_at.map_or(Value::Null, time),
            Field::DurationSeconds => Value::Real(report.metadata.duration_seconds),
            Field::Report => Value::Text(whole(report)?),
            Field::Operations => match by_operation(report, plan) {
                Some(document) => Value::Text(document.to_string()),
                None => Value::Text(whole(report)?),
            },
            Field::Error => {
                report.errors.first().map_or(Value::Null, |error| Value::Text(error.message.clone()))
            }
            Field::RunId => Value::Text(report.run_id.clone()),
        })
    }
}

fn whole(report: &Report) -> Result<String> {
    serde_json::to_string(report).map_err(|error| Error::system("cannot write the report").because(error))
}
