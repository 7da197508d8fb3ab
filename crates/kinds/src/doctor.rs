//! `doctor`: what is wrong with a database, the most harmful first, each with figures and with what mends it.
//!
//! It looks as `inspect` does and changes nothing. A figure or two of each look are kept, so that the next one can tell how
//! fast things go and what is new.

use crate::inspect::Options as Looking;
use crate::inspection::{Judged, document, judge};
use engine::{
    Batch, Counts, Cursor, Finding, Kind, Level, Operation, Phase, Planned, Planning, Result, Severity, Step,
    Undo, Work,
};
use serde_json::{Value as Json, json};
use targets::db::Facts;

/// The catalogue entry.
pub struct Doctor;

/// A look that judges.
struct Judging(Looking);

impl Kind for Doctor {
    fn name(&self) -> &'static str {
        "doctor"
    }

    fn title(&self) -> &'static str {
        "Find what is wrong with a database, the most harmful first"
    }

    fn about(&self) -> &'static str {
        "One page of findings: transaction ids and sequences that come to their end, what keeps vacuum from its work, sessions \
         that block others, indexes that are unused, redundant, broken or missing, an archive that fails, settings that hurt, \
         and more. Each has figures, and the command that mends it. It reads the catalogue and the counters only, within ten \
         seconds, and waits for no lock. Exit code 0: nothing that needs you; 5: something does."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Looking)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Measure
    }

    fn operation(&self, options: &Json) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Judging(Looking::read("doctor", options)?)))
    }
}

impl Operation for Judging {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let mut look = self.0.look(facts, planning)?;
        let mut judged = judge(&look.all, &look.around);
        judged.extend(look.findings.drain(..).map(|finding| Judged { harm: 1, finding }));
        let name = |one: &Judged| (one.finding.code.clone(), one.finding.object.clone());
        look.sample.findings = Some(judged.iter().map(name).collect());
        let warnings = judged.iter().filter(|one| one.finding.level > Level::Note).count();
        let tables: Vec<Json> =
            document::tables(&look.all).as_array().into_iter().flatten().take(20).cloned().collect();
        let result = json!({
            "passed": warnings == 0,
            "warnings": warnings,
            "database": document::about(&look.all.server),
            "size_bytes": look.all.server.bytes,
            "findings": judged.iter().map(told).collect::<Json>(),
            "compared": compared(&judged, planning),
            "growth": look.around.trend,
            "largest_tables": tables,
            "figures": figures(&look.all),
            "sample": look.sample,
        });
        let findings = judged.into_iter().map(|one| one.finding).collect();
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

fn told(one: &Judged) -> Json {
    let finding = &one.finding;
    json!({
        "code": finding.code, "level": finding.level, "harm": one.harm, "object": finding.object, "what": finding.what,
        "remedy": finding.remedy,
    })
}

/// What is new since the last look that judged, and what is gone; null before there was one.
fn compared(judged: &[Judged], planning: &Planning) -> Json {
    type Told = Vec<(String, String)>;
    let last = planning.samples.iter().find_map(|one| {
        // A sample of `inspect` has judged nothing.
        let findings: Told = serde_json::from_value(one.result.get("findings")?.clone()).ok()?;
        Some((one.at, findings))
    });
    let Some((at, before)) = last else { return Json::Null };
    let is =
        |finding: &Finding, known: &(String, String)| known.0 == finding.code && known.1 == finding.object;
    let new: Json = judged
        .iter()
        .filter(|one| !before.iter().any(|known| is(&one.finding, known)))
        .map(|one| json!({ "code": one.finding.code, "object": one.finding.object, "level": one.finding.level }))
        .collect();
    let gone: Json = before
        .iter()
        .filter(|known| !judged.iter().any(|one| is(&one.finding, known)))
        .map(|(code, object)| json!({ "code": code, "object": object }))
        .collect();
    json!({ "since": at, "new": new, "gone": gone })
}

/// The few figures that say how a database is.
fn figures(all: &targets::db::Inspection) -> Json {
    let share = |part: u64, whole: u64| match whole {
        0 => Json::Null,
        whole => json!((part as f64 / whole as f64 * 1000.0).round() / 10.0),
    };
    let counters = all.counters.known();
    let connections = all.connections.known();
    let horizon = all.horizon.known();
    let disk = all.disk.known();
    json!({
        "tables": all.tables.known().map(Vec::len),
        "indexes": all.indexes.known().map(Vec::len),
        "connections": connections.map(|known| known.all),
        "connection_limit": connections.and_then(|known| known.limit),
        "cache_hit_percent": counters.map(|known| share(known.hits, known.hits + known.reads)),
        "index_efficiency_percent": document::index_efficiency(all),
        "xid_used_percent": horizon.map(|known| share(known.xid_age, 2_147_483_648)),
        "disk_used_percent": disk.map(|disk| share(disk.used_bytes, disk.total_bytes)),
        "disk_free_bytes": disk.map(|disk| disk.free_bytes),
        "statistics_since_seconds": counters.and_then(|known| known.seconds),
        "free_page_percent": all.file.known().map(|file| share(file.free_pages, file.pages)),
        "wal_bytes": all.file.known().map(|file| file.wal_bytes),
    })
}
