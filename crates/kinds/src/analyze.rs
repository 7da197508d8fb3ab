//! `analyze`: refreshes the planner's statistics of the tables that need it.
//!
//! It reads a sample and keeps nobody out. A table that somebody holds is passed over.

use crate::upkeep::{self, Figures, Keeping, Keeps, Object, Task, bytes_said};
use crate::vacuum::of_statistics;
use engine::{
    Counts, Done, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use targets::db::{Chore, Facts, TableUpkeep, Upkeep};

/// Bytes a second of which a sample is read.
const USUAL: f64 = 300e6;

/// The catalogue entry.
pub struct Analyze;

/// Options of an analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// These tables, needed or not. Without names: those that need it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Every table, needed or not.
    pub all: bool,
}

impl Kind for Analyze {
    fn name(&self) -> &'static str {
        "analyze"
    }

    fn title(&self) -> &'static str {
        "Refresh the planner's statistics"
    }

    fn about(&self) -> &'static str {
        "Analyses the tables of which many rows changed since the last time, or that were never analysed, or those that are \
         named. Partitioned tables get statistics of their own, which nobody else refreshes. On SQLite the planner itself says \
         what it misses, and a sample of each index is read."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Analyze
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        if options.is_null() {
            return Ok(Box::new(Keeps(Options::default())));
        }
        let options: Options = serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `analyze` cannot be read: {error}"))
                .help("`sexton help analyze` shows the options and what they take")
        })?;
        Ok(Box::new(Keeps(options)))
    }
}

impl Options {
    fn chosen<'a>(
        &self,
        upkeep: &'a Upkeep,
        facts: &mut dyn Facts,
    ) -> Result<Vec<(&'a TableUpkeep, f64, String)>> {
        let mut all: Vec<(&TableUpkeep, f64, String)> = Vec::new();
        if !self.tables.is_empty() {
            let schema = facts.schema()?;
            for name in &self.tables {
                let table = schema.find(name)?;
                let whole = std::iter::once(table).chain(schema.leaves(table));
                for one in whole.collect::<Vec<_>>() {
                    let known = upkeep.tables.iter().find(|known| known.name == one.name);
                    if let Some(table) =
                        known.filter(|known| !all.iter().any(|(there, ..)| there.name == known.name))
                    {
                        all.push((table, 1.0, "asked for".to_owned()));
                    }
                }
            }
            return Ok(all);
        }
        for table in upkeep.tables.iter().filter(|table| !table.partitioned) {
            match of_statistics(table) {
                Some((score, why)) => all.push((table, score, why)),
                None if self.all => all.push((table, 0.0, "asked for".to_owned())),
                None => {}
            }
        }
        let parents = upkeep.tables.iter().filter(|table| {
            table.partitioned && all.iter().any(|(child, ..)| child.parent.as_ref() == Some(&table.name))
        });
        let parents: Vec<&TableUpkeep> = parents.collect();
        all.extend(parents.into_iter().map(|table| (table, 0.0, "its partitions are analysed".to_owned())));
        Ok(all)
    }
}

impl Keeping for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        if let Some(standby) = upkeep::standby(facts)? {
            return Ok(Planned { findings: vec![standby], ..Planned::default() });
        }
        let upkeep = facts.upkeep(None)?;
        let failed = engine::failed_scopes(facts, &planning.request.name)?;
        let mut chosen = self.chosen(&upkeep, facts)?;
        chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (mut steps, mut findings, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (table, _, why) in chosen {
            if !table.may {
                findings.push(Finding::warning(
                    "permission",
                    &table.name,
                    "this user may not analyse it: it is left out",
                    format!("run it as the owner of {}, or of the database", table.name.quoted()),
                ));
                continue;
            }
            let chore = Chore::Analyze { table: Some(table.name.clone()) };
            let statements = facts.dialect().spell(&chore).statement.into_iter().collect();
            let task = Task {
                object: Object::Table { name: table.name.clone() },
                chores: vec![chore],
                before: Figures { dead: None, bytes: Some(table.bytes) },
                why,
                failed: failed.iter().any(|failed| failed.scope == table.name.to_string()),
            };
            bytes += table.bytes;
            steps.push(task.step(
                "analyze",
                vec![("size".to_owned(), bytes_said(table.bytes))],
                statements,
            )?);
        }
        Ok(Planned {
            expected_seconds: (bytes > 0).then(|| upkeep::expected(bytes, USUAL, planning.earlier)),
            steps,
            findings,
            outside: true,
            ..Planned::default()
        })
    }

    fn result(&self, done: &Done, _: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        upkeep::summary(done, ("table", "tables"), "tables", |task| task.before).map(Some)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(upkeep::failures(steps, counts, "the report has its reason; `sexton run analyze` tries it again"))
    }
}
