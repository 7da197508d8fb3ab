//! A transfer at work: what it has open, and what it knows from step to step.

use super::carried::{self, Kept};
use super::compare::{self, Compared};
use super::machines::Machines;
use super::online::entry::{self, Entry, State};
use super::online::{self, back, capture, cut_over, follow, rehearse, returned, taken_back};
use super::options::{Action, Options, Proof};
use super::task::{Carry, Place, Task};
use super::{ask, sum};
use engine::{Batch, Counts, Error, Result, Stores, TableDigest, Work};
use serde_json::json;
use std::cell::{Cell, RefCell};
use targets::db::{Class, Facts, Session};

/// A transfer at work.
pub struct Moving {
    pub options: Options,
    /// The source at one moment, from the first range on.
    pub reader: RefCell<Option<Box<dyn Facts>>>,
    /// The source at the same moment, for those rows that come beside others.
    pub other: RefCell<Option<Box<dyn Facts>>>,
    /// What tells that moment from others.
    pub moment: RefCell<Option<String>>,
    /// The programs that make values.
    pub machines: RefCell<Machines>,
    /// What a comparison came to, for the batch that writes it down.
    pub compared: RefCell<Option<Compared>>,
    /// What the source answered, for the batch that writes it down.
    pub answer: RefCell<ask::Answer>,
    /// What all of it came to.
    pub sum: RefCell<sum::Sum>,
    /// What the target answered, or why not, where it is asked at the same time.
    pub target_answer: RefCell<Option<std::result::Result<ask::Answer, String>>>,
    /// What the source knows of its move, where the application goes on writing.
    pub entry: RefCell<Option<Entry>>,
    /// How long it took to count each table.
    pub times: RefCell<online::counts::Times>,
    /// What was in the copy of a rehearsal.
    pub before: RefCell<Option<Vec<TableDigest>>>,
    /// A session that may write into the source, for the moments in which that is needed.
    pub writer: RefCell<Option<Box<dyn Session>>>,
    /// A batch was done by this process.
    pub has_begun: Cell<bool>,
    /// The source was another one when it was planned.
    pub has_changed: Cell<bool>,
}

impl Moving {
    /// The database that is read: of a rehearsal, a copy.
    pub fn source(&self, stores: &dyn Stores) -> Result<String> {
        match self.options.action {
            Action::Rehearse => rehearse::copy(&self.options.source, stores),
            _ => Ok(self.options.source.clone()),
        }
    }

    /// Whether tables are filled that are there, while nobody writes.
    pub fn fills_plainly(&self) -> bool {
        self.options.action == Action::Run && self.options.existing && !self.options.runs_online()
    }

    /// Opens the source where it is not open; whether it was not.
    pub fn open(&self, stores: &dyn Stores) -> Result<bool> {
        self.open_so_often(1, stores)
    }

    /// The same, with up to so many sessions that see the same moment.
    pub fn open_so_often(&self, sessions: usize, stores: &dyn Stores) -> Result<bool> {
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

    /// What the plan could not know is why a row does not fit.
    pub fn with_reason(&self, error: Error) -> Error {
        if error.class != Class::Data || !self.has_changed.get() {
            return error;
        }
        let error = error.while_doing("the source may have changed since it was planned");
        match error.help {
            Some(_) => error,
            None => error.help(sum::CHANGED_HELP),
        }
    }

    /// Whether the source is as it was when the table was copied, as far as that can be told.
    pub fn is_same(&self, kept: Option<&Kept>) -> bool {
        let kept = kept.and_then(|kept| kept.moment.as_ref());
        carried::same(kept, self.moment.borrow().as_ref())
    }

    pub fn compare(
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
    pub fn is_lost(&self, task: &Task, stores: &dyn Stores) -> Result<bool> {
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
    pub fn close(&self) {
        (*self.reader.borrow_mut(), *self.other.borrow_mut()) = (None, None);
    }

    /// Opens what may write into the source.
    pub fn open_writer(&self, stores: &dyn Stores) -> Result<()> {
        // whoever only looks would keep its log from being moved
        self.close();
        *self.writer.borrow_mut() = Some(stores.database(&self.source(stores)?)?.open()?);
        Ok(())
    }

    /// Does something with the source that needs to write there.
    pub fn writing<T>(&self, use_it: impl FnOnce(&mut dyn Session) -> Result<T>) -> Result<T> {
        let mut writer = self.writer.borrow_mut();
        let session = writer.as_mut().ok_or_else(|| Error::system("the source is not open"))?;
        use_it(session.as_mut())
    }

    /// What the source knows of its move at this moment.
    pub fn entry_now(&self) -> Result<Entry> {
        let lost = || Error::system("the source knows nothing of a transfer any more");
        self.writing(|source| entry::read(source))?.ok_or_else(lost)
    }

    /// What the source knows of this move.
    pub fn own_entry(&self, work: &Work) -> Result<Entry> {
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
    pub fn act_online(&self, task: &Task, place: &Place, work: &mut Work) -> Result<Batch> {
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

    pub fn with_reader<T>(&self, use_it: impl FnOnce(&mut dyn Facts) -> Result<T>) -> Result<T> {
        let mut reader = self.reader.borrow_mut();
        let reader = reader.as_mut().ok_or_else(|| Error::system("the source is not open"))?;
        use_it(reader.as_mut())
    }
}
