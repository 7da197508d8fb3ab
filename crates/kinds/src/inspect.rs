//! `inspect`: everything that is known of a database without reading its rows, as one document. It judges nothing.

use crate::inspection::{Around, Sample, Trend, document};
use engine::{
    Batch, Counts, Cursor, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step,
    Undo, Work,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::time::Duration;
use targets::db::{Bounds, Facts, Inspection};

/// The catalogue entry.
pub struct Inspect;

impl Kind for Inspect {
    fn name(&self) -> &'static str {
        "inspect"
    }

    fn title(&self) -> &'static str {
        "Tell everything that is known of a database"
    }

    fn about(&self) -> &'static str {
        "Sizes, rows, indexes and their use, connections, long and blocked statements, locks, transaction ids, sequences, \
         replication, the archive, the cache, slow statements, settings, the disk: from the catalogue and the counters, within \
         ten seconds, waiting for no lock and reading no row. It judges nothing: `sexton doctor` does. What cannot be told is \
         named with what would help. Literals in statements are left out."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Measure
    }

    fn operation(&self, options: &Json) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read("inspect", options)?))
    }
}

/// Options of a look at a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Databases of the configuration, or URLs, that are standbys of this one: uses of indexes there count too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standbys: Vec<String>,
    /// The whole look takes no longer than so many seconds; a part that would is cut off and said to be.
    pub seconds: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { standbys: Vec::new(), seconds: 10.0 }
    }
}

/// What a look has brought.
pub struct Look {
    /// What the database told.
    pub all: Inspection,
    /// What is known beside it.
    pub around: Around,
    /// What is kept of it.
    pub sample: Sample,
    /// What could not be had, that had nothing to do with the database itself.
    pub findings: Vec<Finding>,
}

impl Options {
    /// Reads options of a kind; an unknown one is refused.
    pub fn read(kind: &str, options: &Json) -> Result<Self> {
        let options: Self = match options {
            Json::Null => Self::default(),
            said => serde_json::from_value(said.clone()).map_err(|error| {
                Error::usage(format!("the options of `{kind}` cannot be read: {error}"))
                    .help(format!("`sexton help {kind}` shows the options and what they take"))
            })?,
        };
        if !(0.1..=600.0).contains(&options.seconds) {
            return Err(Error::usage(format!("`seconds = {}` is out of range", options.seconds))
                .help("say from 0.1 to 600; 10 is the default"));
        }
        Ok(options)
    }

    /// Looks at the database and its standbys.
    pub fn look(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Look> {
        let total = Duration::from_secs_f64(self.seconds);
        let bounds = Bounds { total, part: total / 3, ..Bounds::default() };
        let mut findings = Vec::new();
        let mut around = Around::default();
        let all = facts.inspect(&bounds)?;
        for name in &self.standbys {
            let told = planning
                .databases
                .database(name)
                .and_then(|standby| standby.read())
                .and_then(|mut standby| standby.inspect(&bounds));
            match told {
                Ok(standby) => {
                    around.asked += 1;
                    for index in standby.indexes.known().into_iter().flatten() {
                        *around.elsewhere.entry(index.name.clone()).or_default() += index.scans.unwrap_or(0);
                    }
                }
                Err(error) => findings.push(Finding::note(
                    "not_seen",
                    format!("standby `{name}`"),
                    format!("could not be asked: {error}"),
                    error.help.unwrap_or_else(|| "see `standbys`".to_owned()),
                )),
            }
        }
        let sample = Sample::of(&all);
        around.usual.clone_from(planning.usual);
        around.trend = Trend::of(planning.samples, planning.now, &sample);
        Ok(Look { all, around, sample, findings })
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let look = self.look(facts, planning)?;
        let mut findings = look.findings;
        for (part, why, help) in look.all.missing() {
            findings.push(Finding::note("not_seen", part, why, help));
        }
        let mut result = document::of(&look.all, &look.around);
        result["sample"] = serde_json::to_value(&look.sample).unwrap_or(Json::Null);
        Ok(Planned { findings, undo: Some(Undo::NotNeeded), result: Some(result), ..Planned::default() })
    }

    fn act(&self, _: &Step, _: &Cursor, _: u64, _: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn verify(&self, _: &[Step], _: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn wants_samples(&self) -> bool {
        true
    }

    fn sample(&self, result: &Json) -> Option<Json> {
        result.get("sample").cloned()
    }
}
