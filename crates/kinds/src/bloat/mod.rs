//! `bloat`: which tables and indexes hold space that a fresh copy would not need, and how much. Read-only.
//!
//! Every figure names its method and by how much it may be wrong; what could not be measured is told, not guessed at. It gives
//! nothing back: each finding says what would.

mod options;

pub use options::Options;

use engine::{
    Batch, Counts, Cursor, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step, Undo,
    Work,
};
use serde_json::{Value as Json, json};
use targets::db::{Bloat as Found, Facts, Measuring, Part, TableName};

/// The catalogue entry.
pub struct Bloat;

impl Kind for Bloat {
    fn name(&self) -> &'static str {
        "bloat"
    }

    fn title(&self) -> &'static str {
        "Find tables and indexes with wasted space"
    }

    fn about(&self) -> &'static str {
        "Tells how much of each table and index is space that a fresh copy would not need: dead and deleted rows, half-empty \
         pages, and in an SQLite file the free pages. What a fill factor keeps free is not wasted. On PostgreSQL a sample of \
         the pages is read, on SQLite all of them up to `read_mb`; each figure names its method and by how many points it \
         may be wrong. Nothing is changed. What wastes more than `threshold_percent` is listed, and the exit code is then 5."
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

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read(options)?))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, _: &Planning) -> Result<Planned> {
        let measuring = self.measuring(facts)?;
        let found = facts.bloat(&measuring)?;
        let over =
            |one: &&Found| one.wasted_percent().is_some_and(|percent| percent > self.threshold_percent);
        let listed: Vec<&Found> = found.iter().filter(over).collect();
        let of = |index: bool| -> Vec<Json> {
            listed.iter().filter(|one| (one.part == Part::Index) == index).map(|one| figures(one)).collect()
        };
        let unmeasured: Vec<Json> =
            found.iter().filter(|one| one.wasted_bytes.is_none()).map(figures).collect();
        let result = json!({
            "threshold_percent": self.threshold_percent,
            "tables": of(false),
            "indexes": of(true),
            "measured": found.len() - unmeasured.len(),
            "unmeasured": unmeasured,
        });
        let mut findings: Vec<Finding> = listed.iter().map(|one| wasted(one)).collect();
        for one in &found {
            if let (None, Some((why, help))) = (one.wasted_bytes, &one.lacks) {
                findings.push(Finding::note("unmeasured", &one.name, why, help));
            }
        }
        Ok(Planned { findings, undo: Some(Undo::NotNeeded), result: Some(result), ..Planned::default() })
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn act(&self, _: &Step, _: &Cursor, _: u64, _: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn verify(&self, _: &[Step], _: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

impl Options {
    fn measuring(&self, facts: &mut dyn Facts) -> Result<Measuring> {
        let mut tables: Vec<TableName> = Vec::new();
        if !self.tables.is_empty() {
            let schema = facts.schema()?;
            for name in &self.tables {
                tables.push(schema.find(name)?.name.clone());
            }
        }
        Ok(Measuring {
            tables,
            least_bytes: (self.least_mb * f64::from(1 << 20)) as u64,
            indexes: self.indexes,
            read_bytes: self.read_mb.saturating_mul(1 << 20),
            exact: self.exact,
        })
    }
}

/// R1b, and what the figure is worth.
fn figures(one: &Found) -> Json {
    json!({
        "name": one.name.to_string(),
        "table": one.table.to_string(),
        "part": one.part,
        "wasted_percent": one.wasted_percent().map(tenth),
        "wasted_bytes": one.wasted_bytes,
        "total_bytes": one.bytes,
        "live_rows": one.live_rows,
        "dead_rows": one.dead_rows,
        "method": one.method,
        "error_points": one.error_points.map(tenth),
        "last_vacuum": one.last_vacuum,
    })
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn wasted(one: &Found) -> Finding {
    let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let what = format!(
        "{:.0} % of {:.1} MB is wasted, {:.1} MB (by {}, give or take {:.0} points)",
        one.wasted_percent().unwrap_or(0.0),
        mb(one.bytes),
        mb(one.wasted_bytes.unwrap_or(0)),
        one.method,
        one.error_points.unwrap_or(0.0),
    );
    let remedy = match one.part {
        Part::Index => "rebuild it: reindex",
        Part::Free => "new rows will use them; to make the file smaller: vacuum",
        Part::Rows | Part::Large => {
            "new rows will use the space once it is vacuumed; `compact` gives it back"
        }
    };
    Finding::warning("bloat", &one.name, what, remedy)
}
