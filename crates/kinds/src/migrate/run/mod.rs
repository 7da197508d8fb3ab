//! `migrate`: brings a database to a version and back.
//!
//! One step for each migration: its statements and its record in one transaction, or statement by statement where the
//! database refuses that. What is shown is what runs: the plan holds the statements. It never guesses a version: what
//! cannot be read is an error.

mod act;
mod aim;
mod alone;
mod anew;
mod book;
mod checkpoints;
mod clashes;
mod estimate;
mod look;
mod new;
mod options;
mod own;
mod plan;
mod seeds;
mod squash;
mod status;
mod task;
mod waiting;

pub use new::new_files;
pub use options::Options;
pub use squash::{Checkpoint, Made};
pub use waiting::pending;

use crate::migrate::compare::{Ignored, Snapshot};
use crate::migrate::script::Language;
use engine::{
    Batch, Counts, Cursor, Done, Finding, Kind, Manners, Operation, Phase, Planned, Planning, Result, Seed,
    Severity, Shape, Step, Stores, Work,
};
use look::Scene;
use options::Action;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use targets::db::{Command, Dialect, Facts, Limits};
use task::{Deed, Phase as Part, Place, Task};

/// The catalogue entry.
pub struct Migrate;

impl Kind for Migrate {
    fn name(&self) -> &'static str {
        "migrate"
    }

    fn title(&self) -> &'static str {
        "Bring the schema to a version, and back"
    }

    fn about(&self) -> &'static str {
        "Runs the migration files of a folder, written by the rules of nine tools, in order: each in one transaction with \
         its record, or statement by statement where the database refuses that. What is in, since when, and what failed is \
         kept in the database; the table of the tool whose files they are goes on being written until it is adopted."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Medium
    }

    fn phase(&self) -> Phase {
        Phase::Migrate
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        let options = Options::read(options)?;
        Ok(Box::new(Migrating {
            options,
            scene: RefCell::new(None),
            after: RefCell::new(None),
            began: Cell::new(None),
        }))
    }
}

/// Options, and what was seen when the right to maintain was there: from then on nobody else of ours changes it.
struct Migrating {
    options: Options,
    scene: RefCell<Option<Scene>>,
    /// What was seen when all was done, for the result: the verification looks at the same.
    after: RefCell<Option<Scene>>,
    /// When the migration at work began.
    began: Cell<Option<Instant>>,
}

impl Migrating {
    /// Looks once.
    fn with_scene<T>(
        &self,
        facts: &mut dyn Facts,
        use_it: impl FnOnce(&Scene, &mut dyn Facts) -> T,
    ) -> Result<T> {
        let mut scene = self.scene.borrow_mut();
        if scene.is_none() {
            *scene = Some(Scene::of(&self.options, facts)?);
        }
        match scene.as_ref() {
            Some(scene) => Ok(use_it(scene, facts)),
            None => Err(engine::Error::system("the migrations cannot be looked at")),
        }
    }

    /// The version that is the last one when this one is out.
    fn last_without(&self, task: &Task) -> Option<String> {
        let scene = self.scene.borrow();
        let scene = scene.as_ref()?;
        let migrations = scene.directory.migrations.iter().rev();
        let mut before = migrations.skip_while(|one| one.id != task.brief.id).skip(1);
        before.find(|one| scene.state(&one.id).is_in()).map(|one| one.version.clone())
    }
}

