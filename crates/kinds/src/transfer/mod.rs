//! `transfer`: a SQLite database moves to PostgreSQL, whole or with an account of what did not.
//!
//! The source is looked at value by value before anything is made, so that types are chosen by what is there and whatever does not
//! fit is known. Then tables, rows, keys and indexes, references, statistics; at last both sides are compared. It is only read.

mod canon;
mod carry;
mod choose;
mod compare;
mod convert;
mod defaults;
mod demands;
mod design;
mod existing;
mod expression;
mod finish;
mod functions;
mod grammar;
mod ids;
mod keys;
mod load;
mod look;
mod naming;
mod options;
mod plan;
mod profile;
mod refusals;
mod script;
mod source;
mod steps;
mod sum;
mod task;
mod types;

use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Manners, Operation, Phase, Planned, Planning,
    Result, Severity, Step, Stores, Work,
};
use options::{Action, Options, Proof};
use serde_json::json;
use std::cell::RefCell;
use targets::db::{Command, Facts, Limits};
use task::{Place, Task};

/// The catalogue entry.
pub struct Transfer;

impl Kind for Transfer {
    fn name(&self) -> &'static str {
        "transfer"
    }

    fn title(&self) -> &'static str {
        "Move a SQLite database to PostgreSQL"
    }

    fn about(&self) -> &'static str {
        "Every table of a SQLite file is made in PostgreSQL and filled: types are chosen by the values that are there, keys, indexes, \
         references, checks and defaults are carried over, ids go on where they were. Whatever does not fit or has no counterpart is \
         told before anything is copied. Afterwards both sides are compared, value by value. The file is only read."
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
        Ok(Box::new(Moving {
            options: Options::read(options)?,
            reader: RefCell::default(),
            compared: RefCell::default(),
            sum: RefCell::default(),
        }))
    }
}

/// A transfer at work.
struct Moving {
    options: Options,
    /// The source at one moment, from the first range on.
    reader: RefCell<Option<Box<dyn Facts>>>,
    /// What a comparison came to, for the batch that writes it down.
    compared: RefCell<Option<compare::Compared>>,
    /// What all of it came to.
    sum: RefCell<sum::Sum>,
}

impl Moving {
    fn open(&self, stores: &dyn Stores) -> Result<()> {
        let mut reader = self.reader.borrow_mut();
        if reader.is_none() {
            *reader = stores.database(&self.options.source)?.together(1)?.pop();
        }
        Ok(())
    }

    fn with_reader<T>(&self, use_it: impl FnOnce(&mut dyn Facts) -> Result<T>) -> Result<T> {
        let mut reader = self.reader.borrow_mut();
        let reader = reader.as_mut().ok_or_else(|| Error::system("the source is not open"))?;
        use_it(reader.as_mut())
    }
}

impl Operation for Moving {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(&self.options, facts, planning)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        _rows: u64,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        let mut place = Place::read(cursor)?;
        match Task::read(step)? {
            Task::Load(_) => self.open(stores)?,
            Task::Indexes(_) | Task::References(_) => place.outside = true,
            Task::Compare { carry, proof } => {
                self.open(stores)?;
                let compared = self.with_reader(|source| match proof {
                    Proof::Counts => compare::counts(&carry, source, facts),
                    _ => compare::rows(&carry, source, facts),
                })?;
                *self.compared.borrow_mut() = Some(compared);
            }
            Task::Statements(_) => {}
        }
        place.cursor().map(Some)
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        let place = Place::read(aim)?;
        Ok(match Task::read(step)? {
            Task::Indexes(indexes) => {
                finish::command(indexes.into_iter().map(|index| index.sql).collect(), &place, limits)
            }
            Task::References(references) => {
                finish::command(references.into_iter().map(|one| one.validate).collect(), &place, limits)
            }
            _ => None,
        })
    }

    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        let place = Place::read(aim)?;
        let task = Task::read(step)?;
        let (what, names) = match &task {
            Task::Indexes(indexes) => ("index", finish::index_names(indexes)),
            Task::References(references) => ("reference", finish::reference_names(references)),
            _ => return Ok(None),
        };
        let Some(n) = finish::blamed(&names, error, &place) else { return Ok(None) };
        let mut skip = place.skip.clone();
        skip.push(n);
        Ok(Some(GivenUp {
            scope: format!("{what} {}", names[n]),
            next: Some(Place { skip, ..place }.cursor()?),
            detail: json!({ "failed": what, "name": names[n], "table": step.object, "why": sum::chain(error) }),
        }))
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let place = Place::read(aim)?;
        match Task::read(step)? {
            Task::Statements(statements) => {
                for statement in &statements {
                    work.statement(statement)?;
                }
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Load(carry) => self.with_reader(|source| load::act(&carry, &place, rows, source, work)),
            Task::Indexes(indexes) => finish::keys(&indexes, &place, work),
            Task::References(_) => Ok(Batch { counts: Counts::default(), next: None }),
            Task::Compare { carry, .. } => {
                let compared = self.compared.borrow_mut().take().unwrap_or_default();
                let failed = compared.differing;
                work.tell(
                    json!({ "compared": carry.table, "target": carry.name.to_string(), "outcome": compared }),
                );
                Ok(Batch { counts: Counts { failed, ..Counts::default() }, next: None })
            }
        }
    }

    fn only_looks(&self) -> bool {
        self.options.action == Action::Verify
    }

    fn manners(&self, asked: &Manners) -> Manners {
        // a statement takes as long as there are rows
        let usual = Manners::default().statement_timeout;
        let statement_timeout = if asked.statement_timeout == usual { 0.0 } else { asked.statement_timeout };
        Manners { statement_timeout, ..asked.clone() }
    }

    fn result(&self, done: &Done, _facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let sum = sum::Sum::of(done.details, done.planned);
        let result = sum.told(done.planned);
        *self.sum.borrow_mut() = sum;
        Ok(Some(result))
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(self.sum.borrow().findings())
    }
}
