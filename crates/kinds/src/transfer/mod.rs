//! `transfer`: a SQLite database moves to PostgreSQL, whole or with an account of what did not.
//!
//! The source is looked at value by value before anything is made, so that types are chosen by what is there and whatever does not
//! fit is known. Then tables, rows, keys and indexes, references, statistics; at last both sides are compared. It is only read.

mod ahead;
mod arriving;
mod ask;
mod canon;
mod carried;
mod carry;
mod choose;
mod compare;
mod convert;
mod demands;
mod design;
mod documents;
mod domains;
mod existing;
mod expressed;
mod extensions;
mod finish;
mod forms;
mod ids;
mod keys;
mod ledgers;
mod load;
mod look;
mod machines;
mod made;
mod members;
mod moving;
mod naming;
mod numbers;
mod numerals;
mod online;
mod options;
mod plan;
mod profile;
mod references;
mod refusals;
mod released;
mod schema_file;
mod script;
mod seeded;
mod sequences;
mod source;
mod spans;
mod stamps;
mod steps;
mod sum;
mod task;
mod times;
mod translate;
mod twice;
mod types;

use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Manners, Operation, Phase, Planned, Planning,
    Result, Severity, Step, Stores, Work,
};
use load::Loading;
use machines::Machines;
use moving::Moving;
use online::{back, cut_over, rehearse, taken_back};
use options::{Action, Options};
use serde_json::json;
use std::cell::{Cell, RefCell};
use targets::db::{Command, Facts, Limits};
use task::{Carry, Place, Task};

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
            other: RefCell::default(),
            moment: RefCell::default(),
            machines: RefCell::default(),
            compared: RefCell::default(),
            answer: RefCell::default(),
            sum: RefCell::default(),
            entry: RefCell::default(),
            target_answer: RefCell::default(),
            before: RefCell::default(),
            times: RefCell::default(),
            writer: RefCell::default(),
            has_begun: Cell::default(),
            has_changed: Cell::default(),
        }))
    }
}

/// What failed while a table was copied.
fn copying(carry: &Carry, error: Error) -> Error {
    error.while_doing(&format!("copying `{}`", carry.table))
}

