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
mod defaults;
mod demands;
mod design;
mod documents;
mod existing;
mod expression;
mod finish;
mod functions;
mod grammar;
mod ids;
mod keys;
mod load;
mod look;
mod machines;
mod naming;
mod numbers;
mod online;
mod options;
mod plan;
mod profile;
mod references;
mod refusals;
mod released;
mod schema_file;
mod script;
mod sequences;
mod source;
mod stamps;
mod steps;
mod sum;
mod task;
mod twice;
mod types;

use carried::Kept;
use compare::Compared;
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Manners, Operation, Phase, Planned, Planning,
    Result, Severity, Step, Stores, TableDigest, Work,
};
use load::Loading;
use machines::Machines;
use online::entry::{self, Entry, State};
use online::{back, capture, cut_over, follow, rehearse, returned, taken_back};
use options::{Action, Options, Proof};
use serde_json::json;
use std::cell::{Cell, RefCell};
use targets::db::{Command, Facts, Limits, Session};
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
        }))
    }
}

/// A transfer at work.
struct Moving {
    options: Options,
    /// The source at one moment, from the first range on.
    reader: RefCell<Option<Box<dyn Facts>>>,
    /// The source at the same moment, for those rows that come beside others.
    other: RefCell<Option<Box<dyn Facts>>>,
    /// What tells that moment from others.
    moment: RefCell<Option<String>>,
    /// The programs that make values.
    machines: RefCell<Machines>,
    /// What a comparison came to, for the batch that writes it down.
    compared: RefCell<Option<Compared>>,
    /// What the source answered, for the batch that writes it down.
    answer: RefCell<ask::Answer>,
    /// What all of it came to.
    sum: RefCell<sum::Sum>,
    /// What the target answered, or why not, where it is asked at the same time.
    target_answer: RefCell<Option<std::result::Result<ask::Answer, String>>>,
    /// What the source knows of its move, where the application goes on writing.
    entry: RefCell<Option<Entry>>,
    /// How long it took to count each table.
    times: RefCell<online::counts::Times>,
    /// What was in the copy of a rehearsal.
    before: RefCell<Option<Vec<TableDigest>>>,
    /// A session that may write into the source, for the moments in which that is needed.
    writer: RefCell<Option<Box<dyn Session>>>,
    /// A batch was done by this process.
    has_begun: Cell<bool>,
}

impl Moving {
    /// The database that is read: of a rehearsal, a copy.
    fn source(&self, stores: &dyn Stores) -> Result<String> {
        match self.options.action {
            Action::Rehearse => rehearse::copy(&self.options.source, stores),
            _ => Ok(self.options.source.clone()),
        }
    }

    /// Whether tables are filled that are there, while nobody writes.
    fn fills_plainly(&self) -> bool {
        self.options.action == Action::Run && self.options.existing && !self.options.runs_online()
    }

    /// Opens the source where it is not open; whether it was not.
    fn open(&self, stores: &dyn Stores) -> Result<bool> {
        self.open_so_often(1, stores)
    }

    /// The same, with up to so many sessions that see the same moment.
    fn open_so_often(&self, sessions: usize, stores: &dyn Stores) -> Result<bool> {
        let mut reader = self.reader.borrow_mut();
        if reader.is_some() {
            return Ok(false);
        }
        let mut opened = stores.database(&self.source(stores)?)?.together(sessions)?;
        let mut first = opened.pop();
        if let Some(first) = &mut first {
            *self.moment.borrow_mut() = first.moment()?;
        }
        *reader = first;
        *self.other.borrow_mut() = opened.pop();
        if self.options.has_programs() && self.machines.borrow().programs.is_none() {
            *self.machines.borrow_mut() = Machines::of(Some(stores.programs()?));
        }
        Ok(true)
    }

    /// Whether the source is as it was when the table was copied, as far as that can be told.
    fn is_same(&self, kept: Option<&Kept>) -> bool {
        let kept = kept.and_then(|kept| kept.moment.as_ref());
        carried::same(kept, self.moment.borrow().as_ref())
    }

