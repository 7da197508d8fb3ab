//! `check`: whether a database is sound: its pages and indexes, its references, and rules of one's own. Read-only.
//!
//! It passes only when every part of it is clean. It mends nothing: each finding says what would.

mod keys;
mod options;
mod rules;

pub use options::Options;

use engine::{
    Batch, Class, Counts, Cursor, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step,
    Work,
};
use serde_json::{Map, Value as Json, json};
use targets::db::{Facts, Soundness};

/// The catalogue entry.
pub struct Check;

impl Kind for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> &'static str {
        "Check a database: its files, its references, your rules"
    }

    fn about(&self) -> &'static str {
        "The database checks its own pages and indexes (SQLite: integrity_check; PostgreSQL: amcheck where it is installed, \
         invalid indexes, failed checksums); every declared reference is looked up; and conditions of your own, that no row \
         may meet, are counted. Nothing is changed. The exit code is 0 when all of it is clean and 5 when something was found."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Check
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read(options)?))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let mut findings = Vec::new();
        if self.on_copy && !planning.on_a_copy {
            findings.push(Finding::note(
                "in_place",
                &planning.request.database,
                "it was looked at itself: a copy of it would be written anew and hide what is wrong, and nobody waits meanwhile",
                "",
            ));
        }
        let mut result = Map::new();
        result.insert("on_copy".to_owned(), json!(planning.on_a_copy));
        let mut damaged = false;
        if self.integrity {
            let found = facts.soundness(self.limit)?;
            damaged = found.count > 0;
            result.insert("pragma_checks".to_owned(), of_files(&found));
            tell(&found, &mut findings);
        }
        if let Err(error) = self.look_at_rows(facts, &mut result, &mut findings) {
            // Rows of a damaged database may be out of reach; what was found is worth more than this error.
            if !damaged || error.class == Class::Usage {
                return Err(error);
            }
            let what = format!("references and rules could not be looked at: {error}");
            findings.push(Finding::note("unchecked", "rows", what, "mend the damage first"));
        }
        result.insert(
            "passed".to_owned(),
            json!(findings.iter().all(|found| found.level == engine::Level::Note)),
        );
        Ok(Planned {
            findings,
            undo: Some(engine::Undo::NotNeeded),
            result: Some(Json::Object(result)),
            ..Planned::default()
        })
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn wants_a_copy(&self) -> bool {
        self.on_copy
    }

    fn act(&self, _: &Step, _: &Cursor, _: u64, _: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn verify(&self, _: &[Step], _: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

impl Options {
    fn look_at_rows(
        &self,
        facts: &mut dyn Facts,
        result: &mut Map<String, Json>,
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        let schema = facts.schema()?;
        if self.foreign_keys {
            let violations = keys::look(&schema, self.limit, facts, findings)?;
            result.insert("foreign_key_violations".to_owned(), violations);
        }
        let broken = rules::look(&self.rules, &schema, self.limit, facts, findings)?;
        result.insert("constraint_violations".to_owned(), broken);
        Ok(())
    }
}

/// `ok`, or the first faults line by line, as S0 reports it; with the number of all.
fn of_files(found: &Soundness) -> Json {
    let text = if found.count == 0 { "ok".to_owned() } else { found.faults.join("\n") };
    let unchecked: Vec<&String> = found.unchecked.iter().map(|(what, _)| what).collect();
    json!({ "integrity_check": text, "count": found.count, "method": found.method, "unchecked": unchecked })
}

fn tell(found: &Soundness, findings: &mut Vec<Finding>) {
    for (what, help) in &found.unchecked {
        findings.push(Finding::note("unchecked", &found.method, what, help));
    }
    if found.count == 0 {
        return;
    }
    let first = found.faults.first().map(String::as_str).unwrap_or_default();
    findings.push(Finding::warning(
        "damage",
        &found.method,
        format!("{} faults, the first: {first}", found.count),
        "take a copy of it as it is, then: a fault of an index is mended by `sexton reindex --indexes NAME`, any other by a backup (`sexton backup list`)",
    ));
}