impl Operation for Moving {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(&self.options, facts, planning)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        let mut place = Place::read(cursor)?;
        let task = Task::read(step)?;
        if self.is_lost(&task, stores)? {
            place.again = Some("what changed in the source meanwhile was not written down".to_owned());
            return place.cursor().map(Some);
        }
        match task {
            Task::Begin { .. } => {
                self.open_so_often(look::AT_ONCE, stores)?;
            }
            Task::Load { carry, on_two, .. } => {
                // whoever died had opened it at another moment
                if self.open_so_often(look::AT_ONCE, stores)?
                    && !self.is_same(carried::of(facts, &carry.name)?.as_ref())
                {
                    place.again = Some("the source has changed since the copy began".to_owned());
                } else if on_two && self.other.borrow().is_some() {
                    let left = step.matched.saturating_sub(place.rows);
                    self.with_reader(|source| ahead::aim(&carry, (rows, left), &mut place, facts, source))
                        .map_err(|error| copying(&carry, error))?;
                }
            }
            Task::Indexes(_) | Task::References(_) | Task::Analyze(_) => place.outside = true,
            Task::Compare { carry, proof } => {
                let compared = self.compare(&carry, proof, facts, stores)?;
                *self.compared.borrow_mut() = Some(compared);
            }
            Task::Ask { name, query } => {
                self.open(stores)?;
                let zone = options::zone(self.options.zone.as_deref())?;
                let answer = self.with_reader(|source| ask::source(&name, &query, &zone, source))?;
                if self.options.runs_online() {
                    // later the application has written more than was read here
                    let there = (self.options.lands_in(), &zone);
                    *self.target_answer.borrow_mut() = Some(
                        ask::target(&name, &query, &answer, there, facts).map_err(|error| sum::chain(&error)),
                    );
                }
                *self.answer.borrow_mut() = answer;
            }
            Task::Follow => {
                if let Some(own) = self.entry.borrow().as_ref().filter(|own| own.online.switch.is_some()) {
                    // before anybody waits for it
                    cut_over::url(&own.online, stores)?;
                }
                // each round is of the present moment
                self.close();
                self.open(stores)?;
            }
            Task::End if !self.options.runs_online() => {}
            Task::Statements(_)
            | Task::Try { .. }
            | Task::Make(_)
            | Task::Script { .. }
            | Task::Declare(_)
            | Task::TakeBack { .. }
            | Task::ClearTarget(..)
            | Task::Touch(_) => {}
            Task::CopySource | Task::CompareCopy | Task::Tidy => {
                self.close();
                *self.writer.borrow_mut() = None;
            }
            Task::Capture(_)
            | Task::CutOver
            | Task::Switch
            | Task::End
            | Task::StopTarget(..)
            | Task::CarryBack(..)
            | Task::SwitchBack(..)
            | Task::Settle(..)
            | Task::ClearSource(..) => {
                if self.options.has_programs() && self.machines.borrow().programs.is_none() {
                    *self.machines.borrow_mut() = Machines::of(Some(stores.programs()?));
                }
                self.open_writer(stores)?;
            }
        }
        place.cursor().map(Some)
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        let place = Place::read(aim)?;
        if place.again.is_some() {
            return Ok(None);
        }
        Ok(match Task::read(step)? {
            Task::Indexes(indexes) => {
                finish::command(indexes.into_iter().map(|one| one.index.sql).collect(), &place, limits)
            }
            Task::References(references) => {
                finish::command(references.into_iter().map(|one| one.validate).collect(), &place, limits)
            }
            Task::Analyze(statements) => finish::command(statements, &place, limits),
            _ => None,
        })
    }

    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        if self.options.runs_online() {
            // nobody is sent to a target that lacks something
            return Ok(None);
        }
        finish::given_up(step, Place::read(aim)?, error)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let place = Place::read(aim)?;
        if let Some(reason) = &place.again {
            work.begin_again(reason);
            return Ok(Batch { counts: Counts::default(), next: None });
        }
        if self.fills_plainly() && (!self.has_begun.replace(true) || work.is_retry()) {
            // somebody goes on who had stopped
            released::take_again(work)?;
        }
        match Task::read(step)? {
            Task::Script { tables, statements } => {
                schema_file::act(&tables, &statements, work)?;
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Try { keys, all } => made::try_all(&keys, &all, work),
            Task::Make(all) => made::make(&all, work),
            Task::Statements(statements) => {
                for statement in &statements {
                    work.statement(statement)?;
                }
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Begin { tables, are_new, replace, statements, released, looked_at } => {
                let moment = self.moment.borrow();
                if looked_at.is_some() && looked_at != *moment {
                    self.has_changed.set(true);
                    work.tell(json!({ sum::CHANGED: true }));
                }
                let from = (self.options.source.as_str(), moment.as_ref());
                carried::begin(&tables, (are_new, replace), &statements, from, work)?;
                released::note(&released, work)?;
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Load { carry, proof, .. } => self
                .with_reader(|source| {
                    let loading = Loading { carry: &carry, proof, machines: &self.machines.borrow() };
                    loading.act(&place, rows, source, self.other.borrow_mut().as_mut(), work)
                })
                .map_err(|error| copying(&carry, self.with_reason(error))),
            Task::Ask { name, .. } => {
                let source = self.answer.take();
                let mut told = json!({ "asked": name, "answer": source });
                if let Some(answered) = self.target_answer.take() {
                    let (target, error) = (answered.as_ref().ok().cloned(), answered.err());
                    let outcome = ask::Outcome { name, source, target, error };
                    if !outcome.is_same() {
                        let found = sum::answers_differ(&outcome);
                        return Err(Error::data(format!("the query `{}`: {}", outcome.name, found.what))
                            .code(online::CHECK)
                            .help(found.remedy));
                    }
                    told["target"] = json!(outcome.target);
                }
                work.tell(told);
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Indexes(indexes) => finish::keys(&indexes, &place, work),
            Task::Declare(references) => finish::declare(&references, self.options.runs_online(), work),
            Task::References(_) | Task::Analyze(_) => Ok(Batch { counts: Counts::default(), next: None }),
            Task::Compare { carry, .. } => {
                let compared = self.compared.borrow_mut().take().unwrap_or_default();
                let failed = compared.differing;
                if self.options.runs_online() && !compared.is_same() {
                    // nobody is sent to a target that is not the same
                    let found = sum::differs(&carry.table, &compared);
                    return Err(Error::data(format!("`{}`: {}", carry.table, found.what))
                        .code(online::CHECK)
                        .help(found.remedy));
                }
                work.tell(
                    json!({ "compared": carry.table, "target": carry.name.to_string(), "outcome": compared }),
                );
                Ok(Batch { counts: Counts { failed, ..Counts::default() }, next: None })
            }
            task => self.act_online(&task, &place, work),
        }
    }

    fn is_in_no_hurry(&self, step: &Step) -> bool {
        step.action == steps::LOAD
    }

    fn goes_back(&self) -> bool {
        self.fills_plainly() || self.options.runs_online() || self.options.action == Action::Rollback
    }

    fn go_back(
        &self,
        error: Option<&Error>,
        stores: &dyn Stores,
        work: Option<&mut Work>,
    ) -> Result<Option<String>> {
        self.close();
        *self.writer.borrow_mut() = None;
        if self.options.action == Action::Rehearse {
            rehearse::clear(&self.options.source, stores, work)?;
            return Ok(Some("nothing of the rehearsal is left".to_owned()));
        }
        if self.fills_plainly() {
            let count = work.map_or(Ok(0), released::put_back)?;
            // whoever goes on here takes them again
            self.has_begun.set(false);
            let many = engine::words::of(count as u64, "reference", "references");
            return Ok((count > 0).then(|| format!("{many} put back for new rows, until it is resumed")));
        }
        if self.options.action == Action::Rollback {
            return back::given_up(&self.options.source, stores, work);
        }
        taken_back::by_itself(&self.options.source, error, stores, work)
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

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let mut sum = sum::Sum::of(done.details, done.planned);
        sum.ask(&self.options, facts)?;
        let mut result = sum.told(done.planned, &sum::phases(done));
        result["backup"] = json!(done.backup);
        *self.sum.borrow_mut() = sum;
        Ok(Some(result))
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(self.sum.borrow().findings())
    }
}