    fn compare(
        &self,
        carry: &Carry,
        proof: Proof,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Compared> {
        let kept = carried::of(facts, &carry.name)?;
        if let Some((rows, hash)) = kept.as_ref().and_then(|kept| kept.came) {
            if proof == Proof::Counts {
                return compare::counts(carry, rows, facts);
            }
            if let Some(compared) = compare::whole(carry, rows, hash, facts)? {
                return Ok(compared);
            }
        }
        self.open(stores)?;
        let compared = self.with_reader(|source| match proof {
            Proof::Counts => {
                let rows = compare::rows_due(carry, &self.machines.borrow(), source)?;
                compare::counts(carry, rows, facts)
            }
            _ => compare::rows(carry, &self.machines.borrow(), source, facts),
        })?;
        Ok(Compared { source_changed: !self.is_same(kept.as_ref()), ..compared })
    }

    /// Why it has to begin again: what changed in the source meanwhile was not written down, because somebody has taken that back.
    fn is_lost(&self, task: &Task, stores: &dyn Stores) -> Result<bool> {
        if self.options.action == Action::Rehearse {
            // what the copy was is known to whoever made it
            return Ok(self.before.borrow().is_none() && !matches!(task, Task::CopySource | Task::Tidy));
        }
        if !self.options.runs_online() || matches!(task, Task::Capture(_)) || self.entry.borrow().is_some() {
            return Ok(false);
        }
        let own = entry::read(stores.database(&self.source(stores)?)?.read()?.as_mut())?;
        let own = own.filter(|own| own.state != State::GivenUp);
        let lost = own.is_none();
        *self.entry.borrow_mut() = own;
        Ok(lost)
    }

    /// Lets go of the moment at which the source was read.
    fn close(&self) {
        (*self.reader.borrow_mut(), *self.other.borrow_mut()) = (None, None);
    }

    /// Opens what may write into the source.
    fn open_writer(&self, stores: &dyn Stores) -> Result<()> {
        // whoever only looks would keep its log from being moved
        self.close();
        *self.writer.borrow_mut() = Some(stores.database(&self.source(stores)?)?.open()?);
        Ok(())
    }

    /// Does something with the source that needs to write there.
    fn writing<T>(&self, use_it: impl FnOnce(&mut dyn Session) -> Result<T>) -> Result<T> {
        let mut writer = self.writer.borrow_mut();
        let session = writer.as_mut().ok_or_else(|| Error::system("the source is not open"))?;
        use_it(session.as_mut())
    }

    /// What the source knows of its move at this moment.
    fn entry_now(&self) -> Result<Entry> {
        let lost = || Error::system("the source knows nothing of a transfer any more");
        self.writing(|source| entry::read(source))?.ok_or_else(lost)
    }

    /// What the source knows of this move.
    fn own_entry(&self, work: &Work) -> Result<Entry> {
        if self.entry.borrow().is_none() {
            let source = self.source(work.stores())?;
            *self.entry.borrow_mut() = entry::read(work.stores().database(&source)?.read()?.as_mut())?;
        }
        let entry = self.entry.borrow();
        let own = entry.as_ref().ok_or_else(|| Error::system("the source knows nothing of this transfer"))?;
        match own.run == work.point() {
            true => Ok(own.clone()),
            false => Err(capture::under_way(own)),
        }
    }

    /// The steps of an online transfer that the others do not have.
    fn act_online(&self, task: &Task, place: &Place, work: &mut Work) -> Result<Batch> {
        let done = Batch { counts: Counts::default(), next: None };
        match task {
            Task::Capture(online) => {
                let run = work.point().to_owned();
                let own = self.writing(|source| capture::install(online, &run, source))?;
                *self.entry.borrow_mut() = Some(own);
                Ok(done)
            }
            Task::Follow => {
                let own = self.own_entry(work)?;
                self.with_reader(|source| {
                    follow::act(
                        &own,
                        &self.machines.borrow(),
                        place,
                        source,
                        work,
                        &mut self.times.borrow_mut(),
                    )
                })
            }
            Task::CutOver => {
                let own = self.own_entry(work)?;
                let batch = self.writing(|source| {
                    cut_over::act(&own.online, &self.machines.borrow(), source, work, &self.times.borrow())
                })?;
                // the source knows more now
                *self.entry.borrow_mut() = None;
                Ok(batch)
            }
            Task::Switch => {
                let own = self.own_entry(work)?;
                self.writing(|source| cut_over::switch(&own, source, work))
            }
            Task::End if self.options.runs_online() => {
                self.writing(cut_over::end)?;
                carried::end(work)?;
                Ok(done)
            }
            Task::StopTarget(..) => {
                let own = self.entry_now()?;
                self.writing(|source| back::stop(&own, source, work))
            }
            Task::CarryBack(..) => {
                let own = self.entry_now()?;
                let accept = self.options.accept.unwrap_or(0);
                let machines = self.machines.borrow();
                self.writing(|source| returned::act(&own, &machines, accept, source, work))
            }
            Task::SwitchBack(..) => {
                let own = self.entry_now()?;
                self.writing(|source| back::switch(&own, source, work))
            }
            Task::Settle(..) => {
                let own = self.entry_now()?;
                let for_good = self.options.action == Action::Settle;
                self.writing(|source| back::settle(&own, for_good, source, work))
            }
            Task::CopySource => {
                let before = rehearse::begin(&self.options.source, work)?;
                work.tell(json!({ "copied": before.len() }));
                *self.before.borrow_mut() = Some(before);
                Ok(done)
            }
            Task::Touch(carries) => rehearse::touch(carries, work),
            Task::CompareCopy => {
                let before = self.before.borrow();
                rehearse::compare(&self.options.source, before.as_deref().unwrap_or_default(), work)
            }
            Task::Tidy => rehearse::end(&self.options.source, work),
            Task::ClearTarget(online, run) => {
                taken_back::target(online, run, work)?;
                Ok(done)
            }
            Task::TakeBack { run, statements } => {
                for statement in statements {
                    work.statement(statement)?;
                }
                carried::forget(run, work)?;
                Ok(done)
            }
            Task::ClearSource(..) => {
                self.writing(capture::remove)?;
                Ok(done)
            }
            _ => {
                carried::end(work)?;
                Ok(done)
            }
        }
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
                    self.with_reader(|source| ahead::aim(&carry, (rows, left), &mut place, facts, source))?;
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
            Task::Statements(statements) => {
                for statement in &statements {
                    work.statement(statement)?;
                }
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Begin { tables, are_new, statements, released } => {
                let moment = self.moment.borrow();
                let from = (self.options.source.as_str(), moment.as_ref());
                carried::begin(&tables, are_new, &statements, from, work)?;
                released::note(&released, work)?;
                Ok(Batch { counts: Counts::default(), next: None })
            }
            Task::Load { carry, proof, .. } => self.with_reader(|source| {
                let loading = Loading { carry: &carry, proof, machines: &self.machines.borrow() };
                loading.act(&place, rows, source, self.other.borrow_mut().as_mut(), work)
            }),
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
