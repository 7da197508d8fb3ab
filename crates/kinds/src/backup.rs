//! `backup`: a copy of the whole database into a file store, checked before it counts.
//!
//! The plan says where and how; taking it is the engine's own business, because every operation that needs a backup gets it
//! the same way. It reads the database and never writes to it.

use engine::backup::BackupWish;
use engine::{
    Batch, Counts, Cursor, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step,
    Work,
};
use targets::db::Facts;

/// Bytes of a database that are copied in a second on a usual machine.
const USUAL: f64 = 60e6;

/// The catalogue entry.
pub struct Backup;

impl Kind for Backup {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn title(&self) -> &'static str {
        "Copy the whole database into a file store"
    }

    fn about(&self) -> &'static str {
        "A consistent copy while others go on working: SQLite page by page, PostgreSQL by pg_dump. It is compressed, \
         checked and noted with its checksum; old ones go when their time is over. Where and for how long says \
         `[backup]`."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(BackupWish)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Backup
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        let options = if options.is_null() { serde_json::json!({}) } else { options.clone() };
        let wish: BackupWish = serde_json::from_value(options)
            .map_err(|error| Error::usage("the options of the backup cannot be read").because(error))?;
        Ok(Box::new(Wish(wish)))
    }
}

struct Wish(BackupWish);

impl Operation for Wish {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let Some(policy) = planning.backups else {
            return Err(Error::usage("backups are switched off").help("set `enabled = true` in `[backup]`"));
        };
        let policy = policy.with(&self.0);
        policy.keep.span()?;
        let store = planning.stores.store(&policy.store)?;
        let server = facts.server()?;
        let facts = [
            ("database", format!("{} bytes", server.bytes)),
            ("into", store.place("")),
            (
                "kept",
                format!("{}, and the newest {} in any case", policy.keep.0, policy.keep_at_least.max(1)),
            ),
            ("encrypted", policy.recipient.as_ref().map_or("no", |_| "yes").to_owned()),
        ];
        let step = Step {
            id: planning.request.database.clone(),
            label: planning.request.database.clone(),
            action: "backup".to_owned(),
            object: server.database,
            way: match server.engine.as_str() {
                "sqlite" => "page by page in one read transaction".to_owned(),
                _ => "by pg_dump".to_owned(),
            },
            facts: facts.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            ..Step::default()
        };
        let guessed_seconds = Some(server.bytes as f64 / USUAL);
        Ok(Planned { steps: vec![step], guessed_seconds, ..Planned::default() })
    }

    fn backup(&self) -> Option<BackupWish> {
        Some(self.0.clone())
    }

    fn act(&self, _step: &Step, _aim: &Cursor, _rows: u64, _work: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}
