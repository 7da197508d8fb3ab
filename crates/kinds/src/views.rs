//! `views`: fills materialised views anew, in the order in which they read each other.
//!
//! Beside their readers where a unique index allows it, else plainly, which makes readers wait; then it says why and what
//! would mend it. A view that reads one that failed is left as it is.

use crate::upkeep::{self, Figures, Keeping, Keeps, Object, Task, bytes_said};
use engine::{
    Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Operation, Phase, Planned, Planning, Result,
    Severity, Step,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use targets::db::{Chore, Facts, TableName, ViewUpkeep};

/// Bytes of a view that are filled in a second on a usual machine.
const USUAL: f64 = 10e6;

/// The catalogue entry.
pub struct Views;

/// Options of filling views anew.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Only these, with those that they read. Without names: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<String>,
    /// What to do with a view that cannot be filled beside its readers.
    pub otherwise: Otherwise,
}

/// What to do with a view that cannot be filled beside its readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// Fill it all the same; its readers wait meanwhile.
    #[default]
    Plainly,
    /// Leave it as it is.
    Skip,
}

/// Options, and what failed so far.
struct Refreshing {
    options: Options,
    failed: RefCell<Vec<TableName>>,
}

impl Kind for Views {
    fn name(&self) -> &'static str {
        "views"
    }

    fn title(&self) -> &'static str {
        "Fill materialised views anew"
    }

    fn about(&self) -> &'static str {
        "Refreshes every materialised view of a PostgreSQL database, or those that are named, each after those that it reads. \
         It is done beside their readers where the view has a unique index over plain columns and all rows; else plainly, with \
         a warning that says what would mend it. SQLite has no such views."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Views
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        let options = match options.is_null() {
            true => Options::default(),
            false => serde_json::from_value(options.clone()).map_err(|error| {
                Error::usage(format!("the options of `views` cannot be read: {error}"))
                    .help("`sexton help views` shows the options and what they take")
            })?,
        };
        Ok(Box::new(Keeps(Refreshing { options, failed: RefCell::default() })))
    }
}

impl Keeping for Refreshing {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let Some(views) = facts.upkeep(None)?.views else {
            let reason = "SQLite has no materialised views: there is nothing to refresh".to_owned();
            return Ok(Planned { skipped: Some(reason), ..Planned::default() });
        };
        if let Some(standby) = upkeep::standby(facts)? {
            return Ok(Planned { findings: vec![standby], ..Planned::default() });
        }
        let failed = engine::failed_scopes(facts, &planning.request.name)?;
        let wanted = self.options.wanted(&views)?;
        let (mut steps, mut findings, mut bytes) = (Vec::new(), Vec::new(), 0);
        for view in in_order(&wanted) {
            if !view.may {
                findings.push(Finding::warning(
                    "permission",
                    &view.name,
                    "this user may not refresh it: it is left out",
                    format!("run it as the owner of {}", view.name.quoted()),
                ));
                continue;
            }
            let concurrently = view.populated && view.unique.is_some();
            if !concurrently {
                findings.push(fallback(view, self.options.otherwise));
                if view.populated && self.options.otherwise == Otherwise::Skip {
                    continue;
                }
            }
            let chore = Chore::Refresh { view: view.name.clone(), concurrently };
            let statements = facts.dialect().spell(&chore).statement.into_iter().collect();
            let task = Task {
                object: Object::View { name: view.name.clone() },
                chores: vec![chore],
                before: Figures { dead: None, bytes: Some(view.bytes) },
                why: if view.populated { "it may be old" } else { "it was never filled" }.to_owned(),
                failed: failed.iter().any(|failed| failed.scope == view.name.to_string()),
            };
            let reads: Vec<String> = view.reads.iter().map(TableName::to_string).collect();
            let mut about = vec![("size".to_owned(), bytes_said(view.bytes))];
            if !reads.is_empty() {
                about.push(("reads".to_owned(), reads.join(", ")));
            }
            let mut step = task.step("refresh", about, statements)?;
            step.task["concurrently"] = json!(concurrently);
            step.task["reads"] = json!(view.reads);
            bytes += view.bytes;
            steps.push(step);
        }
        Ok(Planned {
            expected_seconds: (!steps.is_empty()).then(|| upkeep::expected(bytes, USUAL, planning.earlier)),
            steps,
            findings,
            outside: true,
            ..Planned::default()
        })
    }

    fn aim(&self, step: &Step, cursor: &Cursor, rows: u64, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
        let reads: Vec<TableName> = serde_json::from_value(step.task["reads"].clone()).unwrap_or_default();
        let failed = self.failed.borrow();
        if let Some(broken) = reads.iter().find(|read| failed.contains(read)) {
            let reason = format!("it reads `{broken}`, which failed");
            return upkeep::leave(cursor, &reason);
        }
        upkeep::aim(step, cursor, rows, facts)
    }

    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        if let Object::View { name } = Task::of(step)?.object {
            self.failed.borrow_mut().push(name);
        }
        upkeep::passes_over(step, aim, error)
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<Json>> {
        let now = facts.upkeep(None)?.views.unwrap_or_default();
        let after = |task: &Task| match &task.object {
            Object::View { name } => Figures {
                dead: None,
                bytes: now.iter().find(|view| view.name == *name).map(|view| view.bytes),
            },
            _ => Figures::default(),
        };
        let mut result = upkeep::summary(done, ("view", "views"), "views", after)?;
        for (entry, step) in result["views"].as_array_mut().into_iter().flatten().zip(done.steps) {
            let concurrently = step.task["concurrently"].as_bool().unwrap_or(false);
            entry["concurrently"] = json!(concurrently);
            entry["warning"] = match concurrently {
                true => Json::Null,
                false => json!("filled plainly: its readers had to wait"),
            };
        }
        Ok(Some(result))
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(upkeep::failures(steps, counts, "the report has its reason; `sexton run views` tries it again"))
    }
}