impl Operation for Migrating {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(&self.options, facts, planning.backups.is_some())
    }

    fn only_looks(&self) -> bool {
        self.options.action == Action::Status
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        _rows: u64,
        facts: &mut dyn Facts,
        _stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        let task = Task::of(step)?;
        if *cursor == Cursor::default() {
            self.began.set(None);
        }
        self.with_scene(facts, |scene, facts| aim::aim(&task, cursor, scene, facts))?
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        let Some(place) = Place::of(aim)? else { return Ok(None) };
        let sql = match place.phase {
            Part::Inside | Part::Recorded => return Ok(None),
            Part::Tidy(statement) => statement,
            Part::Outside => {
                let task = Task::of(step)?;
                match task.script.statements.get(place.at) {
                    Some(statement) => statement.sql.clone(),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Command::Statement { sql, limits }))
    }

    fn begin(&self, step: &Step, aim: &Cursor, work: &mut Work) -> Result<()> {
        if self.began.get().is_none() {
            self.began.set(Some(work.clock().tick()));
        }
        act::begin(&Task::of(step)?, aim, work)
    }

    fn act(&self, step: &Step, aim: &Cursor, _rows: u64, work: &mut Work) -> Result<Batch> {
        let task = Task::of(step)?;
        let last = if task.history.is_some() { self.last_without(&task) } else { None };
        let began = self.began.take();
        act::act(&task, aim, last, began, work)
    }

    fn follows(&self, step: &Step) -> bool {
        let scene = self.scene.borrow();
        let Some(scene) = scene.as_ref() else { return false };
        let Ok(task) = Task::of(step) else { return false };
        let state = scene.state(&task.brief.id);
        task.is_plain()
            && match task.deed {
                Deed::Apply => {
                    !task.brief.repeatable
                        && !state.is_in()
                        && state != crate::migrate::model::State::Interrupted
                }
                Deed::Baseline | Deed::Adopt | Deed::Accept => true,
                Deed::Prepare | Deed::Revert => false,
            }
    }

    fn both_ways(&self, steps: &[Step], facts: &mut dyn Facts) -> Result<Vec<Step>> {
        plan::both_ways(&self.options, steps, facts)
    }

    /// In the database's own words; where these find nothing, by what the engine knows of tables.
    fn differences(&self, before: &Shape, after: &Shape, dialect: &dyn Dialect) -> Vec<String> {
        let snapshot =
            |shape: &Shape| Snapshot::of(shape.objects.clone(), Language::of(dialect), &Ignored::nothing());
        let lines = match snapshot(before).compare(&snapshot(after)) {
            Ok(comparison) => comparison.lines(),
            Err(_) => Vec::new(),
        };
        if lines.is_empty() { engine::differences(&before.schema, &after.schema) } else { lines }
    }

    fn alone(&self, steps: Vec<Step>, dialect: &dyn Dialect) -> Result<(Vec<Step>, Vec<Finding>)> {
        alone::alone(steps, Language::of(dialect))
    }

    fn anew(&self, facts: &mut dyn Facts) -> Result<Vec<Step>> {
        anew::steps(&self.options, facts)
    }

    fn seeds(&self, step: &Step, facts: &mut dyn Facts) -> Result<Vec<Seed>> {
        seeds::of(&self.options, &step.id, Language::of(facts.dialect()))
    }

    fn notes_failures(&self) -> bool {
        true
    }

    fn failed(&self, step: &Step, cursor: &Cursor, error: &str, work: &mut Work) -> Result<()> {
        act::failed(&Task::of(step)?, cursor, error, work)
    }

    fn lock_patience(&self) -> Duration {
        Duration::from_secs_f64(self.options.wait.about_seconds().unwrap_or(0.0).max(1.5))
    }

    fn retries(&self) -> usize {
        10
    }

    /// An index takes as long as it takes; what others wait for is limited by the time-out of locks.
    fn manners(&self, asked: &Manners) -> Manners {
        let usual = Manners::default();
        let statement_timeout =
            if asked.statement_timeout == usual.statement_timeout { 0.0 } else { asked.statement_timeout };
        Manners { statement_timeout, ..asked.clone() }
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let scene = Scene::of(&self.options, facts)?;
        let document = status::document(&self.options, &scene, &HashMap::new());
        let wanted: Vec<&str> =
            done.steps.iter().map(|step| step.id.as_str()).filter(|id| *id != "history").collect();
        *self.after.borrow_mut() = Some(scene);
        Ok(Some(json!({
            "current": document["current"],
            "target": document["target"],
            "pending": document["pending"].as_array().map_or(0, Vec::len),
            "migrations": wanted,
        })))
    }

    fn verify(&self, steps: &[Step], _counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let scene = match self.after.take() {
            Some(scene) => scene,
            None => Scene::of(&self.options, facts)?,
        };
        let mut wanted: std::collections::BTreeMap<String, Deed> = std::collections::BTreeMap::new();
        for step in steps {
            let task = Task::of(step)?;
            wanted.insert(task.brief.id, task.deed);
        }
        let wrong = wanted.into_iter().filter(|(id, deed)| match deed {
            Deed::Prepare => false,
            Deed::Revert => scene.state(id).is_in(),
            _ => !scene.state(id).is_in(),
        });
        Ok(wrong
            .map(|(id, deed)| {
                Finding::warning(
                    "history",
                    &id,
                    format!("after {} the history says otherwise", deed.name()),
                    "somebody else writes to the history: `sexton migrate status` shows what it says",
                )
            })
            .collect())
    }
}