impl Options {
    /// The named ones with those that they read, or all.
    fn wanted<'a>(&self, views: &'a [ViewUpkeep]) -> Result<Vec<&'a ViewUpkeep>> {
        if self.views.is_empty() {
            return Ok(views.iter().collect());
        }
        let mut wanted: Vec<&ViewUpkeep> = Vec::new();
        for name in &self.views {
            let is = |view: &&ViewUpkeep| view.name.name == *name || view.name.to_string() == *name;
            let found = views.iter().find(is).ok_or_else(|| {
                let known: Vec<String> = views.iter().map(|view| view.name.to_string()).collect();
                Error::usage(format!("there is no materialised view `{name}`")).help(format!(
                    "there are {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                ))
            })?;
            wanted.push(found);
        }
        let mut n = 0;
        while n < wanted.len() {
            for read in &wanted[n].reads {
                if let Some(view) = views.iter().find(|view| view.name == *read)
                    && !wanted.iter().any(|known| known.name == view.name)
                {
                    wanted.push(view);
                }
            }
            n += 1;
        }
        Ok(wanted)
    }
}

/// Each after those that it reads. They cannot read each other in a circle.
fn in_order<'a>(views: &[&'a ViewUpkeep]) -> Vec<&'a ViewUpkeep> {
    let mut left: Vec<&ViewUpkeep> = views.to_vec();
    left.sort_by_key(|view| view.name.to_string());
    let mut done: Vec<&ViewUpkeep> = Vec::new();
    while !left.is_empty() {
        let ready = |view: &&ViewUpkeep| {
            view.reads.iter().all(|read| *read == view.name || !left.iter().any(|other| other.name == *read))
        };
        let n = left.iter().position(ready).unwrap_or(0);
        done.push(left.remove(n));
    }
    done
}

fn fallback(view: &ViewUpkeep, otherwise: Otherwise) -> Finding {
    if !view.populated {
        return Finding::note(
            "plainly",
            &view.name,
            "it was never filled, so it is filled plainly this time",
            "nothing is to be done",
        );
    }
    let what = match otherwise {
        Otherwise::Plainly => {
            "it has no unique index over plain columns and all rows: its readers wait while it is filled"
        }
        Otherwise::Skip => "it has no unique index over plain columns and all rows: it is left as it is",
    };
    Finding::warning(
        "plainly",
        &view.name,
        what,
        format!("give it one: `create unique index on {} (…)`", view.name.quoted()),
    )
}
